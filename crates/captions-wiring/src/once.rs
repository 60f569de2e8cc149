//! Removes the records of calls with a key whose time is over.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::Context,
    once::{Standing, Step},
    ports::CaptionStore,
};
use captions_resilience::jitter::Jitter;
use tokio::time::sleep;

/// Records that are removed in one step: few enough that no request waits for it.
const AT_ONCE: u32 = 500;
/// Between two steps of one round.
const BREATH: Duration = Duration::from_millis(100);
/// The shortest and the longest time between two rounds.
const ROUNDS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Goes on until it is dropped. A record stays for a twenty-fourth of `keep_for` too long, or a little more. Replicas do
/// not march in step, and one that finds nothing costs one statement a round.
pub(crate) async fn sweep(
    captions: Arc<dyn CaptionStore>,
    keep_for: Duration,
    context: impl Fn() -> Context + Send,
    jitter: Jitter,
) {
    let every = (keep_for / 24).clamp(ROUNDS.0, ROUNDS.1);
    let step = Step::Sweep { limit: AT_ONCE };
    let mut pause = every;
    loop {
        sleep(pause.mul_f64(1.0 + 0.2 * jitter.unit())).await;
        let cx = context();
        pause = match captions.once(&cx, &step).await {
            Ok(Standing::Changed(removed)) if removed >= u64::from(AT_ONCE) => BREATH,
            Ok(_) => every,
            Err(error) => {
                tracing::debug!(?error, "records of calls whose time is over stay for another round");
                every
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use captions_domain::{
        fault::{Fault, FaultKind},
        ports::MockCaptionStore,
    };
    use captions_testkit::build;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// The minutes at which a store that answers so is asked, within `time`.
    async fn asked(keep_for: Duration, answers: &'static [Option<u64>], time: Duration) -> Vec<u64> {
        let begun = Instant::now();
        let times = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&times);
        let mut store = MockCaptionStore::new();
        store.expect_once().returning(move |_, step| {
            assert_eq!(*step, Step::Sweep { limit: AT_ONCE });
            let mut seen = seen.lock().unwrap();
            seen.push(begun.elapsed().as_secs() / 60);
            match answers.get(seen.len() - 1).copied().unwrap_or(Some(0)) {
                Some(removed) => Ok(Standing::Changed(removed)),
                None => Err(Fault::new(FaultKind::Unavailable).into()),
            }
        });
        let sweeping = sweep(Arc::new(store), keep_for, build::context, Jitter::fixed(0.0));
        timeout(time, sweeping).await.unwrap_err();
        let times = times.lock().unwrap();
        times.clone()
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
