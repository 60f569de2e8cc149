//! API keys in the table `api_keys`.

use async_trait::async_trait;
use captions_domain::{
    budget::{Period, Spend, Spent},
    context::{Context, TenantId},
    fault::StoreError,
    keys::{BudgetChange, By, Change, Key, KeyDigest, KeyId, KeyName},
    money::Money,
    ports::KeyStore,
    request::Invalid,
};
use sqlx::{
    Error, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
    types::{Json, Uuid},
};
use time::OffsetDateTime;

use crate::{fault::fault, store::PgStore, users::to_microsecond};

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

/// Binds a whole key, from `$1` to `$12`.
fn bind<'q>(query: Query<'q, Postgres, PgArguments>, key: &'q Key) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(key.id.0)
        .bind(key.family.0)
        .bind(key.tenant.as_str())
        .bind(key.name.as_str())
        .bind(Json(key.scopes))
        .bind(Json(key.limits))
        .bind(key.digest.as_bytes().as_slice())
        .bind(&key.last_four)
        .bind(to_microsecond(key.created_at))
        .bind(key.expires_at.map(to_microsecond))
        .bind(key.revoked_at.map(to_microsecond))
        .bind(key.last_used_at.map(to_microsecond))
}

#[async_trait]
impl KeyStore for PgStore {
    async fn add(&self, _: &Context, key: &Key) -> Result<(), StoreError> {
        let query = sqlx::query(with_columns!(
            "INSERT INTO api_keys (",
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING"
        ));
        self.pool.execute(bind(query, key)).await?;
        Ok(())
    }

    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        let digest;
        let query = match by {
            By::Digest(wanted) => {
                digest = *wanted.as_bytes();
                sqlx::query(with_columns!("SELECT ", " FROM api_keys WHERE digest = $1")).bind(digest.as_slice())
            }
            By::Id(id) => sqlx::query(with_columns!("SELECT ", " FROM api_keys WHERE id = $1 AND tenant = $2"))
                .bind(id.0)
                .bind(cx.tenant.as_str()),
            By::Family(family) => sqlx::query(with_columns!(
                "SELECT ",
                " FROM api_keys WHERE family = $1 AND tenant = $2 \
                 ORDER BY (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)) DESC, id DESC LIMIT 1"
            ))
            .bind(family.0)
            .bind(cx.tenant.as_str())
            .bind(to_microsecond(cx.now)),
        };
        let row = self.pool.fetch_optional(query).await?;
        Ok(row.map(|row| key_of(&row)).transpose().map_err(fault)?)
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        let query = sqlx::query(with_columns!(
            "SELECT ",
            " FROM api_keys WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        ));
        let query = query
            .bind(cx.tenant.as_str())
            .bind(before.map_or(Uuid::max(), |id| id.0))
            .bind(i64::from(limit));
        let rows = self.pool.fetch_all(query).await?;
        Ok(rows.iter().map(key_of).collect::<Result<_, _>>().map_err(fault)?)
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &Change) -> Result<Option<Key>, StoreError> {
        let query = match change {
            // One statement, and so both or neither.
            Change::Rotate { successor, until } => {
                let query = sqlx::query(concat!(
                    "WITH before AS (UPDATE api_keys SET expires_at = LEAST(expires_at, $13) \
                     WHERE id = $14 AND tenant = $15 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $9) \
                     RETURNING *), ",
                    with_columns!("after AS (INSERT INTO api_keys (", ") "),
                    "SELECT $1, $2, $3, $4, $5, before.limits, $7, $8, $9, $10, $11, $12 FROM before) ",
                    with_columns!("SELECT ", " FROM before")
                ));
                bind(query, successor)
                    .bind(to_microsecond(*until))
                    .bind(id.0)
                    .bind(cx.tenant.as_str())
            }
            Change::Revoke { at } => sqlx::query(with_columns!(
                "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $3) WHERE id = $1 AND tenant = $2 RETURNING ",
                ""
            ))
            .bind(id.0)
            .bind(cx.tenant.as_str())
            .bind(to_microsecond(*at)),
            Change::Budget(change) => {
                self.change_budget(cx, id, *change).await?;
                return self.find(cx, By::Id(id)).await;
            }
        };
        let row = self.pool.fetch_optional(query).await?;
        Ok(row.map(|row| key_of(&row)).transpose().map_err(fault)?)
    }

    async fn used(&self, _: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        let (ids, times): (Vec<Uuid>, Vec<OffsetDateTime>) =
            uses.iter().map(|(id, at)| (id.0, to_microsecond(*at))).unzip();
        // GREATEST passes over NULL.
        let query = sqlx::query(
            "UPDATE api_keys SET last_used_at = GREATEST(last_used_at, used.at) \
             FROM UNNEST($1::uuid[], $2::timestamptz[]) AS used (id, at) WHERE api_keys.id = used.id",
        );
        self.pool.execute(query.bind(ids).bind(times)).await?;
        Ok(())
    }

    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        self.step(cx, spend).await
    }
}

/// The limits of a key with the budget of the limit `$3`, or with none if `$4`, and of the period `$5`, else what it was, else
/// `$6`.
macro_rules! with_budget {
    () => {
        "CASE WHEN $4 THEN limits - 'budget' WHEN $3::text IS NULL AND limits -> 'budget' IS NULL THEN limits \
         ELSE jsonb_set(limits, '{budget}', jsonb_build_object( \
             'limit', COALESCE($3::text, limits #>> '{budget,limit}'), \
             'per', COALESCE($5::text, limits #>> '{budget,per}', $6::text))) END "
    };
}

/// Of the family of the key `$1`, in one order, so that no two changes wait for each other.
const BUDGET: &str = concat!(
    "WITH family AS MATERIALIZED (SELECT id FROM api_keys WHERE tenant = $2 \
     AND family = (SELECT family FROM api_keys WHERE id = $1 AND tenant = $2) ORDER BY id FOR UPDATE) \
     UPDATE api_keys SET limits = ",
    with_budget!(),
    "FROM family WHERE api_keys.id = family.id AND limits IS DISTINCT FROM ",
    with_budget!()
);

/// Looks at a family in which keys are put all the time.
const LOOKS: u32 = 10;

impl PgStore {
    async fn change_budget(&self, cx: &Context, id: KeyId, change: BudgetChange) -> Result<(), StoreError> {
        // A successor that was on its way is not seen by the statement that waited for its rotation, but by the next one.
        for _ in 0..LOOKS {
            let query = sqlx::query(BUDGET)
                .bind(id.0)
                .bind(cx.tenant.as_str())
                .bind(change.limit.map(|limit| limit.to_string()))
                .bind(change.limit == Some(Money::ZERO))
                .bind(change.per.map(Period::as_str))
                .bind(Period::USUAL.as_str());
            if self.pool.execute(query).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}

fn key_of(row: &PgRow) -> Result<Key, Error> {
    let invalid = |invalid: Invalid| Error::Decode(invalid.into());
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
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}
