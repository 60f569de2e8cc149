//! Calls with a key in the table `idempotency`. The clock is this machine's, and so is the file.

use std::time::Duration;

use captions_domain::{
    caption::CaptionId,
    context::Context,
    fault::StoreError,
    history::Extent,
    once::{CallId, Claim, Reply, Standing, Step},
    request::UserId,
};
use sqlx::{Error, Row as _, sqlite::SqliteRow, types::Json};
use time::OffsetDateTime;

use super::{SqliteStore, fault::fault, users::microseconds};

/// Takes the step as one statement; what stands in the way of a claim takes a second one to see.
pub(super) async fn take(store: &SqliteStore, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
    match step {
        Step::Claim(claim) => hold(store, cx, claim).await,
        Step::Settle { call, reply, keep_for } => settle(store, cx, call, reply, *keep_for).await,
        Step::Release { call } => {
            let query = sqlx::query(
                "UPDATE idempotency SET leased_until = ?4 WHERE tenant = ?1 AND call = ?2 AND holder = ?3 AND status IS NULL",
            );
            let query = query
                .bind(cx.tenant.as_str())
                .bind(call.as_bytes().as_slice())
                .bind(cx.fresh_id)
                .bind(now());
            Ok(Standing::Changed(store.execute(query).await?))
        }
        Step::Sweep { limit } => {
            let query = sqlx::query(
                "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency \
                 WHERE expires_at <= ?1 AND leased_until <= ?1 ORDER BY expires_at LIMIT ?2)",
            );
            Ok(Standing::Changed(
                store.execute(query.bind(now()).bind(i64::from(*limit))).await?,
            ))
        }
    }
}

/// Removes what is kept of calls about the erased captions, which must still be there, and about their user.
pub(super) async fn forget(store: &SqliteStore, cx: &Context, extent: &Extent) -> Result<u64, StoreError> {
    let query = match extent {
        Extent::One(id) => sqlx::query("DELETE FROM idempotency WHERE tenant = ?1 AND caption_id = ?2")
            .bind(cx.tenant.as_str())
            .bind(id.0),
        Extent::OfUser(user) => sqlx::query(
            "DELETE FROM idempotency WHERE tenant = ?1 AND (user_id = ?2 OR caption_id IN \
             (SELECT id FROM captions WHERE tenant = ?1 AND user_id = ?2))",
        )
        .bind(cx.tenant.as_str())
        .bind(user.as_str()),
    };
    store.execute(query).await
}

async fn hold(store: &SqliteStore, cx: &Context, claim: &Claim) -> Result<Standing, StoreError> {
    let query = sqlx::query(
        "INSERT INTO idempotency (tenant, call, payload, user_id, caption_id, id, holder, leased_until, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) \
         ON CONFLICT (tenant, call) DO UPDATE SET payload = excluded.payload, user_id = excluded.user_id, \
         holder = excluded.holder, leased_until = excluded.leased_until, expires_at = excluded.expires_at, \
         id = CASE WHEN idempotency.expires_at <= ?9 THEN excluded.id ELSE idempotency.id END, \
         caption_id = CASE WHEN idempotency.expires_at <= ?9 THEN excluded.caption_id ELSE idempotency.caption_id END, \
         status = NULL, headers = NULL, body = NULL \
         WHERE (idempotency.expires_at <= ?9 OR (idempotency.status IS NULL AND idempotency.payload = excluded.payload)) \
         AND (idempotency.leased_until <= ?9 OR idempotency.holder = excluded.holder) \
         RETURNING id",
    );
    let now = now();
    let after = |time: Duration| now.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    let query = query
        .bind(cx.tenant.as_str())
        .bind(claim.call.as_bytes().as_slice())
        .bind(claim.payload.as_bytes().as_slice())
        .bind(claim.user.as_ref().map(UserId::as_str))
        .bind(claim.caption.unwrap_or(CaptionId(cx.fresh_id)).0)
        .bind(cx.fresh_id)
        .bind(after(claim.lease))
        .bind(after(claim.keep_for))
        .bind(now);
    if let Some(row) = store.change_one(query).await? {
        let id = row.try_get("id").map_err(fault)?;
        return Ok(Standing::Held { id });
    }
    let query = sqlx::query(
        "SELECT payload = ?3 AS is_same, status, headers, body FROM idempotency WHERE tenant = ?1 AND call = ?2",
    );
    let query = query
        .bind(cx.tenant.as_str())
        .bind(claim.call.as_bytes().as_slice())
        .bind(claim.payload.as_bytes().as_slice());
    match store.fetch_optional(query).await? {
        Some(row) => Ok(standing_of(&row).map_err(fault)?),
        // Removed just now: whoever claims it next holds it.
        None => Ok(Standing::Busy),
    }
}

fn standing_of(row: &SqliteRow) -> Result<Standing, Error> {
    if !row.try_get::<bool, _>("is_same")? {
        return Ok(Standing::Different);
    }
    let Some(status) = row.try_get::<Option<i64>, _>("status")? else {
        return Ok(Standing::Busy);
    };
    Ok(Standing::Answered(Reply {
        status: status.try_into().map_err(|_| Error::Decode("no status".into()))?,
        headers: row.try_get::<Json<_>, _>("headers")?.0,
        body: row.try_get::<Vec<u8>, _>("body")?.into(),
    }))
}

async fn settle(
    store: &SqliteStore,
    cx: &Context,
    call: &CallId,
    reply: &Reply,
    keep_for: Duration,
) -> Result<Standing, StoreError> {
    let query = sqlx::query(
        "UPDATE idempotency SET status = ?4, headers = ?5, body = ?6, leased_until = ?7, expires_at = ?8 \
         WHERE tenant = ?1 AND call = ?2 AND holder = ?3",
    );
    let now = now();
    let query = query
        .bind(cx.tenant.as_str())
        .bind(call.as_bytes().as_slice())
        .bind(cx.fresh_id)
        .bind(i64::from(reply.status))
        .bind(Json(&reply.headers))
        .bind(reply.body.as_ref())
        .bind(now)
        .bind(now.saturating_add(i64::try_from(keep_for.as_micros()).unwrap_or(i64::MAX)));
    Ok(Standing::Changed(store.execute(query).await?))
}

fn now() -> i64 {
    microseconds(OffsetDateTime::now_utc())
}
