//! What every [`KeyStore`] must do about money.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

use std::{collections::HashMap, sync::Arc};

use captions_domain::{
    budget::{Account, Balance, Budget, MEMORY, Payer, Period, Spent, Step},
    context::Context,
    money::Money,
    ports::KeyStore,
};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::cut::cut_after;
use crate::build;

const NOW: OffsetDateTime = datetime!(2026-11-30 23:50 UTC);

/// Everything below, one after the other.
pub async fn suite(store: Arc<dyn KeyStore>) {
    what_fits_is_granted_and_what_does_not_is_refused(&*store).await;
    a_reservation_is_settled_once(&*store).await;
    what_expired_is_given_back_and_counts_if_it_is_settled_late(&*store).await;
    of_many_who_have_it_given_back_at_once_each_amount_returns_once(Arc::clone(&store)).await;
    what_is_in_flight_is_settled_as_it_was_reserved_whatever_the_budget_is_by_then(&*store).await;
    the_next_period_begins_with_nothing(&*store).await;
    tenants_and_accounts_are_apart(&*store).await;
    steps_at_random_agree_with_a_model(&*store).await;
    of_500_at_once_exactly_those_pass_who_can_pay(Arc::clone(&store)).await;
    a_step_cut_off_midway_is_done_or_not(&*store).await;
}

const fn money(micros: u64) -> Money {
    Money::from_micros(micros)
}

fn payer(limit: u64) -> Payer {
    Payer {
        account: Account::Tenant,
        budget: Budget {
            limit: money(limit),
            per: Period::Day,
        },
    }
}

async fn reserve(store: &dyn KeyStore, cx: &Context, payer: &Payer, at: OffsetDateTime, amount: u64) -> (Uuid, Spent) {
    let id = Uuid::now_v7();
    let step = Step::Reserve {
        id,
        amount: money(amount),
        expires_at: at + Duration::MINUTE,
    };
    (id, store.spend(cx, &payer.spend(at, step)).await.unwrap())
}

async fn settle(store: &dyn KeyStore, cx: &Context, payer: &Payer, id: Uuid, amount: u64) -> Spent {
    let amount = money(amount);
    let spend = payer.spend(NOW, Step::Settle { id, amount });
    store.spend(cx, &spend).await.unwrap()
}

/// Spent and reserved.
async fn balance(store: &dyn KeyStore, cx: &Context, payer: &Payer, at: OffsetDateTime) -> (u64, u64) {
    match store.spend(cx, &payer.spend(at, Step::Look)).await.unwrap() {
        Spent::Stands(Balance { spent, reserved }) => (spent.micros(), reserved.micros()),
        other => unreachable!("{other:?}"),
    }
}

pub async fn what_fits_is_granted_and_what_does_not_is_refused(store: &dyn KeyStore) {
    let cx = build::context();
    let payer = payer(100);

    assert_eq!(balance(store, &cx, &payer, NOW).await, (0, 0));
    // Also the first one, which meets no row.
    assert_eq!(reserve(store, &cx, &payer, NOW, 101).await.1, Spent::Refused);
    assert_eq!(reserve(store, &cx, &payer, NOW, 60).await.1, Spent::Granted);
    assert_eq!(reserve(store, &cx, &payer, NOW, 41).await.1, Spent::Refused);
    assert_eq!(reserve(store, &cx, &payer, NOW, 40).await.1, Spent::Granted);
    assert_eq!(reserve(store, &cx, &payer, NOW, 1).await.1, Spent::Refused);

    assert_eq!(balance(store, &cx, &payer, NOW).await, (0, 100));
}

pub async fn a_reservation_is_settled_once(store: &dyn KeyStore) {
    let cx = build::context();
    let payer = payer(100);
    let (first, _) = reserve(store, &cx, &payer, NOW, 60).await;
    let (second, _) = reserve(store, &cx, &payer, NOW, 40).await;

    assert_eq!(settle(store, &cx, &payer, first, 25).await, Spent::Settled);
    assert_eq!(settle(store, &cx, &payer, first, 25).await, Spent::Unknown);
    assert_eq!(balance(store, &cx, &payer, NOW).await, (25, 40));

    // Released.
    assert_eq!(settle(store, &cx, &payer, second, 0).await, Spent::Settled);
    assert_eq!(settle(store, &cx, &payer, second, 40).await, Spent::Unknown);
    assert_eq!(balance(store, &cx, &payer, NOW).await, (25, 0));

    // A bound that was too low: what was spent is spent, and stands in the way of more.
    let (third, _) = reserve(store, &cx, &payer, NOW, 10).await;
    assert_eq!(settle(store, &cx, &payer, third, 90).await, Spent::Settled);
    assert_eq!(balance(store, &cx, &payer, NOW).await, (115, 0));
    assert_eq!(reserve(store, &cx, &payer, NOW, 0).await.1, Spent::Refused);
}

pub async fn what_expired_is_given_back_and_counts_if_it_is_settled_late(store: &dyn KeyStore) {
    let cx = build::context();
    let payer = payer(100);
    let (lost, _) = reserve(store, &cx, &payer, NOW, 60).await;
    let (late, _) = reserve(store, &cx, &payer, NOW, 30).await;
    let before = NOW + Duration::MINUTE - Duration::MICROSECOND;
    let after = NOW + Duration::MINUTE;

    assert_eq!(balance(store, &cx, &payer, before).await, (0, 90));
    assert_eq!(reserve(store, &cx, &payer, before, 11).await.1, Spent::Refused);
    // Nobody needed to ask for more.
    assert_eq!(balance(store, &cx, &payer, after).await, (0, 0));
    assert_eq!(reserve(store, &cx, &payer, after, 80).await.1, Spent::Granted);
    assert_eq!(balance(store, &cx, &payer, after).await, (0, 80));

    assert_eq!(settle(store, &cx, &payer, late, 30).await, Spent::Settled);
    assert_eq!(settle(store, &cx, &payer, late, 30).await, Spent::Unknown);
    assert_eq!(balance(store, &cx, &payer, after).await, (30, 80));
    assert_eq!(reserve(store, &cx, &payer, after, 1).await.1, Spent::Refused);

    // In the end they are forgotten.
    let long_after = after + MEMORY;
    let wide = Payer {
        budget: Budget {
            limit: money(1),
            ..payer.budget
        },
        ..payer.clone()
    };
    assert_eq!(reserve(store, &cx, &wide, long_after, 2).await.1, Spent::Refused);
    assert_eq!(settle(store, &cx, &payer, lost, 60).await, Spent::Unknown);
}

pub async fn of_many_who_have_it_given_back_at_once_each_amount_returns_once(store: Arc<dyn KeyStore>) {
    let cx = build::context();
    let payer = payer(70);
    for _ in 0..10 {
        assert_eq!(reserve(&*store, &cx, &payer, NOW, 7).await.1, Spent::Granted);
    }
    let after = NOW + Duration::MINUTE;

    let calls: Vec<_> = (0..60)
        .map(|_| {
            let (store, cx, payer) = (Arc::clone(&store), cx.clone(), payer.clone());
            tokio::spawn(async move { reserve(&*store, &cx, &payer, after, 7).await.1 })
        })
        .collect();
    let mut granted = 0;
    for call in calls {
        granted += usize::from(call.await.unwrap() == Spent::Granted);
    }

    assert_eq!(balance(&*store, &cx, &payer, after).await, (0, granted as u64 * 7));
    assert!(granted <= 10, "{granted}");
    // Whoever was turned away while another one had it given back may have it now.
    while granted < 10 {
        assert_eq!(reserve(&*store, &cx, &payer, after, 7).await.1, Spent::Granted);
        granted += 1;
    }
    assert_eq!(reserve(&*store, &cx, &payer, after, 7).await.1, Spent::Refused);
}

pub async fn what_is_in_flight_is_settled_as_it_was_reserved_whatever_the_budget_is_by_then(store: &dyn KeyStore) {
    let cx = build::context();
    let before = payer(100);
    let lower = payer(50);
    let (first, _) = reserve(store, &cx, &before, NOW, 60).await;
    let (second, _) = reserve(store, &cx, &before, NOW, 30).await;
    let monthly = Payer {
        budget: Budget {
            per: Period::Month,
            ..before.budget
        },
        ..before.clone()
    };

    // More is in flight than a lower budget has: nothing new, until enough of it has come back.
    assert_eq!(reserve(store, &cx, &lower, NOW, 1).await.1, Spent::Refused);
    assert_eq!(settle(store, &cx, &lower, first, 10).await, Spent::Settled);
    assert_eq!(reserve(store, &cx, &lower, NOW, 11).await.1, Spent::Refused);
    assert_eq!(reserve(store, &cx, &lower, NOW, 10).await.1, Spent::Granted);
    // And of another period, what was reserved in the former one is settled there.
    assert_eq!(settle(store, &cx, &monthly, second, 5).await, Spent::Settled);
    assert_eq!(balance(store, &cx, &before, NOW).await, (15, 10));
    assert_eq!(balance(store, &cx, &monthly, NOW).await, (0, 0));
}

pub async fn the_next_period_begins_with_nothing(store: &dyn KeyStore) {
    let cx = build::context();
    let payer = payer(100);
    let next = NOW + Duration::HOUR;
    let (old, _) = reserve(store, &cx, &payer, NOW, 100).await;

    assert_eq!(reserve(store, &cx, &payer, next, 100).await.1, Spent::Granted);
    // Into the period that it was taken from.
    assert_eq!(settle(store, &cx, &payer, old, 30).await, Spent::Settled);

    assert_eq!(balance(store, &cx, &payer, NOW).await, (30, 0));
    assert_eq!(balance(store, &cx, &payer, next).await, (0, 100));
}

pub async fn tenants_and_accounts_are_apart(store: &dyn KeyStore) {
    let (ours, theirs) = (build::context(), build::context());
    let payer = payer(100);
    let other = Payer {
        account: Account::Family(Uuid::now_v7().to_string()),
        ..payer.clone()
    };
    let (id, _) = reserve(store, &ours, &payer, NOW, 100).await;

    assert_eq!(settle(store, &theirs, &payer, id, 0).await, Spent::Unknown);
    assert_eq!(balance(store, &theirs, &payer, NOW).await, (0, 0));
    assert_eq!(reserve(store, &theirs, &payer, NOW, 100).await.1, Spent::Granted);
    assert_eq!(reserve(store, &ours, &other, NOW, 100).await.1, Spent::Granted);
    assert_eq!(balance(store, &ours, &payer, NOW).await, (0, 100));
}

/// Steps of a seeded sequence, each checked against plain arithmetic.
pub async fn steps_at_random_agree_with_a_model(store: &dyn KeyStore) {
    const LIMIT: u64 = 1000;
    for seed in 1..=8_u64 {
        let cx = build::context();
        let payer = payer(LIMIT);
        let mut chance = seed;
        // A linear congruential generator will do.
        let mut draw = |below: u64| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % below
        };
        let (mut spent, mut open): (u64, HashMap<Uuid, u64>) = (0, HashMap::new());
        let mut known: Vec<Uuid> = Vec::new();
        for _ in 0..60 {
            if known.is_empty() || draw(3) > 0 {
                let amount = draw(400);
                let (id, told) = reserve(store, &cx, &payer, NOW, amount).await;
                let fits = spent + open.values().sum::<u64>() + amount <= LIMIT;
                assert_eq!(told == Spent::Granted, fits, "seed {seed}");
                known.push(id);
                if fits {
                    open.insert(id, amount);
                }
            } else {
                let id = known[usize::try_from(draw(known.len() as u64)).unwrap()];
                let amount = draw(open.get(&id).copied().unwrap_or(10) + 1);
                let told = settle(store, &cx, &payer, id, amount).await;
                assert_eq!(told == Spent::Settled, open.remove(&id).is_some(), "seed {seed}");
                spent += if told == Spent::Settled { amount } else { 0 };
            }
            let expected = (spent, open.values().sum());
            assert_eq!(balance(store, &cx, &payer, NOW).await, expected, "seed {seed}");
            assert!(expected.0 + expected.1 <= LIMIT);
        }
    }
}

/// Half of those who pass pay less than they reserved, but only once nobody asks any more.
pub async fn of_500_at_once_exactly_those_pass_who_can_pay(store: Arc<dyn KeyStore>) {
    let cx = build::context();
    let payer = payer(100 * 7 + 6);
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let (store, cx, payer) = (Arc::clone(&store), cx.clone(), payer.clone());
            tokio::spawn(async move { reserve(&*store, &cx, &payer, NOW, 7).await })
        })
        .collect();
    let mut granted = Vec::new();
    for call in calls {
        let (id, told) = call.await.unwrap();
        if told == Spent::Granted {
            granted.push(id);
        }
    }

    assert_eq!(granted.len(), 100);
    assert_eq!(balance(&*store, &cx, &payer, NOW).await, (0, 700));

    // Each is settled by two at the same time.
    let settling: Vec<_> = granted
        .iter()
        .chain(&granted)
        .map(|id| {
            let (store, cx, payer, id) = (Arc::clone(&store), cx.clone(), payer.clone(), *id);
            tokio::spawn(async move { settle(&*store, &cx, &payer, id, 3).await })
        })
        .collect();
    let mut settled = 0;
    for one in settling {
        settled += usize::from(one.await.unwrap() == Spent::Settled);
    }
    assert_eq!(settled, 100);
    assert_eq!(balance(&*store, &cx, &payer, NOW).await, (300, 0));
}

/// What is cut off leaves a reservation and its amount, or neither.
pub async fn a_step_cut_off_midway_is_done_or_not(store: &dyn KeyStore) {
    let cx = build::context();
    let payer = payer(1_000_000);
    let mut ids = Vec::new();
    for polls in (1..=4).cycle().take(40) {
        let id = Uuid::now_v7();
        ids.push(id);
        let step = Step::Reserve {
            id,
            amount: money(11),
            expires_at: NOW + Duration::MINUTE,
        };
        cut_after(polls, store.spend(&cx, &payer.spend(NOW, step))).await;
    }
    for id in ids {
        settle(store, &cx, &payer, id, 0).await;
    }

    assert_eq!(balance(store, &cx, &payer, NOW).await, (0, 0));
}
