//! Usage in the tables `usage_sums` and `usage_batches`.

use std::fmt::Write as _;

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::StoreError,
    history::Extent,
    money::Money,
    ports::UsageStore,
    request::{Invalid, UserId},
    usage::{Amounts, Batch, Group, Hour, KNOWN, Query, Row},
};
use serde::Serialize;
use sqlx::{Error, Row as _, sqlite::SqliteRow, types::Json};
use time::OffsetDateTime;

use super::{SqliteStore, fault::fault, users::microseconds};

/// What becomes of a row that is there.
macro_rules! added {
    ($before:expr) => {
        concat!(
            "INSERT INTO usage_sums (tenant, hour, user_id, key_family, provider, model, requests, captions, calls, \
             unpriced_calls, input_tokens, output_tokens, guessed_tokens, cost, cache_hits, saved_tokens, saved_cost) ",
            $before,
            " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, captions = captions + excluded.captions, \
             calls = calls + excluded.calls, unpriced_calls = unpriced_calls + excluded.unpriced_calls, \
             input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, \
             guessed_tokens = guessed_tokens + excluded.guessed_tokens, cost = cost + excluded.cost, \
             cache_hits = cache_hits + excluded.cache_hits, saved_tokens = saved_tokens + excluded.saved_tokens, \
             saved_cost = saved_cost + excluded.saved_cost"
        )
    };
}

/// A row with what its user is called among the erasures.
#[derive(Serialize)]
struct Named<'r> {
    #[serde(flatten)]
    row: &'r Row,
    subject: Option<String>,
}

#[async_trait]
impl UsageStore for SqliteStore {
    async fn add(&self, _: &Context, batch: &Batch) -> Result<(), StoreError> {
        let now = microseconds(OffsetDateTime::now_utc());
        let known = sqlx::query("INSERT INTO usage_batches (id, added_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        let named = batch.rows.iter().map(|row| {
            let user = row.place.user.clone();
            let subject = user.map(|user| Extent::OfUser(user).digest(&row.place.tenant));
            Named {
                row,
                subject: subject.map(|digest| hex(&digest)),
            }
        });
        // WHERE true: else ON would be taken for a part of the join.
        let add = sqlx::query(added!(
            "SELECT value ->> 'tenant', value ->> 'hour', \
             CASE WHEN value ->> 'user' IS NULL OR EXISTS (SELECT 1 FROM erasures WHERE tenant = value ->> 'tenant' \
             AND subject = unhex(value ->> 'subject') AND before > value ->> 'since') THEN '' ELSE value ->> 'user' END, \
             coalesce(value ->> 'key', ''), coalesce(value ->> 'provider', ''), coalesce(value ->> 'model', ''), \
             value ->> 'requests', value ->> 'captions', value ->> 'calls', value ->> 'unpriced_calls', \
             value ->> 'input_tokens', value ->> 'output_tokens', value ->> 'guessed_tokens', value ->> 'cost', \
             value ->> 'cache_hits', value ->> 'saved_tokens', value ->> 'saved_cost' FROM json_each(?1) WHERE true"
        ));
        let add = add.bind(Json(named.collect::<Vec<_>>()));
        if self.execute_both(known.bind(batch.id).bind(now), add).await? > 0 {
            let old = sqlx::query(
                "DELETE FROM usage_batches WHERE rowid IN \
                 (SELECT rowid FROM usage_batches WHERE added_at < ? ORDER BY added_at LIMIT 100)",
            );
            let known = i64::try_from(KNOWN.whole_microseconds()).unwrap_or(i64::MAX);
            self.execute(old.bind(now - known)).await?;
        }
        Ok(())
    }

    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        let by = query.by;
        let (behind, names) = match &query.after {
            Some(mark) => (mark.hour.0, mark.names()),
            None => (i64::MIN, <[String; 4]>::default()),
        };
        let [provider, model, user, key] = names;
        let query = sqlx::query(
            "SELECT * FROM (SELECT hour - hour % ?4 AS piece, CASE WHEN ?5 THEN provider ELSE '' END AS by_provider, \
             CASE WHEN ?6 THEN model ELSE '' END AS by_model, CASE WHEN ?7 THEN user_id ELSE '' END AS by_user, \
             CASE WHEN ?8 THEN key_family ELSE '' END AS by_key, \
             sum(requests) AS requests, sum(captions) AS captions, sum(calls) AS calls, \
             sum(unpriced_calls) AS unpriced_calls, sum(input_tokens) AS input_tokens, \
             sum(output_tokens) AS output_tokens, sum(guessed_tokens) AS guessed_tokens, sum(cost) AS cost, \
             sum(cache_hits) AS cache_hits, sum(saved_tokens) AS saved_tokens, sum(saved_cost) AS saved_cost \
             FROM usage_sums WHERE tenant = ?1 AND hour >= ?2 AND hour < ?3 \
             GROUP BY 1, 2, 3, 4, 5) AS told \
             WHERE (piece, by_provider, by_model, by_user, by_key) > (?10, ?11, ?12, ?13, ?14) \
             ORDER BY 1, 2, 3, 4, 5 LIMIT ?9",
        )
        .bind(cx.tenant.as_str())
        .bind(query.start.0.max(behind))
        .bind(query.end.0)
        .bind(query.bucket.hours())
        .bind(by.provider)
        .bind(by.model)
        .bind(by.user)
        .bind(by.key)
        .bind(i64::from(limit))
        .bind(behind)
        .bind(provider)
        .bind(model)
        .bind(user)
        .bind(key);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(group_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn sweep(&self, _: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        let old = sqlx::query(
            "DELETE FROM usage_sums WHERE rowid IN (SELECT rowid FROM usage_sums WHERE hour < ? ORDER BY hour LIMIT ?)",
        );
        self.execute(old.bind(before.0).bind(i64::from(limit))).await
    }
}

/// The user's usage goes to where nobody is named. How many sums of it there were.
pub(super) async fn forget(store: &SqliteStore, cx: &Context, user: &UserId) -> Result<u64, StoreError> {
    let merge = sqlx::query(added!(
        "SELECT tenant, hour, '', key_family, provider, model, requests, captions, calls, unpriced_calls, input_tokens, \
         output_tokens, guessed_tokens, cost, cache_hits, saved_tokens, saved_cost FROM usage_sums \
         WHERE tenant = ?1 AND user_id = ?2 AND user_id <> ''"
    ));
    let remove = sqlx::query("DELETE FROM usage_sums WHERE tenant = ?1 AND user_id = ?2 AND user_id <> ''");
    let merge = merge.bind(cx.tenant.as_str()).bind(user.as_str());
    let remove = remove.bind(cx.tenant.as_str()).bind(user.as_str());
    store.execute_both(merge, remove).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn group_of(row: &SqliteRow) -> Result<Group, Error> {
    let invalid = |invalid: Invalid| Error::Decode(invalid.into());
    let text = |name: &str| -> Result<Option<String>, Error> {
        let text: String = row.try_get(name)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    let count = |name: &str| -> Result<u64, Error> {
        let count: i64 = row.try_get(name)?;
        u64::try_from(count).map_err(|error| Error::Decode(error.into()))
    };
    Ok(Group {
        hour: Hour(row.try_get("piece")?),
        provider: text("by_provider")?,
        model: text("by_model")?,
        user: text("by_user")?
            .map(|id| UserId::new(&id))
            .transpose()
            .map_err(invalid)?,
        key: text("by_key")?.map(|id| id.parse()).transpose().map_err(invalid)?,
        amounts: Amounts {
            requests: count("requests")?,
            captions: count("captions")?,
            calls: count("calls")?,
            unpriced_calls: count("unpriced_calls")?,
            input_tokens: count("input_tokens")?,
            output_tokens: count("output_tokens")?,
            guessed_tokens: count("guessed_tokens")?,
            cost: Money::from_micros(count("cost")?),
            cache_hits: count("cache_hits")?,
            saved_tokens: count("saved_tokens")?,
            saved_cost: Money::from_micros(count("saved_cost")?),
        },
    })
}
