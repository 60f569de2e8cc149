//! Faults of the line: each becomes a fault of the right kind in good time, and the next call works.

use std::time::{Duration, Instant};

use captions_domain::ports::LlmProvider as _;
use captions_openai::{OpenAi, options::OpenAiOptions};
use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;

use super::{context, name, options, outcome, plain, provider, stream};

const TEXT: &str = "Warm bread, warm hands, warm morning.";

#[rstest]
#[case::reset(Turn::reset(), "unavailable")]
#[case::silence(Turn::silence(), "timeout")]
#[case::slow_first_token(Turn::text(TEXT).first_token_after(Duration::from_secs(9)), "timeout")]
#[case::slow_head(Turn::text(TEXT).after(Duration::from_secs(9)), "timeout")]
#[case::cut(Turn::text(TEXT).cut_after(3), "unavailable")]
#[case::stalled(Turn::text(TEXT).stall_after(3), "timeout")]
#[case::garbled(Turn::text(TEXT).garbled_after(3), "corrupt")]
#[case::html(Turn::raw(200, "text/html", "<html><body>Welcome</body></html>"), "corrupt")]
#[case::no_gzip(Turn::raw(200, "application/json", "not gzip").header("content-encoding", "gzip"), "corrupt")]
#[case::gzip_bomb(Turn::gzip_bomb(), "corrupt")]
#[tokio::test]
async fn a_fault_of_the_line_is_named_and_the_next_call_works(#[case] turn: Turn, #[case] expected: &str) {
    let fake = FakeLlm::start().await;
    fake.reply(turn.clone()).reply(Turn::text(TEXT)).reply(turn);
    let provider = provider(&fake);
    let begun = Instant::now();

    let broken = provider.complete(&context(3), &plain()).await;
    let next = provider.complete(&context(3), &plain()).await;
    let streamed = stream(&provider, &context(3), &plain()).await;
    let next_stream = stream(&provider, &context(3), &plain()).await;

    assert_eq!(outcome(&broken), expected);
    assert_eq!(name(&streamed.end.unwrap_err()), expected);
    assert_eq!(outcome(&next), "answered");
    assert!(next_stream.end.is_ok());
    assert_eq!(fake.count(), 4, "nothing was retried");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stream_that_just_ends_was_cut_off() {
    let fake = FakeLlm::start().await;
    for pieces in 0..4 {
        fake.reply(Turn::text(TEXT).ends_after(pieces));
        let streamed = stream(&provider(&fake), &context(3), &plain()).await;
        assert_eq!(
            name(&streamed.end.unwrap_err()),
            "unavailable",
            "after {pieces} pieces: {}",
            streamed.text
        );
    }
}

#[tokio::test]
async fn no_answer_may_be_larger_than_the_bound_however_well_formed() {
    let fake = FakeLlm::start().await;
    let padding = "a".repeat(5 << 20);
    let document =
        format!(r#"{{"padding":"{padding}","choices":[{{"message":{{"content":"Warm"}},"finish_reason":"stop"}}]}}"#);
    fake.reply(Turn::raw(200, "application/json", document));
    let piece = r#"{"choices":[{"delta":{"content":"Warm"},"finish_reason":"stop"}]}"#;
    fake.reply(Turn::raw_stream([format!(": {padding}\n\ndata: {piece}\n\n")]));
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "corrupt");
    let streamed = stream(&provider, &context(3), &plain()).await;
    assert_eq!(name(&streamed.end.unwrap_err()), "corrupt");
}

#[tokio::test]
async fn json_that_is_no_completion_is_corrupt_and_a_stream_of_it_has_no_end() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::raw_stream(["data: {\"hello\": 1}\n\n"]));
    let provider = provider(&fake);

    let streamed = stream(&provider, &context(3), &plain()).await;
    assert_eq!(name(&streamed.end.unwrap_err()), "unavailable");
    fake.always(Turn::raw(200, "application/json", "{\"hello\": 1}"));
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "corrupt");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let fake = FakeLlm::start().await;
    let provider = provider(&fake);
    drop(fake);

    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "unavailable");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let fake = FakeLlm::start().await;
    let address = fake.address().to_string();
    let provider = provider(&fake);
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");

    drop(fake);
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "unavailable");
    let _fake = FakeLlm::listen(&address).await;
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");
}

#[tokio::test]
async fn a_flapping_server_fails_only_while_it_is_down() {
    let fake = FakeLlm::start().await;
    fake.cycle(vec![Turn::text(TEXT), Turn::unavailable(), Turn::reset()]);
    let provider = provider(&fake);

    let mut outcomes = Vec::new();
    for _ in 0..6 {
        outcomes.push(outcome(&provider.complete(&context(3), &plain()).await));
    }

    assert_eq!(outcomes, ["answered", "unavailable", "unavailable"].repeat(2));
}

#[tokio::test]
async fn a_drip_is_read_as_long_as_it_drips() {
    let fake = FakeLlm::start().await;
    // Longer in all than the silence allowed, never silent for so long.
    fake.always(Turn::text(TEXT).drip(40, Duration::from_millis(20)));
    let provider = OpenAi::new(&OpenAiOptions {
        read_timeout: Duration::from_millis(200),
        ..options(&fake)
    })
    .unwrap();
    let begun = Instant::now();

    let streamed = stream(&provider, &context(3), &plain()).await;

    assert_eq!(streamed.text, TEXT);
    assert!(streamed.end.is_ok());
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_error_page_that_breaks_off_still_says_its_status() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::unavailable().cut_after(2));
    fake.reply(Turn::bad_key().stall_after(2));
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "unavailable");
    assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "auth");
}
