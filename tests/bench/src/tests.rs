use clap::Parser as _;

use super::*;

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_debug_build_refuses_to_measure() {
    let refused = print(Args::parse_from(["captions-bench"])).await.unwrap_err();

    assert!(refused.to_string().contains("--release"), "{refused}");
}

#[tokio::test]
async fn a_part_that_is_not_there_is_refused() {
    let args = Args::parse_from(["captions-bench", "--smoke", "--only", "cold,warm"]);

    let refused = print(args).await.unwrap_err();

    assert!(refused.to_string().contains("\"warm\""), "{refused}");
}
