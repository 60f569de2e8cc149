//! A POST that is sent again with its `Idempotency-Key` is answered as before, and nothing is done a second time.
//!
//! The request is read, its call is claimed in the store that all replicas share, and only the holder of the claim goes on
//! to the handler. Whoever sends the same meanwhile waits for a while: in this process for the holder itself, beside another
//! one by a few looks into the store. Kept are answers that stand, successes and refusals that would come again; after
//! anything else the call is open, and whoever sends it next goes on with it.
//!
//! A claim that nobody ends, because the process died, ends with its lease. What the call creates has the id that the first
//! claim brought, so a caption that was stored before the end is found by whoever goes on, and is not written again.

mod flights;
mod tape;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_stream::stream;
use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use captions_api::problem::{Code, Problem};
use captions_domain::{
    caption::CaptionId,
    context::Context,
    once::{CallId, Claim, Key, Payload, Reply, Standing, Step},
    ports::CaptionStore,
    request::UserId,
};
use captions_wiring::Tasks;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt;
use tokio::time::{sleep_until, timeout_at};

use self::{
    flights::{Flight, Flights, Seat},
    tape::{End, Tape},
};
use crate::{body, call::Call, captions, failure::Failure, state::AppState, stream, tags};

pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `true` on an answer that was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// `false` on an answer that stands and could not be kept.
pub(crate) const KEPT: HeaderName = HeaderName::from_static("idempotency-kept");

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What takes part: everything with a version.
const VERSIONED: &str = "/v1/";
/// What takes no part all the same: its answers hold secrets, which are kept nowhere.
pub(crate) const SECRETS: &str = "/v1/keys";
/// Where a caption is written, and found again by its id if it was.
const CAPTIONS: &str = "/v1/captions";
const STREAM: &str = "/v1/captions/stream";
const USERS: &str = "/v1/users";

/// How long a call is waited for that somebody else works on.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pauses between looks into the store meanwhile.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(600),
    Duration::from_millis(650),
];
/// How much longer than its request a claim holds: time to keep the answer.
const SLACK: Duration = Duration::from_secs(5);
/// What keeping an answer, or giving a claim back, may take, also where the request itself has no time left.
const KEEPING: Duration = Duration::from_secs(4);
/// A larger answer is not kept.
const LARGEST: u64 = 1 << 20;
/// The most pieces of work at once that [`Once::default`] leaves to the background.
const TASKS: usize = 1024;

/// Headers that belong to what is answered and not to the one time that it was.
const CONTENT_HEADERS: [HeaderName; 10] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::LOCATION,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LINK,
    header::RETRY_AFTER,
    HeaderName::from_static("x-accel-buffering"),
];
/// And all of ours that begin so.
const OUR_HEADERS: &str = "captions-";

/// How calls with a key are treated. Clones are the same.
#[derive(Debug, Clone)]
pub struct Once {
    keep_for: Duration,
    tasks: Tasks,
    flights: Flights,
}

impl Once {
    /// Answers are kept for so long, and what must not be waited for is done among `tasks`.
    pub fn new(keep_for: Duration, tasks: Tasks) -> Self {
        Self {
            keep_for,
            tasks,
            flights: Flights::default(),
        }
    }
}

impl Default for Once {
    /// For a day, with tasks of its own.
    fn default() -> Self {
        Self::new(Duration::from_hours(24), Tasks::new(TASKS))
    }
}

/// See the module.
pub(crate) async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let takes_part = request.method() == Method::POST && request.headers().contains_key(KEY);
    let Some(route) = route.filter(|route| takes_part && route.starts_with(VERSIONED)) else {
        return next.run(request).await;
    };
    if route.starts_with(SECRETS) {
        let mut response = next.run(request).await;
        response.headers_mut().insert(KEPT, HeaderValue::from_static("false"));
        return response;
    }
    let route = route.to_owned();
    // Boxed, so that the many requests without a key do not carry the room for it.
    match Box::pin(answer(&state, &route, request, next)).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn answer(state: &AppState, route: &str, request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let key = key(&parts.headers)?;
    // It may differ from one time to the next, and an answer from before would hide that it cannot be read.
    tags::wanted(&parts.headers)?;
    let call = Call::from_request_parts(&mut parts, state).await?;
    let bytes = body::whole(&parts.headers, body, state, route).await?.freeze();
    let (payload, named) = payload(&parts, route, bytes.clone()).await?;
    let claim = Claim {
        call: CallId::new(parts.method.as_str(), parts.uri.path(), &key),
        payload,
        user: named.or_else(|| user_of(&parts.uri)),
        caption: caption_of(&parts.uri),
        lease: call.cx.deadline.saturating_duration_since(Instant::now()) + SLACK,
        keep_for: state.once.keep_for,
    };
    // What the caller has seen of a stream it is not told twice.
    let takes_up = route == STREAM && parts.headers.contains_key(LAST_EVENT_ID);
    let held = match claimed(state, &call, claim).await? {
        Claimed::Held(held) => held,
        Claimed::Answered(reply) => {
            // Nothing is used for it.
            call.settle_without_answer();
            return replayed(&reply, takes_up);
        }
    };
    let mut its_call = call.clone();
    its_call.cx.fresh_id = held.id;
    its_call.again = held.id != call.cx.fresh_id;
    if its_call.again && [CAPTIONS, STREAM].contains(&route) {
        let work = state.engine.written_before(&its_call.cx);
        let found = its_call.within(state, Code::StoreUnavailable, work).await?;
        if let Some(record) = found.map_err(|error| not_known(&Problem::from(&error)))? {
            its_call.settle_without_answer();
            let response = if route == STREAM {
                stream::of_stored(&record, &its_call, state, takes_up)
            } else {
                captions::of_stored(&record)
            };
            return Ok(held.end(response, parts.uri.path()).await);
        }
    }
    parts.extensions.insert(its_call);
    let path = parts.uri.path().to_owned();
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    Ok(held.end(response, &path).await)
}

/// The key: a string as RFC 8941 writes it, in quotes, or its bare text.
fn key(headers: &HeaderMap) -> Result<Key, Failure> {
    let wrong = |detail: &str| Failure::new(Code::InvalidParameter, format!("Idempotency-Key: {detail}"));
    let mut all = headers.get_all(KEY).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(wrong("a request has one key"));
    };
    let text = value.to_str().unwrap_or("\u{7f}").trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return Key::new(text).map_err(|invalid| wrong(&invalid.rule));
    };
    let open = "a key that begins with a quotation mark ends with one; inside, they and backslashes follow a backslash";
    let (mut plain, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next() {
            Some('"') if rest.as_str().is_empty() => break,
            Some('\\') => match rest.next() {
                Some(escaped @ ('"' | '\\')) => plain.push(escaped),
                _ => return Err(wrong(open)),
            },
            Some('"') | None => return Err(wrong(open)),
            Some(other) => plain.push(other),
        }
    }
    Key::new(&plain).map_err(|invalid| wrong(&invalid.rule))
}

/// Bodies up to this size are looked through at once; longer ones would keep others waiting.
const QUICK: usize = 256 * 1024;

async fn payload(parts: &Parts, route: &str, body: bytes::Bytes) -> Result<(Payload, Option<UserId>), Failure> {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    // Whose answer it will be, so that it goes with them.
    let user_field = if route == USERS { "id" } else { "user_id" };
    if body.len() <= QUICK {
        return Ok(Payload::of(&kind, &query, &body, user_field));
    }
    let read = tokio::task::spawn_blocking(move || Payload::of(&kind, &query, &body, user_field));
    read.await
        .map_err(|_| Failure::new(Code::Internal, "the body could not be read"))
}

/// The user in the path.
fn user_of(uri: &Uri) -> Option<UserId> {
    let id = uri.path().strip_prefix("/v1/users/")?.split('/').next()?;
    UserId::new(id).ok()
}

/// The caption in the path.
fn caption_of(uri: &Uri) -> Option<CaptionId> {
    let id = uri.path().strip_prefix("/v1/captions/")?.split('/').next()?;
    id.parse().ok()
}

enum Claimed {
    Held(Box<Held>),
    Answered(Arc<Reply>),
}

/// Holds the call, or has its answer, or says why neither can be.
async fn claimed(state: &AppState, call: &Call, claim: Claim) -> Result<Claimed, Failure> {
    let patience = Instant::now() + PATIENCE;
    let until = tokio::time::Instant::from_std(patience.min(call.cx.deadline));
    let place = (call.cx.tenant.clone(), claim.call, claim.payload);
    let flight = loop {
        match state.once.flights.join(&place) {
            Seat::Ahead(flight) => break flight,
            Seat::Behind(mut ahead) => match timeout_at(until, ahead.wait_for(Option::is_some)).await {
                Ok(Ok(reply)) => {
                    if let Some(reply) = &*reply {
                        return Ok(Claimed::Answered(Arc::clone(reply)));
                    }
                }
                // Whoever was ahead has left nothing: the next one's turn.
                Ok(Err(_)) => {}
                Err(_) => return Err(in_flight()),
            },
        }
    };
    // From here on a claim may stand in the store, also where its answer never comes.
    let mut held = Held {
        store: Arc::clone(&state.engine.captions),
        once: state.once.clone(),
        call: call.clone(),
        claimed: claim.call,
        id: call.cx.fresh_id,
        flight: Some(flight),
    };
    let step = Step::Claim(claim);
    let mut pauses = PAUSES.iter();
    loop {
        let work = held.store.once(&call.cx, &step);
        let standing = call.within(state, Code::StoreUnavailable, work).await;
        let standing = standing.map_err(|Failure(problem)| not_known(&problem))?;
        match standing.map_err(|error| not_known(&Problem::from(&error)))? {
            Standing::Held { id } => {
                held.id = id;
                return Ok(Claimed::Held(Box::new(held)));
            }
            Standing::Answered(reply) => {
                let reply = Arc::new(reply);
                if let Some(flight) = held.flight.take() {
                    flight.land(&reply);
                }
                return Ok(Claimed::Answered(reply));
            }
            Standing::Different => {
                held.flight = None;
                let detail = "this Idempotency-Key was used for another request to this address";
                return Err(Failure::new(Code::IdempotencyKeyReused, detail));
            }
            Standing::Busy | Standing::Changed(_) => {
                let pause = pauses.next().map(|pause| tokio::time::Instant::now() + *pause);
                let Some(next) = pause.filter(|next| *next <= until) else {
                    held.flight = None;
                    return Err(in_flight());
                };
                sleep_until(next).await;
            }
        }
    }
}

fn in_flight() -> Failure {
    let detail = "the request with this Idempotency-Key is still being worked on";
    Failure::new(Code::IdempotencyInFlight, detail)
}

/// Without the store nobody knows whether the call was made before, and to make it all the same would break the promise.
fn not_known(problem: &Problem) -> Failure {
    let detail = format!(
        "whether the request with this Idempotency-Key was made before cannot be known now, so nothing was done: {}",
        problem.detail
    );
    let code = match problem.code() {
        code @ (Code::ShuttingDown | Code::StoreCorrupt) => code,
        _ => Code::StoreUnavailable,
    };
    Problem::new(code, detail).wait(problem.retry_after()).into()
}

/// The claim of a call. Dropped, it is given back in the background.
struct Held {
    store: Arc<dyn CaptionStore>,
    once: Once,
    /// As it came in: its fresh id is the claimant's.
    call: Call,
    claimed: CallId,
    /// What the call creates.
    id: uuid::Uuid,
    /// `None` once nothing is to be given back any more.
    flight: Option<Flight>,
}

impl Held {
    /// What is to be done with the call when its handler has answered so. Gives the answer on.
    async fn end(self, mut response: Response, path: &str) -> Response {
        if let Some(Failure(problem)) = response.extensions().get::<Failure>() {
            let is_about_headers = ABOUT_HEADERS.iter().any(|status| *status == problem.status);
            let stands = problem.status < 500 && !is_about_headers && !problem.code().is_retryable();
            let reply = stands.then(|| reply_of_problem(problem, &self.call, path));
            match reply {
                Some(reply) => {
                    self.keep(reply).await;
                }
                None => self.release().await,
            }
            return response;
        }
        let status = response.status();
        let headers = content_headers(response.headers());
        if status.is_success() && is_event_stream(response.headers()) {
            return response.map(|body| self.taped(body, headers));
        }
        if !stands(status) {
            self.release().await;
            return response;
        }
        let size = response.body().size_hint().exact();
        if size.is_none_or(|size| size > LARGEST) {
            self.release().await;
            response.headers_mut().insert(KEPT, HeaderValue::from_static("false"));
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return Failure::new(Code::Internal, "the answer broke off").into_response();
        };
        let body = body.to_bytes();
        let reply = Reply {
            status: status.as_u16(),
            headers,
            body: body.clone(),
        };
        if !self.keep(reply).await {
            parts.headers.insert(KEPT, HeaderValue::from_static("false"));
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// The same events, of which those are noted that make up the answer. It is kept before its last event goes out: who
    /// has that one may never come back for more.
    fn taped(self, body: Body, headers: Vec<(String, String)>) -> Body {
        let mut frames = body.into_data_stream();
        Body::from_stream(stream! {
            let mut tape = Tape::default();
            let mut held = Some(self);
            while let Some(frame) = frames.next().await {
                if let Ok(bytes) = &frame && held.is_some() {
                    tape.hear(bytes);
                    if let Some(end) = tape.end() && let Some(held) = held.take() {
                        match end {
                            End::Completed(body) => {
                                let status = StatusCode::OK.as_u16();
                                held.keep(Reply { status, headers: headers.clone(), body }).await;
                            }
                            End::Failed => held.release().await,
                        }
                    }
                }
                yield frame;
            }
        })
    }

    /// Keeps the answer, for those who wait for it too. `false` if that could not be done; then the claim ends with its
    /// lease: the answer goes out all the same, and whoever sends the call again before then is told that it is in flight.
    async fn keep(mut self, reply: Reply) -> bool {
        let Some(flight) = self.flight.take() else {
            return false;
        };
        let step = Step::Settle {
            call: self.claimed,
            reply: reply.clone(),
            keep_for: self.once.keep_for,
        };
        let kept = self.store.once(&self.afterwards(), &step).await;
        if let Err(error) = &kept {
            tracing::warn!(?error, "an answer could not be kept for its Idempotency-Key");
        }
        let is_kept = matches!(kept, Ok(Standing::Changed(1)));
        if is_kept {
            flight.land(&Arc::new(reply));
        }
        is_kept
    }

    /// Ends without an answer: whoever sends the call next goes on with it.
    async fn release(mut self) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        give_back(&*self.store, &self.afterwards(), self.claimed).await;
        drop(flight);
    }

    /// The context of what is to be done even if the request has no time left.
    fn afterwards(&self) -> Context {
        Context {
            deadline: Instant::now() + KEEPING,
            ..self.call.cx.clone()
        }
    }
}

impl Drop for Held {
    /// The caller has left, or the handler panicked, or the store did not say whether the call is ours.
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let (store, cx, call) = (Arc::clone(&self.store), self.afterwards(), self.claimed);
        let work = async move {
            give_back(&*store, &cx, call).await;
            drop(flight);
        };
        // Where nothing is taken on any more the claim ends with its lease.
        drop(self.once.tasks.spawn("idempotency", work));
    }
}

async fn give_back(store: &dyn CaptionStore, cx: &Context, call: CallId) {
    if let Err(error) = store.once(cx, &Step::Release { call }).await {
        tracing::debug!(?error, "a call stays claimed until its lease is over");
    }
}

/// What could not be read, and a condition that was not met: it may be a header, and headers are no part of what was asked.
const ABOUT_HEADERS: [StatusCode; 2] = [StatusCode::BAD_REQUEST, StatusCode::PRECONDITION_FAILED];

/// True of an answer that would be the same if the call were made again.
fn stands(status: StatusCode) -> bool {
    let may_pass = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let may_pass = || may_pass.iter().chain(&ABOUT_HEADERS).any(|other| *other == status);
    status.is_success() || (status.is_client_error() && !may_pass())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn content_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| CONTENT_HEADERS.contains(name) || name.as_str().starts_with(OUR_HEADERS))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// A problem as its caller sees it, in the form of this one request.
fn reply_of_problem(problem: &Problem, call: &Call, path: &str) -> Reply {
    let problem = problem.clone().of_request(&call.cx.request_id, path);
    let told = [
        ("content-type", "application/problem+json"),
        ("x-should-retry", "false"),
    ];
    Reply {
        status: problem.status,
        headers: told.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: serde_json::to_vec(&problem).unwrap_or_default().into(),
    }
}

/// The answer as it was given; of a stream that is `taken_up` only its end.
fn replayed(reply: &Reply, taken_up: bool) -> Result<Response, Failure> {
    let unreadable = || Failure::new(Code::StoreCorrupt, "the kept answer cannot be read");
    let body = if taken_up && reply.status == StatusCode::OK.as_u16() {
        Tape::last_event(&reply.body)
    } else {
        reply.body.clone()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(reply.status).map_err(|_| unreadable())?;
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unreadable())?;
        let value = HeaderValue::from_str(value).map_err(|_| unreadable())?;
        response.headers_mut().append(name, value);
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests;
