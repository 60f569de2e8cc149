//! The server under test.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use captions_domain::{
    engine::{Engine, Options},
    prompt::Templates,
};
use captions_http::{AppState, Limits, serve};
use captions_wiring::monitor::Monitor;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::ports::{Shelf, Store, Turn, Writer};

/// A caption that breaks no rule.
pub(crate) const TEXT: &str = "The sill is warm and the cat knows it.";

/// A running server with its ports at hand. It stops with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Store>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) monitor: Monitor,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// One whose writer follows `script`.
    pub(crate) async fn start(script: impl IntoIterator<Item = Turn>) -> Self {
        Self::start_with(script, Limits::default()).await
    }

    pub(crate) async fn start_with(script: impl IntoIterator<Item = Turn>, limits: Limits) -> Self {
        Self::start_as(script, limits, |state| state).await
    }

    pub(crate) async fn start_as(
        script: impl IntoIterator<Item = Turn>,
        limits: Limits,
        adjust: impl FnOnce(AppState) -> AppState,
    ) -> Self {
        let (state, store, writer) = state(script, limits);
        let state = adjust(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (monitor, engine) = (state.monitor.clone(), Arc::clone(&state.engine));
        let ended = tokio::spawn(serve(listener, state, async move {
            let _ = stopped.await;
        }));
        Self {
            address,
            store,
            writer,
            engine,
            monitor,
            stop: Some(stop),
            ended,
        }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("told twice").send(()).unwrap();
    }

    /// Waits until it has stopped.
    pub(crate) async fn ended(self) {
        timeout(Duration::from_secs(20), self.ended)
            .await
            .expect("does not stop")
            .unwrap()
            .unwrap();
    }
}

/// What a server is made of.
pub(crate) fn state(script: impl IntoIterator<Item = Turn>, limits: Limits) -> (AppState, Arc<Store>, Arc<Writer>) {
    let store = Arc::new(Store::default());
    let writer = Arc::new(Writer::new(script));
    let engine = Engine {
        users: Arc::clone(&store) as _,
        captions: Arc::clone(&store) as _,
        answers: Arc::new(Shelf::default()),
        llm: Arc::clone(&writer) as _,
        rungs: Vec::new(),
        options: Options {
            templates: Templates::default(),
            caption_ttl: Duration::from_secs(3600),
            stale: false,
        },
    };
    (AppState::new(Arc::new(engine), limits), store, writer)
}
