#![expect(clippy::float_cmp, reason = "times on a paused clock are exact")]

use tokio::{
    task::yield_now,
    time::{advance, timeout},
};

use super::*;

const LIMIT: Duration = Duration::from_millis(100);

/// The task sees a clock that has run on by itself.
async fn late_by(gauges: &EventLoop, lag: Duration) {
    let before = gauges.stalls();
    advance(lag).await;
    for _ in 0..100 {
        yield_now().await;
        if gauges.stalls() > before {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_waking_is_a_stall_and_an_episode_ends_after_quiet() {
    let gauges = EventLoop::default();
    let task = tokio::spawn(watch_event_loop(gauges.clone(), LIMIT));
    yield_now().await;

    late_by(&gauges, Duration::from_millis(400)).await;
    late_by(&gauges, Duration::from_millis(200)).await;

    let stalled = gauges.stats();
    assert_eq!((stalled.stalls, stalled.stalled), (2, true));
    assert_eq!(stalled.max_lag, 0.375, "400 ms less the pause of 25 ms");
    for _ in 0..1_000 {
        advance(Duration::from_millis(25)).await;
        yield_now().await;
    }
    let later = gauges.stats();
    assert_eq!((later.stalls, later.stalled), (2, false));
    assert_eq!((later.lag, later.max_lag), (0.0, 0.375));
    assert_eq!(gauges.take_longest(), Duration::from_millis(375));
    assert_eq!(gauges.take_longest(), Duration::ZERO, "it was told");
    task.abort();
}

#[tokio::test]
async fn a_thread_that_blocks_the_runtime_is_noticed() {
    let gauges = EventLoop::default();
    let task = tokio::spawn(watch_event_loop(gauges.clone(), LIMIT));
    sleep(Duration::from_millis(30)).await;

    std::thread::sleep(Duration::from_millis(300));

    let seen = timeout(Duration::from_secs(10), async {
        while gauges.stalls() == 0 {
            yield_now().await;
        }
    });
    seen.await.unwrap();
    assert!(gauges.stats().max_lag > 0.1, "{:?}", gauges.stats());
    task.abort();
}
