//! Everything put together: each port gets its adapter behind its policy, and the engine gets the ports.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use captions_domain::{
    budget::{Budget, Payer},
    context::{Attempts, Class, Context, TenantId},
    engine::{Engine, Options},
    fault::{Fault, LlmError},
    limiter::Limiter,
    money::Currency,
    once::{Standing, Step},
    ports::{CaptionStore, KeyStore, Quota, UsageStore, UserStore},
    prompt::Templates,
    usage::Tab,
};
use captions_embedded::spool::Counts as SpoolCounts;
use captions_postgres::PoolSnapshot;
use captions_redis::{RedisCache, RedisOptions};
use captions_resilience::{
    jitter::Jitter,
    keys::CachedKeys,
    monitor::{Dependency, Monitor, watch_event_loop, watched::Watched},
    policy::Policy,
    priced::Ledger,
    tasks::Tasks,
    usage::UsageWriter,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    alerts,
    batches::{Batches, Parts},
    caches::{self, Caches, LARGEST_CACHED, Replays},
    chain::{Cold, Writers, writers},
    gauges, keys, limits, old, policies,
    prompts::{self, PromptError},
    providers::Providers,
    readiness::{Component, Probe, Readiness},
    settings::{self, Redis, SecretUrl, Settings},
    spool::Spool,
    store::{Ports, Store, Tables},
};

/// Pieces of background work at once, endless ones left out: far more than a healthy service has, and a bound for a sick one.
const MOST_TASKS: usize = 1024;
/// What the background work of a failed start has to notice that it is over.
const FAILED_START: Duration = Duration::from_secs(1);

/// What the last delivery of usage has in any case, into the store or to where it waits on disk.
const LAST_USAGE: Duration = Duration::from_secs(2);

/// Why nothing can be started. The settings or the store are to be mended, by an operator.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("`{key}`: there is nothing for the scheme `{scheme}`; there is for: {known}")]
    UnknownScheme {
        key: &'static str,
        scheme: String,
        known: &'static str,
    },
    #[error("the store cannot be used")]
    Store(#[source] Fault),
    #[error(
        "the store lacks migrations: {0}; start once with database.migrate = \"auto\" \
         (CAPTIONS_DATABASE__MIGRATE=auto) to make them"
    )]
    Pending(String),
    #[error("`redis.url` cannot be used")]
    Redis(#[source] Fault),
    #[error("`alerts.webhook_url` cannot be used")]
    Webhook(#[source] Fault),
    #[error("the provider `{name}` cannot be used")]
    Provider {
        name: String,
        #[source]
        fault: Fault,
    },
    #[error("the provider `{name}` has no `model` in the settings, and its list of models cannot be read; name one")]
    NoModel {
        name: String,
        #[source]
        error: LlmError,
    },
    #[error("the provider `{0}` has no `model` in the settings and lists none; name one")]
    EmptyModelList(String),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error("the local model cannot be started")]
    Local(#[source] std::io::Error),
    #[error("there is no folder for the local model: set HOME, XDG_CACHE_HOME or local.model_path")]
    NoModelFolder,
    #[error("this build has no local model")]
    NoLocalModel,
    #[error("there is no provider in the settings")]
    NoProvider,
}

/// What the apps drive.
pub struct Assembled {
    /// Its ports are guarded; apps use the stores through it too.
    pub engine: Arc<Engine>,
    /// The queue of batches; nobody works on it unasked.
    pub batches: Batches,
    pub readiness: Readiness,
    /// The providers one by one.
    pub providers: Providers,
    /// Who may call.
    pub keys: Arc<dyn KeyStore>,
    /// Whether whoever presents no key is turned away.
    pub keys_required: bool,
    /// How much each caller may ask whose key says nothing else. The app knows who asks.
    pub callers: Limiter,
    /// Where limits are counted, together with other replicas where that can be.
    pub quota: Arc<dyn Quota>,
    /// What each tenant may spend; `None`: as much as it likes.
    pub budget: Option<Budget>,
    /// The currency of the prices.
    pub currency: Currency,
    /// The users for those who only show them: a copy of a moment ago will do.
    pub shown_users: Arc<dyn UserStore>,
    /// What is kept.
    pub caches: Caches,
    /// What callers use, on its way to the store, and the reports of it.
    pub usage: UsageWriter,
    /// Where streams are kept that somebody may take up again; `None`: nowhere.
    pub replays: Option<Replays>,
    /// Counts what goes through the ports; the operations that callers ask for are entered by the apps.
    pub monitor: Monitor,
    stall_limit: Option<Duration>,
    keep_calls_for: Duration,
    keep_usage_for: Option<Duration>,
    deadline: Duration,
    max_attempts: u32,
    cold: Option<Cold>,
    store: Store,
    spool: Spool,
    known_keys: CachedKeys,
    tasks: Tasks,
    time_for_background: Duration,
}

impl Assembled {
    /// A context for one request that comes in now. `time` is what the caller allows, capped by `engine.deadline`.
    pub fn context(&self, tenant: TenantId, request_id: Arc<str>, time: Option<Duration>) -> Context {
        let time = time.map_or(self.deadline, |time| time.min(self.deadline));
        Context {
            tenant,
            request_id,
            fresh_id: Uuid::now_v7(),
            now: OffsetDateTime::now_utc().truncate_to_microsecond(),
            deadline: Instant::now() + time,
            attempts: Arc::new(Attempts::up_to(self.max_attempts)),
            class: Class::Interactive,
            notes: Arc::default(),
            payers: Payer::all(None, self.budget),
            tab: Tab {
                tally: Some(Arc::clone(self.usage.tally())),
                ..Tab::default()
            },
        }
    }

    /// What runs beside the requests. Whatever is to outlive a call is started here, and nowhere else.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Looks for stalls of the event loop from now on, unless `monitor.stall_limit` is 0. For processes that serve many: in
    /// one that does one thing and ends, nobody waits for anybody.
    pub fn watch_event_loop(&self) {
        if let Some(limit) = self.stall_limit {
            let gauges = self.monitor.event_loop();
            self.tasks.spawn_endless("event loop", watch_event_loop(gauges, limit));
        }
    }

    /// Looks for what is wrong with the service from now on and tells operators, unless `alerts.enabled` is false. For
    /// processes that serve many. The error is a webhook that can never work.
    pub fn raise_alerts(&self, settings: &settings::Alerts) -> Result<(), AssembleError> {
        alerts::start(settings, &self.monitor, &self.tasks)
            .map(drop)
            .map_err(AssembleError::Webhook)
    }

    /// Removes from now on what is older than it is kept: records of calls with a key, and usage. For processes that serve
    /// many.
    pub fn forget_what_is_old(self: &Arc<Self>) {
        let context = |assembled: &Self, name: &str| Context {
            class: Class::Batch,
            ..assembled.context(TenantId::local(), name.into(), None)
        };
        let assembled = Arc::clone(self);
        let calls = move |limit| {
            let assembled = Arc::clone(&assembled);
            async move {
                let cx = context(&assembled, "old-calls");
                let done = assembled.engine.captions.once(&cx, &Step::Sweep { limit }).await?;
                Ok(if let Standing::Changed(removed) = done {
                    removed
                } else {
                    0
                })
            }
        };
        let keep_for = self.keep_calls_for;
        let sweeping = old::sweep("calls", keep_for, Jitter::random(), calls);
        self.tasks.spawn_endless("old calls", sweeping);
        let Some(keep_for) = self.keep_usage_for else { return };
        let assembled = Arc::clone(self);
        let usage = move |limit| {
            let assembled = Arc::clone(&assembled);
            async move { assembled.usage.sweep(&context(&assembled, "old-usage"), limit).await }
        };
        let sweeping = old::sweep("usage", keep_for, Jitter::random(), usage);
        self.tasks.spawn_endless("old usage", sweeping);
    }

    /// How the connections to Postgres are now; `None` where the store is a file. Quick enough to be asked at any time.
    pub fn pool(&self) -> Option<PoolSnapshot> {
        self.store.pool()
    }

    /// Begins to load the local model, if it is one of the providers and its file is there, so that the first caption does
    /// not wait for it. Returns at once; a failure is logged.
    pub fn warm(&self) {
        if let Some(cold) = self.cold.clone() {
            self.tasks.spawn_endless("warming", async move { cold.warm().await });
        }
    }

    /// What waits on disk for the store; `None` if there is no such place. Quick enough to be asked at any time.
    pub fn spool(&self) -> Option<SpoolCounts> {
        self.spool.counts()
    }

    /// Ends the background work, delivers what waits on disk and closes the stores. What was begun may end within
    /// [`Server::time_for_background`](crate::settings::Server::time_for_background); the rest is dropped. Requests in
    /// flight must have ended. A second call does nothing.
    pub async fn shutdown(&self) {
        let until = tokio::time::Instant::now() + self.time_for_background;
        self.tasks.drain(self.time_for_background).await;
        // Not worth a wait for a store that does not answer.
        drop(tokio::time::timeout_at(until, self.known_keys.write_uses()).await);
        let until_flushed = until.max(tokio::time::Instant::now() + LAST_USAGE);
        if !matches!(
            tokio::time::timeout_at(until_flushed, self.usage.flush(LAST_USAGE / 2)).await,
            Ok(Ok(()))
        ) {
            tracing::warn!(lost = ?self.usage.counts(), "usage could not be delivered at the end; it is in no report");
        }
        self.spool.close(until).await;
        self.store.close().await;
    }
}

/// Puts everything together as the settings say. A store, a cache or a provider that is away is a warning; settings that
/// can never work are an error. Needs a tokio runtime and, for TLS, [`install_crypto`](crate::install_crypto).
pub async fn assemble(settings: &Settings) -> Result<Assembled, AssembleError> {
    let tasks = Tasks::new(MOST_TASKS);
    let assembled = put_together(settings, &tasks).await;
    if assembled.is_err() {
        tasks.drain(FAILED_START).await;
    }
    assembled
}

/// The policy of all that goes to the store, and its figures.
fn store_policy(settings: &Settings, cpus: u32, store: &Store, monitor: &Monitor) -> Policy {
    let policy = Policy::new(policies::store(&settings.database, cpus));
    let policy = monitor.watch(Dependency::Database, policy);
    let (pool, queue) = (store.clone(), policy.clone());
    monitor.pool(move || gauges::pool(&pool, &queue));
    policy
}

/// Where budgets are counted.
fn ledger(settings: &Settings, keys: &Arc<dyn KeyStore>, monitor: &Monitor, tasks: &Tasks) -> Ledger {
    Ledger {
        keys: Arc::new(Watched::new(Arc::clone(keys), monitor.clone())),
        tasks: tasks.clone(),
        lease: settings.budgets.lease,
    }
}

fn options(settings: &Settings, templates: Templates) -> Options {
    Options {
        caption_ttl: settings.cache.caption(),
        stale: settings.fallback.stale && !settings.cache.stale.is_zero(),
        templates,
    }
}

async fn put_together(settings: &Settings, tasks: &Tasks) -> Result<Assembled, AssembleError> {
    let cpus = thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
    let templates = prompts::templates(settings)?;
    let store = Store::open(&settings.database, cpus)?;
    let monitor = Monitor::new(settings.monitor.window);
    watch_process(&monitor);
    let (layers, cache_component) = caches::layers(settings, cpus, tasks, &monitor)?;
    let quota = limits::quota(settings, cpus, &cache_component)?;
    let policy = store_policy(settings, cpus, &store, &monitor);
    let Ports {
        users,
        captions,
        keys,
        batches,
        usage,
    } = store.guarded(&policy);
    let ledger = ledger(settings, &keys, &monitor, tasks);
    let (tables, writers, ()) = tokio::join!(
        Tables::prepare(&store, settings.database.migrate, tasks),
        writers(settings, &quota, &monitor, &ledger),
        cache_component.greet()
    );
    let tables = tables?;
    let Writers {
        chain,
        rungs,
        providers,
        mut components,
        cold,
    } = writers?;

    let keys_of_batches = Arc::new(Watched::new(Arc::clone(&keys), monitor.clone()));
    let known_keys = keys::cached(keys, layers.as_ref(), &settings.auth, tasks);
    let (spool, captions, usage) = behind_the_spool(captions, usage, settings, &tables, tasks, &monitor).await;
    let (caches, users, shown_users) = caches::caches(layers.as_ref(), users, settings);
    let captions = caches.history(captions);
    let counted = caches.clone();
    monitor.caches(move || counted.counts());
    let probe = Probe::Store {
        store: store.clone(),
        tables_are_current: tables.current(),
    };
    components.insert(0, Component::new("store", Some(policy), probe));
    components.insert(1, cache_component);
    if let Some(spool) = spool.component() {
        components.insert(1, spool);
    }

    let engine = Arc::new(Engine {
        users: Arc::new(Watched::new(users, monitor.clone())),
        captions: Arc::new(Watched::new(captions, monitor.clone())),
        answers: caches.answers(&monitor),
        llm: Arc::new(Watched::new(chain, monitor.clone())),
        rungs,
        options: options(settings, templates),
    });
    let callers = limits::callers(&settings.limits, &quota);
    let budget = limits::budget(&settings.budgets);
    let batches = Batches::new(Parts {
        budget,
        queue: Arc::new(Watched::new(batches, monitor.clone())),
        shared: caches::told_by(layers.as_ref()),
        engine: Arc::clone(&engine),
        keys: keys_of_batches,
        callers: callers.clone(),
        settings: settings.batches.clone(),
        max_attempts: settings.api.max_attempts,
        time_for_background: settings.server.time_for_background(),
        tally: Arc::clone(usage.tally()),
        tasks: tasks.clone(),
    });
    batches.report_to(&monitor);
    Ok(Assembled {
        engine,
        batches,
        readiness: Readiness::new(components),
        providers,
        keys: Arc::new(Watched::new(Arc::new(known_keys.clone()), monitor.clone())),
        keys_required: settings.auth.is_required(settings.server.listen),
        callers,
        quota,
        budget,
        currency: settings.budgets.currency,
        shown_users: Arc::new(Watched::new(shown_users, monitor.clone())),
        caches,
        usage,
        replays: caches::replays(layers.as_ref()),
        monitor,
        stall_limit: Some(settings.monitor.stall_limit).filter(|limit| !limit.is_zero()),
        keep_calls_for: settings.idempotency.keep_for,
        keep_usage_for: settings.usage.keep_for(),
        deadline: settings.engine.deadline,
        max_attempts: settings.api.max_attempts,
        cold,
        store,
        spool,
        known_keys,
        tasks: tasks.clone(),
        time_for_background: settings.server.time_for_background(),
    })
}

/// The history, and what is used, with the waiting room before them if there is one; usage is brought there from now on.
async fn behind_the_spool(
    captions: Arc<dyn CaptionStore>,
    usage: Arc<dyn UsageStore>,
    settings: &Settings,
    tables: &Tables,
    tasks: &Tasks,
    monitor: &Monitor,
) -> (Spool, Arc<dyn CaptionStore>, UsageWriter) {
    let (bare, uncounted) = (Arc::clone(&captions), Arc::clone(&usage));
    let spool = Spool::before(bare, uncounted, settings, tables.current(), tasks).await;
    if let Spool::Open(waiting) = &spool {
        let waiting = Arc::clone(waiting);
        monitor.spool(move || gauges::spool(waiting.counts()));
    }
    let usage = UsageWriter::new(spool.usage(usage), settings.usage.keep_for());
    let (delivered, counted) = (usage.clone(), usage.clone());
    tasks.spawn_endless("usage", async move { delivered.run().await });
    monitor.usage(move || counted.counts());
    let captions = spool.captions(captions);
    (spool, captions, usage)
}

fn watch_process(monitor: &Monitor) {
    if let Some(process) = gauges::process() {
        monitor.process(process);
    }
}

/// Connects to nothing yet.
pub(crate) fn redis(url: &SecretUrl, settings: &Redis, cpus: u32) -> Result<RedisCache, AssembleError> {
    let options = RedisOptions {
        url: url.expose().to_owned(),
        ca_file: settings.ca_file.clone(),
        connections: policies::size(settings.connections(cpus)),
        connect_timeout: settings.connect_timeout,
        read_timeout: settings.read_timeout,
        write_timeout: settings.write_timeout,
        prefix: String::new(),
        max_value_bytes: LARGEST_CACHED,
    };
    match url.scheme().as_str() {
        "redis" | "rediss" | "redis+unix" | "unix" => RedisCache::new(options).map_err(AssembleError::Redis),
        scheme => Err(AssembleError::UnknownScheme {
            key: "redis.url",
            scheme: scheme.to_owned(),
            known: "redis, rediss, redis+unix, unix",
        }),
    }
}

#[cfg(test)]
mod tests;
