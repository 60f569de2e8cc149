use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{TaskCounts, Tasks};
use crate::samples::ms;

const LONG: Duration = Duration::from_secs(10);

fn none() -> TaskCounts {
    TaskCounts {
        running: 0,
        refused: 0,
        panicked: 0,
        cut_off: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_work_that_comes_to_an_end() {
    let tasks = Tasks::new(10);
    let done = Arc::new(AtomicBool::new(false));
    let work = {
        let done = Arc::clone(&done);
        async move {
            sleep(ms(500)).await;
            done.store(true, Ordering::Relaxed);
        }
    };
    assert!(tasks.spawn("work", work).is_ok());
    let begun = Instant::now();

    assert_eq!(tasks.drain(LONG).await, 0);

    assert!(done.load(Ordering::Relaxed));
    assert_eq!(begun.elapsed(), ms(500));
    assert_eq!(tasks.counts(), none());
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_cut_off_and_counted() {
    let tasks = Tasks::new(10);
    assert!(tasks.spawn("stuck", pending()).is_ok());
    assert!(tasks.spawn("stuck too", pending()).is_ok());
    let begun = Instant::now();

    assert_eq!(tasks.drain(LONG).await, 2);

    assert_eq!(begun.elapsed(), LONG);
    assert_eq!(tasks.counts(), TaskCounts { cut_off: 2, ..none() });
}

#[tokio::test(start_paused = true)]
async fn endless_work_ends_at_once_with_the_process() {
    let tasks = Tasks::new(0);
    tasks.spawn_endless("listening", pending());
    let begun = Instant::now();

    assert_eq!(tasks.drain(LONG).await, 0);

    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(tasks.counts(), none());
}

#[tokio::test(start_paused = true)]
async fn more_work_than_there_are_places_is_given_back() {
    let tasks = Tasks::new(2);
    for _ in 0..2 {
        assert!(tasks.spawn("work", sleep(ms(100))).is_ok());
    }

    let given_back = tasks.spawn("one too many", sleep(ms(100)));

    given_back.expect_err("the work comes back").await;
    sleep(ms(1)).await;
    assert_eq!(tasks.counts(), TaskCounts { refused: 1, ..none() });
    assert!(tasks.spawn("a place is free again", sleep(ms(1))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_and_frees_its_place() {
    let tasks = Tasks::new(1);
    assert!(tasks.spawn("broken", async { panic!("on purpose") }).is_ok());
    sleep(ms(1)).await;

    assert_eq!(tasks.counts(), TaskCounts { panicked: 1, ..none() });
    assert!(tasks.spawn("the next", sleep(ms(1))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_the_end_nothing_is_taken_on() {
    let tasks = Tasks::new(1);
    let waiting = tasks.clone();
    assert!(
        tasks
            .spawn("waits for the end", async move { waiting.stopping().await })
            .is_ok()
    );

    assert_eq!(tasks.drain(LONG).await, 0);

    assert!(tasks.spawn("late", sleep(ms(1))).is_err());
    assert_eq!(tasks.counts(), TaskCounts { refused: 1, ..none() });
}
