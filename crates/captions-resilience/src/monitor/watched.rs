//! Counts what is asked of a port, as its callers see it: [`Watched`] goes outside of everything else around the port.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_stream::stream;
use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    answers::{AnswerCache, Found, Load, Unwritten, Wish, Written},
    batch::{Batch, BatchId, Change, NewBatch, Outcome as ItemOutcome, Page, Settlement, Taken, Ticket, Turn},
    budget::{Spend, Spent},
    caption::{CaptionId, Degraded, Record},
    choice::CacheUse,
    context::{Context, Notes, Part},
    fault::{Fault, LlmError, PortError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    keys::{By, Change as KeyChange, Key, KeyId},
    once::{Standing, Step},
    ports::{
        BatchQueue, Cache, CacheKey, Cached, CaptionStore, Chunk, ChunkStream, Completion, Credit, Description, Expect,
        Invalidations, KeyStore, LlmProvider, UserStore,
    },
    prompt::Prompt,
    request::UserId,
    user::{Entry, Preferences, User},
};
use futures_util::StreamExt;
use time::OffsetDateTime;

use super::{Monitor, Operation, Outcome};

/// A port whose operations are counted.
#[derive(Debug)]
pub struct Watched<P: ?Sized> {
    inner: Arc<P>,
    monitor: Monitor,
}

impl<P: ?Sized> Watched<P> {
    /// Counts the operations of `inner`.
    pub const fn new(inner: Arc<P>, monitor: Monitor) -> Self {
        Self { inner, monitor }
    }
}

impl<P: Send + Sync + ?Sized> Watched<P> {
    async fn count<T: Send, E: PortError + Send>(
        &self,
        operation: Operation,
        of_success: impl FnOnce(&T) -> Outcome + Send,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let timer = self.monitor.begin(operation);
        let result = work.await;
        timer.end(match &result {
            Ok(value) => of_success(value),
            Err(error) => Outcome::of_error(error),
        });
        result
    }
}

/// Does the work, and enters its time into the notes of the request that it is done for.
async fn timed<T>(notes: &Notes, part: Part, work: impl Future<Output = T> + Send) -> T {
    let begun = Instant::now();
    let done = work.await;
    notes.spent(part, begun.elapsed());
    done
}

fn done<T>(_: &T) -> Outcome {
    Outcome::Ok
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: UserStore + ?Sized> UserStore for Watched<P> {
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        self.count(Operation::UsersRead, done, self.inner.read(cx, user)).await
    }

    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        let how = |_: &Option<Preferences>| {
            if cx.notes.all().contains(&Degraded::PreferencesStale) {
                Outcome::Stale
            } else {
                Outcome::Ok
            }
        };
        let work = self.inner.preferences(cx, user);
        let work = self.count(Operation::UsersPreferences, how, work);
        timed(&cx.notes, Part::Preferences, work).await
    }

    async fn list(&self, cx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.count(Operation::UsersRead, done, self.inner.list(cx, after, limit))
            .await
    }

    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        self.count(Operation::UsersWrite, done, self.inner.write(cx, user, expect))
            .await
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError> {
        self.count(Operation::UsersErase, done, self.inner.erase(cx, user))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: CaptionStore + ?Sized> CaptionStore for Watched<P> {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        let work = self.count(Operation::CaptionsAppend, done, self.inner.append(cx, record));
        timed(&cx.notes, Part::Store, work).await
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        let work = self.count(Operation::CaptionsRead, done, self.inner.read(cx, id));
        timed(&cx.notes, Part::Store, work).await
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let work = self.inner.history(cx, filter, before, limit);
        self.count(Operation::CaptionsHistory, done, work).await
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let work = self.inner.amend(cx, id, amendment, expect);
        self.count(Operation::CaptionsAmend, done, work).await
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        self.count(Operation::CaptionsErase, done, self.inner.erase(cx, extent))
            .await
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        self.count(Operation::CaptionsOnce, done, self.inner.once(cx, step))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: BatchQueue + ?Sized> BatchQueue for Watched<P> {
    async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError> {
        self.count(Operation::BatchesSubmit, done, self.inner.submit(cx, batch))
            .await
    }

    async fn list(&self, cx: &Context, before: Option<BatchId>, limit: u32) -> Result<Vec<Batch>, StoreError> {
        self.count(Operation::BatchesList, done, self.inner.list(cx, before, limit))
            .await
    }

    async fn read(
        &self,
        cx: &Context,
        id: BatchId,
        page: Page,
    ) -> Result<Option<(Batch, Vec<ItemOutcome>)>, StoreError> {
        self.count(Operation::BatchesRead, done, self.inner.read(cx, id, page))
            .await
    }

    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError> {
        self.count(Operation::BatchesChange, done, self.inner.change(cx, id, change))
            .await
    }

    async fn claim(&self, cx: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        self.count(Operation::BatchesClaim, done, self.inner.claim(cx, turn))
            .await
    }

    async fn settle(&self, cx: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError> {
        let work = self.inner.settle(cx, ticket, settlement);
        self.count(Operation::BatchesSettle, done, work).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: KeyStore + ?Sized> KeyStore for Watched<P> {
    async fn add(&self, cx: &Context, key: &Key) -> Result<(), StoreError> {
        self.count(Operation::KeysAdd, done, self.inner.add(cx, key)).await
    }

    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        self.count(Operation::KeysFind, done, self.inner.find(cx, by)).await
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.count(Operation::KeysList, done, self.inner.list(cx, before, limit))
            .await
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError> {
        let operation = match change {
            KeyChange::Rotate { .. } => Operation::KeysRotate,
            KeyChange::Revoke { .. } => Operation::KeysRevoke,
            KeyChange::Budget(_) => Operation::KeysBudget,
        };
        self.count(operation, done, self.inner.change(cx, id, change)).await
    }

    async fn used(&self, cx: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        self.count(Operation::KeysUsed, done, self.inner.used(cx, uses)).await
    }

    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        self.count(Operation::KeysSpend, done, self.inner.spend(cx, spend))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: Cache + ?Sized> Cache for Watched<P> {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        let how = |found: &Option<Cached>| {
            if found.is_some() { Outcome::Hit } else { Outcome::Ok }
        };
        self.count(Operation::CacheGet, how, self.inner.get(cx, key)).await
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        self.count(Operation::CachePut, done, self.inner.put(cx, key, bytes, ttl))
            .await
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.count(Operation::CacheRemove, done, self.inner.remove(cx, key))
            .await
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        let work = self.inner.put_if_absent(cx, key, bytes, ttl);
        self.count(Operation::CachePutIfAbsent, done, work).await
    }

    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        let work = self.inner.remove_if(cx, key, bytes);
        self.count(Operation::CacheRemoveIf, done, work).await
    }

    fn invalidations(&self) -> Invalidations {
        self.inner.invalidations()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: AnswerCache + ?Sized> AnswerCache for Watched<P> {
    /// Only what looks something up is counted, with the time of its load, if there is one.
    async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load) -> Found<Written, Unwritten> {
        if wish.cache == CacheUse::Bypass {
            return self.inner.read(cx, key, wish, load).await;
        }
        let looking = Looking::begin(cx);
        let its_looking = Arc::clone(&looking);
        let load: Load = Box::new(move |cx| {
            its_looking.end();
            load(cx)
        });
        if wish.cache == CacheUse::Refresh {
            let found = self.inner.read(cx, key, wish, load).await;
            looking.end();
            return found;
        }
        let timer = self.monitor.begin(Operation::AnswersRead);
        let found = self.inner.read(cx, key, wish, load).await;
        looking.end();
        timer.end(match &found {
            Found::Hit { .. } => Outcome::Hit,
            Found::Stale { .. } | Found::Failed { stale: Some(_), .. } => Outcome::Stale,
            Found::Loaded { shared: true, .. } => Outcome::Coalesced,
            Found::Loaded { shared: false, .. } => Outcome::Ok,
            Found::Failed { error, stale: None } => not_written(&error.error),
        });
        found
    }

    async fn kept(&self, cx: &Context, key: &CacheKey, owner: Option<&CacheKey>) -> Option<Written> {
        self.inner.kept(cx, key, owner).await
    }
}

/// A reader's look for an answer: it lasts until there is one, or until its own load begins.
struct Looking {
    notes: Arc<Notes>,
    begun: Instant,
    has_ended: AtomicBool,
}

impl Looking {
    fn begin(cx: &Context) -> Arc<Self> {
        Arc::new(Self {
            notes: Arc::clone(&cx.notes),
            begun: Instant::now(),
            has_ended: AtomicBool::new(false),
        })
    }

    /// Only the first end counts.
    fn end(&self) {
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            self.notes.spent(Part::Cache, self.begun.elapsed());
        }
    }
}

/// What an answer counts as, entering its price.
fn written(monitor: &Monitor, credit: &Credit) -> Outcome {
    monitor.charge(credit);
    if credit.first_choice {
        Outcome::Ok
    } else {
        Outcome::Fallback
    }
}

/// What the lack of an answer counts as. What cannot be used is no refusal: nobody said no.
fn not_written(error: &LlmError) -> Outcome {
    match error {
        LlmError::Unusable { .. } | LlmError::Rejected { .. } => Outcome::Failed,
        LlmError::Refused | LlmError::TooLong | LlmError::Unpaid(_) | LlmError::Fault(_) => Outcome::of_error(error),
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: LlmProvider + ?Sized> LlmProvider for Watched<P> {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let timer = self.monitor.begin(Operation::LlmComplete);
        let result = timed(&cx.notes, Part::Llm, self.inner.complete(cx, prompt)).await;
        timer.end(match &result {
            Ok(completion) => written(&self.monitor, &completion.credit),
            Err(error) => not_written(error),
        });
        result
    }

    /// Counted when its last chunk is there.
    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let timer = self.monitor.begin(Operation::LlmStream);
        let (notes, begun) = (Arc::clone(&cx.notes), Instant::now());
        let mut chunks = match self.inner.stream(cx, prompt).await {
            Ok(chunks) => chunks,
            Err(error) => {
                timer.end(not_written(&error));
                return Err(error);
            }
        };
        let monitor = self.monitor.clone();
        Ok(Box::pin(stream! {
            let mut timer = Some(timer);
            while let Some(next) = chunks.next().await {
                let ended = match &next {
                    Ok(Chunk::End(credit)) => Some(written(&monitor, credit)),
                    Err(error) => Some(not_written(error)),
                    Ok(Chunk::Text(_) | Chunk::Withdrawn { .. } | Chunk::Progress { .. }) => None,
                };
                // Before it goes out: who has the last chunk may never come back for more.
                if let Some(outcome) = ended
                    && let Some(timer) = timer.take()
                {
                    notes.spent(Part::Llm, begun.elapsed());
                    timer.end(outcome);
                }
                yield next;
            }
            if let Some(timer) = timer {
                timer.end(Outcome::Failed);
            }
        }))
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
