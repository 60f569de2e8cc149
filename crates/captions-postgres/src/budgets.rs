//! Budgets in the tables `spending` and `reservations`.
//!
//! `spending.committed` is what is spent and what is reserved together. The row of an account and period is what those wait for
//! who reserve at the same time. What expired is given back when somebody has need of it: an amount that does not fit
//! otherwise. Rows of reservations are locked before those of spending.

use captions_domain::{
    budget::{Balance, MEMORY, Spend, Spent, Step},
    context::Context,
    fault::StoreError,
    money::Money,
};
use sqlx::Row as _;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{fault::fault, store::PgStore, users::to_microsecond};

impl PgStore {
    /// One step.
    pub(crate) async fn step(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        let (tenant, account) = (cx.tenant.as_str(), spend.account.to_string());
        let period = to_microsecond(spend.period);
        match spend.step {
            Step::Reserve { id, amount, expires_at } => {
                let granted = self.reserve(cx, spend, id, amount, expires_at).await?
                    || (self.give_back(cx, spend).await? && self.reserve(cx, spend, id, amount, expires_at).await?);
                Ok(if granted { Spent::Granted } else { Spent::Refused })
            }
            Step::Settle { id, amount } => {
                let query = sqlx::query(
                    "WITH gone AS (DELETE FROM reservations WHERE id = $1 AND tenant = $2 \
                     RETURNING tenant, account, period, amount) \
                     UPDATE spending SET committed = committed - gone.amount + $3::bigint FROM gone \
                     WHERE spending.tenant = gone.tenant AND spending.account = gone.account \
                     AND spending.period = gone.period",
                );
                let query = query.bind(id).bind(tenant).bind(signed(amount));
                Ok(match self.pool.execute(query).await? {
                    0 => Spent::Unknown,
                    _ => Spent::Settled,
                })
            }
            Step::Look => {
                let query = sqlx::query(
                    "SELECT COALESCE((SELECT committed FROM spending \
                     WHERE tenant = $1 AND account = $2 AND period = $3), 0) AS committed, \
                     COALESCE(SUM(amount), 0)::bigint AS held, \
                     COALESCE(SUM(amount) FILTER (WHERE expires_at > $4), 0)::bigint AS reserved \
                     FROM reservations WHERE tenant = $1 AND account = $2 AND period = $3",
                );
                let query = query
                    .bind(tenant)
                    .bind(&account)
                    .bind(period)
                    .bind(to_microsecond(spend.at));
                let Some(row) = self.pool.fetch_optional(query).await? else {
                    return Ok(Spent::Stands(Balance::default()));
                };
                let amount = |name: &str| row.try_get::<i64, _>(name).map_err(fault);
                Ok(Spent::Stands(Balance {
                    spent: unsigned(amount("committed")? - amount("held")?),
                    reserved: unsigned(amount("reserved")?),
                }))
            }
        }
    }

    /// `false`: it does not fit.
    async fn reserve(
        &self,
        cx: &Context,
        spend: &Spend,
        id: Uuid,
        amount: Money,
        expires_at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        // A row that another one changes at the same time is looked at again once that is done.
        let query = sqlx::query(
            "WITH taken AS (INSERT INTO spending AS before (tenant, account, period, committed) \
             SELECT $1::text, $2::text, $3::timestamptz, $4::bigint WHERE $4::bigint <= $5::bigint \
             ON CONFLICT (tenant, account, period) DO UPDATE SET committed = before.committed + excluded.committed \
             WHERE before.committed + excluded.committed <= $5::bigint RETURNING 1) \
             INSERT INTO reservations (id, tenant, account, period, amount, expires_at) \
             SELECT $6::uuid, $1::text, $2::text, $3::timestamptz, $4::bigint, $7::timestamptz FROM taken",
        );
        let query = query
            .bind(cx.tenant.as_str())
            .bind(spend.account.to_string())
            .bind(to_microsecond(spend.period))
            .bind(signed(amount))
            .bind(signed(spend.limit))
            .bind(id)
            .bind(to_microsecond(expires_at));
        Ok(self.pool.execute(query).await? > 0)
    }

    /// Gives back what expired, and forgets what has been for long. `false`: there was nothing to give back.
    async fn give_back(&self, cx: &Context, spend: &Spend) -> Result<bool, StoreError> {
        let (tenant, account) = (cx.tenant.as_str(), spend.account.to_string());
        let forget = sqlx::query(
            "DELETE FROM reservations WHERE tenant = $1 AND account = $2 AND amount = 0 AND expires_at <= $3",
        );
        let long_ago = to_microsecond(spend.at.saturating_sub(MEMORY));
        self.pool
            .execute(forget.bind(tenant).bind(&account).bind(long_ago))
            .await?;
        let give = sqlx::query(
            "WITH expired AS (SELECT id, amount FROM reservations \
             WHERE tenant = $1 AND account = $2 AND expires_at <= $3 AND amount > 0 ORDER BY id FOR UPDATE), \
             gone AS (UPDATE reservations SET amount = 0 FROM expired WHERE reservations.id = expired.id \
             RETURNING reservations.period, expired.amount) \
             UPDATE spending SET committed = committed - given.amount \
             FROM (SELECT period, SUM(amount)::bigint AS amount FROM gone GROUP BY period) AS given \
             WHERE spending.tenant = $1 AND spending.account = $2 AND spending.period = given.period",
        );
        let give = give.bind(tenant).bind(&account).bind(to_microsecond(spend.at));
        Ok(self.pool.execute(give).await? > 0)
    }
}

/// Amounts beyond a thousand times the largest budget are cut, so that no sum overflows.
fn signed(amount: Money) -> i64 {
    i64::try_from(amount.micros().min(Money::MAX.micros() * 1000)).unwrap_or(i64::MAX)
}

fn unsigned(micros: i64) -> Money {
    Money::from_micros(u64::try_from(micros).unwrap_or_default())
}
