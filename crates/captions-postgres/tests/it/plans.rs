//! No query reads a whole table, however large it grows: every plan of everything that the contract suites ask is looked at.

use captions_testkit::{contract, postgres::Server};

use super::*;

/// With sequential scans priced out, the planner takes one only where no index will do.
const TELL_PLANS: &str = "
    ALTER DATABASE plans SET session_preload_libraries = 'auto_explain';
    ALTER DATABASE plans SET auto_explain.log_min_duration = 0;
    ALTER DATABASE plans SET auto_explain.log_nested_statements = on;
    ALTER DATABASE plans SET enable_seqscan = off;";

#[tokio::test(flavor = "multi_thread")]
async fn every_query_goes_by_an_index() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    server.sql("postgres", "CREATE DATABASE plans");
    let url = server.url("plans");
    PgStore::new(options(&url)).unwrap().migrate().await.unwrap();
    server.sql("postgres", TELL_PLANS);
    let store = Arc::new(PgStore::new(options(&url)).unwrap());

    contract::users::suite(Arc::<PgStore>::clone(&store)).await;
    contract::captions::suite(Arc::<PgStore>::clone(&store)).await;
    contract::keys::suite(Arc::<PgStore>::clone(&store)).await;
    contract::batches::suite(Arc::<PgStore>::clone(&store)).await;
    contract::usage::suite(store).await;

    let log = server.log();
    let plans: Vec<_> = log.split("duration: ").skip(1).collect();
    let by_index = plans.iter().filter(|plan| plan.contains("Index")).count();
    assert!(by_index > 200, "{by_index} of {} plans are by index", plans.len());
    let mut whole: Vec<_> = plans
        .iter()
        .filter(|plan| plan.contains("Seq Scan on"))
        .copied()
        .collect();
    whole.sort_unstable();
    assert_eq!(whole.len(), 0, "{}", whole.join("\n"));
}
