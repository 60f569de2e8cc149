//! Change a given caption, or a stored one.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    problem::Code,
    rewrite::{self, RewriteBody, RewriteDocument, StoredRewriteBody},
};
use captions_domain::rewrite::RewriteRequest;
use captions_wiring::monitor::{Operation, Outcome, Timer};

use crate::{
    body::JsonBody,
    call::{Call, CaptionPath},
    failure::Failure,
    openapi::{Rewriting, RewritingStored},
    state::AppState,
    told,
};

/// Change a caption
///
/// Shorten, expand, fix, change the tone, say it without worn phrases, translate, or adapt to another platform. Links,
/// mentions, hashtags, numbers and emoji come through byte by byte, or `preserved` says what did not. Where no model
/// answers, rules shorten, fix and adapt as far as they can, labelled. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/rewrites",
    operation_id = "rewrite",
    tag = "captions",
    request_body(content = RewriteBody, content_type = "application/json"),
    responses((status = 200, description = "The changed caption", body = RewriteDocument), Rewriting)
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    // Dropped with the rest if the caller leaves, and then counted as cancelled.
    let timer = state.monitor.begin(Operation::Rewrite);
    let request = match rewrite::parse(&body) {
        Ok(request) => request,
        Err(invalid) => {
            timer.end(Outcome::Refused);
            return Err(invalid.into());
        }
    };
    answer(&state, &call, &request, timer).await
}

/// Change a stored caption
///
/// The same for the best variant of a stored caption, whose description, user, language and platform count. The stored
/// caption stays as it is.
#[utoipa::path(
    post,
    path = "/v1/captions/{id}/rewrites",
    operation_id = "rewrite_caption",
    tag = "captions",
    params(
        ("id" = uuid::Uuid, Path, description = "The caption's id."),
    ),
    request_body(content = StoredRewriteBody, content_type = "application/json"),
    responses((status = 200, description = "The changed caption", body = RewriteDocument), RewritingStored)
)]
pub(crate) async fn of_stored(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let timer = state.monitor.begin(Operation::Rewrite);
    let read = call
        .within(&state, Code::StoreUnavailable, state.engine.captions.read(&call.cx, id))
        .await;
    let read = read.and_then(|read| Ok(read?));
    let record = match read {
        Ok(record) => record,
        Err(failure) => {
            timer.end(Outcome::Failed);
            return Err(failure);
        }
    };
    let not_found = || Failure::new(Code::CaptionNotFound, "no caption is stored under this id");
    let request = record
        .ok_or_else(not_found)
        .and_then(|record| Ok(rewrite::parse_for(&body, &record)?));
    match request {
        Ok(request) => answer(&state, &call, &request, timer).await,
        Err(failure) => {
            timer.end(Outcome::Refused);
            Err(failure)
        }
    }
}

async fn answer(state: &AppState, call: &Call, request: &RewriteRequest, timer: Timer) -> Result<Response, Failure> {
    let work = state.engine.rewrite(&call.cx, request);
    let done = call.within(state, Code::ProviderTimeout, work).await;
    timer.end(match &done {
        Ok(Ok(done)) => Outcome::of_rewritten(done),
        Ok(Err(error)) => Outcome::of_failure(error),
        Err(_) => Outcome::Failed,
    });
    let done = done??;
    call.settle_rewrite(&done);
    let elapsed = call.started.elapsed();
    let document = RewriteDocument::of(&done, &call.cx.request_id, elapsed);
    Ok((told::of_rewrite(call, &done), Json(document)).into_response())
}
