//! A user's preferences, apart from the rest of the user.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::user::{self, PreferencesBody, PreferencesDocument};
use captions_domain::user::{Preferences, User};
use http::{HeaderMap, StatusCode};

use crate::{
    body::JsonBody,
    call::{Call, UserPath},
    failure::Failure,
    openapi::{ChangingUser, ErasingUser, ReadingUser, ReplacingOfUser},
    state::AppState,
    tags,
    users::{change, etag, to_show},
};

fn shown(user: User) -> Response {
    (etag(user.version), Json(PreferencesDocument(user.preferences))).into_response()
}

/// Read preferences
#[utoipa::path(
    get,
    path = "/v1/users/{id}/preferences",
    operation_id = "read_preferences",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-None-Match" = Option<String>, Header, description = "An earlier `ETag`: 304 if nothing has changed since.")
    ),
    responses(
        (status = 200, description = "The preferences", body = PreferencesDocument, headers(("ETag" = String, description = "The user's version"))),
        (status = 304, description = "Nothing has changed since", headers(("ETag" = String, description = "The one that was named"))),
        ReadingUser
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let user = to_show(&state, &call, &id).await?;
    let tag = tags::of_version(user.version);
    Ok(tags::unless_known(&headers, &tag, shown(user)))
}

/// Change preferences
///
/// A merge patch (RFC 7396): `null` removes a wish, what is absent stays.
#[utoipa::path(
    patch,
    path = "/v1/users/{id}/preferences",
    operation_id = "change_preferences",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    request_body(content((PreferencesBody = "application/merge-patch+json"), (PreferencesBody = "application/json"))),
    responses(
        (status = 200, description = "The changed preferences", body = PreferencesDocument, headers(("ETag" = String, description = "The user's new version"))),
        ChangingUser
    )
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
    JsonBody(patch): JsonBody,
) -> Result<Response, Failure> {
    let edit = |user: &mut User| {
        user.preferences = user::merge(&user.preferences, &patch)?;
        Ok(())
    };
    change(&state, &call, &id, &headers, edit).await.map(shown)
}

/// Replace preferences
///
/// What is absent is no wish any more, also what somebody else has set meanwhile: so `If-Match` has to say what is replaced.
/// A merge patch needs none, because it leaves alone what it does not name.
#[utoipa::path(
    put,
    path = "/v1/users/{id}/preferences",
    operation_id = "replace_preferences",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = String, Header, description = "The present `ETag`, or `*` for whatever it is. Without it: 428.")
    ),
    request_body(content = PreferencesBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The new preferences", body = PreferencesDocument, headers(("ETag" = String, description = "The user's new version"))),
        ReplacingOfUser
    )
)]
pub(crate) async fn replace(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let preferences = user::parse_preferences(&body)?;
    tags::required(&headers)?;
    let edit = |user: &mut User| {
        user.preferences = preferences.clone().in_place_of(&user.preferences);
        Ok(())
    };
    change(&state, &call, &id, &headers, edit).await.map(shown)
}

/// Remove all preferences
///
/// What was imported of the user's results is no preference and stays, and so do the suggestions that were dismissed.
#[utoipa::path(
    delete,
    path = "/v1/users/{id}/preferences",
    operation_id = "remove_preferences",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    responses(
        (status = 204, description = "The user has no preferences", headers(("ETag" = String, description = "The user's new version"))),
        ErasingUser
    )
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let edit = |user: &mut User| {
        user.preferences = Preferences::default().in_place_of(&user.preferences);
        Ok(())
    };
    let user = change(&state, &call, &id, &headers, edit).await?;
    Ok((StatusCode::NO_CONTENT, etag(user.version)).into_response())
}
