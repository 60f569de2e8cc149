//! More variants of a stored caption.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    caption::CaptionDocument,
    more::{self, MoreBody},
    problem::{Code, Problem},
};
use captions_domain::{
    caption::{CaptionId, Record},
    engine::{Grown, MoreError},
};
use captions_wiring::monitor::{Operation, Outcome};
use http::{HeaderMap, header};

use crate::{
    body::JsonBody,
    call::{Call, CaptionPath},
    captions::{not_found, stored},
    failure::Failure,
    openapi::WritingMore,
    state::AppState,
    tags, told,
};

/// Write more variants
///
/// For the brief of a stored caption: with other angles, and never next to the same as one that it has, or as what its user
/// has seen. They are put behind those that there are, whoever else adds to the caption meanwhile, and can be picked like
/// them; the caption's own fields go on to repeat the first one. `additions` tells who wrote them, as the headers do. A
/// caption has at most 30 variants. A picture is not kept: what was written with one is gone on with from its description.
#[utoipa::path(
    post,
    path = "/v1/captions/{id}/variants",
    operation_id = "write_variants",
    tag = "captions",
    params(
        ("id" = uuid::Uuid, Path, description = "The caption's id."),
        ("If-Match" = Option<String>, Header, description = "Add only to the caption with this `ETag`.")
    ),
    request_body(content = MoreBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The caption with its new variants", body = CaptionDocument, headers(("ETag" = Option<String>, description = "The new one; left out if the variants could not be stored, as a warning of theirs says then"))),
        WritingMore
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    // Dropped with the rest if the caller leaves, and then counted as cancelled.
    let timer = state.monitor.begin(Operation::CaptionGeneration);
    let asked = match more::parse(&body) {
        Ok(asked) => asked,
        Err(invalid) => {
            timer.end(Outcome::Refused);
            return Err(invalid.into());
        }
    };
    let (record, is_pinned) = match to_grow(&state, &call, id, &headers).await {
        Ok(found) => found,
        Err(failure) => {
            timer.end(if failure.0.status < 500 {
                Outcome::Refused
            } else {
                Outcome::Failed
            });
            return Err(failure);
        }
    };
    if record.caption.has(call.cx.fresh_id) {
        // Begun before, with the same `Idempotency-Key`, and not brought to its end.
        timer.end(Outcome::Hit);
        call.settle_without_answer();
        return Ok(answer(&record, true));
    }
    let work = state.engine.more(&call.cx, &record, &asked, is_pinned);
    let done = call.within(&state, Code::ProviderTimeout, work).await;
    timer.end(match &done {
        Ok(Ok(grown)) => Outcome::of_answer(&grown.answer),
        Ok(Err(MoreError::Generate(error))) => Outcome::of_failure(error),
        Ok(Err(_)) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    });
    let Grown {
        record,
        is_stored,
        answer: written,
    } = done?.map_err(|error| match error {
        MoreError::Changed if is_pinned => Failure::new(Code::VersionMismatch, "the caption has changed just now"),
        error => Problem::from(&error).into(),
    })?;
    call.settle(&written);
    let mut response = answer(&record, is_stored);
    response.headers_mut().extend(told::of_answer(&call, &written));
    Ok(response)
}

/// The caption as it is, and whether it is to be that one.
async fn to_grow(state: &AppState, call: &Call, id: CaptionId, headers: &HeaderMap) -> Result<(Record, bool), Failure> {
    let wanted = tags::wanted(headers)?;
    let record = stored(state, call, id).await?.ok_or_else(not_found)?;
    if !record.caption.has(call.cx.fresh_id) {
        let tag = tags::of_document(&CaptionDocument::of_record(&record));
        tags::check(wanted.as_deref(), &tag, "the caption")?;
    }
    Ok((record, wanted.is_some()))
}

fn answer(record: &Record, is_stored: bool) -> Response {
    let document = CaptionDocument::of_record(record);
    let tag = is_stored.then(|| [(header::ETAG, tags::of_document(&document))]);
    let mut response = Json(document).into_response();
    for (name, tag) in tag.into_iter().flatten() {
        if let Ok(tag) = tag.parse() {
            response.headers_mut().insert(name, tag);
        }
    }
    response
}
