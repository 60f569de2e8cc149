//! Score a text that there is already.

use axum::{Json, extract::State};
use captions_api::{
    problem::Code,
    score::{self, ScoreBody, ScoreDocument},
};
use captions_domain::{context::Part, user::Preferences};
use http::HeaderMap;

use crate::{body::JsonBody, call::Call, failure::Failure, openapi::Scoring, state::AppState, told};

/// Score a text
///
/// How good it is for what it is about, part by part: each with its weight, what it rests on, the places that cost points and
/// the change that would raise it most. Calls no model and stores nothing; preferences are read where a user is named.
#[utoipa::path(
    post,
    path = "/v1/scores",
    operation_id = "score_text",
    tag = "texts",
    request_body(content = ScoreBody, content_type = "application/json"),
    responses((status = 200, description = "The score; a text that breaks a rule has one, too", body = ScoreDocument), Scoring)
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<(HeaderMap, Json<ScoreDocument>), Failure> {
    let asked = score::parse(&body)?;
    let preferences = match asked.user() {
        Some(user) => {
            let work = state.engine.users.preferences(&call.cx, user);
            let known = call.within(&state, Code::StoreUnavailable, work).await??;
            known.unwrap_or_default()
        }
        None => Preferences::default(),
    };
    let document = call
        .cx
        .notes
        .measure(Part::Score, || ScoreDocument::of(&asked, &preferences));
    Ok((told::of_parts(&call), Json(document)))
}
