//! Batches in the tables `batches` and `batch_items`.
//!
//! A change of more than one statement is a transaction that begins as a writer. Leases and delays are counted by the
//! clock of this machine, which every process that uses the file has.

use std::time::Duration;

use async_trait::async_trait;
use captions_domain::{
    batch::{
        Backlog, Batch, BatchId, BatchState, Change, Claimed, Counts, ItemStatus, MAX_ITEMS, NewBatch, Notice, Outcome,
        Page, Payer, Receiver, Settlement, Taken, Ticket, Tidy, Turn,
    },
    caption::CaptionId,
    context::{Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    history::Extent,
    ports::BatchQueue,
    request::{Invalid, UserId},
};
use serde_json::json;
use sqlx::{Error, Row as _, Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    SqliteStore,
    fault::{fault, store_error},
    too_slow,
    users::{microseconds, time_of},
};

/// Receivers that one worker tells at a time.
const NOTICES: i64 = 10;
/// Batches that are removed at a time, at most.
const OLD_AT_ONCE: i64 = 200;

macro_rules! columns {
    () => {
        "id, tenant, state, total, succeeded, failed, cancelled, created_at, started_at, finished_at, expires_at"
    };
}

/// The items of the batch `?1` of the tenant `?2` that have failed, with `?3` also those that failed for good.
macro_rules! to_retry {
    () => {
        "state = 'failed' AND (is_final = 0 OR ?3) AND batch = (SELECT id FROM batches WHERE id = ?1 AND tenant = ?2 \
         AND state IN ('in_progress', 'completed', 'failed'))"
    };
}

#[async_trait]
impl BatchQueue for SqliteStore {
    async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError> {
        let total = i64::try_from(batch.items.len()).map_err(|error| Fault::because(FaultKind::Internal, error))?;
        // Thousands of rows are given the time of several statements.
        let limit = self.bound() + Duration::from_millis(batch.items.len() as u64);
        let all = async {
            let mut all = self.begin().await?;
            if let Some(most) = batch.most_open
                && !is_there(&mut all, cx, batch.id).await?
            {
                let open = open_items(&mut all, cx).await?;
                if open.saturating_add(batch.items.len() as u64) > most {
                    return Ok(Some((open, most)));
                }
            }
            let query = sqlx::query(
                "INSERT INTO batches (id, tenant, state, total, created_at, expires_at, notify, payer) \
                 VALUES (?, ?, 'queued', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            );
            let query = query
                .bind(batch.id.0)
                .bind(cx.tenant.as_str())
                .bind(total)
                .bind(microseconds(cx.now))
                .bind(microseconds(cx.now + batch.lives_for))
                .bind(batch.notify.as_ref().map(notify_text))
                .bind(batch.payer.as_ref().map(|payer| json!(payer).to_string()));
            if query.execute(&mut *all).await?.rows_affected() == 0 {
                return Ok(None);
            }
            for (index, item) in batch.items.iter().enumerate() {
                let query = sqlx::query(
                    "INSERT INTO batch_items (batch, idx, custom_id, caption, tenant, user_id, request, due_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                );
                let query = query
                    .bind(batch.id.0)
                    .bind(i64::try_from(index).unwrap_or(i64::MAX))
                    .bind(&item.custom_id)
                    .bind(item.caption.0)
                    .bind(cx.tenant.as_str())
                    .bind(item.user.as_ref().map(UserId::as_str))
                    .bind(&item.request)
                    .bind(microseconds(cx.now));
                query.execute(&mut *all).await?;
            }
            all.commit().await?;
            Ok(None)
        };
        let full = timeout(limit, all)
            .await
            .map_err(|_| too_slow())?
            .map_err(store_error)?;
        room(full)
    }

    async fn list(&self, cx: &Context, before: Option<BatchId>, limit: u32) -> Result<Vec<Batch>, StoreError> {
        // Two statements, so that both can follow the index.
        let query = sqlx::query(match before {
            None => concat!(
                "SELECT ",
                columns!(),
                " FROM batches WHERE tenant = ?1 ORDER BY id DESC LIMIT ?2"
            ),
            Some(_) => concat!(
                "SELECT ",
                columns!(),
                " FROM batches WHERE tenant = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?2"
            ),
        });
        let query = query.bind(cx.tenant.as_str()).bind(i64::from(limit));
        let query = match before {
            None => query,
            Some(id) => query.bind(id.0),
        };
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(batch_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn read(&self, cx: &Context, id: BatchId, page: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM batches WHERE id = ? AND tenant = ?"
        ));
        let row = self.fetch_optional(query.bind(id.0).bind(cx.tenant.as_str())).await?;
        let Some(row) = row else { return Ok(None) };
        let batch = batch_of(&row).map_err(fault)?;
        if page.limit == 0 {
            return Ok(Some((batch, Vec::new())));
        }
        let query = sqlx::query(
            "SELECT idx, custom_id, state, outcome, reclaimed FROM batch_items WHERE batch = ? AND idx > ? \
             ORDER BY idx LIMIT ?",
        );
        let after = page.after.map_or(-1, i64::from);
        let rows = self
            .fetch_all(query.bind(id.0).bind(after).bind(i64::from(page.limit)))
            .await?;
        let outcomes: Result<Vec<Option<Outcome>>, Error> = rows.iter().map(outcome_of).collect();
        let outcomes = outcomes.map_err(fault)?.into_iter().map_while(|outcome| outcome);
        Ok(Some((batch, outcomes.collect())))
    }

    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError> {
        let now = now();
        let all = async {
            let mut all = self.begin().await?;
            let mut full = None;
            match change {
                Change::Cancel => cancel(&mut all, cx, id, now).await?,
                Change::RetryFailed {
                    all: also_final,
                    most_open,
                } => {
                    full = retry_failed(&mut all, cx, id, now, (also_final, most_open)).await?;
                }
                // A batch is submitted in one transaction: there are no drafts.
                Change::Discard => {}
                Change::Told => {
                    let query = sqlx::query("UPDATE batches SET notify_at = NULL WHERE id = ? AND tenant = ?");
                    query.bind(id.0).bind(cx.tenant.as_str()).execute(&mut *all).await?;
                }
                Change::TellLater(wait) => {
                    let query = sqlx::query(
                        "UPDATE batches SET notify_at = ? WHERE id = ? AND tenant = ? AND finished_at IS NOT NULL",
                    );
                    let query = query.bind(later(now, wait)).bind(id.0).bind(cx.tenant.as_str());
                    query.execute(&mut *all).await?;
                }
            }
            all.commit().await?;
            Ok(full)
        };
        room(self.whole(all).await?)?;
        Ok(self.read(cx, id, Page::NONE).await?.map(|(batch, _)| batch))
    }

    async fn claim(&self, _: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        let mut taken = match turn.tidy {
            Some(tidy) => self.tidy(tidy).await?,
            None => Taken::default(),
        };
        if turn.items > 0 && self.has_due(turn).await? {
            let now = now();
            let all = async {
                let mut all = self.begin().await?;
                let items = lease(&mut all, turn, now).await?;
                all.commit().await?;
                Ok(items)
            };
            taken.items = self.whole(all).await?;
        }
        Ok(taken)
    }

    async fn settle(&self, _: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError> {
        let now = now();
        let all = async {
            let mut all = self.begin().await?;
            let is_held = settle(&mut all, ticket, settlement, now).await?;
            all.commit().await?;
            Ok(is_held)
        };
        self.whole(all).await
    }
}

impl SqliteStore {
    async fn begin(&self) -> Result<Transaction<'_, Sqlite>, Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    async fn whole<T>(&self, all: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let done = timeout(self.bound(), all).await;
        done.map_err(|_| too_slow())?.map_err(store_error)
    }

    /// Reads first: who finds nothing must not stand in the line of those who write.
    async fn has_due(&self, turn: &Turn) -> Result<bool, StoreError> {
        let query = sqlx::query(DUE)
            .bind(now())
            .bind(held(turn))
            .bind(turn.only.map(|id| id.0));
        Ok(self.fetch_optional(query).await?.is_some())
    }

    async fn tidy(&self, tidy: Tidy) -> Result<Taken, StoreError> {
        let now = now();
        let all = async {
            let mut all = self.begin().await?;
            let over = sqlx::query(
                "SELECT id, state FROM batches WHERE finished_at IS NULL AND (state = 'cancelling' OR expires_at <= ?)",
            );
            for row in over.bind(now).fetch_all(&mut *all).await? {
                let (id, state): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
                let ends_as = if state == "cancelling" { "cancelled" } else { "expired" };
                end_waiting(&mut all, id, ends_as, now).await?;
            }
            // Their items go with them: as many as the largest batch has, so that nobody waits long for the file, and many
            // small batches, so that removing keeps up with submitting.
            let old = sqlx::query(
                "DELETE FROM batches WHERE id IN (SELECT id FROM (SELECT id, sum(total) OVER (ORDER BY finished_at, id) \
                 AS items FROM (SELECT id, total, finished_at FROM batches WHERE finished_at <= ? AND notify_at IS NULL \
                 ORDER BY finished_at, id LIMIT ?)) WHERE items <= ?)",
            );
            let most = i64::try_from(MAX_ITEMS).unwrap_or(i64::MAX);
            let old = old.bind(earlier(now, tidy.retention)).bind(OLD_AT_ONCE).bind(most);
            old.execute(&mut *all).await?;
            let told = sqlx::query(concat!(
                "UPDATE batches SET notify_at = ?1, notify_tries = notify_tries + 1 WHERE id IN (SELECT id FROM batches \
                 WHERE notify_at <= ?2 ORDER BY notify_at LIMIT ?3) RETURNING notify, notify_tries, ",
                columns!()
            ));
            let told = told.bind(later(now, tidy.lease)).bind(now).bind(NOTICES);
            let notices: Result<Vec<Notice>, Error> = told.fetch_all(&mut *all).await?.iter().map(notice_of).collect();
            let waiting = sqlx::query(
                "SELECT count(*) AS batches, coalesce(sum(total - succeeded - failed - cancelled), 0) AS items, \
                 min(created_at) AS oldest FROM batches WHERE finished_at IS NULL",
            );
            let backlog = backlog_of(&waiting.fetch_one(&mut *all).await?)?;
            all.commit().await?;
            Ok(Taken {
                items: Vec::new(),
                notices: notices?,
                backlog: Some(backlog),
            })
        };
        self.whole(all).await
    }
}

/// Removes what batches keep of the erased captions, and of their user: an item that is not over fails then, and what is
/// being written of it is not kept.
pub(super) async fn forget(store: &SqliteStore, cx: &Context, extent: &Extent) -> Result<u64, StoreError> {
    let query = match extent {
        Extent::One(id) => sqlx::query(
            "UPDATE batch_items SET request = '', outcome = NULL WHERE caption = ?2 AND tenant = ?1 AND due_at IS NULL \
             AND (request <> '' OR outcome IS NOT NULL)",
        )
        .bind(cx.tenant.as_str())
        .bind(id.0),
        Extent::OfUser(user) => sqlx::query(
            "UPDATE batch_items SET request = '', outcome = NULL, lease = NULL, \
             due_at = CASE WHEN lease IS NULL THEN due_at ELSE ?3 END WHERE tenant = ?1 AND user_id = ?2 \
             AND (request <> '' OR outcome IS NOT NULL OR lease IS NOT NULL)",
        )
        .bind(cx.tenant.as_str())
        .bind(user.as_str())
        .bind(now()),
    };
    store.execute(query).await
}

/// A batch that has something due at `?1`, is none of `?2` and is `?3` if that is given.
const DUE: &str = "SELECT id, payer FROM batches WHERE finished_at IS NULL AND state IN ('queued', 'in_progress') \
     AND expires_at > ?1 AND hex(id) NOT IN (SELECT value FROM json_each(?2)) AND (?3 IS NULL OR id = ?3) \
     AND EXISTS (SELECT 1 FROM batch_items WHERE batch = batches.id AND due_at <= ?1) ORDER BY random() LIMIT 1";

/// Leases, until `?3`, what is due next of the batch `?1` at `?2`: `?4` items at most.
const LEASE: &str = "UPDATE batch_items SET reclaimed = reclaimed OR lease IS NOT NULL, tries = tries + 1, \
     lease = randomblob(16), due_at = ?3 WHERE batch = ?1 AND idx IN (SELECT idx FROM batch_items WHERE batch = ?1 \
     AND due_at <= ?2 ORDER BY due_at, idx LIMIT ?4) \
     RETURNING batch, idx, tenant, caption, request, lease, tries, reclaimed";

fn held(turn: &Turn) -> String {
    let held = turn.held.iter().map(|id| format!("{:X}", id.0.simple()));
    json!(held.collect::<Vec<_>>()).to_string()
}

async fn lease(all: &mut SqliteConnection, turn: &Turn, now: i64) -> Result<Vec<Claimed>, Error> {
    let chosen = sqlx::query(DUE)
        .bind(now)
        .bind(held(turn))
        .bind(turn.only.map(|id| id.0));
    let Some(row) = chosen.fetch_optional(&mut *all).await? else {
        return Ok(Vec::new());
    };
    let batch: Uuid = row.try_get(0)?;
    let payer = payer_of(row.try_get(1)?)?;
    let begun =
        sqlx::query("UPDATE batches SET state = 'in_progress', started_at = ? WHERE id = ? AND state = 'queued'");
    begun.bind(now).bind(batch).execute(&mut *all).await?;
    let query = sqlx::query(LEASE)
        .bind(batch)
        .bind(now)
        .bind(later(now, turn.lease))
        .bind(i64::from(turn.items));
    let mut items: Vec<Claimed> = query
        .fetch_all(&mut *all)
        .await?
        .iter()
        .map(|row| claimed_of(row, payer.clone()))
        .collect::<Result<_, _>>()?;
    items.sort_by_key(|item| item.ticket.index);
    Ok(items)
}

async fn settle(all: &mut SqliteConnection, ticket: &Ticket, how: &Settlement, now: i64) -> Result<bool, Error> {
    let (state, document, is_final) = match how {
        Settlement::Succeeded(document) => ("succeeded", document, false),
        Settlement::Failed { document, is_final } => ("failed", document, *is_final),
        Settlement::Keep(lease) => {
            let query = sqlx::query("UPDATE batch_items SET due_at = ? WHERE batch = ? AND idx = ? AND lease = ?");
            let query = query
                .bind(later(now, *lease))
                .bind(ticket.batch.0)
                .bind(i64::from(ticket.index))
                .bind(ticket.lease);
            return Ok(query.execute(all).await?.rows_affected() > 0);
        }
        Settlement::Later { after, counts } => {
            let query = sqlx::query(
                "UPDATE batch_items SET lease = NULL, due_at = ?, tries = tries - ? WHERE batch = ? AND idx = ? AND lease = ?",
            );
            let query = query
                .bind(later(now, *after))
                .bind(i64::from(!counts))
                .bind(ticket.batch.0)
                .bind(i64::from(ticket.index))
                .bind(ticket.lease);
            return Ok(query.execute(all).await?.rows_affected() > 0);
        }
    };
    let query = sqlx::query(
        "UPDATE batch_items SET state = ?, outcome = ?, is_final = ?, due_at = NULL, lease = NULL \
         WHERE batch = ? AND idx = ? AND lease = ?",
    );
    let query = query
        .bind(state)
        .bind(document)
        .bind(is_final)
        .bind(ticket.batch.0)
        .bind(i64::from(ticket.index))
        .bind(ticket.lease);
    if query.execute(&mut *all).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let succeeded = i64::from(state == "succeeded");
    add(all, ticket.batch.0, succeeded, 1 - succeeded, 0, now).await?;
    Ok(true)
}

async fn cancel(all: &mut SqliteConnection, cx: &Context, id: BatchId, now: i64) -> Result<(), Error> {
    let query =
        sqlx::query("UPDATE batches SET state = 'cancelling' WHERE id = ? AND tenant = ? AND finished_at IS NULL");
    let is_open = query.bind(id.0).bind(cx.tenant.as_str()).execute(&mut *all).await?;
    if is_open.rows_affected() == 0 {
        return Ok(());
    }
    end_waiting(all, id.0, "cancelled", now).await
}

/// Items of the tenant without an outcome.
async fn open_items(all: &mut SqliteConnection, cx: &Context) -> Result<u64, Error> {
    let query = sqlx::query(
        "SELECT coalesce(sum(total - succeeded - failed - cancelled), 0) FROM batches \
         WHERE tenant = ? AND finished_at IS NULL",
    );
    let row = query.bind(cx.tenant.as_str()).fetch_one(all).await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
}

async fn is_there(all: &mut SqliteConnection, cx: &Context, id: BatchId) -> Result<bool, Error> {
    let query = sqlx::query("SELECT 1 FROM batches WHERE id = ? AND tenant = ?");
    let row = query.bind(id.0).bind(cx.tenant.as_str()).fetch_optional(all).await?;
    Ok(row.is_some())
}

/// `full`: how many are open, and how many may be.
fn room(full: Option<(u64, u64)>) -> Result<(), StoreError> {
    match full {
        Some((open, most)) => Err(StoreError::Full { open, most }),
        None => Ok(()),
    }
}

/// `Some`: there is no room for it.
async fn retry_failed(
    all: &mut SqliteConnection,
    cx: &Context,
    id: BatchId,
    now: i64,
    (also_final, most_open): (bool, Option<u64>),
) -> Result<Option<(u64, u64)>, Error> {
    if let Some(most) = most_open {
        let query = sqlx::query(concat!("SELECT count(*) FROM batch_items WHERE ", to_retry!()));
        let query = query.bind(id.0).bind(cx.tenant.as_str()).bind(also_final);
        let row = query.fetch_one(&mut *all).await?;
        let wanted = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        let open = open_items(all, cx).await?;
        if wanted > 0 && open.saturating_add(wanted) > most {
            return Ok(Some((open, most)));
        }
    }
    let query = sqlx::query(concat!(
        "UPDATE batch_items SET state = 'open', due_at = ?4, lease = NULL, tries = 0, outcome = NULL WHERE ",
        to_retry!()
    ));
    let query = query.bind(id.0).bind(cx.tenant.as_str()).bind(also_final).bind(now);
    let hits = query.execute(&mut *all).await?.rows_affected();
    if hits == 0 {
        return Ok(None);
    }
    let query = sqlx::query(
        "UPDATE batches SET failed = failed - ?1, state = 'in_progress', finished_at = NULL, notify_at = NULL, \
         notify_tries = 0, expires_at = max(expires_at, ?2 + expires_at - created_at) WHERE id = ?3",
    );
    let hits = i64::try_from(hits).unwrap_or(i64::MAX);
    query.bind(hits).bind(now).bind(id.0).execute(all).await?;
    Ok(None)
}

/// Ends the items of a batch that nobody holds.
async fn end_waiting(all: &mut SqliteConnection, batch: Uuid, state: &str, now: i64) -> Result<(), Error> {
    let query = sqlx::query(
        "UPDATE batch_items SET state = ?1, due_at = NULL, lease = NULL WHERE batch = ?2 AND due_at IS NOT NULL \
         AND (lease IS NULL OR due_at <= ?3)",
    );
    let hits = query.bind(state).bind(batch).bind(now).execute(&mut *all).await?;
    let hits = i64::try_from(hits.rows_affected()).unwrap_or(i64::MAX);
    add(all, batch, 0, 0, hits, now).await
}

/// Adds to the counts of a batch, and ends it if nothing of it is left.
async fn add(
    all: &mut SqliteConnection,
    batch: Uuid,
    succeeded: i64,
    failed: i64,
    cancelled: i64,
    now: i64,
) -> Result<(), Error> {
    let query = sqlx::query(
        "UPDATE batches SET succeeded = succeeded + ?1, failed = failed + ?2, cancelled = cancelled + ?3 WHERE id = ?4",
    );
    let query = query.bind(succeeded).bind(failed).bind(cancelled).bind(batch);
    query.execute(&mut *all).await?;
    let query = sqlx::query(
        "UPDATE batches SET finished_at = ?1, notify_at = CASE WHEN notify IS NOT NULL THEN ?1 END, state = CASE \
         WHEN cancelled > 0 AND state = 'cancelling' THEN 'cancelled' WHEN cancelled > 0 THEN 'expired' \
         WHEN succeeded = 0 THEN 'failed' ELSE 'completed' END \
         WHERE id = ?2 AND finished_at IS NULL AND succeeded + failed + cancelled >= total",
    );
    query.bind(now).bind(batch).execute(all).await?;
    Ok(())
}

fn now() -> i64 {
    microseconds(OffsetDateTime::now_utc())
}

fn later(now: i64, wait: Duration) -> i64 {
    now.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

fn earlier(now: i64, by: Duration) -> i64 {
    now.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

fn batch_of(row: &SqliteRow) -> Result<Batch, Error> {
    let state: &str = row.try_get("state")?;
    let count = |name| Ok::<u32, Error>(u32::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default());
    let when = |name| row.try_get::<Option<i64>, _>(name)?.map(time_of).transpose();
    Ok(Batch {
        id: BatchId(row.try_get("id")?),
        state: BatchState::of_name(state).ok_or_else(|| unknown(state))?,
        counts: Counts {
            total: count("total")?,
            succeeded: count("succeeded")?,
            failed: count("failed")?,
            cancelled: count("cancelled")?,
        },
        created_at: time_of(row.try_get("created_at")?)?,
        started_at: when("started_at")?,
        finished_at: when("finished_at")?,
        expires_at: time_of(row.try_get("expires_at")?)?,
    })
}

/// `None`: it has no outcome yet.
fn outcome_of(row: &SqliteRow) -> Result<Option<Outcome>, Error> {
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

fn claimed_of(row: &SqliteRow, payer: Option<Payer>) -> Result<Claimed, Error> {
    Ok(Claimed {
        ticket: Ticket {
            batch: BatchId(row.try_get("batch")?),
            index: index_of(row)?,
            lease: row.try_get("lease")?,
        },
        tenant: tenant_of(row)?,
        payer,
        caption: CaptionId(row.try_get("caption")?),
        request: row.try_get("request")?,
        tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or_default(),
        reclaimed: row.try_get("reclaimed")?,
    })
}

fn notice_of(row: &SqliteRow) -> Result<Notice, Error> {
    Ok(Notice {
        tenant: tenant_of(row)?,
        batch: batch_of(row)?,
        receiver: receiver_of(row.try_get("notify")?)?,
        tries: u32::try_from(row.try_get::<i64, _>("notify_tries")?).unwrap_or_default(),
    })
}

fn backlog_of(row: &SqliteRow) -> Result<Backlog, Error> {
    let count = |name| Ok::<u64, Error>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default());
    Ok(Backlog {
        batches: count("batches")?,
        items: count("items")?,
        oldest: row.try_get::<Option<i64>, _>("oldest")?.map(time_of).transpose()?,
    })
}

fn index_of(row: &SqliteRow) -> Result<u32, Error> {
    u32::try_from(row.try_get::<i64, _>("idx")?).map_err(|error| Error::Decode(error.into()))
}

fn tenant_of(row: &SqliteRow) -> Result<TenantId, Error> {
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
