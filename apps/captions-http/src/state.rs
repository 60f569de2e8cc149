//! What every handler is given.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use captions_domain::{
    budget::Budget,
    engine::Engine,
    limiter::Limiter,
    money::Currency,
    ports::{KeyStore, UserStore},
};
use captions_wiring::{Batches, Providers, UsageWriter, monitor::Monitor};
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{once::Once, replay::Streams, turns::Turns};

/// What every layer and every handler has a clone of: several for each request, which share everything. One that is changed
/// becomes a server of its own.
#[derive(Clone)]
pub struct AppState(Arc<Server>);

impl Deref for AppState {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for AppState {
    fn deref_mut(&mut self) -> &mut Server {
        Arc::make_mut(&mut self.0)
    }
}

/// The engine and how this server runs it.
#[derive(Clone)]
pub struct Server {
    pub engine: Arc<Engine>,
    /// Where a user is read who is only shown. Who is to be changed is read from the engine's store.
    pub shown_users: Arc<dyn UserStore>,
    pub limits: Limits,
    /// Who may call; `None`: whoever can reach the server, as the tenant `local`.
    pub keys: Option<Keys>,
    /// How much each caller may ask; `None`: as much as it likes.
    pub callers: Option<Limiter>,
    /// What each tenant may spend; `None`: as much as it likes.
    pub budget: Option<Budget>,
    /// The currency of the prices.
    pub currency: Option<Currency>,
    /// Where what callers use is put down and reported; `None`: nowhere.
    pub usage: Option<UsageWriter>,
    /// How many requests of each caller are answered at the same moment.
    pub concurrency: Concurrency,
    /// `None`: there are no batches.
    pub batches: Option<Batches>,
    /// Asked by `/readyz`; takes a second at most.
    pub components: Arc<dyn Fn() -> BoxFuture<'static, Vec<Component>> + Send + Sync>,
    /// The providers one by one.
    pub providers: Providers,
    pub lifecycle: Lifecycle,
    /// Counts the captions that are asked for.
    pub monitor: Monitor,
    /// Streams that can be taken up again.
    pub streams: Streams,
    /// Web pages of these origins may read the answers: `https://app.example`, or `*` for any. Empty: none may.
    pub cors_origins: Vec<String>,
    /// How calls with an `Idempotency-Key` are treated.
    pub once: Once,
}

impl AppState {
    /// A server of `engine` with no components to report and figures of its own.
    pub fn new(engine: Arc<Engine>, limits: Limits) -> Self {
        Self(Arc::new(Server {
            shown_users: Arc::clone(&engine.users),
            engine,
            limits,
            keys: None,
            callers: None,
            budget: None,
            currency: None,
            usage: None,
            concurrency: Concurrency::default(),
            batches: None,
            components: Arc::new(|| Box::pin(async { Vec::new() })),
            providers: Providers::default(),
            lifecycle: Lifecycle::default(),
            monitor: Monitor::default(),
            streams: Streams::default(),
            cors_origins: Vec::new(),
            once: Once::default(),
        }))
    }
}

/// The keys that callers present.
#[derive(Clone)]
pub struct Keys {
    pub store: Arc<dyn KeyStore>,
    /// False: who presents none is the tenant `local` and may do everything.
    pub required: bool,
}

/// How many requests of each caller are answered at the same moment.
#[derive(Debug, Clone, Default)]
pub struct Concurrency {
    /// For callers whose key says nothing else; 0: as many as like.
    pub limit: u64,
    pub turns: Turns,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A request may take this long, unless its `Request-Timeout-Ms` says less.
    pub deadline: Duration,
    /// After a signal to stop, requests that have begun may take this much longer.
    pub drain: Duration,
    /// Provider calls that one request may begin.
    pub max_attempts: u32,
    /// A client may take this long to send its headers, and may leave a connection idle for this long.
    pub header_timeout: Duration,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// A client may take this long to send its body.
    pub body_timeout: Duration,
    /// How deep JSON may be nested.
    pub json_depth: usize,
    /// The longest path with its query, in bytes.
    pub uri_limit: usize,
    /// The most bytes of all headers together, names and values.
    pub header_limit: usize,
    /// The most headers.
    pub header_count: usize,
    /// A stream on which nothing moves sends a comment after this long.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(20),
            drain: Duration::from_secs(25),
            max_attempts: 3,
            header_timeout: Duration::from_secs(10),
            body_limit: 256 * 1024,
            body_timeout: Duration::from_secs(10),
            json_depth: 100,
            uri_limit: 8 * 1024,
            header_limit: 32 * 1024,
            header_count: 100,
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// How far the server is on its way out.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// No new work is taken; what has begun goes on.
    pub draining: CancellationToken,
    /// The time for that is up: what is still going on ends with an error.
    pub closing: CancellationToken,
}

/// A part that the service depends on, as `/readyz?verbose` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Component {
    /// As in `store`, `cache`, `llm`.
    pub name: String,
    pub status: ComponentStatus,
    /// What is known beyond the status, in words; without addresses and keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    Ok,
    /// Captions are still written, with less.
    Degraded,
}
