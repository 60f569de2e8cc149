//! Connections: kept, and closed when the caller leaves.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use captions_domain::ports::LlmProvider as _;
use captions_openai::{OpenAi, options::OpenAiOptions};
use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;
use tokio::{net::TcpListener, time::timeout};

use super::{context, outcome, plain, provider, stream};

/// The most time that may pass between a caller's leaving and the provider's noticing it.
const NOTICED_WITHIN: Duration = Duration::from_millis(100);

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection_in_both_forms() {
    let fake = FakeLlm::start().await;
    let provider = provider(&fake);

    for _ in 0..5 {
        assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");
        assert!(stream(&provider, &context(3), &plain()).await.end.is_ok());
    }
    fake.reply(Turn::server_error());
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "unavailable");
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");

    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_server_known_to_close_after_streams_gets_a_connection_for_each() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("Warm bread").header("server", "llama.cpp"));
    let provider = provider(&fake);
    let closes = |fake: &FakeLlm| {
        fake.last()
            .headers
            .get("connection")
            .is_some_and(|value| value == "close")
    };

    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");
    assert!(!closes(&fake));
    for _ in 0..2 {
        assert!(stream(&provider, &context(3), &plain()).await.end.is_ok());
        assert!(closes(&fake));
    }
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");
    assert!(!closes(&fake), "whole answers keep their connection");
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::silence());
    let provider = provider(&fake);

    let left = timeout(Duration::from_millis(50), provider.complete(&context(3), &plain())).await;
    let at = Instant::now();

    assert!(left.is_err());
    fake.until("the call is seen leaving", |fake| fake.last().left_early().is_some())
        .await;
    assert!(fake.last().left_early().unwrap() < at + NOTICED_WITHIN);
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection_at_any_point() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("one two three four five").stall_after(4));
    let provider = provider(&fake);

    for pieces in 0..4 {
        let mut streamed = provider.stream(&context(3), &plain()).await.unwrap();
        for _ in 0..pieces {
            streamed.next().await.unwrap().unwrap();
        }
        drop(streamed);
        let at = Instant::now();

        fake.until("the stream is seen leaving", |fake| fake.last().left_early().is_some())
            .await;
        assert!(fake.last().left_early().unwrap() < at + NOTICED_WITHIN);
    }
}

#[tokio::test]
async fn a_peer_that_never_accepts_is_given_up_after_the_connect_timeout() {
    super::install_tls();
    // A full backlog: the kernel answers nobody any more.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut crowd = Vec::new();
    while let Ok(Ok(socket)) = timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await {
        crowd.push(socket);
        assert!(crowd.len() < 10_000, "the backlog never fills");
    }
    let provider = OpenAi::new(&OpenAiOptions {
        connect_timeout: Duration::from_millis(200),
        ..OpenAiOptions::new("p", format!("http://{address}/v1"), "m")
    })
    .unwrap();
    let begun = Instant::now();

    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
