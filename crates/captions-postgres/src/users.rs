//! Users in the table `users`.

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::StoreError,
    ports::{Expect, UserStore},
    request::UserId,
    user::{Entry, Preferences, User},
};
use sqlx::{Error, Row as _, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{fault::fault, store::PgStore};

#[async_trait]
impl UserStore for PgStore {
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query(
            "SELECT id, display_name, preferences, version, created_at, updated_at FROM users WHERE tenant = $1 AND id = $2",
        );
        let row = self
            .pool
            .fetch_optional(query.bind(cx.tenant.as_str()).bind(user.as_str()))
            .await?;
        Ok(row.map(|row| user_of(&row)).transpose().map_err(fault)?)
    }

    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        let query = sqlx::query("SELECT preferences FROM users WHERE tenant = $1 AND id = $2");
        let row = self
            .pool
            .fetch_optional(query.bind(cx.tenant.as_str()).bind(user.as_str()))
            .await?;
        let preferences = row
            .map(|row| row.try_get::<Json<_>, _>("preferences"))
            .transpose()
            .map_err(fault)?;
        Ok(preferences.map(|Json(preferences)| preferences))
    }

    async fn list(&self, cx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        // Every id is behind the empty text.
        let query = sqlx::query(
            "SELECT id, display_name, version, created_at, updated_at FROM users \
             WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
        );
        let after = after.as_ref().map_or("", UserId::as_str);
        let query = query.bind(cx.tenant.as_str()).bind(after).bind(i64::from(limit));
        let rows = self.pool.fetch_all(query).await?;
        Ok(rows.iter().map(entry_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        let query = match expect {
            Expect::Absent => sqlx::query(
                "INSERT INTO users (tenant, id, display_name, preferences, created_at, updated_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT DO NOTHING RETURNING version",
            ),
            Expect::Version(_) => sqlx::query(
                "UPDATE users SET display_name = $3, preferences = $4, created_at = $5, updated_at = $6, \
                 version = version + 1 WHERE tenant = $1 AND id = $2 AND version = $7 RETURNING version",
            ),
        };
        let query = query
            .bind(cx.tenant.as_str())
            .bind(user.id.as_str())
            .bind(user.display_name.as_deref())
            .bind(Json(&user.preferences))
            .bind(to_microsecond(user.created_at))
            .bind(to_microsecond(user.updated_at));
        let query = match expect {
            Expect::Absent => query,
            // No row has a version that does not fit the column.
            Expect::Version(version) => query.bind(i64::try_from(version).map_err(|_| StoreError::Conflict)?),
        };
        let row = self.pool.fetch_optional(query).await?.ok_or(StoreError::Conflict)?;
        Ok(version_of(&row).map_err(fault)?)
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM users WHERE tenant = $1 AND id = $2");
        let erased = self
            .pool
            .execute(query.bind(cx.tenant.as_str()).bind(user.as_str()))
            .await?;
        Ok(erased > 0)
    }
}

fn entry_of(row: &PgRow) -> Result<Entry, Error> {
    Ok(Entry {
        id: UserId::new(row.try_get("id")?).map_err(|invalid| Error::Decode(invalid.into()))?,
        display_name: row.try_get("display_name")?,
        version: version_of(row)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn user_of(row: &PgRow) -> Result<User, Error> {
    Ok(User {
        id: UserId::new(row.try_get("id")?).map_err(|invalid| Error::Decode(invalid.into()))?,
        display_name: row.try_get("display_name")?,
        preferences: row.try_get::<Json<_>, _>("preferences")?.0,
        version: version_of(row)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn version_of(row: &PgRow) -> Result<u64, Error> {
    u64::try_from(row.try_get::<i64, _>("version")?).map_err(|negative| Error::Decode(negative.into()))
}

/// Cuts off what the column cannot hold; the driver would round it, and times before 2000 the other way.
pub(crate) fn to_microsecond(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.nanosecond() / 1_000 * 1_000)
        .unwrap_or(time)
}
