//! What is kept for somebody who may have it forgotten stands under the owner's *edition*: a value made by chance, which
//! the layers keep under the owner's key and which is a part of each key below it.
//!
//! To forget is a write to the owner's key ([`Layers::owe`](super::Layers::owe)): the edition goes, the next reader makes
//! another one, and what stood under the old one is found by nobody and goes by its time. An edition that is lost
//! otherwise costs a few loads and brings nothing back. While it cannot be known, nothing is looked up or kept.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::{context::Context, ports::CacheKey};
use rand::Rng;
use tokio::time::{Instant, timeout_at};

use super::{
    Inner,
    counts::count,
    entry::{Entry, Place},
    layers::{self, Over, Seen, Watch},
};

/// Changes with the form of an edition.
const SCHEMA: u32 = 1;
/// How long an edition stands: longer than what is kept under it usually does, which is lost with it.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longer than any edition, bytes.
const LARGEST: usize = 64;
/// Looks for an edition; after each but the last, one is put where none is.
const LOOKS: u32 = 3;

/// Which of an owner's editions it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edition(Bytes);

impl Edition {
    /// Where what belongs under `key` is kept in this edition.
    pub(super) fn key(&self, key: &CacheKey) -> CacheKey {
        let mut hasher = blake3::Hasher::new();
        for part in [key.as_str().as_bytes(), &self.0] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        CacheKey::new("caption", &hasher.finalize())
    }
}

impl<T, E> Inner<T, E>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The owner's present edition, made if there is none. `None`: it cannot be known now, because the shared layer is
    /// away and no young copy is in memory, or because the owner is being forgotten.
    pub(super) async fn edition(self: &Arc<Self>, cx: &Context, owner: &Place) -> Option<Edition> {
        if self.layers.is_owed(owner) {
            return None;
        }
        if let Some(edition) = self.edition_in_memory(cx, owner).await {
            return Some(edition);
        }
        let (inner, its_cx, its_owner) = (Arc::clone(self), layers::patient(cx), owner.clone());
        let (flight, _) = self.editions.join(
            owner,
            || self.layers.watch(owner),
            |watch| Box::pin(async move { inner.find_edition(&its_cx, &its_owner, &watch).await }),
        );
        timeout_at(Instant::from_std(cx.deadline), flight).await.ok().flatten()
    }

    async fn edition_in_memory(&self, cx: &Context, owner: &Place) -> Option<Edition> {
        let Seen::Copy(copy) = self.layers.look_in_memory(cx, owner, SCHEMA).await else {
            return None;
        };
        let is_young = copy.held < self.options.memory_age || self.layers.shared().is_none();
        let edition = copy.entry.json(LARGEST).ok().filter(|_| is_young)?;
        Some(Edition(edition))
    }

    async fn find_edition(&self, cx: &Context, owner: &Place, watch: &Watch) -> Option<Edition> {
        // Made while this one was on its way here.
        if let Some(edition) = self.edition_in_memory(cx, owner).await {
            return Some(edition);
        }
        let (serial, text) = (rand::rng().random(), format!("{:032x}", rand::rng().random::<u128>()));
        let new = Entry::new(serial, LIFETIME, LIFETIME, text.into_bytes(), None);
        let Some(shared) = self.layers.shared() else {
            let edition = new.json(LARGEST).ok().map(Edition);
            self.layers
                .remember(cx, owner, SCHEMA, new, Duration::ZERO, watch)
                .await;
            return edition;
        };
        for look in 1..=LOOKS {
            let over = match layers::look(&**shared, cx, owner, SCHEMA).await {
                (Seen::Away, _) => break,
                (Seen::Copy(copy), _) if !copy.entry.is_closed => {
                    let edition = copy.entry.json(LARGEST).ok().map(Edition);
                    self.layers
                        .remember(cx, owner, SCHEMA, copy.entry, copy.age, watch)
                        .await;
                    return edition;
                }
                (Seen::Corrupt, None) => Over::Anything,
                // A closed entry too: what is made by chance cannot be what was there before.
                (_, found) => found.map_or(Over::Nothing, Over::Exactly),
            };
            let bytes = new.encode(owner, SCHEMA);
            // Another process may be first: what counts is what stands there then.
            if look == LOOKS
                || self
                    .layers
                    .put_in_shared(cx, owner, bytes, LIFETIME, over)
                    .await
                    .is_err()
            {
                break;
            }
        }
        count(&self.tally.unavailable);
        None
    }
}
