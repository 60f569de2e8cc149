//! What every [`Cache`] does, whatever it is made of. Each behaviour is one function; [`suite`] runs them all.
//!
//! Waiting is done on tokio's clock: under `start_paused` (in-memory caches only) it costs nothing, over real
//! connections it is real. Corruption is not part of the contract: not every cache can be corrupted.
#![expect(clippy::expect_used, reason = "a broken contract must fail the test loudly")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::{
    context::Context,
    ports::{Cache, CacheKey},
};
use futures_util::{FutureExt, future::join_all};
use tokio::time::sleep;
use uuid::Uuid;

use crate::build::context_of;

/// Long enough to outlive any test.
const LONG: Duration = Duration::from_mins(10);

/// Every behaviour, one after the other.
pub async fn suite(cache: Arc<dyn Cache>) {
    let cache = cache.as_ref();
    a_value_comes_back_byte_for_byte(cache).await;
    an_unknown_key_is_a_miss(cache).await;
    a_second_put_replaces_the_first(cache).await;
    a_removed_value_is_gone(cache).await;
    removing_nothing_is_no_error(cache).await;
    a_value_expires(cache).await;
    a_value_put_for_no_time_is_not_there(cache).await;
    a_very_long_ttl_is_accepted(cache).await;
    a_second_put_sets_a_new_ttl(cache).await;
    the_age_starts_near_zero_and_grows(cache).await;
    a_second_put_makes_it_young_again(cache).await;
    a_gap_is_filled_once(cache).await;
    only_the_very_bytes_are_removed(cache).await;
    two_keys_do_not_mix(cache).await;
    two_namespaces_do_not_mix(cache).await;
    two_tenants_do_not_mix(cache).await;
    concurrent_calls_never_tear_or_swap_values(cache).await;
    dropped_calls_leave_the_cache_usable(cache).await;
}

pub async fn a_value_comes_back_byte_for_byte(cache: &dyn Cache) {
    let cx = context_of("contract");
    let every_byte: Vec<u8> = (0..=255).collect();
    let megabyte: Vec<u8> = (0..1_048_576_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    for value in [
        Vec::new(),
        b"plain".to_vec(),
        b"\r\n$-1\r\n\0\xff".to_vec(),
        every_byte,
        megabyte,
    ] {
        let key = key();
        put(cache, &cx, &key, &value).await;

        let found = cache.get(&cx, &key).await.expect("a get").expect("a hit");

        assert!(
            found.bytes == value,
            "{} bytes came back as other {} bytes",
            value.len(),
            found.bytes.len()
        );
    }
}

pub async fn an_unknown_key_is_a_miss(cache: &dyn Cache) {
    assert_eq!(read(cache, &context_of("contract"), &key()).await, None);
}

pub async fn a_second_put_replaces_the_first(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(cache, &cx, &key, b"a longer first value").await;
    put(cache, &cx, &key, b"second").await;

    assert_eq!(read(cache, &cx, &key).await.as_deref(), Some(b"second".as_slice()));
}

pub async fn a_removed_value_is_gone(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(cache, &cx, &key, b"value").await;
    cache.remove(&cx, &key).await.expect("a remove");

    assert_eq!(read(cache, &cx, &key).await, None);
}

pub async fn removing_nothing_is_no_error(cache: &dyn Cache) {
    cache
        .remove(&context_of("contract"), &key())
        .await
        .expect("a remove of nothing");
}

pub async fn a_value_expires(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    cache
        .put(&cx, &key, Bytes::from_static(b"brief"), Duration::from_millis(250))
        .await
        .expect("a put");

    gone_within(cache, &cx, &key, Duration::from_secs(5)).await;
}

pub async fn a_value_put_for_no_time_is_not_there(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(cache, &cx, &key, b"older").await;
    cache
        .put(&cx, &key, Bytes::from_static(b"never"), Duration::ZERO)
        .await
        .expect("a put for no time");

    assert_eq!(read(cache, &cx, &key).await, None);
}

pub async fn a_very_long_ttl_is_accepted(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    cache
        .put(&cx, &key, Bytes::from_static(b"for ever"), Duration::MAX)
        .await
        .expect("a put");

    let found = cache.get(&cx, &key).await.expect("a get").expect("a hit");
    assert!(found.age < Duration::from_secs(2), "the age is {:?}", found.age);
}

pub async fn a_second_put_sets_a_new_ttl(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(cache, &cx, &key, b"long").await;
    cache
        .put(&cx, &key, Bytes::from_static(b"short"), Duration::from_millis(250))
        .await
        .expect("a put");

    gone_within(cache, &cx, &key, Duration::from_secs(5)).await;
}

pub async fn the_age_starts_near_zero_and_grows(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    let before = tokio::time::Instant::now();
    put(cache, &cx, &key, b"value").await;
    let first = age(cache, &cx, &key).await;
    assert!(
        first <= before.elapsed() + Duration::from_secs(1),
        "a new value is {first:?} old"
    );

    // An age may be rounded to whole seconds: wait until it must show.
    loop {
        let waited = before.elapsed();
        let age = age(cache, &cx, &key).await;
        assert!(
            age <= before.elapsed() + Duration::from_secs(1),
            "{age:?} old after {waited:?}"
        );
        assert!(
            age + Duration::from_secs(1) >= waited,
            "only {age:?} old after {waited:?}"
        );
        if age > first {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

pub async fn a_second_put_makes_it_young_again(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(cache, &cx, &key, b"value").await;
    let begun = tokio::time::Instant::now();
    while age(cache, &cx, &key).await < Duration::from_secs(1) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the value does not age");
        sleep(Duration::from_millis(50)).await;
    }

    let again = tokio::time::Instant::now();
    put(cache, &cx, &key, b"value").await;
    assert!(age(cache, &cx, &key).await <= again.elapsed() + Duration::from_millis(999));
}

pub async fn two_keys_do_not_mix(cache: &dyn Cache) {
    let (cx, one, other) = (context_of("contract"), key(), key());
    put(cache, &cx, &one, b"one").await;
    put(cache, &cx, &other, b"other").await;
    cache.remove(&cx, &one).await.expect("a remove");

    assert_eq!(read(cache, &cx, &one).await, None);
    assert_eq!(read(cache, &cx, &other).await.as_deref(), Some(b"other".as_slice()));
}

pub async fn two_namespaces_do_not_mix(cache: &dyn Cache) {
    let cx = context_of("contract");
    let digest = blake3::hash(Uuid::now_v7().as_bytes());
    put(cache, &cx, &CacheKey::new("contract", &digest), b"value").await;

    assert_eq!(read(cache, &cx, &CacheKey::new("another", &digest)).await, None);
}

pub async fn two_tenants_do_not_mix(cache: &dyn Cache) {
    let (ours, theirs, key) = (context_of("contract"), context_of("another"), key());
    put(cache, &ours, &key, b"ours").await;
    assert_eq!(read(cache, &theirs, &key).await, None);
    cache.remove(&theirs, &key).await.expect("a remove");

    assert_eq!(read(cache, &ours, &key).await.as_deref(), Some(b"ours".as_slice()));
}

/// Writers and readers on the same few keys: every hit is a whole value that was written under that key.
pub async fn concurrent_calls_never_tear_or_swap_values(cache: &dyn Cache) {
    let cx = context_of("contract");
    let keys: Vec<CacheKey> = (0..4).map(|_| key()).collect();
    let tasks = (0..32_u8).map(|task| {
        let (cx, keys) = (&cx, &keys);
        async move {
            for round in 0..16_u8 {
                let at = usize::from(task.wrapping_add(round)) % keys.len();
                let name = u8::try_from(at).expect("a small number");
                if task % 2 == 0 {
                    let value = [vec![name], vec![task; 2000]].concat();
                    put(cache, cx, &keys[at], &value).await;
                } else if let Some(value) = read(cache, cx, &keys[at]).await {
                    assert_eq!(value[0], name, "a value of another key");
                    assert_eq!(value.len(), 2001);
                    assert!(value[1..].iter().all(|byte| *byte == value[1]), "a torn value");
                }
            }
        }
    });

    join_all(tasks).await;
}

/// Calls that are dropped at their first wait leave nothing behind: later answers belong to later questions.
pub async fn dropped_calls_leave_the_cache_usable(cache: &dyn Cache) {
    let (cx, one, other, torn) = (context_of("contract"), key(), key(), key());
    put(cache, &cx, &one, b"one").await;
    put(cache, &cx, &other, b"other").await;
    for _ in 0..50 {
        drop(cache.get(&cx, &one).now_or_never());
        drop(cache.put(&cx, &torn, Bytes::from_static(b"late"), LONG).now_or_never());
        assert_eq!(read(cache, &cx, &other).await.as_deref(), Some(b"other".as_slice()));
    }

    assert_eq!(read(cache, &cx, &one).await.as_deref(), Some(b"one".as_slice()));
    // A put that was dropped may have been done or not, but not by half.
    let late = read(cache, &cx, &torn).await;
    assert!(late.is_none() || late.as_deref() == Some(b"late".as_slice()));
}

/// Two caches with different key prefixes over the same server do not see each other.
pub async fn two_prefixes_do_not_mix(one: &dyn Cache, other: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    put(one, &cx, &key, b"value").await;
    assert_eq!(read(other, &cx, &key).await, None);
    other.remove(&cx, &key).await.expect("a remove");

    assert_eq!(read(one, &cx, &key).await.as_deref(), Some(b"value".as_slice()));
}

/// A key that no other test uses.
pub fn key() -> CacheKey {
    CacheKey::new("contract", &blake3::hash(Uuid::now_v7().as_bytes()))
}

async fn put(cache: &dyn Cache, cx: &Context, key: &CacheKey, value: &[u8]) {
    cache
        .put(cx, key, Bytes::copy_from_slice(value), LONG)
        .await
        .expect("a put");
}

async fn read(cache: &dyn Cache, cx: &Context, key: &CacheKey) -> Option<Bytes> {
    cache.get(cx, key).await.expect("a get").map(|cached| cached.bytes)
}

async fn age(cache: &dyn Cache, cx: &Context, key: &CacheKey) -> Duration {
    cache.get(cx, key).await.expect("a get").expect("a hit").age
}

async fn gone_within(cache: &dyn Cache, cx: &Context, key: &CacheKey, limit: Duration) {
    let begun = tokio::time::Instant::now();
    while read(cache, cx, key).await.is_some() {
        assert!(begun.elapsed() < limit, "the value is still there after {limit:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn a_gap_is_filled_once(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    let fill = |bytes: &'static [u8], ttl| cache.put_if_absent(&cx, &key, Bytes::from_static(bytes), ttl);

    assert!(fill(b"first", Duration::from_millis(300)).await.expect("a put"));
    assert!(!fill(b"second", LONG).await.expect("a put"));
    let found = cache.get(&cx, &key).await.expect("a get").expect("a hit");
    assert_eq!(&*found.bytes, b"first");

    sleep(Duration::from_millis(400)).await;
    assert!(fill(b"third", LONG).await.expect("a put"), "what has expired is a gap");
    let claims = join_all((0..16).map(|_| async {
        let other = CacheKey::new("contract", &blake3::hash(b"one of sixteen"));
        cache
            .put_if_absent(&cx, &other, Bytes::from_static(b"mine"), Duration::from_secs(2))
            .await
    }))
    .await;
    let won = claims.into_iter().filter(|claim| matches!(claim, Ok(true))).count();
    assert_eq!(won, 1, "one of those who claim it at once gets it");
}

pub async fn only_the_very_bytes_are_removed(cache: &dyn Cache) {
    let (cx, key) = (context_of("contract"), key());
    let remove = |bytes: &'static [u8]| cache.remove_if(&cx, &key, Bytes::from_static(bytes));

    assert!(!remove(b"").await.expect("a removal"), "nothing is not the empty value");
    put(cache, &cx, &key, b"mine").await;
    for other in [&b"min"[..], b"mine!", b"", b"yours"] {
        assert!(
            !cache
                .remove_if(&cx, &key, Bytes::copy_from_slice(other))
                .await
                .expect("a removal")
        );
    }
    assert!(remove(b"mine").await.expect("a removal"));
    assert!(!remove(b"mine").await.expect("a removal"));
    assert_eq!(cache.get(&cx, &key).await.expect("a get"), None);
}
