//! Users in the table `users`.

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::StoreError,
    ports::{Expect, UserStore},
    request::UserId,
    user::{Entry, Preferences, User},
};
use sqlx::{Error, Row as _, sqlite::SqliteRow, types::Json};
use time::OffsetDateTime;

use super::{SqliteStore, fault::fault};

#[async_trait]
impl UserStore for SqliteStore {
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query(
            "SELECT id, display_name, preferences, version, created_at, updated_at FROM users WHERE tenant = ? AND id = ?",
        );
        let row = self
            .fetch_optional(query.bind(cx.tenant.as_str()).bind(user.as_str()))
            .await?;
        Ok(row.map(|row| user_of(&row)).transpose().map_err(fault)?)
    }

    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        let query = sqlx::query("SELECT preferences FROM users WHERE tenant = ? AND id = ?");
        let row = self
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
             WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
        );
        let after = after.as_ref().map_or("", UserId::as_str);
        let query = query.bind(cx.tenant.as_str()).bind(after).bind(i64::from(limit));
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(entry_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        let (query, next) = match expect {
            Expect::Absent => (
                sqlx::query(
                    "INSERT INTO users (display_name, preferences, created_at, updated_at, tenant, id, version) \
                     VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING",
                ),
                1,
            ),
            Expect::Version(version) => (
                sqlx::query(
                    "UPDATE users SET display_name = ?, preferences = ?, created_at = ?, updated_at = ?, \
                     version = version + 1 WHERE tenant = ? AND id = ? AND version = ?",
                ),
                version.saturating_add(1),
            ),
        };
        let query = query
            .bind(user.display_name.as_deref())
            .bind(Json(&user.preferences))
            .bind(microseconds(user.created_at))
            .bind(microseconds(user.updated_at))
            .bind(cx.tenant.as_str())
            .bind(user.id.as_str());
        let query = match expect {
            Expect::Absent => query,
            // No row has a version that does not fit the column.
            Expect::Version(version) => query.bind(i64::try_from(version).map_err(|_| StoreError::Conflict)?),
        };
        match self.execute(query).await? {
            0 => Err(StoreError::Conflict),
            _ => Ok(next),
        }
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM users WHERE tenant = ? AND id = ?");
        let erased = self.execute(query.bind(cx.tenant.as_str()).bind(user.as_str())).await?;
        Ok(erased > 0)
    }
}

fn entry_of(row: &SqliteRow) -> Result<Entry, Error> {
    Ok(Entry {
        id: UserId::new(row.try_get("id")?).map_err(|invalid| Error::Decode(invalid.into()))?,
        display_name: row.try_get("display_name")?,
        version: row.try_get::<i64, _>("version")?.try_into().map_err(decode)?,
        created_at: time_of(row.try_get("created_at")?)?,
        updated_at: time_of(row.try_get("updated_at")?)?,
    })
}

fn user_of(row: &SqliteRow) -> Result<User, Error> {
    Ok(User {
        id: UserId::new(row.try_get("id")?).map_err(|invalid| Error::Decode(invalid.into()))?,
        display_name: row.try_get("display_name")?,
        preferences: row.try_get::<Json<_>, _>("preferences")?.0,
        version: row.try_get::<i64, _>("version")?.try_into().map_err(decode)?,
        created_at: time_of(row.try_get("created_at")?)?,
        updated_at: time_of(row.try_get("updated_at")?)?,
    })
}

/// Since 1970; cuts off what is below. Every time of this type fits.
pub(crate) fn microseconds(time: OffsetDateTime) -> i64 {
    time.unix_timestamp()
        .saturating_mul(1_000_000)
        .saturating_add(time.microsecond().into())
}

pub(crate) fn time_of(microseconds: i64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1_000).map_err(decode)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Decode(error.into())
}
