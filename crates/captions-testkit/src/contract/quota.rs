//! What every [`Quota`] does, whatever it is made of. Each behaviour is one function; [`suite`] runs them all.
//!
//! Waiting is done on tokio's clock: under `start_paused` (in-memory quotas only) it costs nothing, over real connections
//! it is real. So that a slow machine cannot spoil a count, windows are long where something must not come back meanwhile.
#![expect(clippy::expect_used, reason = "a broken contract must fail the test loudly")]

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::Context,
    ports::{Quota, QuotaKey},
    quota::{Amount, Correction, Decision, Plan, Presence, Take, Unit, Window},
};
use futures_util::{FutureExt, future::join_all};
use tokio::time::sleep;
use uuid::Uuid;

use crate::build::{context, context_of};

/// So long that nothing comes back from it during a test.
const LONG: Duration = Duration::from_hours(24 * 30);

/// Every behaviour, one after the other.
pub async fn suite(quota: Arc<dyn Quota>) {
    let quota = quota.as_ref();
    the_limit_is_given_and_no_more(quota).await;
    a_refusal_tells_when_to_come_back(quota).await;
    what_was_taken_comes_back(quota).await;
    all_windows_or_none(quota).await;
    patience_is_a_place_in_the_line(quota).await;
    corrections_count_also_where_the_take_is_refused(quota).await;
    two_keys_do_not_mix(quota).await;
    two_plans_do_not_mix(quota).await;
    the_tenant_of_the_context_does_not_matter(quota).await;
    no_windows_no_limit(quota).await;
    the_largest_numbers_are_exact(quota).await;
    dropped_calls_leave_the_quota_usable(quota).await;
    so_many_are_there_at_the_same_moment_and_no_more(quota).await;
    who_is_killed_leaves_with_the_lease(quota).await;
}

async fn enter(quota: &dyn Quota, key: &QuotaKey, id: Uuid, limit: u64, lease: Duration) -> Option<u64> {
    let presence = Presence::Enter { id, limit, lease };
    quota.attend(&context(), key, &presence).await.expect("an answer")
}

async fn leave(quota: &dyn Quota, key: &QuotaKey, id: Uuid) {
    let presence = Presence::Leave { id };
    quota.attend(&context(), key, &presence).await.expect("an answer");
}

pub async fn so_many_are_there_at_the_same_moment_and_no_more(quota: &dyn Quota) {
    let (key, other) = (key(), key());
    let [one, two, three] = [(); 3].map(|()| Uuid::now_v7());
    leave(quota, &key, one).await;

    assert_eq!(enter(quota, &key, one, 2, LONG).await, Some(1));
    assert_eq!(enter(quota, &key, two, 2, LONG).await, Some(0));
    assert_eq!(enter(quota, &key, three, 2, LONG).await, None);
    // Who is there already is not counted twice.
    assert_eq!(enter(quota, &key, two, 2, LONG).await, Some(0));
    assert_eq!(enter(quota, &other, three, 1, LONG).await, Some(0), "another key");
    assert_eq!(enter(quota, &key, three, 5, LONG).await, Some(2), "a larger limit");
    leave(quota, &key, one).await;
    leave(quota, &key, one).await;
    assert_eq!(enter(quota, &key, one, 2, LONG).await, None);
    leave(quota, &key, two).await;
    assert_eq!(enter(quota, &key, one, 0, LONG).await, None, "0 acts as 1");
    leave(quota, &key, three).await;
    assert_eq!(enter(quota, &key, one, 0, LONG).await, Some(0));
    // What is taken under the same key is another matter.
    assert!(take(quota, &key, &requests(1), self::one()).await.is_taken);
}

pub async fn who_is_killed_leaves_with_the_lease(quota: &dyn Quota) {
    let key = key();
    let [one, two] = [(); 2].map(|()| Uuid::now_v7());
    // Long enough for two calls over a slow connection.
    let short = Duration::from_secs(2);
    assert_eq!(enter(quota, &key, one, 1, short).await, Some(0));
    assert_eq!(enter(quota, &key, two, 1, LONG).await, None);

    sleep(short + Duration::from_millis(50)).await;

    assert_eq!(enter(quota, &key, two, 1, LONG).await, Some(0));
    assert_eq!(enter(quota, &key, one, 1, LONG).await, None);
    // A lease that is begun anew in time goes on.
    let third = Uuid::now_v7();
    leave(quota, &key, two).await;
    assert_eq!(enter(quota, &key, third, 1, short).await, Some(0));
    assert_eq!(enter(quota, &key, third, 1, LONG).await, Some(0));
    sleep(short + Duration::from_millis(50)).await;
    assert_eq!(enter(quota, &key, one, 1, LONG).await, None);
}

/// A key that no other test uses.
pub fn key() -> QuotaKey {
    QuotaKey::new("contract", &Uuid::now_v7().to_string())
}

async fn take(quota: &dyn Quota, key: &QuotaKey, plan: &Plan, take: Take) -> Decision {
    quota.take(&context(), key, plan, &take).await.expect("a decision")
}

fn one() -> Take {
    Take {
        amount: Amount::request(0),
        ..Take::default()
    }
}

fn requests(limit: u64) -> Plan {
    Plan::new([Window::new(Unit::Requests, limit, LONG)])
}

pub async fn the_limit_is_given_and_no_more(quota: &dyn Quota) {
    let (key, plan) = (key(), requests(5));
    for left in (0..5).rev() {
        let taken = take(quota, &key, &plan, one()).await;
        assert_eq!(
            (taken.is_taken, taken.wait, taken.room()[0].left),
            (true, Duration::ZERO, left)
        );
    }

    let refused = take(quota, &key, &plan, one()).await;

    assert_eq!((refused.is_taken, refused.room()[0].left), (false, 0));
}

pub async fn a_refusal_tells_when_to_come_back(quota: &dyn Quota) {
    let (key, plan) = (
        key(),
        Plan::new([Window::new(Unit::Requests, 2, Duration::from_secs(3))]),
    );
    while take(quota, &key, &plan, one()).await.is_taken {}

    let refused = take(quota, &key, &plan, one()).await;

    if !refused.is_taken {
        assert!(
            refused.wait > Duration::ZERO && refused.wait <= Duration::from_millis(1500),
            "{refused:?}"
        );
        assert_eq!(refused.room()[0].wait, refused.wait);
        // A millisecond for clocks that tick in milliseconds.
        sleep(refused.wait + Duration::from_millis(1)).await;
        assert!(take(quota, &key, &plan, one()).await.is_taken);
    }
}

pub async fn what_was_taken_comes_back(quota: &dyn Quota) {
    let (key, plan) = (
        key(),
        Plan::new([Window::new(Unit::Tokens, 100, Duration::from_millis(500))]),
    );
    let all = Take {
        amount: Amount {
            requests: 0,
            tokens: 100,
        },
        ..Take::default()
    };
    assert!(take(quota, &key, &plan, all).await.is_taken);

    sleep(Duration::from_millis(510)).await;

    assert_eq!(take(quota, &key, &plan, Take::default()).await.room()[0].left, 100);
    assert!(take(quota, &key, &plan, all).await.is_taken);
}

pub async fn all_windows_or_none(quota: &dyn Quota) {
    let plan = Plan::new([
        Window::new(Unit::Requests, 10, LONG),
        Window::new(Unit::Requests, 100, LONG / 2),
        Window::new(Unit::Tokens, 50, LONG),
    ]);
    let key = key();
    let small = Take {
        amount: Amount::request(20),
        ..Take::default()
    };
    assert!(take(quota, &key, &plan, small).await.is_taken);
    assert!(take(quota, &key, &plan, small).await.is_taken);

    let refused = take(quota, &key, &plan, small).await;

    let left: Vec<u64> = refused.room().iter().map(|room| room.left).collect();
    assert_eq!((refused.is_taken, left), (false, vec![8, 98, 10]));
    assert!(
        refused.room()[0].wait.is_zero() && refused.room()[2].wait == refused.wait,
        "{refused:?}"
    );
    assert!(take(quota, &key, &plan, one()).await.is_taken);
}

pub async fn patience_is_a_place_in_the_line(quota: &dyn Quota) {
    let (key, plan) = (key(), requests(30));
    while take(quota, &key, &plan, one()).await.is_taken {}
    let day = Duration::from_hours(24);
    let short = Take {
        patience: day / 48,
        ..one()
    };
    // No patience is taken for longer than an hour, and one comes back in a day.
    assert!(
        !take(
            quota,
            &key,
            &plan,
            Take {
                patience: day * 10,
                ..one()
            }
        )
        .await
        .is_taken
    );
    assert!(!take(quota, &key, &plan, short).await.is_taken);

    let (key, plan) = (
        self::key(),
        Plan::new([Window::new(Unit::Requests, 6, Duration::from_hours(1))]),
    );
    while take(quota, &key, &plan, one()).await.is_taken {}
    let patient = Take {
        patience: Duration::from_mins(25),
        ..one()
    };
    let mut waits = Vec::new();
    for _ in 0..3 {
        let turn = take(quota, &key, &plan, patient).await;
        waits.push((turn.is_taken, turn.wait.as_secs().div_ceil(60)));
    }
    assert_eq!(waits, [(true, 10), (true, 20), (false, 30)]);
    assert!(!take(quota, &key, &plan, one()).await.is_taken);
}

pub async fn corrections_count_also_where_the_take_is_refused(quota: &dyn Quota) {
    let (key, plan) = (key(), Plan::new([Window::new(Unit::Tokens, 1000, LONG)]));
    let tokens = |tokens| Amount { requests: 0, tokens };
    let wanted = |count, correction| Take {
        amount: tokens(count),
        correction,
        ..Take::default()
    };
    assert!(
        take(quota, &key, &plan, wanted(1000, Correction::default()))
            .await
            .is_taken
    );

    let after = take(
        quota,
        &key,
        &plan,
        wanted(900, Correction::of(tokens(1000), tokens(400))),
    )
    .await;
    assert_eq!((after.is_taken, after.room()[0].left), (false, 600));
    let after = take(quota, &key, &plan, wanted(0, Correction::of(tokens(0), tokens(250)))).await;
    assert_eq!((after.is_taken, after.room()[0].left), (true, 350));
    let after = take(quota, &key, &plan, wanted(0, Correction::of(tokens(9000), tokens(0)))).await;
    assert_eq!(
        (after.is_taken, after.room()[0].left),
        (true, 1000),
        "not fuller than full"
    );
    let after = take(quota, &key, &plan, wanted(0, Correction::of(tokens(0), tokens(9000)))).await;
    assert_eq!((after.is_taken, after.room()[0].left), (false, 0), "{after:?}");
    let after = take(quota, &key, &plan, wanted(1, Correction::of(tokens(0), tokens(9000)))).await;
    assert!(
        !after.is_taken && after.room()[0].full_in <= 2 * LONG + Duration::from_secs(1),
        "{after:?}"
    );
}

pub async fn two_keys_do_not_mix(quota: &dyn Quota) {
    let (one_key, other_key, plan) = (key(), key(), requests(1));
    assert!(take(quota, &one_key, &plan, one()).await.is_taken);

    assert!(take(quota, &other_key, &plan, one()).await.is_taken);
    assert!(!take(quota, &one_key, &plan, one()).await.is_taken);
}

pub async fn two_plans_do_not_mix(quota: &dyn Quota) {
    let key = key();
    assert!(take(quota, &key, &requests(1), one()).await.is_taken);

    assert_eq!(take(quota, &key, &requests(2), one()).await.room()[0].left, 1);
    assert!(!take(quota, &key, &requests(1), one()).await.is_taken);
}

pub async fn the_tenant_of_the_context_does_not_matter(quota: &dyn Quota) {
    let (key, plan) = (key(), requests(1));
    let ask = |cx: Context| {
        let (key, plan) = (key.clone(), plan.clone());
        async move { quota.take(&cx, &key, &plan, &one()).await.expect("a decision") }
    };

    assert!(ask(context_of("ana")).await.is_taken);
    assert!(!ask(context_of("ben")).await.is_taken);
}

pub async fn no_windows_no_limit(quota: &dyn Quota) {
    let key = key();
    for _ in 0..10 {
        let decision = take(quota, &key, &Plan::default(), one()).await;
        assert_eq!(
            (decision.is_taken, decision.wait, decision.room().len()),
            (true, Duration::ZERO, 0)
        );
    }
}

pub async fn the_largest_numbers_are_exact(quota: &dyn Quota) {
    let (key, plan) = (key(), Plan::new([Window::new(Unit::Tokens, 1 << 40, LONG)]));
    let huge = Take {
        amount: Amount {
            requests: u64::MAX,
            tokens: u64::MAX,
        },
        patience: Duration::MAX,
        correction: Correction::of(Amount::default(), Amount::default()),
    };
    assert!(take(quota, &key, &plan, huge).await.is_taken);

    let after = take(quota, &key, &plan, one()).await;

    let full_in = after.room()[0].full_in;
    assert!(
        full_in <= LONG && full_in + Duration::from_mins(1) > LONG,
        "{full_in:?}"
    );
}

pub async fn dropped_calls_leave_the_quota_usable(quota: &dyn Quota) {
    let (key, plan) = (key(), requests(1000));
    for _ in 0..20 {
        let cx = context();
        let one = one();
        // Polled once and dropped.
        drop(quota.take(&cx, &key, &plan, &one).now_or_never());
    }

    let after = take(quota, &key, &plan, one()).await;

    assert!(
        after.is_taken && (979..=999).contains(&after.room()[0].left),
        "{after:?}"
    );
}

/// Callers at the same time, on as many threads as the runtime has.
/// Over so many quotas that count together, as replicas have them.
pub async fn many_at_once_are_there_together(quotas: &[Arc<dyn Quota>]) {
    let key = key();
    let calls = (0..500).map(|call: usize| {
        let (quota, key) = (Arc::clone(&quotas[call % quotas.len()]), key.clone());
        tokio::spawn(async move { enter(&*quota, &key, Uuid::now_v7(), 100, LONG).await })
    });

    let answers = join_all(calls).await;

    let mut left: Vec<u64> = answers.into_iter().filter_map(|answer| answer.ok().flatten()).collect();
    left.sort_unstable();
    assert_eq!(left, (0..100).collect::<Vec<u64>>());
}

pub async fn many_at_once_share_one_limit(quota: Arc<dyn Quota>) {
    let (key, plan) = (key(), requests(100));
    let calls = (0..300).map(|_| {
        let (quota, key, plan) = (Arc::clone(&quota), key.clone(), plan.clone());
        tokio::spawn(async move { take(&*quota, &key, &plan, one()).await.is_taken })
    });

    let taken = join_all(calls)
        .await
        .into_iter()
        .filter(|taken| matches!(taken, Ok(true)))
        .count();

    assert_eq!(taken, 100);
}
