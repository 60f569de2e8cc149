use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use captions_domain::{choice::Tone, context::TenantId, fault::Fault, ports::MockCaptionStore};
use rstest::rstest;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::*;
use crate::{
    readthrough::tests::{Shelf, layers, settle},
    samples::{ms, relaxed},
    tasks::Tasks,
};

/// A store of one user at a time, whose server can be away.
#[derive(Default)]
struct Store {
    user: Mutex<Option<User>>,
    away: Mutex<Option<FaultKind>>,
    reads: AtomicUsize,
    is_slow: AtomicBool,
}

impl Store {
    fn open(&self) -> Result<(), StoreError> {
        match *self.away.lock().unwrap() {
            Some(kind) => Err(Fault::new(kind).into()),
            None => Ok(()),
        }
    }

    fn falls_away(&self, kind: Option<FaultKind>) {
        *self.away.lock().unwrap() = kind;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// What a store reads that is asked now and answers a little later.
    async fn look(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.open()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.user.lock().unwrap().clone().filter(|found| found.id == *user);
        if self.is_slow.load(Ordering::SeqCst) {
            sleep(ms(500)).await;
        }
        Ok(found)
    }
}

#[async_trait]
impl UserStore for Store {
    async fn read(&self, _: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        self.look(user).await
    }

    async fn preferences(&self, _: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        Ok(self.look(user).await?.map(|user| user.preferences))
    }

    async fn list(&self, _: &Context, _: Option<UserId>, _: u32) -> Result<Vec<Entry>, StoreError> {
        self.open()?;
        Ok(self.user.lock().unwrap().iter().map(Entry::from).collect())
    }

    async fn write(&self, _: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        self.open()?;
        let mut stored = self.user.lock().unwrap();
        let version = match (expect, stored.as_ref()) {
            (Expect::Absent, None) => 1,
            (Expect::Version(version), Some(stored)) if stored.version == version => version + 1,
            _ => return Err(StoreError::Conflict),
        };
        *stored = Some(User {
            version,
            ..user.clone()
        });
        Ok(version)
    }

    async fn erase(&self, _: &Context, _: &UserId) -> Result<bool, StoreError> {
        self.open()?;
        Ok(self.user.lock().unwrap().take().is_some())
    }
}

fn anna() -> UserId {
    UserId::new("anna").unwrap()
}

fn user(tone: Tone, version: u64) -> User {
    User {
        id: anna(),
        display_name: None,
        preferences: Preferences {
            tone: Some(tone),
            ..Preferences::default()
        },
        version,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

const TIMES: UserTimes = UserTimes {
    preferences: Duration::from_secs(1800),
    profile: Duration::from_secs(600),
    negative: Duration::from_secs(10),
};

async fn process(store: &Arc<Store>, shelf: &Arc<Shelf>, number: usize) -> CachedUsers {
    let layers = layers(Some(shelf), number, &Tasks::new(100)).await;
    let options = CacheOptions::default();
    CachedUsers::new(Arc::clone(store) as _, layers, TIMES, options, Jitter::fixed(0.0))
}

/// Two processes over one store and one shared cache.
async fn two() -> (Arc<Store>, Arc<Shelf>, [CachedUsers; 2]) {
    let (store, shelf) = (Arc::new(Store::default()), Shelf::new());
    let users = [process(&store, &shelf, 0).await, process(&store, &shelf, 1).await];
    (store, shelf, users)
}

async fn tone(users: &CachedUsers) -> Option<Tone> {
    let found = users.preferences(&relaxed(), &anna()).await.unwrap();
    settle().await;
    found.and_then(|found| found.tone)
}

#[tokio::test(start_paused = true)]
async fn preferences_are_read_once_for_all_processes() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));

    for _ in 0..3 {
        for users in &users {
            assert_eq!(tone(users).await, Some(Tone::Warm));
        }
    }

    assert_eq!(store.reads(), 1);
    let [preferences, profiles] = users[1].counts();
    assert_eq!((preferences.shared_hits, preferences.memory_hits), (1, 2));
    assert_eq!(profiles, CacheCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_write_is_visible_to_the_next_read_of_every_process() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    for users in &users {
        tone(users).await;
    }

    let version = users[0]
        .write(&relaxed(), &user(Tone::Funny, 1), Expect::Version(1))
        .await
        .unwrap();
    settle().await;

    assert_eq!(version, 2);
    for users in &users {
        assert_eq!(tone(users).await, Some(Tone::Funny));
    }
    assert!(users[1].erase(&relaxed(), &anna()).await.unwrap());
    settle().await;
    for users in &users {
        assert_eq!(tone(users).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_gives_up_what_is_kept_too() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    tone(&users[0]).await;
    // Somebody wrote who tells nobody.
    *store.user.lock().unwrap() = Some(user(Tone::Calm, 2));

    let conflict = users[0]
        .write(&relaxed(), &user(Tone::Funny, 1), Expect::Version(1))
        .await;

    assert!(matches!(conflict, Err(StoreError::Conflict)));
    assert_eq!(tone(&users[0]).await, Some(Tone::Calm));
}

#[tokio::test(start_paused = true)]
async fn who_is_to_be_changed_is_read_from_the_store_and_who_is_only_shown_from_the_cache() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    let showing = users[0].for_showing();
    let version = async |users: &CachedUsers| users.read(&relaxed(), &anna()).await.unwrap().unwrap().version;
    assert_eq!(version(&showing).await, 1);
    *store.user.lock().unwrap() = Some(user(Tone::Calm, 2));

    assert_eq!((version(&users[0]).await, version(&showing).await), (2, 1));
    assert_eq!(showing.counts()[1].memory_hits, 1);
    // Not after its time, nor after a write here.
    sleep(Duration::from_secs(600)).await;
    assert_eq!(version(&showing).await, 2);
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_known_users_are_served_and_unknown_ones_are_an_error() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    tone(&users[0]).await;
    store.falls_away(Some(FaultKind::Unavailable));

    // Fresh, and past its time, for a day.
    for (wait, notes) in [
        (0, vec![]),
        (1801, vec![Degraded::PreferencesStale]),
        (80_000, vec![Degraded::PreferencesStale]),
    ] {
        sleep(Duration::from_secs(wait)).await;
        for users in &users {
            let cx = relaxed();
            let found = users.preferences(&cx, &anna()).await.unwrap().unwrap();
            assert_eq!((found.tone, cx.notes.all()), (Some(Tone::Warm), notes.clone()));
        }
    }
    let stranger = UserId::new("nobody").unwrap();
    assert!(users[0].preferences(&relaxed(), &stranger).await.is_err());
    sleep(Duration::from_secs(86_400)).await;
    assert!(users[0].preferences(&relaxed(), &anna()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn that_a_user_is_unknown_is_kept_for_seconds_and_ends_with_their_creation() {
    let (store, _, users) = two().await;

    for _ in 0..3 {
        assert_eq!(tone(&users[0]).await, None);
    }
    assert_eq!((store.reads(), users[0].counts()[0].negative), (1, 2));
    sleep(Duration::from_secs(10)).await;
    tone(&users[0]).await;
    assert_eq!(store.reads(), 2);

    users[1]
        .write(&relaxed(), &user(Tone::Warm, 0), Expect::Absent)
        .await
        .unwrap();
    settle().await;
    for users in &users {
        assert_eq!(tone(users).await, Some(Tone::Warm));
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_for_it_an_unknown_user_is_asked_for_each_time() {
    let (store, shelf) = (Arc::new(Store::default()), Shelf::new());
    let layers = layers(Some(&shelf), 0, &Tasks::new(100)).await;
    let times = UserTimes {
        negative: Duration::ZERO,
        ..TIMES
    };
    let options = CacheOptions::default();
    let users = CachedUsers::new(Arc::clone(&store) as _, layers, times, options, Jitter::fixed(0.0));

    for _ in 0..3 {
        tone(&users).await;
    }

    assert_eq!(store.reads(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_a_write_has_overtaken_is_not_kept() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    store.is_slow.store(true, Ordering::SeqCst);
    let late: Vec<_> = users
        .iter()
        .map(|users| {
            let users = users.clone();
            tokio::spawn(async move { tone(&users).await })
        })
        .collect();
    settle().await;

    users[0]
        .write(&relaxed(), &user(Tone::Funny, 1), Expect::Version(1))
        .await
        .unwrap();
    settle().await;
    for late in late {
        assert_eq!(late.await.unwrap(), Some(Tone::Warm));
    }

    for _ in 0..2 {
        for users in &users {
            assert_eq!(tone(users).await, Some(Tone::Funny));
        }
        sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_made_leaves_what_is_kept() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    tone(&users[0]).await;
    let retry_after = Duration::from_secs(1);
    store.falls_away(Some(FaultKind::CircuitOpen { retry_after }));

    let refused = users[0]
        .write(&relaxed(), &user(Tone::Funny, 1), Expect::Version(1))
        .await;

    assert!(refused.is_err());
    assert_eq!(tone(&users[0]).await, Some(Tone::Warm));
}

#[tokio::test(start_paused = true)]
async fn the_same_id_of_another_tenant_is_another_user() {
    let (store, _, users) = two().await;
    *store.user.lock().unwrap() = Some(user(Tone::Warm, 1));
    tone(&users[0]).await;
    let stranger = Context {
        tenant: TenantId::new("stranger").unwrap(),
        ..relaxed()
    };

    users[0].preferences(&stranger, &anna()).await.unwrap();

    assert_eq!(store.reads(), 2);
}

#[rstest]
#[case::made(None, true)]
#[case::perhaps_made(Some(FaultKind::Timeout), true)]
#[case::not_made(Some(FaultKind::Overloaded), false)]
#[tokio::test(start_paused = true)]
async fn what_is_kept_of_captions_is_forgotten_with_the_user_and_once_more_with_the_history(
    #[case] failure: Option<FaultKind>,
    #[case] is_forgotten: bool,
    #[values(true, false)] is_history: bool,
) {
    let (store, shelf, [users, _]) = two().await;
    let (cx, edition) = (relaxed(), edition_key(&TenantId::local(), &anna()));
    let side = shelf.side(9);
    side.put(&cx, &edition, "old".into(), Duration::from_secs(3600))
        .await
        .unwrap();
    store.falls_away(failure);
    let mut captions = MockCaptionStore::new();
    captions
        .expect_erase()
        .returning(move |_, _| failure.map_or(Ok(Removed::default()), |kind| Err(Fault::new(kind).into())));

    // Also of somebody who was never registered.
    let is_made = if is_history {
        users
            .history(Arc::new(captions))
            .erase(&cx, &Extent::OfUser(anna()))
            .await
            .is_ok()
    } else {
        users.erase(&cx, &anna()).await.is_ok()
    };

    assert_eq!(is_made, failure.is_none());
    let stands = side.get(&cx, &edition).await.unwrap().unwrap().bytes;
    assert_eq!(stands != "old", is_forgotten);
}

#[tokio::test(start_paused = true)]
async fn a_caption_that_is_erased_is_found_in_no_cache() {
    let (_, shelf, [users, _]) = two().await;
    let (cx, key) = (relaxed(), CacheKey::new("caption", &blake3::hash(b"asked")));
    let side = shelf.side(9);
    side.put(&cx, &key, "old".into(), Duration::from_hours(1))
        .await
        .unwrap();
    let record = Record {
        cached_under: Some(key.clone()),
        ..crate::guarded::tests::record()
    };
    let extent = Extent::One(record.id);
    let mut captions = MockCaptionStore::new();
    captions
        .expect_read()
        .once()
        .returning(move |_, _| Ok(Some(record.clone())));
    let one = Removed {
        captions: 1,
        cached: Some(0),
        ..Removed::default()
    };
    captions.expect_erase().once().returning(move |_, _| Ok(one));

    let erased = users.history(Arc::new(captions)).erase(&cx, &extent).await;

    let erased = erased.unwrap();
    assert_eq!(
        (erased.captions, erased.cached),
        (1, None),
        "nobody counts what caches had"
    );
    assert_ne!(side.get(&cx, &key).await.unwrap().unwrap().bytes, "old");
}
