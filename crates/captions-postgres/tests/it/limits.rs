use std::time::Instant;

use captions_testkit::postgres::shared;
use sqlx::{Connection as _, PgConnection};

use super::*;

/// A connection of our own that holds the table of users until it is dropped.
async fn hold_users(url: &str) -> PgConnection {
    let mut holder = PgConnection::connect(&format!("{url}?application_name=holder"))
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE users")
        .execute(&mut holder)
        .await
        .unwrap();
    holder
}

/// The process ids of the server's ends of the store's connections to this database.
fn backends(url: &str) -> Vec<String> {
    let database = url.rsplit('/').next().unwrap();
    let pids = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'captions'";
    shared().sql(database, pids).lines().map(str::to_owned).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_by_the_server() {
    let (store, url) = store_with(|options| options.statement_timeout = Duration::from_millis(300)).await;
    look_up(&store).await.unwrap();
    let holder = hold_users(&url).await;

    let begun = Instant::now();
    let cut = create(&store).await;
    let took = begun.elapsed();

    assert_eq!(kind(cut), FaultKind::Timeout);
    assert!(took >= Duration::from_millis(290), "{took:?}");
    // Without the server's own limit the statement would wait there for as long as the lock is held.
    let database = url.rsplit('/').next().unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'captions' AND state = 'active' \
                   AND datname = current_database()";
    until("the server gave the statement up", || {
        shared().sql(database, waiting) == "0"
    })
    .await;
    drop(holder);
    create(&store).await.unwrap();
}

#[tokio::test]
async fn a_call_that_finds_no_free_connection_is_refused_as_overload() {
    let (store, url) = store_with(|options| {
        options.pool_size = 1;
        options.acquire_timeout = Duration::from_millis(200);
    })
    .await;
    let holder = hold_users(&url).await;
    let busy = tokio::spawn({
        let store = Arc::clone(&store);
        async move { create(&store).await }
    });
    until("the only connection is busy", || {
        backends(&url).len() == 1 && store.pool().in_use == 1
    })
    .await;

    let begun = Instant::now();
    let refused = look_up(&store).await;

    assert!(begun.elapsed() >= Duration::from_millis(190));
    assert_eq!(kind(refused), FaultKind::Overloaded);
    drop(holder);
    busy.await.unwrap().unwrap();
    look_up(&store).await.unwrap();
}

#[tokio::test]
async fn many_calls_at_once_share_the_connections_that_are_allowed() {
    let (store, url) = store_with(|options| options.pool_size = 3).await;
    let holder = hold_users(&url).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { create(&store).await })
        })
        .collect();
    until("all connections are busy", || backends(&url).len() >= 3).await;
    assert_eq!(backends(&url).len(), 3);

    drop(holder);
    for call in calls {
        call.await.unwrap().unwrap();
    }

    assert_eq!(backends(&url).len(), 3);
    assert_eq!(shape(&store), (3, 3, 0));
}

#[tokio::test]
async fn one_call_after_the_other_needs_one_connection() {
    let (store, url) = store_with(|_| {}).await;

    for _ in 0..10 {
        create(&store).await.unwrap();
    }

    assert_eq!(backends(&url).len(), 1);
}

#[tokio::test]
async fn without_a_pool_no_connection_is_kept() {
    let (store, url) = store_with(|options| options.pooling = false).await;

    create(&store).await.unwrap();

    assert_eq!(store.pool().idle, 0);
    until("the connection is closed", || backends(&url).is_empty()).await;
}

#[tokio::test]
async fn an_old_connection_is_not_kept() {
    let (store, url) = store_with(|options| options.max_lifetime = Duration::ZERO).await;

    create(&store).await.unwrap();

    assert_eq!(store.pool().idle, 0);
    until("the connection is closed", || backends(&url).is_empty()).await;
}

#[tokio::test]
async fn a_connection_unused_for_long_is_not_used_again() {
    let (store, url) = store_with(|options| options.idle_timeout = Duration::ZERO).await;
    create(&store).await.unwrap();
    let first = backends(&url);

    create(&store).await.unwrap();

    until("the first connection is closed", || backends(&url).len() == 1).await;
    assert_ne!(backends(&url), first);
}

#[tokio::test]
async fn a_closed_store_says_good_bye_and_takes_no_calls() {
    let (store, url) = store_with(|_| {}).await;
    let holder = hold_users(&url).await;
    let last = tokio::spawn({
        let store = Arc::clone(&store);
        async move { create(&store).await }
    });
    until("the last statement is under way", || {
        backends(&url).len() == 1 && store.pool().in_use == 1
    })
    .await;

    let closing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.close().await }
    });
    drop(holder);
    closing.await.unwrap();

    last.await.unwrap().unwrap();
    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    assert_eq!(store.ping().await.unwrap_err().kind, FaultKind::Unavailable);
    until("the connections are closed", || backends(&url).is_empty()).await;
    store.close().await;
}

#[test]
fn a_store_needs_no_server_and_no_runtime_to_begin() {
    let store = PgStore::new(options("postgres://db.example/captions")).unwrap();

    assert_eq!(shape(&store), (4, 0, 0));
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let none = PgOptions {
        pool_size: 0,
        ..options("postgres://db.example/captions")
    };

    assert_eq!(PgStore::new(none).err().unwrap().kind, FaultKind::Internal);
    assert_eq!(
        PgStore::new(options("mysql://db.example/captions")).err().unwrap().kind,
        FaultKind::Internal
    );
}

#[tokio::test]
async fn the_pool_tells_who_works_who_waits_and_what_broke() {
    let (store, url) = store_with(|options| options.pool_size = 1).await;
    let holder = hold_users(&url).await;
    let call = || {
        let store = Arc::clone(&store);
        tokio::spawn(async move { create(&store).await })
    };
    let busy = call();
    until("the only connection is busy", || {
        let pool = store.pool();
        // The server knows of a connection before its opener does.
        backends(&url).len() == 1 && (pool.in_use, pool.opened) == (1, 1)
    })
    .await;
    let left = call();
    until("somebody waits for it", || store.pool().waiting == 1).await;

    assert_eq!(
        store.pool(),
        PoolSnapshot {
            limit: 1,
            in_use: 1,
            waiting: 1,
            opened: 1,
            ..PoolSnapshot::default()
        }
    );
    left.abort();
    until("whoever leaves waits no longer", || store.pool().waiting == 0).await;
    busy.abort();
    until("a call that is dropped gives its place back", || {
        store.pool().in_use == 0
    })
    .await;
    assert_eq!((store.pool().broken, store.pool().idle), (1, 0));

    drop(holder);
    create(&store).await.unwrap();
    assert_eq!(
        store.pool(),
        PoolSnapshot {
            limit: 1,
            idle: 1,
            opened: 2,
            broken: 1,
            ..PoolSnapshot::default()
        }
    );
}

#[tokio::test]
async fn the_places_are_those_that_the_server_leaves_to_ordinary_users() {
    let (store, _) = store_with(|_| {}).await;

    let places = store.places().await.unwrap();

    let show = |name: &str| -> u32 {
        shared()
            .sql("postgres", &format!("SHOW {name}"))
            .trim()
            .parse()
            .unwrap()
    };
    let reserved = show("superuser_reserved_connections");
    assert!(places <= show("max_connections") - reserved && places > 0, "{places}");
}
