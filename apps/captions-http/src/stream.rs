//! A caption as server-sent events, while it is written.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll, time::Duration};

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
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue, header};

use crate::{
    body::PictureBody,
    call::Call,
    failure::{self, Failure, panicked},
    openapi::Generating,
    state::AppState,
    told,
};

const PATH: &str = "/v1/captions/stream";

/// Failures within this time are ordinary problem responses. A writer that thinks longer than this gets its stream
/// opened, so that the caller sees that the request was taken.
const FIRST_EVENT: Duration = Duration::from_secs(1);

/// Proxies close connections on which nothing moves.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Write a caption, event by event
///
/// Events: `caption.created` {`request_id`}; `caption.delta` {candidate, text}; `caption.withdrawn` {candidate, code}: drop
/// the text of this candidate, the next delta starts anew; then exactly one of `caption.completed` (the whole caption
/// document, whose text replaces the deltas) or `error` (a problem). Closing the connection stops the writing.
#[utoipa::path(
    post,
    path = PATH,
    operation_id = "stream_caption",
    tag = "captions",
    request_body(content = GenerateBody, content_type = "application/json"),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream"), Generating)
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    PictureBody(body): PictureBody,
) -> Result<Response, Failure> {
    // Goes with the stream: if the caller leaves, it is dropped with it and counted as cancelled.
    let timer = state.monitor.begin(Operation::CaptionStream);
    let request = match generate::parse(&body) {
        Ok(request) => request,
        Err(invalid) => {
            timer.end(Outcome::Refused);
            return Err(invalid.into());
        }
    };
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
    let mut response = events_as_response(tell(events, first, timer, call, state));
    response.headers_mut().extend(known);
    Ok(response)
}

/// The events of a caption that is in the history already: its request was begun before, and not brought to its end.
pub(crate) fn of_stored(record: &Record, call: &Call) -> Response {
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
    events_as_response(stream::iter(events))
}

fn events_as_response(events: impl Stream<Item = StreamEvent> + Send + 'static) -> Response {
    let told = events.map(|event| Ok::<_, Infallible>(Frame::default().event(event.name()).data(event.data())));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    let mut response = Sse::new(in_this_span(told)).keep_alive(keep_alive).into_response();
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

/// The engine's events as those of the wire: one `created`, then the rest, then exactly one last one, whatever happens.
fn tell(
    mut events: EventStream,
    mut first: Option<Event>,
    timer: Timer,
    call: Call,
    state: AppState,
) -> impl Stream<Item = StreamEvent> + Send {
    async_stream::stream! {
        let request_id = Arc::clone(&call.cx.request_id);
        let mut timer = Some(timer);
        yield StreamEvent::Created { request_id: request_id.to_string() };
        loop {
            let next = match first.take() {
                Some(event) => Ok(event),
                None => next(&mut events, &call, &state).await,
            };
            let event = match next {
                Ok(Event::Delta { candidate, text }) => StreamEvent::Delta { candidate, text },
                Ok(Event::Withdrawn { candidate, code }) => StreamEvent::Withdrawn { candidate, code: code.to_owned() },
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
            let is_last = event.is_last();
            yield event;
            if is_last {
                break;
            }
        }
    }
}

/// The body is sent after the handler has returned; this keeps what is logged meanwhile under the request's name.
fn in_this_span<S: Stream + Send>(stream: S) -> impl Stream<Item = S::Item> + Send {
    let span = tracing::Span::current();
    let mut stream = Box::pin(stream);
    stream::poll_fn(move |cx| -> Poll<Option<S::Item>> { span.in_scope(|| pin!(&mut stream).poll_next(cx)) })
}
