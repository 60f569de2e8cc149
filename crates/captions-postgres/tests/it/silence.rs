//! A server that falls silent without closing its connections must cost each call its limits and the store nothing.

use std::time::Instant;

use captions_testkit::postgres::{Server, shared};

use super::{relay::Relay, *};

const LIMIT: Duration = Duration::from_millis(200);

/// More than any single call may take with these limits: waiting, asking, connecting, the statement with its slack.
const BOUND: Duration = Duration::from_secs(3);

/// A store of two connections behind a relay, with tables and with both connections open.
async fn store_behind_relay() -> (Arc<PgStore>, Relay) {
    let (direct, url) = store_with(|_| {}).await;
    direct.close().await;
    let relay = Relay::to(shared().port()).await;
    let store = Arc::new(
        PgStore::new(PgOptions {
            pool_size: 2,
            connect_timeout: LIMIT,
            acquire_timeout: LIMIT,
            statement_timeout: LIMIT,
            ..options(&relay.url(&url, shared().port()))
        })
        .unwrap(),
    );
    warm_up(&store).await;
    (store, relay)
}

/// Opens both connections, however slow the machine is.
async fn warm_up(store: &PgStore) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.pool().idle < 2 {
        assert!(Instant::now() < deadline, "the store does not open its connections");
        drop(tokio::join!(look_up(store), look_up(store)));
    }
}

/// The store works, on a machine however slow.
async fn recover(store: &PgStore) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = look_up(store).await {
        assert!(Instant::now() < deadline, "the store does not recover: {error:?}");
    }
    warm_up(store).await;
    assert_eq!(store.pool().in_use, 0);
}

#[tokio::test]
async fn calls_to_a_silent_server_end_in_time_and_leak_nothing() {
    let (store, relay) = store_behind_relay().await;
    relay.fall_silent();

    for _ in 0..6 {
        let begun = Instant::now();
        let ended = look_up(&store).await;
        assert_eq!(kind(ended), FaultKind::Timeout);
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        assert_eq!(store.pool().in_use, 0, "the slot is free at once");
    }

    relay.speak();
    recover(&store).await;
}

#[tokio::test]
async fn calls_dropped_while_the_server_is_silent_leak_nothing() {
    let (store, relay) = store_behind_relay().await;
    relay.fall_silent();

    for _ in 0..6 {
        let cut = tokio::time::timeout(LIMIT / 4, look_up(&store)).await;
        assert!(cut.is_err(), "the call was to be cut off");
        assert_eq!(store.pool().in_use, 0, "the slot is free at once");
    }

    relay.speak();
    recover(&store).await;
}

#[tokio::test]
async fn many_calls_at_once_to_a_silent_server_all_end_in_time() {
    let (store, relay) = store_behind_relay().await;
    relay.fall_silent();

    let begun = Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { look_up(&store).await })
        })
        .collect();
    for call in calls {
        let kind = kind(call.await.unwrap());
        assert!(matches!(kind, FaultKind::Timeout | FaultKind::Overloaded), "{kind:?}");
    }
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());

    relay.speak();
    recover(&store).await;
}

#[tokio::test]
async fn one_call_pays_for_all_connections_that_fell_silent() {
    let (store, relay) = store_behind_relay().await;
    relay.fall_silent();
    relay.speak();

    assert_eq!(kind(look_up(&store).await), FaultKind::Timeout);

    let opened = relay.accepted();
    assert_eq!(store.pool().idle, 0);
    recover(&store).await;
    assert!(relay.accepted() > opened);
}

#[tokio::test]
async fn a_server_that_takes_connections_and_never_answers_gives_a_timeout() {
    let (store, relay) = store_behind_relay().await;
    store.close().await;
    relay.fall_silent();
    let url = relay.url(&shared().url("postgres"), shared().port());
    let store = PgStore::new(PgOptions {
        connect_timeout: LIMIT,
        ..options(&url)
    })
    .unwrap();

    let begun = Instant::now();
    let migrated = store.migrate().await;

    assert_eq!(migrated.unwrap_err().kind, FaultKind::Timeout);
    assert_eq!(kind(look_up(&store).await), FaultKind::Timeout);
    assert_eq!(store.ping().await.unwrap_err().kind, FaultKind::Timeout);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(store.pool().in_use, 0);
}

#[tokio::test]
async fn a_frozen_server_costs_each_call_its_limits_until_it_runs_on() {
    let server = Server::start();
    let store = PgStore::new(PgOptions {
        connect_timeout: Duration::from_secs(5),
        statement_timeout: LIMIT,
        ..options(&server.new_database())
    })
    .unwrap();
    store.migrate().await.unwrap();
    warm_up(&store).await;

    server.pause();
    let begun = Instant::now();
    let ended = look_up(&store).await;
    let took = begun.elapsed();
    server.resume();

    assert_eq!(kind(ended), FaultKind::Timeout);
    assert!(took < Duration::from_secs(9), "{took:?}");
    recover(&store).await;
}
