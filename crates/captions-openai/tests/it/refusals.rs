//! Answers that are none, told properly: each becomes one typed error after one call.

use std::time::Duration;

use captions_domain::{fault::FaultKind, ports::LlmProvider as _};
use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;

use super::{context, kind, name, outcome, plain, provider, stream, variants};

#[rstest]
#[case::bad_key(Turn::bad_key(), "auth")]
#[case::no_quota(Turn::out_of_quota(), "billing")]
#[case::no_credit(Turn::error(402, "", "Insufficient credits"), "billing")]
#[case::wrong_model(Turn::error(404, "model_not_found", "The model does not exist"), "request")]
#[case::too_long(Turn::context_too_long(), "too long")]
#[case::content(Turn::content_refused(), "refused")]
#[case::broken_once(Turn::server_error(), "unavailable")]
#[case::down(Turn::unavailable(), "unavailable")]
#[case::slow(Turn::error(408, "", "Request timeout"), "timeout")]
#[case::gateway_timeout(Turn::raw(504, "text/html", "<html></html>"), "timeout")]
#[case::a_redirect(Turn::raw(302, "text/html", "").header("location", "http://127.0.0.1:9/"), "request")]
#[case::error_in_a_success(Turn::error_in_200("server_error"), "unavailable")]
#[case::limit_in_a_success(Turn::error_in_200("rate_limit_exceeded"), "rate_limited")]
#[case::content_in_a_success(Turn::error_in_200("content_filter"), "refused")]
#[case::refusal_field(Turn::refusal(), "refused")]
#[case::filtered(Turn::filtered("Warm bread and"), "refused")]
#[case::empty(Turn::empty(), "unusable")]
#[case::white_space(Turn::text(" \n "), "unusable")]
#[case::cut_by_the_limit(Turn::length_cut("Warm bread and"), "unusable")]
#[case::json_cut_by_the_limit(Turn::length_cut_json(), "unusable")]
#[case::far_too_long(Turn::over_long(20_000), "unusable")]
#[tokio::test]
async fn every_kind_of_no_is_one_typed_error_in_both_forms(#[case] turn: Turn, #[case] expected: &str) {
    let fake = FakeLlm::start().await;
    fake.always(turn);
    let provider = provider(&fake);

    for prompt in [plain(), variants()] {
        assert_eq!(outcome(&provider.complete(&context(9), &prompt).await), expected);
    }
    assert_eq!(fake.count(), 2, "no call is made again");

    let streamed = stream(&provider, &context(9), &plain()).await;
    assert_eq!(name(&streamed.end.unwrap_err()), expected);
    assert_eq!(fake.count(), 3, "no stream is begun again");
}

#[rstest]
#[case::unsaid(Turn::rate_limited(), None)]
#[case::seconds(Turn::rate_limited_for("2"), Some(2_000))]
#[case::a_decimal(Turn::rate_limited_for("0.5"), Some(500))]
#[case::a_date_gone_by(Turn::rate_limited_for("Mon, 01 Jan 2024 00:00:00 GMT"), Some(0))]
#[case::milliseconds(Turn::rate_limited().header("retry-after-ms", "750"), Some(750))]
#[case::a_window(Turn::rate_limited().header("x-ratelimit-reset-requests", "1m2s"), Some(62_000))]
#[case::capped(Turn::rate_limited_for("9999"), Some(120_000))]
#[tokio::test]
async fn a_limit_tells_how_long_to_wait(#[case] turn: Turn, #[case] milliseconds: Option<u64>) {
    let fake = FakeLlm::start().await;
    fake.always(turn);
    let expected = FaultKind::RateLimited {
        retry_after: milliseconds.map(Duration::from_millis),
    };
    let provider = provider(&fake);

    assert_eq!(
        kind(provider.complete(&context(3), &plain()).await.unwrap_err()),
        expected
    );
    assert_eq!(
        kind(stream(&provider, &context(3), &plain()).await.end.unwrap_err()),
        expected
    );
}

#[tokio::test]
async fn a_date_in_the_future_is_a_wait() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::rate_limited_for("Fri, 31 Dec 9999 23:59:59 GMT"));

    let error = provider(&fake).complete(&context(3), &plain()).await.unwrap_err();

    let capped = Some(Duration::from_secs(120));
    assert_eq!(kind(error), FaultKind::RateLimited { retry_after: capped });
}

#[tokio::test]
async fn prose_is_an_answer_whatever_it_says() {
    let fake = FakeLlm::start().await;
    for turn in [Turn::refusal_text(), Turn::wrong_language(), Turn::prompt_echo()] {
        fake.reply(turn);
        assert_eq!(
            outcome(&provider(&fake).complete(&context(3), &plain()).await),
            "answered"
        );
    }
}

#[tokio::test]
async fn errors_quote_neither_the_prompt_nor_the_key() {
    let fake = FakeLlm::start().await;
    let prompt = plain();
    for status in [400, 401, 404, 429, 500] {
        fake.reply(Turn::error(
            status,
            "bad",
            &format!("{} with key sk-very-secret", prompt.user),
        ));
        let error = provider(&fake).complete(&context(3), &prompt).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("very-secret") && !shown.contains("sourdough"),
            "{shown}"
        );
        assert!(shown.contains(&status.to_string()), "{shown}");
    }
}
