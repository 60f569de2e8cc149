//! The keys of the caller's own tenant. A secret is in the answer that makes it, and nowhere else: not in the store, not in a
//! log.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use captions_api::{
    key::{
        KeyChangeBody, KeyDocument, KeyPage, NewKeyBody, RotationBody, parse_change, parse_new, parse_rotation,
        period_alone, read_cursor,
    },
    problem::{Code, Problem},
};
use captions_domain::{
    fault::StoreError,
    keys::{By, Change, Key, KeyId, KeyLimits, Secret},
    ports::KeyStore,
};
use captions_wiring::fresh_secret;
use http::{HeaderValue, StatusCode, header};

use crate::{
    body::JsonBody,
    call::{Call, KeyPath},
    failure::Failure,
    history::{Paging, page},
    openapi::{ChangingKey, CreatingKey, ListingKeys, PatchingKey, ReadingKey},
    state::AppState,
};

/// Create a key
///
/// A key of the caller's tenant. Its limits are those of the tenant, and beside them a budget of its own if it says so.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body(content = NewKeyBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Created; `key` is shown this once", body = KeyDocument, headers(
            ("Location" = String, description = "The address of the key")
        )),
        CreatingKey
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let new = parse_new(&body, call.cx.now)?;
    let secret = secret()?;
    let id = KeyId(call.cx.fresh_id);
    let key = Key {
        id,
        family: id,
        tenant: call.cx.tenant.clone(),
        name: new.name,
        scopes: new.scopes,
        limits: KeyLimits {
            budget: new.budget,
            ..KeyLimits::default()
        },
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: call.cx.now,
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let store = store(&state)?;
    call.within(&state, Code::StoreUnavailable, store.add(&call.cx, &key))
        .await??;
    tracing::info!(key = %key.id, "key created");
    Ok(made(&key, &secret, &call))
}

/// List keys
///
/// Those of the caller's tenant, newest first, also those that expired or were revoked.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(
        Paging
    ),
    responses((status = 200, description = "One page", body = KeyPage), ListingKeys)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    call: Call,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<KeyPage>, Failure> {
    let (limit, before) = page(query, read_cursor)?;
    let work = store(&state)?.list(&call.cx, before, limit + 1);
    let keys = call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(Json(KeyPage::of(&keys, limit as usize, call.cx.now)))
}

/// Read a key
#[utoipa::path(
    get,
    path = "/v1/keys/{id}",
    operation_id = "read_key",
    tag = "keys",
    params(("id" = uuid::Uuid, Path, description = "The key's id.")),
    responses((status = 200, description = "The key", body = KeyDocument), ReadingKey)
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    KeyPath(id): KeyPath,
) -> Result<Json<KeyDocument>, Failure> {
    let key = known(&state, &call, id).await?;
    Ok(Json(KeyDocument::of(&key, call.cx.now)))
}

/// Change the budget of a key
///
/// A merge patch (RFC 7396) of its budget, for its whole family: keys that go on for their grace, and every successor. What
/// the family has spent and reserved stays counted, also beyond a lower budget; calls under way come to their end. It counts on
/// this server at once, and on others as a revocation does.
#[utoipa::path(
    patch,
    path = "/v1/keys/{id}",
    operation_id = "change_key",
    tag = "keys",
    params(("id" = uuid::Uuid, Path, description = "The key's id.")),
    request_body(content((KeyChangeBody = "application/merge-patch+json"), (KeyChangeBody = "application/json"))),
    responses((status = 200, description = "The changed key", body = KeyDocument), PatchingKey)
)]
pub(crate) async fn patch(
    State(state): State<AppState>,
    call: Call,
    KeyPath(id): KeyPath,
    JsonBody(body): JsonBody,
) -> Result<Json<KeyDocument>, Failure> {
    let change = parse_change(&body)?;
    let budget = Change::Budget(change);
    let work = store(&state)?.change(&call.cx, id, &budget);
    let changed = call.within(&state, Code::StoreUnavailable, work).await??;
    let key = changed.ok_or_else(not_found)?;
    if change.per.is_some() && key.limits.budget.is_none() {
        return Err(Problem::from(period_alone().at("/budget_period")).into());
    }
    tracing::info!(key = %key.id, family = %key.family, "budget of a key changed");
    Ok(Json(KeyDocument::of(&key, call.cx.now)))
}

/// Revoke a key
///
/// For good, and safe to repeat. It opens nothing any more on this server at once, and on others that share its Redis within
/// a moment; on others without one within `auth.fresh` (30 s).
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = uuid::Uuid, Path, description = "The key's id.")),
    responses((status = 200, description = "The revoked key", body = KeyDocument), ReadingKey)
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    call: Call,
    KeyPath(id): KeyPath,
) -> Result<Json<KeyDocument>, Failure> {
    let change = Change::Revoke { at: call.cx.now };
    let work = store(&state)?.change(&call.cx, id, &change);
    let revoked = call.within(&state, Code::StoreUnavailable, work).await??;
    let key = revoked.ok_or_else(not_found)?;
    tracing::info!(key = %key.id, "key revoked");
    Ok(Json(KeyDocument::of(&key, call.cx.now)))
}

/// Rotate a key
///
/// Makes a key of the same family with another secret and the same rights. The one before goes on for a time of grace; one
/// that had an end gets a successor with as long a life.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/rotate",
    operation_id = "rotate_key",
    tag = "keys",
    params(("id" = uuid::Uuid, Path, description = "The id of the key to be replaced.")),
    request_body(content = RotationBody, content_type = "application/json"),
    responses(
        (status = 201, description = "The new key; `key` is shown this once", body = KeyDocument, headers(
            ("Location" = String, description = "The address of the new key")
        )),
        ChangingKey
    )
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    call: Call,
    KeyPath(id): KeyPath,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let grace = parse_rotation(&body)?;
    let secret = secret()?;
    let old = known(&state, &call, id).await?;
    let mut successor = old.successor(KeyId(call.cx.fresh_id), &secret, call.cx.now);
    let change = Change::Rotate {
        successor: Box::new(successor.clone()),
        until: call.cx.now.saturating_add(grace),
    };
    let work = store(&state)?.change(&call.cx, id, &change);
    let Some(before) = call.within(&state, Code::StoreUnavailable, work).await?? else {
        let detail = "only an active key is rotated; this one has expired or was revoked";
        return Err(Failure::new(Code::KeyInactive, detail));
    };
    // As it is kept: the budget may have changed since the key was read.
    successor.limits = before.limits;
    tracing::info!(key = %id, successor = %successor.id, "key rotated");
    Ok(made(&successor, &secret, &call))
}

fn made(key: &Key, secret: &Secret, call: &Call) -> Response {
    let document = KeyDocument::of(key, call.cx.now).with(secret);
    let mut response = (StatusCode::CREATED, Json(document)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/keys/{}", key.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

async fn known(state: &AppState, call: &Call, id: KeyId) -> Result<Key, Failure> {
    let work = store(state)?.find(&call.cx, By::Id(id));
    let found = call.within(state, Code::StoreUnavailable, work).await??;
    found.ok_or_else(not_found)
}

fn store(state: &AppState) -> Result<&dyn KeyStore, Failure> {
    match &state.keys {
        Some(keys) => Ok(&*keys.store),
        None => Err(Failure::new(Code::Internal, "this server keeps no keys")),
    }
}

fn secret() -> Result<Secret, Failure> {
    fresh_secret().map_err(|fault| StoreError::from(fault).into())
}

fn not_found() -> Failure {
    Failure::new(Code::KeyNotFound, "the tenant has no key of this id")
}
