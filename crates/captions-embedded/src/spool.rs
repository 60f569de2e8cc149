//! [`SpooledCaptions`]: a `CaptionStore`, and a `UsageStore`, that keeps what its store cannot take right now in a file of this
//! machine, and delivers it later.

mod file;
mod row;

use std::{
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    caption::{CaptionId, Degraded, Record},
    context::{Attempts, Class, Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    history::{Amendment, Extent, Filter, LATEST, Removed},
    once::{Standing, Step},
    ports::{CaptionStore, UsageStore},
    usage::{Batch, Group, Hour, Query, Tab, is_late},
};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::sqlite::users::microseconds;

use self::{
    file::{File, Kept},
    row::Row,
};

/// Rows that are delivered in one go; whoever erases a user waits for at most so many.
const BATCH: u32 = 32;
/// The most that delivering one row may take, and that waiting for one's turn at the file may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the file is looked at while nothing is known to wait: another process may have left something.
const LOOK: Duration = Duration::from_secs(5);
/// The first pause after the store did not take a row, and after one that came while nothing waited.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause while the store is away: what waits arrives so soon after it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The first pause after the store refused a row for good, and the longest.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A row that was refused for good so often is set aside: over more than a minute, in case it is the store that errs.
const REFUSALS: u32 = 8;
/// The most that the last delivery before the end may take.
const LAST: Duration = Duration::from_secs(2);

/// Settings of a [`SpooledCaptions`].
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// The SQLite file; made, with its folder, for its owner alone. Beside it stands an empty `.lock` file.
    pub path: PathBuf,
    /// The most captions and batches of usage that may wait.
    pub max_rows: u64,
    /// The most bytes that they may have as JSON. The file itself is a little larger.
    pub max_bytes: u64,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Captions and batches of usage in the file, those set aside included.
    pub rows: u64,
    /// Their bytes as JSON.
    pub bytes: u64,
    /// How long the oldest of them that is still to be delivered has waited.
    pub oldest: Option<Duration>,
    /// Captions that the store refuses for good. They are tried again at the next start.
    pub set_aside: u64,
}

/// What one process knows of its waiting room without looking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Captions and batches of usage in the file when this process last touched it.
    pub waiting: u64,
    /// Their bytes as JSON.
    pub bytes: u64,
    /// Those that this process has delivered after they had waited.
    pub delivered: u64,
    /// Captions that neither the store nor the file took: they are in no history. And batches of usage that waited too long:
    /// they are in no report.
    pub lost: u64,
}

/// A store of captions with a bounded waiting room on disk.
///
/// A caption that the store does not take now (it is away, slow, or kept from being called) is written to the file, and
/// [`Degraded::HistoryDelayed`] is noted: it can be read under its id at once, and [`SpooledCaptions::run`] delivers it.
/// What the store refuses for good is refused here as well. With a full or broken file the store's own fault is returned.
///
/// A delivered row is removed after the store has it, so a crash between the two delivers it a second time, which changes
/// nothing. Several processes may share a file. What waits on another machine is not seen from here: its captions are
/// not read before they have been delivered, and not kept by the store then if they were erased before.
pub struct SpooledCaptions {
    inner: Arc<dyn CaptionStore>,
    /// `None`: there is no usage here.
    usage: Option<Arc<dyn UsageStore>>,
    file: File,
    state: Mutex<State>,
    news: Notify,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// False only if nothing waits, as far as this process knows.
    waiting: bool,
    /// Rows that this process wrote so far.
    kept: u64,
    /// Rows delivered since something waited.
    moved: u64,
    /// The file could take no more, and the log says so.
    refusing: bool,
    counts: Counts,
}

/// How a delivery went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Rows that the store has now.
    pub moved: u64,
    /// Rows that it refused for good this time.
    pub refused: u64,
}

impl SpooledCaptions {
    /// Opens or makes the file. What was set aside gets another chance.
    pub async fn open(inner: Arc<dyn CaptionStore>, options: SpoolOptions) -> Result<Self, Fault> {
        let file = File::open(options).await?;
        file.give_another_chance().await?;
        let found = file.snapshot().await?;
        if found.rows > 0 {
            tracing::info!(rows = found.rows, "captions wait on disk for the store");
        }
        let spooled = Self {
            inner,
            usage: None,
            file,
            state: Mutex::new(State {
                waiting: found.rows > 0,
                ..State::default()
            }),
            news: Notify::new(),
            held: watch::Sender::new(false),
        };
        spooled.take_stock(&found);
        Ok(spooled)
    }

    /// The same, with usage: one batch of it waits as one caption does.
    #[must_use]
    pub fn with_usage(self, usage: Arc<dyn UsageStore>) -> Self {
        Self {
            usage: Some(usage),
            ..self
        }
    }

    /// From now until [`SpooledCaptions::release`] every caption waits, and none is delivered: the store may be reached, but
    /// it is not yet in a state to take any, and would refuse them for good.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// The store is as it should be.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// What is known without looking into the file; other processes that share it are seen only now and then.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// What waits in a file now, without making or changing anything; `None` if there is no file.
    pub async fn look(path: PathBuf) -> Result<Option<Snapshot>, Fault> {
        File::look(path).await
    }

    /// What waits now.
    pub async fn snapshot(&self) -> Result<Snapshot, Fault> {
        self.file.snapshot().await
    }

    /// Delivers what waits, oldest first, until nothing is left. A row that the store refuses for good is passed over, and
    /// set aside after some times. The first fault that may pass ends it, as does trouble with the file.
    pub async fn drain(&self) -> Result<Drained, Fault> {
        let mut drained = Drained::default();
        let mut after = 0;
        loop {
            let kept = self.state().kept;
            // Held for the whole batch: a row that somebody erases must not be on its way to the store meanwhile.
            let turn = self.file.turn(Instant::now() + PATIENCE).await?;
            let rows = self.file.next(after, BATCH).await?;
            let Some(last) = rows.last() else {
                drop(turn);
                self.settle(kept).await?;
                return Ok(drained);
            };
            after = last.place;
            let (mut delivered, mut late) = (Vec::new(), Vec::new());
            let mut outcome = Ok(());
            for row in &rows {
                // The store may have forgotten that it has it. Nothing that it could become is of use, so it makes room.
                if row.is_usage() && is_late(row.id.0, OffsetDateTime::now_utc()) {
                    late.push((row.place, row.edition));
                    continue;
                }
                match self.deliver(row).await {
                    Ok(()) => delivered.push((row.place, row.edition)),
                    Err(StoreError::Fault(fault)) if may_pass(&fault) => {
                        outcome = Err(fault);
                        break;
                    }
                    Err(error) => {
                        drained.refused += 1;
                        self.refused(row, &error).await?;
                    }
                }
            }
            self.file.remove(&delivered).await?;
            self.file.remove(&late).await?;
            if !late.is_empty() {
                let batches = late.len();
                tracing::error!(batches, "usage waited for days and is given up; it is in no report");
                self.state().counts.lost += u64::try_from(batches).unwrap_or(u64::MAX);
            }
            let moved = u64::try_from(delivered.len()).unwrap_or(u64::MAX);
            drained.moved += moved;
            {
                let mut state = self.state();
                state.moved += moved;
                state.counts.delivered += moved;
            }
            self.take_stock(&self.file.snapshot().await?);
            outcome?;
        }
    }

    /// Delivers whatever waits as soon as the store takes it, until `stop` is ready; then once more, within two seconds. May
    /// be dropped at any moment.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let work = async {
            let mut pause = Duration::ZERO;
            loop {
                // Fails only without a sender, and that is here.
                drop(self.held.subscribe().wait_for(|held| !held).await);
                sleep(pause).await;
                let longest = match self.drain().await {
                    Ok(Drained { refused: 0, .. }) => {
                        drop(timeout(LOOK, self.news.notified()).await);
                        pause = FIRST_PAUSE;
                        continue;
                    }
                    Ok(_) => {
                        pause = pause.max(REFUSED_PAUSES.0 / 2);
                        REFUSED_PAUSES.1
                    }
                    Err(_) => LONGEST_PAUSE,
                };
                pause = (pause * 2).clamp(FIRST_PAUSE, longest);
            }
        };
        tokio::select! {
            biased;
            () = &mut stop => {}
            () = work => {}
        }
        if self.state().waiting && !self.is_held() && !matches!(timeout(LAST, self.drain()).await, Ok(Ok(_))) {
            tracing::warn!("writes that wait for the store stay on disk until the next start");
        }
    }

    /// Closes the file. Later calls go to the store alone, as with a broken file.
    pub async fn close(&self) {
        self.file.close().await;
    }

    async fn deliver(&self, row: &Row) -> Result<(), StoreError> {
        let waited = microseconds(OffsetDateTime::now_utc()).saturating_sub(row.since);
        if waited > i64::try_from(LATEST.as_micros()).unwrap_or(i64::MAX) {
            let why = "it waited so long that nobody knows any more whether it was erased";
            return Err(Fault::because(FaultKind::Internal, why).into());
        }
        let corrupt = |error| Fault::because(FaultKind::Corrupt, error);
        if row.is_usage() {
            let batch = row.usage().map_err(corrupt)?;
            let cx = context(TenantId::local(), "usage", batch.id);
            return self.usage()?.add(&cx, &batch).await;
        }
        let (tenant, record) = row.record().map_err(corrupt)?;
        let cx = context(tenant, &record.request_id, record.id.0);
        self.inner.append(&cx, &record).await?;
        // A caption that the store had all the same, because only its answer was lost, keeps its first form.
        let told = record.feedback.clone().map(Amendment::Feedback);
        let added = record.caption.more().into_iter().map(Box::new).map(Amendment::More);
        let picked = record.selected.map(|selected| Amendment::Selection(Some(selected)));
        for amendment in added.chain(told).chain(picked) {
            self.inner.amend(&cx, record.id, &amendment, None).await?;
        }
        Ok(())
    }

    async fn refused(&self, row: &Row, error: &StoreError) -> Result<(), Fault> {
        let limit = if row.is_readable() { REFUSALS } else { 1 };
        if self.file.refused(row.place, limit).await? {
            tracing::error!(
                id = %row.id,
                error = ?error,
                "the store refuses a write that waited; it is set aside until the next start"
            );
        }
        Ok(())
    }

    /// Says so if everything has arrived. `kept`: the rows written before the look that found nothing.
    async fn settle(&self, kept: u64) -> Result<(), Fault> {
        let found = self.file.snapshot().await?;
        self.take_stock(&found);
        let mut state = self.state();
        if found.rows > 0 {
            state.waiting = true;
        } else if state.kept == kept {
            state.waiting = false;
        }
        state.refusing = false;
        let moved = std::mem::take(&mut state.moved);
        drop(state);
        if moved > 0 {
            tracing::info!(moved, "writes that waited on disk are in the store");
        }
        Ok(())
    }

    fn take_stock(&self, found: &Snapshot) {
        let mut state = self.state();
        state.counts.waiting = found.rows;
        state.counts.bytes = found.bytes;
    }

    /// Writes it to the file, and says so in the context's notes; else the store's own fault is the answer.
    async fn keep(&self, cx: &Context, record: &Record, fault: Fault) -> Result<(), StoreError> {
        if self.write(cx, record).await {
            cx.notes.add(Degraded::HistoryDelayed);
            return Ok(());
        }
        self.state().counts.lost += 1;
        Err(fault.into())
    }

    /// Writes it to the file; `false` if that cannot be done.
    async fn write(&self, cx: &Context, record: &Record) -> bool {
        let kept = self.file.keep(cx, record).await;
        self.is_kept(kept).await
    }

    /// Takes note of what became of something that was to be kept.
    async fn is_kept(&self, kept: Result<Kept, Fault>) -> bool {
        if let (Ok(Kept::Yes), Ok(found)) = (&kept, self.file.snapshot().await) {
            self.take_stock(&found);
        }
        let mut state = self.state();
        match kept {
            Ok(Kept::Yes) => {
                state.kept += 1;
                let is_first = !std::mem::replace(&mut state.waiting, true);
                drop(state);
                if is_first {
                    tracing::warn!("the store does not take captions; they wait on disk");
                    self.news.notify_one();
                }
                true
            }
            Ok(Kept::Full) => {
                let is_news = !std::mem::replace(&mut state.refusing, true);
                drop(state);
                if is_news {
                    tracing::error!(
                        "the spool is full: captions that the store does not take are lost to the history, and usage waits in memory"
                    );
                }
                false
            }
            Err(fault) => {
                let is_news = !std::mem::replace(&mut state.refusing, true);
                drop(state);
                if is_news {
                    tracing::error!(
                        error = ?fault,
                        "the spool cannot be written: captions that the store does not take are lost to the history, and usage waits in memory"
                    );
                }
                false
            }
        }
    }

    fn usage(&self) -> Result<&Arc<dyn UsageStore>, Fault> {
        self.usage
            .as_ref()
            .ok_or_else(|| Fault::because(FaultKind::Internal, "nobody here keeps usage"))
    }

    fn waiting(&self) -> bool {
        self.state().waiting
    }

    fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of a delivery.
fn context(tenant: TenantId, request_id: &str, fresh_id: Uuid) -> Context {
    Context {
        tenant,
        request_id: request_id.into(),
        fresh_id,
        now: OffsetDateTime::now_utc(),
        deadline: (Instant::now() + PATIENCE).into_std(),
        attempts: Arc::new(Attempts::up_to(0)),
        class: Class::Batch,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: Tab::default(),
    }
}

/// True if the store says "not now": the same call may succeed later, though perhaps not soon.
fn may_pass(fault: &Fault) -> bool {
    fault.is_transient() || matches!(fault.kind, FaultKind::CircuitOpen { .. } | FaultKind::Overloaded)
}

#[async_trait]
impl CaptionStore for SpooledCaptions {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        if self.is_held() {
            let fault = Fault::because(FaultKind::Unavailable, "the store is not ready to take captions");
            return self.keep(cx, record, fault).await;
        }
        match self.inner.append(cx, record).await {
            Err(StoreError::Fault(fault)) if may_pass(&fault) => self.keep(cx, record, fault).await,
            outcome => outcome,
        }
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        // First here: what is not here any more by then is in the store.
        let waits = self.waiting();
        if waits && let Ok(Some(record)) = self.file.read(cx, id).await {
            return Ok(Some(record));
        }
        match self.inner.read(cx, id).await {
            Ok(None) if !waits => Ok(self.file.read(cx, id).await.unwrap_or_default()),
            Err(StoreError::Fault(fault)) if !waits && may_pass(&fault) => match self.file.read(cx, id).await {
                Ok(Some(record)) => Ok(Some(record)),
                Ok(None) | Err(_) => Err(fault.into()),
            },
            outcome => outcome,
        }
    }

    /// What waits is in it, where the store itself answers.
    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let waiting = if self.waiting() {
            self.file.history(cx, filter, before, limit).await.unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut page = self.inner.history(cx, filter, before, limit).await?;
        for record in waiting {
            // Both are newest first. A caption in both places is shown as it waits: its feedback is the latest.
            match page.binary_search_by(|other| record.id.cmp(&other.id)) {
                Ok(place) => page[place] = record,
                Err(place) => page.insert(place, record),
            }
        }
        page.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(page)
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let waits = if self.waiting() {
            match self.file.amend(cx, id, amendment, expect).await {
                Err(StoreError::Conflict) => return Err(StoreError::Conflict),
                amended => amended.unwrap_or_default(),
            }
        } else {
            None
        };
        // Of one in both places the version that waits is the one that was shown.
        let expect = expect.filter(|_| waits.is_none());
        match self.inner.amend(cx, id, amendment, expect).await {
            Ok(known) => Ok(waits.or(known)),
            Err(StoreError::Fault(fault)) if waits.is_some() && may_pass(&fault) => {
                cx.notes.add(Degraded::HistoryDelayed);
                Ok(waits)
            }
            Err(error) => Err(error),
        }
    }

    /// What waits goes first, and is gone even if the store then fails.
    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        let turn = self.file.turn(Instant::from_std(cx.deadline)).await?;
        let (waited, in_usage) = self.file.erase(cx, extent).await?;
        if waited > 0
            && let Ok(found) = self.file.snapshot().await
        {
            self.take_stock(&found);
        }
        drop(turn);
        let removed = self.inner.erase(cx, extent).await?;
        Ok(Removed {
            waiting: Some(waited),
            usage: removed.usage + in_usage,
            ..removed
        })
    }

    /// What one machine knows says nothing of what others do: only the store can tell who works on a call.
    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        if self.is_held() {
            return Err(Fault::because(FaultKind::Unavailable, "the store is not ready").into());
        }
        self.inner.once(cx, step).await
    }
}

#[async_trait]
impl UsageStore for SpooledCaptions {
    /// Taken if it is in the store or in the file.
    async fn add(&self, cx: &Context, batch: &Batch) -> Result<(), StoreError> {
        let fault = if self.is_held() {
            Fault::because(FaultKind::Unavailable, "the store is not ready to take usage")
        } else {
            match self.usage()?.add(cx, batch).await {
                Err(StoreError::Fault(fault)) if may_pass(&fault) => fault,
                outcome => return outcome,
            }
        };
        let kept = self.file.keep_usage(batch).await;
        if self.is_kept(kept).await {
            return Ok(());
        }
        // Whoever brings it keeps it, and comes again.
        Err(fault.into())
    }

    /// Without what waits.
    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        self.usage()?.report(cx, query, limit).await
    }

    async fn sweep(&self, cx: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        self.usage()?.sweep(cx, before, limit).await
    }
}

#[cfg(test)]
mod tests;
