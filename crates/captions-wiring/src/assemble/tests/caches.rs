use captions_domain::{caption::Source, choice::Tone, ports::Expect, user::User};
use captions_testkit::{build, redis};

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

fn anna(tone: Tone) -> User {
    let mut user = build::user_bare("anna");
    user.preferences.tone = Some(tone);
    user
}

/// The tone of Anna's preferences as this process sees them.
async fn tone(assembled: &Assembled) -> Option<Tone> {
    let users = &assembled.engine.users;
    let found = users
        .preferences(&context(assembled), &build::user_id("anna"))
        .await
        .unwrap();
    found.and_then(|found| found.tone)
}

/// Two processes over the same store: the second one has read Anna's preferences, then the first one changes them.
async fn changed_by_another(machine: &Machine) -> (Assembled, Assembled) {
    let (first, second) = (assembled(machine).await, assembled(machine).await);
    let cx = context(&first);
    let users = &first.engine.users;
    users.write(&cx, &anna(Tone::Warm), Expect::Absent).await.unwrap();
    assert_eq!(tone(&first).await, Some(Tone::Warm));
    until_tone(&second, Tone::Warm).await;
    users.write(&cx, &anna(Tone::Funny), Expect::Version(1)).await.unwrap();
    (first, second)
}

async fn until_tone(assembled: &Assembled, expected: Tone) {
    let look = async {
        while tone(assembled).await != Some(expected) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, look).await.unwrap();
}

#[tokio::test]
async fn processes_that_share_a_redis_see_each_others_changes_of_preferences() {
    let server = redis::Server::start();
    // Never by age.
    let machine = machine()
        .env("REDIS_URL", &server.url())
        .flag("cache.memory_age", "3600");

    let (first, second) = changed_by_another(&machine).await;

    assert_eq!(tone(&first).await, Some(Tone::Funny));
    until_tone(&second, Tone::Funny).await;
}

#[tokio::test]
async fn without_redis_a_copy_of_preferences_is_used_as_long_as_its_age_allows() {
    for (age, seen) in [("3600", Tone::Warm), ("0", Tone::Funny)] {
        let machine = machine().flag("cache.memory_age", age);

        let (first, second) = changed_by_another(&machine).await;

        assert_eq!(tone(&first).await, Some(Tone::Funny));
        assert_eq!(tone(&second).await, Some(seen), "age {age}");
    }
}

#[tokio::test]
async fn without_a_cache_preferences_are_read_each_time() {
    let machine = machine()
        .flag("cache.enabled", "false")
        .flag("cache.memory_age", "3600");

    let (first, second) = changed_by_another(&machine).await;

    assert_eq!(tone(&second).await, Some(Tone::Funny));
    assert!(first.caches.counts().is_empty());
}

#[tokio::test]
async fn whoever_changes_a_user_reads_the_store_and_whoever_shows_one_a_copy() {
    let machine = machine().flag("cache.memory_age", "3600");
    let (first, second) = (assembled(&machine).await, assembled(&machine).await);
    let (cx, id) = (context(&first), build::user_id("anna"));
    first
        .engine
        .users
        .write(&cx, &anna(Tone::Warm), Expect::Absent)
        .await
        .unwrap();
    let version = async |users: &dyn UserStore| users.read(&cx, &id).await.unwrap().unwrap().version;
    assert_eq!(version(&*second.shown_users).await, 1);

    first
        .engine
        .users
        .write(&cx, &anna(Tone::Funny), Expect::Version(1))
        .await
        .unwrap();

    assert_eq!(version(&*second.shown_users).await, 1);
    assert_eq!(version(&*second.engine.users).await, 2);
    assert_eq!(version(&*first.shown_users).await, 2);
}

/// What answers first once the caption is past its time.
async fn after_its_time(machine: &Machine) -> Source {
    let assembled = assembled(machine).await;
    generate(&assembled, BRIEF).await.unwrap();
    let asking = async {
        loop {
            let source = generate(&assembled, BRIEF).await.unwrap().source;
            if source != Source::Cache {
                return source;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, asking).await.unwrap()
}

#[tokio::test]
async fn past_its_time_a_caption_is_served_at_once_only_as_far_as_the_settings_say() {
    let short = || {
        machine()
            .flag("cache.caption", "0.2")
            .flag("cache.early_refresh", "false")
    };

    for (revalidate, source) in [("3600", Source::Stale), ("0", Source::Provider)] {
        let machine = short().flag("cache.revalidate", revalidate);
        assert_eq!(after_its_time(&machine).await, source, "revalidate {revalidate}");
    }
    // Nor where no caption past its time is wanted at all.
    let machine = short().flag("fallback.stale", "false");
    assert_eq!(after_its_time(&machine).await, Source::Provider);
}

#[tokio::test]
async fn that_a_user_is_unknown_is_remembered_only_if_the_settings_say_so() {
    for (negative, seen) in [("3600", None), ("0", Some(Tone::Warm))] {
        let machine = machine()
            .flag("cache.memory_age", "3600")
            .flag("cache.negative", negative);
        let (first, second) = (assembled(&machine).await, assembled(&machine).await);
        assert_eq!(tone(&second).await, None);

        let cx = context(&first);
        first
            .engine
            .users
            .write(&cx, &anna(Tone::Warm), Expect::Absent)
            .await
            .unwrap();

        assert_eq!(tone(&second).await, seen, "negative {negative}");
        assert_eq!(tone(&first).await, Some(Tone::Warm));
    }
}
