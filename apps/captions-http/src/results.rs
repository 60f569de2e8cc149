//! What a user's posts have reached, by which new captions are estimated.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::results::{ResultsBody, ResultsDocument, ResultsTable};
use captions_domain::{engagement::Results, user::User};
use http::{HeaderMap, StatusCode};

use crate::{
    body::Import,
    call::{Call, UserPath},
    failure::Failure,
    openapi::{ChangingUser, ErasingUser, ReadingUser},
    state::AppState,
    tags,
    users::{change, etag, to_show},
};

fn shown(user: &User) -> Response {
    let document = ResultsDocument::of(user.preferences.results.as_ref());
    (etag(user.version), Json(document)).into_response()
}

/// Read what was imported
#[utoipa::path(
    get,
    path = "/v1/users/{id}/results",
    operation_id = "read_results",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-None-Match" = Option<String>, Header, description = "An earlier `ETag`: 304 if nothing has changed since.")
    ),
    responses(
        (status = 200, description = "What the imported posts tell", body = ResultsDocument, headers(("ETag" = String, description = "The user's version"))),
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
    Ok(tags::unless_known(&headers, &tag, shown(&user)))
}

/// Import what posts have reached
///
/// From then on `estimated_engagement` of the user's captions is told. Replaces the import before; of the posts themselves
/// nothing is kept but medians and bounds. Up to 10,000 posts and 8 MiB, as JSON, or as CSV with a header row (also as Meta
/// exports it).
#[utoipa::path(
    put,
    path = "/v1/users/{id}/results",
    operation_id = "import_results",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    request_body(content((ResultsBody = "application/json"), (ResultsTable = "text/csv"))),
    responses(
        (status = 200, description = "What the imported posts tell", body = ResultsDocument, headers(("ETag" = String, description = "The user's new version"))),
        ChangingUser
    )
)]
pub(crate) async fn import(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
    Import(posts): Import,
) -> Result<Response, Failure> {
    let now = call.cx.now;
    let edit = |user: &mut User| {
        let language = user.preferences.language.clone().unwrap_or_default();
        user.preferences.results = Some(Results::of(&posts, &language, now));
        Ok(())
    };
    change(&state, &call, &id, &headers, edit)
        .await
        .map(|user| shown(&user))
}

/// Forget what was imported
#[utoipa::path(
    delete,
    path = "/v1/users/{id}/results",
    operation_id = "forget_results",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    responses(
        (status = 204, description = "Nothing is known of the user's posts", headers(("ETag" = String, description = "The user's new version"))),
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
        user.preferences.results = None;
        Ok(())
    };
    let user = change(&state, &call, &id, &headers, edit).await?;
    Ok((StatusCode::NO_CONTENT, etag(user.version)).into_response())
}
