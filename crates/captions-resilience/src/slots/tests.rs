use std::sync::Mutex;

use futures_util::{FutureExt, future::join_all};
use tokio::{join, time::sleep};

use super::*;
use crate::samples::ms;

const INTERACTIVE: Class = Class::Interactive;
const BATCH: Class = Class::Batch;

fn slots(max_concurrent: usize, queue_length: usize) -> Slots {
    Slots::new(
        "test".into(),
        SlotSettings {
            max_concurrent,
            queue_length,
            ..SlotSettings::default()
        },
    )
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let slots = slots(1, 1);
    let _held = slots.take(INTERACTIVE, None).await.unwrap();
    let mut waiting = Box::pin(slots.take(INTERACTIVE, None));
    assert!(waiting.as_mut().now_or_never().is_none());

    let refused = slots.take(INTERACTIVE, None).now_or_never().unwrap();

    assert_eq!(refused.unwrap_err().kind, FaultKind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_there_may_be_room() {
    let slots = slots(1, 1);
    drop(slots.take(INTERACTIVE, None).await.unwrap());
    let held = slots.take(INTERACTIVE, None).await.unwrap();
    sleep(ms(3000)).await;
    drop(held);
    let _held = slots.take(INTERACTIVE, None).await.unwrap();
    let mut waiting = Box::pin(slots.take(INTERACTIVE, None));
    assert!(waiting.as_mut().now_or_never().is_none());

    let refused = slots.take(INTERACTIVE, None).await.unwrap_err();

    // The slot was held for 3 s the last time, and somebody waits already.
    assert_eq!(refused.retry_after(), Some(ms(6000)));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_queue_wait_or_the_deadline() {
    let slots = slots(1, 5);
    let held = slots.take(INTERACTIVE, None).await.unwrap();
    let start = Instant::now();

    let patient = slots.take(BATCH, None).await.unwrap_err();
    assert_eq!(
        (patient.kind, start.elapsed()),
        (FaultKind::Overloaded, Duration::from_secs(2))
    );

    let start = Instant::now();
    let hurried = slots.take(INTERACTIVE, Some(start + ms(300))).await.unwrap_err();
    assert_eq!((hurried.kind, start.elapsed()), (FaultKind::Overloaded, ms(300)));

    assert_eq!((slots.waiting(), slots.crowd().refused), (0, 2));
    drop(held);
    assert_eq!(slots.free(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_slot_when_it_becomes_free_interactive_callers_first() {
    let slots = slots(1, 9);
    let held = slots.take(INTERACTIVE, None).await.unwrap();
    let order = Mutex::new(Vec::new());
    let wait = async |class: Class, name: u32| {
        let _slot = slots.take(class, None).await.unwrap();
        order.lock().unwrap().push(name);
        sleep(ms(10)).await;
    };

    let free = async {
        sleep(ms(100)).await;
        drop(held);
    };
    let batches = join_all([wait(BATCH, 4), wait(BATCH, 5)]);
    let people = join_all([wait(INTERACTIVE, 1), wait(INTERACTIVE, 2), wait(INTERACTIVE, 3)]);
    join!(batches, people, free);

    assert_eq!(order.into_inner().unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn batches_do_not_starve_under_a_steady_crowd_of_people() {
    let slots = slots(1, 9);
    let (begun, people) = (Instant::now(), Mutex::new(0));
    let crowd = async {
        // Whoever has been served comes again at once, so that somebody always waits.
        let person = async || {
            while begun.elapsed() < ms(1500) {
                let _slot = slots.take(INTERACTIVE, None).await.unwrap();
                *people.lock().unwrap() += 1;
                sleep(ms(10)).await;
            }
        };
        join!(person(), person(), person());
    };
    let batch = async {
        let mut served = 0;
        while begun.elapsed() < ms(1500) {
            let _slot = slots.take(BATCH, None).await.unwrap();
            served += 1;
            sleep(ms(10)).await;
        }
        served
    };

    let ((), served) = join!(crowd, batch);

    let people = people.into_inner().unwrap();
    assert!(served >= 25 && people >= 4 * (served - 1), "{served} of {people}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_gives_up_its_place() {
    let slots = slots(1, 1);
    let _held = slots.take(INTERACTIVE, None).await.unwrap();

    for class in [INTERACTIVE, BATCH].repeat(5) {
        let mut waiting = Box::pin(slots.take(class, None));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(slots.waiting(), 1);
    }

    assert_eq!(slots.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slot_on_its_way_to_somebody_who_leaves_goes_to_the_next() {
    let slots = slots(1, 5);
    let held = slots.take(INTERACTIVE, None).await.unwrap();
    let mut first = Box::pin(slots.take(INTERACTIVE, None));
    let mut second = Box::pin(slots.take(BATCH, None));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());

    drop(held);
    assert_eq!(slots.crowd().in_flight, 1, "called, but not yet looked at");
    drop(first);

    let slot = second.now_or_never().unwrap().unwrap();
    assert_eq!(slots.free(), 0);
    drop(slot);
    assert_eq!(slots.free(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_youngest_batch_is_told_at_once_that_it_lost_its_place() {
    let slots = slots(1, 2);
    let _held = slots.take(INTERACTIVE, None).await.unwrap();
    let start = Instant::now();

    let old = async { slots.take(BATCH, None).await.map(drop) };
    let young = async {
        let refused = slots.take(BATCH, None).await.unwrap_err();
        (refused, start.elapsed())
    };
    let person = async {
        sleep(ms(100)).await;
        slots.take(INTERACTIVE, None).await.map(drop)
    };
    let (old, (young, after), person) = join!(old, young, person);

    assert_eq!((young.kind, after), (FaultKind::Overloaded, ms(100)));
    assert!(young.retry_after().is_some());
    // The others wait until their time is up.
    assert!(old.is_err() && person.is_err() && start.elapsed() == ms(2100));
}

#[tokio::test(start_paused = true)]
async fn no_slots_and_no_limit_of_time_are_brought_into_range() {
    let slots = Slots::new(
        "test".into(),
        SlotSettings {
            max_concurrent: 0,
            queue_length: 1,
            queue_wait: Duration::MAX,
            adaptive: None,
        },
    );

    let held = slots.take(INTERACTIVE, None).await.unwrap();
    let mut waiting = Box::pin(slots.take(INTERACTIVE, None));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(held);

    assert!(waiting.await.is_ok());
}
