//! Servers that are absent, silent, paused, killed or full.

use std::time::{Duration, Instant};

use bytes::Bytes;
use captions_domain::{fault::FaultKind, ports::Cache};
use captions_redis::{RedisCache, RedisOptions};
use captions_testkit::{build::context_of, contract::cache::key, redis::Server};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{sleep, timeout},
};

use super::{CONNECT, MINUTE, READ, SLACK, get, options, patient, put, raw, works_again};

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
