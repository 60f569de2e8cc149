//! Who of all processes loads a value: whoever holds its lease in the shared layer.
//!
//! A lease is a random token that stands there for a few seconds and is renewed while the load goes on. One whose holder
//! has died runs out; one whose holder was too slow to renew it may pass to another, and then two load the same, which
//! costs a load and nothing else.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::{context::Context, fault::Fault, ports::Cache, ports::CacheKey};
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
    pub(super) async fn keep_during<T>(&self, work: impl Future<Output = T>) -> T {
        let renewing = async {
            loop {
                sleep(self.time / 3).await;
                let cx = housekeeping(&self.place);
                // If it cannot be renewed it runs out, and the worst is a second load.
                drop(
                    self.shared
                        .put(&cx, &self.place.key, self.token.clone(), self.time)
                        .await,
                );
            }
        };
        let (mut work, mut renewing) = (pin!(work), pin!(renewing));
        tokio::select! {
            biased;
            done = &mut work => done,
            () = &mut renewing => work.await,
        }
    }

    /// Gives it back.
    pub(super) async fn give_back(mut self) {
        let cx = housekeeping(&self.place);
        let given = self.shared.remove_if(&cx, &self.place.key, self.token.clone()).await;
        // Asking again would not help: by then it may have run out.
        self.is_held = false;
        drop(given);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Outside of a runtime nothing can be done; then, or if it is refused, it runs out by itself.
        if !self.is_held || Handle::try_current().is_err() {
            return;
        }
        let (shared, place, token) = (Arc::clone(&self.shared), self.place.clone(), self.token.clone());
        let give_back = async move {
            drop(shared.remove_if(&housekeeping(&place), &place.key, token).await);
        };
        drop(self.tasks.spawn("lease", give_back));
    }
}
