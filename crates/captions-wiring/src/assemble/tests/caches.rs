use captions_domain::caption::Source;
use captions_testkit::redis;

use super::*;
use crate::machine::Page;

const BRIEF: &str = "golden hour at our cafe in Lisbon";

/// Who answers the second of two same requests.
async fn second_answer(assembled: &Assembled) -> Source {
    generate(assembled, BRIEF).await.unwrap();
    generate(assembled, BRIEF).await.unwrap().source
}

#[tokio::test]
async fn the_same_request_is_answered_from_memory() {
    assert_eq!(second_answer(&assembled(&machine()).await).await, Source::Cache);
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept() {
    let machine = machine().flag("cache.enabled", "false");

    assert_ne!(second_answer(&assembled(&machine).await).await, Source::Cache);
}

#[tokio::test]
async fn without_a_cache_redis_is_not_used_either() {
    let server = redis::Server::start();
    let machine = machine().env("REDIS_URL", &server.url()).flag("cache.enabled", "false");

    assert_ne!(second_answer(&assembled(&machine).await).await, Source::Cache);
}

#[tokio::test]
async fn what_one_process_has_put_into_redis_another_one_finds() {
    let server = redis::Server::start();
    let machine = machine().env("REDIS_URL", &server.url());
    generate(&assembled(&machine).await, BRIEF).await.unwrap();

    let answer = generate(&assembled(&machine).await, BRIEF).await.unwrap();

    assert_eq!(answer.source, Source::Cache);
}

#[tokio::test]
async fn a_redis_that_is_away_costs_the_cache_and_nothing_else() {
    let mut server = redis::Server::start();
    let machine = machine().env("REDIS_URL", &server.url());
    server.kill();
    let log = Page::default();
    let _guard = log.listen();
    let assembled = assembled(&machine).await;
    assert!(log.text().contains("redis cannot be reached"), "{}", log.text());

    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(answer.source, Source::Provider);
    assert_eq!(until(&assembled, "cache", false).await.breaker, Some("closed"));
    server.restart();
    until(&assembled, "cache", true).await;
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_refused() {
    let machine = machine()
        .env("REDIS_URL", "rediss://127.0.0.1:1")
        .flag("redis.ca_file", "/nowhere/ca.pem");

    let error = refused(&machine).await;

    assert!(
        error.contains("redis.url") && error.contains("/nowhere/ca.pem"),
        "{error}"
    );
}
