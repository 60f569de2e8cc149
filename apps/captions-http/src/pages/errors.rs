//! What the codes of problems mean: one page each, where their `documentation` points.

use axum::{
    Json,
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use captions_api::problem::Code;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Form, VARIES, escape, page};
use crate::{failure::Failure, openapi::Explaining};

/// What an error code means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    code: &'static str,
    status: u16,
    title: &'static str,
    /// How it comes to this, in general.
    cause: &'static str,
    /// Whose move it is: caller, operator, provider or service.
    fault: &'static str,
    retryable: bool,
    /// How long to wait before that where the problem names no other time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_ms: Option<u64>,
    /// What to do about it.
    suggestion: &'static str,
}

/// Every error code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanations {
    data: Vec<Explanation>,
}

impl From<Code> for Explanation {
    fn from(code: Code) -> Self {
        Self {
            code: code.as_str(),
            status: code.status(),
            title: code.title(),
            cause: code.cause(),
            fault: code.fault().as_str(),
            retryable: code.is_retryable(),
            retry_after_ms: code.retry_after().and_then(|wait| u64::try_from(wait.as_millis()).ok()),
            suggestion: code.suggestion(),
        }
    }
}

/// List the errors
///
/// Every code that a problem can have, with its meaning. JSON, HTML or plain text, as `Accept` says.
#[utoipa::path(
    get,
    path = "/errors",
    operation_id = "list_errors",
    tag = "health",
    responses((status = 200, description = "The codes", content((Explanations = "application/json"), (String = "text/html"), (String = "text/plain"))), Explaining)
)]
pub(crate) async fn list(headers: HeaderMap) -> Response {
    let codes = Code::ALL.iter().copied();
    match Form::wanted(&headers) {
        Form::Json => {
            let data = codes.map(Explanation::from).collect();
            ([VARIES], Json(Explanations { data })).into_response()
        }
        Form::Text => {
            let lines: Vec<String> = codes
                .map(|code| format!("{} {} {}\n", code.as_str(), code.status(), code.title()))
                .collect();
            ([VARIES], lines.concat()).into_response()
        }
        Form::Html => {
            let rows = codes.map(|code| {
                let (name, title) = (code.as_str(), escape(code.title()));
                let status = code.status();
                format!("<tr><td><a href=\"/errors/{name}\"><code>{name}</code></a></td><td>{status}</td><td>{title}</td></tr>\n")
            });
            let rows = rows.collect::<Vec<_>>().concat();
            let body = format!(
                "<h1>Errors</h1>\n<p>Every failure is a problem document (RFC 9457) with one of these as its <code>code</code>. \
                 <a href=\"/docs\">The API</a></p>\n<table>\n<tr><th>code</th><th>status</th><th>meaning</th></tr>\n{rows}</table>"
            );
            page("Errors", &body)
        }
    }
}

/// Explain an error
///
/// The page to which `documentation` of a problem leads. JSON, HTML or plain text, as `Accept` says.
#[utoipa::path(
    get,
    path = "/errors/{code}",
    operation_id = "explain_error",
    tag = "health",
    params(("code" = String, Path, description = "The `code` of a problem.")),
    responses((status = 200, description = "The meaning", content((Explanation = "application/json"), (String = "text/html"), (String = "text/plain"))), Explaining)
)]
pub(crate) async fn explain(
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let code: Option<Code> = path.ok().and_then(|Path(code)| code.parse().ok());
    let Some(code) = code else {
        return Err(Failure::new(Code::RouteNotFound, "there is no such error code"));
    };
    Ok(match Form::wanted(&headers) {
        Form::Json => ([VARIES], Json(Explanation::from(code))).into_response(),
        Form::Text => {
            let told: Vec<String> = answers(code)
                .into_iter()
                .map(|(asked, answer)| format!("{asked}: {answer}\n"))
                .collect();
            let head = format!("{} ({})\n{}.\n\n", code.as_str(), code.status(), code.title());
            ([VARIES], head + &told.concat()).into_response()
        }
        Form::Html => {
            let told: Vec<String> = answers(code)
                .into_iter()
                .map(|(asked, answer)| format!("<dt>{asked}</dt><dd>{}</dd>\n", escape(&answer)))
                .collect();
            let body = format!(
                "<p><a href=\"/errors\">Errors</a></p>\n<h1>{}</h1>\n<p><code>{}</code>, status {}</p>\n<dl>\n{}</dl>",
                escape(code.title()),
                code.as_str(),
                code.status(),
                told.concat()
            );
            page(code.title(), &body)
        }
    })
}

/// What one wants to know of a failure, and what there is to say.
fn answers(code: Code) -> [(&'static str, String); 4] {
    let retry = match (code.is_retryable(), code.retry_after()) {
        (false, _) => "No: the same request would fail again.".to_owned(),
        (true, None) => "Yes, at once if you like.".to_owned(),
        (true, Some(wait)) => format!(
            "Yes, after retry_after_ms; {} s where the answer names no time.",
            wait.as_secs_f64()
        ),
    };
    [
        ("What happened", code.cause().to_owned()),
        ("Whose fault it is", format!("{}.", code.fault().in_words())),
        ("Try again?", retry),
        ("What to do", code.suggestion().to_owned()),
    ]
}
