//! The history in the table `captions`.

use async_trait::async_trait;
use captions_domain::{
    caption::{CaptionId, Record, Source},
    context::Context,
    fault::StoreError,
    history::{Amendment, Extent, Filter, MARKED, Removed, searched},
    once::{Standing, Step},
    ports::{CacheKey, CaptionStore},
    request::{CampaignId, Description, Invalid, UserId},
};
use sqlx::{Error, QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow, types::Json};
use time::OffsetDateTime;

use super::{
    SqliteStore, batches,
    fault::fault,
    more::{self, Added},
    once, usage,
    users::microseconds,
};

macro_rules! columns {
    () => {
        "id, request_id, user_id, campaign, description, wishes, caption, source, attempts, degraded, feedback, selected, \
         cached_under, version"
    };
}

/// A query for whole records of the tenant that is bound first.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM captions WHERE tenant = ?1 AND ", $rest)
    };
}

#[async_trait]
impl CaptionStore for SqliteStore {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        let one = Extent::One(record.id).digest(&cx.tenant);
        let user = record.user.clone();
        let whose = user.map(|user| Extent::OfUser(user).digest(&cx.tenant));
        let query = sqlx::query(
            "INSERT INTO captions (tenant, id, request_id, user_id, campaign, description, caption, source, attempts, \
             degraded, feedback, created_at, selected, cached_under, version, searched, wishes) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17 WHERE NOT EXISTS \
             (SELECT 1 FROM erasures WHERE tenant = ?1 AND subject IN (?18, ?19) AND before > ?12) ON CONFLICT DO NOTHING",
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
            .bind(microseconds(record.caption.created_at))
            .bind(record.selected.map(i64::from))
            .bind(record.cached_under.as_ref().map(CacheKey::as_str))
            .bind(i64::try_from(record.version).unwrap_or(i64::MAX))
            .bind(searched(record))
            .bind(record.wishes.as_ref().map(Json))
            .bind(one.to_vec())
            .bind(whose.map(|whose| whose.to_vec()));
        self.execute(query).await?;
        Ok(())
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        let row = self
            .fetch_optional(sqlx::query(select!("id = ?2")).bind(cx.tenant.as_str()).bind(id.0))
            .await?;
        Ok(row.map(|row| record_of(&row)).transpose().map_err(fault)?)
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        // Put together, so that each kind of search has a plan of its own.
        let mut query = QueryBuilder::<Sqlite>::new(concat!("SELECT ", columns!(), " FROM captions WHERE tenant = "));
        query.push_bind(cx.tenant.as_str());
        narrow(&mut query, filter, before);
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
        let rows = self.fetch_all(query.build()).await?;
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
                    "UPDATE captions SET ",
                    $column,
                    " = ?4, version = version + (",
                    $column,
                    " IS NOT ?4) \
                     WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR version = ?3) RETURNING version"
                )
            };
        }
        let expected = match expect {
            // No row has a version that does not fit the column.
            Some(version) => Some(i64::try_from(version).map_err(|_| StoreError::Conflict)?),
            None => None,
        };
        let query = sqlx::query(match amendment {
            Amendment::Feedback(_) => amend!("feedback"),
            Amendment::Selection(_) => amend!("selected"),
            Amendment::More(_) => concat!(
                "UPDATE captions SET caption = ",
                more::grown!("caption", "$"),
                ", searched = searched || char(10) || ?7, version = version + 1 \
                 WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR version = ?3) AND ",
                more::is_new!("caption", "$"),
                " RETURNING version"
            ),
        });
        let query = query.bind(cx.tenant.as_str()).bind(id.0).bind(expected);
        let query = match amendment {
            Amendment::Feedback(feedback) => query.bind(Json(feedback)),
            Amendment::Selection(selected) => query.bind(selected.map(i64::from)),
            Amendment::More(more) => {
                let added = Added::new(more)?;
                let query = query.bind(added.variants).bind(added.addition).bind(added.id);
                query.bind(added.searched)
            }
        };
        if let Some(row) = self.change_one(query).await? {
            let version: i64 = row.try_get("version").map_err(fault)?;
            return Ok(Some(version.try_into().map_err(number).map_err(fault)?));
        }
        let there = self.read(cx, id).await?;
        amendment.made_before(there.as_ref(), expect)
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        let until = match extent {
            Extent::One(_) => i64::MAX,
            Extent::OfUser(_) => microseconds(cx.now),
        };
        // First that they must not come back: whatever is written from then on knows it.
        let query = sqlx::query(
            "INSERT INTO erasures (tenant, subject, before, marked_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET before = max(before, excluded.before), marked_at = excluded.marked_at",
        );
        let digest = extent.digest(&cx.tenant);
        let now = microseconds(OffsetDateTime::now_utc());
        self.execute(query.bind(cx.tenant.as_str()).bind(&digest[..]).bind(until).bind(now))
            .await?;
        let calls = once::forget(self, cx, extent).await?;
        let items = batches::forget(self, cx, extent).await?;
        let usage = match extent {
            Extent::OfUser(user) => usage::forget(self, cx, user).await?,
            Extent::One(_) => 0,
        };
        let old = sqlx::query(
            "DELETE FROM erasures WHERE rowid IN (SELECT rowid FROM erasures WHERE marked_at < ? ORDER BY marked_at LIMIT 100)",
        );
        self.execute(old.bind(now - i64::try_from(MARKED.as_micros()).unwrap_or(i64::MAX)))
            .await?;
        let query = match extent {
            Extent::One(id) => sqlx::query("DELETE FROM captions WHERE tenant = ? AND id = ?")
                .bind(cx.tenant.as_str())
                .bind(id.0),
            Extent::OfUser(user) => sqlx::query("DELETE FROM captions WHERE tenant = ? AND user_id = ?")
                .bind(cx.tenant.as_str())
                .bind(user.as_str()),
        };
        Ok(Removed {
            captions: self.execute(query).await?,
            waiting: None,
            calls,
            items,
            usage,
            cached: Some(0),
        })
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        once::take(self, cx, step).await
    }
}

/// The conditions of the search, behind that of the tenant.
fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &Filter, before: Option<CaptionId>) {
    if let Some(user) = &filter.user {
        query.push(" AND user_id = ").push_bind(user.as_str());
    }
    // The narrowest bound alone: of two SQLite uses whichever comes first.
    let end = filter.end_id();
    if let Some(end) = before.map(|before| before.0).into_iter().chain(end).min() {
        query.push(" AND id < ").push_bind(end);
    }
    if let Some(first) = filter.first_id() {
        query.push(" AND id >= ").push_bind(first);
    }
    if let Some(since) = filter.since {
        query.push(" AND created_at >= ").push_bind(microseconds_up(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND created_at < ").push_bind(microseconds_up(until));
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
            .push(" AND instr(searched, ")
            .push_bind(text.to_lowercase())
            .push(") > 0");
    }
}

fn record_of(row: &SqliteRow) -> Result<Record, Error> {
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
            .try_get::<Option<i64>, _>("selected")?
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

/// The first microsecond that is not before this time: what is kept has none of what is below.
fn microseconds_up(time: OffsetDateTime) -> i64 {
    let is_between = !time.nanosecond().is_multiple_of(1_000);
    microseconds(time).saturating_add(is_between.into())
}

fn source_of(name: String) -> Result<Source, Error> {
    serde_json::from_value(name.into()).map_err(|error| Error::Decode(error.into()))
}
