//! Calls with a key in the table `idempotency`. The clock is the database's, the same for every replica.

use std::time::Duration;

use captions_domain::{
    caption::CaptionId,
    context::Context,
    fault::StoreError,
    once::{CallId, Claim, Reply, Standing, Step},
    request::UserId,
};
use sqlx::{Error, Row as _, postgres::PgRow, types::Json};

use crate::{fault::fault, store::PgStore};

/// Takes the step as one statement; what stands in the way of a claim takes a second one to see.
pub(crate) async fn take(store: &PgStore, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
    match step {
        Step::Claim(claim) => hold(store, cx, claim).await,
        Step::Settle { call, reply, keep_for } => settle(store, cx, call, reply, *keep_for).await,
        Step::Release { call } => {
            let query = sqlx::query(
                "UPDATE idempotency SET leased_until = clock_timestamp() \
                 WHERE tenant = $1 AND call = $2 AND holder = $3 AND status IS NULL",
            );
            let query = query
                .bind(cx.tenant.as_str())
                .bind(call.as_bytes().as_slice())
                .bind(cx.fresh_id);
            Ok(Standing::Changed(store.pool.execute(query).await?))
        }
        Step::Sweep { limit } => {
            // Rows that somebody is about to take over are passed by.
            let query = sqlx::query(
                "DELETE FROM idempotency WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency \
                 WHERE expires_at <= clock_timestamp() AND leased_until <= clock_timestamp() \
                 ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
            );
            Ok(Standing::Changed(
                store.pool.execute(query.bind(i64::from(*limit))).await?,
            ))
        }
    }
}

async fn hold(store: &PgStore, cx: &Context, claim: &Claim) -> Result<Standing, StoreError> {
    let query = sqlx::query(
        "INSERT INTO idempotency AS old \
         (tenant, call, payload, user_id, caption_id, id, holder, leased_until, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, clock_timestamp() + $7 * interval '1 microsecond', \
         clock_timestamp() + $8 * interval '1 microsecond') \
         ON CONFLICT (tenant, call) DO UPDATE SET payload = excluded.payload, user_id = excluded.user_id, \
         holder = excluded.holder, leased_until = excluded.leased_until, expires_at = excluded.expires_at, \
         id = CASE WHEN old.expires_at <= clock_timestamp() THEN excluded.id ELSE old.id END, \
         caption_id = CASE WHEN old.expires_at <= clock_timestamp() THEN excluded.caption_id ELSE old.caption_id END, \
         status = NULL, headers = NULL, body = NULL \
         WHERE (old.expires_at <= clock_timestamp() OR (old.status IS NULL AND old.payload = excluded.payload)) \
         AND (old.leased_until <= clock_timestamp() OR old.holder = excluded.holder) \
         RETURNING id",
    );
    let query = query
        .bind(cx.tenant.as_str())
        .bind(claim.call.as_bytes().as_slice())
        .bind(claim.payload.as_bytes().as_slice())
        .bind(claim.user.as_ref().map(UserId::as_str))
        .bind(claim.caption.unwrap_or(CaptionId(cx.fresh_id)).0)
        .bind(cx.fresh_id)
        .bind(microseconds(claim.lease))
        .bind(microseconds(claim.keep_for));
    if let Some(row) = store.pool.fetch_optional(query).await? {
        let id = row.try_get("id").map_err(fault)?;
        return Ok(Standing::Held { id });
    }
    let query = sqlx::query(
        "SELECT payload = $3 AS is_same, status, headers, body FROM idempotency WHERE tenant = $1 AND call = $2",
    );
    let query = query
        .bind(cx.tenant.as_str())
        .bind(claim.call.as_bytes().as_slice())
        .bind(claim.payload.as_bytes().as_slice());
    match store.pool.fetch_optional(query).await? {
        Some(row) => Ok(standing_of(&row).map_err(fault)?),
        // Removed just now: whoever claims it next holds it.
        None => Ok(Standing::Busy),
    }
}

fn standing_of(row: &PgRow) -> Result<Standing, Error> {
    if !row.try_get::<bool, _>("is_same")? {
        return Ok(Standing::Different);
    }
    let Some(status) = row.try_get::<Option<i32>, _>("status")? else {
        return Ok(Standing::Busy);
    };
    Ok(Standing::Answered(Reply {
        status: status.try_into().map_err(|_| Error::Decode("no status".into()))?,
        headers: row.try_get::<Json<_>, _>("headers")?.0,
        body: row.try_get::<Vec<u8>, _>("body")?.into(),
    }))
}

async fn settle(
    store: &PgStore,
    cx: &Context,
    call: &CallId,
    reply: &Reply,
    keep_for: Duration,
) -> Result<Standing, StoreError> {
    let query = sqlx::query(
        "UPDATE idempotency SET status = $4, headers = $5, body = $6, leased_until = clock_timestamp(), \
         expires_at = clock_timestamp() + $7 * interval '1 microsecond' \
         WHERE tenant = $1 AND call = $2 AND holder = $3",
    );
    let query = query
        .bind(cx.tenant.as_str())
        .bind(call.as_bytes().as_slice())
        .bind(cx.fresh_id)
        .bind(i32::from(reply.status))
        .bind(Json(&reply.headers))
        .bind(reply.body.as_ref())
        .bind(microseconds(keep_for));
    Ok(Standing::Changed(store.pool.execute(query).await?))
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
