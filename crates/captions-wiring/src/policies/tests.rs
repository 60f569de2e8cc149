use rstest::rstest;

use super::*;
use crate::{machine::Machine, settings::Settings};

fn settings(changes: &[(&str, &str)]) -> Settings {
    let machine = Machine::new().file(
        "here/captions.toml",
        "[[llm.providers]]\nname = 'a'\nkind = 'openai'\nbase_url = 'http://h/v1'\n\
         [[llm.providers]]\nname = 'b'\nkind = 'openai'\nbase_url = 'http://h/v1'\n\
         timeout = 3\nfirst_byte_timeout = 2\nidle_timeout = 4\nmax_attempts = 1",
    );
    changes
        .iter()
        .fold(machine, |machine, (key, value)| machine.flag(key, value))
        .loads()
        .settings
}

fn of_provider(settings: &Settings, position: usize) -> PolicySettings {
    provider(&settings.llm.providers[position], &settings.api, position, 2)
}

/// The option changes the policy in the one way that is expected.
fn check(policy: impl Fn(&Settings) -> PolicySettings, change: (&str, &str), expected: &str) {
    let before = format!("{:?}", policy(&settings(&[])));
    let after = format!("{:?}", policy(&settings(&[change])));

    assert!(!before.contains(expected), "{before}");
    assert!(after.contains(expected), "{after}");
}

#[rstest]
#[case("database.max_attempts", "4", "max_attempts: 4")]
#[case("database.max_attempts", "1", "retry: None")]
#[case("database.pool_size", "9", "max_concurrent: 9")]
#[case("database.acquire_timeout", "0.2", "queue_wait: 200ms")]
#[case("database.queue_length", "7", "queue_length: 7,")]
#[case("database.statement_timeout", "7", "attempt_timeout: Some(11s)")]
#[case("database.connect_timeout", "9", "attempt_timeout: Some(14s)")]
#[case("database.breaker.enabled", "false", "breaker: None")]
#[case("database.breaker.failure_threshold", "2", "failure_threshold: 2")]
#[case("database.breaker.recovery_timeout", "7", "recovery_timeout: 7s")]
#[case("database.breaker.window", "7", "length: 7s")]
#[case("database.breaker.minimum_calls", "7", "min_calls: 7,")]
#[case("database.breaker.failure_rate", "0.25", "failure_rate: Some(0.25)")]
#[case("database.breaker.failure_rate", "0", "failure_rate: None")]
#[case("database.breaker.slow_rate", "0.25", "slow_rate: Some(0.25)")]
#[case("database.breaker.slow_rate", "0", "slow_rate: None")]
#[case("database.breaker.slow_call", "0.007", "slow_call: 7ms")]
#[case("database.hedge", "0.007", "hedge_after: Some(7ms)")]
fn an_option_of_the_store_has_its_effect(#[case] key: &str, #[case] value: &str, #[case] expected: &str) {
    check(|settings| store(&settings.database, 2), (key, value), expected);
}

#[rstest]
#[case("redis.connect_timeout", "3", "attempt_timeout: Some(4.5s)")]
#[case("redis.write_timeout", "2", "attempt_timeout: Some(4s)")]
#[case("redis.read_timeout", "0.2", "queue_wait: 200ms")]
#[case("redis.breaker.enabled", "false", "breaker: None")]
#[case("redis.breaker.failure_threshold", "2", "failure_threshold: 2")]
#[case("redis.breaker.recovery_timeout", "7", "recovery_timeout: 7s")]
#[case("redis.breaker.window", "7", "length: 7s")]
#[case("redis.breaker.minimum_calls", "7", "min_calls: 7,")]
#[case("redis.breaker.failure_rate", "0.25", "failure_rate: Some(0.25)")]
#[case("redis.breaker.failure_rate", "0", "failure_rate: None")]
#[case("redis.breaker.slow_rate", "0.25", "slow_rate: Some(0.25)")]
#[case("redis.breaker.slow_rate", "0", "slow_rate: None")]
#[case("redis.breaker.slow_call", "0.007", "slow_call: 7ms")]
#[case("redis.hedge", "0.007", "hedge_after: Some(7ms)")]
fn an_option_of_redis_has_its_effect(#[case] key: &str, #[case] value: &str, #[case] expected: &str) {
    check(|settings| redis(&settings.redis), (key, value), expected);
}

#[rstest]
#[case("api.timeout", "3", "attempt_timeout: Some(3s)")]
#[case("api.first_byte_timeout", "3", "first_chunk_timeout: Some(3s)")]
#[case("api.idle_timeout", "3", "idle_timeout: Some(3s)")]
#[case("api.max_attempts", "5", "max_attempts: 4")]
#[case("api.retry_delay", "1", "base_delay: 1s")]
#[case("api.retry_delay", "20", "delay_cap: 20s")]
#[case("api.retry_budget", "0.05", "ratio: 0.05")]
#[case("api.max_per_host", "20", "max_concurrent: 20")]
#[case("api.queue_length", "7", "queue_length: 7,")]
#[case("api.queue_wait", "0.007", "queue_wait: 7ms")]
#[case("api.adaptive", "false", "adaptive: None")]
#[case("api.adaptive_min", "7", "adaptive: Some(AdaptiveSettings { min: 7 })")]
#[case("api.breaker.enabled", "false", "breaker: None")]
#[case("api.breaker.failure_threshold", "2", "failure_threshold: 2")]
#[case("api.breaker.recovery_timeout", "7", "recovery_timeout: 7s")]
#[case("api.breaker.window", "7", "length: 7s")]
#[case("api.breaker.minimum_calls", "7", "min_calls: 7,")]
#[case("api.breaker.failure_rate", "0.25", "failure_rate: Some(0.25)")]
#[case("api.breaker.failure_rate", "0", "failure_rate: None")]
#[case("api.breaker.slow_rate", "0.25", "slow_rate: Some(0.25)")]
#[case("api.breaker.slow_rate", "0", "slow_rate: None")]
#[case("api.breaker.slow_call", "0.007", "slow_call: 7ms")]
#[case("api.hedge", "0.007", "hedge_after: Some(7ms)")]
fn an_option_of_the_providers_has_its_effect(#[case] key: &str, #[case] value: &str, #[case] expected: &str) {
    check(|settings| of_provider(settings, 0), (key, value), expected);
}

#[test]
fn the_bound_over_all_providers_is_the_one_of_the_settings() {
    let changes = [
        ("api.max_connections", "100"),
        ("api.queue_length", "7"),
        ("api.queue_wait", "3"),
    ];
    let settings = settings(&changes);

    let expected = SlotSettings {
        max_concurrent: 100,
        queue_length: 7,
        queue_wait: Duration::from_secs(3),
        adaptive: None,
    };
    assert_eq!(chain(&settings.api).slots, Some(expected));
}

#[test]
fn a_providers_own_limits_stand_over_the_general_ones() {
    let policy = of_provider(&settings(&[]), 1);

    assert_eq!(policy.attempt_timeout, Some(Duration::from_secs(3)));
    assert_eq!(policy.first_chunk_timeout, Some(Duration::from_secs(2)));
    assert_eq!(policy.idle_timeout, Some(Duration::from_secs(4)));
    assert_eq!(policy.retry.unwrap().max_attempts, 1);
}

#[test]
fn an_earlier_provider_leaves_attempts_and_time_to_the_next() {
    let settings = settings(&[]);

    let [first, last] = [0, 1].map(|position| of_provider(&settings, position).retry.unwrap());

    assert_eq!(first.max_attempts, 2);
    assert!(first.longest_wait < last.longest_wait);
}

#[test]
fn a_store_that_is_tried_once_has_no_hedges() {
    let settings = settings(&[("database.hedge", "0.1"), ("database.max_attempts", "1")]);

    assert_eq!(store(&settings.database, 2).hedge_after, None);
}

#[test]
fn calls_below_the_chain_are_not_stopped_by_used_up_attempts() {
    assert!(in_process("x", true).ledger);
    assert!(!in_process("x", false).ledger);
}
