//! What is passed on of what a provider says of its limits.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use captions_domain::{
    ports::LlmProvider as _,
    quota::{Notice, Reading},
};
use captions_openai::{
    OpenAi,
    options::{Listener, OpenAiOptions},
};
use captions_testkit::llm::{FakeLlm, Turn};

use crate::{context, options, plain, stream};

/// Answers so, and all that was told meanwhile, of a whole answer or a stream.
async fn told(turn: Turn, streamed: bool) -> Vec<Notice> {
    let fake = FakeLlm::start().await;
    fake.always(turn);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Listener::new({
        let heard = Arc::clone(&heard);
        move |notice| heard.lock().unwrap().push(notice)
    });
    let provider = OpenAi::new(&OpenAiOptions {
        listener: Some(listener),
        ..options(&fake)
    })
    .unwrap();
    if streamed {
        drop(stream(&provider, &context(1), &plain()).await);
    } else {
        drop(provider.complete(&context(1), &plain()).await);
    }
    let heard = heard.lock().unwrap();
    heard.clone()
}

#[tokio::test]
async fn what_is_left_is_passed_on_with_every_answer() {
    for streamed in [false, true] {
        let turn = Turn::text("Warm bread.")
            .header("x-ratelimit-remaining-requests", "7")
            .header("x-ratelimit-reset-requests", "8s");

        let told = told(turn, streamed).await;

        let requests = Some(Reading {
            limit: None,
            remaining: 7,
            reset: Duration::from_secs(8),
        });
        assert_eq!(
            told,
            [Notice {
                requests,
                ..Notice::default()
            }]
        );
    }
}

#[tokio::test]
async fn a_refusal_for_the_rate_is_passed_on_with_its_wait_and_no_other_refusal_is() {
    for streamed in [false, true] {
        let told_of = |turn| told(turn, streamed);
        let holds = |told: Vec<Notice>| told.into_iter().map(|notice| notice.hold).collect::<Vec<_>>();

        assert_eq!(
            holds(told_of(Turn::rate_limited_for("9")).await),
            [Some(Duration::from_secs(9))]
        );
        let of_money = Turn::out_of_quota().header("retry-after", "9");
        assert_eq!(holds(told_of(of_money).await), []);
        let of_trouble = Turn::unavailable().header("retry-after", "9");
        assert_eq!(holds(told_of(of_trouble).await), []);
        assert_eq!(holds(told_of(Turn::text("Warm bread.")).await), []);
    }
}
