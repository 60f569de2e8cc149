//! The history in the table `captions`.

use async_trait::async_trait;
use captions_domain::{
    caption::{CaptionId, Feedback, Record, Source},
    context::Context,
    fault::StoreError,
    once::{Standing, Step},
    ports::CaptionStore,
    request::{CampaignId, Description, Invalid, UserId},
};
use sqlx::{Error, Row as _, postgres::PgRow, types::Json};

use crate::{fault::fault, once, store::PgStore, users::to_microsecond};

/// A query for whole records of the tenant `$1`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, request_id, user_id, campaign, description, caption, source, attempts, degraded, feedback \
             FROM captions WHERE tenant = $1 AND ",
            $rest
        )
    };
}

#[async_trait]
impl CaptionStore for PgStore {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO captions (tenant, id, request_id, user_id, campaign, description, caption, source, attempts, \
             degraded, feedback, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT DO NOTHING",
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
            .bind(to_microsecond(record.caption.created_at));
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
        user: &UserId,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        // Two statements, so that both can follow the index.
        let query = sqlx::query(match before {
            None => select!("user_id = $2 ORDER BY id DESC LIMIT $3"),
            Some(_) => select!("user_id = $2 AND id < $4 ORDER BY id DESC LIMIT $3"),
        });
        let query = query
            .bind(cx.tenant.as_str())
            .bind(user.as_str())
            .bind(i64::from(limit));
        let query = match before {
            None => query,
            Some(id) => query.bind(id.0),
        };
        let rows = self.pool.fetch_all(query).await?;
        Ok(rows.iter().map(record_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn feedback(&self, cx: &Context, id: CaptionId, feedback: &Feedback) -> Result<bool, StoreError> {
        let query = sqlx::query("UPDATE captions SET feedback = $3 WHERE tenant = $1 AND id = $2");
        let changed = self
            .pool
            .execute(query.bind(cx.tenant.as_str()).bind(id.0).bind(Json(feedback)))
            .await?;
        Ok(changed > 0)
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<u64, StoreError> {
        once::forget(self, cx, user).await?;
        // What batches keep of the user goes with them: an item that was not begun fails then.
        let query = sqlx::query(
            "WITH kept AS (UPDATE batch_items SET request = '', outcome = NULL WHERE tenant = $1 AND user_id = $2) \
             DELETE FROM captions WHERE tenant = $1 AND user_id = $2",
        );
        self.pool
            .execute(query.bind(cx.tenant.as_str()).bind(user.as_str()))
            .await
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        once::take(self, cx, step).await
    }
}

fn record_of(row: &PgRow) -> Result<Record, Error> {
    let invalid = |invalid: Invalid| Error::Decode(invalid.into());
    let number = |error: std::num::TryFromIntError| Error::Decode(error.into());
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
        caption: row.try_get::<Json<_>, _>("caption")?.0,
        source: source_of(row.try_get("source")?)?,
        attempts: row.try_get::<i64, _>("attempts")?.try_into().map_err(number)?,
        degraded: row.try_get::<Json<_>, _>("degraded")?.0,
        feedback: row
            .try_get::<Option<Json<_>>, _>("feedback")?
            .map(|Json(feedback)| feedback),
    })
}

fn source_of(name: String) -> Result<Source, Error> {
    serde_json::from_value(name.into()).map_err(|error| Error::Decode(error.into()))
}
