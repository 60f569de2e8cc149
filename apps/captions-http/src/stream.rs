//! A caption as server-sent events, while it is written.

use std::{convert::Infallible, pin::pin, sync::Arc, task::Poll, time::Duration};

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
use captions_domain::engine::{Event, EventStream, GenerateError};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue, header};

use crate::{body::JsonBody, call::Call, failure::Failure, openapi::Generating, state::AppState};

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
    path = "/v1/captions/stream",
    operation_id = "stream_caption",
    tag = "captions",
    params(("Request-Timeout-Ms" = Option<u64>, Header, description = "End within this many milliseconds; the server's own deadline stands if it is shorter.")),
    request_body(content = GenerateBody, content_type = "application/json"),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream"), Generating)
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let request = generate::parse(&body)?;
    let mut events = Arc::clone(&state.engine).generate_stream(call.cx.clone(), request);
    let first = tokio::select! {
        biased;
        first = events.next() => Some(Next::Event(first)),
        () = tokio::time::sleep(FIRST_EVENT) => None,
    };
    if let Some(Next::Event(Some(Err(error)))) = first {
        return Err(error.into());
    }
    let request_id = call.cx.request_id.to_string();
    let told = tell(events, first, call, state).map(move |event| Ok::<_, Infallible>(frame(event, &request_id)));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    let mut response = Sse::new(in_this_span(told)).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back until its buffer is full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// What the wait for the next event ended in.
enum Next {
    Event(Option<Result<Event, GenerateError>>),
    CutOff(Code),
}

/// The engine's events as those of the wire: one `created`, then the rest, then exactly one last one, whatever happens.
fn tell(
    mut events: EventStream,
    first: Option<Next>,
    call: Call,
    state: AppState,
) -> impl Stream<Item = StreamEvent> + Send {
    async_stream::stream! {
        yield StreamEvent::Created { request_id: call.cx.request_id.to_string() };
        let mut waiting = first;
        loop {
            let next = if let Some(next) = waiting.take() { next } else {
                tokio::select! {
                    biased;
                    event = events.next() => Next::Event(event),
                    () = state.lifecycle.closing.cancelled() => Next::CutOff(Code::ShuttingDown),
                    () = tokio::time::sleep_until(call.latest()) => Next::CutOff(Code::ProviderTimeout),
                }
            };
            let event = match next {
                Next::Event(Some(Ok(Event::Delta { candidate, text }))) => StreamEvent::Delta { candidate, text },
                Next::Event(Some(Ok(Event::Withdrawn { candidate, code }))) => {
                    StreamEvent::Withdrawn { candidate, code: code.to_owned() }
                }
                // Has no event of its own: keep-alive comments say that the writer is at work.
                Next::Event(Some(Ok(Event::Progress { .. }))) => continue,
                Next::Event(Some(Ok(Event::Completed(answer)))) => {
                    let elapsed = call.started.elapsed();
                    StreamEvent::Completed(Box::new(CaptionDocument::of_answer(&answer, &call.cx.request_id, elapsed)))
                }
                Next::Event(Some(Err(error))) => StreamEvent::Failed(Box::new(Problem::from(&error))),
                Next::Event(None) => {
                    StreamEvent::Failed(Box::new(Problem::new(Code::Internal, "the writing ended without an end")))
                }
                Next::CutOff(code) => StreamEvent::Failed(call.cut_off(code).0),
            };
            let is_last = event.is_last();
            yield event;
            if is_last {
                break;
            }
        }
    }
}

/// An event as it goes over the wire.
fn frame(event: StreamEvent, request_id: &str) -> Frame {
    let event = match event {
        StreamEvent::Failed(problem) => {
            // The response has long begun, so the request layer does not see this one: it is completed and logged here.
            let problem = problem.of_request(request_id, "/v1/captions/stream");
            tracing::warn!(code = problem.code, status = problem.status, "stream failed");
            StreamEvent::Failed(Box::new(problem))
        }
        other => other,
    };
    Frame::default().event(event.name()).data(event.data())
}

/// The body is sent after the handler has returned; this keeps what is logged meanwhile under the request's name.
fn in_this_span<S: Stream + Send>(stream: S) -> impl Stream<Item = S::Item> + Send {
    let span = tracing::Span::current();
    let mut stream = Box::pin(stream);
    stream::poll_fn(move |cx| -> Poll<Option<S::Item>> { span.in_scope(|| pin!(&mut stream).poll_next(cx)) })
}
