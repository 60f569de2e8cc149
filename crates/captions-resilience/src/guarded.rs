//! A policy around any implementation of a port, as that port.
//!
//! Every method is one forward. Reads, and writes that leave the same state however often they are made, are repeated
//! after a transient failure, and reads may have a second one beside them; a repeated erase can find nothing left and then says so, which is true by then.

mod stream;
mod unpaid;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    batch::{Batch, BatchId, Change, NewBatch, Outcome, Page, Settlement, Taken, Ticket, Turn},
    budget::{self, Spend, Spent},
    caption::{CaptionId, Record},
    context::Context,
    fault::{Fault, LlmError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    keys::{By, Change as KeyChange, Key, KeyId},
    once::{Standing, Step},
    ports::{
        BatchQueue, Cache, CacheKey, Cached, CaptionStore, ChunkStream, Completion, Description, Expect, Invalidations,
        KeyStore, LlmProvider, Quota, QuotaKey, UsageStore, UserStore,
    },
    prompt::Prompt,
    quota::{Decision, Plan, Presence, Take},
    request::UserId,
    usage::{Batch as UsageBatch, Group, Hour, Query},
    user::{Entry, Preferences, User},
};
use time::OffsetDateTime;

use self::unpaid::Unpaid;
use crate::{
    breaker::Verdict,
    policy::{Policy, Repeat, Size},
};

/// A port with its policy.
#[derive(Debug)]
pub struct Guarded<P: ?Sized> {
    inner: Arc<P>,
    policy: Policy,
}

impl<P: ?Sized> Guarded<P> {
    /// Guards `inner`. Ports of the same server take clones of the same policy.
    pub const fn new(inner: Arc<P>, policy: Policy) -> Self {
        Self { inner, policy }
    }

    /// The policy around it.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: UserStore + ?Sized> UserStore for Guarded<P> {
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        self.policy
            .run(cx, "users.read", Repeat::Read, || self.inner.read(cx, user))
            .await
    }

    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        self.policy
            .run(cx, "users.preferences", Repeat::Read, || {
                self.inner.preferences(cx, user)
            })
            .await
    }

    async fn list(&self, cx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.policy
            .run(cx, "users.list", Repeat::Read, || {
                self.inner.list(cx, after.clone(), limit)
            })
            .await
    }

    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        // A write whose answer was lost would meet its own version and report a conflict that nobody caused.
        self.policy
            .run(cx, "users.write", Repeat::Never, || self.inner.write(cx, user, expect))
            .await
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError> {
        self.policy
            .run(cx, "users.erase", Repeat::Safe, || self.inner.erase(cx, user))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: CaptionStore + ?Sized> CaptionStore for Guarded<P> {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        self.policy
            .run(cx, "captions.append", Repeat::Safe, || self.inner.append(cx, record))
            .await
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        self.policy
            .run(cx, "captions.read", Repeat::Read, || self.inner.read(cx, id))
            .await
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.policy
            .run(cx, "captions.history", Repeat::Read, || {
                self.inner.history(cx, filter, before, limit)
            })
            .await
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        // A change whose answer was lost would meet its own version and report a conflict that nobody caused.
        // Variants are known by the call that added them.
        let is_known = matches!(amendment, Amendment::More(_));
        let repeat = if expect.is_some() && !is_known {
            Repeat::Never
        } else {
            Repeat::Safe
        };
        self.policy
            .run(cx, "captions.amend", repeat, || {
                self.inner.amend(cx, id, amendment, expect)
            })
            .await
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        self.policy
            .run(cx, "captions.erase", Repeat::Safe, || self.inner.erase(cx, extent))
            .await
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        self.policy
            .run(cx, "captions.once", Repeat::Safe, || self.inner.once(cx, step))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: BatchQueue + ?Sized> BatchQueue for Guarded<P> {
    async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError> {
        self.policy
            .run(cx, "batches.submit", Repeat::Safe, || self.inner.submit(cx, batch))
            .await
    }

    async fn list(&self, cx: &Context, before: Option<BatchId>, limit: u32) -> Result<Vec<Batch>, StoreError> {
        self.policy
            .run(cx, "batches.list", Repeat::Read, || self.inner.list(cx, before, limit))
            .await
    }

    async fn read(&self, cx: &Context, id: BatchId, page: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError> {
        self.policy
            .run(cx, "batches.read", Repeat::Read, || self.inner.read(cx, id, page))
            .await
    }

    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError> {
        self.policy
            .run(cx, "batches.change", Repeat::Safe, || self.inner.change(cx, id, change))
            .await
    }

    async fn claim(&self, cx: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        // What a lost answer has leased is nobody's until its leases run out; a second try would lease more of it.
        self.policy
            .run(cx, "batches.claim", Repeat::Never, || self.inner.claim(cx, turn))
            .await
    }

    async fn settle(&self, cx: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError> {
        // After a lost answer the second try finds the ticket used up and says so, which is true by then.
        self.policy
            .run(cx, "batches.settle", Repeat::Safe, || {
                self.inner.settle(cx, ticket, settlement)
            })
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: Cache + ?Sized> Cache for Guarded<P> {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        self.policy
            .run(cx, "cache.get", Repeat::Read, || self.inner.get(cx, key))
            .await
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        self.policy
            .run(cx, "cache.put", Repeat::Safe, || {
                self.inner.put(cx, key, bytes.clone(), ttl)
            })
            .await
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.policy
            .run(cx, "cache.remove", Repeat::Safe, || self.inner.remove(cx, key))
            .await
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        // After a lost answer the second try would meet its own bytes and report that somebody else was first.
        self.policy
            .run(cx, "cache.put_if_absent", Repeat::Never, || {
                self.inner.put_if_absent(cx, key, bytes.clone(), ttl)
            })
            .await
    }

    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        self.policy
            .run(cx, "cache.remove_if", Repeat::Safe, || {
                self.inner.remove_if(cx, key, bytes.clone())
            })
            .await
    }

    fn invalidations(&self) -> Invalidations {
        self.inner.invalidations()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: Quota + ?Sized> Quota for Guarded<P> {
    async fn take(&self, cx: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        // What a lost answer has taken would be taken once more.
        self.policy
            .run(cx, "quota.take", Repeat::Never, || self.inner.take(cx, key, plan, take))
            .await
    }

    async fn attend(&self, cx: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
        self.policy
            .run(cx, "quota.attend", Repeat::Safe, || {
                self.inner.attend(cx, key, presence)
            })
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: KeyStore + ?Sized> KeyStore for Guarded<P> {
    async fn add(&self, cx: &Context, key: &Key) -> Result<(), StoreError> {
        self.policy
            .run(cx, "keys.add", Repeat::Safe, || self.inner.add(cx, key))
            .await
    }

    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        self.policy
            .run(cx, "keys.find", Repeat::Read, || self.inner.find(cx, by))
            .await
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.policy
            .run(cx, "keys.list", Repeat::Read, || self.inner.list(cx, before, limit))
            .await
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError> {
        let repeat = match change {
            // A second try after a lost answer would meet its own successor.
            KeyChange::Rotate { .. } => Repeat::Never,
            KeyChange::Revoke { .. } | KeyChange::Budget(_) => Repeat::Safe,
        };
        self.policy
            .run(cx, "keys.change", repeat, || self.inner.change(cx, id, change))
            .await
    }

    async fn used(&self, cx: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.policy
            .run(cx, "keys.used", Repeat::Safe, || self.inner.used(cx, uses))
            .await
    }

    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        let repeat = match spend.step {
            // A second try after a lost answer would meet its own reservation.
            budget::Step::Reserve { .. } => Repeat::Never,
            budget::Step::Settle { .. } => Repeat::Safe,
            budget::Step::Look => Repeat::Read,
        };
        self.policy
            .run(cx, "keys.spend", repeat, || self.inner.spend(cx, spend))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: UsageStore + ?Sized> UsageStore for Guarded<P> {
    async fn add(&self, cx: &Context, batch: &UsageBatch) -> Result<(), StoreError> {
        self.policy
            .run(cx, "usage.add", Repeat::Safe, || self.inner.add(cx, batch))
            .await
    }

    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        self.policy
            .run(cx, "usage.report", Repeat::Read, || self.inner.report(cx, query, limit))
            .await
    }

    async fn sweep(&self, cx: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        self.policy
            .run(cx, "usage.sweep", Repeat::Safe, || self.inner.sweep(cx, before, limit))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: LlmProvider + ?Sized> LlmProvider for Guarded<P> {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let size = Size {
            limit: self.policy.settings().attempt_timeout,
            tokens: prompt.tokens(),
        };
        let (completion, mut held) = self
            .policy
            .hold(cx, "llm.complete", Repeat::Read, size, judge, || async {
                let unpaid = Unpaid::begin(&self.policy, cx, prompt);
                let completion = self.inner.complete(cx, prompt).await;
                unpaid.settle();
                completion
            })
            .await?;
        held.used(completion.credit.usage);
        held.settle(Verdict::Healthy);
        Ok(completion)
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        stream::open(&self.policy, &*self.inner, cx, prompt).await
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

/// What a provider's error says about its health.
///
/// An answer that cannot be used counts as a failure: each one costs full price and full time and serves nobody, and five
/// of them with not one good answer between are a provider that is down in all but name. One caller's odd wishes cannot
/// bring that about while anybody else is served, because every success starts the count anew. What it turns down
/// (content, length, key, credit) is left aside: it speaks of the call and not of the provider.
fn judge(error: &LlmError) -> Verdict {
    match error {
        LlmError::Unusable { .. } => Verdict::Sick,
        LlmError::Refused | LlmError::TooLong | LlmError::Rejected { .. } | LlmError::Unpaid(_) => Verdict::Neutral,
        LlmError::Fault(fault) => Verdict::of(fault),
    }
}

#[cfg(test)]
pub(crate) mod tests;
