//! The cache and the limits against real Redis servers: their contracts, outages of every kind, foreign values, logins and TLS.
#![expect(clippy::unwrap_used, reason = "a failed step must fail the test")]

mod access;
mod foreign;
mod outages;
mod quota;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use captions_domain::{
    fault::Fault,
    ports::{Cache, CacheKey},
};
use captions_redis::{RedisCache, RedisOptions};
use captions_testkit::{
    build::context_of,
    contract::cache::{self as contract, key},
    redis::{Server, prefix, shared},
};
use rstest::rstest;
use tokio::time::sleep;

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
