//! HTTP/2 over TLS, as the large providers speak it: one connection for all calls, and its end.

use std::{net::SocketAddr, time::Instant};

use captions_testkit::{
    chaos::{Chaos, Way},
    llm::Turn,
};

use super::*;

fn over_tls(fake: &FakeLlm) -> OpenAiOptions {
    OpenAiOptions {
        ca_file: Some(fake.ca_file()),
        read_timeout: Duration::from_secs(5),
        ..options(fake)
    }
}

fn secure(fake: &FakeLlm) -> OpenAi {
    OpenAi::new(&over_tls(fake)).unwrap()
}

#[tokio::test]
async fn calls_of_both_forms_share_one_connection() {
    let fake = FakeLlm::start_tls().await;
    fake.always(Turn::caption("Fresh bread, and the door is open.").after(Duration::from_millis(50)));
    let provider = secure(&fake);
    // With nobody connected yet, several calls at once may open several connections.
    provider.complete(&context(3), &variants()).await.unwrap();

    let calls = (0..8).map(|_| async {
        let answer = provider.complete(&context(3), &variants()).await.unwrap();
        let streamed = stream(&provider, &context(3), &plain()).await;
        assert_eq!(streamed.text, "Fresh bread, and the door is open.");
        assert!(streamed.end.is_ok());
        answer
    });
    futures_util::future::join_all(calls).await;

    assert_eq!((fake.count(), fake.connections()), (17, 1));
    assert_eq!(fake.requests()[0].body["model"], "fake-model");
}

#[tokio::test]
async fn an_unknown_authority_is_no_provider() {
    let fake = FakeLlm::start_tls().await;
    let trusting_the_system = OpenAi::new(&options(&fake)).unwrap();

    let error = trusting_the_system.complete(&context(3), &plain()).await.unwrap_err();

    assert_eq!(kind(error), FaultKind::Unavailable);
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_transient_and_the_next_call_has_a_new_one() {
    let fake = FakeLlm::start_tls().await;
    fake.reply(Turn::goes_away()).always(Turn::text("Fresh bread."));
    let provider = secure(&fake);

    let error = provider.complete(&context(3), &plain()).await.unwrap_err();
    let answer = provider.complete(&context(3), &plain()).await.unwrap();

    assert_eq!(kind(error), FaultKind::Unavailable);
    assert_eq!(answer.text, "Fresh bread.");
    assert_eq!((fake.count(), fake.connections()), (2, 2));
}

#[tokio::test]
async fn a_connection_that_ends_in_mid_stream_is_a_cut_and_no_end() {
    let fake = FakeLlm::start_tls().await;
    fake.reply(Turn::text("Fresh bread, and the door is open.").goes_away_after(2))
        .always(Turn::text("Fresh bread."));
    let provider = secure(&fake);

    let cut = stream(&provider, &context(3), &plain()).await;
    let whole = stream(&provider, &context(3), &plain()).await;

    assert_eq!(kind(cut.end.unwrap_err()), FaultKind::Unavailable);
    assert!("Fresh bread, and the door is open.".starts_with(&cut.text));
    assert_eq!(whole.text, "Fresh bread.");
    assert!(whole.end.is_ok());
}

#[tokio::test]
async fn a_reset_stream_leaves_the_others_and_their_connection_alone() {
    let fake = FakeLlm::start_tls().await;
    fake.answer_with(|request| {
        if request.streamed() {
            Turn::text("Fresh bread, and the door is open.").cut_after(2)
        } else {
            Turn::text("Fresh bread.").after(Duration::from_millis(100))
        }
    });
    let provider = secure(&fake);
    fake.reply(Turn::text("warm"));
    provider.complete(&context(3), &plain()).await.unwrap();

    let (cx, prompt) = (context(3), plain());
    let (whole, cut) = tokio::join!(provider.complete(&cx, &prompt), stream(&provider, &cx, &prompt));

    assert_eq!(whole.unwrap().text, "Fresh bread.");
    assert_eq!(kind(cut.end.unwrap_err()), FaultKind::Unavailable);
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn who_leaves_ends_the_stream_of_the_provider_and_not_the_connection() {
    let fake = FakeLlm::start_tls().await;
    fake.reply(Turn::text("warm"))
        .reply(Turn::silence())
        .always(Turn::text("Fresh bread."));
    let provider = secure(&fake);
    let (cx, prompt) = (context(3), plain());
    provider.complete(&cx, &prompt).await.unwrap();

    tokio::select! {
        answer = provider.complete(&cx, &prompt) => panic!("nobody answers: {answer:?}"),
        () = fake.until("the second call is there", |fake| fake.count() == 2) => {}
    }
    let left = Instant::now();
    fake.until("the call is given up", |fake| fake.last().left_early().is_some())
        .await;
    let late = fake.last().left_early().unwrap().saturating_duration_since(left);
    provider.complete(&cx, &prompt).await.unwrap();

    assert!(late < Duration::from_millis(100), "{late:?}");
    assert_eq!(fake.connections(), 1);
}

/// All calls share the connection, so a dead one that is kept fails them all.
#[tokio::test]
async fn a_connection_that_died_unnoticed_is_given_up_within_seconds() {
    let fake = FakeLlm::start_tls().await;
    fake.always(Turn::text("Fresh bread."));
    let proxy = Chaos::to(fake.address().port());
    let through = |address: SocketAddr| {
        fake.base_url()
            .replace(&fake.address().to_string(), &address.to_string())
    };
    let provider = OpenAi::new(&OpenAiOptions {
        base_url: through(proxy.address()),
        read_timeout: Duration::from_millis(500),
        ..over_tls(&fake)
    })
    .unwrap();
    provider.complete(&context(3), &plain()).await.unwrap();

    // New connections work; the one that stands is dead.
    proxy.set_one(0, Way::Blackhole);
    let died = Instant::now();
    let mut failed = 0;
    while provider.complete(&context(3), &plain()).await.is_err() {
        failed += 1;
        assert!(
            died.elapsed() < Duration::from_secs(15),
            "{failed} calls into a dead connection"
        );
    }

    assert!(failed > 0);
    assert_eq!(proxy.total(), 2);
}

#[tokio::test]
async fn a_ca_file_that_cannot_count_is_refused() {
    let fake = FakeLlm::start_tls().await;
    let plain_http = OpenAiOptions {
        base_url: "http://127.0.0.1:1/v1".into(),
        ..over_tls(&fake)
    };
    let no_file = OpenAiOptions {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..over_tls(&fake)
    };
    let no_certificate = OpenAiOptions {
        ca_file: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into()),
        ..over_tls(&fake)
    };

    for options in [plain_http, no_file, no_certificate] {
        assert_eq!(OpenAi::new(&options).unwrap_err().kind, FaultKind::Internal);
    }
}
