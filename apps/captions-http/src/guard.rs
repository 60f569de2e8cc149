//! What is refused before anything else looks at a request, and what every answer tells browsers.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use captions_api::problem::Code;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{failure::Failure, state::Limits};

/// How long a browser need not ask again what it may send.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// What pages of other origins may send, beside what is always allowed.
const SENT: [&str; 11] = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "request-timeout-ms",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// Our headers that pages of other origins may read.
const SHOWN: [&str; 23] = [
    "age",
    "cache-status",
    "captions-attempts",
    "captions-batch-state",
    "captions-degraded",
    "captions-fallback",
    "captions-model",
    "captions-provider",
    "content-disposition",
    "deprecation",
    "etag",
    "idempotency-kept",
    "idempotency-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "retry-after-ms",
    "server-timing",
    "sunset",
    "x-request-id",
    "x-should-retry",
];

/// For answers without one of their own: whatever a browser takes it for, it loads nothing, runs nothing and is framed by nobody.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

/// Keeps a request's head within its limits.
///
/// A length given twice over, by `Content-Length` and by chunks, is read by the chunks alone; and where a body came in
/// chunks the connection ends with the answer. So what another server on the way may have taken for a second request is never
/// read as one.
pub(crate) async fn heads(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    if let Some(refusal) = refusal(&request, &limits) {
        return refusal.into_response();
    }
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = next.run(request).await;
    if is_chunked {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn refusal(request: &Request, limits: &Limits) -> Option<Failure> {
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |address| address.as_str().len());
    if address > limits.uri_limit {
        let detail = format!("path and query have at most {} bytes", limits.uri_limit);
        return Some(Failure::new(Code::UriTooLong, detail));
    }
    let headers = request.headers();
    if headers.len() > limits.header_count {
        let detail = format!("a request has at most {} headers", limits.header_count);
        return Some(Failure::new(Code::HeadersTooLarge, detail));
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > limits.header_limit {
        let detail = format!("all headers together have at most {} bytes", limits.header_limit);
        return Some(Failure::new(Code::HeadersTooLarge, detail));
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Some(Failure::new(
            Code::InvalidParameter,
            "the request names more than one Host",
        ));
    }
    None
}

/// Lets web pages of these origins read answers; `None` if there are none. No cookies are asked for or used.
pub(crate) fn cors(origins: &[String]) -> Option<CorsLayer> {
    let names = |names: &[&'static str]| -> Vec<HeaderName> {
        names.iter().map(|name| HeaderName::from_static(name)).collect()
    };
    let origin = match origins {
        [] => return None,
        any if any.iter().any(|origin| origin == "*") => AllowOrigin::any(),
        some => AllowOrigin::list(some.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    let cors = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(names(&SENT))
        .expose_headers(names(&SHOWN))
        .max_age(PREFLIGHT);
    Some(cors)
}

/// Puts on an answer what browsers are to be told of it, where it does not say so itself.
pub(crate) fn cover(headers: &mut HeaderMap) {
    let said = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    for (name, value) in said {
        headers.entry(name).or_insert(value);
    }
}
