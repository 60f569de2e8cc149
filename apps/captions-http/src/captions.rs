//! Write a caption, read one, pick one of its variants, erase it.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    caption::CaptionDocument,
    generate::{self, GenerateBody},
    problem::Code,
    selection::{self, SelectionBody},
};
use captions_domain::{
    caption::{Answer, CaptionId, Record, Source},
    fault::StoreError,
    history::{Amendment, Extent},
};
use captions_wiring::monitor::{Operation, Outcome};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{
    body::{JsonBody, PictureBody},
    call::{Call, CaptionPath},
    failure::Failure,
    openapi::{ErasingCaption, Generating, PickingVariant, ReadingCaption},
    state::AppState,
    tags, told,
};

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
    params(
        ("id" = uuid::Uuid, Path, description = "The caption's id."),
        ("If-None-Match" = Option<String>, Header, description = "An earlier `ETag`: 304 if nothing has changed since.")
    ),
    responses(
        (status = 200, description = "The caption", body = CaptionDocument, headers(("ETag" = String, description = "Another one after each change"))),
        (status = 304, description = "Nothing has changed since", headers(("ETag" = String, description = "The one that was named"))),
        ReadingCaption
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let record = stored(&state, &call, id).await?.ok_or_else(not_found)?;
    let document = CaptionDocument::of_record(&record);
    let tag = tags::of_document(&document);
    Ok(tags::unless_known(&headers, &tag, Json(document)))
}

/// Pick a variant
///
/// The texts of a stored caption never change; what may be changed is which of its variants was picked. The caption's own
/// fields go on to repeat the best one. Later captions for the user are written with the picked one in view, unless
/// feedback says that it was rejected.
#[utoipa::path(
    patch,
    path = "/v1/captions/{id}",
    operation_id = "pick_variant",
    tag = "captions",
    params(
        ("id" = uuid::Uuid, Path, description = "The caption's id."),
        ("If-Match" = String, Header, description = "The caption's present `ETag`, or `*` for whatever it is. Without it: 428.")
    ),
    request_body(content((SelectionBody = "application/merge-patch+json"), (SelectionBody = "application/json"))),
    responses(
        (status = 200, description = "The changed caption", body = CaptionDocument, headers(("ETag" = String, description = "The new one"))),
        PickingVariant
    )
)]
pub(crate) async fn pick(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let selected = selection::parse(&body)?;
    tags::required(&headers)?;
    let wanted = tags::wanted(&headers)?;
    let mut record = stored(&state, &call, id).await?.ok_or_else(not_found)?;
    tags::check(
        wanted.as_deref(),
        &tags::of_document(&CaptionDocument::of_record(&record)),
        "the caption",
    )?;
    selection::check(selected, record.caption.variants.len()).map_err(|invalid| vec![invalid])?;
    let expect = wanted.is_some().then_some(record.version);
    let amendment = Amendment::Selection(selected);
    let work = state.engine.captions.amend(&call.cx, id, &amendment, expect);
    let amended = call.within(&state, Code::StoreUnavailable, work).await?;
    let version = amended.map_err(|error| match error {
        StoreError::Conflict => Failure::new(Code::VersionMismatch, "the caption has changed just now"),
        StoreError::Full { .. } | StoreError::Fault(_) => error.into(),
    })?;
    record.version = version.ok_or_else(not_found)?;
    record.selected = selected;
    let document = CaptionDocument::of_record(&record);
    Ok(([(header::ETAG, tags::of_document(&document))], Json(document)).into_response())
}

/// Erase a caption
///
/// From the history, from what waits for it, and from the cache. Safe to repeat: what is not there is erased.
#[utoipa::path(
    delete,
    path = "/v1/captions/{id}",
    operation_id = "erase_caption",
    tag = "captions",
    params(
        ("id" = uuid::Uuid, Path, description = "The caption's id."),
        ("If-Match" = Option<String>, Header, description = "Erase only if the caption has this `ETag`.")
    ),
    responses((status = 204, description = "It is not there any more"), ErasingCaption)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let wanted = tags::wanted(&headers)?;
    if wanted.is_some()
        && let Some(record) = stored(&state, &call, id).await?
    {
        let tag = tags::of_document(&CaptionDocument::of_record(&record));
        tags::check(wanted.as_deref(), &tag, "the caption")?;
    }
    let extent = Extent::One(id);
    let work = state.engine.captions.erase(&call.cx, &extent);
    call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn stored(state: &AppState, call: &Call, id: CaptionId) -> Result<Option<Record>, Failure> {
    let work = state.engine.captions.read(&call.cx, id);
    Ok(call.within(state, Code::StoreUnavailable, work).await??)
}

pub(crate) fn not_found() -> Failure {
    Failure::new(Code::CaptionNotFound, "no caption is stored under this id")
}
