use std::sync::Arc;

use bytes::Bytes;
use captions_domain::{fault::FaultKind, ports::MockCache};

use super::*;
use crate::samples::relaxed;

#[tokio::test]
async fn the_hit_rate_is_hits_over_look_ups_whatever_else_the_cache_does() {
    let monitor = Monitor::default();
    let mut cache = MockCache::new();
    let mut left = 20;
    cache.expect_get().returning(move |_, _| {
        left -= 1;
        Ok((left >= 1).then(|| Cached {
            bytes: Bytes::from_static(b"x"),
            age: Duration::ZERO,
        }))
    });
    cache.expect_put().returning(|_, _, _, _| Ok(()));
    let cache = Watched::new(Arc::new(cache), monitor.clone());
    let key = CacheKey::new("caption", &blake3::hash(b"x"));

    for _ in 0..20 {
        cache.get(&relaxed(), &key).await.unwrap();
        cache.put(&relaxed(), &key, Bytes::new(), Duration::ZERO).await.unwrap();
    }

    let stats = monitor.summary().cache;
    assert_eq!((stats.look_ups, stats.hits, stats.hit_rate), (20, 19, Some(0.95)));
    assert_eq!((stats.recent.look_ups, stats.recent.hit_rate), (20, Some(0.95)));
    assert!(stats.shared.is_none());
}

#[tokio::test]
async fn a_look_up_that_fails_is_a_miss_and_one_that_is_left_is_none() {
    let monitor = Monitor::default();
    let mut cache = MockCache::new();
    cache
        .expect_get()
        .returning(|_, _| Err(Fault::new(FaultKind::Unavailable)));
    let cache = Watched::new(Arc::new(cache), monitor.clone());
    let key = CacheKey::new("caption", &blake3::hash(b"x"));

    assert!(cache.get(&relaxed(), &key).await.is_err());
    drop(monitor.begin(Operation::CacheGet));

    let stats = monitor.summary().cache;
    assert_eq!((stats.look_ups, stats.hits, stats.hit_rate), (1, 0, Some(0.0)));
}
