//! How much a caller may ask: a request is admitted before its body is read, or refused with the time to come back.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use captions_api::{
    limits::LimitDocument,
    problem::{Code, Problem},
};
use captions_domain::{
    caption::{Answer, Source},
    context::Attempts,
    limiter::{Limiter, Pass, Refused},
    ports::QuotaKey,
    quota::{Amount, Room, Unit, Window},
    rewrite::{By, Rewritten},
};
use captions_wiring::monitor::Operation;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{auth::Caller, call::Call, failure::Failure, state::AppState};

/// What is limited: everything with a version. Probes and documents are free.
const LIMITED: &str = "/v1/";
/// The addresses that cost tokens, and what is counted there.
const WRITERS: [(&str, Operation); 5] = [
    ("/v1/captions", Operation::CaptionGeneration),
    ("/v1/captions/stream", Operation::CaptionStream),
    ("/v1/captions/{id}/variants", Operation::CaptionGeneration),
    ("/v1/rewrites", Operation::Rewrite),
    ("/v1/captions/{id}/rewrites", Operation::Rewrite),
];
/// The name and the unit of the limit of requests at the same moment.
const AT_ONCE: &str = "concurrent-requests";
/// What a caption takes of its caller's tokens until it is known what it used: a little more than most.
const TOKENS: u64 = 2000;

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whose limits count for a request: those of its key's family where that has some of its own, else those of its tenant.
fn key(caller: &Caller) -> QuotaKey {
    match &caller.key {
        Some(key) if !key.limits.is_default() => QuotaKey::new("key", &key.family.to_string()),
        Some(_) | None => captions_wiring::caller_key(&caller.tenant),
    }
}

/// What a request was admitted with. Clones are the same; dropped with the last of them, it is settled by what the provider calls
/// of the request had cost that were cut off. If there are none, the guess stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(Arc<Admitted>);

#[derive(Debug, Default)]
struct Admitted {
    pass: Mutex<Option<Pass>>,
    attempts: Option<Arc<Attempts>>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let cut_off = self.attempts.as_ref().map_or(0, |attempts| attempts.tokens_cut_off());
        let pass = self.pass.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pass) = pass.filter(|_| cut_off > 0) {
            pass.used(cut_off);
        }
    }
}

impl Admission {
    fn with(mut pass: Pass, attempts: Arc<Attempts>) -> Self {
        pass.begin();
        Self(Arc::new(Admitted {
            pass: Mutex::new(Some(pass)),
            attempts: Some(attempts),
        }))
    }

    /// The request has used so many tokens. Only the first word counts.
    fn used(&self, tokens: u64) {
        let pass = self.0.pass.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pass) = pass {
            pass.used(tokens);
        }
    }
}

impl Call {
    /// Settles the caller's account for an answer. What others have paid for costs nothing; where a provider does not tell
    /// what it used, the guess stands.
    pub(crate) fn settle(&self, answer: &Answer) {
        let usage = answer.caption.usage.filter(|_| answer.source == Source::Provider);
        if answer.source != Source::Provider || usage.is_some() || self.cx.attempts.begun() == 0 {
            self.admission.used(self.cx.attempts.tokens(usage));
        }
    }

    /// Settles it for a changed caption. What rules did costs nothing.
    pub(crate) fn settle_rewrite(&self, done: &Rewritten) {
        if done.by != By::Provider || done.usage.is_some() {
            self.admission.used(self.cx.attempts.tokens(done.usage));
        }
    }

    /// Settles it for a request that ended otherwise.
    pub(crate) fn settle_without_answer(&self) {
        if self.cx.attempts.begun() == 0 {
            self.admission.used(0);
        }
    }
}

/// Lets requests through within the limits of whoever makes them, and tells how those stand.
pub(crate) async fn admit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(route) = route.filter(|route| route.starts_with(LIMITED)) else {
        return next.run(request).await;
    };
    let operation = WRITERS.iter().find(|(path, _)| *path == route);
    let operation = operation.map(|(_, operation)| *operation);
    let tokens = if operation.is_some() { TOKENS } else { 0 };
    let caller = request
        .extensions()
        .get::<Caller>()
        .cloned()
        .unwrap_or_else(Caller::local);
    let own = caller
        .key
        .as_ref()
        .map(|key| key.limits)
        .filter(|own| !own.is_default());
    let limiter = state.callers.as_ref().map(|limiter| match own {
        Some(own) => limiter.with_plan(own.plan(limiter.plan())),
        None => limiter.clone(),
    });
    let limiter = limiter.filter(|limiter| !limiter.plan().is_unlimited());
    let at_once = own.and_then(|own| own.concurrent_requests);
    let at_once = at_once.unwrap_or(state.concurrency.limit);
    if limiter.is_none() && at_once == 0 {
        return next.run(request).await;
    }
    // Boxed, so that requests that nothing limits do not carry the room for it.
    let answered = async move {
        let (mut parts, body) = request.into_parts();
        let mut call = match Call::from_request_parts(&mut parts, &state).await {
            Ok(call) => call,
            Err(failure) => return failure.into_response(),
        };
        let key = key(&caller);
        let Ok(turn) = state.concurrency.turns.begin(&call.cx, &key, at_once).await else {
            state.monitor.caller_turned_away(operation);
            return too_many_at_once(at_once);
        };
        let mut standing = Standing {
            windows: Vec::new(),
            at_once: turn.as_ref().map(|turn| (turn.limit, turn.left)),
        };
        if let Some(limiter) = &limiter {
            let amount = Amount::request(tokens);
            let pass = match limiter.take(&call.cx, &key, amount, Duration::ZERO).await {
                Ok(pass) => pass,
                Err(refused) => {
                    state.monitor.caller_turned_away(operation);
                    return turn_away(limiter, &refused);
                }
            };
            standing.windows = limiter.plan().windows().iter().copied().zip(pass.room()).collect();
            call.admission = Admission::with(pass, Arc::clone(&call.cx.attempts));
        }
        state.monitor.caller_admitted();
        let told = standing.headers();
        call.standing = Arc::new(standing);
        // Goes with the call, also into a stream that is still being sent when this is over.
        call.turn = turn;
        parts.extensions.insert(call.clone());
        let mut response = next.run(Request::from_parts(parts, body)).await;
        if !response.status().is_success() {
            call.settle_without_answer();
        }
        // Unless a stream holds it that is still being sent: over before the answer goes out, for the caller may come again at
        // once, to another server.
        if let Some(turn) = call.turn.take().and_then(Arc::into_inner) {
            turn.end().await;
        }
        response.headers_mut().extend(told);
        response
    };
    Box::pin(answered).await
}

fn turn_away(limiter: &Limiter, refused: &Refused) -> Response {
    // Only the windows that refuse: of the others nothing has to be waited for.
    let refusing = limiter
        .plan()
        .windows()
        .iter()
        .copied()
        .zip(refused.room.iter().copied());
    let windows: Vec<(Window, Room)> = refusing.filter(|(_, room)| !room.wait.is_zero()).collect();
    let names: Vec<String> = windows.iter().map(|(window, _)| describe(window)).collect();
    // Rounded up: whoever comes back after it must not be early.
    let millis = u64::try_from(refused.wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    let detail = format!("the limit of {} is reached", names.join(" and of "));
    let problem = Problem {
        violated_policies: windows.iter().map(|(window, _)| name(window)).collect(),
        ..Problem::new(Code::RateLimited, detail).wait(Some(Duration::from_millis(millis)))
    };
    let standing = Standing { windows, at_once: None };
    let mut response = Failure::from(problem).into_response();
    response.headers_mut().extend(standing.headers());
    response
}

/// When one of them ends nobody can say, so the usual wait is told.
fn too_many_at_once(limit: u64) -> Response {
    let detail = format!("{limit} requests of this caller are being answered already, which is the limit");
    let problem = Problem {
        violated_policies: vec![AT_ONCE.to_owned()],
        ..Problem::new(Code::RateLimited, detail)
    };
    let standing = Standing {
        windows: Vec::new(),
        at_once: Some((limit, 0)),
    };
    let mut response = Failure::from(problem).into_response();
    response.headers_mut().extend(standing.headers());
    response
}

fn unit(window: &Window) -> &'static str {
    match window.unit() {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
    }
}

fn span(window: &Window) -> String {
    match window.per().as_secs() {
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        seconds => format!("{seconds}-seconds"),
    }
}

/// `requests-minute`: the name of the window in the fields and in problems.
fn name(window: &Window) -> String {
    format!("{}-{}", unit(window), span(window))
}

/// `100 requests a minute`
fn describe(window: &Window) -> String {
    format!("{} {} a {}", window.limit(), unit(window), span(window))
}

/// How the limits of a caller stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Nothing where nothing is known.
    windows: Vec<(Window, Room)>,
    /// Of requests at the same moment: the limit, and how many more could begin.
    at_once: Option<(u64, u64)>,
}

impl Standing {
    /// The `RateLimit` fields of the IETF draft: of each window its limit, what is left of it, and when all of it is there
    /// again or, where it refuses, when to come back.
    fn headers(&self) -> HeaderMap {
        let (mut policy, mut state) = (Vec::new(), Vec::new());
        for (window, room) in &self.windows {
            let (name, quota_unit) = match window.unit() {
                Unit::Requests => (name(window), ""),
                Unit::Tokens => (name(window), ";qu=\"tokens\""),
            };
            let (limit, seconds) = (window.limit(), window.per().as_secs());
            policy.push(format!("\"{name}\";q={limit};w={seconds}{quota_unit}"));
            state.push(format!("\"{name}\";r={};t={}", room.left, seconds_until(room)));
        }
        if let Some((limit, left)) = self.at_once {
            policy.push(format!("\"{AT_ONCE}\";q={limit};qu=\"{AT_ONCE}\""));
            state.push(format!("\"{AT_ONCE}\";r={left}"));
        }
        [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)]
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .filter_map(|(name, items)| Some((name, HeaderValue::from_str(&items.join(", ")).ok()?)))
            .collect()
    }

    /// The same as a document.
    pub(crate) fn documents(&self) -> Vec<LimitDocument> {
        let windows = self.windows.iter().map(|(window, room)| LimitDocument {
            name: name(window),
            unit: unit(window).to_owned(),
            limit: window.limit(),
            window_seconds: Some(window.per().as_secs()),
            remaining: room.left,
            resets_in_seconds: Some(seconds_until(room)),
        });
        let at_once = self.at_once.map(|(limit, remaining)| LimitDocument {
            name: AT_ONCE.to_owned(),
            unit: AT_ONCE.to_owned(),
            limit,
            window_seconds: None,
            remaining,
            resets_in_seconds: None,
        });
        windows.chain(at_once).collect()
    }
}

/// Whole seconds until there is room again: all of it, or where it refuses enough.
fn seconds_until(room: &Room) -> u64 {
    let reset = if room.wait.is_zero() { room.full_in } else { room.wait };
    u64::try_from(reset.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
