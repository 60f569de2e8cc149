//! How many requests of one caller are answered at the same moment, by all servers together: a flood of one leaves room for
//! the others.
//!
//! A turn is a lease that is begun anew for as long as the request lives, so that those of a process that was killed end by
//! themselves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use captions_domain::{
    context::Context,
    ports::{Quota, QuotaKey},
    quota::Presence,
};
use captions_wiring::Tasks;
use tokio::time::sleep;
use uuid::Uuid;

/// How long a turn outlives its process.
const LEASE: Duration = Duration::from_secs(30);
/// Between two signs of life; two of them may be lost.
const RENEWAL: Duration = Duration::from_secs(10);
/// What it may take to tell that a turn goes on, or is over.
const TELLING: Duration = Duration::from_secs(1);

/// The requests under way that have a limit. Clones are the same. The default counts nothing.
#[derive(Debug, Clone, Default)]
pub struct Turns(Option<Arc<Inner>>);

struct Inner {
    quota: Arc<dyn Quota>,
    tasks: Tasks,
    held: Mutex<HashMap<Uuid, (Context, QuotaKey)>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("held", &self.held().len())
            .finish_non_exhaustive()
    }
}

/// The right to be answered, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Inner>,
    id: Uuid,
    pub(crate) limit: u64,
    /// How many more could begin at once when this one did.
    pub(crate) left: u64,
}

impl Turns {
    /// Counted by this quota, and looked after among these tasks. Needs a tokio runtime.
    pub fn new(quota: Arc<dyn Quota>, tasks: Tasks) -> Self {
        let inner = Arc::new(Inner {
            quota,
            tasks,
            held: Mutex::default(),
        });
        inner.tasks.spawn_endless("turns", renew(Arc::downgrade(&inner)));
        Self(Some(inner))
    }

    /// A turn for this caller, of whom `limit` (0: as many as like) are answered at once; `Err` if they are. Where nobody can
    /// be asked, nobody is held up.
    pub(crate) async fn begin(&self, cx: &Context, key: &QuotaKey, limit: u64) -> Result<Option<Arc<Turn>>, ()> {
        let Some(turns) = self.0.as_ref().filter(|_| limit > 0) else {
            return Ok(None);
        };
        // Before the answer: it may never come, and stand all the same.
        let mut turn = Turn {
            turns: Arc::clone(turns),
            id: Uuid::now_v7(),
            limit,
            left: 0,
        };
        turns.held().insert(turn.id, (cx.clone(), key.clone()));
        let enter = Presence::Enter {
            id: turn.id,
            limit,
            lease: LEASE,
        };
        match turns.quota.attend(cx, key, &enter).await {
            Ok(Some(left)) => {
                turn.left = left;
                Ok(Some(Arc::new(turn)))
            }
            Ok(None) => {
                turns.held().remove(&turn.id);
                Err(())
            }
            Err(_) => Ok(None),
        }
    }
}

impl Turn {
    /// Ends it before anything else happens: whoever is answered then has the turn back.
    pub(crate) async fn end(self) {
        let held = self.turns.held().remove(&self.id);
        if let Some((cx, key)) = held {
            self.turns.leave(&cx, &key, self.id).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((cx, key)) = self.turns.held().remove(&self.id) else {
            return;
        };
        let (turns, id) = (Arc::clone(&self.turns), self.id);
        // Where nothing is taken on any more it ends with its lease.
        drop(
            self.turns
                .tasks
                .spawn("turn", async move { turns.leave(&cx, &key, id).await }),
        );
    }
}

impl Inner {
    async fn leave(&self, cx: &Context, key: &QuotaKey, id: Uuid) {
        // If it is lost, the lease ends it.
        drop(self.quota.attend(&telling(cx), key, &Presence::Leave { id }).await);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, (Context, QuotaKey)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of what is told although the request may have no time left.
fn telling(cx: &Context) -> Context {
    Context {
        deadline: Instant::now() + TELLING,
        notes: Arc::default(),
        ..cx.clone()
    }
}

async fn renew(turns: Weak<Inner>) {
    loop {
        sleep(RENEWAL).await;
        let Some(turns) = turns.upgrade() else { return };
        let held: Vec<_> = turns.held().iter().map(|(id, held)| (*id, held.clone())).collect();
        for (id, (cx, key)) in held {
            // It is there already, so no limit keeps it out.
            let stay = Presence::Enter {
                id,
                limit: u64::MAX,
                lease: LEASE,
            };
            drop(turns.quota.attend(&telling(&cx), &key, &stay).await);
            if !turns.held().contains_key(&id) {
                // It ended meanwhile, perhaps before this arrived.
                turns.leave(&cx, &key, id).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use captions_domain::{
        fault::{Fault, FaultKind},
        quota::{Decision, Plan, Take},
    };
    use tokio::time::Instant as Moment;

    use super::*;

    /// Those who are there by this process's clock, and what was asked.
    #[derive(Default)]
    struct Room {
        there: Mutex<HashMap<Uuid, Moment>>,
        asked: Mutex<Vec<Presence>>,
        is_away: bool,
    }

    #[async_trait::async_trait]
    impl Quota for Room {
        async fn take(&self, _: &Context, _: &QuotaKey, _: &Plan, _: &Take) -> Result<Decision, Fault> {
            Err(Fault::new(FaultKind::Internal))
        }

        async fn attend(&self, _: &Context, _: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
            if self.is_away {
                return Err(Fault::new(FaultKind::Unavailable));
            }
            self.asked.lock().unwrap().push(*presence);
            let mut there = self.there.lock().unwrap();
            there.retain(|_, until| *until > Moment::now());
            match *presence {
                Presence::Enter { id, limit, lease } => {
                    let others = there.keys().filter(|other| **other != id).count() as u64;
                    let left = limit.checked_sub(others + 1);
                    if left.is_some() {
                        there.insert(id, Moment::now() + lease);
                    }
                    Ok(left)
                }
                Presence::Leave { id } => {
                    there.remove(&id);
                    Ok(Some(0))
                }
            }
        }
    }

    fn turns(room: &Arc<Room>) -> Turns {
        Turns::new(Arc::<Room>::clone(room), Tasks::new(8))
    }

    fn ana() -> QuotaKey {
        QuotaKey::new("test", "ana")
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_held_until_it_is_dropped_and_leaves_nothing_behind() {
        let room = Arc::<Room>::default();
        let (turns, cx) = (turns(&room), captions_testkit::build::context());

        let one = turns.begin(&cx, &ana(), 2).await.unwrap().unwrap();
        let two = turns.begin(&cx, &ana(), 2).await.unwrap().unwrap();
        assert_eq!((one.left, two.left), (1, 0));
        assert!(turns.begin(&cx, &ana(), 2).await.is_err());
        assert!(turns.begin(&cx, &ana(), 0).await.unwrap().is_none(), "no limit");

        let still = Arc::clone(&one);
        drop(one);
        sleep(Duration::from_millis(1)).await;
        assert!(turns.begin(&cx, &ana(), 2).await.is_err(), "a clone holds it too");
        drop(still);
        sleep(Duration::from_millis(1)).await;
        Arc::into_inner(turns.begin(&cx, &ana(), 2).await.unwrap().unwrap())
            .unwrap()
            .end()
            .await;
        assert!(
            turns.begin(&cx, &ana(), 2).await.unwrap().is_some(),
            "free as soon as it has ended"
        );
        drop(two);
        sleep(Duration::from_millis(1)).await;
        assert!(turns.0.as_ref().unwrap().held().is_empty());
        assert!(room.there.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_turn_outlives_its_lease_and_one_of_a_killed_process_does_not() {
        let room = Arc::<Room>::default();
        let cx = captions_testkit::build::context();
        let (killed, alive) = (turns(&room), turns(&room));
        let long = alive.begin(&cx, &ana(), 2).await.unwrap().unwrap();
        let lost = killed.begin(&cx, &ana(), 2).await.unwrap().unwrap();
        // It says nothing any more.
        killed.0.as_ref().unwrap().held().clear();

        sleep(LEASE * 3).await;

        assert!(alive.begin(&cx, &ana(), 1).await.is_err(), "the long one is there");
        assert!(alive.begin(&cx, &ana(), 2).await.is_ok(), "the lost one is not");
        drop((long, lost));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_can_be_asked_nobody_is_held_up() {
        let room = Arc::new(Room {
            is_away: true,
            ..Room::default()
        });
        let (turns, cx) = (turns(&room), captions_testkit::build::context());

        for _ in 0..3 {
            assert!(turns.begin(&cx, &ana(), 1).await.unwrap().is_none());
        }
        assert!(turns.0.as_ref().unwrap().held().is_empty());
    }
}
