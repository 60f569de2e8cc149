//! The engine on mocks and fakes. Here is what both halves of the tests build on.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use mockall::Sequence;
use rstest::rstest;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::{
    answers::{Load, Loaded, Unwritten},
    caption::{CaptionId, Usage},
    choice::{CacheUse, Emoji, Tone},
    context::{Attempts, Class, TenantId},
    fault::{Fault, FaultKind, Rejection, StoreError},
    ports::{Chunk, Completion, Credit, Description, Grade, MockCaptionStore, MockLlmProvider, MockUserStore},
    prompt::Format,
    reply,
    request::{self, Keyword, Language, ProviderName, UserId, Variants},
};

mod again;
mod counted;
mod hostile;
mod more;
mod rewritten;
mod shared;
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
        payers: Arc::default(),
        tab: crate::usage::Tab::default(),
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

/// Keeps what was loaded, ages it on demand, and says what it is told to.
#[derive(Default)]
struct FakeAnswers {
    kept: Mutex<HashMap<String, Loaded<Written>>>,
    age: Mutex<Duration>,
    /// Given to the next reader, without a load.
    next: Mutex<Option<Found<Written, Unwritten>>>,
    /// What is kept is given as to somebody who waited for it beside its first reader.
    shares: AtomicBool,
    /// Noted for each reader.
    note: Mutex<Option<Degraded>>,
    /// What was wished, in order.
    wishes: Mutex<Vec<Wish>>,
}

impl FakeAnswers {
    fn saying(found: Found<Written, Unwritten>) -> Arc<Self> {
        Arc::new(Self {
            next: Mutex::new(Some(found)),
            ..Self::default()
        })
    }
    fn sharing() -> Arc<Self> {
        Arc::new(Self {
            shares: AtomicBool::new(true),
            ..Self::default()
        })
    }
    fn is_aged(&self, age: Duration) {
        *self.age.lock().unwrap() = age;
    }
    fn only(&self) -> Loaded<Written> {
        let kept = self.kept.lock().unwrap();
        assert_eq!(kept.len(), 1);
        kept.values().next().unwrap().clone()
    }
    fn len(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait]
impl AnswerCache for FakeAnswers {
    async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load) -> Found<Written, Unwritten> {
        self.wishes.lock().unwrap().push(wish.clone());
        self.note.lock().unwrap().iter().for_each(|how| cx.notes.add(*how));
        if let Some(found) = self.next.lock().unwrap().take() {
            return found;
        }
        let age = *self.age.lock().unwrap();
        let kept = self.kept.lock().unwrap().get(key.as_str()).cloned();
        let kept = kept.filter(|_| wish.cache != CacheUse::Bypass);
        if let Some(Loaded { value, fresh_for }) = &kept
            && wish.cache == CacheUse::Use
            && fresh_for.is_some_and(|fresh_for| age < fresh_for)
        {
            let value = value.clone();
            return if self.shares.load(Ordering::Relaxed) {
                Found::Loaded { value, shared: true }
            } else {
                Found::Hit { value, age }
            };
        }
        match load(cx.clone()).await {
            Ok(loaded) => {
                if loaded.fresh_for.is_some() && wish.cache != CacheUse::Bypass {
                    self.kept.lock().unwrap().insert(key.as_str().into(), loaded.clone());
                }
                Found::Loaded {
                    value: loaded.value,
                    shared: false,
                }
            }
            Err(error) => Found::Failed {
                error,
                stale: kept.filter(|_| wish.stale).map(|loaded| (loaded.value, age)),
            },
        }
    }

    async fn kept(&self, _: &Context, key: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
        let kept = self.kept.lock().unwrap();
        kept.get(key.as_str()).map(|loaded| loaded.value.clone())
    }
}

fn described(name: &str, languages: Option<&'static [&'static str]>) -> Description {
    Description {
        provider: name.into(),
        model: "m1".into(),
        grade: Grade::Standard,
        members: vec![name.into()],
        languages,
        seeing: Vec::new(),
        rewrites: true,
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
            cost: None,
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
    captions.expect_history().returning(|_, _, _, _| Ok(Vec::new()));
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

fn engine(users: MockUserStore, captions: MockCaptionStore, cache: &Arc<FakeAnswers>, llm: MockLlmProvider) -> Engine {
    Engine {
        users: Arc::new(users),
        captions: Arc::new(captions),
        answers: Arc::clone(cache) as Arc<dyn AnswerCache>,
        llm: Arc::new(llm),
        rungs: Vec::new(),
        options: Options {
            templates: Templates::default(),
            caption_ttl: Duration::from_secs(3600),
            stale: true,
        },
    }
}

/// An engine whose parts all work.
fn healthy(cache: &Arc<FakeAnswers>, llm: MockLlmProvider) -> Engine {
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
