//! The cache against real Redis servers: its contract, outages of every kind, TLS.
#![expect(clippy::unwrap_used, reason = "a failed step must fail the test")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use captions_domain::{
    fault::{Fault, FaultKind},
    ports::{Cache, CacheKey},
};
use captions_redis::{RedisCache, RedisOptions};
use captions_testkit::{
    build::context_of,
    contract::cache::{self as contract, key},
    redis::{Server, prefix, shared},
};
use rstest::rstest;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{sleep, timeout},
};

const MINUTE: Duration = Duration::from_mins(1);

/// Limits far from each other, so that a test sees which one was kept.
const CONNECT: Duration = Duration::from_millis(1500);
const READ: Duration = Duration::from_millis(300);

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_millis(900);

fn options(url: String) -> RedisOptions {
    RedisOptions {
        url,
        ca_file: None,
        connections: 1,
        connect_timeout: CONNECT,
        read_timeout: READ,
        write_timeout: READ,
        prefix: prefix(),
        max_value_bytes: 4 << 20,
    }
}

/// For tests without faults: limits that a busy machine does not reach.
fn patient(url: String) -> RedisOptions {
    let limit = Duration::from_secs(20);
    RedisOptions {
        connect_timeout: limit,
        read_timeout: limit,
        write_timeout: limit,
        ..options(url)
    }
}

/// A connection of our own, to look behind the cache's back.
async fn raw(server: &Server) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap()
}

/// The one stored key of this prefix.
async fn only_key(connection: &mut redis::aio::MultiplexedConnection, prefix: &str) -> String {
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{prefix}:*"))
        .query_async(connection)
        .await
        .unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.into_iter().next().unwrap()
}

async fn get(cache: &RedisCache, key: &CacheKey) -> Result<Option<Bytes>, Fault> {
    Ok(cache.get(&context_of("tenant"), key).await?.map(|cached| cached.bytes))
}

async fn put(cache: &RedisCache, key: &CacheKey, value: &'static [u8]) -> Result<(), Fault> {
    cache
        .put(&context_of("tenant"), key, Bytes::from_static(value), MINUTE)
        .await
}

/// Until a put works: after an outage a command or two may still meet it.
async fn works_again(cache: &RedisCache) {
    let begun = Instant::now();
    while let Err(fault) = put(cache, &key(), b"value").await {
        assert!(begun.elapsed() < Duration::from_secs(20), "still {fault:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[rstest]
#[case::one_connection(1)]
#[case::four_connections(4)]
#[tokio::test]
async fn it_keeps_the_contract(#[case] connections: usize) {
    let options = RedisOptions {
        connections,
        ..patient(shared().url())
    };

    contract::suite(Arc::new(RedisCache::new(options).unwrap())).await;
}

#[tokio::test]
async fn two_prefixes_do_not_see_each_other() {
    let one = RedisCache::new(patient(shared().url())).unwrap();
    let other = RedisCache::new(patient(shared().url())).unwrap();

    contract::two_prefixes_do_not_mix(&one, &other).await;
}

#[rstest]
#[case::a_prefix(prefix(), true)]
#[case::none(String::new(), false)]
#[tokio::test]
async fn a_key_names_prefix_and_tenant_and_always_expires(#[case] prefix: String, #[case] colon: bool) {
    let server = Server::start();
    let cache = RedisCache::new(RedisOptions {
        prefix: prefix.clone(),
        ..patient(server.url())
    })
    .unwrap();
    let key = key();
    put(&cache, &key, b"value").await.unwrap();

    let mut raw = raw(&server).await;
    let stored: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut raw).await.unwrap();
    let left: i64 = redis::cmd("PTTL").arg(&stored[0]).query_async(&mut raw).await.unwrap();

    assert_eq!(
        stored,
        [format!(
            "{prefix}{}tenant:{}",
            if colon { ":" } else { "" },
            key.as_str()
        )]
    );
    assert!((1..=60_000).contains(&left), "{left} ms left");
}

#[tokio::test]
async fn a_ping_is_answered() {
    RedisCache::new(patient(shared().url())).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn the_connections_are_used_in_turn() {
    let server = Server::start();
    let cache = RedisCache::new(RedisOptions {
        connections: 3,
        ..patient(server.url())
    })
    .unwrap();
    for _ in 0..9 {
        cache.ping().await.unwrap();
    }

    let clients: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query_async(&mut raw(&server).await)
        .await
        .unwrap();

    // Ours and the one that asks.
    assert_eq!(clients.lines().count(), 4, "{clients}");
}

#[tokio::test]
async fn a_value_above_the_limit_is_not_kept_and_leaves_no_older_one() {
    let cache = RedisCache::new(RedisOptions {
        max_value_bytes: 8,
        ..patient(shared().url())
    })
    .unwrap();
    let key = key();
    put(&cache, &key, b"8 bytes.").await.unwrap();
    assert_eq!(
        get(&cache, &key).await.unwrap().as_deref(),
        Some(b"8 bytes.".as_slice())
    );

    put(&cache, &key, b"9 bytes..").await.unwrap();

    assert_eq!(get(&cache, &key).await.unwrap(), None);
}

#[rstest]
#[case::garbage(&["SET", "KEY", "garbage", "PX", "60000"])]
#[case::nothing(&["SET", "KEY", "", "PX", "60000"])]
#[case::damaged_in_the_middle(&["SETRANGE", "KEY", "20", "X"])]
#[case::cut_short(&["SET", "KEY", "\u{1}", "KEEPTTL"])]
#[case::for_ever(&["PERSIST", "KEY"])]
#[tokio::test]
async fn what_the_cache_did_not_write_is_corrupt_and_can_be_replaced(#[case] damage: &[&str]) {
    let options = patient(shared().url());
    let prefix = options.prefix.clone();
    let cache = RedisCache::new(options).unwrap();
    let key = key();
    put(&cache, &key, b"a value that is intact").await.unwrap();
    let mut raw = raw(shared()).await;
    let stored = only_key(&mut raw, &prefix).await;
    let mut command = redis::cmd(damage[0]);
    for argument in &damage[1..] {
        command.arg(if *argument == "KEY" { stored.as_str() } else { argument });
    }
    command.exec_async(&mut raw).await.unwrap();

    assert_eq!(get(&cache, &key).await.unwrap_err().kind, FaultKind::Corrupt);

    put(&cache, &key, b"new").await.unwrap();
    assert_eq!(get(&cache, &key).await.unwrap().as_deref(), Some(b"new".as_slice()));
}

#[tokio::test]
async fn another_type_at_the_key_is_corrupt_and_can_be_replaced() {
    let options = patient(shared().url());
    let prefix = options.prefix.clone();
    let cache = RedisCache::new(options).unwrap();
    let key = key();
    let stored = format!("{prefix}:tenant:{}", key.as_str());
    redis::cmd("LPUSH")
        .arg(&stored)
        .arg("item")
        .exec_async(&mut raw(shared()).await)
        .await
        .unwrap();

    assert_eq!(get(&cache, &key).await.unwrap_err().kind, FaultKind::Corrupt);

    put(&cache, &key, b"new").await.unwrap();
    assert_eq!(get(&cache, &key).await.unwrap().as_deref(), Some(b"new".as_slice()));
}

#[tokio::test]
async fn a_value_copied_to_another_key_is_corrupt() {
    let options = patient(shared().url());
    let prefix = options.prefix.clone();
    let cache = RedisCache::new(options).unwrap();
    let (one, other) = (key(), key());
    put(&cache, &one, b"value").await.unwrap();
    let mut raw = raw(shared()).await;
    let source = only_key(&mut raw, &prefix).await;
    let target = format!("{prefix}:tenant:{}", other.as_str());
    redis::cmd("COPY")
        .arg(source)
        .arg(target)
        .exec_async(&mut raw)
        .await
        .unwrap();

    assert_eq!(get(&cache, &other).await.unwrap_err().kind, FaultKind::Corrupt);
}

#[tokio::test]
async fn an_absent_server_delays_nothing_and_is_found_when_it_comes_up() {
    let mut server = Server::start();
    server.kill();
    let begun = Instant::now();
    let cache = RedisCache::new(options(server.url())).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());

    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(
            put(&cache, &key(), b"value").await.unwrap_err().kind,
            FaultKind::Unavailable
        );
        assert_eq!(get(&cache, &key()).await.unwrap_err().kind, FaultKind::Unavailable);
        assert_eq!(cache.ping().await.unwrap_err().kind, FaultKind::Unavailable);
        assert!(begun.elapsed() < CONNECT, "{:?}", begun.elapsed());
    }

    server.restart();
    // At once: no failure of an earlier attempt is handed out.
    put(&cache, &key(), b"value").await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_greets_costs_the_time_to_connect_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    let cache = RedisCache::new(options(url)).unwrap();

    let begun = Instant::now();
    let fault = get(&cache, &key()).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Timeout);
    assert!(begun.elapsed() < CONNECT + SLACK, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_paused_server_times_out_within_the_limit_and_recovers() {
    let server = Server::start();
    let cache = RedisCache::new(options(server.url())).unwrap();
    works_again(&cache).await;

    server.pause();
    // More than it takes to give the connection up: the limit holds while it reconnects, too.
    for _ in 0..6 {
        let begun = Instant::now();
        let fault = get(&cache, &key()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Timeout);
        assert!(begun.elapsed() < READ + SLACK, "{:?}", begun.elapsed());
    }
    // A value that does not fit the socket's buffers must not wait for them.
    let begun = Instant::now();
    let large = Bytes::from(vec![7; 4 << 20]);
    let fault = cache
        .put(&context_of("tenant"), &key(), large, MINUTE)
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert!(begun.elapsed() < READ + SLACK, "{:?}", begun.elapsed());

    server.resume();
    works_again(&cache).await;
}

#[tokio::test]
async fn a_connection_that_went_silent_is_replaced() {
    // A peer that vanished without a word: it takes everything and answers nothing, while a new connection would work.
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    let upstream = server.port();
    let relay = tokio::spawn(async move {
        let mut relays = tokio::task::JoinSet::new();
        for nth in 0_u32.. {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
            relays.spawn(async move {
                if nth > 0 {
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                    return;
                }
                // The first one works for the greeting and a command, then it is silent for ever.
                drop(
                    timeout(
                        Duration::from_millis(500),
                        tokio::io::copy_bidirectional(&mut near, &mut far),
                    )
                    .await,
                );
                let mut swallowed = [0; 1024];
                while near.read(&mut swallowed).await.is_ok_and(|length| length > 0) {}
            });
        }
    });
    let cache = RedisCache::new(options(url)).unwrap();
    works_again(&cache).await;
    let begun = Instant::now();
    while put(&cache, &key(), b"value").await.is_ok() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the relay does not fall silent"
        );
        sleep(Duration::from_millis(20)).await;
    }

    works_again(&cache).await;
    relay.abort();
}

#[tokio::test]
async fn a_killed_server_fails_fast_and_is_found_again_after_its_restart() {
    let mut server = Server::start();
    let cache = RedisCache::new(RedisOptions {
        connections: 2,
        ..options(server.url())
    })
    .unwrap();
    works_again(&cache).await;

    server.kill();
    let begun = Instant::now();
    for _ in 0..4 {
        let fault = get(&cache, &key()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());

    server.restart();
    put(&cache, &key(), b"value").await.unwrap();
}

#[tokio::test]
async fn an_answer_that_came_too_late_is_not_taken_for_the_next_one() {
    let server = Server::start();
    let cache = RedisCache::new(options(server.url())).unwrap();
    let (one, other) = (key(), key());
    works_again(&cache).await;
    put(&cache, &one, b"one").await.unwrap();
    put(&cache, &other, b"other").await.unwrap();

    server.pause();
    assert_eq!(get(&cache, &one).await.unwrap_err().kind, FaultKind::Timeout);
    server.resume();

    assert_eq!(get(&cache, &other).await.unwrap().as_deref(), Some(b"other".as_slice()));
}

#[tokio::test]
async fn an_attempt_to_connect_outlives_the_callers_that_gave_up() {
    let server = Server::start();
    let cache = RedisCache::new(patient(server.url())).unwrap();

    // Each caller is gone after a moment too short to connect in; they need not come back for the connection to stand.
    for _ in 0..3 {
        drop(timeout(Duration::ZERO, cache.ping()).await);
    }
    let mut raw = raw(&server).await;
    let begun = Instant::now();
    loop {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut raw).await.unwrap();
        if clients.lines().count() == 2 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{clients}");
        sleep(Duration::from_millis(10)).await;
    }

    drop(cache);
    let begun = Instant::now();
    loop {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut raw).await.unwrap();
        if clients.lines().count() == 1 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "a dropped cache stays connected: {clients}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[rstest]
#[case::none("", FaultKind::Internal)]
#[case::wrong(":wrong@", FaultKind::Internal)]
#[tokio::test]
async fn a_refused_login_is_our_own_mistake(#[case] login: &str, #[case] kind: FaultKind) {
    let server = Server::start_with(&["--requirepass", "secret"]);
    let url = format!("redis://{login}127.0.0.1:{}/", server.port());
    let cache = RedisCache::new(patient(url)).unwrap();

    let fault = get(&cache, &key()).await.unwrap_err();

    assert_eq!(fault.kind, kind, "{fault:?}");
    assert!(!fault.is_transient());
}

#[tokio::test]
async fn a_login_is_accepted() {
    let server = Server::start_with(&["--requirepass", "secret"]);
    let url = format!("redis://:secret@127.0.0.1:{}/", server.port());

    RedisCache::new(patient(url)).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_full_server_is_overloaded_and_still_reads() {
    let server = Server::start();
    let cache = RedisCache::new(patient(server.url())).unwrap();
    let key = key();
    put(&cache, &key, b"value").await.unwrap();
    let full = "maxmemory 1".split(' ');
    redis::cmd("CONFIG")
        .arg("SET")
        .arg(full.collect::<Vec<_>>())
        .exec_async(&mut raw(&server).await)
        .await
        .unwrap();

    assert_eq!(
        put(&cache, &key, b"other").await.unwrap_err().kind,
        FaultKind::Overloaded
    );
    assert_eq!(get(&cache, &key).await.unwrap().as_deref(), Some(b"value".as_slice()));
}

#[tokio::test]
async fn tls_with_the_servers_own_authority_keeps_the_contract() {
    install_ring();
    let server = Server::start_tls();
    let options = RedisOptions {
        ca_file: Some(server.ca_file().to_owned()),
        ..patient(server.tls_url())
    };

    contract::suite(Arc::new(RedisCache::new(options).unwrap())).await;
}

#[tokio::test]
async fn tls_with_an_unknown_authority_is_refused() {
    install_ring();
    let (server, stranger) = (Server::start_tls(), Server::start_tls());
    let options = RedisOptions {
        ca_file: Some(stranger.ca_file().to_owned()),
        ..patient(server.tls_url())
    };

    let fault = get(&RedisCache::new(options).unwrap(), &key()).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal, "{fault:?}");
}

/// Done by each program's main; under nextest every test is a process, under cargo test the first one wins.
fn install_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
