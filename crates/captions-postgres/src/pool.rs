//! Connections, handed out one per statement.
//!
//! Not the driver's own pool, for three reasons. When a call on it is dropped while the server is silent, the driver waits
//! for the silent server before it lets go of the slot, so that a few such calls stop the store for good; it reports "no
//! free connection" and "no way to the server" as one and the same error; and it tries again and again to connect within
//! one call, which is the policy's decision. Here a connection that did not finish its statement is simply closed.

mod gauges;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use captions_domain::fault::{Fault, FaultKind, StoreError};
use sqlx::{
    ConnectOptions as _, Connection as _, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow},
    query::Query,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

pub use self::gauges::PoolSnapshot;
use self::gauges::{Gauges, Held};
use crate::{
    fault::{fault, is_breakdown, spares_connection, store_error},
    options::PgOptions,
};

/// How much later than the server we give a statement up: its own word, if it has one, is to arrive first.
const SLACK: Duration = Duration::from_millis(250);

/// A connection unused for so long is asked whether it still lives before it gets a statement. Shorter, and a busy store
/// would pay a round trip for every statement.
const ASK_AFTER: Duration = Duration::from_millis(250);

/// The most that the answer to that, or a good-bye, may take.
const ASK_LIMIT: Duration = Duration::from_millis(500);

pub(crate) struct Pool {
    options: PgConnectOptions,
    limits: PgOptions,
    slots: Semaphore,
    /// The most recently used connection last: it is used first, so that those too many grow old and go.
    idle: Mutex<Vec<Idle>>,
    gauges: Gauges,
}

struct Idle {
    connection: PgConnection,
    opened: Instant,
    since: Instant,
}

/// A connection with its slot. Dropped before it is settled, it closes the connection: nobody knows what the server is
/// still going to say on it.
struct Lease<'p> {
    connection: PgConnection,
    opened: Instant,
    held: Held<'p>,
    _slot: SemaphorePermit<'p>,
}

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(options: PgConnectOptions, limits: PgOptions) -> Self {
        // In whole milliseconds, and 0 would mean no limit.
        let milliseconds = limits.statement_timeout.as_millis().max(1).to_string();
        Self {
            options: options.options([("statement_timeout", milliseconds)]),
            slots: Semaphore::new(limits.pool_size as usize),
            idle: Mutex::default(),
            gauges: Gauges::default(),
            limits,
        }
    }

    pub(crate) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, StoreError> {
        let mut lease = self.lease().await?;
        let outcome = timeout(self.bound(), query.execute(&mut lease.connection)).await;
        self.settle(lease, outcome.ok()).await.map(|done| done.rows_affected())
    }

    pub(crate) async fn fetch_optional(
        &self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>, StoreError> {
        let mut lease = self.lease().await?;
        let outcome = timeout(self.bound(), query.fetch_optional(&mut lease.connection)).await;
        self.settle(lease, outcome.ok()).await
    }

    pub(crate) async fn fetch_all(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, StoreError> {
        let mut lease = self.lease().await?;
        let outcome = timeout(self.bound(), query.fetch_all(&mut lease.connection)).await;
        self.settle(lease, outcome.ok()).await
    }

    /// One round trip that asks for nothing.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let mut lease = self.lease().await?;
        let outcome = timeout(self.bound(), lease.connection.ping()).await;
        self.settle(lease, outcome.ok()).await
    }

    /// Opens a connection of other settings. It takes a slot, and is closed when it is dropped.
    pub(crate) async fn apart(&self, options: &PgConnectOptions) -> Result<(PgConnection, SemaphorePermit<'_>), Fault> {
        let slot = self.slot().await?;
        Ok((self.connect(options).await?, slot))
    }

    /// How the connections are now.
    pub(crate) fn snapshot(&self) -> PoolSnapshot {
        PoolSnapshot {
            limit: self.limits.pool_size as usize,
            in_use: if self.slots.is_closed() {
                0
            } else {
                (self.limits.pool_size as usize).saturating_sub(self.slots.available_permits())
            },
            idle: self.kept().len(),
            ..self.gauges.snapshot(self.longest())
        }
    }

    /// Lets statements under way end, refuses new ones, says good-bye on every connection.
    pub(crate) async fn close(&self) {
        let longest = self.limits.acquire_timeout + self.longest();
        let all = timeout(longest, self.slots.acquire_many(self.limits.pool_size)).await;
        self.slots.close();
        drop(all);
        let kept = std::mem::take(&mut *self.kept());
        let good_byes = async {
            for idle in kept {
                drop(idle.connection.close().await);
            }
        };
        // A server that does not take one good-bye takes none.
        drop(timeout(ASK_LIMIT, good_byes).await);
    }

    /// The most that one call may hold a connection: being asked whether it lives, opened, used, and said good-bye to.
    fn longest(&self) -> Duration {
        ASK_LIMIT + self.limits.connect_timeout + self.bound() + ASK_LIMIT
    }

    fn bound(&self) -> Duration {
        self.limits.statement_timeout + SLACK
    }

    async fn lease(&self) -> Result<Lease<'_>, Fault> {
        let slot = self.slot().await?;
        let (connection, opened) = if let Some(kept) = self.reuse().await {
            kept
        } else {
            let connection = self.connect(&self.options).await?;
            self.gauges.opened();
            (connection, Instant::now())
        };
        Ok(Lease {
            connection,
            opened,
            held: self.gauges.holds(),
            _slot: slot,
        })
    }

    async fn slot(&self) -> Result<SemaphorePermit<'_>, Fault> {
        if let Ok(slot) = self.slots.try_acquire() {
            self.gauges.served();
            return Ok(slot);
        }
        let _waiting = self.gauges.waits();
        timeout(self.limits.acquire_timeout, self.slots.acquire())
            .await
            .map_err(|waited| {
                self.gauges.refused(self.limits.pool_size);
                Fault::because(FaultKind::Overloaded, waited)
            })?
            .map_err(|closed| Fault::because(FaultKind::Unavailable, closed))
    }

    async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection, Fault> {
        timeout(self.limits.connect_timeout, options.connect())
            .await
            .map_err(|waited| Fault::because(FaultKind::Timeout, waited))?
            .map_err(fault)
    }

    /// A kept connection that lives, with the time when it was opened.
    async fn reuse(&self) -> Option<(PgConnection, Instant)> {
        let Idle {
            mut connection,
            opened,
            since,
        } = self.fresh_idle().pop()?;
        if since.elapsed() < ASK_AFTER {
            return Some((connection, opened));
        }
        let alive = timeout(ASK_LIMIT.min(self.limits.connect_timeout), connection.ping()).await;
        if matches!(alive, Ok(Ok(()))) {
            return Some((connection, opened));
        }
        self.forget_idle();
        None
    }

    /// `None`: the server did not answer in time.
    async fn settle<T>(&self, lease: Lease<'_>, outcome: Option<Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match outcome {
            Some(Ok(value)) => {
                self.give_back(lease).await;
                Ok(value)
            }
            Some(Err(error)) => {
                if spares_connection(&error) {
                    self.give_back(lease).await;
                } else if is_breakdown(&error) {
                    self.forget_idle();
                }
                Err(store_error(error))
            }
            None => {
                self.forget_idle();
                Err(Fault::new(FaultKind::Timeout).into())
            }
        }
    }

    async fn give_back(&self, mut lease: Lease<'_>) {
        lease.held.done();
        let spent = lease.opened.elapsed() >= self.limits.max_lifetime || self.slots.is_closed();
        if !self.limits.pooling || spent {
            drop(timeout(ASK_LIMIT, lease.connection.close()).await);
            return;
        }
        // Before the slot is free again, so that whoever gets it finds the connection.
        self.fresh_idle().push(Idle {
            connection: lease.connection,
            opened: lease.opened,
            since: Instant::now(),
        });
    }

    /// The kept connections, without those that are due to go.
    fn fresh_idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        let mut kept = self.kept();
        kept.retain(|idle| {
            idle.since.elapsed() < self.limits.idle_timeout && idle.opened.elapsed() < self.limits.max_lifetime
        });
        kept
    }

    /// Closes all that wait: what broke one connection has broken these as well, and each would fail one more call.
    fn forget_idle(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
