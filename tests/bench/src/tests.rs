use clap::Parser as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_answers_every_request_of_a_smoke_run() {
    let bench = Bench::start().await.unwrap();
    let bounds = Args::parse_from(["captions-bench", "--smoke"]).bounds();

    let rows = bench.measure(bounds, 2).await.unwrap();

    assert_eq!(rows.len(), 7);
    for row in &rows {
        assert_eq!(row.trouble(), None, "{}", row.what);
        for round in &row.rounds {
            assert_eq!(round.measured.latencies.len(), bounds.requests, "{}", row.what);
        }
    }
    bench.service.stop().await.unwrap();
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_debug_build_refuses_to_measure() {
    let args = Args::parse_from(["captions-bench"]);

    let refused = print(&args).await.unwrap_err();

    assert!(refused.to_string().contains("--release"), "{refused}");
}
