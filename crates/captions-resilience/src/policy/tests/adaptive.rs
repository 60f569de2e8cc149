//! The whole policy in a closed loop with a server that bears a certain number of calls at once.

use futures_util::future::join_all;
use rstest::rstest;

use super::*;
use crate::{
    samples::{Lines, rate_limited, relaxed},
    slots::AdaptiveSettings,
};

/// Time of one call that is borne.
const SERVICE: Duration = Duration::from_millis(100);
/// Clients that ask again as soon as they are answered: three times as many as the server bears.
const CLIENTS: usize = 240;
const CAPACITY: usize = 80;

/// What a server does with a call that is too much.
#[derive(Debug, Clone, Copy)]
enum Excess {
    /// Asks to slow down, soon.
    Refused,
    /// Says that it has too much to do.
    Lamented,
    /// Says nothing, until the call is given up.
    Ignored,
}

struct Server {
    capacity: AtomicUsize,
    excess: Excess,
    in_flight: AtomicUsize,
    borne: AtomicUsize,
}

impl Server {
    async fn call(&self) -> Result<&'static str, LlmError> {
        let flying = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        // What is ignored or refused does not keep the server busy.
        let landing = Landing(&self.in_flight);
        if flying > self.capacity.load(Ordering::Relaxed) {
            drop(landing);
            match self.excess {
                Excess::Refused => sleep(ms(20)).await,
                Excess::Lamented => {
                    sleep(ms(20)).await;
                    return Err(Fault::new(FaultKind::Unavailable).by_overload().into());
                }
                Excess::Ignored => std::future::pending().await,
            }
            return Err(Fault::new(rate_limited(None)).into());
        }
        sleep(SERVICE).await;
        self.borne.fetch_add(1, Ordering::Relaxed);
        Ok("done")
    }
}

fn looped(adaptive: Option<AdaptiveSettings>) -> Policy {
    policy(PolicySettings {
        retry: None,
        breaker: None,
        slots: Some(SlotSettings {
            max_concurrent: 8192,
            queue_length: CLIENTS,
            queue_wait: Duration::from_secs(60),
            adaptive,
        }),
        attempt_timeout: Some(ms(500)),
        ledger: false,
        ..settings()
    })
}

fn limit(policy: &Policy) -> usize {
    policy.crowd().unwrap().limit
}

#[rstest]
#[case::that_refuses(Excess::Refused)]
#[case::that_has_too_much_to_do(Excess::Lamented)]
#[case::that_falls_silent(Excess::Ignored)]
#[tokio::test(start_paused = true)]
async fn the_limit_finds_what_a_server_bears(#[case] excess: Excess) {
    let policy = looped(Some(AdaptiveSettings::default()));
    let server = Server {
        capacity: AtomicUsize::new(CAPACITY),
        excess,
        in_flight: AtomicUsize::new(0),
        borne: AtomicUsize::new(0),
    };
    let start = Instant::now();
    let end = start + Duration::from_secs(60);
    let cx = relaxed();
    let client = async || {
        while Instant::now() < end {
            let answer: Result<_, LlmError> = policy.run(&cx, "test.call", Repeat::Safe, || server.call()).await;
            drop(answer);
        }
    };
    let watch = async {
        // A time-out is noticed late, and until then the limit still grows a little: it saws around its mean.
        let settled = async |capacity: usize| {
            let mut seen = Vec::new();
            for _ in 0..100 {
                seen.push(limit(&policy));
                sleep(ms(97)).await;
            }
            let mean = seen.iter().sum::<usize>() / seen.len();
            assert!(
                mean * 10 >= capacity * 8 && mean * 10 <= capacity * 13,
                "{mean} of {capacity}: {seen:?}"
            );
            assert!(seen.iter().all(|limit| limit * 10 <= capacity * 15), "{seen:?}");
        };
        sleep(Duration::from_secs(15)).await;
        let (before, since) = (server.borne.load(Ordering::Relaxed), Instant::now());
        settled(CAPACITY).await;
        let borne = server.borne.load(Ordering::Relaxed) - before;
        let possible = CAPACITY * usize::try_from(since.elapsed().as_millis()).unwrap() / 100;
        assert!(borne * 10 >= possible * 9, "{borne} of {possible}");

        server.capacity.store(CAPACITY / 4, Ordering::Relaxed);
        sleep(Duration::from_secs(10)).await;
        settled(CAPACITY / 4).await;
    };
    tokio::join!(join_all((0..CLIENTS).map(|_| client())), watch);

    let crowd = policy.crowd().unwrap();
    assert_eq!((crowd.in_flight, crowd.interactive), (0, 0));
}

#[rstest]
#[case::on(Some(AdaptiveSettings::default()), true)]
#[case::off(None, false)]
#[tokio::test(start_paused = true)]
async fn slots_become_fewer_only_if_they_adapt(#[case] adaptive: Option<AdaptiveSettings>, #[case] expected: bool) {
    let lines = Lines::of("message");
    let _scope = tracing::subscriber::set_default(lines.clone());
    let policy = looped(adaptive);
    let (busy, quiet) = (Remote::failing(rate_limited(None)), Remote::slow(ms(1)));
    let cx = relaxed();
    let mut storm = Vec::new();
    for _ in 0..100 {
        storm.push(run(&policy, &cx, &busy));
    }

    join_all(storm).await;
    assert_eq!(
        limit(&policy),
        8192,
        "each was over before the next began, and alone is not too much"
    );
    let slow = Remote::new(vec![(ms(10), Err(Fault::new(rate_limited(None)).into()))]);
    join_all((0..100).map(|_| run(&policy, &cx, &slow))).await;
    assert_eq!(limit(&policy) < 8192, expected);

    sleep(Duration::from_secs(61)).await;
    run(&policy, &cx, &quiet).await.unwrap();
    assert_eq!(limit(&policy), 8192);
    let told = lines.all().into_iter().filter(|line| line.contains("calls at once"));
    assert_eq!(told.count(), if expected { 2 } else { 0 });
}
