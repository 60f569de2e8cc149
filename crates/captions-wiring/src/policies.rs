//! What the settings mean for the safeguards of each dependency.

use std::time::Duration;

use captions_resilience::{
    breaker::{BreakerSettings, WindowSettings},
    failover,
    policy::PolicySettings,
    retry::{BudgetSettings, RetrySettings},
    slots::{AdaptiveSettings, SlotSettings},
};

use crate::settings::{Api, Breaker, Database, Provider, Redis};

/// What an adapter that keeps its own limits may be late by before the policy gives its call up: the adapter's own word
/// says more about what went wrong.
const GRACE: Duration = Duration::from_secs(1);
/// Commands in flight to Redis; its connections are multiplexed, so this bounds memory and not sockets.
const REDIS_IN_FLIGHT: usize = 512;
/// What an earlier provider of a chain may ask us to wait before the next one is asked instead.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn store(database: &Database, cpus: u32) -> PolicySettings {
    PolicySettings {
        retry: (database.max_attempts > 1).then(|| RetrySettings {
            max_attempts: database.max_attempts,
            base_delay: Duration::from_millis(50),
            delay_cap: Duration::from_secs(1),
            ..RetrySettings::default()
        }),
        // A second read is one of the tries.
        hedge_after: database.hedge.filter(|_| database.max_attempts > 1),
        budget: Some(BudgetSettings::default()),
        breaker: breaker(&database.breaker),
        slots: Some(SlotSettings {
            max_concurrent: size(database.connections(cpus)),
            queue_length: database.queue_length,
            queue_wait: database.acquire_timeout,
            adaptive: None,
        }),
        attempt_timeout: Some(database.acquire_timeout + database.connect_timeout + database.statement_timeout + GRACE),
        ..bounded("store")
    }
}

/// Tried once: a caller is better served by generating than by waiting for a cache.
pub(crate) fn redis(redis: &Redis) -> PolicySettings {
    PolicySettings {
        hedge_after: redis.hedge,
        budget: Some(BudgetSettings::default()),
        breaker: breaker(&redis.breaker),
        slots: Some(SlotSettings {
            max_concurrent: REDIS_IN_FLIGHT,
            queue_length: REDIS_IN_FLIGHT,
            queue_wait: redis.read_timeout,
            adaptive: None,
        }),
        attempt_timeout: Some(redis.connect_timeout + redis.write_timeout.max(redis.read_timeout) + GRACE),
        ..bounded("redis")
    }
}

/// One provider over HTTP, at `position` (from 0) of a chain of `members`.
pub(crate) fn provider(provider: &Provider, api: &Api, position: usize, members: usize) -> PolicySettings {
    let fair = failover::tries(api.max_attempts, position, members);
    let retry = RetrySettings {
        max_attempts: provider.max_attempts.map_or(fair, |attempts| attempts.min(fair)),
        base_delay: api.retry_delay,
        ..RetrySettings::default()
    };
    let is_last = position + 1 == members;
    PolicySettings {
        retry: Some(RetrySettings {
            longest_wait: if is_last { retry.longest_wait } else { SHORT_WAIT },
            delay_cap: retry.delay_cap.max(api.retry_delay),
            ..retry
        }),
        hedge_after: api.hedge,
        budget: Some(BudgetSettings {
            ratio: api.retry_budget,
            ..BudgetSettings::default()
        }),
        breaker: breaker(&api.breaker),
        slots: Some(SlotSettings {
            adaptive: api.adaptive.then_some(AdaptiveSettings { min: api.adaptive_min }),
            ..queue(api, api.max_per_host)
        }),
        attempt_timeout: Some(provider.timeout.unwrap_or(api.timeout)),
        first_chunk_timeout: Some(provider.first_byte_timeout.unwrap_or(api.first_byte_timeout)),
        idle_timeout: Some(provider.idle_timeout.unwrap_or(api.idle_timeout)),
        ledger: true,
        ..bounded(&provider.name)
    }
}

/// Of all providers at one host and port together.
pub(crate) fn host(api: &Api) -> SlotSettings {
    queue(api, api.max_per_host)
}

/// A writer inside the process: it has its own queue, and no network that could hang. As a member of the chain its calls
/// count among the attempts of the request; below the chain they must not, for by then all attempts may be used up.
pub(crate) fn in_process(name: &str, is_member: bool) -> PolicySettings {
    PolicySettings {
        ledger: is_member,
        ..bounded(name)
    }
}

/// All providers together.
pub(crate) fn chain(api: &Api) -> PolicySettings {
    PolicySettings {
        slots: Some(queue(api, api.max_connections)),
        ..bounded("providers")
    }
}

/// Only the request's deadline.
fn bounded(dependency: &str) -> PolicySettings {
    PolicySettings {
        deadline: true,
        ..PolicySettings::off(dependency)
    }
}

/// The queue before the slots of a provider, and before those of all of them.
fn queue(api: &Api, max_concurrent: usize) -> SlotSettings {
    SlotSettings {
        max_concurrent,
        queue_length: api.queue_length,
        queue_wait: api.queue_wait,
        adaptive: None,
    }
}

fn breaker(settings: &Breaker) -> Option<BreakerSettings> {
    settings.enabled.then_some(BreakerSettings {
        failure_threshold: settings.failure_threshold,
        recovery_timeout: settings.recovery_timeout,
        window: Some(WindowSettings {
            length: settings.window,
            min_calls: settings.minimum_calls,
            failure_rate: settings.failure_rate,
            slow_call: settings.slow_call,
            slow_rate: settings.slow_rate,
        }),
    })
}

/// A count that the rules of the settings keep small.
pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
