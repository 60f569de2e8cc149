//! What is told of the way of one request, by whoever was in the way.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::caption::Degraded;

/// What went less well on the way of one request (a store that served an older copy, a limit that was counted by this replica
/// alone), where its time went, and whether its caption was found or made.
#[derive(Debug, Default)]
pub struct Notes {
    degraded: AtomicU32,
    times: Arc<Times>,
    clock: Option<fn() -> Instant>,
    look_up: Mutex<Option<LookUp>>,
}

impl Notes {
    /// Notes that also know how long the domain's own work takes. The domain has no clock: it is lent one.
    pub fn timed(clock: fn() -> Instant) -> Self {
        Self {
            clock: Some(clock),
            ..Self::default()
        }
    }

    /// Notes of a part of the request: what goes less well there is told apart, the time that it takes is the request's.
    #[must_use]
    pub fn of_a_part(&self) -> Self {
        Self {
            times: Arc::clone(&self.times),
            clock: self.clock,
            ..Self::default()
        }
    }

    /// Takes note of it; each is told once.
    pub fn add(&self, how: Degraded) {
        self.degraded.fetch_or(1 << how as u32, Ordering::Relaxed);
    }

    /// All that was told so far, in the order of the enum.
    pub fn all(&self) -> Vec<Degraded> {
        let told = self.degraded.load(Ordering::Relaxed);
        Degraded::ALL
            .into_iter()
            .filter(|how| told & (1 << *how as u32) != 0)
            .collect()
    }

    /// Does the work, and takes note of its time if there is a clock.
    pub fn measure<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let Some(clock) = self.clock else { return work() };
        let begun = clock();
        let done = work();
        self.spent(part, clock().saturating_duration_since(begun));
        done
    }

    /// So much time went there, as whoever stands around a port has measured.
    pub fn spent(&self, part: Part, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.times.0[part as usize].fetch_add(micros.saturating_add(1), Ordering::Relaxed);
    }

    /// Where time went so far, in the order of the enum; only where somebody measured.
    pub fn times(&self) -> Vec<(Part, Duration)> {
        let told = Part::ALL.into_iter().map(|part| {
            let micros = self.times.0[part as usize].load(Ordering::Relaxed);
            (part, Duration::from_micros(micros))
        });
        told.filter(|(_, time)| !time.is_zero()).collect()
    }

    /// How a value was looked up. What is told last stands: the caption's look-up is the last of its request.
    pub fn looked_up(&self, how: LookUp) {
        *self.look_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
    }

    pub fn look_up(&self) -> Option<LookUp> {
        *self.look_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Microseconds by part, and one more for each time that it was entered, so that the shortest is told as well.
#[derive(Debug, Default)]
struct Times([AtomicU64; Part::ALL.len()]);

/// Where the time of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Reading the user's preferences.
    Preferences,
    /// Looking for a caption that is there, and waiting for one that is being written for somebody else.
    Cache,
    /// The model.
    Llm,
    /// Choosing hashtags.
    Hashtags,
    /// Holding texts against the rules, and scoring them.
    Score,
    /// The history of captions.
    Store,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Preferences,
        Self::Cache,
        Self::Llm,
        Self::Hashtags,
        Self::Score,
        Self::Store,
    ];

    /// The name in `Server-Timing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preferences => "prefs",
            Self::Cache => "cache",
            Self::Llm => "llm",
            Self::Hashtags => "hashtags",
            Self::Score => "score",
            Self::Store => "store",
        }
    }
}

/// How a read through a cache went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookUp {
    /// Found, and fresh for so much longer.
    Hit { fresh_for: Duration },
    /// Found and given although its time is over since so long.
    Stale { past: Duration },
    /// Not given from the cache.
    Made {
        why: Why,
        /// By a load that was under way for somebody else.
        shared: bool,
        /// What was made is in the cache now.
        stored: bool,
    },
}

/// Why what the cache has, if it has something, was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There was nothing.
    Missing,
    /// There was something past its time.
    Stale,
    /// The request wants a new one.
    Wanted,
    /// The request, or the settings, want no cache.
    Bypassed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_is_told_once_and_on_its_own() {
        for how in Degraded::ALL {
            let notes = Notes::default();
            notes.add(how);
            notes.add(how);
            assert_eq!(notes.all(), [how]);
        }
        let notes = Notes::default();
        Degraded::ALL.into_iter().rev().for_each(|how| notes.add(how));
        assert_eq!(notes.all(), Degraded::ALL);
    }

    #[test]
    fn the_time_of_a_part_counts_for_the_whole_and_its_troubles_do_not() {
        let notes = Notes::default();
        let part = notes.of_a_part();

        part.spent(Part::Llm, Duration::from_millis(5));
        notes.spent(Part::Llm, Duration::from_millis(2));
        notes.spent(Part::Cache, Duration::ZERO);
        part.add(Degraded::CacheUnavailable);

        let times = notes.times();
        assert_eq!(
            times.iter().map(|(part, _)| *part).collect::<Vec<_>>(),
            [Part::Cache, Part::Llm]
        );
        assert_eq!(times[1].1.as_millis(), 7);
        assert_eq!(notes.all(), []);
    }

    #[test]
    fn own_work_is_measured_by_the_clock_that_was_lent_and_not_without_one() {
        let timed = Notes::timed(Instant::now);

        assert_eq!(timed.of_a_part().measure(Part::Score, || 7), 7);
        assert_eq!(Notes::default().measure(Part::Score, || 7), 7);

        let parts = |notes: &Notes| notes.times().into_iter().map(|(part, _)| part).collect::<Vec<_>>();
        assert_eq!(parts(&timed), [Part::Score]);
        assert_eq!(parts(&Notes::default()), []);
    }
}
