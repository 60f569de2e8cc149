//! What every [`UsageStore`] must do.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

use std::sync::Arc;

use captions_domain::{
    context::Context,
    history::Extent,
    keys::KeyId,
    money::Money,
    ports::{CaptionStore, UsageStore},
    usage::{Amounts, Batch, Bucket, Group, Grouping, Hour, Place, Query, Row},
};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::cut::cut_after;
use crate::build;

const NOON: OffsetDateTime = datetime!(2026-11-30 12:10 UTC);

/// Everything below, one after the other. Both are the same store.
pub async fn suite<S: UsageStore + CaptionStore + 'static>(store: Arc<S>) {
    every_amount_is_kept_and_added_up(&*store).await;
    a_batch_that_comes_again_changes_nothing(&*store).await;
    of_one_batch_delivered_by_many_at_once_one_counts(Arc::clone(&store)).await;
    groups_and_pieces_of_time_are_told_apart_as_asked(&*store).await;
    a_report_is_about_its_tenant_and_its_time_and_has_its_limit(&*store).await;
    a_report_goes_on_behind_the_last_group(&*store).await;
    who_is_erased_is_named_no_more_and_nothing_is_lost(&*store, &*store).await;
    the_oldest_sums_go_first_and_those_that_are_kept_stay(&*store).await;
    batches_added_at_once_lose_nothing(Arc::clone(&store)).await;
    a_call_cut_off_midway_is_made_or_not(&*store).await;
}

/// Amounts of which no two are the same.
fn amounts() -> Amounts {
    Amounts {
        requests: 1,
        captions: 2,
        calls: 3,
        unpriced_calls: 4,
        input_tokens: 1_000_000_000_000,
        output_tokens: 6,
        guessed_tokens: 7,
        cost: Money::from_micros(8),
        cache_hits: 9,
        saved_tokens: 10,
        saved_cost: Money::from_micros(1_000_000_000_000_000),
    }
}

fn row(cx: &Context, at: OffsetDateTime, change: impl FnOnce(&mut Place)) -> Row {
    let mut place = Place {
        tenant: cx.tenant.clone(),
        hour: Hour::of(at),
        user: None,
        key: None,
        provider: Some("p".to_owned()),
        model: Some("m".to_owned()),
    };
    change(&mut place);
    Row {
        place,
        since: i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap(),
        amounts: amounts(),
    }
}

/// A row of nobody in particular.
pub fn any_row(cx: &Context) -> Row {
    row(cx, NOON, |_| {})
}

fn batch(rows: impl Into<Vec<Row>>) -> Batch {
    Batch {
        id: Uuid::now_v7(),
        rows: rows.into(),
    }
}

fn grouping(list: &str) -> Grouping {
    Grouping::parse(list).unwrap()
}

fn of_the_day(by: &str) -> Query {
    Query::new(NOON, NOON + Duration::HOUR, Bucket::Day, grouping(by)).unwrap()
}

async fn report(store: &dyn UsageStore, cx: &Context, by: &str) -> Vec<Group> {
    store.report(cx, &of_the_day(by), 1000).await.unwrap()
}

fn times(count: usize) -> Amounts {
    std::iter::repeat_n(amounts(), count).fold(Amounts::default(), Amounts::and)
}

pub async fn every_amount_is_kept_and_added_up(store: &dyn UsageStore) {
    let cx = build::context();
    let key = KeyId(Uuid::now_v7());
    let full = row(&cx, NOON, |place| {
        place.user = Some(build::user_id("ann"));
        place.key = Some(key);
    });
    let bare = row(&cx, NOON, |place| {
        place.provider = None;
        place.model = None;
    });

    store.add(&cx, &batch([full.clone(), bare])).await.unwrap();
    store.add(&cx, &batch([full])).await.unwrap();

    let group = |is_full: bool| Group {
        hour: Hour::of(datetime!(2026-11-30 0:00 UTC)),
        provider: is_full.then(|| "p".to_owned()),
        model: is_full.then(|| "m".to_owned()),
        user: is_full.then(|| build::user_id("ann")),
        key: is_full.then_some(key),
        amounts: times(if is_full { 2 } else { 1 }),
    };
    let found = report(store, &cx, "provider,model,user,key").await;
    assert_eq!(found, [group(false), group(true)]);
}

pub async fn a_batch_that_comes_again_changes_nothing(store: &dyn UsageStore) {
    let cx = build::context();
    let once = batch([row(&cx, NOON, |_| {})]);
    let twice = Batch {
        rows: vec![row(&cx, NOON, |place| place.model = None)],
        ..once.clone()
    };

    for batch in [&once, &once, &twice] {
        store.add(&cx, batch).await.unwrap();
    }

    let found = report(store, &cx, "model").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].amounts, times(1));
}

pub async fn of_one_batch_delivered_by_many_at_once_one_counts<S: UsageStore + 'static>(store: Arc<S>) {
    let cx = build::context();
    let once = batch([row(&cx, NOON, |_| {})]);
    let deliveries = (0..6).map(|_| {
        let (store, cx, once) = (Arc::clone(&store), cx.clone(), once.clone());
        tokio::spawn(async move { store.add(&cx, &once).await })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        delivery.await.unwrap().unwrap();
    }

    assert_eq!(report(&*store, &cx, "").await[0].amounts, times(1));
}

pub async fn groups_and_pieces_of_time_are_told_apart_as_asked(store: &dyn UsageStore) {
    let cx = build::context();
    let rows = [
        row(&cx, NOON, |place| place.model = Some("a".to_owned())),
        row(&cx, NOON, |place| place.model = Some("b".to_owned())),
        row(&cx, NOON + Duration::HOUR, |place| place.model = Some("a".to_owned())),
        row(&cx, NOON + Duration::DAY, |place| place.provider = Some("q".to_owned())),
    ];
    store.add(&cx, &batch(rows)).await.unwrap();
    let told = async |bucket, by: &str| -> Vec<(i64, Option<String>, Option<String>, u64)> {
        let query = Query::new(NOON, NOON + Duration::days(2), bucket, grouping(by)).unwrap();
        let groups = store.report(&cx, &query, 1000).await.unwrap();
        let since = |hour: Hour| hour.0 - Hour::of(datetime!(2026-11-30 0:00 UTC)).0;
        groups
            .into_iter()
            .map(|group| (since(group.hour), group.provider, group.model, group.amounts.requests))
            .collect()
    };
    let some = |name: &str| Some(name.to_owned());

    assert_eq!(told(Bucket::Day, "").await, [(0, None, None, 3), (24, None, None, 1)]);
    assert_eq!(
        told(Bucket::Hour, "").await,
        [(12, None, None, 2), (13, None, None, 1), (36, None, None, 1)]
    );
    assert_eq!(
        told(Bucket::Day, "provider").await,
        [(0, some("p"), None, 3), (24, some("q"), None, 1)]
    );
    assert_eq!(
        told(Bucket::Day, "model").await,
        [
            (0, None, some("a"), 2),
            (0, None, some("b"), 1),
            (24, None, some("m"), 1)
        ]
    );
}

pub async fn a_report_is_about_its_tenant_and_its_time_and_has_its_limit(store: &dyn UsageStore) {
    let (cx, other) = (build::context(), build::context());
    let rows = [
        row(&cx, NOON, |_| {}),
        row(&other, NOON, |_| {}),
        row(&cx, NOON - Duration::DAY, |_| {}),
        row(&cx, NOON + Duration::DAY, |_| {}),
    ];
    store.add(&other, &batch(rows)).await.unwrap();

    assert_eq!(report(store, &cx, "").await.len(), 1);
    assert_eq!(report(store, &other, "").await[0].amounts, times(1));
    assert_eq!(report(store, &build::context(), "").await, []);
    let all = Query::new(NOON - Duration::DAY, NOON + Duration::DAY, Bucket::Day, grouping("")).unwrap();
    let first = store.report(&cx, &all, 2).await.unwrap();
    let days: Vec<_> = first.iter().map(|group| group.hour.start().day()).collect();
    assert_eq!(days, [29, 30], "the oldest first");
}

pub async fn a_report_goes_on_behind_the_last_group(store: &dyn UsageStore) {
    let cx = build::context();
    let key = KeyId(Uuid::now_v7());
    let mut rows = Vec::new();
    for at in [NOON, NOON + Duration::DAY] {
        for (user, key, model) in [
            (None, None, None),
            (Some("ann"), None, Some("m")),
            (Some("ann"), Some(key), Some("m")),
            // In the order of bytes.
            (Some("Bob"), Some(key), Some("m")),
        ] {
            rows.push(row(&cx, at, |place| {
                place.user = user.map(build::user_id);
                place.key = key;
                place.model = model.map(str::to_owned);
            }));
        }
    }
    store.add(&cx, &batch(rows)).await.unwrap();

    for (by, bucket) in [
        ("provider,model,user,key", Bucket::Day),
        ("user", Bucket::Hour),
        ("", Bucket::Day),
    ] {
        let mut query = Query::new(NOON, NOON + Duration::days(2), bucket, grouping(by)).unwrap();
        let all = store.report(&cx, &query, 1000).await.unwrap();
        for size in 1..4 {
            query.after = None;
            let mut paged = Vec::new();
            loop {
                let page = store.report(&cx, &query, size).await.unwrap();
                let Some(last) = page.last() else { break };
                query.after = Some(last.mark());
                paged.extend(page);
            }
            assert_eq!(paged, all, "by {by} in pages of {size}");
        }
    }
}

pub async fn who_is_erased_is_named_no_more_and_nothing_is_lost(store: &dyn UsageStore, captions: &dyn CaptionStore) {
    let (mut cx, other) = (build::context(), build::context());
    cx.now = NOON;
    let of = |cx: &Context, user: Option<&str>, at| row(cx, at, |place| place.user = user.map(build::user_id));
    let before = [
        of(&cx, Some("ann"), NOON - Duration::SECOND),
        of(&cx, Some("bob"), NOON - Duration::SECOND),
        of(&cx, None, NOON - Duration::SECOND),
        of(&other, Some("ann"), NOON - Duration::SECOND),
    ];
    store.add(&cx, &batch(before)).await.unwrap();

    let ann = Extent::OfUser(build::user_id("ann"));
    let removed = captions.erase(&cx, &ann).await.unwrap();
    assert_eq!((removed.usage, removed.is_nothing()), (1, false));
    assert!(captions.erase(&cx, &ann).await.unwrap().is_nothing());
    let nobody = Extent::OfUser(build::user_id("nobody"));
    assert!(captions.erase(&cx, &nobody).await.unwrap().is_nothing());
    let told = async |cx: &Context| -> Vec<(Option<String>, u64)> {
        let groups = report(store, cx, "user").await.into_iter();
        groups
            .map(|group| (group.user.map(|user| user.as_str().to_owned()), group.amounts.requests))
            .collect()
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(told(&cx).await, [(None, 2), (some("bob"), 1)]);
    assert_eq!(told(&other).await, [(some("ann"), 1)], "of another tenant");

    // What was on its way meanwhile, and what comes from somebody who took the name since.
    let late = [
        of(&cx, Some("ann"), NOON - Duration::MICROSECOND),
        of(&cx, None, NOON),
        of(&cx, Some("bob"), NOON),
    ];
    store.add(&cx, &batch(late)).await.unwrap();
    assert_eq!(told(&cx).await, [(None, 4), (some("bob"), 2)]);
    store.add(&cx, &batch([of(&cx, Some("ann"), NOON)])).await.unwrap();
    assert_eq!(told(&cx).await, [(None, 4), (some("ann"), 1), (some("bob"), 2)]);
    assert_eq!(report(store, &cx, "").await[0].amounts, times(7), "nothing is lost");
}

/// Of whichever tenants: nothing else of the suite is as old.
pub async fn the_oldest_sums_go_first_and_those_that_are_kept_stay(store: &dyn UsageStore) {
    let (cx, other) = (build::context(), build::context());
    let old = datetime!(2001-01-01 12:59 UTC);
    let rows = [
        row(&cx, old, |_| {}),
        row(&cx, old + Duration::HOUR, |_| {}),
        row(&other, old + Duration::HOUR, |place| {
            place.user = Some(build::user_id("ann"));
        }),
        row(&cx, old + 2 * Duration::HOUR, |_| {}),
    ];
    store.add(&cx, &batch(rows)).await.unwrap();
    let hours = async |cx: &Context| -> Vec<u8> {
        let all = Query::new(old, old + Duration::DAY, Bucket::Hour, grouping("")).unwrap();
        let groups = store.report(cx, &all, 9).await.unwrap().into_iter();
        groups.map(|group| group.hour.start().hour()).collect()
    };
    let before = Hour::of(old + 2 * Duration::HOUR);

    assert_eq!(store.sweep(&cx, before, 1).await.unwrap(), 1);
    assert_eq!((hours(&cx).await, hours(&other).await), (vec![13, 14], vec![13]));
    assert_eq!(store.sweep(&cx, before, 9).await.unwrap(), 2);
    assert_eq!((hours(&cx).await, hours(&other).await), (vec![14], vec![]));
    assert_eq!(store.sweep(&cx, before, 9).await.unwrap(), 0);
}

pub async fn batches_added_at_once_lose_nothing<S: UsageStore + CaptionStore + 'static>(store: Arc<S>) {
    let cx = build::context();
    let adding = (0..8).map(|writer| {
        let (store, cx) = (Arc::clone(&store), cx.clone());
        tokio::spawn(async move {
            for turn in 0..5 {
                let users = ["a", "b", "c", "d"];
                // In an order of its own each time.
                let rows = (0..4).map(|place| {
                    let user = users[(place + writer + turn) % 4];
                    row(&cx, NOON, |place| place.user = Some(build::user_id(user)))
                });
                store.add(&cx, &batch(rows.collect::<Vec<_>>())).await.unwrap();
            }
        })
    });
    let adding: Vec<_> = adding.collect();
    let mut erasing = cx.clone();
    erasing.now = NOON + Duration::DAY;
    for user in ["a", "b", "c"] {
        let erased = Extent::OfUser(build::user_id(user));
        store.erase(&erasing, &erased).await.unwrap();
    }
    for writer in adding {
        writer.await.unwrap();
    }

    assert_eq!(report(&*store, &cx, "").await[0].amounts, times(8 * 5 * 4));
    let named = report(&*store, &cx, "user").await;
    let named: Vec<_> = named
        .iter()
        .map(|group| (group.user.clone(), group.amounts.requests))
        .collect();
    assert_eq!(named, [(None, 120), (Some(build::user_id("d")), 40)]);
}

pub async fn a_call_cut_off_midway_is_made_or_not(store: &dyn UsageStore) {
    let cx = build::context();
    for polls in 1..12 {
        let cut = batch([row(&cx, NOON, |_| {})]);
        drop(cut_after(polls, store.add(&cx, &cut)).await);
        store.add(&cx, &cut).await.unwrap();
        let done = report(store, &cx, "").await[0].amounts;
        assert_eq!(done, times(polls), "cut off after {polls} polls, delivered again");
    }
}
