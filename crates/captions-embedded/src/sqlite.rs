//! [`SqliteStore`]: `UserStore`, `CaptionStore`, `KeyStore`, `BatchQueue` and `UsageStore` in one file of this machine.

mod batches;
mod budgets;
mod captions;
pub(crate) mod fault;
mod keys;
pub(crate) mod migrations;
pub(crate) mod more;
mod once;
mod usage;
pub(crate) mod users;

use std::{path::PathBuf, time::Duration};

use captions_domain::fault::{Fault, FaultKind, StoreError};
use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqlitePool,
    migrate::Migrator,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tokio::time::timeout;

use self::fault::{fault, store_error};

/// How much later than the driver we give a statement up: its own word, if it has one, is to arrive first.
const SLACK: Duration = Duration::from_millis(250);

/// Settings of a [`SqliteStore`].
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file. [`SqliteStore::migrate`] makes it, and its folder, readable for their owner alone.
    pub path: PathBuf,
    /// The most connections at a time, at least 1. From 2 on, one of them is kept for writing.
    pub pool_size: u32,
    /// The most that waiting for a free connection may take.
    pub acquire_timeout: Duration,
    /// The most that one statement may take, most of all waiting for another process to end its writing.
    pub statement_timeout: Duration,
}

/// Users and captions in an SQLite file, which several processes may use at once.
///
/// Reads never wait for writes. Writes wait for each other: those of this store in line, so that none starves, those of
/// other processes until `statement_timeout`. A write is safe once its call returns, except that a power cut may take back
/// the last moments. Times are kept to the microsecond; what is below is cut off.
pub struct SqliteStore {
    /// `None`: in memory.
    path: Option<PathBuf>,
    pool_size: u32,
    statement_timeout: Duration,
    readers: SqlitePool,
    /// A pool of one. SQLite lets one writer in at a time; a line of our own is fairer than its waiting by chance.
    writer: SqlitePool,
}

impl SqliteStore {
    /// Opens nothing yet: the first call does.
    pub fn new(options: SqliteOptions) -> Result<Self, Fault> {
        Self::with(options, |connect| connect)
    }

    /// A store in memory with one connection, for tests. It needs [`SqliteStore::migrate`] like any other.
    pub fn in_memory() -> Self {
        let limit = Duration::from_secs(10);
        let pool = pool(SqliteConnectOptions::new().in_memory(true), 1, limit);
        Self {
            path: None,
            pool_size: 1,
            statement_timeout: limit,
            readers: pool.clone(),
            writer: pool,
        }
    }

    pub(crate) fn with(
        options: SqliteOptions,
        change: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self, Fault> {
        if options.pool_size == 0 {
            return Err(Fault::because(
                FaultKind::Internal,
                "a pool needs at least 1 connection",
            ));
        }
        let connect = change(
            SqliteConnectOptions::new()
                .filename(&options.path)
                // A store that is only asked must not leave an empty file behind.
                .create_if_missing(false)
                .busy_timeout(options.statement_timeout)
                // Safe with a write-ahead log, and spares a write the wait for the disk.
                .synchronous(SqliteSynchronous::Normal)
                .foreign_keys(true),
        );
        let readers = pool(
            connect.clone(),
            options.pool_size.saturating_sub(1).max(1),
            options.acquire_timeout,
        );
        let writer = match options.pool_size {
            1 => readers.clone(),
            _ => pool(connect, 1, options.acquire_timeout),
        };
        Ok(Self {
            path: Some(options.path),
            pool_size: options.pool_size,
            statement_timeout: options.statement_timeout,
            readers,
            writer,
        })
    }

    /// Makes the file if there is none, and brings its tables to the form that this version needs. Harmless when they have
    /// it; safe from many processes at once.
    pub async fn migrate(&self) -> Result<(), Fault> {
        self.migrate_by(&migrations::migrator()).await
    }

    /// The same with other tables: the file is then no store of users and captions.
    pub(crate) async fn migrate_by(&self, migrator: &Migrator) -> Result<(), Fault> {
        match &self.path {
            Some(path) => migrations::run_on_file(path, migrator).await,
            None => migrations::run(&mut *self.writer.acquire().await.map_err(fault)?, migrator).await,
        }
    }

    /// The names of the migrations that [`SqliteStore::migrate`] would apply, oldest first. Changes nothing.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Fault> {
        if self.path.as_ref().is_some_and(|path| !path.exists()) {
            return Ok(migrations::all());
        }
        migrations::pending(&mut *self.readers.acquire().await.map_err(fault)?).await
    }

    /// Reads from the file.
    pub async fn ping(&self) -> Result<(), Fault> {
        match self
            .fetch_optional(sqlx::query("SELECT count(*) FROM sqlite_schema"))
            .await
        {
            Ok(_) => Ok(()),
            Err(StoreError::Fault(fault)) => Err(fault),
            Err(StoreError::Conflict | StoreError::Full { .. }) => Err(Fault::new(FaultKind::Internal)),
        }
    }

    /// Waits until the statements under way have ended, and closes the file. Later calls are refused as unavailable.
    pub async fn close(&self) {
        // Readers first: the last to close, the writer, tidies up the write-ahead log.
        for pool in [&self.readers, &self.writer] {
            drop(timeout(self.bound(), pool.close()).await);
        }
    }

    /// The most connections at a time.
    pub fn pool_size(&self) -> u32 {
        self.pool_size
    }

    /// Open connections that wait for work.
    pub fn idle(&self) -> usize {
        self.readers.num_idle() + if self.pool_size == 1 { 0 } else { self.writer.num_idle() }
    }

    pub(crate) async fn execute(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(fault)?;
        let done = timeout(self.bound(), query.execute(&mut *connection)).await;
        Ok(done.map_err(|_| too_slow())?.map_err(store_error)?.rows_affected())
    }

    /// Changes at most one row, and returns it.
    pub(crate) async fn change_one(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(fault)?;
        let done = timeout(self.bound(), query.fetch_optional(&mut *connection)).await;
        done.map_err(|_| too_slow())?.map_err(store_error)
    }

    /// The second statement only if the first changed something, and then both or neither. How many rows the first changed;
    /// 0: neither.
    pub(crate) async fn execute_both(
        &self,
        first: Query<'_, Sqlite, SqliteArguments>,
        second: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<u64, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(fault)?;
        let work = async {
            // Dropped before its end, it is taken back.
            let mut both = connection.begin_with("BEGIN IMMEDIATE").await?;
            let changed = first.execute(&mut *both).await?.rows_affected();
            if changed > 0 {
                second.execute(&mut *both).await?;
                both.commit().await?;
            }
            Ok(changed)
        };
        timeout(self.bound(), work)
            .await
            .map_err(|_| too_slow())?
            .map_err(store_error)
    }

    pub(crate) async fn fetch_optional(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(fault)?;
        let done = timeout(self.bound(), query.fetch_optional(&mut *connection)).await;
        done.map_err(|_| too_slow())?.map_err(store_error)
    }

    pub(crate) async fn fetch_all(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(fault)?;
        let done = timeout(self.bound(), query.fetch_all(&mut *connection)).await;
        done.map_err(|_| too_slow())?.map_err(store_error)
    }

    fn bound(&self) -> Duration {
        self.statement_timeout + SLACK
    }
}

fn too_slow() -> StoreError {
    Fault::new(FaultKind::Timeout).into()
}

/// Connections stay open until the store is closed: they cost a thread each and grow no staler with age. Without limits on
/// their age the driver needs no background task either.
fn pool(connect: SqliteConnectOptions, size: u32, acquire_timeout: Duration) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(connect.disable_statement_logging())
}

#[cfg(test)]
mod tests;
