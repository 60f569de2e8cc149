//! Write a caption, read one, page through a user's.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use captions_api::{
    caption::{CaptionDocument, HistoryPage, read_cursor},
    generate::{self, GenerateBody},
    problem::Code,
};
use captions_domain::{
    caption::{Answer, CaptionId, Record, Source},
    choice::nearest,
};
use captions_wiring::monitor::{Operation, Outcome};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::{
    body::PictureBody,
    call::{Call, CaptionPath, UserPath},
    failure::Failure,
    openapi::{Generating, ReadingCaption, ReadingHistory},
    state::AppState,
    told,
};

const DEFAULT_PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;

/// Write a caption
///
/// Answers with the best caption on top and all variants below it. The answer says who wrote it and what went less well
/// than it should; a caption that breaks a rule of its platform says so in `publishable` and `violations`.
#[utoipa::path(
    post,
    path = "/v1/captions",
    operation_id = "create_caption",
    tag = "captions",
    request_body(content = GenerateBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Written and stored", body = CaptionDocument, headers(("Location" = String, description = "The address of the stored caption"))),
        (status = 200, description = "Written and not stored, or written for an earlier request or another one at the same time", body = CaptionDocument),
        Generating
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    PictureBody(body): PictureBody,
) -> Result<Response, Failure> {
    // Dropped with the rest if the caller leaves, and then counted as cancelled.
    let timer = state.monitor.begin(Operation::CaptionGeneration);
    let request = match generate::parse(&body) {
        Ok(request) => request,
        Err(invalid) => {
            timer.end(Outcome::Refused);
            return Err(invalid.into());
        }
    };
    let work = state.engine.generate(&call.cx, &request);
    let generated = call.within(&state, Code::ProviderTimeout, work).await;
    timer.end(match &generated {
        Ok(generated) => Outcome::of_generation(generated),
        Err(_) => Outcome::Failed,
    });
    let answer = generated??;
    call.settle(&answer);
    let elapsed = call.started.elapsed();
    let document = CaptionDocument::of_answer(&answer, &call.cx.request_id, elapsed);
    let mut headers = told::of_answer(&call, &answer);
    let status = match created(&answer) {
        Some(id) => {
            if let Ok(value) = HeaderValue::from_str(&format!("/v1/captions/{id}")) {
                headers.insert(header::LOCATION, value);
            }
            StatusCode::CREATED
        }
        None => StatusCode::OK,
    };
    Ok((status, headers, Json(document)).into_response())
}

/// The answer with a caption that is in the history already: its request was begun before, and not brought to its end.
pub(crate) fn of_stored(record: &Record) -> Response {
    let document = CaptionDocument::of_record(record);
    let mut response = (StatusCode::CREATED, Json(document)).into_response();
    let degraded: Vec<&str> = record.degraded.iter().map(|part| part.as_str()).collect();
    let told = [
        (header::LOCATION, Some(format!("/v1/captions/{}", record.id))),
        (
            HeaderName::from_static("captions-provider"),
            Some(record.caption.provider.clone()),
        ),
        (
            HeaderName::from_static("captions-model"),
            Some(record.caption.model.clone()),
        ),
        (
            HeaderName::from_static("captions-attempts"),
            Some(record.attempts.to_string()),
        ),
        (
            HeaderName::from_static("captions-degraded"),
            (!degraded.is_empty()).then(|| degraded.join(",")),
        ),
    ];
    let told = told
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value?).ok()?)));
    response.headers_mut().extend(told);
    response
}

/// The id under which this very request stored its caption. What is served again, or was written for another request that
/// asked the same at the same time, was made by that one.
fn created(answer: &Answer) -> Option<CaptionId> {
    match answer.source {
        Source::Provider | Source::Local | Source::Template if !answer.shared => answer.id,
        _ => None,
    }
}

/// Read a caption
#[utoipa::path(
    get,
    path = "/v1/captions/{id}",
    operation_id = "read_caption",
    tag = "captions",
    params(("id" = uuid::Uuid, Path, description = "The caption's id.")),
    responses((status = 200, description = "The caption", body = CaptionDocument), ReadingCaption)
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
) -> Result<Json<CaptionDocument>, Failure> {
    let record = call
        .within(&state, Code::StoreUnavailable, state.engine.captions.read(&call.cx, id))
        .await??;
    match record {
        Some(record) => Ok(Json(CaptionDocument::of_record(&record))),
        None => Err(Failure::new(
            Code::CaptionNotFound,
            "no caption is stored under this id",
        )),
    }
}

/// List a user's captions
///
/// Newest first. A user without captions, known or not, has an empty list.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/captions",
    operation_id = "list_captions",
    tag = "captions",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("limit" = Option<u32>, Query, description = "How many, 1-100; 20 if not said.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")
    ),
    responses((status = 200, description = "One page", body = HistoryPage), ReadingHistory)
)]
pub(crate) async fn history(
    State(state): State<AppState>,
    call: Call,
    UserPath(user): UserPath,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<HistoryPage>, Failure> {
    let (limit, before) = page(query, read_cursor)?;
    let work = state.engine.captions.history(&call.cx, &user, before, limit + 1);
    let records = call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(Json(HistoryPage::of(&records, limit as usize)))
}

/// How many of a list are asked for, and after which one.
pub(crate) fn page<I>(
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    read_cursor: impl Fn(&str) -> Option<I>,
) -> Result<(u32, Option<I>), Failure> {
    let Query(query) =
        query.map_err(|_| Failure::new(Code::InvalidParameter, "the query is not percent-encoded UTF-8"))?;
    let mut limit = DEFAULT_PAGE;
    let mut before = None;
    for (name, value) in &query {
        match name.as_str() {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_PAGE).contains(limit))
                    .ok_or_else(|| {
                        Failure::new(
                            Code::InvalidParameter,
                            format!("limit is a whole number of 1 to {MAX_PAGE}"),
                        )
                    })?;
            }
            "cursor" => {
                let cursor =
                    read_cursor(value).ok_or_else(|| Failure::new(Code::InvalidCursor, "the cursor cannot be read"))?;
                before = Some(cursor);
            }
            other => {
                let hint = nearest(other, ["limit", "cursor"])
                    .map(|name| format!(", did you mean {name}?"))
                    .unwrap_or_default();
                let detail = format!("there are the parameters limit and cursor, not this one{hint}");
                return Err(Failure::new(Code::InvalidParameter, detail));
            }
        }
    }
    Ok((limit, before))
}
