//! The store as the composition root sees it.

use captions_domain::fault::{Fault, FaultKind, StoreError};
use sqlx::{Row as _, postgres::PgConnectOptions};

use crate::{
    fault::fault,
    migrations, options,
    options::PgOptions,
    pool::{Pool, PoolSnapshot},
};

/// Users and captions in a Postgres database.
///
/// A call takes at most `acquire_timeout`, half a second for asking whether a kept connection lives, `connect_timeout` and
/// `statement_timeout` plus a quarter of a second, whatever the server does. Times are kept to the microsecond; what is
/// below is cut off.
pub struct PgStore {
    pub(crate) pool: Pool,
    /// For migrations, which may take longer than any statement of a request.
    unlimited: PgConnectOptions,
}

impl PgStore {
    /// Checks the options and connects to nothing: the first call does, so that a database may come up later than we do.
    pub fn new(options: PgOptions) -> Result<Self, Fault> {
        if options.pool_size == 0 {
            return Err(Fault::because(
                FaultKind::Internal,
                "a pool needs at least 1 connection",
            ));
        }
        let driver = options::connect_options(&options.url)?;
        Ok(Self {
            unlimited: driver.clone().options([("statement_timeout", "0")]),
            pool: Pool::new(driver, options),
        })
    }

    /// Brings the tables to the form that this version needs. Harmless when they have it; safe from many replicas at once.
    pub async fn migrate(&self) -> Result<(), Fault> {
        migrations::run(&self.pool, &self.unlimited).await
    }

    /// The names of the migrations that [`PgStore::migrate`] would apply, oldest first. Changes nothing.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Fault> {
        migrations::pending(&self.pool, &self.unlimited).await
    }

    /// Asks whether the database answers.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.pool.ping().await.map_err(plain)
    }

    /// How many connections the server has for ordinary users, those that others use now included.
    pub async fn places(&self) -> Result<u32, Fault> {
        let query = sqlx::query(
            "SELECT sum(CASE name WHEN 'max_connections' THEN setting::bigint ELSE -setting::bigint END)::bigint \
             FROM pg_settings WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')",
        );
        let row = self.pool.fetch_optional(query).await.map_err(plain)?;
        let places: i64 = match row {
            Some(row) => row.try_get(0).map_err(fault)?,
            None => return Err(Fault::new(FaultKind::Corrupt)),
        };
        Ok(u32::try_from(places).unwrap_or_default())
    }

    /// Waits until the statements under way have ended, and closes every connection. Later calls are refused as unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// How its connections are now.
    pub fn pool(&self) -> PoolSnapshot {
        self.pool.snapshot()
    }
}

/// Nothing here expects a version, so a conflict is a mistake of ours.
fn plain(error: StoreError) -> Fault {
    match error {
        StoreError::Fault(fault) => fault,
        StoreError::Conflict | StoreError::Full { .. } => Fault::new(FaultKind::Internal),
    }
}
