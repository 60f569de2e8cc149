//! The contract suites of the ports once more, through `Guarded` with every step on: a safeguard must change nothing.

use std::{sync::Arc, time::Duration};

use captions_embedded::{memory::MemoryCache, sqlite::SqliteStore, template::TemplateWriter};
use captions_resilience::{
    guarded::Guarded,
    keys::{CachedKeys, KeyTimes},
    policy::{Policy, PolicySettings},
    tasks::Tasks,
};
use captions_testkit::contract;

fn guarded<P>(port: P) -> Arc<Guarded<P>> {
    Arc::new(Guarded::new(
        Arc::new(port),
        Policy::new(PolicySettings::standard("guarded")),
    ))
}

async fn store() -> SqliteStore {
    let store = SqliteStore::in_memory();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn guarded_users_keep_the_contract() {
    contract::users::suite(guarded(store().await)).await;
}

#[tokio::test]
async fn guarded_captions_keep_the_contract() {
    contract::captions::suite(guarded(store().await)).await;
}

#[tokio::test]
async fn guarded_keys_keep_the_contract() {
    contract::keys::suite(guarded(store().await)).await;
}

#[tokio::test]
async fn keys_that_are_known_in_memory_keep_the_contract() {
    let times = KeyTimes {
        fresh: Duration::from_secs(30),
        stale: Duration::from_secs(3600),
    };
    let keys = CachedKeys::new(Arc::new(store().await), None, times, Tasks::new(100));

    contract::keys::suite(Arc::new(keys)).await;
}

#[tokio::test]
async fn guarded_batches_keep_the_contract() {
    contract::batches::suite(guarded(store().await)).await;
}

#[tokio::test(start_paused = true)]
async fn a_guarded_cache_keeps_the_contract() {
    contract::cache::suite(guarded(MemoryCache::new(64 << 20))).await;
}

#[tokio::test]
async fn a_guarded_writer_keeps_the_contract() {
    contract::llm::suite(guarded(TemplateWriter::new("words")), &contract::llm::brief()).await;
}
