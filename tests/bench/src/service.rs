//! The HTTP API as production starts it, in an empty home, with one provider.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use captions_wiring::{assemble, settings};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub(crate) struct Service {
    pub(crate) base: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

/// The settings that a home without any gives, with this provider.
pub(crate) fn settings(home: &Path, upstream: &str) -> anyhow::Result<settings::Settings> {
    let sources = settings::Sources {
        env: BTreeMap::from([
            ("HOME".to_owned(), home.display().to_string()),
            ("OPENAI_BASE_URL".to_owned(), upstream.to_owned()),
            ("OPENAI_MODEL".to_owned(), "bench".to_owned()),
        ]),
        cwd: home.to_owned(),
        ..settings::Sources::default()
    };
    Ok(settings::load(&sources)?.settings)
}

impl Service {
    pub(crate) async fn start(settings: &settings::Settings) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let assembled = Arc::new(assemble(settings).await?);
        let state = captions_http::start::state(settings, &assembled);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let stopped = async {
                drop(stopped.await);
            };
            captions_http::serve(listener, state, stopped).await?;
            assembled.shutdown().await;
            Ok(())
        });
        Ok(Self { base, stop, served })
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        // It may have ended by itself; then the task says why.
        let _ = self.stop.send(());
        self.served.await?
    }
}
