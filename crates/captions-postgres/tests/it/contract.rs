use captions_domain::fault::FaultKind;
use captions_domain::ports::CaptionStore;
use captions_testkit::{contract, postgres::shared};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn users_keep_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::users::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captions_keep_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::captions::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::batches::what_is_kept_of_an_erased_user_goes_with_their_captions(&*store, &*store).await;
    contract::batches::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::keys::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_keep_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::budgets::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_keeps_the_contract() {
    let (store, _) = store_with(|_| {}).await;

    contract::usage::suite(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keep_the_contract_without_a_pool() {
    let (store, _) = store_with(|options| options.pooling = false).await;

    contract::users::suite(Arc::<PgStore>::clone(&store)).await;
    contract::captions::suite(Arc::<PgStore>::clone(&store)).await;
    contract::keys::suite(store).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_corrupt() {
    let (store, url) = store_with(|_| {}).await;
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    store.append(&cx, &record).await.unwrap();
    store
        .write(&cx, &build::user_full("ann"), Expect::Absent)
        .await
        .unwrap();

    let database = url.rsplit('/').next().unwrap();
    shared().sql(
        database,
        "UPDATE captions SET caption = '{}'; UPDATE users SET preferences = '{\"tone\": \"loud\"}'",
    );

    assert_eq!(
        kind(CaptionStore::read(&*store, &cx, record.id).await),
        FaultKind::Corrupt
    );
    assert_eq!(
        kind(store.preferences(&cx, &build::user_id("ann")).await),
        FaultKind::Corrupt
    );
}
