//! Streams that can be taken up again: what each has told is kept while it runs and for a while after its end.
//!
//! A stream is written by a task of its own, for as long as anybody reads it: the client that asked, and whoever comes with
//! the id of an event that it had (`Last-Event-ID`). When the last reader leaves, the writing stops at once. Where a cache is
//! given, ended streams are put into it; where other replicas share that cache, running ones too, about each second, so
//! that a client may come back to another replica. Without a cache only running streams of this process can be taken up.

use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_stream::stream;
use captions_api::{
    problem::{Code, Problem},
    stream::StreamEvent,
};
use captions_domain::{
    caption::Degraded,
    context::{Context, TenantId},
    ports::{Cache, CacheExt, CacheKey},
    request::UserId,
};
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::failure::panicked;

/// How often a running stream is shown to other replicas, and how often these look.
pub(crate) const SHOWN_EVERY: Duration = Duration::from_secs(1);
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);
/// Time for one call of the cache, whatever is left of the stream's.
const CACHE_TIME: Duration = Duration::from_secs(1);
/// What the writers have to notice at the end of the server that nobody reads any more.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// Where streams are kept for those who come back.
#[derive(Clone)]
pub struct Keeping {
    pub cache: Arc<dyn Cache>,
    /// Whether other replicas look there too.
    pub is_shared: bool,
    /// How long a stream is kept after its end.
    pub time: Duration,
}

/// The streams of this process. Clones are the same.
#[derive(Clone, Default)]
pub struct Streams(Arc<Inner>);

#[derive(Default)]
struct Inner {
    running: Mutex<HashMap<Uuid, Weak<Live>>>,
    keeping: Option<Keeping>,
    writers: TaskTracker,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("running", &self.running().len())
            .field("keeps", &self.0.keeping.as_ref().map(|keeping| keeping.time))
            .finish_non_exhaustive()
    }
}

/// The name of an event: its stream, and how many events that had told with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    stream: Uuid,
    number: usize,
}

impl EventId {
    /// These events with the ids of a stream of their own, which nobody keeps.
    pub(crate) fn number(events: Vec<Told>) -> Vec<(Self, Told)> {
        let stream = Uuid::now_v7();
        let numbered = |(number, event)| (Self { stream, number }, event);
        (1..).zip(events).map(numbered).collect()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream.simple(), self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    /// Other texts are no ids of ours.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (stream, number) = text.trim().split_once('-').ok_or(())?;
        Ok(Self {
            stream: Uuid::try_parse(stream).map_err(drop)?,
            number: number.parse().map_err(drop)?,
        })
    }
}

/// An event as it was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) data: String,
}

impl From<&StreamEvent> for Told {
    fn from(event: &StreamEvent) -> Self {
        Self {
            name: event.name().to_owned(),
            data: event.data(),
        }
    }
}

/// What is kept of a stream. The cache binds it to its tenant.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of what was asked: who asks something else does not take it up.
    asked: String,
    /// Whom it is for, and when it was asked for, in microseconds since 1970: what is older than their erasure is not told.
    #[serde(default)]
    user: Option<UserId>,
    #[serde(default)]
    begun: i64,
    events: Vec<Told>,
    has_ended: bool,
}

/// A stream that is being written.
pub(crate) struct Live {
    id: Uuid,
    tenant: TenantId,
    asked: blake3::Hash,
    user: Option<UserId>,
    begun: i64,
    told: Mutex<Vec<Told>>,
    /// Whether all is told; changes with each event.
    has_ended: watch::Sender<bool>,
    /// Readers now; once it is 0 nobody may begin to read, unless all is told.
    readers: Mutex<usize>,
    /// The last reader has left.
    pub(crate) is_alone: CancellationToken,
}

impl Live {
    /// Tells one more event.
    pub(crate) fn tell(&self, event: &StreamEvent) {
        lock(&self.told).push(event.into());
        self.has_ended.send_replace(event.is_last());
    }

    fn after(&self, number: usize) -> Vec<Told> {
        lock(&self.told).get(number..).map(<[Told]>::to_vec).unwrap_or_default()
    }

    /// Where a reader goes on who has seen the event of this number.
    fn position(&self, number: usize) -> usize {
        let has_ended = *self.has_ended.borrow();
        position(number, lock(&self.told).len(), has_ended)
    }

    fn kept(&self) -> Kept {
        Kept {
            asked: self.asked.to_hex().to_string(),
            user: self.user.clone(),
            begun: self.begun,
            events: self.after(0),
            has_ended: *self.has_ended.borrow(),
        }
    }

    fn join(self: &Arc<Self>) -> Option<Reader> {
        let mut readers = lock(&self.readers);
        // One that nobody reads is given up, unless it has ended: then it stands here until it is kept.
        if *readers == 0 && !*self.has_ended.borrow() {
            return None;
        }
        *readers += 1;
        Some(Reader(Arc::clone(self)))
    }
}

/// Somebody who reads a running stream, or one that has just ended.
pub(crate) struct Reader(Arc<Live>);

impl Drop for Reader {
    fn drop(&mut self) {
        let mut readers = lock(&self.0.readers);
        *readers -= 1;
        if *readers == 0 {
            self.0.is_alone.cancel();
        }
    }
}

impl Reader {
    /// What was told after the event of this number, and what is told from now on, each with its own.
    pub(crate) fn events(self, after: usize) -> impl Stream<Item = (EventId, Told)> + Send {
        stream! {
            let live = &self.0;
            let mut told = live.has_ended.subscribe();
            let mut number = after;
            loop {
                let has_ended = *told.borrow_and_update();
                for event in live.after(number) {
                    number += 1;
                    yield (EventId { stream: live.id, number }, event);
                }
                if has_ended || told.changed().await.is_err() {
                    break;
                }
            }
        }
    }
}

impl Streams {
    /// None yet. `keeping`: where they are kept; `None`: nowhere, so only running ones can be taken up.
    pub fn new(keeping: Option<Keeping>) -> Self {
        Self(Arc::new(Inner {
            keeping: keeping.filter(|keeping| !keeping.time.is_zero()),
            ..Inner::default()
        }))
    }

    /// A new stream with its first reader.
    pub(crate) fn begin(&self, cx: &Context, asked: blake3::Hash, user: Option<UserId>) -> (Arc<Live>, Reader) {
        let live = Arc::new(Live {
            id: Uuid::now_v7(),
            tenant: cx.tenant.clone(),
            asked,
            user,
            begun: microseconds(cx.now),
            told: Mutex::default(),
            has_ended: watch::Sender::new(false),
            readers: Mutex::new(1),
            is_alone: CancellationToken::new(),
        });
        self.running().insert(live.id, Arc::downgrade(&live));
        let reader = Reader(Arc::clone(&live));
        (live, reader)
    }

    /// Has it written until it ends or nobody reads it any more. Its readers are told an end even if `writing` panics.
    pub(crate) fn spawn(
        &self,
        live: Arc<Live>,
        request_id: Arc<str>,
        writing: impl Future<Output = ()> + Send + 'static,
    ) {
        let streams = self.clone();
        self.0.writers.spawn(async move {
            let Err(panic) = AssertUnwindSafe(writing).catch_unwind().await else {
                return;
            };
            streams.running().remove(&live.id);
            if !*live.has_ended.borrow() {
                let problem = panicked(panic).of_request(&request_id, crate::stream::PATH);
                live.tell(&StreamEvent::Failed(Box::new(problem)));
            }
        });
    }

    /// Waits for the writers, once all connections are closed.
    pub(crate) async fn close(&self) {
        self.0.writers.close();
        // An error means that one never yields, which cannot be helped.
        drop(tokio::time::timeout(LAST_BREATH, self.0.writers.wait()).await);
    }

    /// The rest of the stream that `last` is an event of: for the same tenant, who asks the same.
    pub(crate) async fn resume(
        &self,
        cx: &Context,
        asked: blake3::Hash,
        last: EventId,
    ) -> Option<BoxStream<'static, (EventId, Told)>> {
        let live = self.running().get(&last.stream).and_then(Weak::upgrade);
        if let Some(live) = live.filter(|live| live.tenant == cx.tenant && live.asked == asked)
            && let Some(reader) = live.join()
        {
            let number = live.position(last.number);
            return Some(reader.events(number).boxed());
        }
        let keeping = self.0.keeping.as_ref()?;
        let kept = look(keeping, cx, last.stream).await?;
        if kept.asked != asked.to_hex().as_str() {
            return None;
        }
        // It may still run on another replica.
        Some(follow(keeping.clone(), cx.clone(), last.stream, kept, last.number).boxed())
    }

    /// Shows a running stream to other replicas, where there are such.
    pub(crate) fn show(&self, cx: &Context, live: &Arc<Live>) -> Option<BoxFuture<'static, ()>> {
        let keeping = self.0.keeping.clone().filter(|keeping| keeping.is_shared)?;
        let time = keeping.time + cx.deadline.saturating_duration_since(Instant::now());
        let (cx, live) = (cx.clone(), Arc::clone(live));
        Some(Box::pin(async move { put(&keeping, &cx, &live, time).await }))
    }

    /// The stream has ended with its last event: from now on it is kept.
    pub(crate) async fn keep(&self, cx: &Context, live: &Live) {
        if let Some(keeping) = &self.0.keeping {
            put(keeping, cx, live, keeping.time).await;
        }
        self.running().remove(&live.id);
    }

    /// The user is erased: what was asked for until now is taken up by nobody any more, here or on another replica. `longest`:
    /// how long a stream may run that has begun by now. Whoever reads one at this moment reads it to its end.
    pub(crate) async fn forget(&self, cx: &Context, user: &UserId, longest: Duration) {
        self.running().retain(|_, live| {
            let is_theirs = |live: Arc<Live>| live.tenant == cx.tenant && live.user.as_ref() == Some(user);
            !live.upgrade().is_some_and(is_theirs)
        });
        let Some(keeping) = &self.0.keeping else { return };
        let (now, time) = (microseconds(cx.now), keeping.time + longest + CACHE_TIME);
        let marked = keeping.cache.put_as(&in_time(cx), &mark(user), &now, time).await;
        if marked.is_err() {
            cx.notes.add(Degraded::CacheUnavailable);
        }
    }

    /// Everybody has left: what was told leads nowhere.
    pub(crate) async fn give_up(&self, cx: &Context, live: &Live) {
        self.running().remove(&live.id);
        if let Some(keeping) = self.0.keeping.as_ref().filter(|keeping| keeping.is_shared) {
            // An error means that it goes by its age.
            drop(keeping.cache.remove(&in_time(cx), &key(live.id)).await);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, Weak<Live>>> {
        lock(&self.0.running)
    }
}

/// Where to go on: who has seen the end is told it once more, for each answer ends with an end.
fn position(number: usize, told: usize, has_ended: bool) -> usize {
    number.min(if has_ended { told.saturating_sub(1) } else { told })
}

/// What was kept of a stream, and what another replica still tells.
fn follow(
    keeping: Keeping,
    cx: Context,
    stream: Uuid,
    mut kept: Kept,
    mut number: usize,
) -> impl Stream<Item = (EventId, Told)> + Send {
    stream! {
        loop {
            // It is shown about each second only, so the client may have seen more of it than stands here. That is not told
            // twice.
            let from = position(number, kept.events.len(), kept.has_ended);
            for (before, event) in (from..).zip(kept.events.drain(from..)) {
                number = before + 1;
                yield (EventId { stream, number }, event);
            }
            if kept.has_ended {
                return;
            }
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            let found = if Instant::now() < cx.deadline {
                look(&keeping, &cx, stream).await
            } else {
                None
            };
            let Some(found) = found else { break };
            kept = found;
        }
        let problem = Problem::new(Code::StreamCut, "whoever wrote this stream has given it up");
        let problem = problem.of_request(&cx.request_id, crate::stream::PATH);
        let event = StreamEvent::Failed(Box::new(problem));
        yield (EventId { stream, number: number.saturating_add(1) }, Told::from(&event));
    }
}

async fn look(keeping: &Keeping, cx: &Context, stream: Uuid) -> Option<Kept> {
    let cx = in_time(cx);
    let (kept, _) = keeping.cache.get_as::<Kept>(&cx, &key(stream)).await.ok()??;
    if let Some(user) = &kept.user {
        // Where it cannot be known whether they were erased, the client begins anew.
        let erased = keeping.cache.get_as::<i64>(&cx, &mark(user)).await.ok()?;
        if erased.is_some_and(|(at, _)| kept.begun <= at) {
            return None;
        }
    }
    Some(kept)
}

async fn put(keeping: &Keeping, cx: &Context, live: &Live, time: Duration) {
    // Without it the stream cannot be taken up elsewhere or later, which costs nobody the answer.
    drop(
        keeping
            .cache
            .put_as(&in_time(cx), &key(live.id), &live.kept(), time)
            .await,
    );
}

fn key(stream: Uuid) -> CacheKey {
    CacheKey::new("stream", &blake3::hash(stream.as_bytes()))
}

/// Where it is noted when the user was erased.
fn mark(user: &UserId) -> CacheKey {
    CacheKey::new("stream-erased", &blake3::hash(user.as_str().as_bytes()))
}

fn microseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The stream's own time may be up.
fn in_time(cx: &Context) -> Context {
    Context {
        deadline: Instant::now() + CACHE_TIME,
        ..cx.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use captions_domain::context::{Attempts, Class};

    fn cx(tenant: &str) -> Context {
        Context {
            tenant: TenantId::new(tenant).unwrap(),
            request_id: "r-1".into(),
            fresh_id: Uuid::now_v7(),
            now: OffsetDateTime::now_utc(),
            deadline: Instant::now() + Duration::from_secs(20),
            attempts: Arc::new(Attempts::up_to(3)),
            class: Class::Interactive,
            notes: Arc::default(),
            payers: Arc::default(),
            tab: captions_domain::usage::Tab::default(),
        }
    }

    #[tokio::test]
    async fn a_running_stream_belongs_to_its_tenant_and_to_what_was_asked() {
        let streams = Streams::default();
        let asked = blake3::hash(b"a cat");
        let (live, reader) = streams.begin(&cx("ana"), asked, None);
        live.tell(&StreamEvent::Created {
            request_id: "r-1".into(),
        });
        let last = EventId {
            stream: live.id,
            number: 0,
        };

        assert!(streams.resume(&cx("ben"), asked, last).await.is_none());
        assert!(streams.resume(&cx("ana"), blake3::hash(b"a dog"), last).await.is_none());
        let mut again = streams.resume(&cx("ana"), asked, last).await.unwrap();
        assert_eq!(again.next().await.unwrap().1.name, "caption.created");
        drop(again);
        drop(reader);
        assert!(live.is_alone.is_cancelled());
        assert!(
            streams.resume(&cx("ana"), asked, last).await.is_none(),
            "nobody writes it any more"
        );
    }

    #[tokio::test]
    async fn a_writer_that_panics_leaves_nobody_waiting_for_an_end() {
        let streams = Streams::default();
        let (live, reader) = streams.begin(&cx("ana"), blake3::hash(b"a cat"), None);
        let writing = Arc::clone(&live);

        streams.spawn(Arc::clone(&live), "r-1".into(), async move {
            writing.tell(&StreamEvent::Created {
                request_id: "r-1".into(),
            });
            panic!("a fault of ours");
        });
        let told = tokio::time::timeout(Duration::from_secs(20), reader.events(0).collect::<Vec<_>>());

        let names: Vec<_> = told.await.unwrap().into_iter().map(|(_, told)| told.name).collect();
        assert_eq!(names, ["caption.created", "error"]);
        assert!(streams.running().is_empty());
    }

    #[tokio::test]
    async fn who_comes_back_before_an_ended_stream_is_kept_finds_it_all_the_same() {
        let streams = Streams::default();
        let asked = blake3::hash(b"a cat");
        let (live, reader) = streams.begin(&cx("ana"), asked, None);
        live.tell(&StreamEvent::Created {
            request_id: "r-1".into(),
        });
        let problem = Problem::new(Code::Internal, "a fault of ours");
        live.tell(&StreamEvent::Failed(Box::new(problem)));
        drop(reader);

        let last = EventId {
            stream: live.id,
            number: 1,
        };
        let rest = streams.resume(&cx("ana"), asked, last).await.unwrap();
        let names: Vec<_> = rest.map(|(_, told)| told.name).collect().await;
        assert_eq!(names, ["error"]);
    }

    #[test]
    fn the_id_of_an_event_can_be_read_back_and_nothing_else_can() {
        let id = EventId {
            stream: Uuid::now_v7(),
            number: 3,
        };

        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "",
            "3",
            "-3",
            "x-3",
            "018f--3",
            "018f4c0e8d7b7a0c9b1e2f3a4b5c6d7e-",
            "018f4c0e8d7b7a0c9b1e2f3a4b5c6d7e--1",
        ] {
            assert_eq!(other.parse::<EventId>(), Err(()), "{other}");
        }
    }
}
