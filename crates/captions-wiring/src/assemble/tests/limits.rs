use captions_domain::caption::Source;
use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;

use super::*;

/// A machine with these two providers, each at a host of its own.
fn machine_with(first: &FakeLlm, second: &FakeLlm) -> Machine {
    crate::install_crypto();
    let entry = |name: &str, server: &FakeLlm| {
        format!(
            "{{name = '{name}', kind = 'openai', model = 'm', base_url = '{}'}}",
            server.base_url()
        )
    };
    let providers = format!("[{}, {}]", entry("first", first), entry("second", second));
    Machine::new()
        .env("CAPTIONS_LLM__PROVIDERS", &providers)
        .flag("cache.enabled", "false")
}

/// Who wrote three captions, one after the other.
async fn writers(machine: &Machine) -> Vec<String> {
    let assembled = assembled(machine).await;
    let mut writers = Vec::new();
    for _ in 0..3 {
        let answer = generate(&assembled, "a street in the rain").await.unwrap();
        writers.push(match answer.source {
            Source::Provider => answer.caption.provider.clone(),
            other => other.as_str().to_owned(),
        });
    }
    writers
}

#[rstest]
#[case::off("0", &["first", "first", "first"], 3, 0)]
#[case::on("1", &["first", "second", "template"], 1, 1)]
#[tokio::test]
async fn a_provider_at_our_limit_is_passed_over_without_a_call(
    #[case] limit: &str,
    #[case] expected: &[&str],
    #[case] to_first: usize,
    #[case] to_second: usize,
) {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    let machine = machine_with(&first, &second).flag("api.requests_per_hour", limit);

    assert_eq!(writers(&machine).await, expected);
    assert_eq!((first.count(), second.count()), (to_first, to_second));
}

#[rstest]
#[case::on("true", 1)]
#[case::off("false", 3)]
#[tokio::test]
async fn what_a_provider_says_is_left_is_kept_to(#[case] listen: &str, #[case] to_first: usize) {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    first.always(
        Turn::fitting()
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "100s"),
    );
    let machine = machine_with(&first, &second).flag("api.quota_headers", listen);

    let writers = writers(&machine).await;

    assert_eq!((first.count(), second.count()), (to_first, 3 - to_first), "{writers:?}");
}

#[rstest]
#[case::on("true", 1)]
#[case::off("false", 3)]
#[tokio::test]
async fn a_provider_that_asks_for_time_is_left_alone_for_it(#[case] listen: &str, #[case] to_first: usize) {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    first.always(Turn::rate_limited_for("100"));
    let machine = machine_with(&first, &second).flag("api.quota_headers", listen);

    assert_eq!(writers(&machine).await, ["second", "second", "second"]);
    assert_eq!((first.count(), second.count()), (to_first, 3));
}
