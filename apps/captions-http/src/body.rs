//! Reads a JSON body, within limits of size, time and shape.

use axum::{body::Body, extract::FromRequest, extract::Request};
use bytes::BytesMut;
use captions_api::{problem::Code, results};
use captions_domain::engagement::Post;
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{
    failure::Failure,
    state::{AppState, Limits},
};

/// How much more than allowed is read of a body before it is refused. A client that is cut off while it sends often sees
/// the broken connection only and not the answer.
const DISCARDED: usize = 32 * 1024 * 1024;

/// The most bytes of an import of results.
const IMPORT_LIMIT: usize = 8 * 1024 * 1024;

/// The posts of an import: JSON, or CSV by its `Content-Type`.
#[derive(Debug)]
pub(crate) struct Import(pub(crate) Vec<Post>);

impl FromRequest<AppState> for Import {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let is_csv = is_of(&parts.headers, &["text/csv"]);
        if !is_csv && !is_of(&parts.headers, &["application/json"]) {
            let detail = "the Content-Type is neither application/json nor text/csv in UTF-8";
            return Err(Failure::new(Code::UnsupportedMediaType, detail));
        }
        let limits = Limits {
            body_limit: IMPORT_LIMIT.max(state.limits.body_limit),
            ..state.limits
        };
        let bytes = read(&parts.headers, body, &limits).await?;
        // Megabytes of text take longer to read than others should wait.
        let read = tokio::task::spawn_blocking(move || {
            let body = if is_csv {
                results::posts_of_csv(utf8(&bytes)?)?
            } else {
                json(&bytes)?
            };
            Ok(Self(results::parse_posts(&body)?))
        });
        read.await
            .unwrap_or_else(|_| Err(Failure::new(Code::Internal, "the import could not be read")))
    }
}

/// A body that is JSON.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest<AppState> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let is_patch = parts.method == Method::PATCH;
        if !is_of(
            &parts.headers,
            if is_patch {
                &["application/json", "application/merge-patch+json"]
            } else {
                &["application/json"]
            },
        ) {
            let detail = match parts.headers.get(header::CONTENT_TYPE) {
                None => "the request has no Content-Type",
                Some(_) => "the Content-Type is not application/json in UTF-8",
            };
            return Err(Failure::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = read(&parts.headers, body, &state.limits).await?;
        json(&bytes).map(Self)
    }
}

fn json(bytes: &[u8]) -> Result<Value, Failure> {
    let text = utf8(bytes)?;
    serde_json::from_str(text)
        .map_err(|error| Failure::new(Code::InvalidJson, format!("the body is not JSON: {error}")))
}

/// Text, and some of it.
fn utf8(bytes: &[u8]) -> Result<&str, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to());
        Failure::new(Code::InvalidJson, detail)
    })?;
    if text.trim().is_empty() {
        return Err(Failure::new(Code::InvalidJson, "the body is empty"));
    }
    Ok(text)
}

/// True if the body says that it is of one of these types, in UTF-8.
fn is_of(headers: &HeaderMap, types: &[&str]) -> bool {
    let Some(declared) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = declared.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let is_utf8 = parts
        .filter_map(|parameter| {
            parameter
                .strip_prefix("charset=")
                .map(|charset| charset.trim_matches('"').to_owned())
        })
        .all(|charset| matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii"));
    is_utf8 && types.contains(&kind.as_str())
}

async fn read(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<BytesMut, Failure> {
    let limit = limits.body_limit;
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    // A client that asks first has sent nothing yet, and will not if we do not read.
    let readable = if headers.contains_key(header::EXPECT) {
        limit
    } else {
        limit.saturating_add(DISCARDED)
    };
    if declared.is_some_and(|length| length > readable) {
        return Err(too_large(limit));
    }
    let collected = tokio::time::timeout(limits.body_timeout, collect(body, limit)).await;
    collected.unwrap_or_else(|_| {
        let detail = format!(
            "the body was not complete after {} seconds",
            limits.body_timeout.as_secs_f64()
        );
        Err(Failure::new(Code::BodyTimeout, detail))
    })
}

/// The whole body, or nothing of one that is too large.
async fn collect(mut body: Body, limit: usize) -> Result<BytesMut, Failure> {
    let mut kept = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::new(Code::InvalidJson, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > limit.saturating_add(DISCARDED) {
            return Err(too_large(limit));
        }
        if seen > limit {
            kept.clear();
        } else {
            kept.extend_from_slice(&data);
        }
    }
    if seen > limit { Err(too_large(limit)) } else { Ok(kept) }
}

fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("a body has at most {limit} bytes"))
}
