use std::sync::atomic::{AtomicUsize, Ordering};

use captions_domain::{
    caption::{Caption, Feedback, Source, Verdict as Used},
    choice::Platform,
    fault::{FaultKind, Rejection},
    ports::{MockCache, MockCaptionStore, MockLlmProvider, MockUserStore},
    request::{Description as Wish, Language},
};
use mockall::predicate::{always, eq};
use rstest::rstest;
use time::OffsetDateTime;
use tokio::time::advance;
use uuid::Uuid;

use super::*;
use crate::{
    breaker::State,
    jitter::Jitter,
    policy::PolicySettings,
    samples::{Actor, Line, fault, ms, prompt, relaxed},
};

fn guarded<P>(inner: P) -> Guarded<P> {
    let policy = Policy::with_jitter(PolicySettings::standard("test"), Jitter::fixed(0.0));
    Guarded::new(Arc::new(inner), policy)
}

fn user_id() -> UserId {
    UserId::new("ann").unwrap()
}

fn user() -> User {
    User {
        id: user_id(),
        display_name: Some("Ann".to_owned()),
        preferences: Preferences::default(),
        version: 3,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

pub(crate) fn record() -> Record {
    Record {
        id: CaptionId(Uuid::nil()),
        request_id: "r-1".to_owned(),
        user: Some(user_id()),
        campaign: None,
        description: Wish::new("a red bicycle").unwrap(),
        caption: Caption {
            variants: Vec::new(),
            platform: Platform::Instagram,
            language: Language::default(),
            tone: None,
            provider: "p".to_owned(),
            model: "m".to_owned(),
            grade: "standard".to_owned(),
            provider_request_id: None,
            usage: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            rules_as_of: "2026-01-01".to_owned(),
            warnings: Vec::new(),
            additions: Vec::new(),
        },
        source: Source::Provider,
        attempts: 1,
        degraded: Vec::new(),
        feedback: None,
        selected: None,
        wishes: None,
        cached_under: None,
        version: 1,
    }
}

fn key() -> CacheKey {
    CacheKey::new("test", &blake3::hash(b"key"))
}

/// Unavailable twice, then the answer: what a repeated call survives.
fn third_time<T: Clone, E: From<Fault>>(answer: T) -> impl FnMut() -> Result<T, E> {
    let mut calls = 0;
    move || {
        calls += 1;
        if calls < 3 {
            return Err(Fault::new(FaultKind::Unavailable).into());
        }
        Ok(answer.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_store_is_forwarded_to_and_everything_but_a_write_is_repeated() {
    let mut inner = MockUserStore::new();
    let mut answer = third_time(Some(user()));
    inner
        .expect_read()
        .with(always(), eq(user_id()))
        .times(3)
        .returning(move |_, _| answer());
    let mut answer = third_time(Some(Preferences::default()));
    inner
        .expect_preferences()
        .with(always(), eq(user_id()))
        .times(3)
        .returning(move |_, _| answer());
    let mut answer = third_time(true);
    inner
        .expect_erase()
        .with(always(), eq(user_id()))
        .times(3)
        .returning(move |_, _| answer());
    let store: Guarded<dyn UserStore> = Guarded::new(Arc::new(inner), guarded(()).policy);
    let cx = relaxed();

    assert_eq!(store.read(&cx, &user_id()).await.unwrap(), Some(user()));
    assert_eq!(
        store.preferences(&cx, &user_id()).await.unwrap(),
        Some(Preferences::default())
    );
    assert!(store.erase(&cx, &user_id()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_of_a_user_is_made_once_only() {
    let mut inner = MockUserStore::new();
    inner
        .expect_write()
        .with(always(), eq(user()), eq(Expect::Version(3)))
        .times(1)
        .returning(|_, _, _| Err(Fault::new(FaultKind::Timeout).into()));
    inner
        .expect_write()
        .with(always(), eq(user()), eq(Expect::Absent))
        .times(1)
        .returning(|_, _, _| Ok(1));
    let store = guarded(inner);

    let failed = store.write(&relaxed(), &user(), Expect::Version(3)).await;
    let written = store.write(&relaxed(), &user(), Expect::Absent).await;

    assert!(matches!(failed, Err(StoreError::Fault(fault)) if fault.kind == FaultKind::Timeout));
    assert_eq!(written.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_handed_on_and_leaves_the_circuit_closed() {
    let mut inner = MockUserStore::new();
    inner
        .expect_write()
        .times(20)
        .returning(|_, _, _| Err(StoreError::Conflict));
    let store = guarded(inner);

    for _ in 0..20 {
        let conflict = store.write(&relaxed(), &user(), Expect::Absent).await;
        assert!(matches!(conflict, Err(StoreError::Conflict)));
    }

    assert_eq!(store.policy().snapshot().unwrap().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_caption_store_is_forwarded_to_and_repeated() {
    let mut inner = MockCaptionStore::new();
    let id = CaptionId(Uuid::max());
    let feedback = Feedback {
        verdict: Used::Edited,
        rating: Some(4),
        final_text: Some("better".to_owned()),
        variant: Some(1),
        given_at: OffsetDateTime::UNIX_EPOCH,
    };
    let mut answer = third_time(());
    inner
        .expect_append()
        .with(always(), eq(record()))
        .times(3)
        .returning(move |_, _| answer());
    let mut answer = third_time(Some(record()));
    inner
        .expect_read()
        .with(always(), eq(id))
        .times(3)
        .returning(move |_, _| answer());
    let mut answer = third_time(vec![record(), record()]);
    inner
        .expect_history()
        .with(always(), eq(Filter::of_user(&user_id())), eq(Some(id)), eq(7))
        .times(3)
        .returning(move |_, _, _, _| answer());
    let amendment = Amendment::Feedback(feedback);
    let mut answer = third_time(Some(2));
    inner
        .expect_amend()
        .with(always(), eq(id), eq(amendment.clone()), eq(None))
        .times(3)
        .returning(move |_, _, _, _| answer());
    let extent = Extent::OfUser(user_id());
    let mut answer = third_time(Removed {
        captions: 9,
        ..Removed::default()
    });
    inner
        .expect_erase()
        .with(always(), eq(extent.clone()))
        .times(3)
        .returning(move |_, _| answer());
    let (store, cx) = (guarded(inner), relaxed());

    store.append(&cx, &record()).await.unwrap();
    assert_eq!(store.read(&cx, id).await.unwrap(), Some(record()));
    let filter = Filter::of_user(&user_id());
    assert_eq!(store.history(&cx, &filter, Some(id), 7).await.unwrap().len(), 2);
    assert_eq!(store.amend(&cx, id, &amendment, None).await.unwrap(), Some(2));
    assert_eq!(store.erase(&cx, &extent).await.unwrap().captions, 9);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_expected_version_is_not_repeated() {
    let mut inner = MockCaptionStore::new();
    let away = || StoreError::from(Fault::new(FaultKind::Unavailable));
    inner.expect_amend().once().returning(move |_, _, _, _| Err(away()));
    let store = guarded(inner);

    let amendment = Amendment::Selection(Some(1));
    let outcome = store
        .amend(&relaxed(), CaptionId(Uuid::max()), &amendment, Some(4))
        .await;

    assert!(matches!(outcome, Err(StoreError::Fault(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_forwarded_to_and_repeated() {
    let mut inner = MockCache::new();
    let hit = Cached {
        bytes: Bytes::from_static(b"value"),
        age: ms(2000),
    };
    let mut answer = third_time(Some(hit.clone()));
    inner
        .expect_get()
        .with(always(), eq(key()))
        .times(3)
        .returning(move |_, _| answer());
    let mut answer = third_time(());
    inner
        .expect_put()
        .with(always(), eq(key()), eq(hit.bytes.clone()), eq(ms(5)))
        .times(3)
        .returning(move |_, _, _, _| answer());
    let mut answer = third_time(());
    inner
        .expect_remove()
        .with(always(), eq(key()))
        .times(3)
        .returning(move |_, _| answer());
    let (cache, cx) = (guarded(inner), relaxed());

    assert_eq!(cache.get(&cx, &key()).await.unwrap(), Some(hit.clone()));
    cache.put(&cx, &key(), hit.bytes, ms(5)).await.unwrap();
    cache.remove(&cx, &key()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_cache_is_no_longer_asked_until_it_is_probed() {
    let mut inner = MockCache::new();
    inner
        .expect_get()
        .times(6)
        .returning(|_, _| Err(Fault::new(FaultKind::Unavailable)));
    let cache = guarded(inner);
    let cx = relaxed();

    for _ in 0..20 {
        cache.get(&cx, &key()).await.unwrap_err();
    }
    let refused = cache.get(&cx, &key()).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::CircuitOpen { retry_after: ms(500) });
    advance(ms(500)).await;

    // The sixth call: a failed probe is not repeated, because the circuit is open again.
    assert_eq!(cache.get(&cx, &key()).await.unwrap_err().kind, FaultKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_forwarded_to_and_repeated() {
    let script = [Line::Fail(fault(FaultKind::Unavailable))];
    let provider = guarded(Actor::new("a", &[&script, &script, &[Line::Say("hello"), Line::End]]));

    let completion = provider.complete(&relaxed(), &prompt()).await.unwrap();

    assert_eq!((completion.text.as_str(), provider.inner.calls()), ("hello", 3));
    assert_eq!(provider.describe(), provider.inner.describe());
}

#[rstest]
#[case::refused(LlmError::Refused, State::Closed)]
#[case::too_long(LlmError::TooLong, State::Closed)]
#[case::auth(LlmError::Rejected { kind: Rejection::Auth, detail: String::new() }, State::Closed)]
#[case::billing(LlmError::Rejected { kind: Rejection::Billing, detail: String::new() }, State::Closed)]
#[case::unusable(LlmError::unusable("empty"), State::Open)]
#[case::corrupt(fault(FaultKind::Corrupt), State::Open)]
#[case::internal(fault(FaultKind::Internal), State::Closed)]
#[tokio::test(start_paused = true)]
async fn errors_that_are_not_transient_are_not_repeated_and_count_only_if_nobody_was_served(
    #[case] error: LlmError,
    #[case] expected: State,
) {
    let mut inner = MockLlmProvider::new();
    inner
        .expect_complete()
        .times(5)
        .returning(move |_, _| Err(error.clone()));
    let provider = guarded(inner);

    for _ in 0..5 {
        provider.complete(&relaxed(), &prompt()).await.unwrap_err();
    }

    assert_eq!(provider.policy().snapshot().unwrap().state, expected);
}

/// A cache whose first answer to each question takes its time.
#[derive(Default)]
struct Sluggish {
    gets: AtomicUsize,
    puts: AtomicUsize,
}

impl Sluggish {
    async fn answer(calls: &AtomicUsize) {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        tokio::time::sleep(ms(if is_first { 400 } else { 1 })).await;
    }
}

#[async_trait]
impl Cache for Sluggish {
    async fn get(&self, _: &Context, _: &CacheKey) -> Result<Option<Cached>, Fault> {
        Self::answer(&self.gets).await;
        Ok(None)
    }

    async fn put(&self, _: &Context, _: &CacheKey, _: Bytes, _: Duration) -> Result<(), Fault> {
        Self::answer(&self.puts).await;
        Ok(())
    }

    async fn remove(&self, _: &Context, _: &CacheKey) -> Result<(), Fault> {
        Ok(())
    }

    async fn put_if_absent(&self, _: &Context, _: &CacheKey, _: Bytes, _: Duration) -> Result<bool, Fault> {
        Ok(true)
    }

    async fn remove_if(&self, _: &Context, _: &CacheKey, _: Bytes) -> Result<bool, Fault> {
        Ok(true)
    }

    fn invalidations(&self) -> Invalidations {
        Box::pin(futures_util::stream::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn reads_may_have_a_second_one_beside_them_and_writes_may_not() {
    let settings = PolicySettings {
        hedge_after: Some(ms(50)),
        ..PolicySettings::standard("test")
    };
    let cache = Guarded::new(Arc::new(Sluggish::default()), Policy::new(settings));
    let (cx, start) = (relaxed(), tokio::time::Instant::now());

    cache.get(&cx, &key()).await.unwrap();
    assert_eq!(start.elapsed(), ms(51));
    cache.put(&cx, &key(), Bytes::new(), ms(5)).await.unwrap();
    assert_eq!(start.elapsed(), ms(451));

    let count = |calls: &AtomicUsize| calls.load(Ordering::Relaxed);
    assert_eq!((count(&cache.inner.gets), count(&cache.inner.puts)), (2, 1));
}
