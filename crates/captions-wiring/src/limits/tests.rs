use std::time::Duration;

use captions_domain::{
    context::Context,
    quota::{Amount, Take, Unit},
};
use rstest::rstest;

use super::*;
use crate::{chain, machine::Machine, readiness::Probe};

const PROVIDERS: &str = "\
[[llm.providers]]\nname = 'a'\nkind = 'openai'\nbase_url = 'https://h/v1'\n\
[[llm.providers]]\nname = 'b'\nkind = 'openai'\nbase_url = 'https://h:443/other/v1'\n\
[[llm.providers]]\nname = 'c'\nkind = 'openai'\nbase_url = 'https://h:444/v1'\n";

fn settings(changes: &[(&str, &str)]) -> Settings {
    let machine = Machine::new().file("here/captions.toml", PROVIDERS);
    changes
        .iter()
        .fold(machine, |machine, (key, value)| machine.flag(key, value))
        .loads()
        .settings
}

fn none_cached() -> Component {
    Component::new("cache", None, Probe::None)
}

fn toward(settings: &Settings, position: usize) -> Toward {
    let quota = quota(settings, 1, &none_cached()).unwrap();
    super::toward(
        &settings.llm.providers[position],
        &settings.api,
        &quota,
        Duration::from_secs(1),
    )
}

/// The limits of a plan in short.
fn told(plan: &Plan) -> Vec<(Unit, u64, u64)> {
    plan.windows()
        .iter()
        .map(|window| (window.unit(), window.limit(), window.per().as_secs()))
        .collect()
}

#[rstest]
#[case("requests_per_minute", (Unit::Requests, 7, 60))]
#[case("requests_per_hour", (Unit::Requests, 7, 3600))]
#[case("tokens_per_minute", (Unit::Tokens, 7, 60))]
#[case("tokens_per_hour", (Unit::Tokens, 7, 3600))]
fn each_limit_is_off_until_it_is_set(#[case] key: &str, #[case] expected: (Unit, u64, u64)) {
    let off = settings(&[]);
    assert!(toward(&off, 0).rate.unwrap().limit.is_none());
    let of = |settings: &Settings| callers(&settings.limits, &quota(settings, 1, &none_cached()).unwrap());
    assert!(of(&off).plan().is_unlimited());

    let on = settings(&[(&format!("api.{key}"), "7")]);
    let (limiter, _) = toward(&on, 0).rate.unwrap().limit.unwrap();
    assert_eq!(told(limiter.plan()), [expected]);
    assert!(of(&on).plan().is_unlimited());

    let on = settings(&[(&format!("limits.{key}"), "7")]);
    assert_eq!(told(of(&on).plan()), [expected]);
    assert!(toward(&on, 0).rate.unwrap().limit.is_none());
}

#[test]
fn providers_of_one_host_share_their_limit_and_others_do_not() {
    let settings = settings(&[("api.requests_per_minute", "7")]);

    let [a, b, c] = [0, 1, 2].map(|position| toward(&settings, position).rate.unwrap().limit.unwrap().1);

    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[test]
fn providers_of_one_host_share_its_slots_and_who_is_alone_there_needs_none() {
    let settings = settings(&[("api.max_per_host", "7")]);

    let shared = chain::shared_hosts(&settings.llm.providers, &settings.api);

    let places: Vec<_> = shared.keys().cloned().collect();
    assert_eq!(places, [(Some("h".to_owned()), Some(443))]);
    let limits: Vec<_> = shared.values().map(|slots| slots.crowd().limit).collect();
    assert_eq!(limits, [7]);
}

#[test]
fn providers_are_listened_to_unless_the_settings_say_no() {
    let on = toward(&settings(&[]), 0);
    assert!(on.listener.is_some() && on.rate.unwrap().headroom.is_some());

    let off = toward(&settings(&[("api.quota_headers", "false")]), 0);
    assert!(off.listener.is_none() && off.rate.is_none());
}

#[rstest]
#[case("1", 6)]
#[case("3", 2)]
#[tokio::test]
async fn a_replica_that_counts_alone_gives_its_part(#[case] replicas: &str, #[case] expected: usize) {
    let settings = settings(&[("limits.requests_per_hour", "6"), ("limits.replicas", replicas)]);
    let quota = quota(&settings, 1, &none_cached()).unwrap();
    let limiter = callers(&settings.limits, &quota);
    let key = QuotaKey::new("test", "caller");

    let mut given = 0;
    while let Ok(mut pass) = limiter.take(&context(), &key, Amount::request(0), Duration::ZERO).await {
        pass.begin();
        given += 1;
    }

    assert_eq!(given, expected);
    assert_eq!(quota.alone(), 0, "it is not alone where there is nothing to share");
}

#[tokio::test]
async fn limits_are_shared_over_redis_whether_or_not_anything_is_cached() {
    let redis = captions_testkit::redis::shared().url();
    let plan = Plan::per_minute_and_hour(0, 1, 0);
    let one = Take {
        amount: Amount::request(0),
        ..Take::default()
    };
    for cached in [true, false] {
        let settings = settings(&[
            ("redis.url", &redis),
            ("redis.read_timeout", "20"),
            ("limits.requests_per_hour", "1"),
        ]);
        let none = none_cached();
        let replica = || {
            let redis = assemble::redis(settings.redis.url.as_ref().unwrap(), &settings.redis, 1).unwrap();
            let policy = Policy::new(policies::redis(&settings.redis));
            let cache = Component::new("cache", Some(policy), Probe::Redis(Arc::new(redis)));
            quota(&settings, 1, if cached { &cache } else { &none }).unwrap()
        };
        let (first, second) = (replica(), replica());
        let key = QuotaKey::new("test", &uuid::Uuid::now_v7().to_string());

        assert!(first.take(&context(), &key, &plan, &one).await.unwrap().is_taken);
        assert!(!second.take(&context(), &key, &plan, &one).await.unwrap().is_taken);
        assert_eq!((first.alone(), second.alone()), (0, 0));
    }
}

fn context() -> Context {
    captions_testkit::build::context()
}
