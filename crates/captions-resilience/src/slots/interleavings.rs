//! Slots under every order of their threads: `gate.rs` once more, with a lock whose threads a scheduler takes turns with. A
//! caller that is never called would be a deadlock, which the scheduler finds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use captions_domain::context::Class;
use shuttle::{check_pct, check_random, future::block_on, thread};

use self::gate::{Crowd, Entry, Gate, Slot};
use super::{adaptive, line};

mod lock {
    pub(super) use shuttle::sync::{Mutex, MutexGuard};
}

#[path = "gate.rs"]
#[expect(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "of this copy only what the threads below do is used"
)]
mod gate;

/// Enough for the orders that matter, in well under a second each.
const SCHEDULES: usize = 1000;

fn explore(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    check_random(scenario, SCHEDULES);
    check_pct(scenario, SCHEDULES, 3);
}

fn gate(limit: usize, length: usize) -> Arc<Gate> {
    Arc::new(Gate::new("test".into(), limit, length, None))
}

/// Waits for a slot if need be; `None` if there was no room, or not any more.
fn take(gate: &Arc<Gate>, class: Class) -> Option<Slot> {
    match gate.enter(class) {
        Entry::Slot(slot) => Some(slot),
        Entry::Place(mut place) => block_on(place.turn()).ok(),
        Entry::Full => None,
    }
}

fn assert_all_is_free(gate: &Gate, limit: usize) {
    let Crowd {
        in_flight,
        interactive,
        batch,
        limit: now,
        ..
    } = gate.crowd();
    assert_eq!((in_flight, interactive, batch, now), (0, 0, 0, limit));
}

#[test]
fn everybody_is_served_and_never_more_at_once_than_there_are_slots() {
    explore(|| {
        let (gate, serving) = (gate(2, 9), Arc::new(AtomicUsize::new(0)));
        let classes = [Class::Interactive, Class::Batch, Class::Interactive, Class::Batch];
        let callers = classes.map(|class| {
            let (gate, serving) = (Arc::clone(&gate), Arc::clone(&serving));
            thread::spawn(move || {
                let slot = take(&gate, class).unwrap();
                assert!(serving.fetch_add(1, Ordering::Relaxed) < 2, "more calls than slots");
                thread::yield_now();
                serving.fetch_sub(1, Ordering::Relaxed);
                drop(slot);
            })
        });
        for caller in callers {
            caller.join().unwrap();
        }

        assert_all_is_free(&gate, 2);
    });
}

#[test]
fn a_slot_on_its_way_to_somebody_who_leaves_is_not_lost() {
    explore(|| {
        let gate = gate(1, 9);
        let held = take(&gate, Class::Interactive);
        let leaver = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let entry = gate.enter(Class::Interactive);
                thread::yield_now();
                drop(entry);
            })
        };
        let stayers = [Class::Interactive, Class::Batch].map(|class| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || assert!(take(&gate, class).is_some()))
        });
        let holder = thread::spawn(move || drop(held));
        leaver.join().unwrap();
        for stayer in stayers {
            stayer.join().unwrap();
        }
        holder.join().unwrap();

        assert_all_is_free(&gate, 1);
    });
}

#[test]
fn whoever_is_displaced_has_either_the_slot_or_the_news_and_nobody_hangs() {
    explore(|| {
        let gate = gate(1, 1);
        let held = take(&gate, Class::Interactive);
        let served = Arc::new(AtomicUsize::new(0));
        let callers = [Class::Batch, Class::Batch, Class::Interactive].map(|class| {
            let (gate, served) = (Arc::clone(&gate), Arc::clone(&served));
            thread::spawn(move || {
                let slot = take(&gate, class);
                served.fetch_add(usize::from(slot.is_some()), Ordering::Relaxed);
                // The one person always finds a place: a batch makes room for it.
                assert!(slot.is_some() || class == Class::Batch);
            })
        });
        let holder = thread::spawn(move || drop(held));
        for caller in callers {
            caller.join().unwrap();
        }
        holder.join().unwrap();

        let refused = usize::try_from(gate.crowd().refused).unwrap();
        assert_eq!(served.load(Ordering::Relaxed) + refused, 3);
        assert_all_is_free(&gate, 1);
    });
}

#[test]
fn nobody_ever_waits_while_a_slot_is_free_for_a_newcomer() {
    explore(|| {
        let gate = gate(1, 9);
        let held = take(&gate, Class::Interactive);
        let holder = thread::spawn(move || drop(held));
        let waiter = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || drop(take(&gate, Class::Interactive)))
        };
        for _ in 0..4 {
            let crowd = gate.crowd();
            let waiting = crowd.interactive + crowd.batch;
            assert!(waiting == 0 || crowd.in_flight >= crowd.limit, "{crowd:?}");
            thread::yield_now();
        }
        holder.join().unwrap();
        waiter.join().unwrap();

        assert_all_is_free(&gate, 1);
    });
}
