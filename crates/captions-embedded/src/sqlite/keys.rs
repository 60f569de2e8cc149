//! API keys in the table `api_keys`.

use async_trait::async_trait;
use captions_domain::{
    budget::{Period, Spend, Spent},
    context::{Context, TenantId},
    fault::StoreError,
    keys::{By, Change, Key, KeyDigest, KeyId, KeyName},
    money::Money,
    ports::KeyStore,
    request::Invalid,
};
use sqlx::{
    Error, Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
    types::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    SqliteStore,
    fault::fault,
    users::{microseconds, time_of},
};

/// A statement that gives whole keys.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "id, family, tenant, name, scopes, limits, digest, last_four, created_at, expires_at, revoked_at, last_used_at",
            $after
        )
    };
}

/// Changes the budget of the family of the key `?1` to the limit `?3`, or to none if `?4`, and the period `?5`, else what it
/// was, else `?6`.
const BUDGET: &str = "UPDATE api_keys SET limits = CASE \
     WHEN ?4 THEN json_remove(limits, '$.budget') \
     WHEN ?3 IS NULL AND limits ->> '$.budget' IS NULL THEN limits \
     ELSE json_set(limits, '$.budget', json_object('limit', coalesce(?3, limits ->> '$.budget.limit'), \
         'per', coalesce(?5, limits ->> '$.budget.per', ?6))) END \
     WHERE tenant = ?2 AND family = (SELECT family FROM api_keys WHERE id = ?1 AND tenant = ?2)";

/// Binds a whole key, from `?1` to `?12`.
fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, key: &'q Key) -> Query<'q, Sqlite, SqliteArguments> {
    query
        .bind(key.id.0)
        .bind(key.family.0)
        .bind(key.tenant.as_str())
        .bind(key.name.as_str())
        .bind(Json(key.scopes))
        .bind(Json(key.limits))
        .bind(key.digest.as_bytes().as_slice())
        .bind(&key.last_four)
        .bind(microseconds(key.created_at))
        .bind(key.expires_at.map(microseconds))
        .bind(key.revoked_at.map(microseconds))
        .bind(key.last_used_at.map(microseconds))
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn add(&self, _: &Context, key: &Key) -> Result<(), StoreError> {
        let query = sqlx::query(with_columns!(
            "INSERT INTO api_keys (",
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING"
        ));
        self.execute(bind(query, key)).await?;
        Ok(())
    }

    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        let digest;
        let query = match by {
            By::Digest(wanted) => {
                digest = *wanted.as_bytes();
                sqlx::query(with_columns!("SELECT ", " FROM api_keys WHERE digest = ?1")).bind(digest.as_slice())
            }
            By::Id(id) => sqlx::query(with_columns!("SELECT ", " FROM api_keys WHERE id = ?1 AND tenant = ?2"))
                .bind(id.0)
                .bind(cx.tenant.as_str()),
            By::Family(family) => sqlx::query(with_columns!(
                "SELECT ",
                " FROM api_keys WHERE family = ?1 AND tenant = ?2 \
                 ORDER BY revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) DESC, id DESC LIMIT 1"
            ))
            .bind(family.0)
            .bind(cx.tenant.as_str())
            .bind(microseconds(cx.now)),
        };
        let row = self.fetch_optional(query).await?;
        Ok(row.map(|row| key_of(&row)).transpose().map_err(fault)?)
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        let query = sqlx::query(with_columns!(
            "SELECT ",
            " FROM api_keys WHERE tenant = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        ));
        let query = query
            .bind(cx.tenant.as_str())
            .bind(before.map_or(Uuid::max(), |id| id.0))
            .bind(i64::from(limit));
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(key_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &Change) -> Result<Option<Key>, StoreError> {
        let is_done = match change {
            Change::Rotate { successor, until } => self.rotate(cx, id, successor, *until).await?,
            Change::Revoke { at } => {
                let query = sqlx::query(
                    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?3) WHERE id = ?1 AND tenant = ?2",
                );
                let query = query.bind(id.0).bind(cx.tenant.as_str()).bind(microseconds(*at));
                self.execute(query).await? > 0
            }
            Change::Budget(change) => {
                let query = sqlx::query(BUDGET)
                    .bind(id.0)
                    .bind(cx.tenant.as_str())
                    .bind(change.limit.map(|limit| limit.to_string()))
                    .bind(change.limit == Some(Money::ZERO))
                    .bind(change.per.map(Period::as_str))
                    .bind(Period::USUAL.as_str());
                self.execute(query).await? > 0
            }
        };
        // What is read now is what it became, or what somebody else made of it since.
        if is_done {
            self.find(cx, By::Id(id)).await
        } else {
            Ok(None)
        }
    }

    async fn used(&self, _: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        let uses = uses
            .iter()
            .map(|(id, at)| (format!("{:X}", id.0.simple()), microseconds(*at)));
        let uses = Json(uses.collect::<Vec<_>>());
        let query = sqlx::query(
            "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, used.at), used.at) FROM \
             (SELECT unhex(value ->> 0) AS id, max(value ->> 1) AS at FROM json_each(?1) GROUP BY 1) AS used \
             WHERE api_keys.id = used.id",
        );
        self.execute(query.bind(uses)).await?;
        Ok(())
    }

    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        self.step(cx, spend).await
    }
}

impl SqliteStore {
    async fn rotate(
        &self,
        cx: &Context,
        old: KeyId,
        successor: &Key,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let end = sqlx::query(
            "UPDATE api_keys SET expires_at = min(coalesce(expires_at, ?1), ?1) \
             WHERE id = ?2 AND tenant = ?3 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?4)",
        );
        let end = end
            .bind(microseconds(until))
            .bind(old.0)
            .bind(cx.tenant.as_str())
            .bind(microseconds(successor.created_at));
        let begin = sqlx::query(with_columns!(
            "INSERT INTO api_keys (",
            ") SELECT ?1, ?2, ?3, ?4, ?5, limits, ?7, ?8, ?9, ?10, ?11, ?12 FROM api_keys WHERE id = ?13"
        ));
        Ok(self.execute_both(end, bind(begin, successor).bind(old.0)).await? > 0)
    }
}

fn key_of(row: &SqliteRow) -> Result<Key, Error> {
    let invalid = |invalid: Invalid| Error::Decode(invalid.into());
    let time = |name: &str| row.try_get::<Option<i64>, _>(name)?.map(time_of).transpose();
    let digest: Vec<u8> = row.try_get("digest")?;
    let digest = <[u8; 32]>::try_from(digest).map_err(|_| Error::Decode("a digest has 32 bytes".into()))?;
    Ok(Key {
        id: KeyId(row.try_get("id")?),
        family: KeyId(row.try_get("family")?),
        tenant: TenantId::new(row.try_get("tenant")?).map_err(invalid)?,
        name: KeyName::new(row.try_get("name")?).map_err(invalid)?,
        scopes: row.try_get::<Json<_>, _>("scopes")?.0,
        limits: row.try_get::<Json<_>, _>("limits")?.0,
        digest: KeyDigest::from_bytes(digest),
        last_four: row.try_get("last_four")?,
        created_at: time_of(row.try_get("created_at")?)?,
        expires_at: time("expires_at")?,
        revoked_at: time("revoked_at")?,
        last_used_at: time("last_used_at")?,
    })
}
