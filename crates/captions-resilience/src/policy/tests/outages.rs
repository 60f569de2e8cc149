//! What an outage costs the other side, and how those who failed together come back.

use futures_util::future::join_all;
use rstest::rstest;
use tokio::task::JoinSet;

use super::*;
use crate::samples::relaxed;

/// Ten minutes at 100 requests a second, all of them in vain.
#[rstest]
#[case::with_the_breaker(true, 1.05)]
#[case::without_it(false, 1.22)]
#[tokio::test(start_paused = true)]
async fn an_outage_costs_little_more_than_the_requests_themselves(#[case] breaker: bool, #[case] most: f64) {
    const REQUESTS: u32 = 10 * 60 * 100;
    let policy = Policy::with_jitter(
        PolicySettings {
            breaker: breaker.then(BreakerSettings::default),
            ..settings()
        },
        Jitter::seeded(11),
    );
    let remote = Arc::new(Remote::new(vec![(
        ms(20),
        Err(Fault::new(FaultKind::Unavailable).into()),
    )]));
    let (start, mut requests) = (Instant::now(), JoinSet::new());

    for number in 0..REQUESTS {
        tokio::time::sleep_until(start + ms(10) * number).await;
        let (policy, remote) = (policy.clone(), Arc::clone(&remote));
        requests.spawn(async move { run(&policy, &relaxed(), &remote).await.unwrap_err() });
        while requests.try_join_next().is_some() {}
    }
    requests.join_all().await;

    let cost = f64::from(u32::try_from(remote.calls()).unwrap()) / f64::from(REQUESTS);
    assert!(cost <= most, "{cost} calls for each request");
    // Without the breaker every request is sent once at least; with it hardly any.
    assert_eq!(cost < 0.01, breaker, "{cost}");
}

/// The largest of `parts` equal parts of the time from 0 to `span`, over their mean.
fn peak(times: &[Duration], span: Duration, parts: usize) -> f64 {
    let mut counts = vec![0_u32; parts];
    for time in times {
        let part = time.as_millis() * parts as u128 / (span.as_millis() + 1);
        counts[usize::try_from(part).unwrap()] += 1;
    }
    let mean = f64::from(counts.iter().sum::<u32>()) / f64::from(u32::try_from(parts).unwrap());
    f64::from(*counts.iter().max().unwrap()) / mean
}

/// 500 processes, each with a policy of its own, lose the same server at the same instant.
#[tokio::test(start_paused = true)]
async fn clients_that_failed_together_come_back_spread_out() {
    let times = join_all((0..500).map(|seed| async move {
        let policy = Policy::with_jitter(settings(), Jitter::seeded(seed));
        let remote = Remote::failing(FaultKind::Unavailable);
        run(&policy, &relaxed(), &remote).await.unwrap_err();
        remote.times()
    }))
    .await;

    let round = |number: usize| times.iter().map(|times| times[number]).collect::<Vec<_>>();
    // Anything up to 250 ms after the first failure, then anything up to 500 ms after the second.
    let (second, third) = (peak(&round(1), ms(251), 10), peak(&round(2), ms(753), 10));
    assert!(second <= 2.0 && third <= 2.0, "{second} and {third}");
    // Both rounds overlap, and the first is the denser one, so that taken together it peaks where they meet.
    let all = peak(&[round(1), round(2)].concat(), ms(753), 10);
    assert!(all <= 2.5, "{all}");
}
