//! Whether a failed attempt is worth another one, and when.
//!
//! The contract is that of the official SDKs for OpenAI and Anthropic, so that servers and proxies that know theirs know
//! ours: `x-should-retry` decides; else, of our own servers, the problem's `retryable`; else the status (408, 409, 429,
//! 5xx). `retry-after-ms` says when, then `Retry-After`; else 0.5 s that double up to 8 s, up to a quarter less by chance.

use std::time::{Duration, SystemTime};

use captions_api::problem::Problem;
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use crate::Error;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(8);
/// The share of a wait that chance may take away, so that clients that failed together do not come back together.
const JITTER: f64 = 0.25;

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Again {
    Never,
    /// After this wait where the server named one, else after one of ours.
    After(Option<Duration>),
}

/// How patient a client is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) retries: u32,
    pub(crate) longest_wait: Duration,
}

impl Patience {
    /// Attempts until one succeeds or none is worth another. `attempt` is told how many there were before.
    pub(crate) async fn persist<T, F>(self, mut attempt: impl FnMut(u32) -> F + Send) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let mut retry = 0;
        loop {
            let failed = match attempt(retry).await {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            let Some(wait) = self.wait(failed.again, retry) else {
                return Err(failed.error);
            };
            tokio::time::sleep(wait).await;
            retry += 1;
        }
    }

    /// The wait before the retry of this number, from 0; `None` if there is to be none.
    pub(crate) fn wait(self, again: Again, retry: u32) -> Option<Duration> {
        match again {
            Again::After(asked) if retry < self.retries => {
                let wait = asked.unwrap_or_else(|| backoff(retry, rand::random()));
                (wait <= self.longest_wait).then_some(wait)
            }
            Again::After(_) | Again::Never => None,
        }
    }
}

/// `chance` is 0 to 1.
fn backoff(retry: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(retry));
    doubled.min(MAX_WAIT).mul_f64(1.0 - JITTER * chance)
}

/// What an answer that is no success says about another attempt.
pub(crate) fn advice(status: StatusCode, headers: &HeaderMap, problem: Option<&Problem>, now: SystemTime) -> Again {
    let told = headers.get("x-should-retry").and_then(|value| value.to_str().ok());
    let is_worth_it = match told {
        Some("true") => true,
        Some("false") => false,
        _ => problem.map_or_else(|| is_passing(status), |problem| problem.retryable),
    };
    if is_worth_it {
        Again::After(asked_wait(headers, now))
    } else {
        Again::Never
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The wait that the server asks for.
pub(crate) fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(wait) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(wait / 1000.0).ok();
    }
    let told = text(RETRY_AFTER.as_str())?;
    match number(told) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        // A moment that has passed is now.
        None => Some(
            httpdate::parse_http_date(told)
                .ok()?
                .duration_since(now)
                .unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests;
