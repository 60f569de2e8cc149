//! Connections: kept, bounded, and closed when the caller leaves.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use captions_domain::ports::LlmProvider as _;
use captions_openai::{
    OpenAi,
    options::{Connections, OpenAiOptions},
};
use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::{StreamExt as _, future::join_all};
use tokio::{net::TcpListener, time::timeout};

use super::{context, options, outcome, plain, provider, stream};

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
async fn no_more_calls_are_in_flight_than_allowed() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("Warm bread").after(Duration::from_millis(20)));
    let provider = OpenAi::new(&OpenAiOptions {
        connections: Connections::new(8, 2),
        read_timeout: Duration::from_secs(10),
        ..options(&fake)
    })
    .unwrap();
    let cx = context(3);
    let prompt = plain();
    let most = async {
        let mut most = 0;
        while fake.count() < 20 {
            most = most.max(fake.open_connections());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        most
    };

    let calls = join_all((0..20).map(|_| provider.complete(&cx, &prompt)));
    let (answers, most) = tokio::join!(calls, most);

    assert!(answers.iter().all(|answer| outcome(answer) == "answered"));
    assert_eq!(most, 2);
}

#[tokio::test]
async fn providers_share_the_places_that_they_were_given() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::silence());
    let connections = Connections::new(1, 1);
    let new = |name: &str| {
        OpenAi::new(&OpenAiOptions {
            name: name.into(),
            connections: connections.clone(),
            ..options(&fake)
        })
        .unwrap()
    };
    let (one, other) = (new("one"), new("other"));
    let (cx, prompt) = (context(3), plain());

    let mut holds_the_place = Box::pin(one.complete(&cx, &prompt));
    assert!(timeout(Duration::from_millis(50), &mut holds_the_place).await.is_err());
    assert!(
        timeout(Duration::from_millis(50), other.complete(&cx, &prompt))
            .await
            .is_err(),
        "there is no place"
    );
    assert_eq!(fake.count(), 1);
    drop(holds_the_place);

    assert_eq!(outcome(&other.complete(&cx, &prompt).await), "answered");
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
