//! The waiting room before a real store that a test can take away.

mod model;

use std::{
    collections::HashSet,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicU32, Ordering},
};

use captions_domain::{
    caption::Feedback,
    request::UserId,
    usage::{self, Amounts, Hour, Place},
};
use captions_testkit::{build, contract};
use rstest::rstest;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::sqlite::SqliteStore;

/// More than anything here takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// What the store does with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Works,
    Fails(FaultKind),
    /// Does it, and the answer is lost.
    LosesAnswers,
    /// Does it, and never answers.
    Hangs,
}

/// A store that a test can take away.
struct Moody {
    store: SqliteStore,
    mood: Mutex<Mood>,
    /// Captions that it will never take.
    refuses: Mutex<HashSet<CaptionId>>,
    appends: AtomicU32,
}

impl Moody {
    async fn new() -> Arc<Self> {
        let store = SqliteStore::in_memory();
        store.migrate().await.unwrap();
        Arc::new(Self {
            store,
            mood: Mutex::new(Mood::Works),
            refuses: Mutex::default(),
            appends: AtomicU32::new(0),
        })
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn refuse(&self, id: CaptionId) {
        self.refuses.lock().unwrap().insert(id);
    }

    fn appends(&self) -> u32 {
        self.appends.load(Ordering::Relaxed)
    }

    async fn answer<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Works => call.await,
            Mood::Fails(kind) => Err(Fault::new(kind).into()),
            Mood::LosesAnswers => {
                call.await?;
                Err(Fault::new(FaultKind::Timeout).into())
            }
            Mood::Hangs => {
                call.await?;
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl CaptionStore for Moody {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        let refused = self.refuses.lock().unwrap().contains(&record.id);
        self.answer(async {
            if refused {
                return Err(Fault::new(FaultKind::Internal).into());
            }
            self.store.append(cx, record).await
        })
        .await
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        self.answer(CaptionStore::read(&self.store, cx, id)).await
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.answer(self.store.history(cx, filter, before, limit)).await
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        self.answer(self.store.amend(cx, id, amendment, expect)).await
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        self.answer(CaptionStore::erase(&self.store, cx, extent)).await
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        self.answer(self.store.once(cx, step)).await
    }
}

#[async_trait]
impl UsageStore for Moody {
    async fn add(&self, cx: &Context, batch: &Batch) -> Result<(), StoreError> {
        self.answer(UsageStore::add(&self.store, cx, batch)).await
    }

    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        self.answer(self.store.report(cx, query, limit)).await
    }

    async fn sweep(&self, cx: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        self.answer(self.store.sweep(cx, before, limit)).await
    }
}

fn options(folder: &TempDir) -> SpoolOptions {
    SpoolOptions {
        path: folder.path().join("inner/spool.db"),
        max_rows: 1000,
        max_bytes: 10 << 20,
    }
}

async fn open(folder: &TempDir, inner: &Arc<Moody>) -> SpooledCaptions {
    let spooled = SpooledCaptions::open(Arc::<Moody>::clone(inner), options(folder)).await;
    spooled.unwrap().with_usage(Arc::<Moody>::clone(inner))
}

/// A folder, a store, and the waiting room before it.
async fn all() -> (TempDir, Arc<Moody>, SpooledCaptions) {
    let folder = tempfile::tempdir().unwrap();
    let inner = Moody::new().await;
    let spooled = open(&folder, &inner).await;
    (folder, inner, spooled)
}

/// Waits until the store, which never answers, has a caption of the user.
async fn stored_while(
    drain: &mut (impl Future<Output = Result<Drained, Fault>> + Unpin),
    inner: &Moody,
    cx: &Context,
    user: &UserId,
) {
    let filter = Filter::of_user(user);
    loop {
        // Both go on: the store has one connection, and a delivery that stands still may hold it.
        tokio::select! {
            biased;
            _ = &mut *drain => unreachable!("the store never answers"),
            page = inner.store.history(cx, &filter, None, 9) => if !page.unwrap().is_empty() {
                return;
            },
        }
    }
}

fn says(feedback: &Feedback) -> Amendment {
    Amendment::Feedback(feedback.clone())
}

fn of(user: &UserId) -> Extent {
    Extent::OfUser(user.clone())
}

const AWAY: Mood = Mood::Fails(FaultKind::Unavailable);

#[track_caller]
fn kind<T>(result: Result<T, StoreError>) -> FaultKind {
    match result {
        Err(StoreError::Fault(fault)) => fault.kind,
        Err(refused) => panic!("no fault but {refused}"),
        Ok(_) => panic!("no fault but success"),
    }
}

async fn rows(spooled: &SpooledCaptions) -> u64 {
    spooled.snapshot().await.unwrap().rows
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_healthy_store_the_contract_is_kept() {
    let (_folder, _inner, spooled) = all().await;

    contract::captions::suite(Arc::new(spooled)).await;
}

#[rstest]
#[case::away(FaultKind::Unavailable)]
#[case::slow(FaultKind::Timeout)]
#[case::busy(FaultKind::RateLimited { retry_after: None })]
#[case::left_alone(FaultKind::CircuitOpen { retry_after: Duration::from_secs(1) })]
#[case::no_slot(FaultKind::Overloaded)]
#[tokio::test]
async fn what_the_store_does_not_take_now_waits_and_can_be_read(#[case] why: FaultKind) {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let records = [
        build::record_full(&build::user_id("ann")),
        build::record(&build::user_id("ann")),
        build::record_bare(),
    ];
    inner.becomes(Mood::Fails(why));

    for record in &records {
        spooled.append(&cx, record).await.unwrap();
        assert_eq!(spooled.read(&cx, record.id).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(cx.notes.all(), [Degraded::HistoryDelayed]);
    assert_eq!(spooled.drain().await.unwrap_err().kind, why);
    assert_eq!(rows(&spooled).await, 3);

    inner.becomes(Mood::Works);
    assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 3, refused: 0 });

    assert_eq!(spooled.snapshot().await.unwrap(), Snapshot::default());
    for record in &records {
        assert_eq!(inner.read(&cx, record.id).await.unwrap().as_ref(), Some(record));
    }
}

#[rstest]
#[case(FaultKind::Internal)]
#[case(FaultKind::Corrupt)]
#[tokio::test]
async fn what_the_store_refuses_for_good_is_refused_here_too(#[case] why: FaultKind) {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    inner.becomes(Mood::Fails(why));

    assert_eq!(kind(spooled.append(&cx, &build::record_bare()).await), why);

    assert_eq!(cx.notes.all(), []);
    assert_eq!(rows(&spooled).await, 0);
}

#[tokio::test]
async fn a_full_file_gives_the_stores_own_fault() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Moody::new().await;
    let few = SpoolOptions {
        max_rows: 2,
        ..options(&folder)
    };
    let spooled = SpooledCaptions::open(Arc::<Moody>::clone(&inner), few).await.unwrap();
    let cx = build::context();
    inner.becomes(AWAY);
    let first = build::record_bare();
    spooled.append(&cx, &first).await.unwrap();
    spooled.append(&cx, &build::record_bare()).await.unwrap();

    let late = build::context();
    assert_eq!(
        kind(spooled.append(&late, &build::record_bare()).await),
        FaultKind::Unavailable
    );
    assert_eq!(late.notes.all(), []);
    spooled.append(&cx, &first).await.unwrap();
    let counts = spooled.counts();
    assert_eq!((counts.waiting, counts.delivered, counts.lost), (2, 0, 1));
    assert_eq!(counts.bytes, spooled.snapshot().await.unwrap().bytes);

    inner.becomes(Mood::Works);
    spooled.drain().await.unwrap();
    let counts = spooled.counts();
    assert_eq!(
        (counts.waiting, counts.bytes, counts.delivered, counts.lost),
        (0, 0, 2, 1)
    );
    inner.becomes(AWAY);
    spooled.append(&late, &build::record_bare()).await.unwrap();
}

#[tokio::test]
async fn the_bytes_are_bounded_too_and_feedback_counts() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Moody::new().await;
    let cx = build::context();
    let record = build::record_bare();
    let size = u64::try_from(row::write(&record).unwrap().len()).unwrap();
    let small = SpoolOptions {
        max_bytes: size,
        ..options(&folder)
    };
    let spooled = SpooledCaptions::open(Arc::<Moody>::clone(&inner), small).await.unwrap();
    inner.becomes(AWAY);

    spooled.append(&cx, &record).await.unwrap();
    assert_eq!(spooled.snapshot().await.unwrap().bytes, size);
    assert!(spooled.append(&cx, &build::record_bare()).await.is_err());

    spooled
        .amend(&cx, record.id, &says(&build::feedback_full()), None)
        .await
        .unwrap();
    assert!(spooled.snapshot().await.unwrap().bytes > size);
    inner.becomes(Mood::Works);
    spooled.drain().await.unwrap();
    assert_eq!(spooled.snapshot().await.unwrap().bytes, 0);
}

#[tokio::test]
async fn a_broken_file_gives_the_stores_own_fault() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    spooled.close().await;
    let record = build::record_bare();

    spooled.append(&cx, &record).await.unwrap();
    assert_eq!(spooled.read(&cx, record.id).await.unwrap(), Some(record));
    inner.becomes(Mood::Fails(FaultKind::Timeout));

    assert_eq!(
        kind(spooled.append(&cx, &build::record_bare()).await),
        FaultKind::Timeout
    );
    assert_eq!(cx.notes.all(), []);
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inner"), "a file").unwrap();

    let refused = SpooledCaptions::open(Moody::new().await, options(&folder)).await;

    assert_eq!(refused.err().unwrap().kind, FaultKind::Internal);
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let (folder, inner, spooled) = all().await;
    inner.becomes(AWAY);
    spooled.append(&build::context(), &build::record_bare()).await.unwrap();

    let made: Vec<_> = std::fs::read_dir(folder.path().join("inner")).unwrap().collect();
    assert!(made.len() >= 3, "the file, its log and its lock: {made:?}");
    for file in made {
        let file = file.unwrap();
        let permissions = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(permissions, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn what_waits_is_still_there_after_a_crash() {
    let (folder, inner, spooled) = all().await;
    let cx = build::context();
    let record = build::record_full(&build::user_id("ann"));
    inner.becomes(AWAY);
    spooled.append(&cx, &record).await.unwrap();
    drop(spooled);

    let spooled = open(&folder, &inner).await;

    assert_eq!(spooled.read(&cx, record.id).await.unwrap(), Some(record));
    assert_eq!(
        SpooledCaptions::look(options(&folder).path)
            .await
            .unwrap()
            .unwrap()
            .rows,
        1
    );
}

#[tokio::test]
async fn a_crash_between_delivery_and_removal_loses_and_doubles_nothing() {
    let (folder, inner, spooled) = all().await;
    let cx = build::context();
    let ann = build::user_id("ann");
    let record = build::record_full(&ann);
    inner.becomes(AWAY);
    spooled.append(&cx, &record).await.unwrap();
    let before = inner.appends();

    inner.becomes(Mood::Hangs);
    {
        let drain = spooled.drain();
        tokio::pin!(drain);
        stored_while(&mut drain, &inner, &cx, &ann).await;
    }
    drop(spooled);
    assert_eq!(inner.appends(), before + 1);

    inner.becomes(Mood::Works);
    let spooled = open(&folder, &inner).await;
    assert_eq!(spooled.drain().await.unwrap().moved, 1);
    assert_eq!(
        inner.history(&cx, &Filter::of_user(&ann), None, 9).await.unwrap(),
        [record]
    );
    assert_eq!(rows(&spooled).await, 0);
}

#[tokio::test]
async fn the_history_holds_what_waits_where_the_store_answers() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let records: Vec<_> = (0..6).map(|_| build::record(&ann)).collect();
    for (at, record) in records.iter().enumerate() {
        inner.becomes(if at % 2 == 0 { Mood::LosesAnswers } else { AWAY });
        if at == 2 {
            inner.becomes(Mood::Works);
        }
        spooled.append(&cx, record).await.unwrap();
    }
    inner.becomes(AWAY);
    spooled.append(&cx, &build::record(&bob)).await.unwrap();
    spooled.append(&build::context(), &build::record(&ann)).await.unwrap();
    assert_eq!(
        kind(spooled.history(&cx, &Filter::of_user(&ann), None, 9).await),
        FaultKind::Unavailable
    );

    inner.becomes(Mood::Works);
    let newest_first: Vec<_> = records.into_iter().rev().collect();
    assert_eq!(
        spooled.history(&cx, &Filter::of_user(&ann), None, 9).await.unwrap(),
        newest_first
    );
    assert_eq!(
        spooled.history(&cx, &Filter::of_user(&ann), None, 2).await.unwrap(),
        newest_first[..2]
    );
    let older = spooled
        .history(&cx, &Filter::of_user(&ann), Some(newest_first[1].id), 3)
        .await
        .unwrap();
    assert_eq!(older, newest_first[2..5]);
}

#[tokio::test]
async fn feedback_reaches_what_waits_and_what_the_store_has_already() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let (waiting, lost) = (build::record_bare(), build::record_bare());
    inner.becomes(AWAY);
    spooled.append(&cx, &waiting).await.unwrap();
    inner.becomes(Mood::LosesAnswers);
    spooled.append(&cx, &lost).await.unwrap();
    inner.becomes(AWAY);
    let feedback = build::feedback_full();
    let told = build::context_of(cx.tenant.as_str());

    for record in [&waiting, &lost] {
        assert!(
            spooled
                .amend(&told, record.id, &says(&feedback), None)
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(told.notes.all(), [Degraded::HistoryDelayed]);
    assert_eq!(
        kind(
            spooled
                .amend(&told, CaptionId(Uuid::now_v7()), &says(&feedback), None)
                .await
        ),
        FaultKind::Unavailable
    );
    assert_eq!(
        kind(
            spooled
                .amend(&build::context(), waiting.id, &says(&feedback), None)
                .await
        ),
        FaultKind::Unavailable,
        "another tenant's"
    );

    inner.becomes(Mood::Works);
    spooled.drain().await.unwrap();
    for record in [waiting, lost] {
        let read = inner.read(&cx, record.id).await.unwrap().unwrap();
        assert_eq!(read.feedback.as_ref(), Some(&feedback));
    }
}

#[tokio::test]
async fn erasing_a_user_removes_what_waits_of_this_tenant_even_while_the_store_is_away() {
    let (_folder, inner, spooled) = all().await;
    let (ours, theirs) = (build::context(), build::context());
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let (his, hers_elsewhere) = (build::record(&bob), build::record(&ann));
    inner.becomes(AWAY);
    for _ in 0..2 {
        spooled.append(&ours, &build::record(&ann)).await.unwrap();
    }
    spooled.append(&ours, &his).await.unwrap();
    spooled.append(&theirs, &hers_elsewhere).await.unwrap();

    assert_eq!(kind(spooled.erase(&ours, &of(&ann)).await), FaultKind::Unavailable);
    assert_eq!(rows(&spooled).await, 2);

    inner.becomes(Mood::Works);
    spooled.append(&ours, &build::record(&ann)).await.unwrap();
    let hers = spooled.erase(&ours, &of(&ann)).await.unwrap();
    assert_eq!(
        (hers.captions, hers.waiting),
        (1, Some(0)),
        "what waited went with the first try"
    );
    assert_eq!(spooled.erase(&ours, &of(&bob)).await.unwrap().waiting, Some(1));
    spooled.drain().await.unwrap();
    assert_eq!(
        spooled.history(&ours, &Filter::of_user(&ann), None, 9).await.unwrap(),
        []
    );
    assert_eq!(spooled.read(&ours, his.id).await.unwrap(), None);
    assert_eq!(
        spooled.history(&theirs, &Filter::of_user(&ann), None, 9).await.unwrap(),
        [hers_elsewhere]
    );
}

#[tokio::test]
async fn nobody_is_erased_while_another_process_is_delivering() {
    let (folder, inner, delivering) = all().await;
    let erasing = open(&folder, &inner).await;
    let mut cx = build::context();
    let ann = build::user_id("ann");
    inner.becomes(AWAY);
    delivering.append(&cx, &build::record(&ann)).await.unwrap();
    inner.becomes(Mood::Hangs);
    {
        let drain = delivering.drain();
        tokio::pin!(drain);
        stored_while(&mut drain, &inner, &cx, &ann).await;
        inner.becomes(Mood::Works);
        cx.deadline = (Instant::now() + Duration::from_millis(100)).into_std();
        assert_eq!(kind(erasing.erase(&cx, &of(&ann)).await), FaultKind::Timeout);
    }
    cx.deadline = (Instant::now() + LIMIT).into_std();

    let removed = erasing.erase(&cx, &of(&ann)).await.unwrap();
    assert_eq!((removed.captions, removed.waiting), (1, Some(1)), "here and there");

    delivering.drain().await.unwrap();
    assert_eq!(inner.history(&cx, &Filter::of_user(&ann), None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_row_that_is_refused_for_good_holds_up_no_other_and_gets_one_more_chance() {
    let (folder, inner, spooled) = all().await;
    let cx = build::context();
    let (bad, good) = (build::record_bare(), build::record_bare());
    inner.becomes(AWAY);
    spooled.append(&cx, &bad).await.unwrap();
    spooled.append(&cx, &good).await.unwrap();
    inner.becomes(Mood::Works);
    inner.refuse(bad.id);

    assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 1, refused: 1 });
    for _ in 1..REFUSALS {
        assert_eq!(spooled.snapshot().await.unwrap().set_aside, 0);
        assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 0, refused: 1 });
    }
    let snapshot = spooled.snapshot().await.unwrap();
    assert_eq!((snapshot.rows, snapshot.set_aside, snapshot.oldest), (1, 1, None));
    let asked = inner.appends();
    assert_eq!(spooled.drain().await.unwrap(), Drained::default());
    assert_eq!(inner.appends(), asked, "it is not tried for ever");
    assert_eq!(spooled.read(&cx, bad.id).await.unwrap().as_ref(), Some(&bad));

    inner.refuses.lock().unwrap().clear();
    drop(spooled);
    let spooled = open(&folder, &inner).await;
    assert_eq!(spooled.drain().await.unwrap().moved, 1);
    assert_eq!(inner.read(&cx, bad.id).await.unwrap(), Some(bad));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_set_aside_at_once() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let (bad, good) = (build::record_bare(), build::record_bare());
    inner.becomes(AWAY);
    spooled.append(&cx, &bad).await.unwrap();
    spooled.append(&cx, &good).await.unwrap();
    spooled.file.damage(bad.id).await;
    inner.becomes(Mood::Works);

    assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 1, refused: 1 });

    assert_eq!(spooled.snapshot().await.unwrap().set_aside, 1);
    assert_eq!(inner.read(&cx, good.id).await.unwrap(), Some(good));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_file_deliver_everything_once() {
    let (folder, inner, one) = all().await;
    let other = open(&folder, &inner).await;
    let cx = build::context();
    let ann = build::user_id("ann");
    inner.becomes(AWAY);
    let mut newest_first = Vec::new();
    for at in 0..100 {
        let record = build::record(&ann);
        [&one, &other][at % 2].append(&cx, &record).await.unwrap();
        newest_first.insert(0, record);
    }
    inner.becomes(Mood::Works);
    let before = inner.appends();

    let (first, second) = tokio::join!(one.drain(), other.drain());

    assert_eq!(first.unwrap().moved + second.unwrap().moved, 100);
    assert_eq!(inner.appends(), before + 100);
    assert_eq!(
        inner.history(&cx, &Filter::of_user(&ann), None, 200).await.unwrap(),
        newest_first
    );
}

#[tokio::test]
async fn the_loop_delivers_soon_after_the_store_is_back_and_once_more_at_its_end() {
    let (folder, inner, spooled) = all().await;
    let spooled = Arc::new(spooled);
    let cx = build::context();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let spooled = Arc::clone(&spooled);
        async move {
            let stopped = async { drop(stopped.await) };
            spooled.run(stopped).await;
        }
    });
    inner.becomes(AWAY);
    spooled.append(&cx, &build::record_bare()).await.unwrap();
    let tried = inner.appends();
    until("the loop has tried", async || inner.appends() >= tried + 2).await;

    inner.becomes(Mood::Works);
    let back = Instant::now();
    until("it has arrived", async || rows(&spooled).await == 0).await;
    assert!(back.elapsed() < LONGEST_PAUSE + Duration::from_secs(8));

    inner.becomes(AWAY);
    spooled.append(&cx, &build::record_bare()).await.unwrap();
    inner.becomes(Mood::Works);
    stop.send(()).unwrap();
    timeout(LIMIT, running).await.unwrap().unwrap();
    spooled.close().await;
    let left = SpooledCaptions::look(options(&folder).path).await.unwrap().unwrap();
    assert_eq!(left.rows, 0);
}

#[tokio::test]
async fn while_the_store_is_not_ready_it_is_left_alone_and_everything_waits() {
    let (_folder, inner, spooled) = all().await;
    let spooled = Arc::new(spooled);
    spooled.hold();
    let cx = build::context();
    let record = build::record_bare();

    spooled.append(&cx, &record).await.unwrap();
    spooled.run(std::future::ready(())).await;

    assert_eq!(cx.notes.all(), [Degraded::HistoryDelayed]);
    assert_eq!((inner.appends(), rows(&spooled).await), (0, 1));
    let running = tokio::spawn({
        let spooled = Arc::clone(&spooled);
        async move { spooled.run(std::future::pending()).await }
    });
    spooled.release();
    until("it has arrived", async || rows(&spooled).await == 0).await;
    running.abort();
    assert!(inner.read(&cx, record.id).await.unwrap().is_some());
    spooled.append(&cx, &build::record_bare()).await.unwrap();
    assert_eq!(rows(&spooled).await, 0);
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < give_up, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_waited_longer_than_erasures_are_remembered_is_not_delivered() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let (old, late) = (
        build::record(&build::user_id("ann")),
        build::record(&build::user_id("ann")),
    );
    inner.becomes(AWAY);
    for record in [&old, &late] {
        spooled.append(&cx, record).await.unwrap();
    }
    spooled.file.ages(old.id, LATEST + Duration::from_secs(60)).await;
    inner.becomes(Mood::Works);

    let drained = spooled.drain().await.unwrap();

    assert_eq!((drained.moved, drained.refused), (1, 1));
    assert_eq!(CaptionStore::read(&inner.store, &cx, old.id).await.unwrap(), None);
    assert!(CaptionStore::read(&inner.store, &cx, late.id).await.unwrap().is_some());
}

#[tokio::test]
async fn variants_that_come_while_a_caption_waits_arrive_with_it_once() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    inner.becomes(AWAY);
    spooled.append(&cx, &record).await.unwrap();
    let mut more = build::more();
    more.addition.id = Uuid::now_v7();
    let amendment = Amendment::More(Box::new(more.clone()));
    let before = spooled.snapshot().await.unwrap().bytes;

    for expect in [Some(1), Some(1), None] {
        assert_eq!(
            spooled.amend(&cx, record.id, &amendment, expect).await.unwrap(),
            Some(2)
        );
    }
    let waits = spooled.read(&cx, record.id).await.unwrap().unwrap();
    assert!(spooled.snapshot().await.unwrap().bytes > before, "it takes room");
    // The store has it already, as it was first, because an answer was lost.
    CaptionStore::append(&inner.store, &cx, &record).await.unwrap();
    inner.becomes(Mood::Works);
    spooled.drain().await.unwrap();
    spooled.drain().await.unwrap();

    let arrived = CaptionStore::read(&inner.store, &cx, record.id).await.unwrap().unwrap();
    assert_eq!((waits.caption.variants.len(), &waits.caption), (2, &arrived.caption));
}

/// A batch of one row for this user.
fn used(cx: &Context, user: &str) -> Batch {
    let place = Place {
        tenant: cx.tenant.clone(),
        hour: Hour::of(cx.now),
        user: Some(build::user_id(user)),
        key: None,
        provider: Some("p".to_owned()),
        model: None,
    };
    let row = usage::Row {
        place,
        since: microseconds(cx.now),
        amounts: Amounts {
            requests: 1,
            ..Amounts::default()
        },
    };
    Batch {
        id: Uuid::now_v7(),
        rows: vec![row],
    }
}

/// Users and their requests, as the store tells them.
async fn reported(inner: &Moody, cx: &Context) -> Vec<(Option<String>, u64)> {
    let by = usage::Grouping::parse("user").unwrap();
    let query = Query::new(cx.now, cx.now + Duration::from_secs(1), usage::Bucket::Hour, by).unwrap();
    let groups = inner.store.report(cx, &query, 9).await.unwrap().into_iter();
    groups
        .map(|group| (group.user.map(|user| user.as_str().to_owned()), group.amounts.requests))
        .collect()
}

fn named(user: &str, requests: u64) -> (Option<String>, u64) {
    (Some(user.to_owned()), requests)
}

#[tokio::test]
async fn usage_waits_beside_captions_and_arrives_once_whatever_becomes_of_answers() {
    let (folder, inner, spooled) = all().await;
    let cx = build::context();
    inner.becomes(AWAY);
    let batches = [used(&cx, "ann"), used(&cx, "ann"), used(&cx, "bob")];
    for batch in [&batches[0], &batches[0], &batches[1]] {
        spooled.add(&cx, batch).await.unwrap();
    }
    spooled.append(&cx, &build::record_bare()).await.unwrap();
    assert_eq!(rows(&spooled).await, 3, "the same batch waits once");

    inner.becomes(Mood::LosesAnswers);
    spooled.add(&cx, &batches[2]).await.unwrap();
    assert_eq!(spooled.drain().await.unwrap_err().kind, FaultKind::Timeout);
    drop(spooled);
    let spooled = open(&folder, &inner).await;
    inner.becomes(Mood::Works);
    assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 4, refused: 0 });

    assert_eq!(reported(&inner, &cx).await, [named("ann", 2), named("bob", 1)]);
    assert_eq!(spooled.snapshot().await.unwrap(), Snapshot::default());
}

#[tokio::test]
async fn usage_that_finds_no_room_stays_with_whoever_brings_it() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Moody::new().await;
    let few = SpoolOptions {
        max_rows: 1,
        ..options(&folder)
    };
    let spooled = SpooledCaptions::open(Arc::<Moody>::clone(&inner), few).await.unwrap();
    let spooled = spooled.with_usage(Arc::<Moody>::clone(&inner));
    let cx = build::context();
    inner.becomes(AWAY);
    spooled.add(&cx, &used(&cx, "ann")).await.unwrap();

    let fault = spooled.add(&cx, &used(&cx, "ann")).await;

    assert_eq!(kind(fault), FaultKind::Unavailable);
    assert_eq!(spooled.counts().lost, 0, "it is not lost yet");
}

#[tokio::test]
async fn who_is_erased_is_not_named_in_usage_that_waits_and_the_usage_counts_all_the_same() {
    let (_folder, inner, spooled) = all().await;
    let (cx, other) = (build::context(), build::context());
    inner.becomes(AWAY);
    let mut both = used(&cx, "ann");
    both.rows.extend(used(&cx, "bob").rows);
    both.rows.extend(used(&other, "ann").rows);
    spooled.add(&cx, &both).await.unwrap();

    // What is on this disk is forgotten even if the store cannot be told.
    spooled.erase(&cx, &of(&build::user_id("ann"))).await.unwrap_err();
    let waiting = spooled.file.next(0, 9).await.unwrap()[0].usage().unwrap();
    // It may be in the store by now, and the receipt is to know of it.
    assert_eq!(
        spooled.file.erase(&cx, &of(&build::user_id("bob"))).await.unwrap(),
        (0, 1)
    );
    assert_eq!(
        spooled.file.erase(&cx, &of(&build::user_id("bob"))).await.unwrap(),
        (0, 0)
    );
    let users: Vec<_> = waiting
        .rows
        .iter()
        .map(|row| row.place.user.as_ref().map(UserId::as_str))
        .collect();
    assert_eq!(users, [None, Some("bob"), Some("ann")]);

    inner.becomes(Mood::Works);
    spooled.drain().await.unwrap();
    assert_eq!(reported(&inner, &cx).await, [(None, 2)]);
    assert_eq!(reported(&inner, &other).await, [named("ann", 1)]);
}

#[tokio::test]
async fn usage_that_cannot_be_read_is_set_aside() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    inner.becomes(AWAY);
    let batch = used(&cx, "ann");
    spooled.add(&cx, &batch).await.unwrap();
    spooled.file.damage(CaptionId(batch.id)).await;
    inner.becomes(Mood::Works);

    assert_eq!(spooled.drain().await.unwrap(), Drained { moved: 0, refused: 1 });

    assert_eq!(spooled.snapshot().await.unwrap().set_aside, 1);
}

#[tokio::test]
async fn usage_that_waited_longer_than_the_store_knows_of_it_is_not_delivered() {
    let (_folder, inner, spooled) = all().await;
    let cx = build::context();
    let made = |age: time::Duration| {
        let at = u64::try_from((OffsetDateTime::now_utc() - age).unix_timestamp()).unwrap();
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, at, 0))
    };
    let second = time::Duration::SECOND;
    let ages = [usage::LATEST - 60 * second, usage::LATEST + 60 * second];
    inner.becomes(AWAY);
    for (age, user) in ages.into_iter().zip(["ann", "bob"]) {
        let batch = Batch {
            id: made(age),
            ..used(&cx, user)
        };
        spooled.add(&cx, &batch).await.unwrap();
    }
    inner.becomes(Mood::Works);

    let drained = spooled.drain().await.unwrap();

    assert_eq!((drained.moved, drained.refused), (1, 0));
    assert_eq!(spooled.snapshot().await.unwrap().rows, 0, "it makes room");
    assert_eq!(spooled.counts().lost, 1);
    assert_eq!(reported(&inner, &cx).await, [named("ann", 1)]);
}
