//! From settings to a running server: the only part of this app that knows the composition root.

use std::{borrow::Cow, io, path::PathBuf, sync::Arc};

use anyhow::Context;
use captions_api::batch;
use captions_domain::context::TenantId;
use captions_wiring::{
    Assembled, Status, assemble,
    settings::{Settings, Sources, load},
    telemetry,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AppState, Component, ComponentStatus, Keeping, Keys, Limits, Once, Streams, Turns, serve, serve_admin,
    serve_starting, warm_up,
};

/// How the server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What had begun was finished, or told that the server stops; what was to be written is written.
    InGoodOrder,
    /// A second signal came while that was under way.
    AtOnce,
}

/// Runs until SIGTERM or SIGINT, and a second one cuts the good end short. `flags` are settings by dotted key, above all
/// others.
///
/// Errors: settings or parts that cannot be used; an [`io::Error`] if the address cannot be listened on.
pub async fn run(flags: Vec<(String, String)>, config: Option<PathBuf>) -> anyhow::Result<End> {
    let settings = load(&Sources::of_this_process(flags, config)?)?.settings;
    let traces = telemetry::install_with_traces(&settings.log, &settings.telemetry)?;
    let mut signals = Signals::listen()?;
    let listen = settings.server.listen;
    // First of all: whoever connects while the parts are put together is told so instead of being refused.
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    let operators = match settings.admin.listen {
        None => None,
        Some(listen) => {
            let bound = TcpListener::bind(listen).await;
            Some(bound.with_context(|| format!("listening for operators on {listen}"))?)
        }
    };
    let assembled = tokio::select! {
        biased;
        assembled = assemble(&settings) => Arc::new(assembled?),
        never = serve_starting(&listener, limits(&settings)) => match never {},
        () = signals.next() => return Ok(End::InGoodOrder),
    };
    warm(&settings, &assembled);
    assembled.watch_event_loop();
    assembled.forget_what_is_old();
    if let Err(error) = assembled.raise_alerts(&settings.alerts) {
        assembled.shutdown().await;
        return Err(error.into());
    }
    let state = state(&settings, &assembled);
    let batches = assembled.batches.clone();
    batches.work(batch::FORMS, settings.batches.workers, None);
    if let Some(operators) = operators {
        let answers = serve_admin(operators, state.clone());
        assembled
            .tasks()
            .spawn_endless("admin", async move { match answers.await {} });
    }
    let stop = CancellationToken::new();
    // One listener for both signals: the second is waited for before the first has any effect that could be seen.
    let told_again = async {
        signals.next().await;
        stop.cancel();
        signals.next().await;
    };
    let in_good_order = async {
        let told = async {
            stop.cancelled().await;
            // Other processes go on with them.
            batches.rest();
        };
        let served = serve(listener, state, told).await;
        assembled.shutdown().await;
        traces.shutdown().await;
        served
    };
    tokio::select! {
        biased;
        () = told_again => {
            tracing::warn!("a second signal: stopping at once");
            Ok(End::AtOnce)
        }
        served = in_good_order => served.map(|()| End::InGoodOrder),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// None that comes from now on is missed, but several that come before anybody asks are one.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Begins in the background what makes the first requests quick: the local model is loaded, and the captions of the
/// warm-up list are written. Nothing waits for either, and both end with the server.
pub fn warm(settings: &Settings, assembled: &Arc<Assembled>) {
    assembled.warm();
    if let Some(list) = settings.cache.warm_up.clone() {
        let warming = Arc::clone(assembled);
        assembled.tasks().spawn_endless("warm-up list", async move {
            let context = |name| warming.context(TenantId::local(), name, None);
            warm_up::run(&warming.engine, context, &list).await;
        });
    }
}

/// What the handlers are given, as the settings say.
pub fn state(settings: &Settings, assembled: &Arc<Assembled>) -> AppState {
    let mut state = AppState::new(Arc::clone(&assembled.engine), limits(settings));
    state.monitor = assembled.monitor.clone();
    state.shown_users = Arc::clone(&assembled.shown_users);
    state.providers = assembled.providers.clone();
    state.streams = Streams::new(assembled.replays.clone().map(|replays| Keeping {
        cache: replays.cache,
        is_shared: replays.is_shared,
        time: settings.server.stream_replay,
    }));
    state.cors_origins = settings.server.cors_origins();
    state.keys = Some(Keys {
        store: Arc::clone(&assembled.keys),
        required: assembled.keys_required,
    });
    state.callers = Some(assembled.callers.clone());
    state.budget = assembled.budget;
    state.currency = Some(assembled.currency);
    state.usage = Some(assembled.usage.clone());
    state.concurrency.limit = settings.limits.concurrent_requests;
    state.concurrency.turns = Turns::new(Arc::clone(&assembled.quota), assembled.tasks().clone());
    state.once = Once::new(settings.idempotency.keep_for, assembled.tasks().clone());
    state.batches = Some(assembled.batches.clone());
    let assembled = Arc::clone(assembled);
    state.components = Arc::new(move || {
        let assembled = Arc::clone(&assembled);
        Box::pin(async move { assembled.readiness.check().await.into_iter().map(component).collect() })
    });
    state
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        deadline: settings.engine.deadline,
        drain: settings.server.time_for_requests(),
        max_attempts: settings.api.max_attempts,
        header_timeout: settings.server.header_timeout,
        body_limit: settings.server.body_limit,
        body_timeout: settings.server.body_timeout,
        json_depth: settings.server.json_depth,
        uri_limit: settings.server.uri_limit,
        header_limit: settings.server.header_limit,
        header_count: settings.server.header_count,
        keep_alive: settings.server.stream_keep_alive,
    }
}

fn component(status: Status) -> Component {
    Component {
        name: status.name,
        status: if status.ok {
            ComponentStatus::Ok
        } else {
            ComponentStatus::Degraded
        },
        detail: status.why.map(Cow::into_owned),
    }
}
