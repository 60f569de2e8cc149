//! Batches in the tables `batches` and `batch_items`.
//!
//! Every change is one statement, so that it is whole or not at all, and takes locks in one order: items first, then their
//! batch. Leases and delays are counted by the clock of the server.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use captions_domain::{
    batch::{
        Backlog, Batch, BatchId, BatchState, Change, Claimed, Counts, ItemStatus, MAX_ITEMS, NewBatch, NewItem, Notice,
        Outcome, Page, Payer, Receiver, Settlement, Taken, Ticket, Tidy, Turn,
    },
    caption::CaptionId,
    context::{Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    ports::BatchQueue,
    request::{Invalid, UserId},
};
use serde_json::json;
use sqlx::{Error, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{fault::fault, store::PgStore, users::to_microsecond};

/// Items that one statement keeps: far below what a statement may take in time, whatever they hold.
const CHUNK: usize = 500;
/// Receivers that one worker tells at a time.
const NOTICES: i64 = 10;
/// Batches that are removed at a time, at most.
const OLD_AT_ONCE: i64 = 200;
/// How long a draft outlives the deadline of whoever submits it: no statement begins after that, and one that was under way is
/// over. What is left then belongs to a process that was killed. With the usual deadline of 20 s it is gone within the 60 s
/// that a caller who finds no room is told to wait.
const DRAFT_OUTLIVES: Duration = Duration::from_secs(30);

macro_rules! columns {
    () => {
        "id, tenant, state, total, succeeded, failed, cancelled, created_at, started_at, finished_at, expires_at"
    };
}

/// The end of a statement that adds to the counts of batches, and ends those of which it was the last item. While they go
/// on they are in the state `$going`.
macro_rules! add {
    ($succeeded:literal, $failed:literal, $cancelled:literal, $going:literal) => {
        concat!(
            "UPDATE batches SET succeeded = succeeded + ",
            $succeeded,
            ", failed = failed + ",
            $failed,
            ", cancelled = cancelled + ",
            $cancelled,
            ", state = CASE WHEN succeeded + failed + cancelled + ",
            $succeeded,
            " + ",
            $failed,
            " + ",
            $cancelled,
            " < total THEN ",
            $going,
            " WHEN cancelled + ",
            $cancelled,
            " > 0 THEN CASE ",
            $going,
            " WHEN 'cancelling' THEN 'cancelled' ELSE 'expired' END",
            " WHEN succeeded + ",
            $succeeded,
            " = 0 THEN 'failed' ELSE 'completed' END",
            ", finished_at = CASE WHEN succeeded + failed + cancelled + ",
            $succeeded,
            " + ",
            $failed,
            " + ",
            $cancelled,
            " >= total THEN now() END",
            ", notify_at = CASE WHEN succeeded + failed + cancelled + ",
            $succeeded,
            " + ",
            $failed,
            " + ",
            $cancelled,
            " >= total AND notify IS NOT NULL THEN now() END "
        )
    };
}

/// The items of the batch `$1` of the tenant `$2` that have failed, with `$3` also those that failed for good.
macro_rules! to_retry {
    () => {
        "state = 'failed' AND ($3 OR NOT is_final) AND batch = (SELECT id FROM batches WHERE id = $1 AND tenant = $2 \
         AND state IN ('in_progress', 'completed', 'failed')) "
    };
}

const CLAIM: &str = "WITH chosen AS MATERIALIZED ( \
     SELECT id, payer FROM batches CROSS JOIN LATERAL ( \
         SELECT idx FROM batch_items WHERE batch = batches.id AND due_at <= now() ORDER BY due_at, idx LIMIT 1 \
     ) AS waiting WHERE finished_at IS NULL AND state IN ('queued', 'in_progress') AND expires_at > now() \
     AND NOT id = ANY($1) AND ($2::uuid IS NULL OR id = $2) ORDER BY random() LIMIT 1 \
 ), due AS MATERIALIZED ( \
     SELECT batch, idx FROM batch_items WHERE batch = (SELECT id FROM chosen) AND due_at <= now() \
     ORDER BY due_at, idx LIMIT $3 FOR UPDATE SKIP LOCKED \
 ), begun AS ( \
     UPDATE batches SET state = 'in_progress', started_at = now() \
     WHERE state = 'queued' AND id IN (SELECT batch FROM due) \
 ) UPDATE batch_items AS item SET reclaimed = reclaimed OR lease IS NOT NULL, tries = tries + 1, \
     lease = gen_random_uuid(), due_at = now() + make_interval(secs => $4) \
 FROM due, chosen WHERE item.batch = due.batch AND item.idx = due.idx \
 RETURNING payer, item.batch, item.idx, item.tenant, item.caption, item.request, item.lease, item.tries, item.reclaimed";

#[async_trait]
impl BatchQueue for PgStore {
    async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError> {
        let total = number(batch.items.len())?;
        // A draft takes room, too: of those who submit at the same time each sees the others.
        let old = "DELETE FROM batches WHERE id = $1 AND tenant = $2 AND state = 'draft' AND draft_until <= now()";
        let old = sqlx::query(old).bind(batch.id.0).bind(cx.tenant.as_str());
        self.pool.execute(old).await?;
        let lives = cx.deadline.saturating_duration_since(Instant::now()) + DRAFT_OUTLIVES;
        let draft = sqlx::query(
            "INSERT INTO batches (id, tenant, state, total, created_at, expires_at, notify, payer, draft_until) \
             SELECT $1, $2, 'draft', $3, $4, $5, $6, $7, now() + make_interval(secs => $9) WHERE $8::bigint IS NULL \
             OR EXISTS (SELECT 1 FROM batches WHERE id = $1) OR open_batch_items($2) + $3 <= $8 \
             ON CONFLICT (id) DO UPDATE SET draft_until = greatest(batches.draft_until, excluded.draft_until) \
             WHERE batches.tenant = excluded.tenant AND batches.state = 'draft'",
        );
        let draft = draft
            .bind(batch.id.0)
            .bind(cx.tenant.as_str())
            .bind(total)
            .bind(to_microsecond(cx.now))
            .bind(to_microsecond(cx.now + batch.lives_for))
            .bind(batch.notify.as_ref().map(notify_text))
            .bind(batch.payer.as_ref().map(|payer| json!(payer).to_string()))
            .bind(batch.most_open.map(most))
            .bind(lives.as_secs_f64());
        if self.pool.execute(draft).await? == 0
            && let Some(most) = batch.most_open
            && !self.is_there(cx, batch.id).await?
        {
            return Err(self.full(cx, most).await?);
        }
        for (chunk, items) in batch.items.chunks(CHUNK).enumerate() {
            self.add_items(cx, batch.id, number(chunk * CHUNK)?, items).await?;
        }
        let whole = sqlx::query(
            "UPDATE batches SET state = 'queued' WHERE id = $1 AND tenant = $2 AND state = 'draft' AND draft_until > now() \
             AND total = (SELECT count(*) FROM batch_items WHERE batch = $1)",
        );
        let whole = whole.bind(batch.id.0).bind(cx.tenant.as_str());
        if self.pool.execute(whole).await? == 0 && !self.is_kept(cx, batch.id).await? {
            let why = "the draft of the batch was discarded while it was being submitted";
            return Err(Fault::because(FaultKind::Unavailable, why).into());
        }
        Ok(())
    }

    async fn list(&self, cx: &Context, before: Option<BatchId>, limit: u32) -> Result<Vec<Batch>, StoreError> {
        // Two statements, so that both can follow the index.
        let query = sqlx::query(match before {
            None => concat!(
                "SELECT ",
                columns!(),
                " FROM batches WHERE tenant = $1 AND state <> 'draft' ORDER BY id DESC LIMIT $2"
            ),
            Some(_) => concat!(
                "SELECT ",
                columns!(),
                " FROM batches WHERE tenant = $1 AND state <> 'draft' AND id < $3 ORDER BY id DESC LIMIT $2"
            ),
        });
        let query = query.bind(cx.tenant.as_str()).bind(i64::from(limit));
        let query = match before {
            None => query,
            Some(id) => query.bind(id.0),
        };
        let rows = self.pool.fetch_all(query).await?;
        Ok(rows.iter().map(batch_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn read(&self, cx: &Context, id: BatchId, page: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM batches WHERE id = $1 AND tenant = $2 AND state <> 'draft'"
        ));
        let row = self
            .pool
            .fetch_optional(query.bind(id.0).bind(cx.tenant.as_str()))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let batch = batch_of(&row).map_err(fault)?;
        if page.limit == 0 {
            return Ok(Some((batch, Vec::new())));
        }
        let query = sqlx::query(
            "SELECT idx, custom_id, state, outcome, reclaimed FROM batch_items WHERE batch = $1 AND idx > $2 \
             ORDER BY idx LIMIT $3",
        );
        let after = page.after.map_or(-1, i64::from);
        let rows = self
            .pool
            .fetch_all(
                query
                    .bind(id.0)
                    .bind(i32::try_from(after).unwrap_or(i32::MAX))
                    .bind(i64::from(page.limit)),
            )
            .await?;
        let outcomes: Result<Vec<Option<Outcome>>, Error> = rows.iter().map(outcome_of).collect();
        let outcomes = outcomes.map_err(fault)?.into_iter().map_while(|outcome| outcome);
        Ok(Some((batch, outcomes.collect())))
    }

    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError> {
        let query = sqlx::query(match change {
            Change::Cancel => concat!(
                "WITH hit AS (UPDATE batch_items SET state = 'cancelled', due_at = NULL, lease = NULL \
                 WHERE batch = (SELECT id FROM batches WHERE id = $1 AND tenant = $2 AND finished_at IS NULL \
                 AND state <> 'draft') AND due_at IS NOT NULL AND (lease IS NULL OR due_at <= now()) RETURNING 1), \
                 counted AS (SELECT count(*)::integer AS hits FROM hit) ",
                add!("0", "0", "(SELECT hits FROM counted)", "'cancelling'"),
                "WHERE id = $1 AND tenant = $2 AND finished_at IS NULL AND state <> 'draft'"
            ),
            Change::RetryFailed { .. } => concat!(
                "WITH wanted AS MATERIALIZED (SELECT count(*) AS items FROM batch_items WHERE ",
                to_retry!(),
                "), hit AS (UPDATE batch_items SET state = 'open', due_at = now(), lease = NULL, tries = 0, \
                 outcome = NULL, is_final = false WHERE ($4::bigint IS NULL \
                 OR (SELECT CASE WHEN items > 0 THEN items + open_batch_items($2) ELSE 0 END FROM wanted) <= $4) AND ",
                to_retry!(),
                "RETURNING 1), counted AS (SELECT count(*)::integer AS hits FROM hit) \
                 UPDATE batches SET failed = failed - (SELECT hits FROM counted), state = 'in_progress', \
                 finished_at = NULL, notify_at = NULL, notify_tries = 0, \
                 expires_at = greatest(expires_at, now() + (expires_at - created_at)) \
                 WHERE id = $1 AND tenant = $2 AND (SELECT hits FROM counted) > 0"
            ),
            Change::Discard => "DELETE FROM batches WHERE id = $1 AND tenant = $2 AND state = 'draft'",
            Change::Told => "UPDATE batches SET notify_at = NULL WHERE id = $1 AND tenant = $2",
            Change::TellLater(_) => {
                "UPDATE batches SET notify_at = now() + make_interval(secs => $3) WHERE id = $1 AND tenant = $2 \
                 AND finished_at IS NOT NULL"
            }
        });
        let query = query.bind(id.0).bind(cx.tenant.as_str());
        let query = match change {
            Change::TellLater(wait) => query.bind(wait.as_secs_f64()),
            Change::RetryFailed { all, most_open } => query.bind(all).bind(most_open.map(most)),
            Change::Cancel | Change::Discard | Change::Told => query,
        };
        let done = self.pool.execute(query).await?;
        if let Change::RetryFailed {
            all,
            most_open: Some(most_open),
        } = change
            && done == 0
            && self.has_to_retry(cx, id, all).await?
        {
            return Err(self.full(cx, most_open).await?);
        }
        Ok(self.read(cx, id, Page::NONE).await?.map(|(batch, _)| batch))
    }

    async fn claim(&self, _: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        let mut taken = match turn.tidy {
            Some(tidy) => self.tidy(tidy).await?,
            None => Taken::default(),
        };
        if turn.items > 0 {
            let held: Vec<Uuid> = turn.held.iter().map(|id| id.0).collect();
            let query = sqlx::query(CLAIM)
                .bind(held)
                .bind(turn.only.map(|id| id.0))
                .bind(i64::from(turn.items))
                .bind(turn.lease.as_secs_f64());
            let rows = self.pool.fetch_all(query).await?;
            taken.items = rows.iter().map(claimed_of).collect::<Result<_, _>>().map_err(fault)?;
            taken.items.sort_by_key(|item| item.ticket.index);
        }
        Ok(taken)
    }

    async fn settle(&self, _: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError> {
        let query = sqlx::query(match settlement {
            Settlement::Succeeded(_) => concat!(
                "WITH mine AS (UPDATE batch_items SET state = 'succeeded', outcome = $4, due_at = NULL, lease = NULL \
                 WHERE batch = $1 AND idx = $2 AND lease = $3 RETURNING batch) ",
                add!("1", "0", "0", "state"),
                "WHERE id IN (SELECT batch FROM mine)"
            ),
            Settlement::Failed { .. } => concat!(
                "WITH mine AS (UPDATE batch_items SET state = 'failed', outcome = $4, is_final = $5, due_at = NULL, lease = NULL \
                 WHERE batch = $1 AND idx = $2 AND lease = $3 RETURNING batch) ",
                add!("0", "1", "0", "state"),
                "WHERE id IN (SELECT batch FROM mine)"
            ),
            Settlement::Keep(_) => {
                "UPDATE batch_items SET due_at = now() + make_interval(secs => $4) \
                 WHERE batch = $1 AND idx = $2 AND lease = $3"
            }
            Settlement::Later { .. } => {
                "UPDATE batch_items SET lease = NULL, due_at = now() + make_interval(secs => $4), tries = tries - $5 \
                 WHERE batch = $1 AND idx = $2 AND lease = $3"
            }
        });
        let query = query
            .bind(ticket.batch.0)
            .bind(i32::try_from(ticket.index).unwrap_or(i32::MAX))
            .bind(ticket.lease);
        let query = match settlement {
            Settlement::Succeeded(document) => query.bind(document),
            Settlement::Failed { document, is_final } => query.bind(document).bind(is_final),
            Settlement::Keep(lease) => query.bind(lease.as_secs_f64()),
            Settlement::Later { after, counts } => query.bind(after.as_secs_f64()).bind(i32::from(!counts)),
        };
        Ok(self.pool.execute(query).await? > 0)
    }
}

impl PgStore {
    async fn is_there(&self, cx: &Context, id: BatchId) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT 1 FROM batches WHERE id = $1 AND tenant = $2");
        let row = self
            .pool
            .fetch_optional(query.bind(id.0).bind(cx.tenant.as_str()))
            .await?;
        Ok(row.is_some())
    }

    /// True if it is there and no draft any more.
    async fn is_kept(&self, cx: &Context, id: BatchId) -> Result<bool, StoreError> {
        Ok(self.read(cx, id, Page::NONE).await?.is_some())
    }

    async fn has_to_retry(&self, cx: &Context, id: BatchId, all: bool) -> Result<bool, StoreError> {
        let query = sqlx::query(concat!("SELECT 1 FROM batch_items WHERE ", to_retry!(), "LIMIT 1"));
        let query = query.bind(id.0).bind(cx.tenant.as_str()).bind(all);
        let row = self.pool.fetch_optional(query).await?;
        Ok(row.is_some())
    }

    /// That there is no room.
    async fn full(&self, cx: &Context, most: u64) -> Result<StoreError, StoreError> {
        let query = sqlx::query(
            "SELECT COALESCE(SUM(total - succeeded - failed - cancelled), 0)::bigint AS open FROM batches \
             WHERE tenant = $1 AND finished_at IS NULL AND (state <> 'draft' OR draft_until > now())",
        );
        let row = self.pool.fetch_optional(query.bind(cx.tenant.as_str())).await?;
        let open = row
            .map(|row| row.try_get::<i64, _>("open"))
            .transpose()
            .map_err(fault)?;
        let open = open.and_then(|open| u64::try_from(open).ok()).unwrap_or_default();
        Ok(StoreError::Full { open, most })
    }

    async fn add_items(&self, cx: &Context, batch: BatchId, first: i32, items: &[NewItem]) -> Result<(), StoreError> {
        // Only into a draft: a repeated submission must not touch a batch that is being worked on.
        let query = sqlx::query(
            "INSERT INTO batch_items (batch, tenant, due_at, idx, custom_id, caption, user_id, request) \
             SELECT $1, $2, $3, $4 + place::integer - 1, custom_id, caption, user_id, request \
             FROM unnest($5::text[], $6::uuid[], $7::text[], $8::text[]) \
             WITH ORDINALITY AS item (custom_id, caption, user_id, request, place) \
             WHERE EXISTS (SELECT 1 FROM batches WHERE id = $1 AND tenant = $2 AND state = 'draft') \
             ON CONFLICT DO NOTHING",
        );
        let custom_ids: Vec<&str> = items.iter().map(|item| item.custom_id.as_str()).collect();
        let captions: Vec<Uuid> = items.iter().map(|item| item.caption.0).collect();
        let users: Vec<Option<&str>> = items
            .iter()
            .map(|item| item.user.as_ref().map(UserId::as_str))
            .collect();
        let requests: Vec<&str> = items.iter().map(|item| item.request.as_str()).collect();
        let query = query
            .bind(batch.0)
            .bind(cx.tenant.as_str())
            .bind(to_microsecond(cx.now))
            .bind(first)
            .bind(custom_ids)
            .bind(captions)
            .bind(users)
            .bind(requests);
        self.pool.execute(query).await?;
        Ok(())
    }

    /// Ends what is cancelled or out of time, removes what was over long ago, and says what is to be told and how much
    /// waits.
    async fn tidy(&self, tidy: Tidy) -> Result<Taken, StoreError> {
        let cancelled = sqlx::query(concat!(
            "WITH hit AS (UPDATE batch_items AS item SET state = 'cancelled', due_at = NULL, lease = NULL FROM batches \
             WHERE finished_at IS NULL AND batches.state = 'cancelling' AND item.batch = id AND due_at IS NOT NULL \
             AND (lease IS NULL OR due_at <= now()) RETURNING item.batch), \
             counted AS (SELECT batch, count(*)::integer AS hits FROM hit GROUP BY batch) ",
            add!("0", "0", "hits", "state"),
            "FROM counted WHERE id = batch AND finished_at IS NULL"
        ));
        self.pool.execute(cancelled).await?;
        let expired = sqlx::query(concat!(
            "WITH hit AS (UPDATE batch_items AS item SET state = 'expired', due_at = NULL, lease = NULL FROM batches \
             WHERE finished_at IS NULL AND expires_at <= now() AND batches.state <> 'draft' AND item.batch = id \
             AND due_at IS NOT NULL AND (lease IS NULL OR due_at <= now()) RETURNING item.batch), \
             counted AS (SELECT batch, count(*)::integer AS hits FROM hit GROUP BY batch) ",
            add!("0", "0", "hits", "state"),
            "FROM counted WHERE id = batch AND finished_at IS NULL"
        ));
        self.pool.execute(expired).await?;
        // Their items go with them: as many as the largest batch has, so that no statement takes too long, and many small
        // batches, so that removing keeps up with submitting.
        let old = sqlx::query(
            "DELETE FROM batches WHERE id IN (SELECT id FROM (SELECT id, sum(total) OVER (ORDER BY finished_at, id) AS items \
             FROM (SELECT id, total, finished_at FROM batches WHERE finished_at <= now() - make_interval(secs => $1) \
             AND notify_at IS NULL ORDER BY finished_at, id LIMIT $2) AS oldest) AS summed WHERE items <= $3)",
        );
        let old = old.bind(tidy.retention.as_secs_f64()).bind(OLD_AT_ONCE);
        self.pool.execute(old.bind(number(MAX_ITEMS)?)).await?;
        let drafts = sqlx::query(
            "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE finished_at IS NULL AND state = 'draft' \
             AND draft_until <= now() LIMIT 1)",
        );
        self.pool.execute(drafts).await?;
        let told = sqlx::query(concat!(
            "UPDATE batches SET notify_at = now() + make_interval(secs => $1), notify_tries = notify_tries + 1 \
             WHERE id IN (SELECT id FROM batches WHERE notify_at <= now() ORDER BY notify_at LIMIT $2 \
             FOR UPDATE SKIP LOCKED) RETURNING notify, notify_tries, ",
            columns!()
        ));
        let notices = self
            .pool
            .fetch_all(told.bind(tidy.lease.as_secs_f64()).bind(NOTICES))
            .await?;
        let waiting = sqlx::query(
            "SELECT count(*) AS batches, coalesce(sum(total - succeeded - failed - cancelled), 0)::bigint AS items, \
             min(created_at) AS oldest FROM batches WHERE finished_at IS NULL AND state <> 'draft'",
        );
        let waiting = self.pool.fetch_optional(waiting).await?;
        Ok(Taken {
            items: Vec::new(),
            notices: notices.iter().map(notice_of).collect::<Result<_, _>>().map_err(fault)?,
            backlog: waiting.map(|row| backlog_of(&row)).transpose().map_err(fault)?,
        })
    }
}

fn most(open: u64) -> i64 {
    i64::try_from(open).unwrap_or(i64::MAX)
}

fn number(count: usize) -> Result<i32, StoreError> {
    i32::try_from(count).map_err(|error| Fault::because(FaultKind::Internal, error).into())
}

fn batch_of(row: &PgRow) -> Result<Batch, Error> {
    let state: &str = row.try_get("state")?;
    let count = |name| Ok::<u32, Error>(u32::try_from(row.try_get::<i32, _>(name)?).unwrap_or_default());
    Ok(Batch {
        id: BatchId(row.try_get("id")?),
        state: BatchState::of_name(state).ok_or_else(|| unknown(state))?,
        counts: Counts {
            total: count("total")?,
            succeeded: count("succeeded")?,
            failed: count("failed")?,
            cancelled: count("cancelled")?,
        },
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// `None`: it has no outcome yet.
fn outcome_of(row: &PgRow) -> Result<Option<Outcome>, Error> {
    let state: &str = row.try_get("state")?;
    if state == "open" {
        return Ok(None);
    }
    Ok(Some(Outcome {
        index: index_of(row)?,
        custom_id: row.try_get("custom_id")?,
        status: ItemStatus::of_name(state).ok_or_else(|| unknown(state))?,
        document: row.try_get("outcome")?,
        reclaimed: row.try_get("reclaimed")?,
    }))
}

fn claimed_of(row: &PgRow) -> Result<Claimed, Error> {
    Ok(Claimed {
        ticket: Ticket {
            batch: BatchId(row.try_get("batch")?),
            index: index_of(row)?,
            lease: row.try_get("lease")?,
        },
        tenant: tenant_of(row)?,
        payer: payer_of(row.try_get("payer")?)?,
        caption: CaptionId(row.try_get("caption")?),
        request: row.try_get("request")?,
        tries: u32::try_from(row.try_get::<i32, _>("tries")?).unwrap_or_default(),
        reclaimed: row.try_get("reclaimed")?,
    })
}

fn notice_of(row: &PgRow) -> Result<Notice, Error> {
    Ok(Notice {
        tenant: tenant_of(row)?,
        batch: batch_of(row)?,
        receiver: receiver_of(row.try_get("notify")?)?,
        tries: u32::try_from(row.try_get::<i32, _>("notify_tries")?).unwrap_or_default(),
    })
}

fn backlog_of(row: &PgRow) -> Result<Backlog, Error> {
    let count = |name| Ok::<u64, Error>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default());
    Ok(Backlog {
        batches: count("batches")?,
        items: count("items")?,
        oldest: row.try_get("oldest")?,
    })
}

fn index_of(row: &PgRow) -> Result<u32, Error> {
    u32::try_from(row.try_get::<i32, _>("idx")?).map_err(|error| Error::Decode(error.into()))
}

fn tenant_of(row: &PgRow) -> Result<TenantId, Error> {
    TenantId::new(row.try_get("tenant")?).map_err(|invalid: Invalid| Error::Decode(invalid.into()))
}

fn unknown(name: &str) -> Error {
    Error::Decode(format!("there is no state {name}").into())
}

fn payer_of(text: Option<&str>) -> Result<Option<Payer>, Error> {
    let payer = text.map(serde_json::from_str).transpose();
    payer.map_err(|error| Error::Decode(error.into()))
}

fn notify_text(receiver: &Receiver) -> String {
    json!({ "url": receiver.url, "secret": receiver.secret }).to_string()
}

fn receiver_of(text: &str) -> Result<Receiver, Error> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| Error::Decode(error.into()))?;
    let part = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Ok(Receiver {
        url: part("url"),
        secret: part("secret"),
    })
}

#[cfg(test)]
mod tests;
