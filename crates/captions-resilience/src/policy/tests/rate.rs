//! How often calls are made.

use std::{collections::HashMap, pin::pin, sync::Arc};

use async_trait::async_trait;
use captions_domain::{
    caption::Usage,
    limiter::Limiter,
    ports::{Chunk, Completion, Credit, Grade, LlmProvider, MockLlmProvider, Quota, QuotaKey},
    quota::{Amount, Decision, Meter, Notice, Plan, Presence, Reading, Take, Unit, Window},
};
use futures_util::{StreamExt, future::join_all, stream};
use rstest::rstest;
use tokio::time::timeout;

use super::*;
use crate::{
    failover::Failover,
    guarded::Guarded,
    rate::Headroom,
    samples::{Actor, context, prompt, rate_limited, relaxed},
};

/// Meters on the clock of the tests.
struct Meters {
    start: Instant,
    meters: Mutex<HashMap<QuotaKey, Meter>>,
}

#[async_trait]
impl Quota for Meters {
    async fn take(&self, _: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap();
        let mut meters = self.meters.lock().unwrap();
        Ok(meters.entry(key.clone()).or_default().take(plan, take, now))
    }

    async fn attend(&self, _: &Context, _: &QuotaKey, _: &Presence) -> Result<Option<u64>, Fault> {
        Ok(Some(0))
    }
}

fn limiter(plan: Plan) -> Limiter {
    let meters = Meters {
        start: Instant::now(),
        meters: Mutex::default(),
    };
    Limiter::new(Arc::new(meters), plan)
}

/// So many at once, then one a second.
fn one_a_second(burst: u64) -> Limiter {
    let per = Duration::from_secs(burst);
    limiter(Plan::new([Window::new(Unit::Requests, burst, per)]))
}

fn rate(limiter: &Limiter) -> Rate {
    Rate {
        limit: Some((limiter.clone(), QuotaKey::new("test", "host"))),
        headroom: None,
        longest_wait: Duration::from_secs(5),
        decisions: Arc::default(),
    }
}

fn heard(headroom: &Arc<Headroom>) -> Rate {
    Rate {
        limit: None,
        headroom: Some(Arc::clone(headroom)),
        longest_wait: Duration::from_secs(5),
        decisions: Arc::default(),
    }
}

fn hold(seconds: u64) -> Notice {
    Notice {
        hold: Some(Duration::from_secs(seconds)),
        ..Notice::default()
    }
}

async fn left(limiter: &Limiter) -> Vec<u64> {
    let key = QuotaKey::new("test", "host");
    let nothing = Amount::default();
    let pass = limiter.take(&relaxed(), &key, nothing, Duration::ZERO).await.unwrap();
    pass.room().iter().map(|room| room.left).collect()
}

#[rstest]
#[case::on(true, &[0, 0, 1000, 2000, 3000])]
#[case::off(false, &[0, 0, 0, 0, 0])]
#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_for_their_turn_in_order(#[case] on: bool, #[case] expected: &[u64]) {
    let (limiter, remote) = (one_a_second(2), Remote::slow(ms(0)));
    let (policy, rate) = (policy(settings()), rate(&limiter));
    let decisions = Arc::clone(&rate.decisions);
    let policy = if on { policy.limited(rate) } else { policy };
    let order = Mutex::new(Vec::new());

    let calls = (0..5).map(|number| {
        let (policy, remote, order) = (&policy, &remote, &order);
        async move {
            run(policy, &relaxed(), remote).await.unwrap();
            order.lock().unwrap().push(number);
        }
    });
    join_all(calls).await;

    assert_eq!(
        remote.times(),
        expected.iter().map(|millis| ms(*millis)).collect::<Vec<_>>()
    );
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    let stats = decisions.stats();
    assert_eq!((stats.allowed, stats.waited), if on { (5, 3) } else { (0, 0) });
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_told_when_to_come_back_and_costs_nothing() {
    let limiter = one_a_second(1);
    let rate = Rate {
        longest_wait: ms(900),
        ..rate(&limiter)
    };
    let decisions = Arc::clone(&rate.decisions);
    let policy = policy(settings()).limited(rate);
    let (remote, cx, start) = (Remote::slow(ms(0)), relaxed(), Instant::now());
    run(&policy, &cx, &remote).await.unwrap();

    for _ in 0..10 {
        let refused = run(&policy, &cx, &remote).await;
        assert_eq!(refused, Err(rate_limited(Some(1))));
    }

    assert_eq!((remote.calls(), cx.attempts.begun(), start.elapsed()), (1, 1, ms(0)));
    assert_eq!((decisions.stats().allowed, decisions.stats().refused), (1, 10));
    tokio::time::advance(ms(1000)).await;
    assert_eq!(run(&policy, &cx, &remote).await, Ok("done"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_more_than_half_of_the_time_left_is_not_begun() {
    let limiter = one_a_second(1);
    let policy = policy(settings()).limited(rate(&limiter));
    let (remote, start) = (Remote::slow(ms(0)), Instant::now());
    run(&policy, &relaxed(), &remote).await.unwrap();

    let refused = run(&policy, &context(ms(1990), 3), &remote).await;
    assert_eq!((refused, start.elapsed()), (Err(rate_limited(Some(1))), ms(0)));

    assert_eq!(run(&policy, &context(ms(2000), 3), &remote).await, Ok("done"));
    assert_eq!(start.elapsed(), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn every_try_is_paid_for() {
    let limiter = one_a_second(10);
    let policy = policy(settings()).limited(rate(&limiter));

    let failed = run(&policy, &relaxed(), &Remote::failing(FaultKind::Unavailable)).await;

    assert_eq!(failed, Err(FaultKind::Unavailable));
    // Three of ten, and three quarters of a second of pauses.
    assert_eq!(left(&limiter).await, [7]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_turn_holds_no_slot() {
    let limiter = one_a_second(1);
    let (slow, quick) = (Remote::slow(ms(500)), Remote::slow(ms(0)));
    let slots = SlotSettings {
        max_concurrent: 1,
        ..SlotSettings::default()
    };
    let policy = policy(PolicySettings {
        slots: Some(slots),
        ..settings()
    });
    let slowed = policy.clone().limited(rate(&limiter));
    run(&slowed, &relaxed(), &quick).await.unwrap();

    let cx = relaxed();
    let mut waiting = pin!(run(&slowed, &cx, &quick));
    assert!(timeout(ms(1), &mut waiting).await.is_err());
    // One that shares the slots and is not limited goes through meanwhile.
    assert_eq!(run(&policy, &relaxed(), &slow).await, Ok("done"));
    assert_eq!(waiting.await, Ok("done"));
    assert_eq!(quick.times()[1], ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_used_is_given_back() {
    let limiter = one_a_second(3);
    let policy = policy(settings()).limited(rate(&limiter));
    let remote = Remote::slow(ms(0));
    for _ in 0..3 {
        run(&policy, &relaxed(), &remote).await.unwrap();
    }
    {
        // Three wait and leave.
        let (a, b, c) = (relaxed(), relaxed(), relaxed());
        let waiting = join_all([&a, &b, &c].map(|cx| run(&policy, cx, &remote)));
        assert!(timeout(ms(10), waiting).await.is_err());
    }

    run(&policy, &relaxed(), &remote).await.unwrap();

    assert_eq!((remote.calls(), remote.times()[3]), (4, ms(1000)));
    // One without an attempt left makes no call either.
    let (cx, before) = (context(ms(60_000), 0), remote.calls());
    tokio::time::advance(ms(3000)).await;
    assert_eq!(run(&policy, &cx, &remote).await, Err(FaultKind::Overloaded));
    assert_eq!((remote.calls(), left(&limiter).await), (before, vec![3]));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_does_not_wait_for_a_turn() {
    let limiter = one_a_second(1);
    let policy = policy(PolicySettings {
        hedge_after: Some(ms(50)),
        ..settings()
    })
    .limited(rate(&limiter));
    let remote = Remote::slow(ms(1500));

    assert_eq!(repeat(&policy, &relaxed(), &remote, Repeat::Read).await, Ok("done"));

    assert_eq!(remote.calls(), 1);
}

/// Answers with this usage.
fn provider(usage: Option<Usage>) -> MockLlmProvider {
    let credit = Credit {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        grade: Grade::Standard,
        first_choice: true,
        usage,
        provider_request_id: None,
    };
    let mut provider = MockLlmProvider::new();
    let completion = Completion {
        text: "text".to_owned(),
        credit: credit.clone(),
    };
    provider.expect_complete().returning(move |_, _| Ok(completion.clone()));
    provider.expect_stream().returning(move |_, _| {
        let chunks = [Ok(Chunk::Text("text".to_owned())), Ok(Chunk::End(credit.clone()))];
        Ok(stream::iter(chunks).boxed())
    });
    provider
}

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        cost: None,
    }
}

#[rstest]
#[case::less_than_guessed(Some(usage(30, 40)), 70)]
#[case::more_than_guessed(Some(usage(4000, 1000)), 5000)]
#[case::not_told(None, prompt().tokens())]
#[tokio::test(start_paused = true)]
async fn tokens_are_guessed_first_and_counted_as_they_were(
    #[case] usage: Option<Usage>,
    #[case] counted: u64,
    #[values(true, false)] streamed: bool,
) {
    let limiter = limiter(Plan::per_minute_and_hour(0, 0, 100_000));
    let policy = policy(settings()).limited(rate(&limiter));
    let guarded = Guarded::new(Arc::new(provider(usage)), policy);

    if streamed {
        let chunks = guarded.stream(&relaxed(), &prompt()).await.unwrap();
        assert_eq!(left(&limiter).await, [100_000 - prompt().tokens()]);
        assert_eq!(chunks.count().await, 2);
    } else {
        guarded.complete(&relaxed(), &prompt()).await.unwrap();
    }

    assert_eq!(left(&limiter).await, [100_000 - counted]);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_holds_calls_back() {
    let headroom = Arc::new(Headroom::with_jitter(Jitter::fixed(1.0)));
    let policy = policy(settings()).limited(heard(&headroom));
    let (remote, start) = (Remote::slow(ms(0)), Instant::now());
    headroom.observe(hold(3));

    // Of the five seconds that it may wait two are left then, and it waits for half of these too.
    assert_eq!(run(&policy, &relaxed(), &remote).await, Ok("done"));
    assert_eq!(start.elapsed(), Duration::from_secs(4));

    headroom.observe(hold(30));
    assert_eq!(run(&policy, &relaxed(), &remote).await, Err(rate_limited(Some(30))));
    assert_eq!((remote.calls(), start.elapsed()), (1, Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_for_a_provider_than_it_will_take() {
    let headroom = Arc::new(Headroom::default());
    let policy = policy(settings()).limited(heard(&headroom));
    let (remote, start) = (Remote::slow(ms(0)), Instant::now());
    let none_left = Reading {
        limit: Some(10),
        remaining: 0,
        reset: Duration::from_secs(4),
    };
    headroom.observe(Notice {
        requests: Some(none_left),
        ..Notice::default()
    });

    let callers = (0..1000).map(|_| async { run(&policy, &relaxed(), &remote).await });
    let answers = join_all(callers).await;

    let refused = answers
        .iter()
        .filter(|answer| **answer == Err(rate_limited(Some(4))))
        .count();
    assert_eq!((refused, remote.calls()), (990, 10));
    let first = remote.begun.lock().unwrap()[0] - start;
    assert!(first >= Duration::from_secs(4), "{first:?}");
    assert!(start.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_provider_at_its_limit_is_passed_over_at_once() {
    let headroom = Arc::new(Headroom::default());
    let (first, second) = (Arc::new(Actor::fine("first")), Arc::new(Actor::fine("second")));
    let limited = policy(settings()).limited(Rate {
        longest_wait: ms(1000),
        ..heard(&headroom)
    });
    let chain = Failover::new(
        Arc::new(Guarded::new(Arc::clone(&first), limited)),
        vec![Arc::new(Guarded::new(Arc::clone(&second), policy(settings())))],
    );
    headroom.observe(hold(20));
    let start = Instant::now();

    let answer = chain.complete(&relaxed(), &prompt()).await.unwrap();

    assert_eq!((answer.text.as_str(), answer.credit.first_choice), ("second", false));
    assert_eq!((first.calls(), second.calls(), start.elapsed()), (0, 1, ms(0)));
}

#[tokio::test(start_paused = true)]
async fn a_try_after_retry_after_is_not_held_back_by_it_once_more() {
    let headroom = Arc::new(Headroom::default());
    let policy = policy(settings()).limited(heard(&headroom));
    let told = Arc::clone(&headroom);
    let calls = AtomicUsize::new(0);
    let start = Instant::now();

    let answer: Result<_, Fault> = policy
        .run(&relaxed(), "test.call", Repeat::Safe, || async {
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                told.observe(hold(2));
                return Err(Fault::new(rate_limited(Some(2))));
            }
            Ok("done")
        })
        .await;

    // Only by the pause that is ours.
    assert_eq!((answer.unwrap(), start.elapsed()), ("done", ms(2250)));
}
