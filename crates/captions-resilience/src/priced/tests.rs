use std::sync::{LazyLock, Mutex};

use captions_domain::{
    budget::{Account, Budget, Payer, Period, Spend},
    caption::Usage,
    ports::{Grade, MockKeyStore, MockLlmProvider},
    usage::{Amounts, Tab, Tally},
};
use futures_util::stream;
use rstest::rstest;

use super::*;
use crate::samples::{context, prompt, relaxed};

/// What a call does.
#[derive(Clone)]
enum Act {
    /// Answers with so many tokens of the prompt and of the answer, after so many calls.
    Answer(u32, Option<(u64, u64)>),
    Fail(u32, LlmError),
    /// A stream that breaks off in the middle.
    BreakOff(LlmError),
    Hang,
}

fn credit(tokens: Option<(u64, u64)>) -> Credit {
    Credit {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        grade: Grade::Standard,
        first_choice: true,
        usage: tokens.map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            cost: None,
        }),
        provider_request_id: None,
    }
}

fn begin(cx: &Context, calls: u32) {
    for _ in 0..calls {
        assert!(cx.attempts.begin());
    }
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| Description {
    provider: "p".to_owned(),
    model: "m".to_owned(),
    grade: Grade::Standard,
    members: vec!["p".to_owned()],
    languages: None,
    seeing: Vec::new(),
    rewrites: true,
    fingerprint: "p/m".to_owned(),
});

struct Provider(Act);

#[async_trait]
impl LlmProvider for Provider {
    async fn complete(&self, cx: &Context, _: &Prompt) -> Result<Completion, LlmError> {
        match self.0.clone() {
            Act::Answer(calls, tokens) => {
                begin(cx, calls);
                Ok(Completion {
                    text: "text".to_owned(),
                    credit: credit(tokens),
                })
            }
            Act::Fail(calls, error) => {
                begin(cx, calls);
                Err(error)
            }
            Act::BreakOff(error) => {
                begin(cx, 1);
                Err(error)
            }
            Act::Hang => {
                begin(cx, 1);
                std::future::pending().await
            }
        }
    }

    async fn stream(&self, cx: &Context, _: &Prompt) -> Result<ChunkStream, LlmError> {
        let text = || Ok(Chunk::Text("text".to_owned()));
        match self.0.clone() {
            Act::Answer(calls, tokens) => {
                begin(cx, calls);
                Ok(stream::iter([text(), Ok(Chunk::End(credit(tokens)))]).boxed())
            }
            Act::Fail(calls, error) => {
                begin(cx, calls);
                Err(error)
            }
            Act::BreakOff(error) => {
                begin(cx, 1);
                Ok(stream::iter([text(), Err(error)]).boxed())
            }
            Act::Hang => {
                begin(cx, 1);
                Ok(stream::iter([text()]).chain(stream::pending()).boxed())
            }
        }
    }

    fn describe(&self) -> &Description {
        &DESCRIPTION
    }
}

fn prices(input: &str, output: &str) -> Prices {
    Prices {
        input: input.parse().unwrap(),
        output: output.parse().unwrap(),
        currency: "USD".parse().unwrap(),
    }
}

fn usual() -> Prices {
    prices("0.15", "0.60")
}

/// A ledger that answers like this, and all that it was asked.
fn ledger(told: Result<Spent, StoreError>) -> (Ledger, Arc<Mutex<Vec<Spend>>>) {
    let asked = Arc::<Mutex<Vec<Spend>>>::default();
    let mut keys = MockKeyStore::new();
    let noted = Arc::clone(&asked);
    keys.expect_spend().returning(move |_, spend| {
        noted.lock().unwrap().push(spend.clone());
        match spend.step {
            Step::Settle { .. } => Ok(Spent::Settled),
            _ => told.clone(),
        }
    });
    let (keys, tasks) = (Arc::new(keys), Tasks::new(100));
    let lease = Duration::from_secs(60);
    (Ledger { keys, tasks, lease }, asked)
}

/// A request of somebody with a budget, that may make three calls.
fn paying() -> Context {
    Context {
        payers: Payer::all(
            None,
            Some(Budget {
                limit: "25".parse().unwrap(),
                per: Period::Day,
            }),
        ),
        ..context(Duration::from_secs(20), 3)
    }
}

async fn ask(priced: &Priced, cx: &Context, streamed: bool) -> Result<Credit, LlmError> {
    if !streamed {
        return Ok(priced.complete(cx, &prompt()).await?.credit);
    }
    let mut chunks = priced.stream(cx, &prompt()).await?;
    while let Some(chunk) = chunks.next().await {
        if let Chunk::End(credit) = chunk? {
            return Ok(credit);
        }
    }
    panic!("no end")
}

#[rstest]
#[case::both_told(Some((1200, 387)), usual(), Some("0.000413"))]
#[case::nothing_told(None, usual(), None)]
#[case::no_tokens_of_the_answer_told(Some((1200, 0)), usual(), None)]
#[case::no_tokens_of_the_prompt_told(Some((0, 387)), usual(), None)]
#[case::free_whatever_was_told(Some((0, 0)), prices("0", "0"), Some("0.00"))]
#[tokio::test]
async fn an_answer_tells_its_cost_and_what_was_not_told_is_not_guessed(
    #[case] tokens: Option<(u64, u64)>,
    #[case] prices: Prices,
    #[case] expected: Option<&str>,
    #[values(true, false)] streamed: bool,
) {
    let (ledger, _) = ledger(Ok(Spent::Granted));
    let priced = Priced::new(Arc::new(Provider(Act::Answer(1, tokens))), Some(prices), ledger);

    let credit = ask(&priced, &relaxed(), streamed).await.unwrap();

    let cost = credit.usage.and_then(|usage| usage.cost);
    assert_eq!(cost.map(|cost| cost.amount.to_string()).as_deref(), expected);
}

#[rstest]
#[tokio::test]
async fn what_a_provider_told_counts_for_the_request_whatever_becomes_of_the_answer(
    #[values(true, false)] streamed: bool,
) {
    let (ledger, _) = ledger(Ok(Spent::Granted));
    let priced = Priced::new(Arc::new(Provider(Act::Answer(1, Some((1200, 387))))), None, ledger);
    let cx = relaxed();
    assert_eq!(cx.attempts.tokens(None), 0);

    ask(&priced, &cx, streamed).await.unwrap();

    assert_eq!(cx.attempts.tokens(None), 1587);
    cx.attempts.cut_off(13);
    assert_eq!(cx.attempts.tokens(None), 1600);
}

#[rstest]
#[case::nobody_counts(relaxed(), Some(usual()))]
#[case::nothing_costs_anything(paying(), Some(prices("0", "0")))]
#[tokio::test]
async fn what_needs_no_budget_asks_nobody(
    #[case] cx: Context,
    #[case] prices: Option<Prices>,
    #[values(true, false)] streamed: bool,
) {
    let (ledger, asked) = ledger(Ok(Spent::Granted));
    let tasks = ledger.tasks.clone();
    let priced = Priced::new(Arc::new(Provider(Act::Answer(1, Some((10, 10))))), prices, ledger);

    ask(&priced, &cx, streamed).await.unwrap();

    drop(priced);
    tasks.drain(Duration::from_secs(10)).await;
    assert_eq!(*asked.lock().unwrap(), []);
}

fn fault(kind: FaultKind) -> LlmError {
    Fault::new(kind).into()
}

/// Settled to so many upper bounds of one call, and a cost in millionths.
#[rstest]
#[case::told(Act::Answer(1, Some((1200, 387))), 0, 413)]
#[case::not_told(Act::Answer(1, None), 1, 0)]
#[case::told_at_the_third_try(Act::Answer(3, Some((1200, 387))), 2, 413)]
#[case::no_call_was_made(Act::Fail(0, fault(FaultKind::Overloaded)), 0, 0)]
#[case::turned_down(Act::Fail(1, fault(FaultKind::RateLimited { retry_after: None })), 0, 0)]
#[case::not_reached(Act::Fail(1, fault(FaultKind::Unavailable)), 0, 0)]
#[case::silent(Act::Fail(1, fault(FaultKind::Timeout)), 1, 0)]
#[case::silent_before_the_deadline_came(Act::Fail(0, fault(FaultKind::Timeout)), 0, 0)]
#[case::unusable(Act::Fail(1, LlmError::unusable("cut off")), 1, 0)]
#[case::refused(Act::Fail(1, LlmError::Refused), 1, 0)]
#[case::turned_down_after_a_try(Act::Fail(2, fault(FaultKind::Unavailable)), 1, 0)]
#[tokio::test]
async fn the_bound_of_all_calls_is_reserved_and_what_they_cost_is_settled(
    #[case] act: Act,
    #[case] bounds: u32,
    #[case] cost: u64,
    #[values(true, false)] streamed: bool,
) {
    let (ledger, asked) = ledger(Ok(Spent::Granted));
    let tasks = ledger.tasks.clone();
    let priced = Priced::new(Arc::new(Provider(act)), Some(usual()), ledger);
    let cx = paying();

    drop(ask(&priced, &cx, streamed).await);

    tasks.drain(Duration::from_secs(10)).await;
    let bound = budget::bound(&prompt(), &usual());
    let asked = asked.lock().unwrap();
    let [reserve, settle] = &**asked else {
        panic!("{asked:?}")
    };
    let (
        Step::Reserve { id, amount, expires_at },
        Step::Settle {
            id: settled,
            amount: spent,
        },
    ) = (reserve.step, settle.step)
    else {
        panic!("{asked:?}")
    };
    assert_eq!(amount, bound.times(3));
    assert!(expires_at > cx.now + Duration::from_secs(75) && expires_at <= cx.now + Duration::from_secs(80));
    assert_eq!(settled, id);
    assert_eq!(spent, bound.times(bounds).saturating_add(Money::from_micros(cost)));
    assert_eq!((&settle.account, settle.period), (&reserve.account, reserve.period));
}

#[tokio::test]
async fn what_breaks_off_in_the_middle_may_have_been_paid() {
    let (ledger, asked) = ledger(Ok(Spent::Granted));
    let tasks = ledger.tasks.clone();
    let act = Act::BreakOff(fault(FaultKind::Unavailable));
    let priced = Priced::new(Arc::new(Provider(act)), Some(usual()), ledger);

    assert!(ask(&priced, &paying(), true).await.is_err());

    tasks.drain(Duration::from_secs(10)).await;
    assert_eq!(settled(&asked), budget::bound(&prompt(), &usual()));
}

fn settled(asked: &Mutex<Vec<Spend>>) -> Money {
    match asked.lock().unwrap().last().map(|spend| spend.step) {
        Some(Step::Settle { amount, .. }) => amount,
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn who_leaves_in_the_middle_pays_the_bound_of_the_calls_that_were_made(#[values(true, false)] streamed: bool) {
    let (ledger, asked) = ledger(Ok(Spent::Granted));
    let tasks = ledger.tasks.clone();
    let priced = Priced::new(Arc::new(Provider(Act::Hang)), Some(usual()), ledger);

    let cx = paying();
    let left = tokio::time::timeout(Duration::from_millis(50), ask(&priced, &cx, streamed)).await;

    assert!(left.is_err());
    tasks.drain(Duration::from_secs(10)).await;
    assert_eq!(settled(&asked), budget::bound(&prompt(), &usual()));
}

#[rstest]
#[case::spent(Ok(Spent::Refused))]
#[case::store_away(Err(Fault::new(FaultKind::Unavailable).into()))]
#[tokio::test]
async fn what_is_not_paid_for_is_not_called(
    #[case] told: Result<Spent, StoreError>,
    #[values(true, false)] streamed: bool,
) {
    let is_spent = told.is_ok();
    let (ledger, asked) = ledger(told);
    let tasks = ledger.tasks.clone();
    let priced = Priced::new(Arc::new(MockLlmProvider::new()), Some(usual()), ledger);

    let error = ask(&priced, &paying(), streamed).await.unwrap_err();

    tasks.drain(Duration::from_secs(10)).await;
    if is_spent {
        // 1970 begins with a whole day before it.
        let LlmError::Unpaid(Unpaid::OverBudget { ends_in, .. }) = error else {
            panic!("{error:?}")
        };
        assert!(ends_in <= Duration::from_hours(24));
        assert_eq!(asked.lock().unwrap().len(), 1);
    } else {
        assert!(matches!(error, LlmError::Unpaid(Unpaid::Uncounted(_))), "{error:?}");
        // What a lost answer may have reserved is given back.
        assert_eq!(settled(&asked), Money::ZERO);
    }
}

#[tokio::test]
async fn what_has_no_price_is_not_for_those_with_a_budget() {
    let (ledger, asked) = ledger(Ok(Spent::Granted));
    let priced = Priced::new(Arc::new(MockLlmProvider::new()), None, ledger);

    let error = ask(&priced, &paying(), false).await.unwrap_err();

    assert!(matches!(error, LlmError::Rejected { .. }), "{error:?}");
    assert_eq!(*asked.lock().unwrap(), []);
}

/// The family's is reserved first; where the tenant's does not fit, it is given back.
#[rstest]
#[tokio::test]
async fn a_key_with_a_budget_counts_with_its_tenants_too(#[values(true, false)] fits: bool) {
    let asked = Arc::<Mutex<Vec<Spend>>>::default();
    let mut keys = MockKeyStore::new();
    let noted = Arc::clone(&asked);
    keys.expect_spend().returning(move |_, spend| {
        noted.lock().unwrap().push(spend.clone());
        Ok(match (spend.step, &spend.account) {
            (Step::Settle { .. }, _) => Spent::Settled,
            (_, Account::Tenant) if !fits => Spent::Refused,
            _ => Spent::Granted,
        })
    });
    let tasks = Tasks::new(100);
    let ledger = Ledger {
        keys: Arc::new(keys),
        tasks: tasks.clone(),
        lease: Duration::from_secs(60),
    };
    let priced = Priced::new(
        Arc::new(Provider(Act::Answer(1, Some((1200, 387))))),
        Some(usual()),
        ledger,
    );
    let budget = paying().payers[0].budget;
    let payers = Payer::all(Some(("f".to_owned(), budget)), Some(budget));

    let answer = ask(&priced, &Context { payers, ..paying() }, false).await;

    tasks.drain(Duration::from_secs(10)).await;
    let told: Vec<_> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|spend| match spend.step {
            Step::Settle { amount, .. } => (spend.account.to_string(), Some(amount.micros())),
            _ => (spend.account.to_string(), None),
        })
        .collect();
    let step = |account: &str, settled| (account.to_owned(), settled);
    let mut expected = vec![step("key:f", None), step("tenant", None)];
    if fits {
        expected.extend([step("key:f", Some(413)), step("tenant", Some(413))]);
    } else {
        expected.push(step("key:f", Some(0)));
    }
    assert_eq!((told, answer.is_ok()), (expected, fits));
}

/// The store is away for five minutes when the answer is there.
#[tokio::test(start_paused = true)]
async fn settling_waits_for_a_store_that_is_away() {
    let back = Instant::now() + Duration::from_mins(5);
    let settled = Arc::<Mutex<Vec<Spend>>>::default();
    let mut keys = MockKeyStore::new();
    let noted = Arc::clone(&settled);
    keys.expect_spend().returning(move |_, spend| match spend.step {
        Step::Settle { .. } if Instant::now() < back => Err(Fault::new(FaultKind::Unavailable).into()),
        Step::Settle { .. } => {
            noted.lock().unwrap().push(spend.clone());
            Ok(Spent::Settled)
        }
        _ => Ok(Spent::Granted),
    });
    let ledger = Ledger {
        keys: Arc::new(keys),
        tasks: Tasks::new(100),
        lease: Duration::from_secs(60),
    };
    let priced = Priced::new(
        Arc::new(Provider(Act::Answer(1, Some((1200, 387))))),
        Some(usual()),
        ledger,
    );

    ask(&priced, &paying(), false).await.unwrap();

    let known = || !settled.lock().unwrap().is_empty();
    while !known() {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(Instant::now() < back + Duration::from_secs(5));
}

fn on_a_tab() -> (Context, Arc<Tally>) {
    let tally = Arc::new(Tally::up_to(10));
    let tab = Tab {
        tally: Some(Arc::clone(&tally)),
        ..Tab::default()
    };
    (Context { tab, ..relaxed() }, tally)
}

fn one_row(tally: &Tally) -> Amounts {
    let rows = tally.take(10);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row.place.provider.as_deref(), Some("p"));
    assert_eq!(row.place.model.as_deref(), Some("m"));
    row.amounts
}

/// Calls, those without a price, tokens of both directions, cost.
type Sums = (u64, u64, u64, u64, &'static str);

#[rstest]
#[case::told(Act::Answer(1, Some((1200, 387))), Some(usual()), (1, 0, 1200, 387, "0.000413"))]
#[case::told_at_the_second_try(Act::Answer(2, Some((1200, 387))), Some(usual()), (2, 1, 1200, 387, "0.000413"))]
#[case::nothing_told(Act::Answer(1, None), Some(usual()), (1, 1, 0, 0, "0.00"))]
#[case::no_price(Act::Answer(1, Some((1200, 387))), None, (1, 1, 1200, 387, "0.00"))]
#[case::free(Act::Answer(1, Some((9, 9))), Some(prices("0", "0")), (1, 0, 9, 9, "0.00"))]
#[case::refused(Act::Fail(1, LlmError::Refused), Some(usual()), (1, 1, 0, 0, "0.00"))]
#[case::turned_down(Act::Fail(1, LlmError::TooLong), Some(usual()), (1, 0, 0, 0, "0.00"))]
#[tokio::test]
async fn calls_are_on_the_tab_of_their_request_whoever_pays(
    #[case] act: Act,
    #[case] prices: Option<Prices>,
    #[case] (calls, unpriced, input, output, cost): Sums,
    #[values(true, false)] streamed: bool,
) {
    let (ledger, _) = ledger(Ok(Spent::Granted));
    let priced = Priced::new(Arc::new(Provider(act)), prices, ledger);
    let (cx, tally) = on_a_tab();

    drop(ask(&priced, &cx, streamed).await);

    let expected = Amounts {
        calls,
        unpriced_calls: unpriced,
        input_tokens: input,
        output_tokens: output,
        cost: cost.parse().unwrap(),
        ..Amounts::default()
    };
    assert_eq!(one_row(&tally), expected);
}

/// Says how much was cut off as it is dropped, as the policy around a provider does.
struct CutOff(Context);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.attempts.cut_off(321);
    }
}

struct CutOffProvider;

#[async_trait]
impl LlmProvider for CutOffProvider {
    async fn complete(&self, cx: &Context, _: &Prompt) -> Result<Completion, LlmError> {
        begin(cx, 1);
        let _guess = CutOff(cx.clone());
        std::future::pending().await
    }

    async fn stream(&self, cx: &Context, _: &Prompt) -> Result<ChunkStream, LlmError> {
        begin(cx, 1);
        let guess = CutOff(cx.clone());
        let hangs = stream::once(async move {
            let _guess = guess;
            std::future::pending::<()>().await;
            Ok(Chunk::Text("never".to_owned()))
        });
        Ok(stream::iter([Ok(Chunk::Text("text".to_owned()))]).chain(hangs).boxed())
    }

    fn describe(&self) -> &Description {
        &DESCRIPTION
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn who_leaves_has_what_was_cut_off_on_the_tab(#[values(true, false)] streamed: bool) {
    let (ledger, _) = ledger(Ok(Spent::Granted));
    let priced = Priced::new(Arc::new(CutOffProvider), Some(usual()), ledger);
    let (cx, tally) = on_a_tab();

    drop(tokio::time::timeout(Duration::from_secs(1), ask(&priced, &cx, streamed)).await);

    let expected = Amounts {
        calls: 1,
        unpriced_calls: 1,
        guessed_tokens: 321,
        ..Amounts::default()
    };
    assert_eq!(one_row(&tally), expected);
}
