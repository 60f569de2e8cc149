//! The contract suites of the ports once more, through `Guarded` with every step on: a safeguard must change nothing.

use std::sync::Arc;

use captions_embedded::{memory::MemoryCache, sqlite::SqliteStore, template::TemplateWriter};
use captions_resilience::{
    guarded::Guarded,
    policy::{Policy, PolicySettings},
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
