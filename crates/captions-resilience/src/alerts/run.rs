//! The loop: gather, judge, tell. Nothing that a source or a sink does ends it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::fault::{Fault, FaultKind};
use futures_util::{FutureExt as _, future::join_all};
use serde::Serialize;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use utoipa::ToSchema;

use super::{Alerts, Bounded, Notice, Phase, vitals::Vitals};

/// Notices that wait for one sink; of more, the oldest go.
const QUEUE: usize = 64;
/// Failed tries after which a notice is given up: an hour of them at an interval of a minute.
const TRIES: u32 = 65;
/// The pause after the first failed try. It doubles up to the interval of the looks.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Time for one notice.
const TELL_LIMIT: Duration = Duration::from_secs(30);
/// The most that a sink may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Where notices go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// The name used in logs.
    fn name(&self) -> &'static str;

    /// Tells one notice. After a transient fault, a panic or 30 s it is told again, under the same number: a second later,
    /// then after ever longer, at most an interval, and given up after an hour or so. After another fault it is given up at
    /// once. Dropped when the time is up.
    async fn tell(&self, notice: &Notice) -> Result<(), Fault>;
}

/// Where figures come from.
pub struct Source {
    name: &'static str,
    read: Read,
    is_failing: bool,
}

type Read = Box<dyn FnMut(&mut Vitals) -> Result<(), Fault> + Send>;

impl Source {
    /// `read` fills in the figures that it has, and must not block. What it wrote before a fault or a panic is not used.
    pub fn new(name: &'static str, read: impl FnMut(&mut Vitals) -> Result<(), Fault> + Send + 'static) -> Self {
        Self {
            name,
            read: Box::new(read),
            is_failing: false,
        }
    }

    fn fill(&mut self, vitals: &mut Vitals, counts: &Counts) {
        let mut filled = vitals.clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.read)(&mut filled)));
        match outcome.unwrap_or_else(|_| Err(panicked())) {
            Ok(()) => {
                *vitals = filled;
                if self.is_failing {
                    tracing::info!(source = self.name, "figures for alerts are back");
                }
                self.is_failing = false;
            }
            Err(fault) => {
                add(&counts.source_failures);
                if !self.is_failing {
                    let error = Bounded::new(&format!("{fault:?}"));
                    tracing::warn!(source = self.name, %error, "no figures for alerts; going on without them");
                }
                self.is_failing = true;
            }
        }
    }
}

/// What the loop has done so far.
#[derive(Debug, Default)]
pub struct Counts {
    looks: AtomicU64,
    source_failures: AtomicU64,
    sink_failures: AtomicU64,
    notices: AtomicU64,
    delivered: AtomicU64,
    given_up: AtomicU64,
}

/// [`Counts`] at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AlertStats)]
pub struct Counted {
    /// Windows that were judged.
    pub looks: u64,
    /// Faults and panics of sources.
    pub source_failures: u64,
    /// Faults, panics and time-outs of sinks.
    pub sink_failures: u64,
    /// Changes of state, each told to every sink.
    pub notices: u64,
    /// Notices that a sink has taken.
    pub delivered: u64,
    /// Notices that a sink never got.
    pub given_up: u64,
}

impl Counts {
    /// The counts as they are now.
    pub fn read(&self) -> Counted {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            looks: read(&self.looks),
            source_failures: read(&self.source_failures),
            sink_failures: read(&self.sink_failures),
            notices: read(&self.notices),
            delivered: read(&self.delivered),
            given_up: read(&self.given_up),
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn panicked() -> Fault {
    Fault::because(FaultKind::Unavailable, "it panicked")
}

/// Looks every `interval`, the first time after one, until `stop` is ready, and then ends at once: what is still queued
/// for a sink is dropped. A slow sink delays neither the looks nor the other sinks.
pub async fn run(
    alerts: Alerts,
    sources: Vec<Source>,
    sinks: Vec<Arc<dyn Sink>>,
    interval: Duration,
    counts: Arc<Counts>,
    stop: impl Future<Output = ()> + Send,
) {
    let outlets: Vec<Outlet> = sinks.into_iter().map(Outlet::new).collect();
    let telling = join_all(outlets.iter().map(|outlet| outlet.run(interval, &counts)));
    tokio::select! {
        biased;
        () = stop => {}
        () = look(alerts, sources, &outlets, interval, &counts) => {}
        _ = telling => {}
    }
}

/// Never ends.
async fn look(mut alerts: Alerts, mut sources: Vec<Source>, outlets: &[Outlet], interval: Duration, counts: &Counts) {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut vitals = Vitals::default();
        for source in &mut sources {
            source.fill(&mut vitals, counts);
        }
        for notice in alerts.look(Instant::now(), &vitals) {
            add(&counts.notices);
            for outlet in outlets {
                outlet.queue(&notice, counts);
            }
        }
        add(&counts.looks);
    }
}

/// One sink and what waits for it.
struct Outlet {
    sink: Arc<dyn Sink>,
    waiting: Mutex<VecDeque<Waiting>>,
    news: Notify,
}

#[derive(Clone)]
struct Waiting {
    notice: Notice,
    failed: u32,
}

/// How a round over the queue ended.
enum Round {
    Empty,
    Failed(Fault),
}

impl Outlet {
    fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            waiting: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, notice: &Notice, counts: &Counts) {
        let mut waiting = self.waiting();
        if waiting.len() >= QUEUE {
            waiting.pop_front();
            add(&counts.given_up);
        }
        waiting.push_back(Waiting {
            notice: notice.clone(),
            failed: 0,
        });
        drop(waiting);
        self.news.notify_one();
    }

    /// Never ends.
    async fn run(&self, interval: Duration, counts: &Counts) {
        loop {
            self.news.notified().await;
            let mut pause = Duration::ZERO;
            while let Round::Failed(fault) = self.round(counts).await {
                if pause.is_zero() {
                    let error = Bounded::new(&format!("{fault:?}"));
                    tracing::warn!(sink = self.sink.name(), %error, "alerts are not delivered");
                }
                pause = (pause * 2).max(FIRST_PAUSE).min(interval);
                // What comes meanwhile waits behind what failed: the order tells what holds now.
                sleep(pause.max(fault.retry_after().unwrap_or_default().min(LONGEST_WAIT))).await;
            }
            if !pause.is_zero() {
                tracing::info!(sink = self.sink.name(), "alerts are delivered again");
            }
        }
    }

    /// Tells what waits, in order, until nothing waits or something fails.
    async fn round(&self, counts: &Counts) -> Round {
        loop {
            let Some(Waiting { notice, failed }) = self.waiting().front().cloned() else {
                return Round::Empty;
            };
            // The sink is built and polled inside: either may panic.
            let telling = AssertUnwindSafe(async { self.sink.tell(&notice).await }).catch_unwind();
            let outcome = match timeout(TELL_LIMIT, telling).await {
                Ok(outcome) => outcome.unwrap_or_else(|_| Err(panicked())),
                Err(_) => Err(Fault::new(FaultKind::Timeout)),
            };
            let Err(fault) = outcome else {
                add(&counts.delivered);
                self.remove(notice.number);
                continue;
            };
            add(&counts.sink_failures);
            if !fault.is_transient() || failed + 1 >= TRIES {
                if self.remove(notice.number) {
                    add(&counts.given_up);
                }
            } else if let Some(first) = self.waiting().front_mut()
                && first.notice.number == notice.number
            {
                first.failed += 1;
            }
            return Round::Failed(fault);
        }
    }

    /// False if newer notices had pushed it out meanwhile.
    fn remove(&self, number: u64) -> bool {
        let mut waiting = self.waiting();
        let is_first = waiting.front().is_some_and(|first| first.notice.number == number);
        if is_first {
            waiting.pop_front();
        }
        is_first
    }
}

/// Writes each notice into the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogSink;

#[async_trait]
impl Sink for LogSink {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn tell(&self, notice: &Notice) -> Result<(), Fault> {
        let (alert, phase) = (notice.alert.as_str(), notice.phase.as_str());
        let (subject, summary) = (notice.subject.as_str(), notice.summary.as_str());
        let lasted_s = notice.lasted.as_secs_f64();
        let (value, threshold) = (
            notice.figure.map(|figure| figure.value),
            notice.figure.map(|figure| figure.threshold),
        );
        match notice.phase {
            Phase::Firing | Phase::Repeated => tracing::error!(
                alert,
                phase,
                subject,
                value,
                threshold,
                lasted_s,
                runbook = notice.alert.runbook(),
                "alert: {summary}"
            ),
            Phase::Resolved => tracing::info!(alert, phase, subject, lasted_s, "alert over: {summary}"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
