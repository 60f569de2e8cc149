//! What somebody else wrote to our keys.

use captions_domain::fault::FaultKind;
use captions_redis::RedisCache;
use captions_testkit::{contract::cache::key, redis::shared};
use rstest::rstest;

use super::{get, only_key, patient, put, raw};

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
