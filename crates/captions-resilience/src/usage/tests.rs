use std::sync::Mutex as Plain;

use captions_domain::{
    fault::{Fault, FaultKind},
    ports::MockUsageStore,
    usage::{Calls, LATEST, Row},
};

use super::*;
use crate::samples::relaxed;

/// What the store does with the next batches, and those that it was given.
type Answers = Arc<Plain<Vec<Result<(), FaultKind>>>>;

fn writer(answers: &Answers) -> (UsageWriter, Arc<Plain<Vec<Batch>>>) {
    let given = Arc::<Plain<Vec<Batch>>>::default();
    let mut store = MockUsageStore::new();
    let (noted, answers) = (Arc::clone(&given), Arc::clone(answers));
    store.expect_add().returning(move |_, batch| {
        noted.lock().unwrap().push(batch.clone());
        let mut answers = answers.lock().unwrap();
        if answers.is_empty() {
            return Ok(());
        }
        answers.remove(0).map_err(|kind| Fault::new(kind).into())
    });
    (UsageWriter::new(Arc::new(store), None), given)
}

/// A request that calls this provider once.
fn asks(writer: &UsageWriter, provider: &str) {
    let tab = Tab {
        tally: Some(Arc::clone(writer.tally())),
        ..Tab::default()
    };
    let calls = Calls {
        begun: 1,
        ..Calls::default()
    };
    Context { tab, ..relaxed() }.called(provider, "m", &calls);
}

fn calls(rows: &[Row]) -> Vec<(Option<&str>, u64)> {
    rows.iter()
        .map(|row| (row.place.provider.as_deref(), row.amounts.calls))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_used_within_a_second_is_one_batch() {
    let (writer, given) = writer(&Answers::default());
    for provider in ["a", "b", "a"] {
        asks(&writer, provider);
    }

    drop(tokio::time::timeout(Duration::from_millis(2500), writer.run()).await);

    let given = given.lock().unwrap();
    assert_eq!(given.len(), 1, "nothing is delivered where nothing was used");
    assert_eq!(calls(&given[0].rows), [(Some("a"), 2), (Some("b"), 1)]);
    let expected = UsageCounts {
        written: 2,
        ..UsageCounts::default()
    };
    assert_eq!(writer.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_take_is_delivered_again_as_it_was_and_what_came_since_behind_it() {
    let answers = Answers::default();
    *answers.lock().unwrap() = vec![Err(FaultKind::Unavailable), Err(FaultKind::Timeout)];
    let (writer, given) = writer(&answers);
    asks(&writer, "a");

    assert!(writer.flush(DELIVERY).await.is_err());
    asks(&writer, "a");
    assert_eq!(writer.counts().waiting, 2);
    drop(tokio::time::timeout(Duration::from_millis(2500), writer.run()).await);

    let given = given.lock().unwrap();
    let told: Vec<_> = given.iter().map(|batch| calls(&batch.rows)).collect();
    assert_eq!(told, vec![vec![(Some("a"), 1)]; 4]);
    assert!(given[0].id == given[1].id && given[1].id == given[2].id && given[2].id != given[3].id);
    assert_eq!((writer.counts().waiting, writer.counts().dropped), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_dropped_midway_is_made_again_under_its_id() {
    let given = Arc::<Plain<Vec<Uuid>>>::default();
    let mut store = MockUsageStore::new();
    let noted = Arc::clone(&given);
    store.expect_add().returning(move |_, batch| {
        noted.lock().unwrap().push(batch.id);
        Ok(())
    });
    let slow = Slow(store);
    let writer = UsageWriter::new(Arc::new(slow), None);
    asks(&writer, "a");

    drop(tokio::time::timeout(Duration::from_millis(50), writer.flush(DELIVERY)).await);
    assert_eq!(writer.counts().waiting, 1);
    writer.flush(DELIVERY).await.unwrap();

    let given = given.lock().unwrap();
    assert_eq!(given.len(), 2);
    assert_eq!(given[0], given[1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_for_days_is_given_up() {
    let (writer, given) = writer(&Answers::default());
    asks(&writer, "a");
    let rows = writer.tally().take(1);
    let long_ago = OffsetDateTime::now_utc() - LATEST - time::Duration::MINUTE;
    let long_ago = u64::try_from(long_ago.unix_timestamp()).unwrap();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, long_ago, 0));
    let batch = Batch { id, rows };
    *writer.0.under_way.lock().await = Some(UnderWay { batch, refusals: 0 });

    writer.flush(DELIVERY).await.unwrap();

    let expected = UsageCounts {
        dropped: 1,
        ..UsageCounts::default()
    };
    assert_eq!(writer.counts(), expected);
    assert_eq!(*given.lock().unwrap(), []);
}

/// Takes it, and a tenth of a second for saying so.
struct Slow(MockUsageStore);

#[async_trait::async_trait]
impl UsageStore for Slow {
    async fn add(&self, cx: &Context, batch: &Batch) -> Result<(), StoreError> {
        let done = self.0.add(cx, batch).await;
        sleep(Duration::from_millis(100)).await;
        done
    }

    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        self.0.report(cx, query, limit).await
    }

    async fn sweep(&self, cx: &Context, before: Hour, limit: u32) -> Result<u64, StoreError> {
        self.0.sweep(cx, before, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_it_is_delivered_is_left_for_the_next_time() {
    let (tally, added) = (
        Arc::new(std::sync::OnceLock::<UsageWriter>::new()),
        Arc::<Plain<usize>>::default(),
    );
    let mut store = MockUsageStore::new();
    let (inside, count) = (Arc::clone(&tally), Arc::clone(&added));
    store.expect_add().returning(move |_, batch| {
        *count.lock().unwrap() += batch.rows.len();
        // Requests go on while the store is at work.
        asks(inside.get().unwrap(), "later");
        Ok(())
    });
    let writer = UsageWriter::new(Arc::new(store), None);
    drop(tally.set(writer.clone()));
    asks(&writer, "now");

    writer.flush(DELIVERY).await.unwrap();

    assert_eq!((*added.lock().unwrap(), writer.counts().waiting), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_for_good_is_given_up_in_the_end_and_holds_up_nothing_behind_it() {
    let answers = Answers::default();
    *answers.lock().unwrap() = vec![Err(FaultKind::Internal); 60];
    let (writer, given) = writer(&answers);
    asks(&writer, "a");
    assert!(writer.flush(DELIVERY).await.is_err());
    asks(&writer, "b");

    drop(tokio::time::timeout(Duration::from_millis(61_500), writer.run()).await);

    assert_eq!(calls(&given.lock().unwrap().last().unwrap().rows), [(Some("b"), 1)]);
    let expected = UsageCounts {
        waiting: 0,
        written: 1,
        dropped: 1,
    };
    assert_eq!(writer.counts(), expected);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_what_finds_no_room_is_counted() {
    let (writer, given) = writer(&Answers::default());
    for place in 0..PLACES + 3 {
        asks(&writer, &place.to_string());
    }
    assert_eq!((writer.counts().waiting, writer.counts().dropped), (PLACES as u64, 3));

    writer.flush(DELIVERY).await.unwrap();

    let given = given.lock().unwrap();
    assert_eq!(given.len(), PLACES / ROWS, "in batches of a bounded size");
    assert_eq!(writer.counts().written, PLACES as u64);
}
