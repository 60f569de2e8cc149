//! What a provider has said of its own limits, for the calls of this process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use captions_domain::quota::{Amount, Notice, Reading};
use tokio::time::Instant;

/// No word of a provider holds for longer: after that a call is made, and it says anew.
const CAP: Duration = Duration::from_secs(120);

/// The room that one provider has told us of, in headers of its answers.
///
/// What it said last counts, less the calls that were under way by then and that it may not have counted yet. It can only
/// hold calls back, never allow more than our own limit does; and only until the time that it named, at most 120 s.
#[derive(Debug, Default)]
pub struct Headroom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// No call before this.
    hold: Option<Instant>,
    requests: Option<Told>,
    tokens: Option<Told>,
    /// Calls that have leave and are not over.
    inside: Amount,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    limit: Option<u64>,
    remaining: u64,
    until: Instant,
}

/// A call that has leave.
#[derive(Debug)]
pub(super) struct Inside {
    headroom: Arc<Headroom>,
    amount: Amount,
    /// How long to wait before it is made.
    pub(super) wait: Duration,
}

impl Headroom {
    /// Takes note of what the provider says.
    pub fn observe(&self, notice: Notice) {
        let now = Instant::now();
        self.with(|state| {
            if let Some(hold) = notice.hold {
                let until = now + hold.min(CAP);
                state.hold = Some(state.hold.map_or(until, |before| before.max(until)));
            }
            let told = |reading: Reading| Told {
                limit: reading.limit,
                remaining: reading.remaining,
                until: now + reading.reset.min(CAP),
            };
            state.requests = notice.requests.map(told).or(state.requests);
            state.tokens = notice.tokens.map(told).or(state.tokens);
        });
    }

    /// Counts a call in that is made now or within `patience`; else says how long it would have to wait.
    pub(super) fn enter(self: &Arc<Self>, amount: Amount, patience: Duration) -> Result<Inside, Duration> {
        let now = Instant::now();
        self.with(|state| {
            let wait = state.wait(amount, now);
            if wait > patience {
                return Err(wait);
            }
            state.inside.requests += amount.requests;
            state.inside.tokens += amount.tokens;
            Ok(Inside {
                headroom: Arc::clone(self),
                amount,
                wait,
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn wait(&self, amount: Amount, now: Instant) -> Duration {
        let of = |told: Option<Told>, inside: u64, amount: u64| {
            told.filter(|told| !told.has_room(inside, amount))
                .map_or(Duration::ZERO, |told| told.until.saturating_duration_since(now))
        };
        let hold = self
            .hold
            .map_or(Duration::ZERO, |hold| hold.saturating_duration_since(now));
        hold.max(of(self.requests, self.inside.requests, amount.requests))
            .max(of(self.tokens, self.inside.tokens, amount.tokens))
    }
}

impl Told {
    /// A call that wants more than there ever is wants all that there is.
    fn has_room(&self, inside: u64, amount: u64) -> bool {
        let amount = self.limit.map_or(amount, |limit| amount.min(limit));
        inside.saturating_add(amount) <= self.remaining
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let amount = self.amount;
        self.headroom.with(|state| {
            state.inside.requests = state.inside.requests.saturating_sub(amount.requests);
            state.inside.tokens = state.inside.tokens.saturating_sub(amount.tokens);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn reading(limit: Option<u64>, remaining: u64, seconds: u64) -> Reading {
        Reading {
            limit,
            remaining,
            reset: S * u32::try_from(seconds).unwrap(),
        }
    }

    fn requests(remaining: u64, seconds: u64) -> Notice {
        Notice {
            requests: Some(reading(Some(10), remaining, seconds)),
            ..Notice::default()
        }
    }

    fn tokens(limit: Option<u64>, remaining: u64, seconds: u64) -> Notice {
        Notice {
            tokens: Some(reading(limit, remaining, seconds)),
            ..Notice::default()
        }
    }

    fn hold(seconds: u64) -> Notice {
        Notice {
            hold: Some(Duration::from_secs(seconds)),
            ..Notice::default()
        }
    }

    fn enter(headroom: &Arc<Headroom>, tokens: u64) -> Result<Inside, Duration> {
        headroom.enter(Amount::request(tokens), Duration::ZERO)
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_word_everything_goes() {
        let headroom = Arc::new(Headroom::default());

        let all: Vec<_> = (0..100).map(|_| enter(&headroom, u64::MAX / 200)).collect();

        assert!(all.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_holds_until_it_is_over_and_a_shorter_one_does_not_shorten_it() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(hold(10));
        headroom.observe(hold(3));

        assert_eq!(enter(&headroom, 1).unwrap_err(), 10 * S);
        advance(9 * S).await;
        assert_eq!(headroom.enter(Amount::request(1), S).unwrap().wait, S);
        advance(S).await;
        assert_eq!(enter(&headroom, 1).unwrap().wait, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_count_against_what_is_left() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(requests(2, 30));

        let first = enter(&headroom, 1).unwrap();
        let second = enter(&headroom, 1).unwrap();
        assert_eq!(enter(&headroom, 1).unwrap_err(), 30 * S);
        // The first one's answer: the provider has counted it, the second one perhaps not.
        drop(first);
        headroom.observe(requests(1, 30));
        assert!(enter(&headroom, 1).is_err());
        drop(second);
        headroom.observe(requests(0, 30));
        assert!(enter(&headroom, 1).is_err());
        advance(30 * S).await;
        assert!(enter(&headroom, 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_word_counts_so_that_what_comes_back_is_seen() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(requests(0, 60));
        assert!(enter(&headroom, 1).is_err());

        headroom.observe(requests(1, 54));

        assert!(enter(&headroom, 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_counted_as_they_are_guessed() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(tokens(Some(5000), 1500, 6));

        let first = enter(&headroom, 1000).unwrap();
        assert_eq!(enter(&headroom, 1000).unwrap_err(), 6 * S);
        drop(first);
        assert!(enter(&headroom, 1500).is_ok());
        assert!(enter(&headroom, 1501).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_larger_than_the_whole_limit_needs_the_whole_limit() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(tokens(Some(1000), 1000, 60));
        assert!(enter(&headroom, 3000).is_ok());

        headroom.observe(tokens(Some(1000), 999, 1));
        assert_eq!(enter(&headroom, 3000).unwrap_err(), S);
        headroom.observe(tokens(None, 1000, 1));
        assert_eq!(enter(&headroom, 3000).unwrap_err(), S);
    }

    #[tokio::test(start_paused = true)]
    async fn no_word_is_believed_for_longer_than_two_minutes() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(hold(86_400));
        headroom.observe(requests(0, 86_400));

        assert_eq!(enter(&headroom, 1).unwrap_err(), CAP);
        advance(CAP).await;
        assert!(enter(&headroom, 1).is_ok());
    }
}
