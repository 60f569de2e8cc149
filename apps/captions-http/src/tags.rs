//! Entity tags (RFC 9110, 8.8.3), and the conditions that callers make of them.

use axum::response::{IntoResponse, Response};
use captions_api::problem::Code;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Serialize;

use crate::failure::Failure;

/// The tag of a version.
pub(crate) fn of_version(version: u64) -> String {
    format!("\"{version}\"")
}

/// The tag of a document: another one whenever it reads otherwise.
pub(crate) fn of_document(document: &impl Serialize) -> String {
    // A document that cannot be written is not sent either.
    let bytes = serde_json::to_vec(document).unwrap_or_default();
    format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32])
}

/// The answer with its tag, or 304 to a caller who has it already.
pub(crate) fn unless_known(headers: &HeaderMap, tag: &str, answer: impl IntoResponse) -> Response {
    let tagged = [(header::ETAG, tag.to_owned())];
    if is_known(headers, tag) {
        (StatusCode::NOT_MODIFIED, tagged).into_response()
    } else {
        (tagged, answer).into_response()
    }
}

/// True if `If-None-Match` names the tag. What cannot be read there names nothing: the answer is whole then.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    listed(headers, &header::IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == opaque(tag))
}

/// The tags that `If-Match` names; `None` if any will do, or nothing is said.
pub(crate) fn wanted(headers: &HeaderMap) -> Result<Option<Vec<String>>, Failure> {
    let mut tags = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        if value.to_str().is_err() {
            return Err(unreadable());
        }
    }
    for tag in listed(headers, &header::IF_MATCH) {
        if tag == "*" {
            return Ok(None);
        }
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let is_quoted = opaque.len() > 1 && opaque.starts_with('"') && opaque.ends_with('"');
        if !is_quoted {
            return Err(unreadable());
        }
        // A weak tag never matches here (RFC 9110, 13.1.1).
        if !tag.starts_with("W/") {
            tags.push(tag.to_owned());
        }
    }
    Ok(headers.contains_key(header::IF_MATCH).then_some(tags))
}

/// Refuses a caller who says nothing of the version that they replace.
pub(crate) fn required(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let detail = "the change replaces what is there: If-Match has to name its ETag, or * for whatever it is";
    Err(Failure::new(Code::PreconditionRequired, detail))
}

/// Refuses a caller who wanted another version than this one of `what`.
pub(crate) fn check(wanted: Option<&[String]>, tag: &str, what: &str) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if !wanted.iter().any(|wanted| wanted == tag) => Err(Failure::new(
            Code::VersionMismatch,
            format!("{what} has the ETag {tag} now"),
        )),
        Some(_) | None => Ok(()),
    }
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

fn unreadable() -> Failure {
    Failure::new(Code::InvalidParameter, "If-Match holds an ETag in its quotes, or *")
}
