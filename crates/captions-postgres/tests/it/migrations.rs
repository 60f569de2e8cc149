use captions_domain::fault::FaultKind;
use captions_testkit::postgres::shared;

use super::*;

#[tokio::test]
async fn migrations_are_pending_until_they_are_applied() {
    let store = PgStore::new(options(&fresh_database().await)).unwrap();

    let before = store.pending_migrations().await.unwrap();
    assert!(look_up(&store).await.is_err(), "asking must not apply them");
    store.migrate().await.unwrap();

    assert_eq!(before[0], "1 users and captions");
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    look_up(&store).await.unwrap();
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let (store, _) = store_with(|_| {}).await;
    create(&store).await.unwrap();

    store.migrate().await.unwrap();

    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_replicas_may_migrate_at_once() {
    let url = fresh_database().await;
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            let store = PgStore::new(options(&url)).unwrap();
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();

    for replica in replicas {
        replica.await.unwrap().unwrap();
    }

    look_up(&PgStore::new(options(&url)).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_migration_may_take_longer_than_a_statement() {
    let url = fresh_database().await;
    let mut options = options(&url);
    options.statement_timeout = Duration::from_millis(1);
    let store = PgStore::new(options).unwrap();

    store.migrate().await.unwrap();
}

#[tokio::test]
async fn a_step_that_was_changed_afterwards_is_refused() {
    let (store, url) = store_with(|_| {}).await;
    let database = url.rsplit('/').next().unwrap();
    shared().sql(database, "UPDATE _sqlx_migrations SET checksum = 'x'");

    assert_eq!(store.migrate().await.unwrap_err().kind, FaultKind::Internal);
    assert_eq!(store.pending_migrations().await.unwrap_err().kind, FaultKind::Internal);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_accepted() {
    let (store, url) = store_with(|_| {}).await;
    let database = url.rsplit('/').next().unwrap();
    shared().sql(
        database,
        "INSERT INTO _sqlx_migrations SELECT 9999, 'newer', installed_on, true, 'x', 0 FROM _sqlx_migrations WHERE version = 1",
    );

    store.migrate().await.unwrap();

    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
}
