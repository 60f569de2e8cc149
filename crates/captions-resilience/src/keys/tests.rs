use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::Bytes;
use captions_domain::{
    keys::{BudgetChange, KeyLimits, KeyName, Scope, Scopes, Secret},
    money::Money,
    ports::{Cached, Invalidations},
};
use futures_util::future::join_all;
use tokio::sync::broadcast;

use super::*;
use crate::samples::relaxed;

/// Keys in memory, on a server that can be away or slow.
#[derive(Default)]
struct Store {
    keys: Mutex<Vec<Key>>,
    is_away: AtomicBool,
    /// Takes longer than anybody's patience.
    is_slow: AtomicBool,
    asked: AtomicUsize,
    written: Mutex<Vec<(KeyId, OffsetDateTime)>>,
}

impl Store {
    async fn open(&self) -> Result<MutexGuard<'_, Vec<Key>>, StoreError> {
        if self.is_slow.load(Ordering::SeqCst) {
            sleep(Duration::from_secs(3)).await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Unavailable).into());
        }
        Ok(lock(&self.keys))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn is_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn add(&self, _: &Context, key: &Key) -> Result<(), StoreError> {
        self.open().await?.push(key.clone());
        Ok(())
    }

    async fn find(&self, _: &Context, by: By) -> Result<Option<Key>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = |keys: &Vec<Key>| {
            keys.iter()
                .find(|key| match by {
                    By::Digest(digest) => key.digest == digest,
                    By::Id(id) | By::Family(id) => key.id == id,
                })
                .cloned()
        };
        // What is read when it is asked, told when it answers.
        let seen = found(&lock(&self.keys));
        drop(self.open().await?);
        Ok(seen)
    }

    async fn list(&self, _: &Context, _: Option<KeyId>, _: u32) -> Result<Vec<Key>, StoreError> {
        Ok(self.open().await?.clone())
    }

    async fn change(&self, _: &Context, id: KeyId, change: &Change) -> Result<Option<Key>, StoreError> {
        let mut keys = self.open().await?;
        if let Change::Budget(change) = change {
            for key in keys.iter_mut() {
                key.limits.budget = change.over(key.limits.budget);
            }
        }
        let changed = keys.iter_mut().find(|key| key.id == id).map(|key| {
            match change {
                Change::Rotate { until, .. } => key.expires_at = Some(*until),
                Change::Revoke { at } => key.revoked_at = Some(*at),
                Change::Budget(_) => {}
            }
            key.clone()
        });
        if let Change::Rotate { successor, .. } = change {
            keys.push((**successor).clone());
        }
        Ok(changed)
    }

    async fn used(&self, _: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        drop(self.open().await?);
        lock(&self.written).extend_from_slice(uses);
        Ok(())
    }

    async fn spend(&self, _: &Context, _: &Spend) -> Result<Spent, StoreError> {
        unreachable!("nothing is spent here")
    }
}

/// A cache of which only the messages matter.
struct Messages(broadcast::Sender<Invalidation>);

#[async_trait]
impl Cache for Messages {
    async fn get(&self, _: &Context, _: &CacheKey) -> Result<Option<Cached>, Fault> {
        unreachable!("no key is kept there")
    }

    async fn put(&self, _: &Context, _: &CacheKey, _: Bytes, _: Duration) -> Result<(), Fault> {
        unreachable!("no key is kept there")
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        let told = Invalidation::One(cx.tenant.clone(), key.clone());
        self.0
            .send(told)
            .map(drop)
            .map_err(|_| Fault::new(FaultKind::Unavailable))
    }

    async fn put_if_absent(&self, _: &Context, _: &CacheKey, _: Bytes, _: Duration) -> Result<bool, Fault> {
        unreachable!("no key is kept there")
    }

    async fn remove_if(&self, _: &Context, _: &CacheKey, _: Bytes) -> Result<bool, Fault> {
        unreachable!("no key is kept there")
    }

    fn invalidations(&self) -> Invalidations {
        let mut told = self.0.subscribe();
        async_stream::stream! {
            while let Ok(told) = told.recv().await {
                yield told;
            }
        }
        .boxed()
    }
}

const TIMES: KeyTimes = KeyTimes {
    fresh: Duration::from_secs(30),
    stale: Duration::from_secs(3600),
};

fn key(number: u8) -> Key {
    let secret = Secret::new([number; 32]);
    let id = KeyId(Uuid::from_u128(u128::from(number)));
    Key {
        id,
        family: id,
        tenant: TenantId::new("acme").unwrap(),
        name: KeyName::new("a key").unwrap(),
        scopes: Scopes::new([Scope::Read]),
        limits: KeyLimits::default(),
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: OffsetDateTime::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

fn cached(store: &Arc<Store>, shared: Option<Arc<dyn Cache>>) -> CachedKeys {
    let shared = shared.map(|shared| {
        let told = shared.invalidations();
        (shared, told)
    });
    CachedKeys::new(Arc::<Store>::clone(store), shared, TIMES, Tasks::new(100))
}

/// A store with one key, and a memory over it.
fn with_one() -> (Arc<Store>, CachedKeys) {
    let store = Arc::new(Store::default());
    lock(&store.keys).push(key(1));
    let keys = cached(&store, None);
    (store, keys)
}

async fn ask(keys: &CachedKeys, number: u8) -> Result<Option<Key>, StoreError> {
    keys.find(&relaxed(), By::Digest(key(number).digest)).await
}

async fn later(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[track_caller]
fn kind<T: fmt::Debug>(answer: Result<T, StoreError>) -> FaultKind {
    match answer {
        Err(StoreError::Fault(fault)) => fault.kind,
        other => panic!("a fault was due, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_key_is_asked_for_once_in_its_time() {
    let (store, keys) = with_one();

    for _ in 0..29 {
        assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
        later(1).await;
    }
    assert_eq!(store.asked(), 1);

    later(2).await;
    ask(&keys, 1).await.unwrap();
    assert_eq!(store.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_key_share_a_question_whether_it_is_known_or_not() {
    let (store, keys) = with_one();
    store.is_slow.store(true, Ordering::SeqCst);

    for number in [1, 2] {
        let before = store.asked();
        let answers = join_all((0..100).map(|_| ask(&keys, number))).await;

        assert!(
            answers
                .into_iter()
                .all(|answer| answer.unwrap().is_some() == (number == 1))
        );
        assert_eq!(store.asked(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_known_to_be_none_for_a_moment() {
    let (store, keys) = with_one();

    for _ in 0..4 {
        assert_eq!(ask(&keys, 2).await.unwrap(), None);
        later(1).await;
    }
    assert_eq!(store.asked(), 1);

    later(2).await;
    lock(&store.keys).push(key(2));
    assert_eq!(ask(&keys, 2).await.unwrap(), Some(key(2)));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_just_made_is_known_at_once() {
    let (_, keys) = with_one();
    assert_eq!(ask(&keys, 2).await.unwrap(), None);

    keys.add(&relaxed(), &key(2)).await.unwrap();

    assert_eq!(ask(&keys, 2).await.unwrap(), Some(key(2)));
}

#[tokio::test(start_paused = true)]
async fn who_tries_many_keys_meets_a_limit_and_known_keys_do_not() {
    let (store, keys) = with_one();
    ask(&keys, 1).await.unwrap();
    let guess = |number: u64| {
        let mut bytes = [9; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Secret::new(bytes).digest()
    };

    let mut turned_away = 0;
    for number in 0..5000 {
        if let Err(error) = keys.find(&relaxed(), By::Digest(guess(number))).await {
            assert!(matches!(
                kind::<()>(Err(error)),
                FaultKind::RateLimited { retry_after: Some(_) }
            ));
            turned_away += 1;
        }
    }

    assert_eq!((turned_away, store.asked()), (4801, 200));
    later(40).await;
    for number in 0..200 {
        keys.find(&relaxed(), By::Digest(guess(number))).await.unwrap();
    }
    // It is due to be asked for anew, and is, though the limit is used up.
    assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
    assert_eq!(store.asked(), 401);
}

#[tokio::test(start_paused = true)]
async fn an_outage_locks_out_no_known_key_and_lets_no_unknown_one_in() {
    let (store, keys) = with_one();
    ask(&keys, 1).await.unwrap();
    later(31).await;
    store.is_away(true);

    assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
    assert_eq!(kind(ask(&keys, 2).await), FaultKind::Unavailable);
    let asked = store.asked();
    for _ in 0..50 {
        ask(&keys, 1).await.unwrap();
    }
    assert_eq!(store.asked(), asked, "not again for two seconds");

    later(3560).await;
    assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
    later(20).await;
    assert_eq!(kind(ask(&keys, 1).await), FaultKind::Unavailable, "older than an hour");

    store.is_away(false);
    assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_holds_no_known_key_up_and_its_answer_counts_when_it_comes() {
    let (store, keys) = with_one();
    ask(&keys, 1).await.unwrap();
    later(31).await;
    store.is_slow.store(true, Ordering::SeqCst);
    lock(&store.keys)[0].revoked_at = Some(OffsetDateTime::UNIX_EPOCH);
    let begun = Instant::now();

    assert_eq!(ask(&keys, 1).await.unwrap(), Some(key(1)));
    assert_eq!(begun.elapsed(), PATIENCE);

    later(3).await;
    let found = ask(&keys, 1).await.unwrap().unwrap();
    assert_eq!(found.standing(OffsetDateTime::UNIX_EPOCH), Standing::Revoked);
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_here_counts_here_at_once() {
    let (_, keys) = with_one();
    ask(&keys, 1).await.unwrap();
    let now = OffsetDateTime::UNIX_EPOCH;

    keys.change(
        &relaxed(),
        key(1).id,
        &Change::Rotate {
            successor: Box::new(key(2)),
            until: now,
        },
    )
    .await
    .unwrap();
    let rotated = ask(&keys, 1).await.unwrap().unwrap();
    keys.change(&relaxed(), key(1).id, &Change::Revoke { at: now })
        .await
        .unwrap();
    let revoked = ask(&keys, 1).await.unwrap().unwrap();

    assert_eq!((rotated.expires_at, revoked.revoked_at), (Some(now), Some(now)));
}

#[tokio::test(start_paused = true)]
async fn a_changed_budget_counts_at_once_for_the_whole_family_here_and_elsewhere() {
    let store = Arc::new(Store::default());
    let of_family = |number| Key {
        family: key(1).id,
        ..key(number)
    };
    lock(&store.keys).extend((1..=3).map(of_family));
    let (sender, _) = broadcast::channel(16);
    let shared = || -> Option<Arc<dyn Cache>> { Some(Arc::new(Messages(sender.clone()))) };
    let (here, there) = (cached(&store, shared()), cached(&store, shared()));
    for number in 1..=3 {
        ask(&here, number).await.unwrap();
        ask(&there, number).await.unwrap();
    }
    let change = BudgetChange {
        limit: Some(Money::from_micros(5)),
        per: None,
    };

    here.change(&relaxed(), key(2).id, &Change::Budget(change))
        .await
        .unwrap();
    sleep(Duration::from_millis(1)).await;

    for number in 1..=3 {
        for keys in [&here, &there] {
            let found = ask(keys, number).await.unwrap().unwrap();
            assert_eq!(found.limits.budget, change.over(None), "{number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_is_not_kept() {
    let (store, keys) = with_one();
    store.is_slow.store(true, Ordering::SeqCst);

    let (early, _) = tokio::join!(ask(&keys, 1), async {
        later(1).await;
        store.is_slow.store(false, Ordering::SeqCst);
        keys.change(
            &relaxed(),
            key(1).id,
            &Change::Revoke {
                at: OffsetDateTime::UNIX_EPOCH,
            },
        )
        .await
    });

    assert_eq!(early.unwrap().unwrap().revoked_at, None);
    assert!(ask(&keys, 1).await.unwrap().unwrap().revoked_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn other_replicas_are_told_and_doubt_everything_after_a_gap() {
    let store = Arc::new(Store::default());
    lock(&store.keys).push(key(1));
    let (sender, _) = broadcast::channel(16);
    let shared = || -> Option<Arc<dyn Cache>> { Some(Arc::new(Messages(sender.clone()))) };
    let (here, there) = (cached(&store, shared()), cached(&store, shared()));
    ask(&there, 1).await.unwrap();

    here.change(
        &relaxed(),
        key(1).id,
        &Change::Revoke {
            at: OffsetDateTime::UNIX_EPOCH,
        },
    )
    .await
    .unwrap();
    sleep(Duration::from_millis(1)).await;
    assert!(ask(&there, 1).await.unwrap().unwrap().revoked_at.is_some());

    let asked = store.asked();
    sender.send(Invalidation::Everything).unwrap();
    sleep(Duration::from_millis(1)).await;
    ask(&there, 1).await.unwrap();
    ask(&there, 1).await.unwrap();
    assert_eq!(store.asked(), asked + 1);

    // And with the store away, doubt alone locks nobody out.
    store.is_away(true);
    sender.send(Invalidation::Everything).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert!(ask(&there, 1).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn without_messages_a_revocation_counts_once_the_copy_is_not_fresh() {
    let (store, here) = with_one();
    let there = cached(&store, None);
    ask(&there, 1).await.unwrap();

    here.change(
        &relaxed(),
        key(1).id,
        &Change::Revoke {
            at: OffsetDateTime::UNIX_EPOCH,
        },
    )
    .await
    .unwrap();

    later(29).await;
    assert_eq!(ask(&there, 1).await.unwrap().unwrap().revoked_at, None);
    later(1).await;
    assert!(ask(&there, 1).await.unwrap().unwrap().revoked_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn uses_are_written_behind_once_a_minute_and_kept_through_an_outage() {
    let (store, keys) = with_one();
    let mut cx = relaxed();
    for second in 0..10 {
        cx.now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second);
        keys.find(&cx, By::Digest(key(1).digest)).await.unwrap();
    }
    assert_eq!(*lock(&store.written), []);

    store.is_away(true);
    later(61).await;
    assert_eq!(*lock(&store.written), []);
    store.is_away(false);
    later(60).await;
    let told = (key(1).id, OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(9));
    assert_eq!(*lock(&store.written), [told]);

    later(120).await;
    assert_eq!(lock(&store.written).len(), 1, "nothing was used since");
    keys.find(&cx, By::Digest(key(1).digest)).await.unwrap();
    keys.write_uses().await;
    assert_eq!(lock(&store.written).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_opens_nothing_is_not_used() {
    let (store, keys) = with_one();
    lock(&store.keys)[0].expires_at = Some(OffsetDateTime::UNIX_EPOCH);

    ask(&keys, 1).await.unwrap();
    keys.write_uses().await;

    assert_eq!(*lock(&store.written), []);
}
