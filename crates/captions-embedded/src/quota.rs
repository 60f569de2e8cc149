//! Limits of rate that this process counts alone.

use std::{
    collections::HashMap,
    fmt,
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::Fault,
    ports::{Quota, QuotaKey},
    quota::{Decision, Meter, Plan, Presence, Take},
};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
// Not the standard library's: tests turn this one's clock.
use tokio::time::Instant;
use uuid::Uuid;

/// Parts with a lock of their own, so that callers with different keys seldom meet.
const SHARDS: usize = 16;

/// Meters in memory. A lock is held for one decision, never while anything is waited for.
///
/// Holds a bounded number of meters. Full ones, of which nothing is taken at the moment, are forgotten first: they are as
/// good as new ones. Where there are more at work than there is room for, those that are full the soonest go, and what
/// they counted is forgiven.
pub struct MemoryQuota {
    shards: Vec<Mutex<Shard>>,
    /// Who is there, and until when at the latest.
    there: Mutex<HashMap<QuotaKey, HashMap<Uuid, Instant>>>,
    /// Quick, because nobody can choose keys that meet: they are digests.
    hasher: RandomState,
    /// What time is counted from.
    start: Instant,
    /// The most meters of one shard.
    room: usize,
}

/// The meters of one part, each in one piece: whoever counts for thousands has to fetch it from memory.
#[derive(Default)]
struct Shard(HashTable<Counted>);

/// What was taken by one key under one plan. Those of different plans have nothing to do with each other; a key has one
/// plan, or two while its limits change.
struct Counted {
    key: QuotaKey,
    plan: Plan,
    meter: Meter,
}

impl MemoryQuota {
    /// No meter yet; room for at least `max_keys` at the same time.
    pub fn new(max_keys: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            there: Mutex::default(),
            hasher: RandomState::default(),
            start: Instant::now(),
            // Keys do not spread evenly.
            room: max_keys.div_ceil(SHARDS).saturating_mul(2).max(2),
        }
    }

    /// Meters that are held now.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).0.len()).sum()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for MemoryQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQuota")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Quota for MemoryQuota {
    async fn take(&self, _: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        let hash = self.hasher.hash_one(key);
        // Of its middle, because the table goes by both ends.
        let place = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        let mut shard = lock(&self.shards[place]);
        // Asked for under the lock: a meter must not see time go back.
        let now = self.now();
        let known = |counted: &Counted| counted.key == *key && counted.plan == *plan;
        if let Some(counted) = shard.0.find_mut(hash, known) {
            return Ok(counted.meter.take(plan, take, now));
        }
        let mut meter = Meter::default();
        let decision = meter.take(plan, take, now);
        if meter.full_at() > now {
            if shard.0.len() >= self.room {
                shard.make_room(now);
            }
            let counted = Counted {
                key: key.clone(),
                plan: plan.clone(),
                meter,
            };
            let rehash = |counted: &Counted| self.hasher.hash_one(&counted.key);
            shard.0.insert_unique(hash, counted, rehash);
        }
        Ok(decision)
    }

    async fn attend(&self, _: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
        let mut all = lock(&self.there);
        let now = Instant::now();
        let there = all.entry(key.clone()).or_default();
        let answer = match *presence {
            Presence::Enter { id, limit, lease } => {
                there.retain(|_, until| *until > now);
                let others = there.len() as u64 - u64::from(there.contains_key(&id));
                let left = limit.max(1).checked_sub(others + 1);
                // A lease beyond all time does not end.
                if let (Some(_), Some(until)) = (left, now.checked_add(lease)) {
                    there.insert(id, until);
                }
                left
            }
            Presence::Leave { id } => {
                there.remove(&id);
                Some(0)
            }
        };
        if there.is_empty() {
            all.remove(key);
        }
        Ok(answer)
    }
}

impl Shard {
    /// Forgets the full meters or, if there are none to speak of, the half that is full the soonest. Either way half of the
    /// room is free after it, so that it is seldom needed.
    fn make_room(&mut self, now: u64) {
        let before = self.0.len();
        self.retain_after(now);
        if self.0.len() > before / 2 {
            let mut times: Vec<u64> = self.0.iter().map(|counted| counted.meter.full_at()).collect();
            let middle = times.len() / 2;
            let (_, &mut middle, _) = times.select_nth_unstable(middle);
            self.retain_after(middle);
        }
    }

    /// Only those that are full later than this.
    fn retain_after(&mut self, time: u64) {
        self.0.retain(|counted| counted.meter.full_at() > time);
    }
}

/// Nothing in there can panic half way.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use captions_domain::quota::Amount;
    use captions_testkit::{build::context, contract::quota as contract};

    use super::*;

    fn one() -> Take {
        Take {
            amount: Amount::request(0),
            ..Take::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_keeps_the_contract() {
        contract::suite(Arc::new(MemoryQuota::new(100))).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_get_the_limit_and_not_one_more() {
        contract::many_at_once_share_one_limit(Arc::new(MemoryQuota::new(100))).await;
        contract::many_at_once_are_there_together(&[Arc::new(MemoryQuota::new(100))]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn full_meters_are_forgotten_first() {
        let quota = MemoryQuota::new(64);
        let plan = Plan::per_minute_and_hour(60, 0, 0);
        let busy = QuotaKey::new("test", "busy");
        for _ in 0..60 {
            quota.take(&context(), &busy, &plan, &one()).await.unwrap();
        }

        for step in 0..2000 {
            let key = QuotaKey::new("test", &format!("{step}"));
            quota.take(&context(), &key, &plan, &one()).await.unwrap();
            // Ten come and are full again in the time in which the busy one gets one back.
            tokio::time::advance(Duration::from_millis(1)).await;
        }

        assert!(quota.keys() <= 2 * 64 + 2 * SHARDS, "{}", quota.keys());
        let after = quota.take(&context(), &busy, &plan, &one()).await.unwrap();
        assert_eq!(after.room()[0].left, 1, "2 of 60 have come back in 2 s");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_even_where_all_are_at_work() {
        let quota = MemoryQuota::new(64);
        let plan = Plan::per_minute_and_hour(0, 1, 0);

        for step in 0..10_000 {
            let key = QuotaKey::new("test", &format!("{step}"));
            assert!(quota.take(&context(), &key, &plan, &one()).await.unwrap().is_taken);
        }

        assert!(quota.keys() <= 2 * 64 + 2 * SHARDS, "{}", quota.keys());
    }

    #[tokio::test]
    async fn who_takes_nothing_leaves_nothing_behind() {
        let quota = MemoryQuota::new(64);
        let plan = Plan::per_minute_and_hour(60, 0, 0);
        for take in [Take::default(), one()] {
            quota
                .take(&context(), &QuotaKey::new("test", "idle"), &plan, &take)
                .await
                .unwrap();
            quota
                .take(&context(), &QuotaKey::new("test", "none"), &Plan::default(), &take)
                .await
                .unwrap();
        }

        assert_eq!(quota.keys(), 1);
    }
}
