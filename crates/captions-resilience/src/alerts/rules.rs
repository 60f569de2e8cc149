//! One window judged: which rule is broken, which is kept, and of which nothing can be said.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Alert, Bounded, Figure,
    vitals::{ApiCalls, CacheHits, Calls, PoolUse, Vitals},
};

/// What counts as wrong. Values above these do; values equal to them do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Share of the store's calls that may fail, 0 to 1.
    pub database_error_rate: f64,
    /// What providers may take, for the average and for 95 % of the calls alike.
    pub api_response: Duration,
    /// How long a breaker may keep everybody away.
    pub breaker_open: Duration,
    /// What the hit rate may lose of its usual value, as a share of that, 0 to 1.
    pub hit_rate_drop: f64,
    /// Callers that may wait for a connection. None may wait in vain.
    pub pool_waiting: u32,
    /// Calls that may be refused in one window because everything is busy.
    pub overload_refused: u64,
    /// How long the threads may be held up.
    pub event_loop_lag: Duration,
    /// Rows that may wait on the disk.
    pub spool_rows: u64,
    /// A rate or a time of fewer calls than this says nothing.
    pub min_calls: u64,
    /// A hit rate of fewer look-ups than this says nothing, neither now nor as the usual one.
    pub min_lookups: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            database_error_rate: 0.05,
            api_response: Duration::from_secs(1),
            breaker_open: Duration::from_secs(60),
            hit_rate_drop: 0.5,
            pool_waiting: 10,
            overload_refused: 10,
            event_loop_lag: Duration::from_millis(250),
            spool_rows: 1000,
            min_calls: 20,
            min_lookups: 100,
        }
    }
}

/// What one window says about one alert. Too few calls are no trouble for anybody, so they count as [`Finding::Right`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    Right,
    Wrong { summary: Bounded, figure: Figure },
}

/// What a finding is about.
pub(super) type Key = (Alert, Bounded);

/// More breakers than this are not looked at.
const MAX_BREAKERS: usize = 64;

/// The findings of one window. An alert whose figure is missing is not among them.
pub(super) struct Findings {
    pub(super) by_key: BTreeMap<Key, Finding>,
    /// True if every breaker there is was looked at: one that is not among the findings is closed.
    pub(super) all_breakers: bool,
}

impl Findings {
    /// Of `key`; `None` if nothing is known.
    pub(super) fn of(&self, key: &Key) -> Option<Finding> {
        let finding = self.by_key.get(key).cloned();
        finding.or_else(|| (self.all_breakers && key.0 == Alert::BreakerOpen).then_some(Finding::Right))
    }
}

pub(super) fn judge(vitals: &Vitals, limits: &Thresholds) -> Findings {
    let single = [
        (
            Alert::DatabaseErrors,
            vitals.database.map(|calls| database(calls, limits)),
        ),
        (Alert::ApiSlow, vitals.api.map(|calls| api(calls, limits))),
        (Alert::HitRateCollapse, vitals.cache.map(|hits| hit_rate(hits, limits))),
        (Alert::PoolWaiting, vitals.pool.map(|pool| waiting(pool, limits))),
        (
            Alert::Overload,
            vitals.overload_refused.map(|refused| {
                above(count(refused), count(limits.overload_refused), || {
                    format!("{refused} calls were refused because everything was busy")
                })
            }),
        ),
        (
            Alert::EventLoopStalled,
            vitals.event_loop_lag.map(|lag| {
                above(lag.as_secs_f64(), limits.event_loop_lag.as_secs_f64(), || {
                    format!(
                        "tasks that were due waited up to {:.3} s for a thread",
                        lag.as_secs_f64()
                    )
                })
            }),
        ),
        (
            Alert::SpoolGrowing,
            vitals.spool_rows.map(|rows| {
                above(count(rows), count(limits.spool_rows), || {
                    format!("{rows} rows wait on the disk for the store")
                })
            }),
        ),
    ];
    let nameless = Bounded::new("");
    let mut by_key: BTreeMap<Key, Finding> = single
        .into_iter()
        .filter_map(|(alert, finding)| Some(((alert, nameless.clone()), finding?)))
        .collect();
    let breakers = vitals.breakers.as_deref().unwrap_or_default();
    for breaker in breakers.iter().take(MAX_BREAKERS) {
        let open = breaker.open_for.unwrap_or_default().as_secs_f64();
        let finding = above(open, limits.breaker_open.as_secs_f64(), || {
            format!("{} has not worked for {open:.0} s ({})", breaker.name, breaker.state)
        });
        by_key.insert((Alert::BreakerOpen, Bounded::new(&breaker.name)), finding);
    }
    Findings {
        by_key,
        all_breakers: vitals
            .breakers
            .as_ref()
            .is_some_and(|breakers| breakers.len() <= MAX_BREAKERS),
    }
}

fn database(calls: Calls, limits: &Thresholds) -> Finding {
    if calls.calls < limits.min_calls.max(1) {
        return Finding::Right;
    }
    above(share(calls.failures, calls.calls), limits.database_error_rate, || {
        format!("{} of {} calls to the store failed", calls.failures, calls.calls)
    })
}

fn api(calls: ApiCalls, limits: &Thresholds) -> Finding {
    if calls.counts.calls < limits.min_calls.max(1) {
        return Finding::Right;
    }
    let (average, p95) = (calls.average.as_secs_f64(), calls.p95.as_secs_f64());
    above(average.max(p95), limits.api_response.as_secs_f64(), || {
        format!(
            "{} provider calls took {average:.2} s on average, 95 % of them up to {p95:.2} s",
            calls.counts.calls
        )
    })
}

fn hit_rate(hits: CacheHits, limits: &Thresholds) -> Finding {
    let least = limits.min_lookups.max(1);
    if hits.lookups < least || hits.usual_lookups < least {
        return Finding::Right;
    }
    let now = share(hits.hits, hits.lookups);
    let usual = share(hits.usual_hits, hits.usual_lookups);
    if usual <= 0.0 {
        return Finding::Right;
    }
    above((usual - now) / usual, limits.hit_rate_drop, || {
        format!("{:.1} % of look-ups hit, usually {:.1} %", now * 100.0, usual * 100.0)
    })
}

fn waiting(pool: PoolUse, limits: &Thresholds) -> Finding {
    let summary = || {
        format!(
            "{} callers wait for one of {} connections, {} waited in vain",
            pool.waiting, pool.size, pool.timeouts
        )
    };
    if pool.timeouts > 0 {
        return above(count(pool.timeouts), 0.0, summary);
    }
    above(f64::from(pool.waiting), f64::from(limits.pool_waiting), summary)
}

fn above(value: f64, threshold: f64, summary: impl FnOnce() -> String) -> Finding {
    if value > threshold {
        Finding::Wrong {
            summary: Bounded::new(&summary()),
            figure: Figure { value, threshold },
        }
    } else {
        Finding::Right
    }
}

fn share(part: u64, whole: u64) -> f64 {
    count(part) / count(whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of more than 2^53 calls may be off by one of them"
)]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
