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
    fault::{Fault, FaultKind, LlmError, Rejection, Unpaid},
    keys::{By, KeyLimits, Standing},
    money::Money,
    ports::{
        ChunkStream, Completion, Description, LlmProvider, MockCache, MockCaptionStore, MockKeyStore, MockUserStore,
    },
    prompt::{Prompt, Templates},
    quota::Plan,
    request::{CaptionRequest, ProviderName},
    usage::Tally,
};
use captions_embedded::{quota::MemoryQuota, template::TemplateWriter};
use captions_resilience::{
    guarded::Guarded,
    policy::{Policy, PolicySettings},
    slots::SlotSettings,
};
use captions_testkit::{build, contract};
use rstest::rstest;
use tokio::time::timeout;

use super::*;
use crate::machine::Machine;

/// What one item or one person takes of the writer.
const WRITING: Duration = Duration::from_millis(100);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_hours(10);

/// A queue in memory, and a diary.
#[derive(Default)]
struct Shelf {
    /// Items without an outcome, and from when on they may be had.
    items: Mutex<Vec<(Claimed, Instant)>>,
    claims: Mutex<Vec<(Instant, Turn)>>,
    settled: Mutex<Vec<(Instant, u32, Settlement)>>,
    /// What becomes of a submission; `None`: nothing, for ever.
    submits: Mutex<Option<Result<(), StoreError>>>,
    changes: Mutex<Vec<(TenantId, BatchId, Change)>>,
}

impl Shelf {
    fn of(items: u32) -> Arc<Self> {
        Self::of_batches(&[(items, None, "Loaf")])
    }

    /// One batch each: its items, who pays, and what they are about.
    fn of_batches(batches: &[(u32, Option<Payer>, &str)]) -> Arc<Self> {
        let all = Self {
            submits: Mutex::new(Some(Ok(()))),
            ..Self::default()
        };
        for (items, payer, what) in batches {
            all.add(*items, payer.as_ref(), what);
        }
        Arc::new(all)
    }

    fn add(&self, items: u32, payer: Option<&Payer>, what: &str) {
        let batch = BatchId(Uuid::now_v7());
        let item = |index| Claimed {
            ticket: Ticket {
                batch,
                index,
                lease: Uuid::nil(),
            },
            tenant: TenantId::local(),
            payer: payer.cloned(),
            caption: CaptionId(Uuid::now_v7()),
            request: format!("{what} number {index} on the counter of a bakery"),
            tries: 0,
            reclaimed: false,
        };
        lock(&self.items).extend((0..items).map(|index| (item(index), Instant::now())));
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
        let outcome = lock(&self.submits).clone();
        match outcome {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }

    async fn list(&self, _: &Context, _: Option<BatchId>, _: u32) -> Result<Vec<Batch>, StoreError> {
        Ok(Vec::new())
    }

    async fn read(&self, _: &Context, _: BatchId, _: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError> {
        Ok(None)
    }

    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError> {
        lock(&self.changes).push((cx.tenant.clone(), id, change));
        Ok(None)
    }

    async fn claim(&self, _: &Context, turn: &Turn) -> Result<Taken, StoreError> {
        let now = Instant::now();
        lock(&self.claims).push((now, turn.clone()));
        let mut items = lock(&self.items);
        let waiting = u64::try_from(items.len()).unwrap();
        let may_be_had = |item: &Claimed, due: Instant| due <= now && !turn.held.contains(&item.ticket.batch);
        let first = items.iter().find(|(item, due)| may_be_had(item, *due));
        let batch = first.map(|(item, _)| item.ticket.batch);
        let due = items
            .iter_mut()
            .filter(|(item, due)| Some(item.ticket.batch) == batch && may_be_had(item, *due));
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
            Settlement::Succeeded(_) | Settlement::Failed { .. } => drop(items.remove(place)),
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

/// Before the writer; closed to whoever names it.
struct Door(Guarded<dyn LlmProvider>);

#[async_trait]
impl LlmProvider for Door {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        if prompt.provider.is_some() {
            let fault = Fault::new(FaultKind::CircuitOpen {
                retry_after: Duration::from_secs(30),
            });
            return Err(fault.into());
        }
        self.0.complete(cx, prompt).await
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        self.0.stream(cx, prompt).await
    }

    fn describe(&self) -> &Description {
        self.0.describe()
    }
}

/// A request of these words that is kept nowhere. What is about a cake names its provider.
fn request(words: &str) -> CaptionRequest {
    let named = words.starts_with("Cake").then(|| ProviderName::new("writer").unwrap());
    CaptionRequest {
        store: false,
        provider: named,
        ..CaptionRequest::new(build::description(words))
    }
}

const FORMS: Forms = Forms {
    request: |words| Ok(request(words)),
    answer: |_, _, _| "written".to_owned(),
    record: |_| "found".to_owned(),
    failure: |error, _| error.to_string(),
    given_up: |tries, _| format!("{tries} lost"),
    key_ended: |_, _, _| "key_ended".to_owned(),
};

/// Workers over the shelf, by these settings; `slots` calls of the writer at once.
fn batches(shelf: &Arc<Shelf>, writer: &Arc<Writer>, slots: usize, settings: &[(&str, &str)]) -> Batches {
    let machine = settings
        .iter()
        .fold(Machine::new(), |machine, (key, value)| machine.flag(key, value));
    Batches::new(parts(shelf, writer, slots, machine.loads().settings.batches))
}

const FAMILY: &str = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

/// Keys of which every family has one, in this standing and with one request an hour and a budget.
fn standing(standing: Standing) -> MockKeyStore {
    let mut keys = MockKeyStore::new();
    keys.expect_find().returning(move |cx, by| {
        let By::Family(family) = by else { unreachable!("{by:?}") };
        let mut key = build::key_bare(&cx.tenant, &build::secret());
        key.family = family;
        key.limits = KeyLimits {
            requests_per_hour: Some(1),
            budget: Some(Budget {
                limit: Money::from_micros(7),
                per: Period::Day,
            }),
            ..KeyLimits::default()
        };
        match standing {
            Standing::Active => {}
            Standing::Expired => key.expires_at = Some(cx.now),
            Standing::Revoked => key.revoked_at = Some(cx.now),
        }
        Ok(Some(key))
    });
    keys
}

fn payer() -> Payer {
    Payer {
        family: FAMILY.to_owned(),
        limits: KeyLimits::default(),
    }
}

fn parts(shelf: &Arc<Shelf>, writer: &Arc<Writer>, slots: usize, settings: settings::Batches) -> Parts {
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
        llm: Arc::new(Door(Guarded::new(writer, Policy::new(policy)))),
        rungs: Vec::new(),
        options: Options {
            caption_ttl: Duration::from_hours(1),
            stale: false,
            templates: Templates::default(),
        },
    };
    Parts {
        queue: Arc::<Shelf>::clone(shelf),
        shared: None,
        engine: Arc::new(engine),
        keys: Arc::new(standing(Standing::Active)),
        budget: None,
        callers: Limiter::new(Arc::new(MemoryQuota::new(16)), Plan::default()),
        settings,
        max_attempts: 3,
        tally: Arc::new(Tally::up_to(100)),
        time_for_background: Duration::from_secs(10),
        tasks: Tasks::new(1000),
    }
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
    lock(&shelf.items)[1].0.payer = Some(payer());
    let batches = Batches::new(Parts {
        budget: Some(budget),
        ..parts(&shelf, &writer, 1, Machine::new().loads().settings.batches)
    });

    batches.work(FORMS, 1, None);

    shelf.settles(2).await;
    assert_eq!(
        *lock(&writer.payers),
        [
            vec!["tenant".to_owned()],
            vec![format!("key:{FAMILY}"), "tenant".to_owned()]
        ]
    );
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
    let has_failed = matches!(how, Settlement::Failed { .. });
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
    assert!(matches!(how, Settlement::Failed { .. }), "{how:?}");
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
    assert!(matches!(settled[2].2, Settlement::Failed { .. }));
    assert_eq!(writer.calls().len(), 3);
}

#[rstest]
#[case::revoked(Standing::Revoked)]
#[case::expired(Standing::Expired)]
#[tokio::test(start_paused = true)]
async fn of_a_key_that_opens_nothing_any_more_nothing_is_begun_and_the_rest_is(#[case] how: Standing) {
    let shelf = Shelf::of_batches(&[(3, Some(payer()), "Roll"), (2, None, "Loaf")]);
    let writer = Writer::taking(WRITING);
    let batches = Batches::new(Parts {
        keys: Arc::new(standing(how)),
        ..parts(&shelf, &writer, 1, Machine::new().loads().settings.batches)
    });

    batches.work(FORMS, 1, None);

    let settled = shelf.settles(5).await;
    let ended: Vec<_> = settled
        .iter()
        .filter_map(|(_, _, how)| match how {
            Settlement::Failed { document, is_final } => Some((document.contains("key_ended"), *is_final)),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(true, true); 3]);
    assert_eq!(writer.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_keys_cannot_be_asked_nothing_is_begun_with_one() {
    let mut keys = MockKeyStore::new();
    let mut calls = 0;
    keys.expect_find().returning(move |cx, _| {
        calls += 1;
        match calls {
            1..=3 => Err(Fault::new(FaultKind::Unavailable).into()),
            _ => Ok(Some(build::key_bare(&cx.tenant, &build::secret()))),
        }
    });
    let shelf = Shelf::of_batches(&[(1, Some(payer()), "Roll")]);
    let writer = Writer::taking(WRITING);
    let batches = Batches::new(Parts {
        keys: Arc::new(keys),
        ..parts(&shelf, &writer, 1, Machine::new().loads().settings.batches)
    });

    batches.work(FORMS, 1, None);

    let settled = shelf.settles(4).await;
    let counts = |how: &Settlement| !matches!(how, Settlement::Later { counts: false, .. });
    assert!(!settled[..3].iter().any(|(_, _, how)| counts(how)), "{settled:?}");
    assert!(matches!(settled[3].2, Settlement::Succeeded(_)), "{settled:?}");
    assert_eq!(writer.calls().len(), 1);
}

#[rstest]
#[case::refused(LlmError::Refused, true)]
#[case::too_long(LlmError::TooLong, true)]
#[case::spent(Unpaid::OverBudget { account: Account::Tenant, ends_in: LONG }.into(), false)]
#[case::wrong_model(LlmError::Rejected { kind: Rejection::Request, detail: String::new() }, false)]
#[tokio::test(start_paused = true)]
async fn what_may_succeed_later_is_not_final(#[case] error: LlmError, #[case] expected: bool) {
    let shelf = Shelf::of(1);
    let writer = Writer::failing_with(error);
    let batches = batches(&shelf, &writer, 1, &[]);

    batches.work(FORMS, 1, None);

    let settled = shelf.settles(1).await;
    let Settlement::Failed { is_final, .. } = settled[0].2 else {
        panic!("{settled:?}")
    };
    assert_eq!(is_final, expected);
}

#[tokio::test(start_paused = true)]
async fn whoever_pays_and_is_at_the_limit_holds_up_no_other_batch_of_the_tenant() {
    let shelf = Shelf::of_batches(&[(3, Some(payer()), "Roll"), (5, None, "Loaf")]);
    let writer = Writer::taking(WRITING);
    let batches = batches(&shelf, &writer, 1, &[("batches.poll", "0.1")]);
    batches.work(FORMS, 1, None);

    sleep(Duration::from_secs(5)).await;

    let written = |how: &Settlement| matches!(how, Settlement::Succeeded(_));
    let written = shelf.settled().iter().filter(|(_, _, how)| written(how)).count();
    assert_eq!(written, 1 + 5);
    assert_eq!(
        lock(&shelf.items).len(),
        2,
        "the others of the first wait for their hour"
    );
}

#[tokio::test(start_paused = true)]
async fn who_names_a_provider_that_is_left_alone_holds_up_nobody_who_does_not() {
    let shelf = Shelf::of_batches(&[(3, None, "Cake"), (5, None, "Loaf")]);
    let writer = Writer::taking(WRITING);
    let batches = batches(&shelf, &writer, 1, &[("batches.poll", "0.1")]);
    batches.work(FORMS, 1, None);

    sleep(Duration::from_secs(5)).await;

    assert_eq!(writer.calls().len(), 5);
    let untried = lock(&shelf.items).iter().all(|(item, _)| item.tries == 0);
    assert!(untried && lock(&shelf.items).len() == 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_before_the_process_ended_is_not_given_back() {
    for stored in [true, false] {
        let (shelf, writer) = (Shelf::of(1), Writer::taking(LONG));
        let mut parts = parts(&shelf, &writer, 1, Machine::new().loads().settings.batches);
        let mut captions = MockCaptionStore::new();
        captions
            .expect_read()
            .returning(move |_, _| Ok(stored.then(build::record_bare)));
        Arc::get_mut(&mut parts.engine).unwrap().captions = Arc::new(captions);
        let tasks = parts.tasks.clone();
        let batches = Batches::new(parts);
        batches.work(FORMS, 1, None);
        sleep(WRITING).await;

        tasks.drain(Duration::from_secs(10)).await;

        let (_, _, how) = shelf.settled().remove(0);
        let expected = if stored {
            Settlement::Succeeded("found".to_owned())
        } else {
            Settlement::Later {
                after: Duration::ZERO,
                counts: false,
            }
        };
        assert_eq!(how, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_for_which_the_machine_has_no_task_is_given_back_untried() {
    let (shelf, writer) = (Shelf::of(1), Writer::taking(WRITING));
    let mut parts = parts(&shelf, &writer, 1, Machine::new().loads().settings.batches);
    // The one that looks for work.
    parts.tasks = Tasks::new(1);
    let batches = Batches::new(parts);

    batches.work(FORMS, 1, None);

    shelf.settles(3).await;
    assert!(
        lock(&shelf.items)
            .iter()
            .all(|(item, _)| item.tries <= 1 && !item.reclaimed)
    );
    assert!(
        shelf
            .settled()
            .iter()
            .all(|(_, _, how)| matches!(how, Settlement::Later { counts: false, .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn looks_grow_rarer_while_there_is_nothing_to_do_and_word_of_a_batch_ends_that() {
    let (shelf, writer) = (Shelf::of(0), Writer::taking(WRITING));
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let told = futures_util::stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    let mut parts = parts(
        &shelf,
        &writer,
        1,
        Machine::new().flag("batches.poll", "1").loads().settings.batches,
    );
    let mut cache = MockCache::new();
    cache.expect_remove().times(1).returning(|_, key| {
        assert_eq!(*key, news());
        Ok(())
    });
    parts.shared = Some((Arc::new(cache), told.boxed()));
    let batches = Batches::new(parts);
    batches.work(FORMS, 1, None);

    sleep(Duration::from_mins(10)).await;

    // One each second would be 600. The jitter is a quarter.
    let looks = lock(&shelf.claims).len();
    assert!((60..=110).contains(&looks), "{looks}");
    for word in [
        Invalidation::One(build::context().tenant, news()),
        Invalidation::Everything,
    ] {
        let before = lock(&shelf.claims).len();
        shelf.add(1, None, "Loaf");
        let heard = Instant::now();
        tell.send(word).unwrap();
        while lock(&shelf.claims).len() == before {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(heard.elapsed() < Duration::from_millis(10));
        sleep(Duration::from_mins(2)).await;
    }
    let before = lock(&shelf.claims).len();
    let other = CacheKey::new("key", &blake3::hash(b"other"));
    tell.send(Invalidation::One(build::context().tenant, other)).unwrap();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(
        lock(&shelf.claims).len(),
        before,
        "what is not about batches wakes nobody"
    );
    let new = contract::batches::batch(1);
    batches.submit(&build::context(), &new).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(lock(&shelf.claims).len(), before + 1);
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
    assert!(claims.iter().skip(1).any(|(_, turn)| turn.tidy.is_some()));
}

#[rstest]
#[case::breaks_off(None, true)]
#[case::fails(Some(Err(Fault::new(FaultKind::Timeout).into())), true)]
#[case::finds_no_room(Some(Err(StoreError::Full { open: 3, most: 3 })), false)]
#[case::is_kept(Some(Ok(())), false)]
#[tokio::test(start_paused = true)]
async fn what_there_is_of_a_submission_that_is_discarded(
    #[case] outcome: Option<Result<(), StoreError>>,
    #[case] is_discarded: bool,
) {
    let shelf = Shelf::of(0);
    *lock(&shelf.submits) = outcome;
    let batches = batches(&shelf, &Writer::failing(), 1, &[]);
    let (cx, batch) = (build::context(), contract::batches::batch(1));

    drop(timeout(Duration::from_secs(1), batches.submit(&cx, &batch)).await);
    batches.0.tasks.drain(LONG).await;

    let discarded = is_discarded.then(|| (cx.tenant.clone(), batch.id, Change::Discard));
    assert_eq!(*lock(&shelf.changes), Vec::from_iter(discarded));
}
