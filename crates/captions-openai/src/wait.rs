//! How long a provider asks us to wait and what it says is left of its limits, in all the ways in which they say it.

use std::time::{Duration, SystemTime};

use captions_domain::quota::{Notice, Reading};
use reqwest::header::HeaderMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// No wait is believed beyond this.
const CAP: Duration = Duration::from_secs(120);

/// The longest wait that the headers ask for, at most 120 s; `None` if they say nothing.
///
/// Read are `retry-after-ms`, `Retry-After` (seconds, a decimal, an HTTP date), and when the exhausted ones of the
/// provider's windows start anew.
pub(crate) fn asked_for(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    // A window with something left in it is not what stopped us.
    let exhausted = |remaining: &str| {
        text(remaining)
            .and_then(|left| left.parse::<f64>().ok())
            .is_none_or(|left| left <= 0.0)
    };

    let mut waits = vec![
        text("retry-after-ms").and_then(|value| seconds(value.parse::<f64>().ok()? / 1000.0)),
        text("retry-after").and_then(|value| match value.parse::<f64>() {
            Ok(number) => seconds(number),
            Err(_) => Some(until(httpdate::parse_http_date(value).ok()?, now)),
        }),
    ];
    for what in ["requests", "tokens"] {
        if exhausted(&format!("x-ratelimit-remaining-{what}")) {
            waits.push(text(&format!("x-ratelimit-reset-{what}")).and_then(go_duration));
        }
    }
    for what in ["requests", "tokens", "input-tokens", "output-tokens"] {
        if exhausted(&format!("anthropic-ratelimit-{what}-remaining")) {
            waits.push(
                text(&format!("anthropic-ratelimit-{what}-reset"))
                    .and_then(|value| OffsetDateTime::parse(value, &Rfc3339).ok())
                    .map(|at| until(at.into(), now)),
            );
        }
    }
    waits.into_iter().flatten().max().map(|wait| wait.min(CAP))
}

/// What the headers say is left of the provider's limits: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` and
/// `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`. A limit without both what is left and when it is whole
/// again is not told.
pub(crate) fn left(headers: &HeaderMap, now: SystemTime) -> Notice {
    let text = |name: String| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: String| {
        let number = text(name)?.parse::<f64>().ok()?;
        // Not a negative number, nor none at all; a larger one than fits stays the largest.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates"
        )]
        (number >= 0.0).then_some(number as u64)
    };
    let of = |what: &str| {
        let usual = || {
            Some(Reading {
                limit: number(format!("x-ratelimit-limit-{what}")),
                remaining: number(format!("x-ratelimit-remaining-{what}"))?,
                reset: go_duration(text(format!("x-ratelimit-reset-{what}"))?)?,
            })
        };
        let other = || {
            let reset = OffsetDateTime::parse(text(format!("anthropic-ratelimit-{what}-reset"))?, &Rfc3339).ok()?;
            Some(Reading {
                limit: number(format!("anthropic-ratelimit-{what}-limit")),
                remaining: number(format!("anthropic-ratelimit-{what}-remaining"))?,
                reset: until(reset.into(), now),
            })
        };
        usual().or_else(other)
    };
    Notice {
        hold: None,
        requests: of("requests"),
        tokens: of("tokens"),
    }
}

/// A wait told in the body: `17s`, `1.5s`. At most 120 s.
pub(crate) fn told(text: &str) -> Option<Duration> {
    go_duration(text).map(|wait| wait.min(CAP))
}

fn seconds(number: f64) -> Option<Duration> {
    // Rejects what is no number and what is negative.
    Duration::try_from_secs_f64(number)
        .ok()
        .or((number > 0.0).then_some(CAP))
}

fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default()
}

/// Durations as Go prints them: `12ms`, `1s`, `6m0s`, `1h2m3.5s`. A bare number means seconds.
fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    if text.is_empty() { None } else { seconds(total) }
}

#[cfg(test)]
mod tests;
