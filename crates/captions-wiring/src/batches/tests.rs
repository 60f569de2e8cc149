//! The workers on the paused clock: what they take and when, what becomes of it, and whom they let pass. The queue and the
//! writer are this file's own; that a real queue keeps its contract is told by the contract suite.

use std::num::NonZeroU32;

use async_trait::async_trait;
use captions_domain::{
    answers::Uncached,
    batch::{Batch, Change, Claimed, Outcome, Page, Payer, Settlement, Taken, Ticket},
    budget::{Account, Budget, Period},
    caption::CaptionId,
    engine::Options,
    fault::{Fault, FaultKind, LlmError, Unpaid},
    keys::KeyLimits,
    ports::{ChunkStream, Completion, Description, LlmProvider, MockCaptionStore, MockUserStore},
    prompt::{Prompt, Templates},
    quota::Plan,
    request::CaptionRequest,
};
use captions_embedded::{quota::MemoryQuota, template::TemplateWriter};
use captions_resilience::{
    guarded::Guarded,
    policy::{Policy, PolicySettings},
    slots::SlotSettings,
};
use captions_testkit::build;
use rstest::rstest;
use tokio::time::timeout;

use super::*;
use crate::{limits, machine::Machine};

/// What one item or one person takes of the writer.
const WRITING: Duration = Duration::from_millis(100);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_hours(10);

/// A queue of one batch in memory, and a diary.
#[derive(Default)]
struct Shelf {
    /// Items without an outcome, and from when on they may be had.
    items: Mutex<Vec<(Claimed, Instant)>>,
    claims: Mutex<Vec<(Instant, Turn)>>,
    settled: Mutex<Vec<(Instant, u32, Settlement)>>,
}

impl Shelf {
    fn of(items: u32) -> Arc<Self> {
        let batch = BatchId(Uuid::now_v7());
        let item = |index| Claimed {
            ticket: Ticket {
                batch,
                index,
                lease: Uuid::nil(),
            },
            tenant: TenantId::local(),
            payer: None,
            caption: CaptionId(Uuid::now_v7()),
            request: format!("Loaf number {index} on the counter of a bakery"),
            tries: 0,
            reclaimed: false,
        };
        let items = (0..items).map(|index| (item(index), Instant::now())).collect();
        Arc::new(Self {
            items: Mutex::new(items),
            ..Self::default()
        })
    }

    /// When what was settled, but for what is kept.
    fn settled(&self) -> Vec<(Instant, u32, Settlement)> {
        let all = lock(&self.settled).clone();
        let is_no_sign_of_life = |how: &Settlement| !matches!(how, Settlement::Keep(_));
        all.into_iter().filter(|(_, _, how)| is_no_sign_of_life(how)).collect()
    }

    /// Waits until so much is settled.
    async fn settles(&self, count: usize) -> Vec<(Instant, u32, Settlement)> {
        let look = async {
            while self.settled().len() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LONG, look).await.unwrap();
        self.settled()
    }
}

#[async_trait]
impl BatchQueue for Shelf {
    async fn submit(&self, _: &Context, _: &NewBatch) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, _: &Context, _: Option<BatchId>, _: u32) -> Result<Vec<Batch>, StoreError> {
        Ok(Vec::new())
    }

    async fn read(&self, _: &Context, _: BatchId, _: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError> {
        Ok(None)
    }

    async fn change(&self, _: &Context, _: BatchId, _: Change) -> Result<Option<Batch>, StoreError> {
        Ok(None)
    }

    async fn claim(&self, _: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        let now = Instant::now();
        lock(&self.claims).push((now, turn.clone()));
        let mut items = lock(&self.items);
        let waiting = u64::try_from(items.len()).unwrap();
        let due = items.iter_mut().filter(|(_, due)| *due <= now);
        let claimed = due.take(turn.items as usize).map(|(item, due)| {
            *due = now + turn.lease;
            item.tries += 1;
            item.ticket.lease = Uuid::now_v7();
            item.clone()
        });
        let items = claimed.collect();
        let backlog = turn.tidy.map(|_| Backlog {
            batches: waiting.min(1),
            items: waiting,
            oldest: None,
        });
        Ok(Taken {
            items,
            notices: Vec::new(),
            backlog,
        })
    }

    async fn settle(&self, _: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError> {
        let now = Instant::now();
        lock(&self.settled).push((now, ticket.index, settlement.clone()));
        let mut items = lock(&self.items);
        let place = items
            .iter()
            .position(|(item, due)| item.ticket == *ticket && *due > now);
        let Some(place) = place else { return Ok(false) };
        match settlement {
            Settlement::Succeeded(_) | Settlement::Failed(_) => drop(items.remove(place)),
            Settlement::Keep(lease) => items[place].1 = now + *lease,
            Settlement::Later { after, counts } => {
                items[place].1 = now + *after;
                items[place].0.tries -= u32::from(!counts);
            }
        }
        Ok(true)
    }
}

/// Writes templates, each in the time that it is told to take or not at all, and notes who asked.
struct Writer {
    takes: Duration,
    error: Option<LlmError>,
    /// Who paid for each call.
    payers: Mutex<Vec<Vec<String>>>,
    calls: Mutex<Vec<(Instant, Class)>>,
    under_way: Mutex<(usize, usize)>,
    hand: TemplateWriter,
}

impl Writer {
    fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            takes,
            error: None,
            payers: Mutex::default(),
            calls: Mutex::default(),
            under_way: Mutex::default(),
            hand: TemplateWriter::new("writer"),
        })
    }

    fn failing() -> Arc<Self> {
        Self::failing_with(Fault::new(FaultKind::Unavailable).into())
    }

    fn failing_with(error: LlmError) -> Arc<Self> {
        let mut writer = Self::taking(Duration::ZERO);
        Arc::get_mut(&mut writer).unwrap().error = Some(error);
        writer
    }

    /// When it was called.
    fn calls(&self) -> Vec<Instant> {
        lock(&self.calls).iter().map(|(at, _)| *at).collect()
    }
}

#[async_trait]
impl LlmProvider for Writer {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        lock(&self.calls).push((Instant::now(), cx.class));
        let payers = cx.payers.iter().map(|payer| payer.account.to_string());
        lock(&self.payers).push(payers.collect());
        {
            let (now, most) = &mut *lock(&self.under_way);
            *now += 1;
            *most = (*most).max(*now);
        }
        sleep(self.takes).await;
        lock(&self.under_way).0 -= 1;
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.hand.complete(cx, prompt).await,
        }
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        self.hand.stream(cx, prompt).await
    }

    fn describe(&self) -> &Description {
        self.hand.describe()
    }
}

/// A request of these words that is kept nowhere.
fn request(words: &str) -> CaptionRequest {
    CaptionRequest {
        store: false,
        ..CaptionRequest::new(build::description(words))
    }
}

const FORMS: Forms = Forms {
    request: |words| Ok(request(words)),
    answer: |_, _, _| "written".to_owned(),
    record: |_| "found".to_owned(),
    failure: |error, _| error.to_string(),
    given_up: |tries, _| format!("{tries} lost"),
};

/// Workers over the shelf, by these settings; `slots` calls of the writer at once.
fn batches(shelf: &Arc<Shelf>, writer: &Arc<Writer>, slots: usize, settings: &[(&str, &str)]) -> Batches {
    let machine = settings
        .iter()
        .fold(Machine::new(), |machine, (key, value)| machine.flag(key, value));
    let settings = machine.loads().settings;
    let policy = PolicySettings {
        deadline: true,
        ledger: true,
        slots: Some(SlotSettings {
            max_concurrent: slots,
            queue_wait: LONG,
            ..SlotSettings::default()
        }),
        ..PolicySettings::off("writer")
    };
    let writer: Arc<dyn LlmProvider> = Arc::<Writer>::clone(writer);
    let engine = Engine {
        users: Arc::new(MockUserStore::new()),
        captions: Arc::new(MockCaptionStore::new()),
        answers: Arc::new(Uncached),
        llm: Arc::new(Guarded::new(writer, Policy::new(policy))),
        rungs: Vec::new(),
        options: Options {
            caption_ttl: Duration::from_hours(1),
            stale: false,
            templates: Templates::default(),
        },
    };
    Batches::new(Parts {
        queue: Arc::<Shelf>::clone(shelf),
        engine: Arc::new(engine),
        budget: limits::budget(&settings.budgets),
        callers: Limiter::new(Arc::new(MemoryQuota::new(16)), Plan::default()),
        settings: settings.batches,
        max_attempts: 3,
        time_for_background: Duration::from_secs(10),
        tasks: Tasks::new(1000),
    })
}

/// Moments as milliseconds after the first of them.
fn since_the_first(moments: &[Instant]) -> Vec<u128> {
    moments.iter().map(|at| (*at - moments[0]).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_in_person_comes_before_the_items_that_queue_already() {
    let (shelf, writer) = (Shelf::of(40), Writer::taking(WRITING));
    let batches = batches(&shelf, &writer, 2, &[]);
    batches.work(FORMS, 20, None);
    // Two are being written, and eighteen wait for a slot.
    sleep(WRITING * 2 + WRITING / 2).await;
    let cx = Context {
        deadline: (Instant::now() + LONG).into_std(),
        ..build::context()
    };

    let begun = Instant::now();
    let answer = batches
        .0
        .engine
        .generate(&cx, &request("A person at the counter"))
        .await;

    assert!(answer.is_ok());
    // Half an item's time until a slot is free, and its own.
    assert_eq!(begun.elapsed(), WRITING / 2 + WRITING);
    shelf.settles(40).await;
    let classes: Vec<Class> = lock(&writer.calls).iter().map(|(_, class)| *class).collect();
    assert_eq!(classes.iter().filter(|class| **class == Class::Batch).count(), 40);
}

#[tokio::test(start_paused = true)]
async fn so_many_items_are_worked_on_at_a_time_as_there_are_workers_and_none_without() {
    let (shelf, writer) = (Shelf::of(12), Writer::taking(WRITING));
    let batches = batches(&shelf, &writer, 100, &[]);
    batches.work(FORMS, 0, None);
    sleep(Duration::from_mins(1)).await;
    assert!(lock(&shelf.claims).is_empty());

    batches.work(FORMS, 4, None);

    shelf.settles(12).await;
    assert_eq!(lock(&writer.under_way).1, 4);
    assert_eq!(lock(&shelf.claims)[0].1.items, 4);
}

#[tokio::test(start_paused = true)]
async fn at_a_pace_items_are_begun_one_by_one_at_even_distances() {
    let (shelf, writer) = (Shelf::of(5), Writer::taking(WRITING * 50));
    let batches = batches(&shelf, &writer, 100, &[]);
    // One in two seconds, which is faster than one of them is written.
    batches.pace(NonZeroU32::new(30).unwrap());

    batches.work(FORMS, 8, None);

    shelf.settles(5).await;
    assert_eq!(since_the_first(&writer.calls()), [0, 2000, 4000, 6000, 8000]);
}

#[tokio::test(start_paused = true)]
async fn an_item_is_paid_by_its_tenant_and_by_the_key_that_submitted_it() {
    let (shelf, writer) = (Shelf::of(2), Writer::taking(WRITING));
    let budget = Budget {
        limit: "25".parse().unwrap(),
        per: Period::Day,
    };
    lock(&shelf.items)[1].0.payer = Some(Payer {
        family: "f".to_owned(),
        limits: KeyLimits {
            budget: Some(budget),
            ..KeyLimits::default()
        },
    });
    let prices =
        "[{name = 'a', kind = 'openai', base_url = 'http://h/v1', model = 'm', price_input = 1, price_output = 1}]";
    let batches = batches(
        &shelf,
        &writer,
        1,
        &[("budgets.limit", "10"), ("llm.providers", prices)],
    );

    batches.work(FORMS, 1, None);

    shelf.settles(2).await;
    assert_eq!(*lock(&writer.payers), [vec!["tenant"], vec!["key:f", "tenant"]]);
}

#[rstest]
#[case::spent(Unpaid::OverBudget { account: Account::Tenant, ends_in: LONG }, true)]
#[case::not_counted(Unpaid::Uncounted(Fault::new(FaultKind::Unavailable)), false)]
#[tokio::test(start_paused = true)]
async fn an_item_that_nobody_pays_for_fails_and_one_that_cannot_be_counted_waits(
    #[case] why: Unpaid,
    #[case] is_final: bool,
) {
    let (shelf, writer) = (Shelf::of(1), Writer::failing_with(why.into()));
    let batches = batches(&shelf, &writer, 1, &[]);

    batches.work(FORMS, 1, None);

    let (_, _, how) = shelf.settles(1).await.remove(0);
    let has_failed = matches!(how, Settlement::Failed(_));
    assert_eq!(has_failed, is_final, "{how:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_ends_with_its_time() {
    let (shelf, writer) = (Shelf::of(1), Writer::taking(LONG));
    let batches = batches(
        &shelf,
        &writer,
        1,
        &[("batches.item_deadline", "7"), ("batches.max_tries", "1")],
    );
    let begun = Instant::now();

    batches.work(FORMS, 1, None);

    let (at, _, how) = shelf.settles(1).await.remove(0);
    assert!(matches!(how, Settlement::Failed(_)), "{how:?}");
    let took = at - begun;
    assert!(
        took > Duration::from_secs(6) && took <= Duration::from_secs(7),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_as_long_as_it_is_set_and_is_kept_three_times_as_often() {
    let (shelf, writer) = (Shelf::of(1), Writer::taking(Duration::from_secs(10)));
    let batches = batches(&shelf, &writer, 1, &[("batches.lease", "6")]);
    let begun = Instant::now();

    batches.work(FORMS, 1, None);

    shelf.settles(1).await;
    assert_eq!(lock(&shelf.claims)[0].1.lease, Duration::from_secs(6));
    let signs = lock(&shelf.settled).clone();
    let signs: Vec<u128> = signs
        .into_iter()
        .filter(|(_, _, how)| *how == Settlement::Keep(Duration::from_secs(6)))
        .map(|(at, _, _)| (at - begun).as_millis())
        .collect();
    assert_eq!(signs[..4], [2000, 4000, 6000, 8000]);
}

#[tokio::test(start_paused = true)]
async fn an_item_is_tried_so_often_and_each_wait_is_four_times_as_long() {
    let (shelf, writer) = (Shelf::of(1), Writer::failing());
    let batches = batches(
        &shelf,
        &writer,
        1,
        &[
            ("batches.max_tries", "3"),
            ("batches.retry_delay", "8"),
            ("batches.poll", "0.01"),
        ],
    );

    batches.work(FORMS, 1, None);

    let settled = shelf.settles(3).await;
    let waits: Vec<Duration> = settled
        .iter()
        .filter_map(|(_, _, how)| match how {
            Settlement::Later { after, counts: true } => Some(*after),
            _ => None,
        })
        .collect();
    // From one half to all of it.
    assert_eq!(waits.len(), 2, "{settled:?}");
    let bounds = [Duration::from_secs(8), Duration::from_secs(32)];
    assert!(
        waits
            .iter()
            .zip(bounds)
            .all(|(wait, most)| (most / 2..=most).contains(wait)),
        "{waits:?}"
    );
    assert!(matches!(settled[2].2, Settlement::Failed(_)));
    assert_eq!(writer.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_over_for_the_retention_is_to_be_removed() {
    let (shelf, writer) = (Shelf::of(0), Writer::taking(WRITING));
    let batches = batches(&shelf, &writer, 1, &[("batches.retention", "77")]);

    batches.work(FORMS, 1, None);
    sleep(Duration::from_mins(1)).await;

    let claims = lock(&shelf.claims).clone();
    let tidy = claims[0].1.tidy.unwrap();
    assert_eq!(tidy.retention, Duration::from_secs(77));
    assert!(claims[1].1.tidy.is_none() && claims.iter().skip(1).any(|(_, turn)| turn.tidy.is_some()));
}
