//! The history in the table `captions`.

use std::time::Duration;

use async_trait::async_trait;
use captions_domain::{
    caption::{CaptionId, Record, Source},
    context::{Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    history::{Amendment, Extent, Filter, MARKED, Removed, searched},
    once::{Standing, Step},
    ports::{CacheKey, CaptionStore},
    request::{CampaignId, Description, Invalid, UserId},
};
use sqlx::{Error, Postgres, QueryBuilder, Row as _, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{fault::fault, once, store::PgStore, users::to_microsecond};

macro_rules! columns {
    () => {
        "id, request_id, user_id, campaign, description, wishes, caption, source, attempts, degraded, feedback, selected, \
         cached_under, version"
    };
}

/// A query for whole records of the tenant `$1`.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM captions WHERE tenant = $1 AND ", $rest)
    };
}

#[async_trait]
impl CaptionStore for PgStore {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO captions (tenant, id, request_id, user_id, campaign, description, caption, source, attempts, \
             degraded, feedback, created_at, selected, cached_under, version, searched, wishes) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING",
        );
        let query = query
            .bind(cx.tenant.as_str())
            .bind(record.id.0)
            .bind(&record.request_id)
            .bind(record.user.as_ref().map(UserId::as_str))
            .bind(record.campaign.as_ref().map(CampaignId::as_str))
            .bind(record.description.as_str())
            .bind(Json(&record.caption))
            .bind(record.source.as_str())
            .bind(i64::from(record.attempts))
            .bind(Json(&record.degraded))
            .bind(record.feedback.as_ref().map(Json))
            .bind(to_microsecond(record.caption.created_at))
            .bind(record.selected.map(i16::from))
            .bind(record.cached_under.as_ref().map(CacheKey::as_str))
            .bind(i64::try_from(record.version).unwrap_or(i64::MAX))
            .bind(searched(record))
            .bind(record.wishes.as_ref().map(Json));
        self.pool.execute(query).await?;
        Ok(())
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        let query = sqlx::query(select!("id = $2")).bind(cx.tenant.as_str()).bind(id.0);
        let row = self.pool.fetch_optional(query).await?;
        Ok(row.map(|row| record_of(&row)).transpose().map_err(fault)?)
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let mut query = QueryBuilder::new("");
        search(&mut query, &cx.tenant, filter, before, limit);
        let rows = self.pool.fetch_all(query.build()).await?;
        Ok(rows.iter().map(record_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        macro_rules! amend {
            ($column:literal) => {
                concat!(
                    "WITH amended AS (UPDATE captions SET ", $column, " = $4, version = version + CASE WHEN ", $column,
                    " IS DISTINCT FROM $4 THEN 1 ELSE 0 END WHERE tenant = $1 AND id = $2 \
                     AND ($3::bigint IS NULL OR version = $3) RETURNING version) \
                     SELECT amended.version FROM captions LEFT JOIN amended ON true WHERE tenant = $1 AND id = $2"
                )
            };
        }
        let expect = match expect {
            // No row has a version that does not fit the column.
            Some(version) => Some(i64::try_from(version).map_err(|_| StoreError::Conflict)?),
            None => None,
        };
        let query = sqlx::query(match amendment {
            Amendment::Feedback(_) => amend!("feedback"),
            Amendment::Selection(_) => amend!("selected"),
            Amendment::More(_) => {
                "WITH amended AS (UPDATE captions SET caption = jsonb_set(jsonb_set(caption, '{variants}', \
                 (caption -> 'variants') || $4), '{additions}', coalesce(caption -> 'additions', '[]') || $5), \
                 searched = searched || E'\n' || $7, version = version + 1 WHERE tenant = $1 AND id = $2 \
                 AND ($3::bigint IS NULL OR version = $3) AND NOT coalesce(caption -> 'additions', '[]') @> jsonb_build_array(jsonb_build_object('id', $6::text)) \
                 RETURNING version) \
                 SELECT coalesce(amended.version, CASE WHEN captions.caption -> 'additions' @> jsonb_build_array(jsonb_build_object('id', $6::text)) \
                 THEN captions.version END) AS version \
                 FROM captions LEFT JOIN amended ON true WHERE tenant = $1 AND id = $2"
            }
        });
        let query = query.bind(cx.tenant.as_str()).bind(id.0).bind(expect);
        let query = match amendment {
            Amendment::Feedback(feedback) => query.bind(Json(feedback)),
            Amendment::Selection(selected) => query.bind(selected.map(i16::from)),
            Amendment::More(more) => {
                let texts: Vec<&str> = more.variants.iter().map(|variant| variant.text.as_str()).collect();
                let query = query.bind(Json(&more.variants)).bind(Json([&more.addition]));
                let query = query.bind(more.addition.id.to_string());
                query.bind(texts.join("\n").to_lowercase())
            }
        };
        let Some(row) = self.pool.fetch_optional(query).await? else {
            return Ok(None);
        };
        let version: Option<i64> = row.try_get("version").map_err(fault)?;
        let version = version.ok_or(StoreError::Conflict)?;
        Ok(Some(version.try_into().map_err(number).map_err(fault)?))
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        let (one, whose, until) = match extent {
            Extent::One(id) => (Some(id.0), None, None),
            Extent::OfUser(user) => (None, Some(user.as_str()), Some(to_microsecond(cx.now))),
        };
        let query = sqlx::query(
            "SELECT erased, answers, items, usage FROM captions_forget($1, $2, $3, $4, $5 * interval '1 second')",
        );
        let query = query.bind(cx.tenant.as_str()).bind(one).bind(whose).bind(until);
        let query = query.bind(i64::try_from(MARKED.as_secs()).unwrap_or(i64::MAX));
        let Some(row) = self.pool.fetch_optional(query).await? else {
            return Err(Fault::new(FaultKind::Corrupt).into());
        };
        let count = |name| {
            row.try_get::<i64, _>(name)
                .and_then(|count| count.try_into().map_err(number))
        };
        Ok(Removed {
            captions: count("erased").map_err(fault)?,
            waiting: None,
            calls: count("answers").map_err(fault)?,
            items: count("items").map_err(fault)?,
            usage: count("usage").map_err(fault)?,
            cached: Some(0),
        })
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        once::take(self, cx, step).await
    }
}

/// Put together from what is looked for, so that each kind of search has a plan of its own.
fn search(
    query: &mut QueryBuilder<Postgres>,
    tenant: &TenantId,
    filter: &Filter,
    before: Option<CaptionId>,
    limit: u32,
) {
    query.push(concat!("SELECT ", columns!(), " FROM captions WHERE tenant = "));
    query.push_bind(tenant.as_str());
    if let Some(user) = &filter.user {
        query.push(" AND user_id = ").push_bind(user.as_str());
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before.0);
    }
    if let Some(first) = filter.first_id() {
        query.push(" AND id >= ").push_bind(first);
    }
    if let Some(end) = filter.end_id() {
        query.push(" AND id < ").push_bind(end);
    }
    if let Some(since) = filter.since {
        query.push(" AND created_at >= ").push_bind(up_to_microsecond(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND created_at < ").push_bind(up_to_microsecond(until));
    }
    if let Some(language) = &filter.language {
        query.push(" AND language >= ").push_bind(language.as_str());
    }
    if let Some(end) = filter.language_end() {
        query.push(" AND language < ").push_bind(end);
    }
    if let Some(provider) = &filter.provider {
        query.push(" AND provider = ").push_bind(provider.as_str());
    }
    if let Some(platform) = filter.platform {
        query.push(" AND platform = ").push_bind(platform.as_str());
    }
    if let Some(score) = filter.min_score {
        query.push(" AND score >= ").push_bind(score);
    }
    if let Some(text) = &filter.text {
        query
            .push(" AND position(")
            .push_bind(text.to_lowercase())
            .push(" IN searched) > 0");
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
}

fn record_of(row: &PgRow) -> Result<Record, Error> {
    let invalid = |invalid: Invalid| Error::Decode(invalid.into());
    Ok(Record {
        id: CaptionId(row.try_get("id")?),
        request_id: row.try_get("request_id")?,
        user: row
            .try_get::<Option<&str>, _>("user_id")?
            .map(UserId::new)
            .transpose()
            .map_err(invalid)?,
        campaign: row
            .try_get::<Option<&str>, _>("campaign")?
            .map(CampaignId::new)
            .transpose()
            .map_err(invalid)?,
        description: Description::new(row.try_get("description")?).map_err(invalid)?,
        wishes: row.try_get::<Option<Json<_>>, _>("wishes")?.map(|Json(wishes)| wishes),
        caption: row.try_get::<Json<_>, _>("caption")?.0,
        source: source_of(row.try_get("source")?)?,
        attempts: row.try_get::<i64, _>("attempts")?.try_into().map_err(number)?,
        degraded: row.try_get::<Json<_>, _>("degraded")?.0,
        feedback: row
            .try_get::<Option<Json<_>>, _>("feedback")?
            .map(|Json(feedback)| feedback),
        selected: row
            .try_get::<Option<i16>, _>("selected")?
            .map(u8::try_from)
            .transpose()
            .map_err(number)?,
        cached_under: row
            .try_get::<Option<&str>, _>("cached_under")?
            .and_then(CacheKey::parse),
        version: row.try_get::<i64, _>("version")?.try_into().map_err(number)?,
    })
}

fn number(error: std::num::TryFromIntError) -> Error {
    Error::Decode(error.into())
}

/// The first time that the column can hold and that is not before this one.
fn up_to_microsecond(time: OffsetDateTime) -> OffsetDateTime {
    let cut = to_microsecond(time);
    if cut < time {
        cut + Duration::from_micros(1)
    } else {
        cut
    }
}

fn source_of(name: String) -> Result<Source, Error> {
    serde_json::from_value(name.into()).map_err(|error| Error::Decode(error.into()))
}

#[cfg(test)]
mod tests;
