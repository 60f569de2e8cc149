//! The waiting room on disk, before a store that is another machine's.

use std::{
    future::{pending, ready},
    sync::Arc,
};

use captions_domain::ports::{CaptionStore, UsageStore};
use captions_embedded::spool::{Counts, SpoolOptions, SpooledCaptions};
use captions_resilience::tasks::Tasks;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    readiness::{Component, Probe},
    settings::Settings,
};

/// What became of the waiting room.
#[derive(Clone)]
pub(crate) enum Spool {
    /// None is wanted, or none would help.
    Off,
    Broken,
    Open(Arc<SpooledCaptions>),
}

impl Spool {
    /// True where captions are to wait on disk: the settings allow it, and the store is not itself a file.
    pub(crate) fn is_wanted(settings: &Settings) -> bool {
        settings.spool.enabled && settings.database.url.scheme() != "sqlite"
    }

    /// Puts it before `captions` and `usage`, and has what waits delivered from the moment on at which the tables are `current`: a
    /// store without its tables would refuse everything for good.
    ///
    /// An SQLite store gets none: what keeps a row from being written into its file, such as a full disk, would keep it out
    /// of a second file on the same machine as well. A file that cannot be used is a warning, and captions go to the
    /// store alone.
    pub(crate) async fn before(
        captions: Arc<dyn CaptionStore>,
        usage: Arc<dyn UsageStore>,
        settings: &Settings,
        mut current: watch::Receiver<bool>,
        tasks: &Tasks,
    ) -> Self {
        if !Self::is_wanted(settings) {
            return Self::Off;
        }
        let Some(path) = settings.spool.path.clone() else {
            tracing::warn!(
                "there is no folder for captions that wait for the store; set HOME, XDG_DATA_HOME or spool.path"
            );
            return Self::Broken;
        };
        let options = SpoolOptions {
            path,
            max_rows: settings.spool.max_rows,
            max_bytes: settings.spool.max_bytes,
        };
        let spool = match SpooledCaptions::open(captions, options).await {
            Ok(spool) => Arc::new(spool.with_usage(usage)),
            Err(fault) => {
                tracing::warn!(
                    error = %crate::doctor::told(&fault),
                    "captions cannot wait on disk (spool.path): what the store does not take at once is in no history"
                );
                return Self::Broken;
            }
        };
        if !*current.borrow() {
            spool.hold();
        }
        let delivery = Arc::clone(&spool);
        tasks.spawn_endless("spool", async move {
            // Ends without them only if the process ends.
            if current.wait_for(|is_current| *is_current).await.is_ok() {
                delivery.release();
                delivery.run(pending()).await;
            }
        });
        Self::Open(spool)
    }

    /// The captions to be used: with the waiting room before them if there is one.
    pub(crate) fn captions(&self, bare: Arc<dyn CaptionStore>) -> Arc<dyn CaptionStore> {
        match self {
            Self::Open(spool) => Arc::clone(spool) as _,
            Self::Off | Self::Broken => bare,
        }
    }

    /// The same with usage.
    pub(crate) fn usage(&self, bare: Arc<dyn UsageStore>) -> Arc<dyn UsageStore> {
        match self {
            Self::Open(spool) => Arc::clone(spool) as _,
            Self::Off | Self::Broken => bare,
        }
    }

    /// As readiness pages show it, if it is wanted.
    pub(crate) fn component(&self) -> Option<Component> {
        let probe = match self {
            Self::Off => return None,
            Self::Broken => Probe::Spool(None),
            Self::Open(spool) => Probe::Spool(Some(Arc::clone(spool))),
        };
        Some(Component::new("spool", None, probe))
    }

    /// What is in it, as far as this process knows.
    pub(crate) fn counts(&self) -> Option<Counts> {
        match self {
            Self::Open(spool) => Some(spool.counts()),
            Self::Off | Self::Broken => None,
        }
    }

    /// Delivers what waits, within two seconds, and closes the file. The loop must have ended.
    pub(crate) async fn close(&self, until: Instant) {
        if let Self::Open(spool) = self {
            // What is not delivered stays on disk.
            drop(timeout_at(until, spool.run(ready(()))).await);
            spool.close().await;
        }
    }
}
