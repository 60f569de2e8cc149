//! The store: which one the URL names, and when its tables are brought up to date.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    fault::{Fault, FaultKind},
    ports::{BatchQueue, CaptionStore, KeyStore, UsageStore, UserStore},
};
use captions_embedded::sqlite::{SqliteOptions, SqliteStore};
use captions_postgres::{PgOptions, PgStore, PoolSnapshot};
use captions_resilience::{guarded::Guarded, policy::Policy, tasks::Tasks};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

use crate::{
    assemble::AssembleError,
    policies,
    settings::{Database, Migrate},
};

/// How long a start waits for the store before it goes on without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks for a store that was away at the start.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A new store is one variant here and one arm in [`Store::open`].
#[derive(Clone)]
pub(crate) enum Store {
    Postgres(Arc<PgStore>),
    Sqlite(Arc<SqliteStore>),
}

/// What a store serves.
pub(crate) struct Ports {
    pub(crate) users: Arc<dyn UserStore>,
    pub(crate) captions: Arc<dyn CaptionStore>,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) batches: Arc<dyn BatchQueue>,
    pub(crate) usage: Arc<dyn UsageStore>,
}

impl Store {
    /// Connects to nothing yet.
    pub(crate) fn open(database: &Database, cpus: u32) -> Result<Self, AssembleError> {
        let url = database.url.expose();
        let pool_size = database.connections(cpus);
        match database.url.scheme().as_str() {
            "postgres" | "postgresql" => PgStore::new(PgOptions {
                url: url.to_owned(),
                pool_size,
                connect_timeout: database.connect_timeout,
                acquire_timeout: database.acquire_timeout,
                statement_timeout: database.statement_timeout,
                idle_timeout: database.idle_timeout,
                max_lifetime: database.max_lifetime,
                pooling: database.pooling,
            })
            .map(|store| Self::Postgres(Arc::new(store))),
            "sqlite" => sqlite(url, pool_size, database),
            scheme => {
                return Err(AssembleError::UnknownScheme {
                    key: "database.url",
                    scheme: scheme.to_owned(),
                    known: "sqlite, postgres",
                });
            }
        }
        .map_err(AssembleError::Store)
    }

    /// Its ports behind one policy: it is one server.
    pub(crate) fn guarded(&self, policy: &Policy) -> Ports {
        fn all<S>(store: &Arc<S>, policy: &Policy) -> Ports
        where
            S: UserStore + CaptionStore + KeyStore + BatchQueue + UsageStore + 'static,
        {
            let guarded = Arc::new(Guarded::new(Arc::clone(store), policy.clone()));
            Ports {
                users: Arc::clone(&guarded) as _,
                captions: Arc::clone(&guarded) as _,
                keys: Arc::clone(&guarded) as _,
                batches: Arc::clone(&guarded) as _,
                usage: guarded,
            }
        }
        match self {
            Self::Postgres(store) => all(store, policy),
            Self::Sqlite(store) => all(store, policy),
        }
    }

    /// How its connections are; `None` for a store that is a file.
    pub(crate) fn pool(&self) -> Option<PoolSnapshot> {
        match self {
            Self::Postgres(store) => Some(store.pool()),
            Self::Sqlite(_) => None,
        }
    }

    pub(crate) async fn ping(&self) -> Result<(), Fault> {
        match self {
            Self::Postgres(store) => store.ping().await,
            Self::Sqlite(store) => store.ping().await,
        }
    }

    /// The names of the migrations that are still to be made.
    pub(crate) async fn pending(&self) -> Result<Vec<String>, Fault> {
        match self {
            Self::Postgres(store) => store.pending_migrations().await,
            Self::Sqlite(store) => store.pending_migrations().await,
        }
    }

    async fn migrate(&self) -> Result<(), Fault> {
        match self {
            Self::Postgres(store) => store.migrate().await,
            Self::Sqlite(store) => store.migrate().await,
        }
    }

    /// Warns if the server has too few connections for two processes like this one, which a rolling update needs.
    async fn look_for_places(&self) {
        let Self::Postgres(store) = self else { return };
        let pool_size = store.pool().limit;
        match store.places().await {
            Ok(places) if policies::size(places) < 2 * pool_size => tracing::warn!(
                places,
                pool_size,
                "the database has too few connections for two processes with such a pool: raise its max_connections or \
                 lower database.pool_size"
            ),
            // Whether it can be asked is not the question here.
            Ok(_) | Err(_) => {}
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres(store) => store.close().await,
            Self::Sqlite(store) => store.close().await,
        }
    }
}

fn sqlite(url: &str, pool_size: u32, database: &Database) -> Result<Store, Fault> {
    let path = sqlite_path(url).unwrap_or_default();
    // A file of that name would be made for each of these, and hardly anybody wants that.
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        let why = "`database.url`: sqlite: takes the path of a file and no parameters";
        return Err(Fault::because(FaultKind::Internal, why));
    }
    let options = SqliteOptions {
        path: path.into(),
        pool_size,
        acquire_timeout: database.acquire_timeout,
        statement_timeout: database.statement_timeout,
    };
    SqliteStore::new(options).map(|store| Store::Sqlite(Arc::new(store)))
}

/// The path of `sqlite:PATH` and `sqlite://PATH`; `None` for another URL.
fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// The state of the tables.
pub(crate) struct Tables {
    current: watch::Receiver<bool>,
}

impl Tables {
    /// Does what the settings ask for; among the tasks, if it takes longer than a start may. A store that is away is no
    /// error; one that cannot be used is.
    pub(crate) async fn prepare(store: &Store, migrate: Migrate, tasks: &Tasks) -> Result<Self, AssembleError> {
        match migrate {
            Migrate::Never => Ok(Self::settled()),
            Migrate::Check => match timeout(PATIENCE, store.pending()).await {
                Ok(Ok(pending)) if pending.is_empty() => {
                    store.look_for_places().await;
                    Ok(Self::settled())
                }
                Ok(Ok(pending)) => Err(AssembleError::Pending(pending.join(", "))),
                Ok(Err(fault)) if !fault.is_transient() => Err(AssembleError::Store(fault)),
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!("the store cannot be reached; its migrations were not checked");
                    Ok(Self::settled())
                }
            },
            Migrate::Auto => Self::bring_up_to_date(store, tasks).await,
        }
    }

    async fn bring_up_to_date(store: &Store, tasks: &Tasks) -> Result<Self, AssembleError> {
        let (tell, current) = watch::channel(false);
        let (sender, first) = oneshot::channel();
        tasks.spawn_endless("tables", migrate_until_done(store.clone(), tell, sender));
        match timeout(PATIENCE, first).await {
            Ok(Ok(Err(fault))) if !fault.is_transient() => return Err(AssembleError::Store(fault)),
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(fault))) => tracing::warn!(
                error = ?fault,
                "the store cannot be reached; going on without it, its tables are looked after once it is back"
            ),
            Ok(Err(_)) | Err(_) => tracing::warn!("migrations of the store are taking long; going on beside them"),
        }
        Ok(Self { current })
    }

    fn settled() -> Self {
        Self {
            current: watch::Sender::new(true).subscribe(),
        }
    }

    /// True once nothing is left to be done, as far as this process is to do it.
    pub(crate) fn current(&self) -> watch::Receiver<bool> {
        self.current.clone()
    }
}

async fn migrate_until_done(store: Store, current: watch::Sender<bool>, first: oneshot::Sender<Result<(), Fault>>) {
    let mut outcome = store.migrate().await;
    if outcome.is_ok() {
        store.look_for_places().await;
    }
    current.send_replace(outcome.is_ok());
    // Nobody listens any more if it took longer than the start's patience.
    let mut told = first.send(outcome.clone()).is_ok();
    let mut complained = false;
    loop {
        match &outcome {
            Ok(()) => {
                if !told {
                    tracing::info!("the store's tables are up to date");
                }
                return;
            }
            // The start itself fails with it.
            Err(fault) if !fault.is_transient() && told => return,
            Err(fault) if !fault.is_transient() && !complained => {
                complained = true;
                tracing::error!(error = ?fault, "the store's tables cannot be brought up to date");
            }
            Err(_) => {}
        }
        told = false;
        sleep(LOOK_AGAIN).await;
        outcome = store.migrate().await;
        current.send_replace(outcome.is_ok());
    }
}
