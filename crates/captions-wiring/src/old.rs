//! Removes what is kept for a time and is older: the records of calls with a key, and the sums of usage.

use std::time::Duration;

use captions_domain::fault::StoreError;
use captions_resilience::jitter::Jitter;
use tokio::time::sleep;

/// Rows that are removed in one step: few enough that no request waits for it.
const AT_ONCE: u32 = 500;
/// Between two steps of one round.
const BREATH: Duration = Duration::from_millis(100);
/// The shortest and the longest time between two rounds.
const ROUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Goes on until it is dropped. `remove` removes at most so many of the old rows `what`, and tells how many it were. A row
/// stays for a twenty-fourth of `keep_for` too long, at most an hour, or a little more. Replicas do not march in step, and one
/// that finds nothing costs one statement a round.
pub(crate) async fn sweep<F>(what: &str, keep_for: Duration, jitter: Jitter, remove: impl Fn(u32) -> F + Send + Sync)
where
    F: Future<Output = Result<u64, StoreError>> + Send,
{
    let every = (keep_for / 24).clamp(ROUNDS.0, ROUNDS.1);
    let mut pause = every;
    loop {
        sleep(pause.mul_f64(1.0 + 0.2 * jitter.unit())).await;
        pause = match remove(AT_ONCE).await {
            Ok(removed) if removed >= u64::from(AT_ONCE) => BREATH,
            Ok(_) => every,
            Err(error) => {
                tracing::debug!(?error, what, "what is old stays for another round");
                every
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Mutex};

    use captions_domain::fault::{Fault, FaultKind};
    use tokio::time::{Instant, timeout};

    use super::*;

    /// The minutes at which a store that answers so is asked, within `time`.
    async fn asked(keep_for: Duration, answers: &'static [Option<u64>], time: Duration) -> Vec<u64> {
        let begun = Instant::now();
        let times = Mutex::new(Vec::new());
        let sweeping = sweep("rows", keep_for, Jitter::fixed(0.0), |limit| {
            assert_eq!(limit, AT_ONCE);
            let mut seen = times.lock().unwrap();
            seen.push(begun.elapsed().as_secs() / 60);
            let answer = answers.get(seen.len() - 1).copied().unwrap_or(Some(0));
            ready(answer.ok_or_else(|| Fault::new(FaultKind::Unavailable).into()))
        });
        timeout(time, sweeping).await.unwrap_err();
        times.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_when_less_than_a_step_is_left() {
        let hours = Duration::from_mins(150);

        let times = asked(
            Duration::from_hours(24),
            &[Some(500), Some(500), Some(499), Some(0)],
            hours,
        )
        .await;

        assert_eq!(times, [60, 60, 60, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_asked_again_in_the_next_round() {
        let times = asked(Duration::from_hours(12), &[None, Some(3)], Duration::from_mins(95)).await;

        assert_eq!(times, [30, 60, 90]);
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_are_neither_more_often_than_a_minute_nor_more_rare_than_an_hour() {
        assert_eq!(
            asked(Duration::from_mins(2), &[], Duration::from_secs(150)).await,
            [1, 2]
        );
        assert_eq!(
            asked(Duration::from_hours(720), &[], Duration::from_mins(61)).await,
            [60]
        );
    }
}
