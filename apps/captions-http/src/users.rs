//! Users: create, read, change, erase.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use captions_api::{
    problem::Code,
    user::{self, ErasedDocument, UserBody, UserDocument, UserPage, UserPatch},
};
use captions_domain::{
    context::Context,
    fault::StoreError,
    history::Extent,
    ports::{Expect, UserStore},
    request::{Invalid, UserId},
    user::User,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::{
    body::JsonBody,
    call::{Call, UserPath},
    failure::Failure,
    history::{Paging, Parameters, link, page},
    openapi::{ChangingUser, CreatingUser, ErasingUser, ListingUsers, ReadingUser},
    state::AppState,
    tags,
};

/// How often a change is tried anew because somebody else wrote in between.
const MAX_TRIES: u32 = 4;
/// How long an erasure waits until what was used is in the store.
const USAGE_FIRST: Duration = Duration::from_secs(1);

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

/// List users
///
/// Those of the caller's tenant, in the order of their ids, without their preferences.
#[utoipa::path(
    get,
    path = "/v1/users",
    operation_id = "list_users",
    tag = "users",
    params(
        Paging
    ),
    responses(
        (status = 200, description = "One page", body = UserPage, headers(("Link" = Option<String>, description = "The address of the next page, as `rel=\"next\"`"))),
        ListingUsers
    )
)]
pub(crate) async fn list(State(state): State<AppState>, call: Call, query: Parameters) -> Result<Response, Failure> {
    let (limit, after) = page(query, user::read_cursor)?;
    let work = state.engine.users.list(&call.cx, after, limit + 1);
    let users = call.within(&state, Code::StoreUnavailable, work).await??;
    let page = UserPage::of(&users, limit as usize);
    let next = page.next_cursor.as_ref().map(|cursor| {
        let parameters = [("limit".to_owned(), limit.to_string())];
        link("/v1/users", &parameters, cursor)
    });
    let mut response = Json(page).into_response();
    if let Some(Ok(next)) = next.map(|next| HeaderValue::from_str(&next)) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// Read a user
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    operation_id = "read_user",
    tag = "users",
    params(
        ("id" = String, Path, description = "The user's id."),
        ("If-None-Match" = Option<String>, Header, description = "An earlier `ETag`: 304 if nothing has changed since.")
    ),
    responses(
        (status = 200, description = "The user", body = UserDocument, headers(("ETag" = String, description = "The version"))),
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
    Ok(tags::unless_known(
        &headers,
        &tags::of_version(user.version),
        Json(UserDocument::from(&user)),
    ))
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
    request_body(content((UserPatch = "application/merge-patch+json"), (UserPatch = "application/json"))),
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
/// Streams that were written for them cannot be taken up again.
/// `If-Match` is looked at before anything is erased; a change that is made in that moment is erased with the rest. Captions
/// that are being written meanwhile, or that wait on another machine for the history, do not come back. The answer has a
/// `receipt` to be kept.
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
    let wanted = tags::wanted(&headers)?;
    let engine = &state.engine;
    let before = call
        .within(&state, Code::StoreUnavailable, engine.users.read(&call.cx, &id))
        .await??;
    if wanted.is_some() {
        let user = before.as_ref().ok_or_else(not_found)?;
        tags::check(wanted.as_deref(), &tags::of_version(user.version), "the user")?;
    }
    // The captions last: one that is being written at this moment may still be stored for a user who is going. The same
    // order as at the command line; if the second step fails, the next call finishes the work.
    let user_erased = call
        .within(&state, Code::StoreUnavailable, engine.users.erase(&call.cx, &id))
        .await??;
    // What was asked for until now may have been written for the user who is gone.
    let cx = Context {
        now: OffsetDateTime::now_utc().truncate_to_microsecond(),
        ..call.cx.clone()
    };
    if let Some(usage) = &state.usage {
        // So that the receipt knows of it. Not for long: it is the usage of everybody, and what is brought there later is
        // nobody's all the same.
        drop(timeout(USAGE_FIRST, usage.flush(USAGE_FIRST)).await);
    }
    let extent = Extent::OfUser(id.clone());
    let removed = call
        .within(&state, Code::StoreUnavailable, engine.captions.erase(&cx, &extent))
        .await??;
    state.streams.forget(&cx, &id, state.limits.deadline).await;
    let captions_erased = removed.all();
    if !user_erased && removed.is_nothing() {
        return Err(not_found());
    }
    let known = before.filter(|_| user_erased);
    let degraded = call.cx.notes.all();
    let document = ErasedDocument::new(cx.fresh_id, &id, known.as_ref(), &removed, degraded, cx.now);
    tracing::info!(captions_erased, receipt = %document.receipt.id, "user erased");
    Ok(Json(document))
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
    let wanted = tags::wanted(headers)?;
    for _ in 0..MAX_TRIES {
        let mut user = known(state, call, id).await?;
        tags::check(wanted.as_deref(), &tags::of_version(user.version), "the user")?;
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
            Err(error @ (StoreError::Full { .. } | StoreError::Fault(_))) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// `ETag: "<version>"`.
pub(crate) fn etag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, tags::of_version(version))]
}
