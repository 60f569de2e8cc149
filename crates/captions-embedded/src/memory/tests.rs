use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::ports::{Cache, CacheKey};
use captions_testkit::{
    build::context_of,
    contract::cache::{self as contract, key},
};
use proptest::prelude::*;
use rstest::rstest;
use tokio::time::{Instant, advance};

use super::MemoryCache;

const MINUTE: Duration = Duration::from_mins(1);

#[rstest]
#[case::one_part(3 << 20)]
#[case::eight_parts(64 << 20)]
#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract(#[case] max_bytes: u64) {
    contract::suite(Arc::new(MemoryCache::new(max_bytes))).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_lives_exactly_as_long_as_its_ttl() {
    let (cache, cx, key) = (MemoryCache::new(1 << 20), context_of("tenant"), key());
    cache
        .put(&cx, &key, Bytes::from_static(b"value"), MINUTE)
        .await
        .unwrap();

    let almost = Duration::from_millis(59_999);
    advance(almost).await;
    let found = cache.get(&cx, &key).await.unwrap().unwrap();
    assert_eq!(found.age, almost);

    advance(Duration::from_millis(1)).await;
    assert_eq!(cache.get(&cx, &key).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_removed_when_it_is_met() {
    let (cache, cx, key) = (MemoryCache::new(1 << 20), context_of("tenant"), key());
    cache.put(&cx, &key, Bytes::from(vec![0; 1000]), MINUTE).await.unwrap();
    assert!(cache.used_bytes() > 1000);

    advance(MINUTE).await;
    cache.get(&cx, &key).await.unwrap();

    assert_eq!(cache.used_bytes(), 0);
}

#[rstest]
#[case::of_an_empty_cache(0, 0)]
#[case::of_a_small_cache(10_000, 10_000)]
#[case::of_a_large_cache(64 << 20, 8 << 20)]
#[tokio::test]
async fn a_value_that_is_too_large_is_not_kept_and_leaves_no_older_one(#[case] max_bytes: u64, #[case] size: usize) {
    let (cache, cx, key) = (MemoryCache::new(max_bytes), context_of("tenant"), key());
    cache
        .put(&cx, &key, Bytes::from_static(b"small"), MINUTE)
        .await
        .unwrap();

    cache.put(&cx, &key, Bytes::from(vec![0; size]), MINUTE).await.unwrap();

    assert_eq!(cache.get(&cx, &key).await.unwrap(), None);
    assert_eq!(cache.used_bytes(), 0);
}

#[rstest]
#[case::nine_tenths_of_a_small_cache(10_000, 9_000)]
#[case::three_mebibytes_of_a_large_one(64 << 20, 3 << 20)]
#[case::three_mebibytes_of_the_smallest_divided_one(8 << 20, 3 << 20)]
#[tokio::test]
async fn a_value_of_the_promised_size_is_kept(#[case] max_bytes: u64, #[case] size: usize) {
    let (cache, cx, key) = (MemoryCache::new(max_bytes), context_of("tenant"), key());

    cache.put(&cx, &key, Bytes::from(vec![7; size]), MINUTE).await.unwrap();

    assert!(cache.get(&cx, &key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_piece_of_a_large_buffer_does_not_keep_the_buffer() {
    let (cache, cx, key) = (MemoryCache::new(1 << 20), context_of("tenant"), key());
    let buffer = Bytes::from(vec![1; 1 << 20]);
    cache.put(&cx, &key, buffer.slice(..10), MINUTE).await.unwrap();

    assert!(buffer.is_unique());
}

#[tokio::test]
async fn what_is_used_often_outlives_a_flood_of_what_is_used_once() {
    let (cache, cx, favourite) = (MemoryCache::new(1 << 20), context_of("tenant"), key());
    cache
        .put(&cx, &favourite, Bytes::from(vec![1; 1000]), MINUTE)
        .await
        .unwrap();
    for _ in 0..5000 {
        assert!(cache.get(&cx, &favourite).await.unwrap().is_some());
        cache
            .put(&cx, &key(), Bytes::from(vec![0; 1000]), MINUTE)
            .await
            .unwrap();
        assert!(cache.used_bytes() <= 1 << 20);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put { key: u8, size: usize, ttl: u64 },
    Get { key: u8 },
    Remove { key: u8 },
    Wait { millis: u64 },
}

fn steps(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u8>(), sizes, 0_u64..2000).prop_map(|(key, size, ttl)| Step::Put { key, size, ttl }),
        4 => any::<u8>().prop_map(|key| Step::Get { key }),
        1 => any::<u8>().prop_map(|key| Step::Remove { key }),
        1 => (0_u64..800).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 1..300)
}

/// Runs the steps beside a plain map. `roomy`: nothing need ever be evicted, so a miss must be one of the map, too.
fn check(max_bytes: u64, steps: Vec<Step>, roomy: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (cache, cx) = (MemoryCache::new(max_bytes), context_of("tenant"));
        let key_of = |key: u8| CacheKey::new("model", &blake3::hash(&[key % 32]));
        let mut model: HashMap<CacheKey, (Bytes, Instant, Duration)> = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put { key, size, ttl } => {
                    let ttl = Duration::from_millis(ttl);
                    // No two puts write the same bytes.
                    let bytes = Bytes::from([number.to_le_bytes().to_vec(), vec![key; size]].concat());
                    cache.put(&cx, &key_of(key), bytes.clone(), ttl).await.unwrap();
                    model.insert(key_of(key), (bytes, Instant::now(), ttl));
                }
                Step::Get { key } => {
                    let found = cache.get(&cx, &key_of(key)).await.unwrap();
                    let alive = model
                        .get(&key_of(key))
                        .filter(|(_, put_at, ttl)| put_at.elapsed() < *ttl);
                    match (found, alive) {
                        (Some(found), Some((bytes, put_at, _))) => {
                            assert_eq!((found.bytes, found.age), (bytes.clone(), put_at.elapsed()));
                        }
                        (Some(found), None) => panic!("a dead value of {} bytes came back", found.bytes.len()),
                        (None, Some(_)) => assert!(!roomy, "a living value is missing"),
                        (None, None) => {}
                    }
                }
                Step::Remove { key } => {
                    cache.remove(&cx, &key_of(key)).await.unwrap();
                    model.remove(&key_of(key));
                }
                Step::Wait { millis } => advance(Duration::from_millis(millis)).await,
            }
            assert!(
                cache.used_bytes() <= max_bytes,
                "{} of {max_bytes} bytes",
                cache.used_bytes()
            );
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_roomy_cache_behaves_like_a_map_with_a_clock(steps in steps(0..500)) {
        check(1 << 20, steps, true);
    }

    #[test]
    fn a_cramped_cache_stays_in_its_bounds_and_never_returns_a_dead_value(
        steps in steps(0..6000), max_bytes in 0_u64..20_000,
    ) {
        check(max_bytes, steps, false);
    }
}
