//! What every [`BatchQueue`] must do.
//!
//! The queue is shared by all tenants, so each case works on its own batch alone. No case waits for time to pass: leases
//! and delays of no length are over at once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite fails by panicking, as every test does"
)]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use captions_domain::{
    batch::{
        Batch, BatchId, BatchState, Change, Claimed, Counts, ItemStatus, NewBatch, NewItem, Notice, Outcome, Page,
        Payer, Receiver, Settlement, Taken, Tidy, Turn,
    },
    caption::CaptionId,
    context::Context,
    fault::StoreError,
    history::Extent,
    keys::KeyLimits,
    ports::{BatchQueue, CaptionStore},
};
use uuid::Uuid;

use super::cut::cut_after;
use crate::build;

const HOUR: Duration = Duration::from_hours(1);
const ALL: Page = Page {
    after: None,
    limit: 1000,
};

/// Everything below, one after the other.
pub async fn suite(queue: Arc<dyn BatchQueue>) {
    what_is_kept_is_found_again(&*queue).await;
    the_same_batch_twice_is_kept_once(&*queue).await;
    a_list_is_newest_first_and_pages_without_gaps(&*queue).await;
    tenants_never_see_each_others_batches(&*queue).await;
    items_are_leased_in_order_and_once(&*queue).await;
    every_field_of_an_item_arrives_with_its_worker(&*queue).await;
    many_workers_share_a_batch_and_no_item_is_lost_or_leased_twice(Arc::clone(&queue)).await;
    a_lease_that_ran_out_goes_to_somebody_else_and_voids_the_old_ticket(&*queue).await;
    a_lease_that_is_kept_lasts(&*queue).await;
    an_item_given_back_is_not_reclaimed(&*queue).await;
    outcomes_are_read_in_order_up_to_the_first_gap(&*queue).await;
    the_last_outcome_ends_the_batch(&*queue).await;
    a_cancelled_batch_begins_nothing_more_and_keeps_what_was_begun(&*queue).await;
    what_is_given_back_to_a_cancelled_batch_is_cancelled(&*queue).await;
    a_batch_that_nobody_began_is_cancelled_at_once(&*queue).await;
    a_batch_out_of_time_expires(&*queue).await;
    failed_items_can_be_tried_again(&*queue).await;
    what_failed_for_good_is_not_tried_again(&*queue).await;
    of_many_who_submit_at_once_those_are_kept_for_whom_there_is_room(Arc::clone(&queue)).await;
    room_comes_back_with_each_outcome(&*queue).await;
    what_is_to_be_tried_again_needs_room(Arc::clone(&queue)).await;
    held_and_other_batches_are_left_alone(&*queue).await;
    whoever_is_to_be_told_is_named_until_told(&*queue).await;
    the_backlog_counts_what_waits(&*queue).await;
    what_was_over_long_ago_is_removed(&*queue).await;
    a_large_batch_is_kept_whole(&*queue).await;
    a_submission_that_broke_off_gives_its_room_back(&*queue).await;
    a_call_cut_off_midway_leaves_the_queue_usable(&*queue).await;
}

/// A batch of so many items.
pub fn batch(items: u32) -> NewBatch {
    NewBatch {
        id: BatchId(Uuid::now_v7()),
        lives_for: HOUR,
        notify: None,
        payer: None,
        most_open: None,
        items: (0..items)
            .map(|index| NewItem {
                custom_id: format!("item-{index}"),
                caption: CaptionId(Uuid::now_v7()),
                user: None,
                request: format!("{{\"content_description\":\"post {index}\"}}"),
            })
            .collect(),
    }
}

fn turn(batch: &NewBatch, items: u32) -> Turn {
    Turn {
        items,
        lease: HOUR,
        only: Some(batch.id),
        held: Vec::new(),
        tidy: None,
    }
}

fn tidying(turn: Turn) -> Turn {
    Turn {
        tidy: Some(Tidy {
            retention: 24 * HOUR,
            lease: HOUR,
        }),
        ..turn
    }
}

async fn submitted(queue: &dyn BatchQueue, cx: &Context, items: u32) -> NewBatch {
    let batch = batch(items);
    queue.submit(cx, &batch).await.unwrap();
    batch
}

async fn claim(queue: &dyn BatchQueue, turn: Turn) -> Vec<Claimed> {
    queue.claim(&build::context(), &turn).await.unwrap().items
}

async fn settle(queue: &dyn BatchQueue, item: &Claimed, settlement: Settlement) -> bool {
    queue
        .settle(&build::context(), &item.ticket, &settlement)
        .await
        .unwrap()
}

fn done(text: &str) -> Settlement {
    Settlement::Succeeded(format!("{{\"caption\":\"{text}\"}}"))
}

fn failed() -> Settlement {
    Settlement::Failed {
        document: "{\"code\":\"provider_unavailable\"}".to_owned(),
        is_final: false,
    }
}

fn refused() -> Settlement {
    Settlement::Failed {
        document: "{\"code\":\"content_refused\"}".to_owned(),
        is_final: true,
    }
}

const RETRY: Change = Change::RetryFailed {
    all: false,
    most_open: None,
};

const fn later(counts: bool) -> Settlement {
    Settlement::Later {
        after: Duration::ZERO,
        counts,
    }
}

async fn read(queue: &dyn BatchQueue, cx: &Context, id: BatchId) -> (Batch, Vec<Outcome>) {
    queue.read(cx, id, ALL).await.unwrap().unwrap()
}

fn indexes(items: &[Claimed]) -> Vec<u32> {
    items.iter().map(|item| item.ticket.index).collect()
}

pub async fn what_is_kept_is_found_again(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 3).await;

    let (kept, outcomes) = read(queue, &cx, batch.id).await;

    let counts = Counts {
        total: 3,
        ..Counts::default()
    };
    assert_eq!(
        (kept.id, kept.state, kept.counts),
        (batch.id, BatchState::Queued, counts)
    );
    assert_eq!((kept.started_at, kept.finished_at), (None, None));
    assert_eq!(kept.expires_at - kept.created_at, HOUR);
    assert!((cx.now - kept.created_at).abs() < Duration::from_millis(1));
    assert_eq!(outcomes, []);
    assert_eq!(queue.list(&cx, None, 10).await.unwrap(), [kept]);
}

pub async fn the_same_batch_twice_is_kept_once(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 2).await;
    let first = claim(queue, turn(&batch, 1)).await;
    assert!(settle(queue, &first[0], done("one")).await);

    queue.submit(&cx, &batch).await.unwrap();

    let (kept, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.counts.total, kept.counts.succeeded), (2, 1));
    assert_eq!(outcomes.len(), 1);
    assert_eq!(indexes(&claim(queue, turn(&batch, 9)).await), [1]);
}

pub async fn a_list_is_newest_first_and_pages_without_gaps(queue: &dyn BatchQueue) {
    let cx = build::context();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(submitted(queue, &cx, 1).await.id);
    }
    ids.reverse();

    let first = queue.list(&cx, None, 3).await.unwrap();
    let rest = queue.list(&cx, Some(first[2].id), 3).await.unwrap();

    let seen: Vec<BatchId> = first.iter().chain(&rest).map(|batch| batch.id).collect();
    assert_eq!(seen, ids);
}

pub async fn tenants_never_see_each_others_batches(queue: &dyn BatchQueue) {
    let (cx, other) = (build::context(), build::context());
    let batch = submitted(queue, &cx, 1).await;

    assert_eq!(queue.read(&other, batch.id, ALL).await.unwrap(), None);
    assert_eq!(queue.list(&other, None, 10).await.unwrap(), []);
    for change in [
        Change::Cancel,
        Change::Discard,
        RETRY,
        Change::Told,
        Change::TellLater(HOUR),
    ] {
        assert_eq!(queue.change(&other, batch.id, change).await.unwrap(), None);
    }
    assert_eq!(read(queue, &cx, batch.id).await.0.state, BatchState::Queued);
}

pub async fn items_are_leased_in_order_and_once(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 5).await;

    let first = claim(queue, turn(&batch, 2)).await;
    let second = claim(queue, turn(&batch, 9)).await;

    assert_eq!((indexes(&first), indexes(&second)), (vec![0, 1], vec![2, 3, 4]));
    assert_eq!(claim(queue, turn(&batch, 9)).await, []);
    let (kept, _) = read(queue, &cx, batch.id).await;
    assert_eq!(kept.state, BatchState::InProgress);
    assert!(kept.started_at.is_some());
}

pub async fn every_field_of_an_item_arrives_with_its_worker(queue: &dyn BatchQueue) {
    let cx = build::context();
    let mut batch = batch(1);
    batch.payer = Some(Payer {
        family: "of ann".to_owned(),
        limits: KeyLimits {
            requests_per_minute: Some(3),
            ..KeyLimits::default()
        },
    });
    batch.items[0].user = Some(build::user_id("ann"));
    "{\"content_description\":\"caf\u{e9} \u{2615}\"}".clone_into(&mut batch.items[0].request);
    queue.submit(&cx, &batch).await.unwrap();

    let claimed = claim(queue, turn(&batch, 1)).await;

    assert_eq!(claimed.len(), 1);
    let item = &claimed[0];
    assert_eq!((&item.tenant, &item.payer), (&cx.tenant, &batch.payer));
    assert_eq!(
        (item.caption, &item.request),
        (batch.items[0].caption, &batch.items[0].request)
    );
    assert_eq!((item.tries, item.reclaimed), (1, false));
    assert_eq!((item.ticket.batch, item.ticket.index), (batch.id, 0));
}

pub async fn many_workers_share_a_batch_and_no_item_is_lost_or_leased_twice(queue: Arc<dyn BatchQueue>) {
    let cx = build::context();
    let batch = submitted(&*queue, &cx, 60).await;
    let workers: Vec<_> = (0..6)
        .map(|_| {
            let (queue, turn) = (Arc::clone(&queue), turn(&batch, 4));
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let items = claim(&*queue, turn.clone()).await;
                    if items.is_empty() {
                        // Others may have held, for that moment, what this one looked at.
                        let left = queue.claim(&build::context(), &turn).await.unwrap().items;
                        if left.is_empty() {
                            return mine;
                        }
                        mine.extend(left);
                        continue;
                    }
                    mine.extend(items);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }

    let different: BTreeSet<u32> = all.iter().map(|item| item.ticket.index).collect();
    assert_eq!((all.len(), different.len()), (60, 60));
    let settled = all.iter().map(|item| {
        let queue = Arc::clone(&queue);
        async move { settle(&*queue, item, done("x")).await }
    });
    assert!(
        futures_util::future::join_all(settled)
            .await
            .into_iter()
            .all(|held| held)
    );
    let (kept, outcomes) = read(&*queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.succeeded), (BatchState::Completed, 60));
    assert_eq!(outcomes.len(), 60);
}

pub async fn a_lease_that_ran_out_goes_to_somebody_else_and_voids_the_old_ticket(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 1).await;
    let lost = Turn {
        lease: Duration::ZERO,
        ..turn(&batch, 1)
    };
    let first = claim(queue, lost).await;

    let second = claim(queue, turn(&batch, 1)).await;

    assert_eq!((second[0].tries, second[0].reclaimed), (2, true));
    assert!(!settle(queue, &first[0], done("late")).await);
    assert!(!settle(queue, &first[0], later(true)).await);
    assert!(settle(queue, &second[0], done("in time")).await);
    assert!(!settle(queue, &second[0], failed()).await);
    let (kept, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.counts.succeeded, kept.counts.failed), (1, 0));
    let document = "{\"caption\":\"in time\"}".to_owned();
    let expected = Outcome {
        index: 0,
        custom_id: "item-0".to_owned(),
        status: ItemStatus::Succeeded,
        document: Some(document),
        reclaimed: true,
    };
    assert_eq!(outcomes, [expected]);
}

pub async fn a_lease_that_is_kept_lasts(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 1).await;
    let short = Turn {
        lease: Duration::ZERO,
        ..turn(&batch, 1)
    };
    let items = claim(queue, short).await;

    assert!(settle(queue, &items[0], Settlement::Keep(HOUR)).await);

    assert_eq!(claim(queue, turn(&batch, 1)).await, []);
    assert!(settle(queue, &items[0], done("a")).await);
    assert!(!settle(queue, &items[0], Settlement::Keep(HOUR)).await);
}

pub async fn an_item_given_back_is_not_reclaimed(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 1).await;
    for (counts, tries) in [(true, 1), (true, 2), (false, 3), (false, 3)] {
        let items = claim(queue, turn(&batch, 1)).await;
        assert_eq!((items[0].tries, items[0].reclaimed), (tries, false));
        assert!(settle(queue, &items[0], later(counts)).await);
    }
    let items = claim(queue, turn(&batch, 1)).await;
    let wait = Settlement::Later {
        after: HOUR,
        counts: true,
    };

    assert!(settle(queue, &items[0], wait).await);

    assert_eq!(claim(queue, turn(&batch, 1)).await, []);
}

pub async fn outcomes_are_read_in_order_up_to_the_first_gap(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 5).await;
    let items = claim(queue, turn(&batch, 5)).await;
    for index in [4, 1, 0] {
        assert!(settle(queue, &items[index], done(&index.to_string())).await);
    }

    let (_, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!(outcomes.iter().map(|outcome| outcome.index).collect::<Vec<_>>(), [0, 1]);

    for index in [2, 3] {
        assert!(settle(queue, &items[index], failed()).await);
    }
    let page = Page {
        after: Some(1),
        limit: 2,
    };
    let (_, outcomes) = queue.read(&cx, batch.id, page).await.unwrap().unwrap();
    let seen: Vec<_> = outcomes.iter().map(|outcome| (outcome.index, outcome.status)).collect();
    assert_eq!(seen, [(2, ItemStatus::Failed), (3, ItemStatus::Failed)]);
    let end = Page {
        after: Some(4),
        limit: 2,
    };
    assert_eq!(queue.read(&cx, batch.id, end).await.unwrap().unwrap().1, []);
}

pub async fn the_last_outcome_ends_the_batch(queue: &dyn BatchQueue) {
    let cx = build::context();
    for (outcomes, state) in [
        ([done("a"), done("b")], BatchState::Completed),
        ([failed(), done("b")], BatchState::Completed),
        ([failed(), failed()], BatchState::Failed),
    ] {
        let batch = submitted(queue, &cx, 2).await;
        let items = claim(queue, turn(&batch, 2)).await;
        let [first, last] = outcomes;
        assert!(settle(queue, &items[0], first).await);
        let (kept, _) = read(queue, &cx, batch.id).await;
        assert_eq!((kept.state, kept.finished_at), (BatchState::InProgress, None));

        assert!(settle(queue, &items[1], last).await);

        let (kept, _) = read(queue, &cx, batch.id).await;
        assert_eq!((kept.state, kept.counts.open()), (state, 0));
        assert!(kept.finished_at.is_some());
    }
}

pub async fn a_cancelled_batch_begins_nothing_more_and_keeps_what_was_begun(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 4).await;
    let begun = claim(queue, turn(&batch, 1)).await;

    let cancelling = queue.change(&cx, batch.id, Change::Cancel).await.unwrap().unwrap();

    assert_eq!(
        (cancelling.state, cancelling.counts.cancelled),
        (BatchState::Cancelling, 3)
    );
    assert_eq!(claim(queue, turn(&batch, 9)).await, []);
    let again = queue.change(&cx, batch.id, Change::Cancel).await.unwrap().unwrap();
    assert_eq!(again, cancelling);
    assert!(settle(queue, &begun[0], done("begun")).await);
    let (kept, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.succeeded), (BatchState::Cancelled, 1));
    let statuses: Vec<ItemStatus> = outcomes.iter().map(|outcome| outcome.status).collect();
    let expected = [
        ItemStatus::Succeeded,
        ItemStatus::Cancelled,
        ItemStatus::Cancelled,
        ItemStatus::Cancelled,
    ];
    assert_eq!(statuses, expected);
    let over = queue.change(&cx, batch.id, Change::Cancel).await.unwrap().unwrap();
    assert_eq!(over, kept);
}

pub async fn what_is_given_back_to_a_cancelled_batch_is_cancelled(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 2).await;
    let lost = Turn {
        lease: Duration::ZERO,
        ..turn(&batch, 1)
    };
    let begun = claim(queue, turn(&batch, 1)).await;
    assert_eq!(indexes(&claim(queue, lost).await), [1]);
    queue.change(&cx, batch.id, Change::Cancel).await.unwrap();
    assert!(settle(queue, &begun[0], later(true)).await);

    claim(queue, tidying(turn(&batch, 9))).await;

    let (kept, _) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.cancelled), (BatchState::Cancelled, 2));
}

pub async fn a_batch_that_nobody_began_is_cancelled_at_once(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 3).await;

    let cancelled = queue.change(&cx, batch.id, Change::Cancel).await.unwrap().unwrap();

    assert_eq!(
        (cancelled.state, cancelled.counts.cancelled),
        (BatchState::Cancelled, 3)
    );
    assert!(cancelled.finished_at.is_some());
    assert_eq!(read(queue, &cx, batch.id).await.1.len(), 3);
}

pub async fn a_batch_out_of_time_expires(queue: &dyn BatchQueue) {
    let cx = build::context();
    let lasting = submitted(queue, &cx, 1).await;
    let batch = NewBatch {
        lives_for: Duration::ZERO,
        ..batch(2)
    };
    queue.submit(&cx, &batch).await.unwrap();

    let items = claim(queue, turn(&batch, 9)).await;
    claim(queue, tidying(turn(&batch, 9))).await;

    assert_eq!(items, []);
    let (kept, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.cancelled), (BatchState::Expired, 2));
    assert!(outcomes.iter().all(|outcome| outcome.status == ItemStatus::Expired));
    assert_eq!(read(queue, &cx, lasting.id).await.0.state, BatchState::Queued);
}

pub async fn failed_items_can_be_tried_again(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 3).await;
    let items = claim(queue, turn(&batch, 3)).await;
    for (item, how) in items.iter().zip([done("a"), failed(), failed()]) {
        assert!(settle(queue, item, how).await);
    }

    let again = queue.change(&cx, batch.id, RETRY).await.unwrap().unwrap();

    assert_eq!((again.state, again.counts.failed), (BatchState::InProgress, 0));
    assert_eq!(again.finished_at, None);
    let items = claim(queue, turn(&batch, 3)).await;
    assert_eq!(indexes(&items), [1, 2]);
    assert_eq!((items[0].tries, items[0].reclaimed), (1, false));
    for item in &items {
        assert!(settle(queue, item, done("b")).await);
    }
    let (kept, _) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.succeeded), (BatchState::Completed, 3));
    let unchanged = queue.change(&cx, batch.id, RETRY).await.unwrap().unwrap();
    assert_eq!(unchanged, kept);
}

pub async fn what_failed_for_good_is_not_tried_again(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 3).await;
    let items = claim(queue, turn(&batch, 3)).await;
    for (item, how) in items.iter().zip([refused(), failed(), refused()]) {
        assert!(settle(queue, item, how).await);
    }

    let again = queue.change(&cx, batch.id, RETRY).await.unwrap().unwrap();

    assert_eq!((again.state, again.counts.failed), (BatchState::InProgress, 2));
    let items = claim(queue, turn(&batch, 3)).await;
    assert_eq!(indexes(&items), [1]);
    // Of one that fails for good this time, nothing is left to be tried.
    assert!(settle(queue, &items[0], refused()).await);
    let (kept, _) = read(queue, &cx, batch.id).await;
    assert_eq!((kept.state, kept.counts.failed), (BatchState::Failed, 3));
    assert_eq!(queue.change(&cx, batch.id, RETRY).await.unwrap(), Some(kept));
    // Unless that is what is asked for.
    let every = Change::RetryFailed {
        all: true,
        most_open: None,
    };
    let again = queue.change(&cx, batch.id, every).await.unwrap().unwrap();
    assert_eq!((again.state, again.counts.failed), (BatchState::InProgress, 0));
    let elsewhere = queue.change(&build::context(), batch.id, RETRY).await.unwrap();
    assert_eq!(elsewhere, None);
}

fn limited(items: u32, most_open: u64) -> NewBatch {
    NewBatch {
        most_open: Some(most_open),
        ..batch(items)
    }
}

async fn open(queue: &dyn BatchQueue, cx: &Context) -> u32 {
    let all = queue.list(cx, None, 100).await.unwrap();
    all.iter().map(|batch| batch.counts.open()).sum()
}

pub async fn of_many_who_submit_at_once_those_are_kept_for_whom_there_is_room(queue: Arc<dyn BatchQueue>) {
    let cx = build::context();
    let submissions: Vec<_> = (0..12)
        .map(|_| {
            let (queue, cx) = (Arc::clone(&queue), cx.clone());
            tokio::spawn(async move {
                let batch = limited(10, 35);
                (queue.submit(&cx, &batch).await, batch)
            })
        })
        .collect();
    let mut kept = Vec::new();
    for submission in submissions {
        match submission.await.unwrap() {
            (Ok(()), batch) => kept.push(batch),
            (Err(StoreError::Full { open, most }), batch) => {
                assert!(open > 25 && open <= 35 && most == 35, "{open} of {most}");
                assert_eq!(queue.read(&cx, batch.id, ALL).await.unwrap(), None);
            }
            (Err(error), _) => panic!("{error}"),
        }
    }

    assert_eq!((kept.len(), open(&*queue, &cx).await), (3, 30));
    // To the last item, and for whoever comes again.
    queue.submit(&cx, &limited(5, 35)).await.unwrap();
    queue.submit(&cx, &kept[0]).await.unwrap();
    let one_more = queue.submit(&cx, &limited(1, 35)).await;
    assert!(
        matches!(one_more, Err(StoreError::Full { open: 35, most: 35 })),
        "{one_more:?}"
    );
    // Others have room of their own, and without a bound there is always some.
    queue.submit(&build::context(), &limited(35, 35)).await.unwrap();
    queue.submit(&cx, &batch(1)).await.unwrap();
}

pub async fn room_comes_back_with_each_outcome(queue: &dyn BatchQueue) {
    let cx = build::context();
    let first = limited(3, 3);
    queue.submit(&cx, &first).await.unwrap();
    assert!(queue.submit(&cx, &limited(1, 3)).await.is_err());

    let items = claim(queue, turn(&first, 1)).await;
    assert!(
        queue.submit(&cx, &limited(1, 3)).await.is_err(),
        "what is being written is open"
    );
    assert!(settle(queue, &items[0], done("a")).await);

    queue.submit(&cx, &limited(1, 3)).await.unwrap();
    queue.change(&cx, first.id, Change::Cancel).await.unwrap();
    queue.submit(&cx, &limited(2, 3)).await.unwrap();
    assert!(queue.submit(&cx, &limited(1, 3)).await.is_err());
}

pub async fn what_is_to_be_tried_again_needs_room(queue: Arc<dyn BatchQueue>) {
    let cx = build::context();
    let retry = Change::RetryFailed {
        all: false,
        most_open: Some(5),
    };
    let batch = limited(3, 5);
    queue.submit(&cx, &batch).await.unwrap();
    for (item, how) in claim(&*queue, turn(&batch, 3))
        .await
        .iter()
        .zip([done("a"), failed(), failed()])
    {
        assert!(settle(&*queue, item, how).await);
    }
    let other = limited(4, 5);
    queue.submit(&cx, &other).await.unwrap();
    let before = read(&*queue, &cx, batch.id).await;

    let full = queue.change(&cx, batch.id, retry).await;

    assert!(matches!(full, Err(StoreError::Full { open: 4, most: 5 })), "{full:?}");
    assert_eq!(read(&*queue, &cx, batch.id).await, before);
    queue.change(&cx, other.id, Change::Cancel).await.unwrap();
    // However many ask at once, each item is queued once.
    let retries: Vec<_> = (0..8)
        .map(|_| {
            let (queue, cx, id) = (Arc::clone(&queue), cx.clone(), batch.id);
            tokio::spawn(async move { queue.change(&cx, id, retry).await.unwrap().unwrap() })
        })
        .collect();
    for again in retries {
        let again = again.await.unwrap();
        assert_eq!((again.state, again.counts.failed), (BatchState::InProgress, 0));
    }
    let items = claim(&*queue, turn(&batch, 9)).await;
    assert_eq!(indexes(&items), [1, 2]);
    assert_eq!(claim(&*queue, turn(&batch, 9)).await, []);
    let _ = queue.change(&cx, batch.id, retry).await.unwrap();
    assert_eq!(
        claim(&*queue, turn(&batch, 9)).await,
        [],
        "what is being written is not begun again"
    );
}

pub async fn held_and_other_batches_are_left_alone(queue: &dyn BatchQueue) {
    let cx = build::context();
    let (one, other) = (submitted(queue, &cx, 1).await, submitted(queue, &cx, 1).await);
    let holding = Turn {
        held: vec![batch(1).id, one.id],
        ..turn(&one, 1)
    };

    assert_eq!(claim(queue, holding).await, []);
    let items = claim(queue, turn(&one, 9)).await;
    assert_eq!((items.len(), items[0].ticket.batch), (1, one.id));
    assert_eq!(claim(queue, turn(&other, 9)).await.len(), 1);
}

/// Those of this batch; others may have their own at the same time.
async fn notices(queue: &dyn BatchQueue, batch: &NewBatch) -> Vec<Notice> {
    let taken = queue.claim(&build::context(), &tidying(turn(batch, 0))).await.unwrap();
    taken
        .notices
        .into_iter()
        .filter(|notice| notice.batch.id == batch.id)
        .collect()
}

pub async fn whoever_is_to_be_told_is_named_until_told(queue: &dyn BatchQueue) {
    let cx = build::context();
    let receiver = Receiver {
        url: "https://hooks.example/batches".to_owned(),
        secret: "whsec_AAAA".to_owned(),
    };
    for notify in [None, Some(receiver)] {
        let batch = NewBatch {
            notify: notify.clone(),
            ..batch(1)
        };
        queue.submit(&cx, &batch).await.unwrap();
        assert_eq!(notices(queue, &batch).await, []);
        let items = claim(queue, turn(&batch, 1)).await;
        assert!(settle(queue, &items[0], done("a")).await);

        let first = notices(queue, &batch).await;

        let (kept, _) = read(queue, &cx, batch.id).await;
        let Some(receiver) = notify else {
            assert_eq!(first, []);
            continue;
        };
        let expected = Notice {
            tenant: cx.tenant.clone(),
            batch: kept,
            receiver,
            tries: 1,
        };
        assert_eq!(first, std::slice::from_ref(&expected));
        assert_eq!(notices(queue, &batch).await, [], "somebody is at it");
        queue
            .change(&cx, batch.id, Change::TellLater(Duration::ZERO))
            .await
            .unwrap();
        assert_eq!(notices(queue, &batch).await, [Notice { tries: 2, ..expected }]);
        queue.change(&cx, batch.id, Change::TellLater(HOUR)).await.unwrap();
        assert_eq!(notices(queue, &batch).await, []);
        queue.change(&cx, batch.id, Change::Told).await.unwrap();
        assert_eq!(notices(queue, &batch).await, []);
    }
}

pub async fn the_backlog_counts_what_waits(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 7).await;
    let items = claim(queue, turn(&batch, 3)).await;
    assert!(settle(queue, &items[0], done("a")).await);

    let Taken { backlog, items, .. } = queue.claim(&cx, &tidying(turn(&batch, 0))).await.unwrap();

    assert_eq!(items, []);
    let backlog = backlog.unwrap();
    assert!(backlog.batches >= 1 && backlog.items >= 6, "{backlog:?}");
    assert!(backlog.oldest.unwrap() <= cx.now);
    let without = queue.claim(&cx, &turn(&batch, 0)).await.unwrap();
    assert_eq!(without, Taken::default());
}

pub async fn what_was_over_long_ago_is_removed(queue: &dyn BatchQueue) {
    let cx = build::context();
    let (over, open) = (submitted(queue, &cx, 2).await, submitted(queue, &cx, 2).await);
    queue.change(&cx, over.id, Change::Cancel).await.unwrap();
    claim(queue, tidying(turn(&over, 0))).await;
    assert!(queue.read(&cx, over.id, ALL).await.unwrap().is_some());
    let mut all = vec![over.id];
    for _ in 0..20 {
        let over = submitted(queue, &cx, 1).await;
        queue.change(&cx, over.id, Change::Cancel).await.unwrap();
        all.push(over.id);
    }
    let forgetful = Turn {
        tidy: Some(Tidy {
            retention: Duration::ZERO,
            lease: HOUR,
        }),
        ..turn(&over, 0)
    };

    // Small ones are removed many at a time: one for each look would not keep up with those that are submitted. There may
    // be some of other cases.
    for _ in 0..4 {
        claim(queue, forgetful.clone()).await;
    }

    for id in all {
        assert_eq!(queue.read(&cx, id, ALL).await.unwrap(), None);
    }
    assert_eq!(read(queue, &cx, open.id).await.0.counts.total, 2);
}

/// For stores that keep captions too: whoever erases a user's captions erases what batches keep of that user.
pub async fn what_is_kept_of_an_erased_user_goes_with_their_captions(
    queue: &dyn BatchQueue,
    captions: &dyn CaptionStore,
) {
    let cx = build::context();
    let mut batch = batch(5);
    for (item, user) in batch.items.iter_mut().zip(["ann", "ann", "ann", "ben", "ben"]) {
        item.user = Some(build::user_id(user));
    }
    queue.submit(&cx, &batch).await.unwrap();
    let items = claim(queue, turn(&batch, 2)).await;
    assert!(settle(queue, &items[0], done("of ann")).await);

    let ann = Extent::OfUser(build::user_id("ann"));
    captions.erase(&cx, &ann).await.unwrap();

    let (_, outcomes) = read(queue, &cx, batch.id).await;
    assert_eq!(
        (outcomes[0].status, &outcomes[0].document),
        (ItemStatus::Succeeded, &None)
    );
    // What was being written when the user went does not come back.
    assert!(!settle(queue, &items[1], done("of ann")).await);
    let items = claim(queue, turn(&batch, 9)).await;
    let requests: Vec<&str> = items.iter().map(|item| item.request.as_str()).collect();
    assert_eq!(requests, ["", "", &batch.items[3].request, &batch.items[4].request]);

    for item in &items {
        assert!(settle(queue, item, done("of ben")).await);
    }
    let one = Extent::One(batch.items[3].caption);
    captions.erase(&build::context(), &one).await.unwrap();
    let kept = async || {
        let (_, outcomes) = read(queue, &cx, batch.id).await;
        let kept = outcomes.iter().filter(|outcome| outcome.document.is_some());
        kept.map(|outcome| outcome.index).collect::<Vec<u32>>()
    };
    assert_eq!(kept().await, [1, 2, 3, 4], "another tenant erases nothing");
    captions.erase(&cx, &one).await.unwrap();
    assert_eq!(kept().await, [1, 2, 4]);
}

pub async fn a_large_batch_is_kept_whole(queue: &dyn BatchQueue) {
    let cx = build::context();
    let batch = submitted(queue, &cx, 1201).await;

    let items = claim(queue, turn(&batch, 2000)).await;

    assert_eq!(indexes(&items), (0..1201).collect::<Vec<u32>>());
    assert!(
        items
            .iter()
            .zip(&batch.items)
            .all(|(item, new)| item.request == new.request)
    );
}

pub async fn a_submission_that_broke_off_gives_its_room_back(queue: &dyn BatchQueue) {
    for polls in 1..9 {
        let (cx, broken) = (build::context(), limited(3, 3));
        drop(cut_after(polls, queue.submit(&cx, &broken)).await);
        queue.change(&cx, broken.id, Change::Discard).await.unwrap();
        if queue.read(&cx, broken.id, ALL).await.unwrap().is_some() {
            // It was whole before it was cut off: then it stays.
            assert!(queue.submit(&cx, &limited(1, 3)).await.is_err());
            continue;
        }
        // A server may still be at the statement that nobody waits for any more.
        let mut looks = 0;
        while let Err(full) = queue.submit(&cx, &limited(3, 3)).await {
            assert!(matches!(full, StoreError::Full { .. }), "{full}");
            looks += 1;
            assert!(looks < 10_000, "the room is not given back");
            queue.change(&cx, broken.id, Change::Discard).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
}

pub async fn a_call_cut_off_midway_leaves_the_queue_usable(queue: &dyn BatchQueue) {
    let cx = build::context();
    for polls in 1..6 {
        let batch = batch(3);
        drop(cut_after(polls, queue.submit(&cx, &batch)).await);
        queue.submit(&cx, &batch).await.unwrap();
        assert_eq!(read(queue, &cx, batch.id).await.0.counts.total, 3);
        let lost = Turn {
            lease: Duration::ZERO,
            ..turn(&batch, 9)
        };
        drop(cut_after(polls, queue.claim(&cx, &lost)).await);
        let mut items = Vec::new();
        // A server may still be at the statement that nobody waits for any more, and hold what it looks at.
        while items.len() < 3 {
            items.extend(claim(queue, turn(&batch, 9)).await);
            tokio::task::yield_now().await;
        }
        items.sort_by_key(|item| item.ticket.index);
        assert_eq!(indexes(&items), [0, 1, 2]);
        drop(cut_after(polls, queue.settle(&cx, &items[0].ticket, &done("a"))).await);
        for item in &items {
            settle(queue, item, done("a")).await;
        }
        let (kept, _) = read(queue, &cx, batch.id).await;
        assert_eq!((kept.state, kept.counts.succeeded), (BatchState::Completed, 3));
    }
}
