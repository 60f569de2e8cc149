//! Judge a text by the rules of its platform.

use axum::Json;
use captions_api::check::{self, CheckBody, CheckDocument};

use crate::{body::JsonBody, call::Call, failure::Failure, openapi::Judging};

/// Check a text
///
/// What the platform allows and what the text has, rule by rule, with the places that break one, and the source and the date
/// of each rule. Calls no model and reads no store.
#[utoipa::path(
    post,
    path = "/v1/check",
    operation_id = "check_text",
    tag = "texts",
    request_body(content = CheckBody, content_type = "application/json"),
    responses((status = 200, description = "What the rules say; a text that breaks one is an answer, too", body = CheckDocument), Judging)
)]
pub(crate) async fn create(_call: Call, JsonBody(body): JsonBody) -> Result<Json<CheckDocument>, Failure> {
    Ok(Json(CheckDocument::of(&check::parse(&body)?)))
}
