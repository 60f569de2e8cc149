//! The preset with the specification's values.

use std::time::Duration;

use super::*;
use crate::settings::{Origin, PoolSize};

const PRESET: &str = include_str!("../../../../../docs/v14.toml");

#[test]
fn the_preset_has_the_values_of_the_specification() {
    let loaded = Machine::new().file("here/captions.toml", PRESET).loads();
    let settings = &loaded.settings;

    let database = &settings.database;
    assert_eq!(database.pool_size, PoolSize::Exactly(20));
    assert!(database.pooling);
    let thirty = Duration::from_secs(30);
    assert_eq!((database.acquire_timeout, database.statement_timeout), (thirty, thirty));
    assert_eq!(settings.redis.pool_size, PoolSize::Exactly(50));
    let cache = &settings.cache;
    assert!(cache.enabled);
    let lives = [cache.profile(), cache.preferences(), cache.caption(), cache.stale];
    assert_eq!(
        (cache.ttl.as_secs(), lives.map(|life| life.as_secs())),
        (300, [600, 1800, 3600, 86_400])
    );
    let api = &settings.api;
    assert_eq!((api.timeout, api.retry_delay), (thirty, Duration::from_secs(1)));
    assert_eq!((api.max_attempts, api.max_connections, api.max_per_host), (3, 100, 20));
    assert_eq!((api.requests_per_minute, api.requests_per_hour), (1000, 10_000));
    let alerts = &settings.alerts;
    assert_eq!((alerts.enabled, alerts.interval), (true, Duration::from_secs(60)));
    let bounds = format!("{:?} {:?}", alerts.database_error_rate, alerts.api_response);
    assert_eq!(bounds, "0.05 1s");
    for breaker in [&database.breaker, &api.breaker] {
        assert_eq!(
            (breaker.enabled, breaker.failure_threshold, breaker.recovery_timeout),
            (true, 5, Duration::from_secs(60))
        );
    }
}

#[test]
fn the_preset_changes_nothing_that_it_does_not_name() {
    let loaded = Machine::new().file("here/captions.toml", PRESET).loads();

    let from_file = |origin: &&Origin| matches!(origin, Origin::File(_));
    let changed = loaded.origins.values().filter(from_file).count();

    let named = PRESET
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains('='))
        .count();
    assert_eq!(changed, named);
}
