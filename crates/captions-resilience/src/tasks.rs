//! Work in the background: everything that runs beside the requests has a name, an owner, and an end.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a task that is being cut off has to notice it. One that never yields would else hold up the end for ever.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// The tasks of one process. Clones are the same tasks. Nothing else in the workspace starts one that outlives its caller.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tracker: TaskTracker,
    /// From here on nothing is taken on.
    stopping: CancellationToken,
    /// From here on what still runs is dropped.
    cut: CancellationToken,
    limit: usize,
    running: AtomicUsize,
    refused: AtomicU64,
    panicked: AtomicU64,
    cut_off: AtomicU64,
}

/// How the tasks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskCounts {
    /// Pieces of work going on now, endless ones left out.
    pub running: usize,
    /// Pieces of work that were turned away: too many at once, or the end had come.
    pub refused: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that were dropped unfinished at the end.
    pub cut_off: u64,
}

impl Tasks {
    /// No task yet, and at most `limit` pieces of work at once. Endless ones do not count.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            cut: CancellationToken::new(),
            limit,
            running: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
        }))
    }

    /// Starts a piece of work that comes to an end by itself; `name` is for logs. Needs a tokio runtime.
    ///
    /// Errors: the work, unstarted, if as many as may are running or [`Tasks::drain`] has begun. It is counted.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> Result<(), F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(place) = self.place() else {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return Err(work);
        };
        self.start(name, async move {
            work.await;
            drop(place);
        });
        Ok(())
    }

    /// Starts work that has no end of its own, such as listening. It is dropped when [`Tasks::drain`] begins.
    pub fn spawn_endless<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.0.stopping.clone();
        self.start(name, async move {
            // To be stopped is how it ends.
            stopping.run_until_cancelled_owned(work).await;
        });
    }

    /// Returns once [`Tasks::drain`] has begun: work that waits for better times gives up then.
    pub async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// The end: takes nothing on any more, waits up to `limit` for what runs, drops what is left then, and returns how
    /// many tasks that were.
    pub async fn drain(&self, limit: Duration) -> u64 {
        self.0.stopping.cancel();
        self.0.tracker.close();
        if timeout(limit, self.0.tracker.wait()).await.is_ok() {
            return 0;
        }
        let before = self.0.cut_off.load(Ordering::Relaxed);
        self.0.cut.cancel();
        if timeout(LAST_BREATH, self.0.tracker.wait()).await.is_err() {
            tracing::error!(left = self.0.tracker.len(), "background tasks do not stop");
        }
        let cut_off = self.0.cut_off.load(Ordering::Relaxed) - before;
        tracing::warn!(cut_off, "background tasks were cut off at the end");
        cut_off
    }

    /// How the tasks are now.
    pub fn counts(&self) -> TaskCounts {
        TaskCounts {
            running: self.0.running.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
            panicked: self.0.panicked.load(Ordering::Relaxed),
            cut_off: self.0.cut_off.load(Ordering::Relaxed),
        }
    }

    fn place(&self) -> Option<Place> {
        if self.0.stopping.is_cancelled() {
            return None;
        }
        self.0
            .running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
                (running < self.0.limit).then_some(running + 1)
            })
            .ok()
            .map(|_| Place(Arc::clone(&self.0)))
    }

    fn start(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let inner = Arc::clone(&self.0);
        let task = async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            match inner.cut.run_until_cancelled(work).await {
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    inner.panicked.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(task = name, "a background task panicked");
                }
                None => {
                    inner.cut_off.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        // The tracker awaits it.
        drop(self.0.tracker.spawn(task));
    }
}

/// One of the places for work; free again when dropped, also by a panic.
struct Place(Arc<Inner>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
