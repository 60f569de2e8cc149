//! Budgets in the tables `spending` and `reservations`.
//!
//! `spending.committed` is what is spent and what is reserved together. What expired is given back when somebody has need of
//! it: an amount that does not fit otherwise.

use captions_domain::{
    budget::{Balance, MEMORY, Spend, Spent, Step},
    context::Context,
    fault::StoreError,
    money::Money,
};
use sqlx::Row as _;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{SqliteStore, fault::fault, users::microseconds};

impl SqliteStore {
    /// One step, all of it or nothing.
    pub(super) async fn step(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        let (tenant, account) = (cx.tenant.as_str(), spend.account.to_string());
        let period = microseconds(spend.period);
        match spend.step {
            Step::Reserve { id, amount, expires_at } => {
                let granted = self.reserve(cx, spend, id, amount, expires_at).await?
                    || (self.give_back(cx, spend).await? && self.reserve(cx, spend, id, amount, expires_at).await?);
                Ok(if granted { Spent::Granted } else { Spent::Refused })
            }
            Step::Settle { id, amount } => {
                let count = sqlx::query(
                    "UPDATE spending SET committed = committed - gone.amount + ?3 FROM reservations AS gone \
                     WHERE gone.id = ?1 AND gone.tenant = ?2 AND spending.tenant = gone.tenant \
                     AND spending.account = gone.account AND spending.period = gone.period",
                );
                let count = count.bind(id).bind(tenant).bind(signed(amount));
                let remove = sqlx::query("DELETE FROM reservations WHERE id = ?1").bind(id);
                Ok(if self.execute_both(count, remove).await? > 0 {
                    Spent::Settled
                } else {
                    Spent::Unknown
                })
            }
            Step::Look => {
                let query = sqlx::query(
                    "SELECT coalesce((SELECT committed FROM spending \
                     WHERE tenant = ?1 AND account = ?2 AND period = ?3), 0) AS committed, \
                     coalesce(sum(amount), 0) AS held, \
                     coalesce(sum(amount) FILTER (WHERE expires_at > ?4), 0) AS reserved \
                     FROM reservations WHERE tenant = ?1 AND account = ?2 AND period = ?3",
                );
                let query = query
                    .bind(tenant)
                    .bind(&account)
                    .bind(period)
                    .bind(microseconds(spend.at));
                let Some(row) = self.fetch_optional(query).await? else {
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
        let (tenant, account) = (cx.tenant.as_str(), spend.account.to_string());
        let period = microseconds(spend.period);
        let take = sqlx::query(
            "INSERT INTO spending (tenant, account, period, committed) SELECT ?1, ?2, ?3, ?4 WHERE ?4 <= ?5 \
             ON CONFLICT (tenant, account, period) DO UPDATE SET committed = committed + excluded.committed \
             WHERE committed + excluded.committed <= ?5",
        );
        let take = take
            .bind(tenant)
            .bind(&account)
            .bind(period)
            .bind(signed(amount))
            .bind(signed(spend.limit));
        let note = sqlx::query(
            "INSERT INTO reservations (id, tenant, account, period, amount, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        );
        let note = note
            .bind(id)
            .bind(tenant)
            .bind(&account)
            .bind(period)
            .bind(signed(amount))
            .bind(microseconds(expires_at));
        Ok(self.execute_both(take, note).await? > 0)
    }

    /// Gives back what expired, and forgets what has been for long. `false`: there was nothing to give back.
    async fn give_back(&self, cx: &Context, spend: &Spend) -> Result<bool, StoreError> {
        let (tenant, account) = (cx.tenant.as_str(), spend.account.to_string());
        let now = microseconds(spend.at);
        let forget = sqlx::query(
            "DELETE FROM reservations WHERE tenant = ?1 AND account = ?2 AND amount = 0 AND expires_at <= ?3",
        );
        let long_ago = microseconds(spend.at.saturating_sub(MEMORY));
        self.execute(forget.bind(tenant).bind(&account).bind(long_ago)).await?;
        let give = sqlx::query(
            "UPDATE spending SET committed = committed - gone.amount FROM (SELECT period, sum(amount) AS amount \
             FROM reservations WHERE tenant = ?1 AND account = ?2 AND expires_at <= ?3 AND amount > 0 GROUP BY period) AS gone \
             WHERE spending.tenant = ?1 AND spending.account = ?2 AND spending.period = gone.period",
        );
        let note = sqlx::query(
            "UPDATE reservations SET amount = 0 WHERE tenant = ?1 AND account = ?2 AND expires_at <= ?3 AND amount > 0",
        );
        let give = give.bind(tenant).bind(&account).bind(now);
        let note = note.bind(tenant).bind(&account).bind(now);
        Ok(self.execute_both(give, note).await? > 0)
    }
}

/// Amounts beyond a thousand times the largest budget are cut, so that no sum overflows.
fn signed(amount: Money) -> i64 {
    i64::try_from(amount.micros().min(Money::MAX.micros() * 1000)).unwrap_or(i64::MAX)
}

fn unsigned(micros: i64) -> Money {
    Money::from_micros(u64::try_from(micros).unwrap_or_default())
}
