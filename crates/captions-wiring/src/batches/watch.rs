//! Waiting for the end of a batch. However many wait for the same one, the store is asked by one of them.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use captions_domain::{
    batch::{Batch, BatchId, Page},
    context::{Context, TenantId},
    fault::StoreError,
};
use tokio::{
    sync::watch::{self, Receiver, Sender},
    time::{Instant, sleep, timeout_at},
};

use super::{Batches, lock};

/// The store is not asked more often than this, however often workers look for work.
const SHORTEST: Duration = Duration::from_millis(50);

/// The batches that somebody waits for.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<Key, Receiver<Option<Batch>>>>);

type Key = (TenantId, BatchId);

impl Batches {
    /// The batch once it is over, or as it is at the time `until`, or when the process ends; `None` if this tenant has no
    /// such batch.
    pub async fn wait(&self, cx: &Context, id: BatchId, until: Instant) -> Result<Option<Batch>, StoreError> {
        let Some((batch, _)) = self.0.queue.read(cx, id, Page::NONE).await? else {
            return Ok(None);
        };
        if batch.state.is_over() {
            return Ok(Some(batch));
        }
        let mut seen = self.seen(cx, &batch);
        let over = seen.wait_for(|batch| batch.as_ref().is_none_or(|batch| batch.state.is_over()));
        tokio::select! {
            over = timeout_at(until, over) => drop(over),
            () = self.0.tasks.stopping() => {}
        }
        let last = seen.borrow().clone();
        Ok(last)
    }

    /// What the one who asks the store sees of the batch.
    fn seen(&self, cx: &Context, batch: &Batch) -> Receiver<Option<Batch>> {
        let key = (cx.tenant.clone(), batch.id);
        let mut watched = lock(&self.0.watched.0);
        if let Some(seen) = watched.get(&key).filter(|seen| seen.has_changed().is_ok()) {
            return seen.clone();
        }
        let (tell, seen) = watch::channel(Some(batch.clone()));
        let asking = ask(self.clone(), key.clone(), tell);
        if self.0.tasks.spawn("batch watch", asking).is_ok() {
            watched.insert(key, seen.clone());
        }
        seen
    }
}

/// Asks until the batch is over or nobody waits any more.
async fn ask(batches: Batches, key: Key, tell: Sender<Option<Batch>>) {
    let inner = &batches.0;
    loop {
        tokio::select! {
            () = sleep(inner.settings.poll.max(SHORTEST)) => {}
            () = inner.tasks.stopping() => break,
        }
        // One receiver is the map's own. Who comes for it now is waited for, or finds it gone.
        let mut watched = lock(&inner.watched.0);
        if tell.receiver_count() <= 1 {
            watched.remove(&key);
            return;
        }
        drop(watched);
        let cx = Context {
            tenant: key.0.clone(),
            ..inner.context("batches")
        };
        // Whoever waits is told when the store is back.
        let Ok(read) = inner.queue.read(&cx, key.1, Page::NONE).await else {
            continue;
        };
        let batch = read.map(|(batch, _)| batch);
        let is_over = batch.as_ref().is_none_or(|batch| batch.state.is_over());
        tell.send_replace(batch);
        if is_over {
            break;
        }
    }
    lock(&inner.watched.0).remove(&key);
}
