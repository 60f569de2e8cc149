//! Limits of rate: where they are counted, those toward providers and those of callers.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    budget::Budget,
    context::TenantId,
    limiter::Limiter,
    money::Money,
    ports::{Quota, QuotaKey},
    quota::{Plan, Unit},
};
use captions_embedded::quota::MemoryQuota;
use captions_openai::options::Listener;
use captions_resilience::{
    guarded::Guarded,
    policy::Policy,
    rate::{Headroom, Rate, shared::SharedQuota},
};

use crate::{
    assemble::{self, AssembleError},
    policies,
    readiness::Component,
    settings::{Api, Budgets, Limits, Provider, SecretUrl, Settings},
};

const HOUR: Duration = Duration::from_hours(1);

/// Callers and hosts that are counted in memory at the same time.
const MOST_KEYS: usize = 65_536;

/// Counts in Redis where there is one, over the connections and behind the breaker of the cache, and else alone.
pub(crate) fn quota(settings: &Settings, cpus: u32, cache: &Component) -> Result<Arc<SharedQuota>, AssembleError> {
    let guarded = |quota, policy| -> Arc<dyn Quota> { Arc::new(Guarded::new(Arc::new(quota), policy)) };
    let shared = match (cache.redis(), &settings.redis.url) {
        (Some((redis, policy)), _) => Some(guarded(redis.quota(), policy.clone())),
        // Nothing is cached, and limits are shared all the same: a key may have some where the settings have none.
        (None, Some(url)) => {
            let redis = assemble::redis(url, &settings.redis, cpus)?;
            Some(guarded(redis.quota(), Policy::new(policies::redis(&settings.redis))))
        }
        (None, None) => None,
    };
    let local = Arc::new(MemoryQuota::new(MOST_KEYS));
    Ok(Arc::new(SharedQuota::new(shared, local, settings.limits.replicas)))
}

fn toward_hosts(api: &Api) -> Plan {
    Plan::per_minute_and_hour(api.requests_per_minute, api.requests_per_hour, api.tokens_per_minute).and(
        Unit::Tokens,
        api.tokens_per_hour,
        HOUR,
    )
}

fn of_callers(limits: &Limits) -> Plan {
    Plan::per_minute_and_hour(
        limits.requests_per_minute,
        limits.requests_per_hour,
        limits.tokens_per_minute,
    )
    .and(Unit::Tokens, limits.tokens_per_hour, HOUR)
}

/// The limits toward one provider.
pub(crate) struct Toward {
    /// `None` if there are none.
    pub(crate) rate: Option<Rate>,
    /// Whom its adapter tells what it says of its own.
    pub(crate) listener: Option<Listener>,
}

/// The limits toward a provider whose calls wait no longer than `longest_wait` for their turn.
pub(crate) fn toward(provider: &Provider, api: &Api, quota: &Arc<SharedQuota>, longest_wait: Duration) -> Toward {
    let plan = toward_hosts(api);
    let limit = (!plan.is_unlimited()).then(|| {
        let quota: Arc<dyn Quota> = Arc::<SharedQuota>::clone(quota);
        (Limiter::new(quota, plan), QuotaKey::new("host", &host(provider)))
    });
    // What it says may be about one model alone, so it is heard for each provider of a host apart.
    let headroom = api.quota_headers.then(Arc::<Headroom>::default);
    let listener = headroom
        .clone()
        .map(|headroom| Listener::new(move |notice| headroom.observe(notice)));
    let rate = (limit.is_some() || headroom.is_some()).then_some(Rate {
        limit,
        headroom,
        longest_wait,
        decisions: Arc::default(),
    });
    Toward { rate, listener }
}

/// Where a provider is reached: host and port.
fn host(provider: &Provider) -> String {
    let url = provider.base_url.as_ref().map(SecretUrl::expose).unwrap_or_default();
    // The settings admit no URL that cannot be read.
    let read = url::Url::parse(url).ok();
    let place = read
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    place.map_or_else(|| provider.name.clone(), |(host, port)| format!("{host}:{port}"))
}

/// Whose limits count for a caller of this tenant.
pub fn caller(tenant: &TenantId) -> QuotaKey {
    QuotaKey::new("caller", tenant.as_str())
}

/// What each tenant may spend; `None`: as much as it likes.
pub(crate) fn budget(budgets: &Budgets) -> Option<Budget> {
    (budgets.limit > Money::ZERO).then_some(Budget {
        limit: budgets.limit,
        per: budgets.period,
    })
}

/// The limits of callers, for those whose keys have none of their own.
pub(crate) fn callers(limits: &Limits, quota: &Arc<SharedQuota>) -> Limiter {
    let quota: Arc<dyn Quota> = Arc::<SharedQuota>::clone(quota);
    Limiter::new(quota, of_callers(limits))
}

#[cfg(test)]
mod tests;
