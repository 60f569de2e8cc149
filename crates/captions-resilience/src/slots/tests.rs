use futures_util::FutureExt;
use tokio::time::sleep;

use super::*;
use crate::samples::ms;

fn slots(max_concurrent: usize, queue_length: usize) -> Slots {
    Slots::new(SlotSettings {
        max_concurrent,
        queue_length,
        queue_wait: Duration::from_secs(2),
    })
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let slots = slots(1, 1);
    let _held = slots.take(None).await.unwrap();
    let mut waiting = Box::pin(slots.take(None));
    assert!(waiting.as_mut().now_or_never().is_none());

    let refused = slots.take(None).now_or_never().unwrap();

    assert_eq!(refused.unwrap_err().kind, FaultKind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_queue_wait_or_the_deadline() {
    let slots = slots(1, 5);
    let held = slots.take(None).await.unwrap();
    let start = Instant::now();

    let patient = slots.take(None).await.unwrap_err();
    assert_eq!(
        (patient.kind, start.elapsed()),
        (FaultKind::Overloaded, Duration::from_secs(2))
    );

    let start = Instant::now();
    let hurried = slots.take(Some(start + ms(300))).await.unwrap_err();
    assert_eq!((hurried.kind, start.elapsed()), (FaultKind::Overloaded, ms(300)));

    assert_eq!(slots.waiting(), 0);
    drop(held);
    assert_eq!(slots.free(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_slot_when_it_becomes_free_in_the_order_of_coming() {
    let slots = slots(1, 5);
    let held = slots.take(None).await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let wait = async |name: u32| {
        let _slot = slots.take(None).await.unwrap();
        order.lock().unwrap().push(name);
        sleep(ms(10)).await;
    };

    let free = async {
        sleep(ms(100)).await;
        drop(held);
    };
    tokio::join!(wait(1), wait(2), wait(3), free);

    assert_eq!(order.into_inner().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_gives_up_its_place() {
    let slots = slots(1, 1);
    let _held = slots.take(None).await.unwrap();

    for _ in 0..10 {
        let mut waiting = Box::pin(slots.take(None));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(slots.waiting(), 1);
    }

    assert_eq!(slots.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_slots_and_no_limit_of_time_are_brought_into_range() {
    let slots = Slots::new(SlotSettings {
        max_concurrent: 0,
        queue_length: 1,
        queue_wait: Duration::MAX,
    });

    let held = slots.take(None).await.unwrap();
    let mut waiting = Box::pin(slots.take(None));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(held);

    assert!(waiting.await.is_ok());
}
