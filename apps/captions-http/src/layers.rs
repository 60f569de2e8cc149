//! What happens to every request, whatever its address.

use std::{any::Any, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use captions_api::problem::Code;
use captions_wiring::telemetry;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{call::RequestId, failure, failure::Failure, guard, state::Lifecycle, told};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Names the request, opens its span, turns it away while the server drains, and writes its problem if it ends in one.
pub(crate) async fn request(State(lifecycle): State<Lifecycle>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let path = request.uri().path().to_owned();
    // The pattern, not the path: paths name users.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), route);
    if let Some(parent) = text(request.headers(), "traceparent") {
        telemetry::adopt(&span, parent, text(request.headers(), "tracestate"));
    }
    let is_probe = matches!(route.as_str(), "/livez" | "/readyz" | "/healthz");

    async move {
        let started = std::time::Instant::now();
        let response = if lifecycle.draining.is_cancelled() && !is_probe {
            Failure::new(Code::ShuttingDown, "no new requests are taken").into_response()
        } else {
            next.run(request).await
        };
        let mut response = failure::written(response, &id, &path);
        tracing::debug!(
            status = response.status().as_u16(),
            duration_ms = started.elapsed().as_secs_f64() * 1e3,
            "request answered"
        );
        telemetry::answered(&Span::current(), response.status().as_u16());
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        // A stream has its end still before it.
        let is_stream = response.headers().get(header::CONTENT_TYPE) == Some(&EVENTS);
        if !is_stream {
            let looked = response.extensions().get::<told::KeyLookedAt>().copied();
            let parts = text(response.headers(), "server-timing");
            if let Ok(value) = HeaderValue::from_str(&told::server_timing(looked, parts, started.elapsed())) {
                response.headers_mut().insert(told::SERVER_TIMING, value);
            }
        }
        // Captions and users are personal data; what may be kept says so itself.
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        guard::cover(response.headers_mut());
        response
    }
    .instrument(span)
    .await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The caller's name for the request if it can stand in a log, else a fresh one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let allowed = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    match headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(allowed)
    {
        Some(id) => id.into(),
        None => format!("req_{}", Uuid::now_v7().simple()).into(),
    }
}

/// The response in place of a handler that panicked.
pub(crate) fn after_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    Failure::from(failure::panicked(panic)).into_response()
}

/// Nothing can be answered yet.
pub(crate) async fn starting() -> Failure {
    Failure::new(Code::Starting, "the server is being put together")
}

/// There is nothing here.
pub(crate) async fn not_found() -> Failure {
    Failure::new(Code::RouteNotFound, "there is nothing at this address")
}

/// There is something here, but not for this method.
pub(crate) async fn not_allowed() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this address does not know the method")
}
