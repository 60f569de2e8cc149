//! One load: who begins it, who waits for it, and what becomes of its value.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use captions_domain::{
    answers::{Found, Loaded},
    caption::Degraded,
    context::{Attempts, Class, Context, LookUp, Why},
    fault::{Fault, FaultKind, PortError},
};
use futures_util::FutureExt;
use rand::Rng;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{Instrument, Span};

use super::{
    Inner, Kept, Load, Looked,
    counts::count,
    entry::{Entry, Place},
    layers::{LONGEST_LOAD, Over, Seen, Watch},
    lease::Lease,
};

/// Up to how much less than its time a value is fresh.
const SPREAD: f64 = 0.1;
/// Between two looks for a value that another process loads: from, and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));
/// A load that fails for want of time may do so this long before the deadline: what cannot fit is not begun.
const NEAR_THE_END: Duration = Duration::from_millis(500);

/// How a load ended, for everybody who waited for it.
#[derive(Debug, Clone)]
pub(super) struct Outcome<T, E> {
    end: End<T, E>,
    /// The shared layer could not be used.
    away: bool,
    /// What was loaded is in a layer, or on its way there.
    stored: bool,
}

#[derive(Debug, Clone)]
enum End<T, E> {
    Loaded(T),
    /// No load was needed: it came in between, here or from another process.
    Came(Kept<T>),
    Failed {
        error: E,
        /// It had no more time than the reader who began it.
        for_want_of_time: bool,
        /// It stood behind others in a queue because nobody was in a hurry for it, and was turned away.
        for_want_of_rank: bool,
    },
    /// Not begun: another process is loading it, and nobody here was to wait for that.
    Elsewhere,
}

/// Why a load is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// A reader found nothing that will do.
    Miss,
    /// A reader wants a new value whatever there is.
    Anew,
    /// Nobody waits.
    Background,
}

/// Whose turn it is to load.
enum Turn<T> {
    Ours {
        lease: Option<Lease>,
        over: Over,
        away: bool,
    },
    Came(Kept<T>),
    Elsewhere,
}

/// A value just loaded, on its way into the layers.
struct New<'a, T> {
    place: &'a Place,
    value: &'a T,
    time: Duration,
    /// What it may replace in the shared layer; `None`: it is not for the shared layer.
    over: Option<Over>,
    lease: Option<Lease>,
}

/// Waits for the load that is under way, or begins one; `looked` is what the reader saw before, and `why` why that will not do.
/// Whoever has something better than nothing waits for `patience` only, and leaves the load to the background then.
pub(super) async fn wait<T, E>(
    inner: &Arc<Inner<T, E>>,
    cx: &Context,
    place: &Place,
    looked: &Looked<T>,
    patience: Option<Duration>,
    why: Why,
    load: Load<T, E>,
) -> Found<T, E>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    let anew = why == Why::Wanted;
    let aim = if anew { Aim::Anew } else { Aim::Miss };
    let told = |shared, stored| cx.notes.looked_up(LookUp::Made { why, shared, stored });
    told(false, false);
    let deadline = Instant::from_std(cx.deadline);
    let had_one = looked.kept.is_some();
    let mut load = Some(load);
    loop {
        let watch = || inner.layers.watch(place);
        let mut begin = |watch| {
            fly(
                Arc::clone(inner),
                cx.clone(),
                place.clone(),
                looked,
                aim,
                load.take(),
                watch,
            )
            .boxed()
        };
        let (flight, is_ours) = if inner.options.coalesce {
            inner.loads.join(place, watch, begin)
        } else {
            (begin(watch()).shared(), true)
        };
        let until = patience.map_or(deadline, |patience| deadline.min(Instant::now() + patience));
        let Ok(Outcome { end, away, stored }) = timeout_at(until, flight.clone()).await else {
            if until < deadline {
                inner.throttle(place);
                let time = inner.options.refresh_time;
                let rest = timeout(time, flight).map(drop);
                drop(inner.layers.tasks().spawn("refresh", rest));
            }
            let why = "the value was not loaded within the request's time";
            let error = Fault::because(FaultKind::Timeout, why).into();
            return Found::Failed { error, stale: None };
        };
        if away {
            cx.notes.add(Degraded::CacheUnavailable);
        }
        match end {
            End::Loaded(value) => {
                if !is_ours {
                    count(&inner.tally.coalesced);
                }
                told(!is_ours, stored);
                return Found::Loaded {
                    value,
                    shared: !is_ours,
                };
            }
            // Another reader's load, in this process or another, has given it just now.
            End::Came(kept) if !anew || is_ours => {
                count(&inner.tally.coalesced);
                told(true, true);
                return Found::Loaded {
                    value: kept.value,
                    shared: true,
                };
            }
            // Its first reader had less time than we have: ours is next.
            End::Failed { for_want_of_time, .. } if for_want_of_time && !is_ours && Instant::now() < deadline => {}
            // Whoever waits in person is not turned away for joining what was done in the background.
            End::Failed { for_want_of_rank, .. } if for_want_of_rank && !is_ours && cx.class == Class::Interactive => {}
            End::Failed {
                error,
                for_want_of_time,
                ..
            } => {
                if is_ours {
                    if had_one && !for_want_of_time {
                        inner.throttle(place);
                    }
                } else {
                    count(&inner.tally.coalesced);
                }
                return Found::Failed { error, stale: None };
            }
            // What came was there before we asked for a new one, or nobody waits for what comes elsewhere.
            End::Came(_) | End::Elsewhere => {}
        }
    }
}

/// Has the value loaded anew in the background, unless that is going on already or there is no room for it.
pub(super) fn in_background<T, E>(
    inner: &Arc<Inner<T, E>>,
    cx: &Context,
    place: &Place,
    looked: &Looked<T>,
    load: Load<T, E>,
) where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    let time = inner.options.refresh_time;
    let cx = Context {
        deadline: (Instant::now() + time).into_std(),
        attempts: Arc::new(Attempts::up_to(inner.options.refresh_attempts)),
        class: Class::Batch,
        notes: Arc::default(),
        ..cx.clone()
    };
    let watch = || inner.layers.watch(place);
    let begin = |watch| {
        let (inner, place) = (Arc::clone(inner), place.clone());
        fly(inner, cx, place, looked, Aim::Background, Some(load), watch).boxed()
    };
    let (flight, is_ours) = inner.loads.join(place, watch, begin);
    if !is_ours {
        return;
    }
    let work = {
        let (inner, place) = (Arc::clone(inner), place.clone());
        async move {
            match timeout(time, flight).await {
                Ok(Outcome {
                    end: End::Failed { .. },
                    ..
                })
                | Err(_) => inner.throttle(&place),
                Ok(_) => {}
            }
        }
    };
    // Refused: then the value stays as old as it is, and the next reader tries again.
    if inner.layers.tasks().spawn("refresh", work).is_ok() {
        count(&inner.tally.refreshes);
    }
}

/// The load itself, from the lease to what is kept of it.
fn fly<T, E>(
    inner: Arc<Inner<T, E>>,
    cx: Context,
    place: Place,
    looked: &Looked<T>,
    aim: Aim,
    load: Option<Load<T, E>>,
    watch: Watch,
) -> impl Future<Output = Outcome<T, E>> + Send + 'static + use<T, E>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    let seen = looked.kept.as_ref().map(|kept| kept.serial);
    let (over, was_away) = (looked.over.clone(), looked.away);
    async move {
        let outcome = |end, away| Outcome {
            end,
            away,
            stored: false,
        };
        let (mut lease, over, away) = match inner.turn(&cx, &place, seen, aim, over, was_away).await {
            Turn::Ours { lease, over, away } => (lease, over, away),
            Turn::Came(kept) => return outcome(End::Came(kept), false),
            Turn::Elsewhere => return outcome(End::Elsewhere, false),
        };
        count(&inner.tally.loads);
        let begun = Instant::now();
        let deadline = Instant::from_std(cx.deadline);
        let work = {
            let cx = cx.clone();
            let work = async move {
                match load {
                    Some(load) => load(cx).await,
                    None => Err(internal("a load was to be made twice")),
                }
            };
            AssertUnwindSafe(work)
                .catch_unwind()
                .map(|done| done.unwrap_or_else(|_| Err(internal("the load panicked"))))
        };
        let done = match &mut lease {
            Some(lease) => lease.keep_during(work).await,
            None => work.await,
        };
        match done {
            Ok(Loaded { value, fresh_for }) => {
                inner.unthrottle(&place);
                let (mut away, mut stored) = (away, false);
                if let Some(time) = fresh_for.filter(|time| !time.is_zero()) {
                    let is_too_late = inner.options.changes && begun.elapsed() > LONGEST_LOAD;
                    let new = New {
                        place: &place,
                        value: &value,
                        time,
                        over: (!is_too_late).then_some(over),
                        lease,
                    };
                    let kept = inner.keep(&cx, new, &watch).await;
                    away |= kept.is_err();
                    stored = kept.unwrap_or(false);
                } else if let Some(lease) = lease {
                    lease.give_back().await;
                }
                Outcome {
                    end: End::Loaded(value),
                    away,
                    stored,
                }
            }
            Err(error) => {
                count(&inner.tally.load_failures);
                if let Some(lease) = lease {
                    lease.give_back().await;
                }
                let fault = error.fault();
                let for_want_of_time =
                    fault.is_some_and(Fault::is_transient) && Instant::now() + NEAR_THE_END >= deadline;
                let for_want_of_rank =
                    cx.class == Class::Batch && fault.is_some_and(|fault| fault.kind == FaultKind::Overloaded);
                outcome(
                    End::Failed {
                        error,
                        for_want_of_time,
                        for_want_of_rank,
                    },
                    away,
                )
            }
        }
    }
    // Whoever waits drives it; what it does belongs to the one who began it.
    .instrument(Span::current())
}

fn internal<E: PortError>(why: &'static str) -> E {
    Fault::because(FaultKind::Internal, why).into()
}

impl<T, E> Inner<T, E>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    /// Waits until this process is to load, or need not any more. `seen` is the load that gave what the reader saw.
    async fn turn(
        &self,
        cx: &Context,
        place: &Place,
        mut seen: Option<u64>,
        aim: Aim,
        over: Option<Over>,
        was_away: bool,
    ) -> Turn<T> {
        let alone = |away| Turn::Ours {
            lease: None,
            // What it would replace is not known, and for what writes go to, that matters.
            over: if self.options.changes {
                Over::Nothing
            } else {
                Over::Anything
            },
            away,
        };
        // Somebody may have loaded it between the reader's look and now.
        if aim != Aim::Anew
            && let Some(kept) = self.look_again_in_memory(cx, place, seen).await
        {
            return Turn::Came(kept);
        }
        let Some(shared) = self.layers.shared() else {
            return alone(false);
        };
        if was_away || self.layers.is_owed(place) {
            return alone(was_away);
        }
        let Some(time) = self.options.lease.filter(|_| self.options.coalesce) else {
            let over = match (over, aim) {
                (_, Aim::Anew) => Over::Anything,
                (Some(over), _) => over,
                (None, _) => {
                    let looked = self.look_in_shared(cx, place, None).await;
                    match looked.over {
                        Some(over) => over,
                        None => return alone(looked.away),
                    }
                }
            };
            return Turn::Ours {
                lease: None,
                over,
                away: false,
            };
        };
        let mut lease = Lease::new(shared, self.layers.tasks(), place, time);
        let mut pause = POLL.0;
        let mut has_waited = false;
        loop {
            match lease.take(cx).await {
                Ok(true) if aim == Aim::Anew && !has_waited => {
                    return Turn::Ours {
                        lease: Some(lease),
                        over: Over::Anything,
                        away: false,
                    };
                }
                Ok(true) => {
                    let looked = self.look_in_shared(cx, place, None).await;
                    if let Some(kept) = looked.kept.filter(|kept| kept.is_fresh && Some(kept.serial) != seen) {
                        lease.give_back().await;
                        return Turn::Came(kept);
                    }
                    return match looked.over {
                        Some(over) => Turn::Ours {
                            lease: Some(lease),
                            over: if aim == Aim::Anew { Over::Anything } else { over },
                            away: false,
                        },
                        None => alone(looked.away),
                    };
                }
                Ok(false) if aim == Aim::Background => return Turn::Elsewhere,
                Ok(false) => {}
                Err(_) => {
                    count(&self.tally.unavailable);
                    return alone(true);
                }
            }
            if !has_waited {
                has_waited = true;
                count(&self.tally.lease_waits);
                if aim == Aim::Anew {
                    seen = self.look_in_shared(cx, place, None).await.kept.map(|kept| kept.serial);
                }
            }
            sleep(pause.mul_f64(0.5 + self.jitter.unit() / 2.0)).await;
            pause = (pause * 2).min(POLL.1);
            let looked = self.look_in_shared(cx, place, None).await;
            if looked.away {
                return alone(true);
            }
            if let Some(kept) = looked.kept.filter(|kept| kept.is_fresh && Some(kept.serial) != seen) {
                return Turn::Came(kept);
            }
        }
    }

    /// Another load's fresh value in memory.
    async fn look_again_in_memory(&self, cx: &Context, place: &Place, seen: Option<u64>) -> Option<Kept<T>> {
        if self.layers.is_owed(place) {
            return None;
        }
        let Seen::Copy(copy) = self.layers.look_in_memory(cx, place, self.options.schema).await else {
            return None;
        };
        if copy.held >= self.options.memory_age {
            return None;
        }
        self.read_again(&copy)
            .filter(|kept| kept.is_fresh && Some(kept.serial) != seen)
    }

    /// Puts the value into memory, and into the shared layer: behind the answer if there is a copy in memory to be found
    /// meanwhile, else before it. `false` if it is in neither.
    async fn keep(self: &Arc<Self>, cx: &Context, new: New<'_, T>, watch: &Watch) -> Result<bool, Fault> {
        let New {
            place,
            value,
            time,
            over,
            lease,
        } = new;
        let give_back = async |lease: Option<Lease>| {
            if let Some(lease) = lease {
                lease.give_back().await;
            }
        };
        let Ok(json) = serde_json::to_vec(value) else {
            give_back(lease).await;
            return Ok(false);
        };
        let fresh_for = time.mul_f64(1.0 - SPREAD * self.jitter.unit());
        let is_nothing = json == b"null";
        let kept_for = fresh_for + if is_nothing { Duration::ZERO } else { self.options.stale };
        let entry = Entry::new(
            rand::rng().random(),
            fresh_for,
            kept_for,
            json,
            self.options.compress_over,
        );
        let bytes = entry.encode(place, self.options.schema);
        if bytes.len() > self.options.largest {
            count(&self.tally.too_large);
            // What is not kept must not leave an older value in its place.
            self.layers.drop_everywhere(cx, place).await;
            give_back(lease).await;
            return Ok(false);
        }
        self.layers
            .remember(cx, place, self.options.schema, entry, Duration::ZERO, watch)
            .await;
        let Some(over) = over.filter(|_| self.layers.shared().is_some() && !watch.is_void()) else {
            give_back(lease).await;
            return Ok(self.layers.memory().is_some() && !watch.is_void());
        };
        let (inner, cx, place) = (Arc::clone(self), cx.clone(), place.clone());
        let put = async move {
            let put = inner.layers.put_in_shared(&cx, &place, bytes, kept_for, over).await;
            if put.is_err() {
                count(&inner.tally.unavailable);
            }
            // Not before the value is there: whoever waits for it elsewhere would load it too.
            if let Some(lease) = lease {
                lease.give_back().await;
            }
            put
        };
        if self.layers.memory().is_none() {
            return put.await.map(|()| true);
        }
        match self.layers.tasks().spawn("cache write", put.map(drop)) {
            Ok(()) => {}
            Err(put) => put.await,
        }
        Ok(true)
    }
}
