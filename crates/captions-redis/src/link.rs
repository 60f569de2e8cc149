//! One multiplexed connection that is opened when it is needed and opened anew when it is lost.
//!
//! The driver's own reconnecting manager is not used for two reasons: after an outage it answers one command with the
//! failure of an attempt made long before, and it keeps a connection whose other side went silent for ever.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use captions_domain::fault::{Fault, FaultKind};
use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::fault::{breaks_connection, fault};

/// Commands without an answer, one after the other, after which a connection is taken for dead.
const SILENT: u32 = 3;

/// What the log was last told about the server; shared by all links, so that it is told once.
#[derive(Debug, Default)]
struct Health {
    down: AtomicBool,
}

impl Health {
    fn record(&self, outcome: &Result<MultiplexedConnection, Fault>) {
        match outcome {
            Ok(_) => {
                if self.down.swap(false, Ordering::Relaxed) {
                    tracing::info!("redis is back");
                }
            }
            Err(fault) => {
                if !self.down.swap(true, Ordering::Relaxed) {
                    tracing::warn!(kind = fault.kind.as_str(), error = ?fault, "redis cannot be reached");
                }
            }
        }
    }
}

/// The connections to one server, used in turn.
pub(crate) struct Links {
    links: Vec<Link>,
    next: AtomicUsize,
}

impl Links {
    /// At least one; none of them connects yet.
    pub(crate) fn new(client: &Client, count: usize, connect_timeout: Duration) -> Self {
        let health = Arc::new(Health::default());
        let link = || Link::new(client.clone(), connect_timeout, Arc::clone(&health));
        Self {
            links: (0..count.max(1)).map(|_| link()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    pub(crate) fn next(&self) -> &Link {
        &self.links[self.next.fetch_add(1, Ordering::Relaxed) % self.links.len()]
    }

    pub(crate) const fn len(&self) -> usize {
        self.links.len()
    }
}

pub(crate) struct Link {
    client: Client,
    connect_timeout: Duration,
    health: Arc<Health>,
    /// The newest attempt to connect: under way, done, or failed.
    attempt: Mutex<Option<Arc<Attempt>>>,
    /// False until the first connection stands.
    connected_before: AtomicBool,
}

/// One attempt to connect and, if it succeeds, the connection. It goes on when the commands that wait for it are gone:
/// otherwise a slow way to the server and impatient callers would never get a connection together.
struct Attempt {
    outcome: watch::Receiver<Option<Result<MultiplexedConnection, Fault>>>,
    /// Commands in a row that got no answer.
    silent: AtomicU32,
    task: JoinHandle<()>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    fn new(client: Client, connect_timeout: Duration, health: Arc<Health>) -> Self {
        Self {
            client,
            connect_timeout,
            health,
            attempt: Mutex::new(None),
            connected_before: AtomicBool::new(false),
        }
    }

    /// Runs one command. Ends within `limit`, or within the time to connect plus `limit` if there was no connection yet.
    pub(crate) async fn run<T, F>(
        &self,
        limit: Duration,
        command: impl FnOnce(MultiplexedConnection) -> F + Send,
    ) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let begun = Instant::now();
        let attempt = self.attempt();
        let first = !self.connected_before.load(Ordering::Relaxed);
        let patience = if first { self.connect_timeout } else { limit };
        let connection = timeout(patience, attempt.connection())
            .await
            .map_err(|_| late("connecting"))??;
        self.connected_before.store(true, Ordering::Relaxed);
        let left = if first {
            limit
        } else {
            limit.saturating_sub(begun.elapsed())
        };
        let Ok(answer) = timeout(left, command(connection)).await else {
            if attempt.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT {
                self.give_up(&attempt);
            }
            return Err(late("waiting for the answer"));
        };
        attempt.silent.store(0, Ordering::Relaxed);
        answer.map_err(|error| {
            if breaks_connection(&error) {
                self.give_up(&attempt);
            }
            fault(&error)
        })
    }

    /// The standing connection, the attempt under way, or else a new one.
    fn attempt(&self) -> Arc<Attempt> {
        let mut slot = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = slot.as_ref()
            && attempt.is_usable()
        {
            return Arc::clone(attempt);
        }
        let attempt = Arc::new(self.connect());
        *slot = Some(Arc::clone(&attempt));
        attempt
    }

    fn connect(&self) -> Attempt {
        let (tell, outcome) = watch::channel(None);
        let client = self.client.clone();
        let health = Arc::clone(&self.health);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            // Each command has its own limit.
            .set_response_timeout(None);
        let task = tokio::spawn(async move {
            let connected = client.get_multiplexed_async_connection_with_config(&config).await;
            let connected = connected.map_err(|error| fault(&error));
            health.record(&connected);
            tell.send_replace(Some(connected));
        });
        Attempt {
            outcome,
            silent: AtomicU32::new(0),
            task,
        }
    }

    /// Makes the next command connect anew, unless another one has done so already.
    fn give_up(&self, attempt: &Arc<Attempt>) {
        let mut slot = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, attempt)) {
            *slot = None;
        }
    }
}

impl Attempt {
    /// True while there is hope of a connection or one stands.
    fn is_usable(&self) -> bool {
        match &*self.outcome.borrow() {
            Some(outcome) => outcome.is_ok(),
            None => !self.task.is_finished(),
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Fault> {
        let mut outcome = self.outcome.clone();
        // Fails only if the task ended without a word.
        let told = outcome
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|outcome| outcome.clone());
        told.unwrap_or_else(|| Err(Fault::new(FaultKind::Unavailable)))
    }
}

fn late(doing: &'static str) -> Fault {
    Fault::because(FaultKind::Timeout, doing)
}
