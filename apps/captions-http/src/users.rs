//! Users: create, read, change, erase.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    problem::Code,
    user::{self, ErasedDocument, UserBody, UserDocument, UserPatch},
};
use captions_domain::{
    fault::StoreError,
    ports::{Expect, UserStore},
    request::{Invalid, UserId},
    user::User,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    body::JsonBody,
    call::{Call, UserPath},
    failure::Failure,
    openapi::{ChangingUser, CreatingUser, ErasingUser, ReadingUser},
    state::AppState,
};

/// How often a change is tried anew because somebody else wrote in between.
const MAX_TRIES: u32 = 4;

/// Create a user
#[utoipa::path(
    post,
    path = "/v1/users",
    operation_id = "create_user",
    tag = "users",
    request_body(content = UserBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Created", body = UserDocument, headers(
            ("Location" = String, description = "The address of the user"),
            ("ETag" = String, description = "The version")
        )),
        CreatingUser
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let new = user::parse_new(&body)?;
    let mut user = User {
        id: new.id,
        display_name: new.display_name,
        preferences: new.preferences,
        version: 0,
        created_at: call.cx.now,
        updated_at: call.cx.now,
    };
    let written = call
        .within(
            &state,
            Code::StoreUnavailable,
            state.engine.users.write(&call.cx, &user, Expect::Absent),
        )
        .await?;
    match written {
        Ok(version) => user.version = version,
        Err(StoreError::Conflict) => user = created_before(&state, &call, &user).await?,
        Err(error) => return Err(error.into()),
    }
    let location = format!("/v1/users/{}", user.id);
    let mut response = (StatusCode::CREATED, etag(user.version), Json(UserDocument::from(&user))).into_response();
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// The user who is there already, if this very request made it when it was begun before: nobody else can have made the same,
/// and nobody has changed it since.
async fn created_before(state: &AppState, call: &Call, user: &User) -> Result<User, Failure> {
    let exists = || Failure::new(Code::UserExists, "a user of this id exists already");
    if !call.again {
        return Err(exists());
    }
    let work = state.engine.users.read(&call.cx, &user.id);
    let there = call.within(state, Code::StoreUnavailable, work).await??;
    let is_same = |there: &User| {
        there.version == 1 && (&there.display_name, &there.preferences) == (&user.display_name, &user.preferences)
    };
    there.filter(is_same).ok_or_else(exists)
}

/// Read a user
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    operation_id = "read_user",
    tag = "users",
    params(("id" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The user", body = UserDocument, headers(("ETag" = String, description = "The version"))),
        ReadingUser
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
) -> Result<Response, Failure> {
    let user = to_show(&state, &call, &id).await?;
    Ok((etag(user.version), Json(UserDocument::from(&user))).into_response())
}

/// Change a user
///
/// A merge patch (RFC 7396) of name and preferences.
#[utoipa::path(
    patch,
    path = "/v1/users/{id}",
    operation_id = "change_user",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Change only this version, an earlier `ETag`.")
    ),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed user", body = UserDocument, headers(("ETag" = String, description = "The new version"))),
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
    let user = change(&state, &call, &id, &headers, |user| {
        let (display_name, preferences) = user::merge_user(user.display_name.as_deref(), &user.preferences, &patch)?;
        user.display_name = display_name;
        user.preferences = preferences;
        Ok(())
    })
    .await?;
    Ok((etag(user.version), Json(UserDocument::from(&user))).into_response())
}

/// Erase a user
///
/// Erases the user and every stored caption of theirs. Safe to repeat: if it broke off, the next call erases the rest.
/// Cached captions of theirs are found by nobody any more; `degraded` says if other processes could not be told of that yet.
/// `If-Match` is looked at before anything is erased; a change that is made in that moment is erased with the rest.
#[utoipa::path(
    delete,
    path = "/v1/users/{id}",
    operation_id = "erase_user",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-Match" = Option<String>, Header, description = "Erase only if this version, an earlier `ETag`, is the present one.")
    ),
    responses((status = 200, description = "What was erased", body = ErasedDocument), ErasingUser)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    call: Call,
    UserPath(id): UserPath,
    headers: HeaderMap,
) -> Result<Json<ErasedDocument>, Failure> {
    let wanted = if_match(&headers)?;
    if wanted.is_some() {
        let user = known(&state, &call, &id).await?;
        check_version(wanted.as_deref(), user.version)?;
    }
    let engine = &state.engine;
    // The captions last: one that is being written at this moment may still be stored for a user who is going. The same
    // order as at the command line; if the second step fails, the next call finishes the work.
    let user_erased = call
        .within(&state, Code::StoreUnavailable, engine.users.erase(&call.cx, &id))
        .await??;
    let captions_erased = call
        .within(&state, Code::StoreUnavailable, engine.captions.erase(&call.cx, &id))
        .await??;
    if !user_erased && captions_erased == 0 {
        return Err(not_found());
    }
    tracing::info!(captions_erased, "user erased");
    Ok(Json(ErasedDocument {
        id: id.as_str().to_owned(),
        user_erased,
        captions_erased,
        degraded: call.cx.notes.all(),
    }))
}

/// The user as the store has them now, who has to exist: what a change starts from, and what `If-Match` is compared with.
pub(crate) async fn known(state: &AppState, call: &Call, id: &UserId) -> Result<User, Failure> {
    read_from(&*state.engine.users, state, call, id).await
}

/// The user to show, who has to exist; a copy of a moment ago will do.
pub(crate) async fn to_show(state: &AppState, call: &Call, id: &UserId) -> Result<User, Failure> {
    read_from(&*state.shown_users, state, call, id).await
}

async fn read_from(users: &dyn UserStore, state: &AppState, call: &Call, id: &UserId) -> Result<User, Failure> {
    let user = call
        .within(state, Code::StoreUnavailable, users.read(&call.cx, id))
        .await??;
    user.ok_or_else(not_found)
}

fn not_found() -> Failure {
    Failure::new(Code::UserNotFound, "no user is stored under this id")
}

/// Reads the user, changes it, writes it back at the version that was read. A caller who named a version is told if it
/// is another one by now; for others the change is made again on top of what somebody else wrote.
pub(crate) async fn change(
    state: &AppState,
    call: &Call,
    id: &UserId,
    headers: &HeaderMap,
    edit: impl Fn(&mut User) -> Result<(), Vec<Invalid>> + Send + Sync,
) -> Result<User, Failure> {
    let wanted = if_match(headers)?;
    for _ in 0..MAX_TRIES {
        let mut user = known(state, call, id).await?;
        check_version(wanted.as_deref(), user.version)?;
        edit(&mut user)?;
        user.updated_at = call.cx.now;
        let expect = Expect::Version(user.version);
        let write = state.engine.users.write(&call.cx, &user, expect);
        match call.within(state, Code::StoreUnavailable, write).await? {
            Ok(version) => {
                user.version = version;
                return Ok(user);
            }
            // Read again: the version is another one now, or the user is gone.
            Err(StoreError::Conflict) => {}
            Err(StoreError::Fault(fault)) => return Err(StoreError::Fault(fault).into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// `ETag: "<version>"`.
pub(crate) fn etag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// The versions that `If-Match` names; `None` if any will do.
fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u64>>, Failure> {
    let mut versions = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(header::IF_MATCH) {
        is_there = true;
        let text = value.to_str().unwrap_or_default();
        for tag in text.split(',').map(str::trim) {
            if tag == "*" {
                return Ok(None);
            }
            let inner = tag
                .strip_prefix("W/")
                .unwrap_or(tag)
                .strip_prefix('"')
                .and_then(|tag| tag.strip_suffix('"'));
            let Some(inner) = inner else {
                return Err(Failure::new(
                    Code::InvalidParameter,
                    "If-Match holds an ETag in its quotes, or *",
                ));
            };
            // A weak tag never matches here (RFC 9110, 13.1.1), and neither does one that is not ours.
            if let Ok(version) = inner.parse()
                && !tag.starts_with("W/")
            {
                versions.push(version);
            }
        }
    }
    Ok(is_there.then_some(versions))
}

fn check_version(wanted: Option<&[u64]>, version: u64) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if !wanted.contains(&version) => Err(Failure::new(
            Code::VersionMismatch,
            format!("the user is at version {version}"),
        )),
        Some(_) | None => Ok(()),
    }
}
