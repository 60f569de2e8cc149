//! A caption as server-sent events, while it is written.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event as Frame, KeepAlive},
    },
};
use captions_api::{
    caption::CaptionDocument,
    generate::{self, GenerateBody},
    problem::{Code, Problem},
    stream::StreamEvent,
};
use captions_domain::{
    caption::Record,
    engine::{Event, EventStream},
};
use captions_wiring::monitor::{Operation, Outcome, Timer};
use futures_util::{FutureExt, Stream, StreamExt, future::OptionFuture, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    body::PictureBody,
    call::Call,
    failure::{self, Failure, panicked},
    openapi::Streaming,
    replay::{EventId, Live, SHOWN_EVERY, Told},
    state::AppState,
    told,
};

pub(crate) const PATH: &str = "/v1/captions/stream";

/// Failures within this time are ordinary problem responses. A writer that thinks longer than this gets its stream
/// opened, so that the caller sees that the request was taken.
const FIRST_EVENT: Duration = Duration::from_secs(1);

/// Longer than the cache may take to be shown what a stream has told so far.
const LONGEST_SHOWING: Duration = Duration::from_secs(5);

/// Write a caption, event by event
///
/// Events: `caption.created` {`request_id`}; `caption.delta` {candidate, text}; `caption.withdrawn` {candidate, code}: drop
/// the text of this candidate, the next delta starts anew; then exactly one of `caption.completed` (the whole caption
/// document, whose text replaces the deltas) or `error` (a problem). Closing the connection stops the writing.
///
/// Each event has an id. The same request with the id of the last event that was seen as `Last-Event-ID` goes on after it, as long
/// as the stream runs and for a while after its end; else the stream begins anew.
#[utoipa::path(
    post,
    path = PATH,
    operation_id = "stream_caption",
    tag = "captions",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen of the stream to be taken up.")),
    request_body(content = GenerateBody, content_type = "application/json"),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream"), Streaming)
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    headers: HeaderMap,
    PictureBody(body): PictureBody,
) -> Result<Response, Failure> {
    let asked = blake3::hash(body.to_string().as_bytes());
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    if let Some(last) = last
        && let Some(rest) = state.streams.resume(&call.cx, asked, last).await
    {
        // What is told again was paid by the request that it was written for.
        call.settle_without_answer();
        return Ok(sent(rest, &state));
    }
    // Goes with the stream: if the caller leaves, it is dropped with it and counted as cancelled.
    let timer = state.monitor.begin(Operation::CaptionStream);
    let request = match generate::parse(&body) {
        Ok(request) => request,
        Err(invalid) => {
            timer.end(Outcome::Refused);
            return Err(invalid.into());
        }
    };
    let user = request.user.clone();
    let mut events = Arc::clone(&state.engine).generate_stream(call.cx.clone(), request);
    let first = tokio::select! {
        biased;
        next = next(&mut events, &call, &state) => Some(next),
        () = tokio::time::sleep(FIRST_EVENT) => None,
    };
    let first = match first {
        Some(Err((failure, outcome))) => {
            timer.end(outcome);
            return Err(failure);
        }
        Some(Ok(event)) => Some(event),
        None => None,
    };
    let known = told::of_stream(&call);
    let (live, reader) = state.streams.begin(&call.cx, asked, user);
    let streams = state.streams.clone();
    let mut response = sent(reader.events(0), &state);
    response.headers_mut().extend(known);
    let request_id = Arc::clone(&call.cx.request_id);
    // It is written after the handler has returned; what is logged meanwhile stays under the request's name.
    let writing = write(Arc::clone(&live), events, first, timer, call, state);
    streams.spawn(live, request_id, writing.instrument(tracing::Span::current()));
    Ok(response)
}

/// The events of a caption that is in the history already: its request was begun before, and not brought to its end. They
/// are told in one piece, so there is nothing to take up again. With `is_taken_up` only the end is told.
pub(crate) fn of_stored(record: &Record, call: &Call, state: &AppState, is_taken_up: bool) -> Response {
    let text = record.caption.variants.first().map(|best| best.caption.clone());
    let events = [
        StreamEvent::Created {
            request_id: call.cx.request_id.to_string(),
        },
        StreamEvent::Delta {
            candidate: 1,
            text: text.unwrap_or_default(),
        },
        StreamEvent::Completed(Box::new(CaptionDocument::of_record(record))),
    ];
    let left = if is_taken_up { &events[2..] } else { &events[..] };
    sent(
        stream::iter(EventId::number(left.iter().map(Told::from).collect())),
        state,
    )
}

/// The response that tells these events.
fn sent(events: impl Stream<Item = (EventId, Told)> + Send + 'static, state: &AppState) -> Response {
    let frames = events.map(|(id, told)| {
        let frame = Frame::default().event(told.name).data(told.data);
        Ok::<_, Infallible>(frame.id(id.to_string()))
    });
    // Proxies close connections on which nothing moves.
    let keep_alive = KeepAlive::new().interval(state.limits.keep_alive).text("keep-alive");
    let mut response = Sse::new(frames).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back until its buffer is full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// The problem in which the writing ended, and what that counts as.
type Ending = (Failure, Outcome);

/// The next event of the engine, or how it ended, or was cut off.
async fn next(events: &mut EventStream, call: &Call, state: &AppState) -> Result<Event, Ending> {
    let failed = |problem: Problem| Err((problem.into(), Outcome::Failed));
    // A panic in here would otherwise take the connection with it, and the caller would never learn why.
    let next = AssertUnwindSafe(events.next()).catch_unwind();
    tokio::select! {
        biased;
        next = next => match next {
            Ok(Some(Ok(event))) => Ok(event),
            Ok(Some(Err(error))) => Err((Problem::from(&error).into(), Outcome::of_failure(&error))),
            Ok(None) => failed(Problem::new(Code::Internal, "the writing stopped without an end")),
            Err(panic) => failed(panicked(panic)),
        },
        () = state.lifecycle.closing.cancelled() => failed(call.cut_off(Code::ShuttingDown)),
        () = tokio::time::sleep_until(call.latest()) => failed(call.cut_off(Code::ProviderTimeout)),
    }
}

/// Tells the engine's events as those of the wire: one `created`, then the rest, then exactly one last one, whatever happens;
/// unless everybody leaves, which ends the work at once.
async fn write(
    live: Arc<Live>,
    mut events: EventStream,
    mut first: Option<Event>,
    timer: Timer,
    call: Call,
    state: AppState,
) {
    let request_id = Arc::clone(&call.cx.request_id);
    live.tell(&StreamEvent::Created {
        request_id: request_id.to_string(),
    });
    let mut show_at = Instant::now() + SHOWN_EVERY;
    let mut showing = Box::pin(OptionFuture::from(None));
    // Whether something was told since.
    let mut is_news = true;
    let mut timer = Some(timer);
    loop {
        let next = if let Some(event) = first.take() {
            Ok(event)
        } else {
            tokio::select! {
                biased;
                () = live.is_alone.cancelled() => {
                    // First of all the provider's call; what it has cost by then is settled with the request.
                    drop(events);
                    drop((timer, call.admission));
                    state.streams.give_up(&call.cx, &live).await;
                    return;
                }
                next = next(&mut events, &call, &state) => next,
                Some(()) = &mut showing => {
                    showing = Box::pin(None.into());
                    show_at = Instant::now() + SHOWN_EVERY;
                    continue;
                }
                () = tokio::time::sleep_until(show_at), if is_news => {
                    is_news = false;
                    // Not before this one is through.
                    show_at += LONGEST_SHOWING;
                    showing = Box::pin(state.streams.show(&call.cx, &live).into());
                    continue;
                }
            }
        };
        let event = match next {
            Ok(Event::Delta { candidate, text }) => StreamEvent::Delta { candidate, text },
            Ok(Event::Withdrawn { candidate, code }) => StreamEvent::Withdrawn {
                candidate,
                code: code.to_owned(),
            },
            // Has no event of its own: keep-alive comments say that the writer is at work.
            Ok(Event::Progress { .. }) => continue,
            Ok(Event::Completed(answer)) => {
                call.settle(&answer);
                // Before it goes out: who has the last event may never come back for more.
                if let Some(timer) = timer.take() {
                    timer.end(Outcome::of_answer(&answer));
                }
                let document = CaptionDocument::of_answer(&answer, &request_id, call.started.elapsed());
                StreamEvent::Completed(Box::new(document))
            }
            Err((Failure(problem), outcome)) => {
                call.settle_without_answer();
                if let Some(timer) = timer.take() {
                    timer.end(outcome);
                }
                // The response has long begun, so the request layer does not see this one.
                failure::log(&problem);
                StreamEvent::Failed(Box::new(problem.of_request(&request_id, PATH)))
            }
        };
        live.tell(&event);
        if event.is_last() {
            break;
        }
        is_news = true;
    }
    // Nothing older may come after the end.
    showing.await;
    state.streams.keep(&call.cx, &live).await;
}
