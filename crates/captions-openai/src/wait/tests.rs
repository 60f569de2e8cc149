use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rstest::rstest;

use captions_domain::quota::{Notice, Reading};

use super::{asked_for, left, told};

/// 2026-11-23 12:00:00 UTC
const NOW: u64 = 1_795_435_200;

fn headers(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn wait(told: &[(&'static str, &'static str)]) -> Option<Duration> {
    asked_for(&headers(told), now())
}

#[rstest]
#[case::seconds("retry-after", "2", 2_000)]
#[case::a_decimal("retry-after", "0.25", 250)]
#[case::an_http_date("retry-after", "Mon, 23 Nov 2026 12:00:07 GMT", 7_000)]
#[case::a_date_gone_by("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT", 0)]
#[case::milliseconds("retry-after-ms", "1500", 1_500)]
#[case::go_seconds("x-ratelimit-reset-requests", "1s", 1_000)]
#[case::go_milliseconds("x-ratelimit-reset-tokens", "12ms", 12)]
#[case::go_minutes("x-ratelimit-reset-tokens", "1m3s", 63_000)]
#[case::go_decimals("x-ratelimit-reset-tokens", "7.66s", 7_660)]
#[case::a_point_in_time("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:09Z", 9_000)]
#[case::the_cap("retry-after", "86400", 120_000)]
#[case::the_cap_of_go("x-ratelimit-reset-requests", "6h0m0s", 120_000)]
#[case::absurd("retry-after", "1e300", 120_000)]
fn every_form_is_read(#[case] name: &'static str, #[case] value: &'static str, #[case] milliseconds: u64) {
    assert_eq!(wait(&[(name, value)]), Some(Duration::from_millis(milliseconds)));
}

#[rstest]
#[case("retry-after", "soon")]
#[case("retry-after", "-3")]
#[case("retry-after", "NaN")]
#[case("retry-after", "")]
#[case("x-ratelimit-reset-requests", "1 fortnight")]
#[case("x-ratelimit-reset-requests", "")]
#[case("anthropic-ratelimit-tokens-reset", "tomorrow")]
fn what_is_no_wait_is_none(#[case] name: &'static str, #[case] value: &'static str) {
    assert_eq!(wait(&[(name, value)]), None);
}

#[test]
fn nothing_said_is_none() {
    assert_eq!(wait(&[]), None);
}

#[test]
fn the_longest_wait_counts() {
    let wait = wait(&[
        ("retry-after-ms", "500"),
        ("retry-after", "2"),
        ("x-ratelimit-reset-tokens", "5s"),
    ]);

    assert_eq!(wait, Some(Duration::from_secs(5)));
}

#[test]
fn a_window_with_something_left_is_not_waited_for() {
    let wait = wait(&[
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "60s"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "3s"),
    ]);

    assert_eq!(wait, Some(Duration::from_secs(3)));
}

#[test]
fn a_wait_in_the_body_is_read_and_capped() {
    assert_eq!(told("17s"), Some(Duration::from_secs(17)));
    assert_eq!(told("900s"), Some(Duration::from_secs(120)));
    assert_eq!(told("later"), None);
}

#[test]
fn what_is_left_is_read_in_both_ways_of_telling_it() {
    let told = left(
        &headers(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-remaining-tokens", "29150.5"),
            ("x-ratelimit-reset-tokens", "1m0.5s"),
        ]),
        now(),
    );
    let expected = Notice {
        hold: None,
        requests: Some(Reading {
            limit: Some(500),
            remaining: 499,
            reset: Duration::from_millis(120),
        }),
        tokens: Some(Reading {
            limit: None,
            remaining: 29_150,
            reset: Duration::from_millis(60_500),
        }),
    };
    assert_eq!(told, expected);

    let told = left(
        &headers(&[
            ("anthropic-ratelimit-tokens-limit", "50000"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-23T12:00:09Z"),
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T11:59:00Z"),
        ]),
        now(),
    );
    assert_eq!(
        told.tokens
            .map(|left| (left.limit, left.remaining, left.reset.as_secs())),
        Some((Some(50_000), 0, 9))
    );
    assert_eq!(
        told.requests.map(|left| (left.remaining, left.reset.as_secs())),
        Some((3, 0))
    );
}

#[rstest]
#[case::no_reset(&[("x-ratelimit-remaining-requests", "1")])]
#[case::no_remaining(&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-limit-requests", "5")])]
#[case::negative(&[("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-requests", "1s")])]
#[case::words(&[("x-ratelimit-remaining-tokens", "many"), ("x-ratelimit-reset-tokens", "1s")])]
#[case::not_a_number(&[("x-ratelimit-remaining-tokens", "NaN"), ("x-ratelimit-reset-tokens", "1s")])]
#[case::nothing(&[])]
fn half_a_word_is_none(#[case] told: &[(&'static str, &'static str)]) {
    assert!(!left(&headers(told), now()).says_something());
}
