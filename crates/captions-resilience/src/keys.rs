//! API keys, known in memory: who calls is asked at every request, and the store only now and then.
//!
//! - **Known keys** are used for [`KeyTimes::fresh`] without a look at the store. After that the next caller has it asked,
//!   waits half a second at most, and goes on with what was known if the answer takes longer or does not come: an outage of
//!   the store locks nobody out for [`KeyTimes::stale`].
//! - **Unknown keys** are remembered as such for five seconds, and asked for at a bounded rate: who tries keys meets a limit,
//!   and the store does not meet them. A key that nothing is known of is never turned away because the store is away; then
//!   the answer is a fault.
//! - Callers with one key share one question.
//! - A change made here counts here at once. Other processes are told by way of the shared cache where there is one; without
//!   it, or if the message is lost, they find out once their copy is no longer fresh. Nothing of a key is kept in that
//!   cache: whoever may write there could else make keys.
//! - When a key was used last is written behind, once a minute.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    budget::{Spend, Spent},
    context::{Attempts, Class, Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    keys::{By, Change, Key, KeyDigest, KeyId, Standing},
    ports::{Cache, CacheKey, Invalidation, Invalidations, KeyStore},
    quota::{Amount, Meter, Plan, Take, Unit, Window},
};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
};
use quick_cache::sync::Cache as Bounded;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::tasks::Tasks;

/// Keys that are known at the same time, and as many unknown ones.
const MOST: usize = 10_000;
/// How long an unknown key is known to be none.
const NEGATIVE: Duration = Duration::from_secs(5);
/// How long the caller of a known key waits for the store's word.
const PATIENCE: Duration = Duration::from_millis(500);
/// After a question without an answer, how long a known key is used before the next one.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// What one question may take, whoever asked it: others wait for the same answer.
const QUESTION: Duration = Duration::from_secs(5);
/// Questions for keys of which nothing is known, at once; half as many come back in each second.
const UNKNOWN_AT_ONCE: u64 = 200;
/// Between two writes of what was used.
const WRITE_BEHIND: Duration = Duration::from_secs(60);
/// Uses that one write tells.
const BATCH: usize = 500;
/// Keys of a tenant that are looked through at a time.
const PAGE: u32 = 100;
const NAMESPACE: &str = "key";

/// How long what is known of a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTimes {
    /// Without a look at the store.
    pub fresh: Duration,
    /// While the store is away.
    pub stale: Duration,
}

/// A store of keys with a memory. Clones are the same.
#[derive(Clone)]
pub struct CachedKeys(Arc<Inner>);

struct Inner {
    store: Arc<dyn KeyStore>,
    /// By which other processes are told.
    shared: Option<Arc<dyn Cache>>,
    times: KeyTimes,
    tasks: Tasks,
    known: Bounded<KeyDigest, Known>,
    unknown: Bounded<KeyDigest, Instant>,
    questions: Mutex<HashMap<KeyDigest, Question>>,
    meter: Mutex<Meter>,
    plan: Plan,
    begun: Instant,
    /// How often all that is known was doubted.
    epoch: AtomicU64,
    /// How often any of it changed: an answer that was on its way meanwhile is not kept.
    changes: AtomicU64,
    uses: Mutex<HashMap<KeyId, OffsetDateTime>>,
}

type Question = Shared<BoxFuture<'static, Result<Option<Key>, StoreError>>>;

#[derive(Clone)]
struct Known {
    key: Key,
    epoch: u64,
    /// When the store said so.
    told: Instant,
    /// No question before this.
    ask_after: Instant,
}

impl fmt::Debug for CachedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKeys")
            .field("times", &self.0.times)
            .field("known", &self.0.known.len())
            .finish_non_exhaustive()
    }
}

impl CachedKeys {
    /// A memory over `store`, which is called as it is given, with its safeguards. Where others share it, they are told by the
    /// cache, and heard, as one of the `tasks`, by its invalidations. Writes what was used. Needs a tokio runtime.
    pub fn new(
        store: Arc<dyn KeyStore>,
        shared: Option<(Arc<dyn Cache>, Invalidations)>,
        times: KeyTimes,
        tasks: Tasks,
    ) -> Self {
        let (shared, told) = shared.unzip();
        let inner = Arc::new(Inner {
            store,
            shared,
            times,
            tasks: tasks.clone(),
            known: Bounded::new(MOST),
            unknown: Bounded::new(MOST),
            questions: Mutex::default(),
            meter: Mutex::default(),
            plan: Plan::new([Window::new(Unit::Requests, UNKNOWN_AT_ONCE, Duration::from_secs(2))]),
            begun: Instant::now(),
            epoch: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            uses: Mutex::default(),
        });
        if let Some(mut told) = told {
            let listening = Arc::downgrade(&inner);
            tasks.spawn_endless("key invalidations", async move {
                while let Some(told) = told.next().await {
                    let Some(inner) = listening.upgrade() else { return };
                    inner.hear(&told);
                }
            });
        }
        tasks.spawn_endless("key uses", write_behind(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Writes what was used and not written yet. To be called once more at the end.
    pub async fn write_uses(&self) {
        self.0.write_uses().await;
    }
}

async fn write_behind(inner: Weak<Inner>) {
    loop {
        sleep(WRITE_BEHIND).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.write_uses().await;
    }
}

impl Inner {
    /// The key of this digest, as it is known or as the store says.
    async fn look(self: &Arc<Self>, cx: &Context, digest: KeyDigest) -> Result<Option<Key>, StoreError> {
        let now = Instant::now();
        let changes = self.changes.load(Ordering::SeqCst);
        let known = self.known.get(&digest);
        match &known {
            Some(known) if now < known.ask_after && known.epoch == self.epoch.load(Ordering::SeqCst) => {
                return Ok(Some(known.key.clone()));
            }
            Some(_) => {}
            None => {
                if self.unknown.get(&digest).is_some_and(|since| now < since + NEGATIVE) {
                    return Ok(None);
                }
                self.admit(now)?;
            }
        }
        let question = self.question(digest);
        let own = Instant::from_std(cx.deadline);
        let until = known.as_ref().map_or(own, |_| own.min(now + PATIENCE));
        let answer = timeout_at(until, question).await;
        let answer = answer.unwrap_or_else(|_| Err(Fault::new(FaultKind::Timeout).into()));
        match (answer, known) {
            (Err(_), Some(known)) if now < known.told + self.times.stale => {
                let again = Known {
                    ask_after: Instant::now() + ASK_AGAIN,
                    epoch: self.epoch.load(Ordering::SeqCst),
                    ..known.clone()
                };
                // What was changed in between must not come back.
                if self.changes.load(Ordering::SeqCst) == changes {
                    drop(self.known.replace(digest, again, true));
                }
                Ok(Some(known.key))
            }
            (answer, _) => answer,
        }
    }

    /// Lets a question for an unknown key through, at a bounded rate.
    fn admit(&self, now: Instant) -> Result<(), StoreError> {
        let take = Take {
            amount: Amount::request(0),
            ..Take::default()
        };
        let now = u64::try_from((now - self.begun).as_micros()).unwrap_or(u64::MAX);
        let decision = lock(&self.meter).take(&self.plan, &take, now);
        if decision.is_taken {
            return Ok(());
        }
        let kind = FaultKind::RateLimited {
            retry_after: Some(decision.wait.max(Duration::from_secs(1))),
        };
        Err(Fault::because(kind, "too many unknown keys").into())
    }

    /// The question that is under way, or a new one. It goes on when those who wait for it leave.
    fn question(self: &Arc<Self>, digest: KeyDigest) -> Question {
        let mut questions = lock(&self.questions);
        if let Some(question) = questions.get(&digest) {
            return question.clone();
        }
        let inner = Arc::clone(self);
        let question = async move {
            let changes = inner.changes.load(Ordering::SeqCst);
            let epoch = inner.epoch.load(Ordering::SeqCst);
            let answer = inner.store.find(&housekeeping(), By::Digest(digest)).await;
            lock(&inner.questions).remove(&digest);
            if inner.changes.load(Ordering::SeqCst) == changes
                && let Ok(found) = &answer
            {
                inner.remember(digest, found.as_ref(), epoch);
            }
            answer
        }
        .boxed()
        .shared();
        questions.insert(digest, question.clone());
        drop(questions);
        // Refused: then it is driven by those who wait.
        drop(self.tasks.spawn("key", question.clone().map(drop)));
        question
    }

    fn remember(&self, digest: KeyDigest, found: Option<&Key>, epoch: u64) {
        let now = Instant::now();
        // Whatever way the store finds rows: the same digest, compared in constant time.
        if let Some(key) = found.filter(|key| key.digest == digest) {
            let known = Known {
                key: key.clone(),
                epoch,
                told: now,
                ask_after: now + self.times.fresh,
            };
            self.known.insert(digest, known);
            self.unknown.remove(&digest);
        } else {
            self.unknown.insert(digest, now);
            self.known.remove(&digest);
        }
    }

    fn forget(&self, digest: KeyDigest) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.remove(&digest);
        self.unknown.remove(&digest);
        // Who asks from now on does not join a question from before the change.
        lock(&self.questions).remove(&digest);
    }

    /// Forgets it here and tells the others.
    async fn changed(&self, cx: &Context, digest: KeyDigest) {
        self.forget(digest);
        if let Some(shared) = &self.shared
            && shared.remove(cx, &name(digest)).await.is_err()
        {
            tracing::warn!(
                "other replicas could not be told of a changed key; they find out once their copy is not fresh"
            );
        }
    }

    /// The same for the other keys of its family.
    async fn family_changed(&self, cx: &Context, changed: &Key) {
        for (digest, known) in self.known.iter() {
            if known.key.family == changed.family && known.key.tenant == cx.tenant {
                self.forget(digest);
            }
        }
        if self.shared.is_none() {
            return;
        }
        let mut before = None;
        // The first of a family is the oldest of it, and ids sort by time.
        while before.is_none_or(|id| id > changed.family) {
            let Ok(page) = self.store.list(cx, before, PAGE).await else {
                tracing::warn!(
                    "other replicas could not be told of a changed family; they find out once their copy is not fresh"
                );
                return;
            };
            let family = page
                .iter()
                .filter(|key| key.family == changed.family && key.id != changed.id);
            for key in family {
                self.changed(cx, key.digest).await;
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => before = Some(last.id),
                Some(_) | None => return,
            }
        }
    }

    fn hear(&self, told: &Invalidation) {
        match told {
            Invalidation::One(_, key) => {
                if let Some(digest) = digest_of(key) {
                    self.forget(digest);
                }
            }
            Invalidation::Everything => {
                self.changes.fetch_add(1, Ordering::SeqCst);
                self.epoch.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn note_use(&self, id: KeyId, at: OffsetDateTime) {
        let mut uses = lock(&self.uses);
        if uses.len() < MOST || uses.contains_key(&id) {
            uses.insert(id, at);
        }
    }

    async fn write_uses(&self) {
        let uses = std::mem::take(&mut *lock(&self.uses));
        let mut uses: Vec<_> = uses.into_iter().collect();
        // In one order everywhere, so that no two writers wait for each other.
        uses.sort_unstable();
        for batch in uses.chunks(BATCH) {
            if self.store.used(&housekeeping(), batch).await.is_err() {
                // The policy around it has told why. Another time; a later use of a key stands.
                let mut waiting = lock(&self.uses);
                for (id, at) in batch {
                    waiting.entry(*id).or_insert(*at);
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name(digest: KeyDigest) -> CacheKey {
    CacheKey::new(NAMESPACE, &blake3::Hash::from_bytes(*digest.as_bytes()))
}

fn digest_of(key: &CacheKey) -> Option<KeyDigest> {
    let (_, rest) = key.as_str().split_once(':')?;
    let (namespace, hex) = rest.split_once(':')?;
    let digest = blake3::Hash::from_hex(hex).ok()?;
    (namespace == NAMESPACE).then(|| KeyDigest::from_bytes(*digest.as_bytes()))
}

/// For what belongs to no one request. By digest the tenant is not looked at.
fn housekeeping() -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "keys".into(),
        fresh_id: Uuid::nil(),
        now: OffsetDateTime::UNIX_EPOCH,
        deadline: (Instant::now() + QUESTION).into_std(),
        attempts: Arc::new(Attempts::up_to(0)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyStore for CachedKeys {
    async fn add(&self, cx: &Context, key: &Key) -> Result<(), StoreError> {
        let added = self.0.store.add(cx, key).await;
        self.0.unknown.remove(&key.digest);
        added
    }

    /// By digest it is a use of the key, if that opens anything at [`Context::now`].
    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        let By::Digest(digest) = by else {
            return self.0.store.find(cx, by).await;
        };
        let found = self.0.look(cx, digest).await?;
        if let Some(key) = found.as_ref().filter(|key| key.standing(cx.now) == Standing::Active) {
            self.0.note_use(key.id, cx.now);
        }
        Ok(found)
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.0.store.list(cx, before, limit).await
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &Change) -> Result<Option<Key>, StoreError> {
        let changed = self.0.store.change(cx, id, change).await?;
        if let Some(key) = &changed {
            self.0.changed(cx, key.digest).await;
            if let Change::Budget(_) = change {
                self.0.family_changed(cx, key).await;
            }
        }
        Ok(changed)
    }

    async fn used(&self, cx: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.0.store.used(cx, uses).await
    }

    /// Never from memory.
    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        self.0.store.spend(cx, spend).await
    }
}

#[cfg(test)]
mod tests;
