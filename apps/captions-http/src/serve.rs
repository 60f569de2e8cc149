//! Accepts connections, and stops in good order.

use std::{convert::Infallible, future::Future, io, pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use crate::{
    admin::admin_router,
    router, starting_router,
    state::{AppState, Limits},
};

/// How far a request's head may be beyond its limits, in bytes and in headers, and still get a problem for it. Beyond that the
/// connection is closed with the bare status.
const MORE_HEAD: usize = 16 * 1024;
const MORE_HEADERS: usize = 50;

/// What a last error event or problem needs to get out after the time for draining is up.
const FAREWELL: Duration = Duration::from_secs(1);

/// The pause after a failed accept, which mostly means that there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is ready, then drains: new work is turned away and `/readyz` says so, what has begun may end
/// within [`Limits::drain`], what is left then is told that the server stops. `Ok` in every case but a listener that
/// cannot be used.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let lifecycle = state.lifecycle.clone();
    let limits = state.limits;
    let streams = state.streams.clone();
    let app = router(state);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tracing::info!(%address, "listening");

    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => {
                if let Some(stream) = opened(accepted).await {
                    connections.spawn(connection(stream, app.clone(), limits, Some(graceful.watcher())));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }

    let begun = Instant::now();
    lifecycle.draining.cancel();
    tracing::info!(connections = graceful.count(), "draining");
    let mut drained = pin!(graceful.shutdown());
    let mut is_cut_off = false;
    loop {
        let until = begun + limits.drain + if is_cut_off { FAREWELL } else { Duration::ZERO };
        tokio::select! {
            biased;
            () = &mut drained => break,
            () = tokio::time::sleep_until(until) => {
                if is_cut_off {
                    break;
                }
                is_cut_off = true;
                lifecycle.closing.cancel();
            }
            // Whoever asks now is told that this server stops, instead of finding nobody.
            accepted = listener.accept() => {
                if let Some(stream) = opened(accepted).await {
                    connections.spawn(connection(stream, app.clone(), limits, None));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    let left = connections.len();
    connections.shutdown().await;
    streams.close().await;
    tracing::info!(
        connections_cut = left,
        cut_off = is_cut_off,
        duration_ms = begun.elapsed().as_secs_f64() * 1e3,
        "stopped"
    );
    Ok(())
}

/// Answers with [`starting_router`] for as long as it is polled. Its connections end with it.
pub async fn serve_starting(listener: &TcpListener, limits: Limits) -> Infallible {
    serve_endlessly(listener, starting_router(), limits).await
}

/// Answers operators with [`admin_router`] for as long as it is polled, also while the server drains: that is when they look.
/// Its connections end with it.
pub async fn serve_admin(listener: TcpListener, state: AppState) -> Infallible {
    let limits = state.limits;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for operators");
    }
    serve_endlessly(&listener, admin_router(state), limits).await
}

async fn serve_endlessly(listener: &TcpListener, app: Router, limits: Limits) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Some(stream) = opened(accepted).await {
                    connections.spawn(connection(stream, app.clone(), limits, None));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The accepted connection. A failure to accept is never the end of the server.
async fn opened(accepted: io::Result<(TcpStream, std::net::SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            // Events and short answers must not wait for the acknowledgement of the packet before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection until it ends. Only a watched one is waited for when the server stops.
async fn connection(stream: TcpStream, app: Router, limits: Limits, watcher: Option<Watcher>) {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.header_count.saturating_add(MORE_HEADERS))
        .max_buf_size(
            limits
                .header_limit
                .saturating_add(limits.uri_limit)
                .saturating_add(MORE_HEAD),
        );
    let served = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .into_owned();
    let ended = match watcher {
        Some(watcher) => watcher.watch(served).await,
        None => served.await,
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_to_a_client_does_not_wait_for_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();

        let stream = opened(listener.accept().await).await.unwrap();

        assert!(stream.nodelay().unwrap());
    }
}
