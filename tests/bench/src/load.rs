//! A closed loop of requests over loopback: each connection asks again as soon as it has its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, header::CONTENT_TYPE};
use tokio::{sync::Barrier, task::JoinSet};

/// Requests of each connection before the clock starts: the connection is open and the code is warm.
const WARM_UP: usize = 4;
/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked, and how a right answer is known.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) url: String,
    /// Makes the JSON body of the next request.
    pub(crate) body: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
    pub(crate) status: u16,
    /// A text that every right answer contains.
    pub(crate) says: &'static str,
}

/// When a run ends: after this many requests or this time, whichever is first.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) time: Duration,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Measured {
    /// Of the right answers after the warm-up.
    pub(crate) latencies: Vec<Duration>,
    /// Requests that were begun, those of the warm-up included.
    pub(crate) sent: usize,
    /// Requests without a right answer, those of the warm-up included.
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
    /// From the end of the warm-up to the last answer.
    pub(crate) elapsed: Duration,
}

impl Measured {
    /// Right answers a second; 0 if there were none.
    pub(crate) fn rate(&self) -> f64 {
        if self.latencies.is_empty() {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let answered = self.latencies.len() as f64;
        answered / self.elapsed.as_secs_f64()
    }

    fn count(&mut self, outcome: Result<Duration, String>) -> Option<Duration> {
        self.sent += 1;
        match outcome {
            Ok(latency) => Some(latency),
            Err(why) => {
                self.failed += 1;
                self.first_failure.get_or_insert(why);
                None
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.sent += other.sent;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

/// The latency that this share (0-1) of the sorted latencies does not exceed, by nearest rank; zero if there are none.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .or(sorted.last())
        .copied()
        .unwrap_or_default()
}

/// Makes the requests. A wrong answer is a failure of the run, not an error of this function.
pub(crate) async fn run(call: &Call, bounds: Bounds) -> anyhow::Result<Measured> {
    let client = Client::builder()
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(bounds.connections)
        .timeout(PATIENCE)
        .build()?;
    let taken = Arc::new(AtomicUsize::new(0));
    let warm = Arc::new(Barrier::new(bounds.connections));
    let mut loops = JoinSet::new();
    for _ in 0..bounds.connections {
        let (client, call) = (client.clone(), call.clone());
        let (taken, warm) = (Arc::clone(&taken), Arc::clone(&warm));
        loops.spawn(async move {
            let mut measured = Measured::default();
            for _ in 0..WARM_UP {
                measured.count(exchange(&client, &call).await);
            }
            warm.wait().await;
            let start = Instant::now();
            while taken.fetch_add(1, Ordering::Relaxed) < bounds.requests && start.elapsed() < bounds.time {
                let outcome = exchange(&client, &call).await;
                if let Some(latency) = measured.count(outcome) {
                    measured.latencies.push(latency);
                }
            }
            measured.elapsed = start.elapsed();
            measured
        });
    }
    let mut all = Measured::default();
    while let Some(one) = loops.join_next().await {
        all.join(one?);
    }
    Ok(all)
}

/// One request and the whole of its answer.
async fn exchange(client: &Client, call: &Call) -> Result<Duration, String> {
    let body = (call.body)();
    let start = Instant::now();
    let request = client
        .post(&call.url)
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    let latency = start.elapsed();
    if status != call.status || !text.contains(call.says) {
        return Err(format!("{status}, not {} with {}: {text}", call.status, call.says));
    }
    Ok(latency)
}

#[cfg(test)]
mod tests;
