//! The monitor's figures as the rules want them. Rates, times and counts are those of the monitor's window.

use std::{collections::VecDeque, time::Duration};

use captions_resilience::{
    alerts::{ApiCalls, BreakerVital, CacheHits, Calls, PoolUse, Vitals},
    monitor::{Monitor, RecentCalls, Summary},
};
use tokio::time::Instant;

/// The usual hit rate is that of so long before the window.
const USUAL: Duration = Duration::from_secs(3600);
/// So far apart are the marks of that time.
const STEP: Duration = Duration::from_secs(60);

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Look-ups since the start at some instants, the oldest first.
    marks: VecDeque<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    lookups: u64,
    hits: u64,
}

impl Figures {
    /// The vitals as they are now.
    pub(super) fn take(&mut self, monitor: &Monitor) -> Vitals {
        let summary = monitor.summary();
        let Summary {
            database, cache, api, ..
        } = &summary;
        let (usual_lookups, usual_hits) = self.usual(&summary);
        let shared = cache.shared.as_ref().map(|shared| shared.calls.recent);
        // A store without a pool that tells has nobody waiting in it, but its policy may have turned callers away.
        let pool = database.pool.unwrap_or_default();
        let overloaded = [Some(database.calls.recent), shared, Some(api.calls.recent)];
        Vitals {
            database: Some(calls_with_turned_away(database.calls.recent)),
            api: Some(ApiCalls {
                counts: calls(api.calls.recent),
                average: time(api.avg_response_time),
                p95: time(api.p95_response_time),
            }),
            breakers: Some(
                monitor
                    .breakers()
                    .into_iter()
                    .map(|(name, breaker)| BreakerVital {
                        name,
                        open_for: breaker.open_for.map(|seconds| time(Some(seconds))),
                        state: breaker.state,
                    })
                    .collect(),
            ),
            cache: Some(CacheHits {
                lookups: cache.recent.look_ups,
                hits: cache.recent.hits,
                usual_lookups,
                usual_hits,
            }),
            pool: Some(PoolUse {
                size: count(pool.size),
                waiting: count(pool.waiting),
                timeouts: database.calls.recent.overloaded,
            }),
            overload_refused: Some(overloaded.iter().flatten().map(|calls| calls.overloaded).sum()),
            event_loop_lag: Some(monitor.event_loop().take_longest()),
            spool_rows: database.spool.map(|spool| spool.waiting),
        }
    }

    /// Look-ups and hits of the hour before the window, or of as much of it as there was.
    fn usual(&mut self, summary: &Summary) -> (u64, u64) {
        let now = Instant::now();
        let window = time(Some(summary.window));
        let age = |mark: &Mark| now.saturating_duration_since(mark.at);
        if self.marks.back().is_none_or(|newest| age(newest) >= STEP) {
            self.marks.push_back(Mark {
                at: now,
                lookups: summary.cache.look_ups,
                hits: summary.cache.hits,
            });
        }
        while self.marks.front().is_some_and(|oldest| age(oldest) > window + USUAL) {
            self.marks.pop_front();
        }
        let newest = self.marks.iter().rev().find(|mark| age(mark) >= window);
        let (Some(oldest), Some(newest)) = (self.marks.front(), newest) else {
            return (0, 0);
        };
        (newest.lookups - oldest.lookups, newest.hits - oldest.hits)
    }
}

const fn calls(recent: RecentCalls) -> Calls {
    Calls {
        calls: recent.total,
        failures: recent.failed,
    }
}

/// What an open circuit turned away has failed as well.
const fn calls_with_turned_away(recent: RecentCalls) -> Calls {
    Calls {
        calls: recent.total + recent.circuit_open,
        failures: recent.failed + recent.circuit_open,
    }
}

/// No figure is no time at all.
fn time(seconds: Option<f64>) -> Duration {
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or_default()
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
