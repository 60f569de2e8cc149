//! How a user writes: their own captions, and what their feedback suggests.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    problem::Code,
    user::PreferencesDocument,
    voice::{self, SuggestionsDocument, VoiceBody, VoiceDocument},
};
use captions_domain::{
    caption::Record,
    request::UserId,
    user::User,
    voice::{LOOK_BACK, Suggestion, suggest},
};
use http::{HeaderMap, StatusCode};

use crate::{
    body::JsonBody,
    call::{Call, SuggestionPath, UserPath},
    failure::Failure,
    openapi::{AcceptingSuggestion, ChangingUser, DismissingSuggestion, ErasingUser, ReadingUser},
    state::AppState,
    users::{change, etag, known, to_show},
};

fn shown(user: User) -> Response {
    (etag(user.version), Json(VoiceDocument::from(&user.preferences))).into_response()
}

/// Read a user's voice
///
/// Their own captions, and what is usual in them.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/voice",
    operation_id = "read_voice",
    tag = "users",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The voice", body = VoiceDocument, headers(("ETag" = String, description = "The user's version"))),
        ReadingUser
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
) -> Result<Response, Failure> {
    to_show(&state, &call, &id).await.map(shown)
}

/// Learn a user's voice
///
/// Replaces their own captions, of which the preferences keep up to 20 as `samples`, and measures what is usual in them:
/// from 3 on there is a `style_card`.
#[utoipa::path(
    put,
    path = "/v1/users/{id}/voice",
    operation_id = "learn_voice",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    request_body(content = VoiceBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The new voice", body = VoiceDocument, headers(("ETag" = String, description = "The user's new version"))),
        ChangingUser
    )
)]
pub(crate) async fn learn(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let samples = voice::parse(&body)?;
    let edit = |user: &mut User| {
        user.preferences.samples.clone_from(&samples);
        user.preferences = std::mem::take(&mut user.preferences).measured();
        Ok(())
    };
    change(&state, &call, &id, &headers, edit).await.map(shown)
}

/// Forget a user's voice
///
/// Their own captions and what was measured in them; the other preferences stay.
#[utoipa::path(
    delete,
    path = "/v1/users/{id}/voice",
    operation_id = "forget_voice",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    responses(
        (status = 204, description = "It is forgotten", headers(("ETag" = String, description = "The user's new version"))),
        ErasingUser
    )
)]
pub(crate) async fn forget(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let edit = |user: &mut User| {
        user.preferences.samples.clear();
        user.preferences.style_card = None;
        Ok(())
    };
    let user = change(&state, &call, &id, &headers, edit).await?;
    Ok((StatusCode::NO_CONTENT, etag(user.version)).into_response())
}

/// Read what the feedback suggests
///
/// Changes of preferences for which the feedback on the newest 200 captions speaks clearly, each with its evidence.
/// Nothing changes until one is accepted.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/suggestions",
    operation_id = "list_suggestions",
    tag = "users",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The suggestions, best supported first", body = SuggestionsDocument, headers(("ETag" = String, description = "The user's version"))),
        ReadingUser
    )
)]
pub(crate) async fn suggestions(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
) -> Result<Response, Failure> {
    let user = to_show(&state, &call, &id).await?;
    let records = newest(&state, &call, &id).await?;
    let found = suggest(&user.preferences, &records);
    let document = SuggestionsDocument::of(&found, &user.preferences);
    Ok((etag(user.version), Json(document)).into_response())
}

/// Accept a suggestion
///
/// Changes the preference as a patch of it would.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/suggestions/{suggestion}/accept",
    operation_id = "accept_suggestion",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("suggestion" = String, Path, description = "The suggestion's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    responses(
        (status = 200, description = "The changed preferences", body = PreferencesDocument, headers(("ETag" = String, description = "The user's new version"))),
        AcceptingSuggestion
    )
)]
pub(crate) async fn accept(
    State(state): State<AppState>,
    call: Call,
    SuggestionPath(id, suggestion): SuggestionPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accepted = suggested(&state, &call, &id, &suggestion).await?;
    let edit = |user: &mut User| {
        accepted
            .change
            .apply(&mut user.preferences)
            .map_err(|invalid| vec![invalid])
    };
    let user = change(&state, &call, &id, &headers, edit).await?;
    Ok((etag(user.version), Json(PreferencesDocument(user.preferences))).into_response())
}

/// Dismiss a suggestion
///
/// It stays away until five captions more, or fewer, speak about it; no preference changes.
#[utoipa::path(
    delete,
    path = "/v1/users/{id}/suggestions/{suggestion}",
    operation_id = "dismiss_suggestion",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("suggestion" = String, Path, description = "The suggestion's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    responses(
        (status = 204, description = "It is dismissed", headers(("ETag" = String, description = "The user's new version"))),
        DismissingSuggestion
    )
)]
pub(crate) async fn dismiss(
    State(state): State<AppState>,
    call: Call,
    SuggestionPath(id, suggestion): SuggestionPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let dismissed = suggested(&state, &call, &id, &suggestion).await?;
    let edit = |user: &mut User| {
        dismissed.dismiss(&mut user.preferences);
        Ok(())
    };
    let user = change(&state, &call, &id, &headers, edit).await?;
    Ok((StatusCode::NO_CONTENT, etag(user.version)).into_response())
}

/// The suggestion of this id, as the feedback stands now.
async fn suggested(state: &AppState, call: &Call, id: &UserId, suggestion: &str) -> Result<Suggestion, Failure> {
    let user = known(state, call, id).await?;
    let records = newest(state, call, id).await?;
    let found = suggest(&user.preferences, &records);
    found
        .into_iter()
        .find(|one| one.change.id() == suggestion)
        .ok_or_else(|| {
            Failure::new(
                Code::SuggestionNotFound,
                "the feedback of this user does not suggest that now",
            )
        })
}

async fn newest(state: &AppState, call: &Call, id: &UserId) -> Result<Vec<Record>, Failure> {
    let work = state.engine.captions.history(&call.cx, id, None, LOOK_BACK);
    Ok(call.within(state, Code::StoreUnavailable, work).await??)
}
