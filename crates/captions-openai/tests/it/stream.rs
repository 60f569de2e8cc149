//! Event streams as providers really send them.

use std::time::{Duration, Instant};

use captions_domain::ports::LlmProvider as _;
use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;
use rstest::rstest;

use super::{context, name, plain, provider, stream};

const FIRST: &str = r#"{"choices":[{"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
const FILTER: &str = r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
const WARM: &str = r#"{"choices":[{"delta":{"content":"Warm "},"finish_reason":null}],"obfuscation":"xxxx"}"#;
const BREAD: &str = r#"{"choices":[{"delta":{"content":"bread 🥖"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;

fn lines(events: &[&str]) -> String {
    let events: Vec<_> = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    events.concat()
}

#[rstest]
#[case::as_openai(lines(&[FIRST, WARM, BREAD, STOP, USAGE, "[DONE]"]))]
#[case::as_azure(lines(&[FILTER, FIRST, WARM, BREAD, STOP, USAGE, "[DONE]"]))]
#[case::crlf(lines(&[FIRST, WARM, BREAD, STOP, USAGE, "[DONE]"]).replace('\n', "\r\n"))]
#[case::comments(format!(": PROCESSING\n\n{}: PROCESSING\n\n{}", lines(&[WARM]), lines(&[BREAD, STOP, USAGE, "[DONE]"])))]
#[case::no_done(lines(&[FIRST, WARM, BREAD, STOP, USAGE]))]
#[case::named_events(lines(&[WARM, BREAD, STOP, USAGE]).replace("data: ", "event: chunk\ndata: "))]
#[case::pings(lines(&[r#"{"type":"ping"}"#, WARM, BREAD, STOP, USAGE, "[DONE]"]))]
#[case::usage_with_the_finish(lines(&[WARM, BREAD, r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#]))]
#[tokio::test]
async fn every_dialect_of_streams_is_read_in_reads_of_any_size(#[case] body: String) {
    let fake = FakeLlm::start().await;
    let provider = provider(&fake);
    for size in [1, 7, 64, body.len()] {
        fake.reply(Turn::raw_stream(body.as_bytes().chunks(size).map(<[u8]>::to_vec)));

        let streamed = stream(&provider, &context(3), &plain()).await;

        assert_eq!(streamed.text, "Warm bread 🥖", "in writes of {size}");
        let credit = streamed.end.unwrap();
        assert_eq!(credit.usage.unwrap().output_tokens, 3, "in writes of {size}");
    }
}

#[rstest]
#[case::breakdown(
    r#"{"error":{"code":502,"message":"x"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
    "unavailable"
)]
#[case::limit(r#"{"error":{"code":429,"message":"x"}}"#, "rate_limited")]
#[case::filter(r#"{"error":{"code":"content_filter","message":"x"}}"#, "refused")]
#[case::string(r#"{"error":"model crashed"}"#, "unavailable")]
#[case::finish_error(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, "unavailable")]
#[case::finish_filter(r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#, "refused")]
#[case::finish_length(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, "unusable")]
#[case::refusal(
    r#"{"choices":[{"delta":{"refusal":"I cannot"},"finish_reason":"stop"}]}"#,
    "refused"
)]
#[case::no_json(r#"{"choices":[{"delta":{"cont"#, "corrupt")]
#[tokio::test]
async fn an_error_in_the_middle_ends_the_stream(#[case] event: &str, #[case] expected: &str) {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::raw_stream([lines(&[WARM, event, "[DONE]"])]));

    let streamed = stream(&provider(&fake), &context(3), &plain()).await;

    assert_eq!(streamed.text, "Warm ");
    assert_eq!(name(&streamed.end.unwrap_err()), expected);
    assert_eq!(fake.count(), 1, "after the first text nothing is tried again");
}

#[tokio::test]
async fn a_stream_without_a_reason_to_finish_is_whole_if_it_ends_by_its_own_word() {
    let fake = FakeLlm::start().await;
    for (events, expected) in [
        (&[WARM, BREAD, "[DONE]"][..], "answered"),
        (&[WARM, BREAD], "unavailable"),
        (&[FIRST, "[DONE]"], "unusable"),
    ] {
        fake.reply(Turn::raw_stream([lines(events)]));

        let streamed = stream(&provider(&fake), &context(3), &plain()).await;

        let end = streamed.end.as_ref().map_or_else(name, |_| "answered");
        assert_eq!(end, expected, "{events:?}");
    }
}

#[tokio::test]
async fn half_an_event_at_the_end_is_a_cut_and_not_rubbish() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::raw_stream([lines(&[WARM]), format!("data: {}", &BREAD[..20])]));

    let streamed = stream(&provider(&fake), &context(3), &plain()).await;

    assert_eq!(streamed.text, "Warm ");
    assert_eq!(name(&streamed.end.unwrap_err()), "unavailable");
}

#[tokio::test]
async fn text_is_passed_on_while_the_rest_is_still_to_come() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::text("Warm bread").stall_after(1));

    let mut pieces = provider(&fake).stream(&context(3), &plain()).await.unwrap();
    let first = pieces.next().await.unwrap().unwrap();

    assert_eq!(first, captions_domain::ports::Chunk::Text("Warm ".into()));
}

#[tokio::test]
async fn a_complete_text_is_not_lost_to_a_lost_usage() {
    let fake = FakeLlm::start().await;
    // Two words and the finish; then nothing, a break, or rubbish.
    for turn in [
        Turn::text("Warm bread").stall_after(3),
        Turn::text("Warm bread").cut_after(3),
        Turn::text("Warm bread").ends_after(3),
        Turn::text("Warm bread").without_done(),
    ] {
        let begun = Instant::now();
        fake.reply(turn.clone());

        let streamed = stream(&provider(&fake), &context(3), &plain()).await;

        assert_eq!(streamed.text, "Warm bread");
        assert!(streamed.end.is_ok(), "{turn:?}: {:?}", streamed.end);
        assert!(begun.elapsed() < Duration::from_secs(3), "{turn:?}");
    }
}

#[tokio::test]
async fn a_stream_that_never_stops_writing_is_stopped() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::text("bread ".repeat(2_000)).drip(4096, Duration::from_millis(1)));

    let streamed = stream(&provider(&fake), &context(3), &plain()).await;

    assert_eq!(name(&streamed.end.unwrap_err()), "unusable");
    fake.until("the upstream call is ended", |fake| fake.last().left_early().is_some())
        .await;
}
