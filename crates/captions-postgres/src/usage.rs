//! Usage in the tables `usage_sums` and `usage_batches`.

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::StoreError,
    money::Money,
    ports::UsageStore,
    request::{Invalid, UserId},
    usage::{Amounts, Batch, Group, Hour, KNOWN, Query},
};
use sqlx::{Error, Row as _, postgres::PgRow, types::Json};

use crate::{fault::fault, store::PgStore};

#[async_trait]
impl UsageStore for PgStore {
    async fn add(&self, _: &Context, batch: &Batch) -> Result<(), StoreError> {
        let query = sqlx::query("SELECT captions_add_usage($1, $2, $3 * interval '1 second')");
        let query = query.bind(batch.id).bind(Json(&batch.rows)).bind(KNOWN.whole_seconds());
        self.pool.execute(query).await?;
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
            "SELECT * FROM (SELECT hour - hour % $4 AS piece, CASE WHEN $5 THEN provider ELSE '' END AS by_provider, \
             CASE WHEN $6 THEN model ELSE '' END AS by_model, CASE WHEN $7 THEN user_id ELSE '' END AS by_user, \
             CASE WHEN $8 THEN key_family ELSE '' END AS by_key, \
             sum(requests)::bigint AS requests, sum(captions)::bigint AS captions, sum(calls)::bigint AS calls, \
             sum(unpriced_calls)::bigint AS unpriced_calls, sum(input_tokens)::bigint AS input_tokens, \
             sum(output_tokens)::bigint AS output_tokens, sum(guessed_tokens)::bigint AS guessed_tokens, \
             sum(cost)::bigint AS cost, sum(cache_hits)::bigint AS cache_hits, \
             sum(saved_tokens)::bigint AS saved_tokens, sum(saved_cost)::bigint AS saved_cost \
             FROM usage_sums WHERE tenant = $1 AND hour >= $2 AND hour < $3 \
             GROUP BY 1, 2, 3, 4, 5) AS told \
             WHERE (piece, by_provider, by_model, by_user, by_key) > ($10, $11, $12, $13, $14) \
             ORDER BY 1, 2, 3, 4, 5 LIMIT $9",
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
        let rows = self.pool.fetch_all(query).await?;
        Ok(rows.iter().map(group_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn sweep(&self, _: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        let old = sqlx::query(
            "DELETE FROM usage_sums WHERE ctid = ANY (ARRAY( \
             SELECT ctid FROM usage_sums WHERE hour < $1 ORDER BY hour LIMIT $2 FOR UPDATE SKIP LOCKED))",
        );
        self.pool.execute(old.bind(before.0).bind(i64::from(limit))).await
    }
}

fn group_of(row: &PgRow) -> Result<Group, Error> {
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
