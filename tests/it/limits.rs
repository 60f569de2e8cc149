//! Limits of rate over several replicas: of callers, toward providers, and without the Redis that they share.
//!
//! Limits are of an hour, so that what comes back during a test is next to nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres::fresh_database,
    redis::Server,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Service, captions, description, environment, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

/// Replicas that share this Redis and this provider, with these settings besides. A busy machine is no reason to count alone.
async fn replicas(count: usize, redis: &Server, llm: &FakeLlm, settings: &[(&str, &str)]) -> Vec<Service> {
    let (redis, llm) = (redis.url(), llm.base_url());
    let mut env = vec![
        ("REDIS_URL", redis.as_str()),
        ("CAPTIONS_REDIS__READ_TIMEOUT", "20"),
        ("CAPTIONS_REDIS__CONNECT_TIMEOUT", "20"),
        ("OPENAI_BASE_URL", llm.as_str()),
        ("OPENAI_MODEL", "m1"),
    ];
    env.extend(settings);
    let mut services = Vec::new();
    for _ in 0..count {
        services.push(Service::start(&env).await);
    }
    services
}

async fn stop(services: Vec<Service>) {
    for service in services {
        service.stop().await;
    }
}

/// How many calls of each status, of so many at once, dealt out to all in turn. Each asks for a user that there is not.
async fn look_ups(services: &[Service], count: usize) -> BTreeMap<u16, usize> {
    look_ups_with(None, services, count).await
}

async fn look_ups_with(key: Option<&str>, services: &[Service], count: usize) -> BTreeMap<u16, usize> {
    let calls = (0..count).map(|number| async move {
        let service = &services[number % services.len()];
        let mut request = service.client.get(format!("{}/v1/users/nobody", service.base));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status().as_u16()
    });
    let mut statuses = BTreeMap::new();
    for status in join_all(calls).await {
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery"), "store": false })
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_keep_one_limit_of_a_caller_under_500_calls_at_once() {
    let (redis, llm) = (Server::start(), FakeLlm::start().await);
    let limits = [
        ("CAPTIONS_LIMITS__REQUESTS_PER_HOUR", "200"),
        ("CAPTIONS_LIMITS__REPLICAS", "3"),
    ];
    let services = replicas(3, &redis, &llm, &limits).await;
    let begun = Instant::now();

    let statuses = look_ups(&services, 500).await;

    // One comes back in 18 s.
    let back = usize::try_from(begun.elapsed().as_secs() / 18).unwrap() + 1;
    let let_through = statuses[&404];
    assert!((200..=200 + back).contains(&let_through), "{statuses:?}");
    assert_eq!(
        statuses.values().sum::<usize>(),
        let_through + statuses[&429],
        "{statuses:?}"
    );
    stop(services).await;
}

/// Two keys flood the same replicas: each gets what is its own, exactly, and neither costs the other anything.
#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_keep_the_limits_of_two_keys_under_500_calls_at_once() {
    let (redis, llm) = (Server::start(), FakeLlm::start().await);
    let database = fresh_database().await;
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("CAPTIONS_AUTH__REQUIRED", "always"),
        ("CAPTIONS_LIMITS__REQUESTS_PER_HOUR", "10"),
        ("CAPTIONS_LIMITS__REPLICAS", "3"),
    ];
    let services = replicas(3, &redis, &llm, &settings).await;
    let home = tempfile::tempdir().unwrap();
    let env = environment(&home, &settings[..1]);
    let mut keys = Vec::new();
    for limit in ["100", "150"] {
        let made = captions(env.clone(), &["key", "create", "--requests-per-hour", limit]).await;
        assert_eq!(made.exit.code(), 0, "{}", made.stderr);
        keys.push(made.stdout.trim_end().to_owned());
    }
    let begun = Instant::now();

    let (small, large) = tokio::join!(
        look_ups_with(Some(&keys[0]), &services, 250),
        look_ups_with(Some(&keys[1]), &services, 250)
    );

    for (limit, statuses) in [(100, small), (150, large)] {
        // One comes back in 3600 / limit seconds.
        let back = usize::try_from(begun.elapsed().as_secs()).unwrap() * limit / 3600 + 1;
        let let_through = statuses[&404];
        assert!((limit..=limit + back).contains(&let_through), "{statuses:?}");
        assert_eq!(250, let_through + statuses[&429], "{statuses:?}");
    }
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_their_redis_each_replica_gives_its_part_and_nobody_sees_an_error() {
    let (mut redis, llm) = (Server::start(), FakeLlm::start().await);
    llm.always(Turn::caption_json(&[CAPTION]));
    let limits = [
        ("CAPTIONS_LIMITS__REQUESTS_PER_HOUR", "60"),
        ("CAPTIONS_LIMITS__REPLICAS", "3"),
        // Else the time until they look for it again depends on how long this test has taken.
        ("CAPTIONS_REDIS__BREAKER__ENABLED", "false"),
    ];
    let services = replicas(3, &redis, &llm, &limits).await;
    assert_eq!(look_ups(&services, 30).await, BTreeMap::from([(404, 30)]));

    redis.kill();
    // Said of an answer, where it is one.
    let (status, answer) = services[0].post("/v1/captions", &asked()).await;
    assert_eq!(status, 200, "{answer}");
    let degraded = answer["degraded"].as_array().unwrap();
    assert!(degraded.contains(&json!("limits_local")), "{answer}");
    let statuses = look_ups(&services, 120).await;

    // A third of 60 each, less the one before. One comes back in 3 minutes.
    assert!((59..=62).contains(&statuses[&404]), "{statuses:?}");
    assert_eq!(
        statuses.values().sum::<usize>(),
        statuses[&404] + statuses[&429],
        "{statuses:?}"
    );

    redis.restart();
    // They count together again, from nothing, and sooner or later all of them know.
    until("limits that are shared again", async || {
        let statuses = look_ups(&services, 3).await;
        statuses.get(&404).filter(|count| **count == 3).copied()
    })
    .await;
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_their_limit_toward_a_provider() {
    let (redis, llm) = (Server::start(), FakeLlm::start().await);
    llm.always(Turn::caption_json(&[CAPTION]));
    let limits = [
        ("CAPTIONS_API__REQUESTS_PER_HOUR", "20"),
        ("CAPTIONS_LIMITS__REPLICAS", "2"),
    ];
    let services = replicas(2, &redis, &llm, &limits).await;

    let calls = (0..40).map(|number| {
        let service = &services[number % 2];
        async move { service.post("/v1/captions", &asked()).await }
    });
    let answers = join_all(calls).await;

    let written_by = |source: &str| answers.iter().filter(|(_, answer)| answer["source"] == source).count();
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(
        (llm.count(), written_by("provider"), written_by("template")),
        (20, 20, 20)
    );
    let (mut allowed, mut refused) = (0, 0);
    for service in &services {
        let (_, stats) = service.get("/v1/stats").await;
        let limiter = &stats["api"]["providers"]["openai"]["limiter"];
        allowed += limiter["allowed"].as_u64().unwrap();
        refused += limiter["refused"].as_u64().unwrap();
    }
    assert_eq!((allowed, refused), (20, 20));
    // Who may not fall back is told when to come back.
    let mut strict = asked();
    strict["allow_fallback"] = json!(false);
    let (status, problem) = services[0].post("/v1/captions", &strict).await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("provider_rate_limited")),
        "{problem}"
    );
    // One comes back in 3 minutes.
    let wait = problem["retry_after_ms"].as_u64().unwrap();
    assert!((1..=180_000).contains(&wait), "{problem}");
    assert_eq!(problem["attempts"], json!(0));
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_at_once_and_costs_nothing() {
    let (redis, llm) = (Server::start(), FakeLlm::start().await);
    llm.always(Turn::caption_json(&[CAPTION]).after(Duration::from_secs(60)));
    let services = replicas(1, &redis, &llm, &[("CAPTIONS_LIMITS__REQUESTS_PER_HOUR", "1")]).await;
    assert_eq!(look_ups(&services, 1).await, BTreeMap::from([(404, 1)]));

    // Far less time than the provider would take.
    let begun = Instant::now();
    let (status, problem) = services[0].post("/v1/captions", &asked()).await;
    let took = begun.elapsed();

    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")), "{problem}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(llm.count(), 0);
    stop(services).await;
}
