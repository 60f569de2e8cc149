//! What the monitor has to say: one typed document, which is also what `GET /v1/stats` answers.
//!
//! Counts and sums of time are those since the start. Rates, averages and percentiles stand beside the counts that they
//! are of: in the outermost part and in `operations` those since the start, and in every part named `recent`, as well as
//! `database.error_rate` and all figures of `api`, those of the window. `null` means that there was nothing to divide by.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::caption::Usage;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    BatchStats, LimiterStats, MemoryStats, Monitor, Operation, Outcome, PoolStats, ProcessStats, Recorder, SpoolStats,
    recorder::Reading,
    sources::Sources,
    window::{CIRCUIT_OPEN, OVERLOADED, Span, Totals},
};
use crate::{alerts, breaker::Breaker, policy::Policy, readthrough::CacheCounts, usage::UsageCounts};

/// Everything that is counted. Times are in seconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Summary {
    /// Since the start of the process.
    pub uptime: f64,
    /// The length of the window that `recent` figures are of.
    pub window: f64,
    /// Captions that were asked for since the start, streams included.
    pub total_operations: u64,
    /// Of those that ended with a caption or a failure, the share with a caption. What was refused or left counts as neither.
    pub success_rate: Option<f64>,
    /// `total_duration` over `total_operations`.
    pub avg_duration: Option<f64>,
    /// The time that all of them took.
    pub total_duration: f64,
    /// The same within the window.
    pub recent: RecentOperations,
    /// Each kind of operation by its name: the captions, and what was asked of the ports for them.
    pub operations: BTreeMap<String, OperationStats>,
    /// The store of users and captions.
    pub database: DatabaseStats,
    /// The cache of captions.
    pub cache: CacheStats,
    /// The providers over the network.
    pub api: ApiStats,
    /// The limits of callers.
    pub callers: CallerStats,
    /// The queue of batches, where this process has one.
    pub batches: Option<BatchStats>,
    /// The scheduling of tasks in the process.
    pub event_loop: EventLoopStats,
    /// The process, where the machine tells.
    pub process: Option<ProcessStats>,
    /// The alert loop, where there is one. Its counts are those since the start.
    pub alerts: Option<alerts::Counted>,
    /// For metrics: how long captions took since the start, by operation.
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) spreads: Vec<(Operation, Totals)>,
}

/// One kind of operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationStats {
    /// Operations that have ended since the start.
    pub total: u64,
    /// Those whose caller got what was asked for.
    pub successful: u64,
    /// Those that gave nothing.
    pub failed: u64,
    /// `successful` over `successful + failed`.
    pub success_rate: Option<f64>,
    /// `total_duration` over `total`.
    pub avg_duration: Option<f64>,
    /// The time that all of them took.
    pub total_duration: f64,
    /// Those under way.
    pub in_flight: u64,
    /// All of them by how they ended.
    pub outcomes: Outcomes,
    /// The same within the window.
    pub recent: RecentOperations,
}

/// How operations ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outcomes {
    /// Done, as asked.
    pub ok: u64,
    /// Found in a cache.
    pub hit: u64,
    /// Answered with something older than wanted.
    pub stale: u64,
    /// Answered with what another one had just fetched.
    pub coalesced: u64,
    /// Answered by somebody further down the ladder.
    pub fallback: u64,
    /// Turned down for what was asked.
    pub refused: u64,
    /// Gave nothing.
    pub failed: u64,
    /// Left by their caller.
    pub cancelled: u64,
}

/// Operations within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct RecentOperations {
    /// Operations that ended.
    pub total: u64,
    /// Those that gave nothing.
    pub failed: u64,
    /// Those that were answered from further down the ladder, with something older included.
    pub fallback: u64,
    /// Successes over successes and failures.
    pub success_rate: Option<f64>,
    /// Of all but the cancelled ones.
    pub avg_duration: Option<f64>,
    /// The time that half of them did not exceed, the cancelled ones left out; too long by an eighth at most.
    pub p50: Option<f64>,
    /// The same for 95 %.
    pub p95: Option<f64>,
    /// The same for 99 %.
    pub p99: Option<f64>,
}

/// The attempts at one dependency.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct CallStats {
    /// Calls that have ended since the start.
    pub total: u64,
    /// Those that gave what was asked for.
    pub ok: u64,
    /// Those that were answered with a refusal: a rule, a version conflict, a rate limit.
    pub refused: u64,
    /// Those that gave nothing: out of time, unreachable, unreadable.
    pub failed: u64,
    /// Those that were given up because their caller had left.
    pub cancelled: u64,
    /// The time that all of them took.
    pub total_duration: f64,
    /// Those under way.
    pub in_flight: u64,
    /// Calls that were not made, because no slot was free or a limit was reached.
    pub overloaded: u64,
    /// Calls that were not made, because the circuit was open.
    pub circuit_open: u64,
    /// The same within the window.
    pub recent: RecentCalls,
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) totals: Totals,
}

/// Attempts at one dependency within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct RecentCalls {
    /// Calls that ended.
    pub total: u64,
    /// Those that gave nothing.
    pub failed: u64,
    /// `failed` over `total`.
    pub error_rate: Option<f64>,
    /// Of all but the cancelled ones.
    pub avg_duration: Option<f64>,
    /// The time that half of them did not exceed, the cancelled ones left out; too long by an eighth at most.
    pub p50: Option<f64>,
    /// The same for 95 %.
    pub p95: Option<f64>,
    /// The same for 99 %.
    pub p99: Option<f64>,
    /// Calls that were not made, because no slot was free or a limit was reached.
    pub overloaded: u64,
    /// Calls that were not made, because the circuit was open.
    pub circuit_open: u64,
}

/// A circuit breaker.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BreakerStats {
    /// `closed`, `open`, `half_open`, `forced_open` or `forced_closed`.
    pub state: String,
    /// Seconds since which nothing has worked; null while it is closed or forced.
    pub open_for: Option<f64>,
    /// Seconds until a probe may go; null while it is closed or forced.
    pub next_probe: Option<f64>,
    /// How often it has opened since the start.
    pub opened: u64,
    /// Calls that it has turned away since the start.
    pub rejected: u64,
}

impl BreakerStats {
    /// How this breaker is.
    pub fn of(breaker: &Breaker) -> Self {
        let snapshot = breaker.snapshot();
        let (opened, rejected) = breaker.counts();
        Self {
            state: snapshot.state.as_str().to_owned(),
            open_for: snapshot.open_since.map(|since| since.elapsed().as_secs_f64()),
            next_probe: snapshot.next_probe.map(|wait| wait.as_secs_f64()),
            opened,
            rejected,
        }
    }
}

/// The store of users and captions.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct DatabaseStats {
    /// Queries that have ended since the start, each try for itself.
    pub queries: u64,
    /// Of the queries within the window, the share that failed. What was refused or left is no failure.
    pub error_rate: Option<f64>,
    /// Within the window.
    pub avg_query_time: Option<f64>,
    /// The time that 95 % of the queries within the window did not exceed.
    pub p95_query_time: Option<f64>,
    /// The queries in full.
    pub calls: CallStats,
    /// The connections, where the store has a pool that tells.
    pub pool: Option<PoolStats>,
    /// Its circuit breaker, if it has one.
    pub breaker: Option<BreakerStats>,
    /// Writes that wait on disk, where there are such.
    pub spool: Option<SpoolStats>,
    /// Usage on its way to the store, where it is counted.
    pub usage: Option<UsageCounts>,
}

/// The cache of captions. A request that passes it over, or wants a new caption, looks nothing up and is not counted.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct CacheStats {
    /// Look-ups that have ended since the start, whatever they found.
    pub look_ups: u64,
    /// Those that found something within its time.
    pub hits: u64,
    /// `hits` over `look_ups`.
    pub hit_rate: Option<f64>,
    /// The same within the window.
    pub recent: RecentLookUps,
    /// Each kind of what is kept by its name, in more detail.
    pub kinds: BTreeMap<String, CacheKindStats>,
    /// The cache inside the process, where it tells.
    pub memory: Option<MemoryStats>,
    /// The shared cache, if there is one.
    pub shared: Option<SharedCacheStats>,
}

/// What is kept of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct CacheKindStats {
    /// Look-ups that have ended since the start, whatever they found.
    pub look_ups: u64,
    /// Those that found something within its time.
    pub hits: u64,
    /// `hits` over `look_ups`.
    pub hit_rate: Option<f64>,
    /// All that was counted.
    pub counts: CacheCounts,
}

impl From<CacheCounts> for CacheKindStats {
    fn from(counts: CacheCounts) -> Self {
        Self {
            look_ups: counts.look_ups(),
            hits: counts.hits(),
            hit_rate: counts.hit_rate(),
            counts,
        }
    }
}

/// Look-ups within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct RecentLookUps {
    /// Look-ups that ended.
    pub look_ups: u64,
    /// Those that found something.
    pub hits: u64,
    /// `hits` over `look_ups`.
    pub hit_rate: Option<f64>,
}

/// The cache that all processes share.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct SharedCacheStats {
    /// The commands that it was sent.
    pub calls: CallStats,
    /// Its circuit breaker, if it has one.
    pub breaker: Option<BreakerStats>,
}

/// The providers over the network. All figures beside the counts are those of the window.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ApiStats {
    /// The average time of a call to a provider that was not left by its caller.
    pub avg_response_time: Option<f64>,
    /// The time that 95 % of these did not exceed.
    pub p95_response_time: Option<f64>,
    /// The share of the calls that failed.
    pub error_rate: Option<f64>,
    /// All providers together, with the calls that were turned away before any of them was asked.
    pub calls: CallStats,
    /// Each one by its name.
    pub providers: BTreeMap<String, ProviderStats>,
    /// Their names in the order of the chain.
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) order: Vec<String>,
}

/// One provider.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ProviderStats {
    /// The calls to it.
    pub calls: CallStats,
    /// What its answers cost since the start, as far as it told, and about what was cut off.
    pub tokens: Tokens,
    /// The limits toward it, where there are such.
    pub limiter: Option<LimiterStats>,
    /// Its circuit breaker, if it has one.
    pub breaker: Option<BreakerStats>,
}

/// Tokens since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tokens {
    /// Of the prompts.
    pub input: u64,
    /// Of the answers.
    pub output: u64,
    /// Of calls that were cut off before the provider told, question and answer together: a guess, a token for each four bytes
    /// of text. They are in neither of the others.
    pub guessed: u64,
}

/// Requests that were compared with the limits of their callers; none where there are no limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallerStats {
    /// Requests that were let in since the start.
    pub allowed: u64,
    /// Requests that were turned away with 429 since the start.
    pub refused: u64,
}

/// How promptly tasks are scheduled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct EventLoopStats {
    /// How often since the start a task came later to its turn than the limit allows.
    pub stalls: u64,
    /// True from a stall until ten seconds without one.
    pub stalled: bool,
    /// How late the last look was.
    pub lag: f64,
    /// How late the latest look since the start was.
    pub max_lag: f64,
}

/// A dependency, and what is known of it.
#[derive(Debug)]
pub(super) struct Part {
    calls: Arc<Recorder>,
    policy: Policy,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

impl Part {
    pub(super) fn new(calls: Arc<Recorder>, policy: Policy) -> Self {
        Self {
            calls,
            policy,
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
        }
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn breaker(&self) -> Option<BreakerStats> {
        self.policy.breaker().map(BreakerStats::of)
    }

    pub(super) fn charge(&self, usage: Usage) {
        self.input_tokens.fetch_add(usage.input_tokens, Ordering::Relaxed);
        self.output_tokens.fetch_add(usage.output_tokens, Ordering::Relaxed);
    }

    fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input_tokens.load(Ordering::Relaxed),
            output: self.output_tokens.load(Ordering::Relaxed),
            guessed: self.calls.guessed_tokens(),
        }
    }
}

impl Monitor {
    /// All figures as they are now.
    pub fn summary(&self) -> Summary {
        let readings = Operation::ALL.map(|operation| (operation, self.inner.operations[operation as usize].read()));
        let mut all = Reading::default();
        let mut look_ups = Reading::default();
        for (operation, reading) in &readings {
            if Operation::OF_CALLERS.contains(operation) {
                all.add(reading);
            }
            if *operation == Operation::AnswersRead {
                look_ups = reading.clone();
            }
        }
        // Sources may be slow to a degree, so they are not asked under the lock.
        let sources = self.parts().sources.clone();
        let mut database = self.database();
        database.pool = sources.pool.ask();
        database.spool = sources.spool.ask();
        database.usage = sources.usage.ask();
        let mut api = self.api();
        for (name, source) in &sources.limiters {
            if let Some(provider) = api.providers.get_mut(name) {
                provider.limiter = source.ask();
            }
        }
        let sum = operation_stats(&all);
        Summary {
            uptime: self.inner.begun.elapsed().as_secs_f64(),
            window: self.inner.window.as_secs_f64(),
            total_operations: sum.total,
            success_rate: sum.success_rate,
            avg_duration: sum.avg_duration,
            total_duration: sum.total_duration,
            recent: sum.recent,
            operations: readings
                .iter()
                .map(|(operation, reading)| (operation.as_str().to_owned(), operation_stats(reading)))
                .collect(),
            database,
            cache: self.cache_stats(&look_ups, &sources),
            api,
            callers: CallerStats {
                allowed: self.inner.admitted.load(Ordering::Relaxed),
                refused: self.inner.turned_away.load(Ordering::Relaxed),
            },
            batches: sources.batches.ask(),
            event_loop: self.inner.event_loop.stats(),
            process: sources.process.ask(),
            alerts: sources.alerts.ask(),
            spreads: Operation::OF_CALLERS
                .iter()
                .filter_map(|wanted| readings.iter().find(|(operation, _)| operation == wanted))
                .map(|(operation, reading)| (*operation, reading.totals.clone()))
                .collect(),
        }
    }

    fn database(&self) -> DatabaseStats {
        let parts = self.parts();
        let Some(part) = &parts.database else {
            return DatabaseStats::default();
        };
        let calls = call_stats(&part.calls.read());
        DatabaseStats {
            queries: calls.total,
            error_rate: calls.recent.error_rate,
            avg_query_time: calls.recent.avg_duration,
            p95_query_time: calls.recent.p95,
            calls,
            breaker: part.breaker(),
            pool: None,
            spool: None,
            usage: None,
        }
    }

    fn cache_stats(&self, look_ups: &Reading, sources: &Sources) -> CacheStats {
        // One that was left before its end found nothing and missed nothing.
        let counted = |counts: &[u64]| {
            let all: u64 = Outcome::ALL.iter().map(|outcome| counts[*outcome as usize]).sum();
            (all - counts[Outcome::Cancelled as usize], counts[Outcome::Hit as usize])
        };
        let (all, hits) = counted(&look_ups.totals.counts);
        let (recent, recent_hits) = counted(&look_ups.recent.counts);
        CacheStats {
            look_ups: all,
            hits,
            hit_rate: share(hits, all),
            recent: RecentLookUps {
                look_ups: recent,
                hits: recent_hits,
                hit_rate: share(recent_hits, recent),
            },
            kinds: sources
                .caches
                .ask()
                .unwrap_or_default()
                .into_iter()
                .map(|(kind, counts)| (kind.to_owned(), counts.into()))
                .collect(),
            memory: sources.memory.ask(),
            shared: self.parts().cache.as_ref().map(|part| SharedCacheStats {
                calls: call_stats(&part.calls.read()),
                breaker: part.breaker(),
            }),
        }
    }

    fn api(&self) -> ApiStats {
        let parts = self.parts();
        let mut all = Reading::default();
        let mut providers = BTreeMap::new();
        for (name, part) in &parts.providers {
            let reading = part.calls.read();
            all.add(&reading);
            let stats = ProviderStats {
                calls: call_stats(&reading),
                tokens: part.tokens(),
                limiter: None,
                breaker: part.breaker(),
            };
            providers.insert(name.clone(), stats);
        }
        if let Some(chain) = &parts.chain {
            all.add_turned_away(&chain.read());
        }
        let calls = call_stats(&all);
        ApiStats {
            avg_response_time: calls.recent.avg_duration,
            p95_response_time: calls.recent.p95,
            error_rate: calls.recent.error_rate,
            calls,
            providers,
            order: parts.providers.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

fn operation_stats(reading: &Reading) -> OperationStats {
    let Reading {
        totals,
        recent,
        in_flight,
    } = reading;
    let count = |outcome: Outcome| totals.counts[outcome as usize];
    let total = Outcome::ALL.iter().map(|outcome| count(*outcome)).sum();
    let successes = Outcome::ALL.iter().filter(|outcome| outcome.is_success());
    let (successful, failed) = (successes.map(|outcome| count(*outcome)).sum(), count(Outcome::Failed));
    OperationStats {
        total,
        successful,
        failed,
        success_rate: share(successful, successful + failed),
        avg_duration: average(totals.time, total),
        total_duration: totals.time.as_secs_f64(),
        in_flight: *in_flight as u64,
        outcomes: Outcomes {
            ok: count(Outcome::Ok),
            hit: count(Outcome::Hit),
            stale: count(Outcome::Stale),
            coalesced: count(Outcome::Coalesced),
            fallback: count(Outcome::Fallback),
            refused: count(Outcome::Refused),
            failed,
            cancelled: count(Outcome::Cancelled),
        },
        recent: RecentOperations {
            total: recent.ended(),
            failed: recent.count(Outcome::Failed),
            fallback: recent.count(Outcome::Fallback) + recent.count(Outcome::Stale),
            success_rate: share(recent.successful(), recent.successful() + recent.count(Outcome::Failed)),
            avg_duration: average(recent.time, recent.timed()),
            p50: seconds(recent, 0.5),
            p95: seconds(recent, 0.95),
            p99: seconds(recent, 0.99),
        },
    }
}

fn call_stats(reading: &Reading) -> CallStats {
    let Reading {
        totals,
        recent,
        in_flight,
    } = reading;
    let count = |outcome: Outcome| totals.counts[outcome as usize];
    CallStats {
        total: Outcome::ALL.iter().map(|outcome| count(*outcome)).sum(),
        ok: count(Outcome::Ok),
        refused: count(Outcome::Refused),
        failed: count(Outcome::Failed),
        cancelled: count(Outcome::Cancelled),
        total_duration: totals.time.as_secs_f64(),
        in_flight: *in_flight as u64,
        overloaded: totals.counts[OVERLOADED],
        circuit_open: totals.counts[CIRCUIT_OPEN],
        recent: RecentCalls {
            total: recent.ended(),
            failed: recent.count(Outcome::Failed),
            error_rate: share(recent.count(Outcome::Failed), recent.ended()),
            avg_duration: average(recent.time, recent.timed()),
            p50: seconds(recent, 0.5),
            p95: seconds(recent, 0.95),
            p99: seconds(recent, 0.99),
            overloaded: recent.counts[OVERLOADED],
            circuit_open: recent.counts[CIRCUIT_OPEN],
        },
        totals: totals.clone(),
    }
}

fn seconds(span: &Span, quantile: f64) -> Option<f64> {
    span.quantile(quantile).map(|time| time.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn average(time: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| time.as_secs_f64() / count as f64)
}
