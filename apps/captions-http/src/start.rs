//! From settings to a running server: the only part of this app that knows the composition root.

use std::{path::PathBuf, pin::pin, sync::Arc};

use anyhow::Context;
use captions_wiring::{
    Assembled, Status, assemble,
    settings::{Settings, Sources, load},
    telemetry,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{AppState, Component, ComponentStatus, Limits, serve, serve_starting};

/// Runs until SIGTERM or SIGINT. `flags` are settings by dotted key, above all others.
pub async fn run(flags: Vec<(String, String)>, config: Option<PathBuf>) -> anyhow::Result<()> {
    let settings = load(&Sources::of_this_process(flags, config)?)?.settings;
    telemetry::install(&settings.log)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listen = settings.server.listen;
    // First of all: whoever connects while the parts are put together is told so instead of being refused.
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    let mut stop = pin!(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let assembled = tokio::select! {
        biased;
        assembled = assemble(&settings) => Arc::new(assembled?),
        never = serve_starting(&listener, limits(&settings)) => match never {},
        () = &mut stop => return Ok(()),
    };
    let warming = tokio::spawn({
        let assembled = Arc::clone(&assembled);
        async move { assembled.warm().await }
    });
    let served = serve(listener, state(&settings, &assembled), stop).await;
    warming.abort();
    // Either it had ended, or it was aborted: both is what we want.
    drop(warming.await);
    served?;
    // Nobody else holds it any more: all connections have ended.
    if let Some(assembled) = Arc::into_inner(assembled) {
        assembled.shutdown().await;
    }
    Ok(())
}

/// What the handlers are given, as the settings say.
pub fn state(settings: &Settings, assembled: &Arc<Assembled>) -> AppState {
    let mut state = AppState::new(Arc::clone(&assembled.engine), limits(settings));
    state.monitor = assembled.monitor.clone();
    let assembled = Arc::clone(assembled);
    state.components = Arc::new(move || {
        let assembled = Arc::clone(&assembled);
        Box::pin(async move { assembled.readiness.check().await.into_iter().map(component).collect() })
    });
    state
}

const fn limits(settings: &Settings) -> Limits {
    Limits {
        deadline: settings.engine.deadline,
        drain: settings.server.drain_timeout,
        max_attempts: settings.api.max_attempts,
        header_timeout: settings.server.header_timeout,
        body_limit: settings.server.body_limit,
        body_timeout: settings.server.body_timeout,
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
        detail: status.why.map(Into::into),
    }
}
