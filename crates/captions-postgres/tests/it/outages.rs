use std::{net::TcpListener, time::Instant};

use captions_testkit::postgres::{Server, shared};

use super::*;

/// Opens this many connections.
async fn warm_up(store: &Arc<PgStore>, connections: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.pool().idle < connections {
        assert!(Instant::now() < deadline, "the store does not open its connections");
        let calls: Vec<_> = (0..connections)
            .map(|_| {
                let store = Arc::clone(store);
                tokio::spawn(async move { look_up(&store).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }
}

fn end_all_connections(url: &str) {
    let database = url.rsplit('/').next().unwrap();
    shared().sql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'"),
    );
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_as_soon_as_it_is_back() {
    let mut server = Server::start();
    let store = PgStore::new(options(&server.new_database())).unwrap();
    store.migrate().await.unwrap();
    create(&store).await.unwrap();

    server.kill();
    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    server.restart();

    look_up(&store).await.unwrap();
    create(&store).await.unwrap();
}

#[tokio::test]
async fn of_connections_that_broke_together_only_one_costs_a_call() {
    let (store, url) = store_with(|_| {}).await;
    warm_up(&store, 4).await;
    end_all_connections(&url);

    let mut failed = 0;
    for _ in 0..8 {
        if let Err(error) = look_up(&store).await {
            assert_eq!(kind::<()>(Err(error)), FaultKind::Unavailable);
            failed += 1;
        }
    }

    assert!(failed <= 1, "{failed} calls failed");
}

#[tokio::test]
async fn a_connection_that_broke_while_it_rested_costs_no_call() {
    let (store, url) = store_with(|_| {}).await;
    warm_up(&store, 4).await;
    end_all_connections(&url);
    // Until the connections have rested long enough to be asked before they are used.
    tokio::time::sleep(Duration::from_millis(300)).await;

    for _ in 0..8 {
        look_up(&store).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_at_once() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = PgStore::new(options(&format!("postgres://captions@127.0.0.1:{port}/captions"))).unwrap();

    let begun = Instant::now();

    assert_eq!(kind(look_up(&store).await), FaultKind::Unavailable);
    assert_eq!(store.ping().await.unwrap_err().kind, FaultKind::Unavailable);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "no trying again in here: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_no_passing_trouble() {
    let store = PgStore::new(options(&shared().url("missing"))).unwrap();

    assert_eq!(kind(look_up(&store).await), FaultKind::Internal);
}

#[tokio::test]
async fn a_server_that_answers_is_pinged() {
    let (store, _) = store_with(|_| {}).await;

    store.ping().await.unwrap();

    assert_eq!(store.pool().idle, 1);
}
