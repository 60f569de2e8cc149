//! Who of all processes loads a value: whoever holds its lease in the shared layer.
//!
//! A lease is a random token that stands there for a few seconds and is renewed while the load goes on. One whose holder
//! has died runs out; one whose holder was too slow to renew it may pass to another, and then two load the same, which
//! costs a load and nothing else.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::{context::Context, fault::Fault, ports::Cache, ports::CacheKey};
use futures_util::{FutureExt, future::BoxFuture};
use rand::Rng;
use tokio::{runtime::Handle, time::sleep};

use super::{
    entry::Place,
    layers::{housekeeping, patient},
};
use crate::tasks::Tasks;

pub(super) struct Lease {
    shared: Arc<dyn Cache>,
    tasks: Tasks,
    place: Place,
    token: Bytes,
    time: Duration,
    /// Whether it may stand there as ours.
    is_held: bool,
    /// Under way.
    renewal: Option<BoxFuture<'static, ()>>,
}

impl Lease {
    /// Not taken yet.
    pub(super) fn new(shared: &Arc<dyn Cache>, tasks: &Tasks, place: &Place, time: Duration) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(place.key.as_str().as_bytes());
        let token: [u8; 16] = rand::rng().random();
        Self {
            shared: Arc::clone(shared),
            tasks: tasks.clone(),
            place: Place {
                tenant: place.tenant.clone(),
                key: CacheKey::new("lease", &hasher.finalize()),
            },
            token: Bytes::copy_from_slice(&token),
            time,
            is_held: false,
            renewal: None,
        }
    }

    /// Takes it if nobody has it.
    pub(super) async fn take(&mut self, cx: &Context) -> Result<bool, Fault> {
        // Until there is an answer it may be ours: a lost one, or a caller who leaves now, must not keep others out.
        self.is_held = true;
        let taken = self
            .shared
            .put_if_absent(&patient(cx), &self.place.key, self.token.clone(), self.time)
            .await;
        self.is_held = !matches!(taken, Ok(false));
        taken
    }

    /// Does the work and renews the lease meanwhile.
    pub(super) async fn keep_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(self.time / 3) => {}
            }
            let renewal = self.renewal.insert(self.renew());
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = renewal => {}
            }
            self.renewal = None;
        }
    }

    fn renew(&self) -> BoxFuture<'static, ()> {
        let (shared, place, token, time) = (
            Arc::clone(&self.shared),
            self.place.clone(),
            self.token.clone(),
            self.time,
        );
        async move {
            // If it cannot be renewed it runs out, and the worst is a second load.
            drop(shared.put(&housekeeping(&place), &place.key, token, time).await);
        }
        .boxed()
    }

    /// Gives it back once a renewal that is under way has arrived: it would put the token there again.
    fn giving_back(&mut self) -> BoxFuture<'static, ()> {
        let (shared, place, token) = (Arc::clone(&self.shared), self.place.clone(), self.token.clone());
        let renewal = self.renewal.take();
        async move {
            if let Some(renewal) = renewal {
                renewal.await;
            }
            drop(shared.remove_if(&housekeeping(&place), &place.key, token).await);
        }
        .boxed()
    }

    /// Gives it back.
    pub(super) async fn give_back(mut self) {
        self.giving_back().await;
        // Asking again would not help: by then it may have run out.
        self.is_held = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Outside of a runtime nothing can be done; then, or if it is refused, it runs out by itself.
        if self.is_held && Handle::try_current().is_ok() {
            let giving_back = self.giving_back();
            drop(self.tasks.spawn("lease", giving_back));
        }
    }
}
