//! From a problem to a response. Handlers return [`Failure`]; the request layer completes and writes it.

use std::{any::Any, fmt};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use captions_api::{
    image::is_too_large,
    problem::{Code, Problem},
};
use captions_domain::{engine::GenerateError, fault::StoreError, request::Invalid};
use http::{HeaderName, HeaderValue, StatusCode, header};

pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A problem on its way out. It travels as an extension of an empty response until [`written`] knows its request.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) Box<Problem>);

impl Failure {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }
}

/// Only for an answer that has begun: it breaks off, and this is what the log says of it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.code)
    }
}

impl std::error::Error for Failure {}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&self.0);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<Vec<Invalid>> for Failure {
    fn from(broken: Vec<Invalid>) -> Self {
        if let Some(picture) = broken.iter().find(|invalid| is_too_large(invalid)) {
            return Self::new(Code::BodyTooLarge, &*picture.rule);
        }
        Problem::from(broken).into()
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        Problem::from(&error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Problem::from(&error).into()
    }
}

/// A fault of ours that nobody foresaw. What a panic says may hold what a user wrote, so it is not repeated.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Problem {
    tracing::error!("a request panicked");
    Problem::new(Code::Internal, "the request hit a fault of ours")
}

/// Logs a problem where it leaves the server. What callers did wrong is theirs to know.
pub(crate) fn log(problem: &Problem) {
    if problem.status >= 500 {
        tracing::warn!(code = problem.code, status = problem.status, "request failed");
    } else {
        tracing::debug!(code = problem.code, status = problem.status, "request refused");
    }
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The response with the problem in it, if it carries one, completed with the name and the path of the request.
pub(crate) fn written(mut response: Response, request_id: &str, path: &str) -> Response {
    let Some(Failure(problem)) = response.extensions_mut().remove::<Failure>() else {
        return response;
    };
    let problem = problem.of_request(request_id, path);
    log(&problem);
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    parts
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The empty body of the carrier had a length of its own.
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(wait) = problem.retry_after() {
        // Whole seconds, never earlier than meant.
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX);
        parts.headers.insert(header::RETRY_AFTER, seconds.into());
        // For the clients that know it, exactly.
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        parts.headers.insert(RETRY_AFTER_MS, millis.into());
    }
    // Clients made for other APIs of this kind go by it; else they would repeat every 409 and every 5xx.
    let retry = if problem.retryable { "true" } else { "false" };
    parts.headers.insert(SHOULD_RETRY, HeaderValue::from_static(retry));
    if matches!(
        problem.code(),
        Code::Starting
            | Code::ShuttingDown
            | Code::BodyTimeout
            | Code::BodyTooLarge
            | Code::UriTooLong
            | Code::HeadersTooLarge
    ) {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}
