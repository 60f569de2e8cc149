//! What became of a caption.

use axum::{Json, extract::State};
use captions_api::{
    feedback::{self, FeedbackBody, FeedbackDocument},
    problem::Code,
};

use captions_domain::history::Amendment;

use crate::{
    body::JsonBody,
    call::{Call, CaptionPath},
    failure::Failure,
    openapi::GivingFeedback,
    state::AppState,
};

/// Tell what became of a caption
///
/// Replaces what was told of it before, so repeating it is safe. It is shown as `feedback` of the stored caption, and
/// suggestions for the preferences are made from it.
#[utoipa::path(
    put,
    path = "/v1/captions/{id}/feedback",
    operation_id = "give_feedback",
    tag = "captions",
    params(("id" = uuid::Uuid, Path, description = "The caption's id.")),
    request_body(content = FeedbackBody, content_type = "application/json"),
    responses((status = 200, description = "The feedback as it is kept", body = FeedbackDocument), GivingFeedback)
)]
pub(crate) async fn replace(
    State(state): State<AppState>,
    call: Call,
    CaptionPath(id): CaptionPath,
    JsonBody(body): JsonBody,
) -> Result<Json<FeedbackDocument>, Failure> {
    let given = feedback::parse(&body, call.cx.now)?;
    let captions = &state.engine.captions;
    let not_found = || Failure::new(Code::CaptionNotFound, "no caption is stored under this id");
    let record = call
        .within(&state, Code::StoreUnavailable, captions.read(&call.cx, id))
        .await??
        .ok_or_else(not_found)?;
    feedback::check_variant(&given, record.caption.variants.len()).map_err(|invalid| vec![invalid])?;
    let is_there = call
        .within(
            &state,
            Code::StoreUnavailable,
            captions.amend(&call.cx, id, &Amendment::Feedback(given.clone()), None),
        )
        .await??;
    if is_there.is_some() {
        Ok(Json(FeedbackDocument::from(&given)))
    } else {
        Err(not_found())
    }
}
