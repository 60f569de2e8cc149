//! The engine on mocks and fakes. Here is what both halves of the tests build on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;

use mockall::Sequence;
use rstest::rstest;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::{
    caption::Usage,
    choice::{Emoji, Tone},
    context::{Attempts, Class, TenantId},
    fault::{Fault, FaultKind, Rejection, StoreError},
    ports::{Cached, Chunk, Description, Grade, Invalidations, MockCaptionStore, MockLlmProvider, MockUserStore},
    request::{self, Keyword, Language, ProviderName, UserId, Variants},
};

mod streamed;
mod whole;

const BRIEF: &str = "Fresh sourdough loaves on the counter of our bakery in Lisbon";
const CAPTION: &str = "Fresh sourdough is out on the counter. Come and smell the bakery.";

fn context() -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "req-4711".into(),
        fresh_id: Uuid::from_u128(7),
        now: datetime!(2026-11-23 12:00 UTC),
        deadline: Instant::now() + Duration::from_secs(3600),
        attempts: Arc::new(Attempts::up_to(3)),
        class: Class::Interactive,
        notes: Arc::default(),
    }
}

fn request() -> CaptionRequest {
    CaptionRequest::new(request::Description::new(BRIEF).unwrap())
}

fn of_user(user: &str) -> CaptionRequest {
    CaptionRequest {
        user: Some(UserId::new(user).unwrap()),
        ..request()
    }
}

/// A cache that keeps what is put, ages it on demand, or fails.
#[derive(Default)]
struct FakeCache {
    kept: Mutex<HashMap<String, (Bytes, Duration)>>,
    age: Mutex<Duration>,
    fault: Mutex<Option<FaultKind>>,
}

impl FakeCache {
    fn check(&self) -> Result<(), Fault> {
        self.fault.lock().unwrap().map_or(Ok(()), |kind| Err(Fault::new(kind)))
    }
    fn failing(kind: FaultKind) -> Arc<Self> {
        Arc::new(Self {
            fault: Mutex::new(Some(kind)),
            ..Self::default()
        })
    }
    fn only(&self) -> (Bytes, Duration) {
        let kept = self.kept.lock().unwrap();
        assert_eq!(kept.len(), 1);
        kept.values().next().unwrap().clone()
    }
    fn len(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait]
impl Cache for FakeCache {
    async fn get(&self, _: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        self.check()?;
        let age = *self.age.lock().unwrap();
        Ok(self
            .kept
            .lock()
            .unwrap()
            .get(key.as_str())
            .filter(|(_, ttl)| age < *ttl)
            .map(|(bytes, _)| Cached {
                bytes: bytes.clone(),
                age,
            }))
    }
    async fn put(&self, _: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        self.check()?;
        self.kept.lock().unwrap().insert(key.as_str().into(), (bytes, ttl));
        Ok(())
    }
    async fn remove(&self, _: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.check()?;
        self.kept.lock().unwrap().remove(key.as_str());
        Ok(())
    }
    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        let is_absent = self.get(cx, key).await?.is_none();
        if is_absent {
            self.put(cx, key, bytes, ttl).await?;
        }
        Ok(is_absent)
    }
    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        let is_it = self.get(cx, key).await?.is_some_and(|found| found.bytes == bytes);
        if is_it {
            self.remove(cx, key).await?;
        }
        Ok(is_it)
    }
    fn invalidations(&self) -> Invalidations {
        Box::pin(futures_util::stream::pending())
    }
}

fn described(name: &str, languages: Option<&'static [&'static str]>) -> Description {
    Description {
        provider: name.into(),
        model: "m1".into(),
        grade: Grade::Standard,
        members: vec![name.into()],
        languages,
        fingerprint: format!("{name}=m1"),
    }
}

fn credit() -> Credit {
    Credit {
        provider: "primary".into(),
        model: "m1".into(),
        grade: Grade::Standard,
        first_choice: true,
        usage: Some(Usage {
            input_tokens: 10,
            output_tokens: 2,
        }),
        provider_request_id: Some("up-1".into()),
    }
}

fn completion(captions: &[&str]) -> Completion {
    Completion {
        text: reply::encode(captions.iter().map(|text| reply::Draft::plain(text)).collect()),
        credit: credit(),
    }
}

fn down() -> LlmError {
    Fault::new(FaultKind::Unavailable).into()
}

/// A provider without expectations but its description.
fn provider(name: &str) -> MockLlmProvider {
    let mut llm = MockLlmProvider::new();
    llm.expect_describe().return_const(described(name, None));
    llm
}

/// A provider that answers the same caption every time, exactly `times` times.
fn writing(caption: &'static str, times: usize) -> MockLlmProvider {
    let mut llm = provider("primary");
    llm.expect_complete()
        .times(times)
        .returning(move |_, _| Ok(completion(&[caption])));
    llm
}

fn failing(error: fn() -> LlmError) -> MockLlmProvider {
    let mut llm = provider("primary");
    llm.expect_complete().returning(move |cx, _| {
        cx.attempts.begin();
        Err(error())
    });
    llm.expect_stream().returning(move |cx, _| {
        cx.attempts.begin();
        Err(error())
    });
    llm
}

/// A store that keeps everything.
fn keeping() -> MockCaptionStore {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().returning(|_, _| Ok(()));
    captions
}

/// A store of users that knows these.
fn knowing(users: &[(&'static str, Preferences)]) -> MockUserStore {
    let users: HashMap<String, Preferences> = users.iter().map(|(id, p)| ((*id).into(), p.clone())).collect();
    let mut store = MockUserStore::new();
    store
        .expect_preferences()
        .returning(move |_, user| Ok(users.get(user.as_str()).cloned()));
    store
}

fn engine(users: MockUserStore, captions: MockCaptionStore, cache: &Arc<FakeCache>, llm: MockLlmProvider) -> Engine {
    Engine {
        users: Arc::new(users),
        captions: Arc::new(captions),
        cache: Arc::clone(cache) as Arc<dyn Cache>,
        llm: Arc::new(llm),
        rungs: Vec::new(),
        options: Options {
            caption_ttl: Duration::from_secs(3600),
            stale_ttl: Duration::from_secs(86_400),
        },
    }
}

/// An engine whose parts all work.
fn healthy(cache: &Arc<FakeCache>, llm: MockLlmProvider) -> Engine {
    engine(knowing(&[]), keeping(), cache, llm)
}

fn rung(source: Source, caption: &'static str, languages: Option<&'static [&'static str]>) -> Rung {
    let mut llm = MockLlmProvider::new();
    llm.expect_describe()
        .return_const(described(source.as_str(), languages));
    llm.expect_complete().returning(move |_, _| Ok(completion(&[caption])));
    Rung {
        source,
        llm: Arc::new(llm),
    }
}
