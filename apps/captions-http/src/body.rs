//! Reads a JSON body, within limits of size, time and shape.

use axum::{body::Body, extract::FromRequest, extract::Request};
use bytes::BytesMut;
use captions_api::{
    batch::{self, Submission},
    image::MAX_DATA,
    problem::{Code, Problem},
    results, strict,
};
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
        let bound = Bound::of(IMPORT_LIMIT.max(state.limits.body_limit));
        let bytes = read(&parts.headers, body, &state.limits, bound).await?;
        let limits = state.limits;
        // Megabytes of text take longer to read than others should wait.
        let read = tokio::task::spawn_blocking(move || {
            let body = if is_csv {
                results::posts_of_csv(utf8(&bytes)?)?
            } else {
                json(&bytes, &limits)?
            };
            Ok(Self(results::parse_posts(&body)?))
        });
        read.await
            .unwrap_or_else(|_| Err(Failure::new(Code::Internal, "the import could not be read")))
    }
}

/// The whole body of a request to this address, as large as the address takes it. Its own reader then finds it complete.
pub(crate) async fn whole(headers: &HeaderMap, body: Body, state: &AppState, route: &str) -> Result<BytesMut, Failure> {
    let usual = state.limits.body_limit;
    match route {
        "/v1/batches" => batch_bytes(headers, body, state).await,
        "/v1/captions" | "/v1/captions/stream" => {
            let most = usual.saturating_add(MAX_DATA);
            read(headers, body, &state.limits, Bound { usual, most }).await
        }
        _ => read(headers, body, &state.limits, Bound::of(usual)).await,
    }
}

/// How much longer than others the largest kind of body may take.
const BATCH_PATIENCE: u32 = 6;

/// The items of a batch: JSON, or JSON Lines by its `Content-Type`.
#[derive(Debug)]
pub(crate) struct BatchBody(pub(crate) Submission);

impl FromRequest<AppState> for BatchBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let is_lines = is_of(&parts.headers, &["application/jsonl", "application/x-ndjson"]);
        if !is_lines && !is_of(&parts.headers, &["application/json"]) {
            let detail = "the Content-Type is neither application/json nor application/jsonl in UTF-8";
            return Err(Failure::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = batch_bytes(&parts.headers, body, state).await?;
        let depth = state.limits.json_depth;
        // Megabytes of text take longer to read than others should wait.
        let read = tokio::task::spawn_blocking(move || {
            let text = utf8(&bytes)?;
            let read = if is_lines {
                batch::parse_lines(text, depth)
            } else {
                batch::parse(text, depth)
            };
            Ok(Self(read?))
        });
        read.await
            .unwrap_or_else(|_| Err(Failure::new(Code::Internal, "the batch could not be read")))
    }
}

/// The bytes of a batch.
async fn batch_bytes(headers: &HeaderMap, body: Body, state: &AppState) -> Result<BytesMut, Failure> {
    let batches = state.batches.as_ref();
    let most = batches.map_or(0, |batches| batches.settings().body_limit);
    let limits = Limits {
        body_timeout: state.limits.body_timeout * BATCH_PATIENCE,
        ..state.limits
    };
    read(headers, body, &limits, Bound::of(most.max(limits.body_limit))).await
}

/// The field that holds a picture.
const PICTURE: &[u8] = b"\"image\"";

/// A body that is JSON.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

impl FromRequest<AppState> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let bytes = declared(request, state, Bound::of(state.limits.body_limit)).await?;
        json(&bytes, &state.limits).map(Self)
    }
}

/// A body that is JSON and may hold a picture, which makes it larger than others may be.
#[derive(Debug)]
pub(crate) struct PictureBody(pub(crate) Value);

impl FromRequest<AppState> for PictureBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let usual = state.limits.body_limit;
        let most = usual.saturating_add(MAX_DATA);
        let bytes = declared(request, state, Bound { usual, most }).await?;
        let value = json(&bytes, &state.limits)?;
        if bytes.len() > usual && value.get("image").is_none_or(Value::is_null) {
            return Err(too_large(usual));
        }
        Ok(Self(value))
    }
}

/// How large a body may be.
#[derive(Debug, Clone, Copy)]
struct Bound {
    usual: usize,
    /// Of one that names a picture within its usual size: what is beyond that is the picture.
    most: usize,
}

impl Bound {
    const fn of(limit: usize) -> Self {
        Self {
            usual: limit,
            most: limit,
        }
    }
}

/// The bytes of a body that says that it is JSON.
async fn declared(request: Request, state: &AppState, bound: Bound) -> Result<BytesMut, Failure> {
    let (parts, body) = request.into_parts();
    let is_patch = parts.method == Method::PATCH;
    let types: &[&str] = if is_patch {
        &["application/json", "application/merge-patch+json"]
    } else {
        &["application/json"]
    };
    if !is_of(&parts.headers, types) {
        let detail = match parts.headers.get(header::CONTENT_TYPE) {
            None => "the request has no Content-Type",
            Some(_) => "the Content-Type is not application/json in UTF-8",
        };
        return Err(Failure::new(Code::UnsupportedMediaType, detail));
    }
    read(&parts.headers, body, &state.limits, bound).await
}

fn json(bytes: &[u8], limits: &Limits) -> Result<Value, Failure> {
    strict::read(utf8(bytes)?, limits.json_depth).map_err(|why| Problem::from(why).into())
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

async fn read(headers: &HeaderMap, body: Body, limits: &Limits, bound: Bound) -> Result<BytesMut, Failure> {
    let limit = bound.most;
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
    let collected = tokio::time::timeout(limits.body_timeout, collect(body, bound)).await;
    collected.unwrap_or_else(|_| {
        let detail = format!(
            "the body was not complete after {} seconds",
            limits.body_timeout.as_secs_f64()
        );
        Err(Failure::new(Code::BodyTimeout, detail))
    })
}

/// The whole body, or nothing of one that is too large.
async fn collect(mut body: Body, bound: Bound) -> Result<BytesMut, Failure> {
    let mut kept = BytesMut::new();
    let mut seen = 0_usize;
    let mut limit = bound.usual;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::new(Code::InvalidJson, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let was_within = seen <= limit;
        seen = seen.saturating_add(data.len());
        if seen > bound.most.saturating_add(DISCARDED) {
            return Err(too_large(limit));
        }
        if was_within {
            // A body that is complete already is not copied.
            match data.try_into_mut() {
                Ok(whole) if kept.is_empty() => kept = whole,
                Ok(part) => kept.unsplit(part),
                Err(part) => kept.extend_from_slice(&part),
            }
            if seen > limit && limit < bound.most && names_a_picture(&kept) {
                limit = bound.most;
            }
        }
        if seen > limit {
            kept = BytesMut::new();
        }
    }
    if seen > limit { Err(too_large(limit)) } else { Ok(kept) }
}

fn names_a_picture(json: &[u8]) -> bool {
    json.windows(PICTURE.len()).any(|piece| piece == PICTURE)
}

fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("a body has at most {limit} bytes"))
}
