//! The ports as a test plays them: a store and a cache in memory, and a writer that follows a script.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    answers::{AnswerCache, Found, Load, Loaded, Unwritten, Wish, Written},
    caption::{CaptionId, Record, Usage},
    choice::CacheUse,
    context::Context,
    fault::{Fault, FaultKind, LlmError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    once::{Standing, Step},
    ports::{
        CacheKey, CaptionStore, Chunk, ChunkStream, Completion, Credit, Description, Expect, Grade, LlmProvider,
        UserStore,
    },
    prompt::{Format, Prompt},
    reply::{self, Draft},
    request::UserId,
    user::{Entry, Preferences, User},
};
use captions_testkit::once::Records;
use futures_util::StreamExt;
use tokio::sync::watch;

/// Users and captions in memory, of one tenant.
#[derive(Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
    calls: Records,
    /// Every step with a call that was given a key.
    pub(crate) steps: Mutex<Vec<(Context, Step)>>,
}

#[derive(Default)]
struct Inner {
    users: HashMap<UserId, User>,
    captions: BTreeMap<CaptionId, Record>,
    broken: Option<FaultKind>,
    conflicts: u32,
    hangs: bool,
    keeps_no_answers: bool,
}

impl Store {
    /// From now on every call fails so.
    pub(crate) fn breaks(&self, kind: Option<FaultKind>) {
        self.inner().broken = kind;
    }

    /// The next so many writes of users meet somebody else's.
    pub(crate) fn conflicts(&self, times: u32) {
        self.inner().conflicts = times;
    }

    /// From now on answers of calls with a key cannot be kept.
    pub(crate) fn keeps_no_answers(&self) {
        self.inner().keeps_no_answers = true;
    }

    /// From now on they can.
    pub(crate) fn keeps_answers(&self) {
        self.inner().keeps_no_answers = false;
    }

    /// All captions, oldest first.
    pub(crate) fn captions(&self) -> Vec<Record> {
        self.inner().captions.values().cloned().collect()
    }

    /// From now on calls take for ever.
    pub(crate) fn hangs(&self) {
        self.inner().hangs = true;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    async fn reach(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        if self.inner().hangs {
            std::future::pending::<()>().await;
        }
        let inner = self.inner();
        match inner.broken {
            Some(kind) => Err(Fault::new(kind).into()),
            None => Ok(inner),
        }
    }
}

impl Store {
    /// All captions become such as an earlier version stored.
    pub(crate) async fn without_wishes(&self) {
        let Ok(mut inner) = self.reach().await else { return };
        inner.captions.values_mut().for_each(|record| record.wishes = None);
    }
}

#[async_trait]
impl UserStore for Store {
    async fn read(&self, _: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.reach().await?.users.get(user).cloned())
    }

    async fn preferences(&self, _: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        Ok(self.reach().await?.users.get(user).map(|user| user.preferences.clone()))
    }

    async fn list(&self, _: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let inner = self.reach().await?;
        let mut all: Vec<Entry> = inner.users.values().map(Entry::from).collect();
        all.retain(|entry| after.as_ref().is_none_or(|after| entry.id > *after));
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn write(&self, _: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        let mut inner = self.reach().await?;
        if inner.conflicts > 0 {
            inner.conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        let version = match (inner.users.get(&user.id).map(|user| user.version), expect) {
            (None, Expect::Absent) => 1,
            (Some(there), Expect::Version(version)) if there == version => version + 1,
            _ => return Err(StoreError::Conflict),
        };
        inner.users.insert(
            user.id.clone(),
            User {
                version,
                ..user.clone()
            },
        );
        Ok(version)
    }

    async fn erase(&self, _: &Context, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.reach().await?.users.remove(user).is_some())
    }
}

#[async_trait]
impl CaptionStore for Store {
    async fn append(&self, _: &Context, record: &Record) -> Result<(), StoreError> {
        self.reach().await?.captions.insert(record.id, record.clone());
        Ok(())
    }

    async fn read(&self, _: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        Ok(self.reach().await?.captions.get(&id).cloned())
    }

    async fn history(
        &self,
        _: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let inner = self.reach().await?;
        let records = inner.captions.values().rev().filter(|record| filter.admits(record));
        let older = records.filter(|record| before.is_none_or(|before| record.id < before));
        Ok(older.take(limit as usize).cloned().collect())
    }

    async fn amend(
        &self,
        _: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let mut inner = self.reach().await?;
        let Some(record) = inner.captions.get_mut(&id) else {
            return Ok(None);
        };
        if expect.is_some_and(|expect| expect != record.version) {
            return Err(StoreError::Conflict);
        }
        let before = record.clone();
        match amendment.clone() {
            Amendment::Feedback(feedback) => record.feedback = Some(feedback),
            Amendment::Selection(selected) => record.selected = selected,
            Amendment::More(more) => drop(record.caption.add(&more)),
        }
        record.version += u64::from(*record != before);
        Ok(Some(record.version))
    }

    async fn erase(&self, _: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        let mut inner = self.reach().await?;
        let before = inner.captions.len();
        inner.captions.retain(|_, record| match extent {
            Extent::One(id) => record.id != *id,
            Extent::OfUser(user) => record.user.as_ref() != Some(user),
        });
        Ok(Removed {
            captions: (before - inner.captions.len()) as u64,
            cached: Some(0),
            ..Removed::default()
        })
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        let inner = self.reach().await?;
        if inner.keeps_no_answers && matches!(step, Step::Settle { .. }) {
            return Err(Fault::new(FaultKind::Unavailable).into());
        }
        drop(inner);
        self.steps.lock().unwrap().push((cx.clone(), step.clone()));
        Ok(self.calls.take(cx, step))
    }
}

/// A cache that forgets nothing and ages nothing.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<CacheKey, Written>>);

#[async_trait]
impl AnswerCache for Shelf {
    async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load) -> Found<Written, Unwritten> {
        let kept = self.0.lock().unwrap().get(key).cloned();
        if let Some(value) = kept.filter(|_| wish.cache == CacheUse::Use) {
            let age = Duration::from_secs(7);
            return Found::Hit { value, age };
        }
        match load(cx.clone()).await {
            Ok(Loaded { value, .. }) => {
                if wish.cache != CacheUse::Bypass {
                    self.0.lock().unwrap().insert(key.clone(), value.clone());
                }
                Found::Loaded { value, shared: false }
            }
            Err(error) => Found::Failed { error, stale: None },
        }
    }

    async fn kept(&self, _: &Context, key: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
        self.0.lock().unwrap().get(key).cloned()
    }
}

/// What the writer writes beside its text: nothing that is like it.
const OTHERS: [&str; 4] = [
    "Nobody moves before dinner.",
    "Afternoon light, and nothing on the calendar.",
    "One eye open, one ear on the kitchen door.",
    "Some work is done with eyes closed.",
];

/// What the writer does when it is asked.
#[derive(Clone)]
pub(crate) enum Turn {
    /// Writes this.
    Say(&'static str),
    Fail(LlmError),
    /// Does not answer until it is let go.
    WaitThenSay(&'static str),
    /// Writes the pieces, waiting before each `Piece::Wait` until it is let go.
    Pieces(Vec<Piece>),
    Panic,
}

#[derive(Clone)]
pub(crate) enum Piece {
    Text(&'static str),
    Withdrawn(&'static str),
    Progress,
    /// Enters so many tokens for the case that it is cut off.
    Cost(u64),
    Wait,
    Fail(LlmError),
    Panic,
    End,
}

/// A writer that follows a script and then repeats its last turn.
pub(crate) struct Writer {
    description: Description,
    script: Mutex<VecDeque<Turn>>,
    pub(crate) prompts: Mutex<Vec<Prompt>>,
    pub(crate) contexts: Mutex<Vec<Context>>,
    go: watch::Sender<bool>,
    /// Calls that are being answered at this moment.
    pub(crate) busy: Arc<watch::Sender<u32>>,
}

/// A call that is being answered; dropped with the answer or with the caller's patience.
struct Busy(Arc<watch::Sender<u32>>);

impl Busy {
    fn new(count: &Arc<watch::Sender<u32>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Writer {
    pub(crate) fn new(script: impl IntoIterator<Item = Turn>) -> Self {
        Self {
            description: Description {
                provider: "primary".into(),
                model: "some-model".into(),
                grade: Grade::Standard,
                members: vec!["primary".into(), "second".into()],
                languages: None,
                seeing: vec!["second".into()],
                rewrites: true,
                fingerprint: "primary/some-model".into(),
            },
            script: Mutex::new(script.into_iter().collect()),
            prompts: Mutex::default(),
            contexts: Mutex::default(),
            go: watch::Sender::new(false),
            busy: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Lets all go that wait.
    pub(crate) fn let_go(&self) {
        self.go.send_replace(true);
    }

    /// Waits until so many calls are being answered.
    pub(crate) async fn is_busy_with(&self, calls: u32) {
        let mut busy = self.busy.subscribe();
        let reached = busy.wait_for(|busy| *busy == calls);
        tokio::time::timeout(Duration::from_secs(10), reached)
            .await
            .expect("never so busy")
            .unwrap();
    }

    fn turn(&self, cx: &Context, prompt: &Prompt) -> Turn {
        cx.attempts.begin();
        self.prompts.lock().unwrap().push(prompt.clone());
        self.contexts.lock().unwrap().push(cx.clone());
        let mut script = self.script.lock().unwrap();
        if script.len() > 1 {
            script.pop_front().unwrap()
        } else {
            script.front().expect("a script").clone()
        }
    }

    fn credit() -> Credit {
        Credit {
            provider: "primary".into(),
            model: "some-model".into(),
            grade: Grade::Standard,
            first_choice: true,
            usage: Some(Usage {
                input_tokens: 120,
                output_tokens: 30,
                cost: None,
            }),
            provider_request_id: Some("p-1".into()),
        }
    }

    fn completion(text: &str, prompt: &Prompt) -> Completion {
        let text = match prompt.format {
            Format::Plain => text.to_owned(),
            Format::Variants => {
                let drafts = (0..prompt.brief.variants.get()).map(|index| Draft {
                    angle: format!("angle {index}"),
                    body: if index == 0 {
                        text.to_owned()
                    } else {
                        OTHERS[usize::from(index - 1) % OTHERS.len()].to_owned()
                    },
                    ..Draft::default()
                });
                reply::encode(drafts.collect())
            }
        };
        Completion {
            text,
            credit: Self::credit(),
        }
    }
}

#[async_trait]
impl LlmProvider for Writer {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let _busy = Busy::new(&self.busy);
        match self.turn(cx, prompt) {
            Turn::Say(text) => Ok(Self::completion(text, prompt)),
            Turn::Fail(error) => Err(error),
            Turn::WaitThenSay(text) => {
                drop(self.go.subscribe().wait_for(|go| *go).await);
                Ok(Self::completion(text, prompt))
            }
            Turn::Panic => panic!("the writer panics about a secret description"),
            Turn::Pieces(_) => unreachable!("pieces are for streams"),
        }
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let pieces = match self.turn(cx, prompt) {
            Turn::Pieces(pieces) => pieces,
            Turn::Say(text) => vec![Piece::Text(text), Piece::End],
            Turn::WaitThenSay(text) => vec![Piece::Wait, Piece::Text(text), Piece::End],
            Turn::Fail(error) => return Err(error),
            Turn::Panic => panic!("the writer panics about a secret description"),
        };
        let busy = Busy::new(&self.busy);
        let (mut go, credit) = (self.go.subscribe(), Self::credit());
        let attempts = Arc::clone(&cx.attempts);
        let chunks = async_stream::stream! {
            let _busy = busy;
            for piece in pieces {
                match piece {
                    Piece::Text(text) => yield Ok(Chunk::Text(text.to_owned())),
                    Piece::Withdrawn(code) => yield Ok(Chunk::Withdrawn { code }),
                    Piece::Progress => yield Ok(Chunk::Progress { done: 1, of: 3 }),
                    Piece::Cost(tokens) => attempts.cut_off(tokens),
                    Piece::Wait => { drop(go.wait_for(|go| *go).await); }
                    Piece::Fail(error) => yield Err(error),
                    Piece::Panic => panic!("the writer panics about a secret description"),
                    Piece::End => yield Ok(Chunk::End(credit.clone())),
                }
            }
        };
        Ok(chunks.boxed())
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}
