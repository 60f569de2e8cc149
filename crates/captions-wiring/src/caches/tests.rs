//! What the settings mean for the caches, and the caches of several processes over a real Redis.

use std::{
    io::Write,
    net::TcpStream,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use captions_domain::{
    answers::{Found, Loaded, Wish},
    choice::CacheUse,
    fault::LlmError,
    ports::CacheKey,
};
use captions_resilience::readthrough::Load;
use captions_testkit::{build, redis};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::machine::Machine;

/// More than anything here takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);
const TIME: Duration = Duration::from_secs(600);
const USE: Wish = Wish {
    cache: CacheUse::Use,
    stale: true,
    owner: None,
};

type Value = Option<String>;

fn machine() -> Machine {
    Machine::new()
}

#[test]
fn a_time_of_zero_is_that_of_all_values() {
    let own = machine().loads().settings.cache;
    assert_eq!(
        [own.caption(), own.preferences(), own.profile()].map(|time| time.as_secs()),
        [3600, 1800, 600]
    );

    let shared = machine()
        .flag("cache.ttl", "7")
        .flag("cache.caption", "0")
        .flag("cache.preferences", "0")
        .flag("cache.profile", "0")
        .loads()
        .settings
        .cache;
    assert_eq!(
        [shared.caption(), shared.preferences(), shared.profile()].map(|time| time.as_secs()),
        [7, 7, 7]
    );
}

#[test]
fn every_setting_reaches_its_cache() {
    let default = caption_options(&machine().loads().settings);
    assert_eq!(
        default,
        CacheOptions {
            patience: None,
            largest: LARGEST_CACHED,
            ..CacheOptions::default()
        }
    );
    let users = user_options(&machine().loads().settings);
    assert!(users.changes && users.stale == default.stale && users.patience.is_some());

    let changed = caption_options(
        &machine()
            .flag("cache.stale", "5")
            .flag("cache.revalidate", "6")
            .flag("cache.memory_age", "7")
            .flag("cache.early_refresh", "false")
            .flag("cache.coalesce", "false")
            .flag("cache.compress", "false")
            .flag("engine.deadline", "8")
            .flag("api.max_attempts", "2")
            .loads()
            .settings,
    );
    assert_eq!(
        changed,
        CacheOptions {
            stale: Duration::from_secs(5),
            revalidate: Duration::from_secs(6),
            memory_age: Duration::from_secs(7),
            early_refresh: None,
            coalesce: false,
            compress_over: None,
            refresh_time: Duration::from_secs(8),
            refresh_attempts: 2,
            ..default
        }
    );
}

/// One process over this Redis.
fn process(server: &redis::Server) -> Arc<Layers> {
    crate::install_crypto();
    let settings = machine()
        .env("REDIS_URL", &server.url())
        // A busy machine is not to be taken for one without Redis.
        .flag("redis.connect_timeout", "10")
        .flag("redis.breaker.enabled", "false")
        .flag("redis.read_timeout", "10")
        .flag("redis.write_timeout", "10")
        .loads()
        .settings;
    let (layers, ..) = layers(&settings, 1, &Tasks::new(1000), &Monitor::default()).unwrap();
    layers.unwrap()
}

fn cache(layers: &Arc<Layers>, changes: bool) -> ReadThrough<Value, LlmError> {
    let options = CacheOptions {
        changes,
        // Copies are dropped because they are told to be, and not by age.
        memory_age: Duration::from_secs(3600),
        ..CacheOptions::default()
    };
    ReadThrough::new(Arc::clone(layers), options, Jitter::random())
}

fn key(name: &str) -> CacheKey {
    CacheKey::new("test", &blake3::hash(name.as_bytes()))
}

/// A load that counts itself.
fn load(begun: &Arc<AtomicUsize>, takes: Duration, value: &'static str) -> Load<Value, LlmError> {
    let begun = Arc::clone(begun);
    Box::new(move |_| {
        Box::pin(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            sleep(takes).await;
            Ok(Loaded {
                value: Some(value.to_owned()),
                fresh_for: Some(TIME),
            })
        })
    })
}

async fn read(cache: &ReadThrough<Value, LlmError>, name: &str, load: Load<Value, LlmError>) -> String {
    let cx = build::context_of("local");
    match timeout(LIMIT, cache.read(&cx, &key(name), USE, load)).await.unwrap() {
        Found::Hit { value, .. } | Found::Stale { value, .. } | Found::Loaded { value, .. } => value.unwrap(),
        Found::Failed { error, .. } => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_thousand_readers_of_three_processes_are_one_load() {
    let server = redis::Server::start();
    let processes = [process(&server), process(&server), process(&server)];
    let caches = processes.each_ref().map(|layers| cache(layers, false));
    let begun = Arc::default();

    let found = join_all((0..1000).map(|number| {
        let load = load(&begun, Duration::from_millis(300), "one");
        read(&caches[number % 3], "a", load)
    }))
    .await;

    assert!(found.iter().all(|found| found == "one"));
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_lease_of_a_process_that_died_runs_out() {
    let server = redis::Server::start();
    let (dying, other) = (process(&server), process(&server));
    let begun = Arc::new(AtomicUsize::new(0));
    {
        let cache = cache(&dying, false);
        let load = load(&begun, Duration::from_secs(3600), "never");
        let mut reading = Box::pin(async move { read(&cache, "a", load).await });
        let has_begun = async {
            while begun.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = &mut reading => panic!("it was to be loading"),
            () = has_begun => {}
        }
        // Nothing of it runs any more, and nothing is given back.
        std::mem::forget(reading);
    }

    let found = read(&cache(&other, false), "a", load(&begun, Duration::ZERO, "two")).await;

    assert_eq!(found, "two");
}

#[tokio::test]
async fn a_reader_that_leaves_gives_its_lease_back() {
    let server = redis::Server::start();
    let (leaving, other) = (process(&server), process(&server));
    let begun = Arc::new(AtomicUsize::new(0));
    {
        let cache = cache(&leaving, false);
        let mut reading = pin!(read(&cache, "a", load(&begun, Duration::from_secs(3600), "never")));
        let has_begun = async {
            while begun.load(Ordering::SeqCst) == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = &mut reading => panic!("it was to be loading"),
            () = has_begun => {}
        }
    }

    let cache = cache(&other, false);
    let found = read(&cache, "a", load(&begun, Duration::ZERO, "two")).await;

    assert_eq!(found, "two");
    // It took the lease, and did not load beside the first one because Redis had failed it.
    assert_eq!(cache.counts().unavailable, 0);
}

#[tokio::test]
async fn a_write_is_seen_by_another_process_within_its_limit() {
    let server = redis::Server::start();
    let (writing, reading) = (process(&server), process(&server));
    let cache = cache(&reading, true);
    let begun = Arc::default();
    let cx = build::context_of("local");
    let mut took = Vec::new();
    // Several, so that one turn of a busy machine does not decide.
    for (old, new) in [
        ("one", "two"),
        ("two", "three"),
        ("three", "four"),
        ("four", "five"),
        ("five", "six"),
    ] {
        assert_eq!(read(&cache, "a", load(&begun, Duration::ZERO, old)).await, old);
        assert_eq!(read(&cache, "a", load(&begun, Duration::ZERO, new)).await, old);

        writing.owe(&cx, &[key("a")]).settle(&cx).await;

        let told = Instant::now();
        let seen = async {
            while read(&cache, "a", load(&begun, Duration::ZERO, new)).await != new {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, seen).await.unwrap();
        took.push(told.elapsed());
    }
    took.sort();
    println!("seen after {took:?}");
    assert!(
        took[2] < Duration::from_millis(100),
        "half of them take longer: {took:?}"
    );
    assert_eq!(writing.owed_writes(), 0);
}

#[tokio::test]
async fn a_write_while_redis_is_away_is_told_once_it_is_back() {
    let mut server = redis::Server::start();
    let writing = process(&server);
    server.kill();
    let cx = build::context_of("local");
    writing.owe(&cx, &[key("a")]).settle(&cx).await;
    assert_eq!(writing.owed_writes(), 1);

    server.restart();

    let told = async {
        while writing.owed_writes() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, told).await.unwrap();
}

#[tokio::test]
async fn poison_in_redis_is_passed_over_counted_and_replaced() {
    let server = redis::Server::start();
    let begun = Arc::default();
    let place = format!("local:{}", key("a").as_str());
    for poison in ["poison", "01234567890123456789", "{value:null}"] {
        let mut connection = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        connection
            .write_all(format!("SET {place} {poison} PX 600000\r\n").as_bytes())
            .unwrap();
        // The answer: from then on it stands there.
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut connection, &mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
        let (first, second) = (process(&server), process(&server));
        let (first, second) = (cache(&first, false), cache(&second, false));

        assert_eq!(read(&first, "a", load(&begun, Duration::ZERO, "one")).await, "one");

        assert!(first.counts().corrupt > 0);
        // Replaced behind the answer, under a lease that others wait for.
        assert_eq!(read(&second, "a", load(&begun, Duration::ZERO, "another")).await, "one");
        assert_eq!(second.counts().loads, 0);
    }
}
