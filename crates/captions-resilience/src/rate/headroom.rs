//! What a provider has said of its own limits, for the calls of this process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use captions_domain::quota::{Amount, Notice, Reading};
use tokio::time::Instant;

use crate::jitter::Jitter;

/// No word of a provider holds for longer: after that a call is made, and it says anew.
const CAP: Duration = Duration::from_secs(120);

/// The room that one provider has told us of, in headers of its answers.
///
/// What it said last counts, less the calls that were under way by then and that it may not have counted yet. It can only
/// hold calls back, never allow more than our own limit does; and only until the time that it named, at most 120 s.
///
/// Those who wait for that time must not all come at once. No more of them wait than its limit, where it has told that;
/// and each waits a while longer, by chance: at most as long again, and half of the patience that is left.
#[derive(Debug)]
pub struct Headroom {
    state: Mutex<State>,
    jitter: Jitter,
}

impl Default for Headroom {
    fn default() -> Self {
        Self::with_jitter(Jitter::random())
    }
}

#[derive(Debug, Default)]
struct State {
    /// No call before this.
    hold: Option<Instant>,
    requests: Option<Told>,
    tokens: Option<Told>,
    /// Calls that have leave and are not over.
    inside: Amount,
    /// Those of them that are not made yet, because they wait for the provider to take calls again.
    waiting: Amount,
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
    /// Whether it counts among those that wait.
    waits: bool,
    /// How long to wait before it is made.
    pub(super) wait: Duration,
}

impl Headroom {
    /// The same, with chance from there.
    pub(crate) fn with_jitter(jitter: Jitter) -> Self {
        Self {
            state: Mutex::default(),
            jitter,
        }
    }

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

    /// Counts a call in that is made now or within `patience`; else says how long it would have to wait. Where as many wait
    /// as the provider will take, the wait until then is told, for by then they are gone.
    pub(super) fn enter(self: &Arc<Self>, amount: Amount, patience: Duration) -> Result<Inside, Duration> {
        let now = Instant::now();
        self.with(|state| {
            let wait = state.wait(amount, now);
            let waits = !wait.is_zero();
            if wait > patience || (waits && !state.may_wait(amount)) {
                return Err(wait);
            }
            add(&mut state.inside, amount);
            if waits {
                add(&mut state.waiting, amount);
            }
            let longer = wait.min(patience.saturating_sub(wait) / 2).mul_f64(self.jitter.unit());
            Ok(Inside {
                headroom: Arc::clone(self),
                amount,
                waits,
                wait: wait + longer,
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
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

impl State {
    /// Whether the provider will take one more of those who wait, as far as it has told.
    fn may_wait(&self, amount: Amount) -> bool {
        let fits = |told: Option<Told>, waiting: u64, amount: u64| {
            told.and_then(|told| told.limit)
                .is_none_or(|limit| waiting.saturating_add(amount.min(limit)) <= limit)
        };
        fits(self.requests, self.waiting.requests, amount.requests)
            && fits(self.tokens, self.waiting.tokens, amount.tokens)
    }
}

fn add(sum: &mut Amount, amount: Amount) {
    sum.requests = sum.requests.saturating_add(amount.requests);
    sum.tokens = sum.tokens.saturating_add(amount.tokens);
}

fn subtract(sum: &mut Amount, amount: Amount) {
    sum.requests = sum.requests.saturating_sub(amount.requests);
    sum.tokens = sum.tokens.saturating_sub(amount.tokens);
}

impl Inside {
    /// The call is being made: it waits no more.
    pub(super) fn begin(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.headroom.with(|state| subtract(&mut state.waiting, self.amount));
        }
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
        self.begin();
        self.headroom.with(|state| subtract(&mut state.inside, self.amount));
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
    async fn no_more_wait_than_the_limit_and_who_is_served_or_leaves_makes_room() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(requests(0, 5));

        let mut waiting: Vec<_> = (0..1000)
            .filter_map(|_| headroom.enter(Amount::request(1), 20 * S).ok())
            .collect();

        assert_eq!(waiting.len(), 10);
        assert_eq!(headroom.enter(Amount::request(1), 20 * S).unwrap_err(), 5 * S);
        waiting.pop();
        waiting.push(headroom.enter(Amount::request(1), 20 * S).unwrap());
        assert!(headroom.enter(Amount::request(1), 20 * S).is_err());
        // They are being made, and the provider has no more: the next ones wait for the time after.
        advance(5 * S).await;
        waiting.iter_mut().for_each(Inside::begin);
        headroom.observe(requests(0, 5));
        assert!(headroom.enter(Amount::request(1), 20 * S).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_tokens_share_them() {
        let headroom = Arc::new(Headroom::default());
        headroom.observe(tokens(Some(5000), 0, 5));

        let waiting: Vec<_> = (0..10).map(|_| headroom.enter(Amount::request(2000), 20 * S)).collect();

        assert_eq!(waiting.iter().filter(|entered| entered.is_ok()).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_come_one_after_another_and_never_too_early_or_too_late() {
        let headroom = Arc::new(Headroom::with_jitter(Jitter::seeded(7)));
        headroom.observe(hold(5));

        let waiting: Vec<_> = (0..1000)
            .map(|_| headroom.enter(Amount::request(1), 20 * S).unwrap())
            .collect();

        let mut in_tenths = [0; 50];
        for inside in &waiting {
            assert!((5 * S..10 * S).contains(&inside.wait), "{:?}", inside.wait);
            let tenth = usize::try_from(inside.wait.saturating_sub(5 * S).as_millis() / 100).unwrap();
            in_tenths[tenth] += 1;
        }
        // Twenty on average.
        assert!(in_tenths.iter().all(|count| *count < 50), "{in_tenths:?}");
        // Who has less time waits for less.
        let hurried = headroom.enter(Amount::request(1), 7 * S).unwrap();
        assert!((5 * S..=6 * S).contains(&hurried.wait), "{:?}", hurried.wait);
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
