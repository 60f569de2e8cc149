//! Why a call gave no result.

use std::time::Duration;

use captions_api::problem::Problem;
use serde_json::Value;
use thiserror::Error as ThisError;

/// Why a call gave no result, after all its attempts.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The client itself cannot be as it is wanted: a URL or a key that cannot be.
    #[error("{0}")]
    Options(String),
    /// The server answered, and said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No connection came about, so nothing was done.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Cause),
    /// The connection broke off. What was asked for may have been done all the same.
    #[error("the connection to the server broke off")]
    Broken(#[source] Cause),
    /// No answer in time, in seconds. What was asked for may have been done all the same.
    #[error("no answer from the server within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The server answered with something that this client cannot read. If it was JSON, it is in `document`.
    #[error("the server's answer (status {status}) cannot be read: {what}")]
    Unreadable {
        status: u16,
        request_id: Option<String>,
        what: String,
        document: Option<Value>,
    },
}

/// What lies under a failure of the network.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    /// What the server says of it; none if the answer came from something else on the way, such as a proxy.
    pub problem: Option<Problem>,
    /// The request's name in the server's logs.
    pub request_id: Option<String>,
    /// Whether the same request may well succeed later.
    pub is_retryable: bool,
    /// The wait that was asked for before that.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{} [{}]", problem.detail, problem.code),
            None => write!(f, "the answer has the status {} and no problem document", self.status),
        }
    }
}

impl Error {
    /// What the server said, if it was the server that said no.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(refusal) => refusal.problem.as_ref(),
            _ => None,
        }
    }

    /// The stable name of the problem, to branch on: `caption_not_found`. A newer server may have names that
    /// [`captions_api::problem::Code`] does not know yet.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Unreadable { status, .. } => Some(*status),
            Self::Options(_) | Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => None,
        }
    }

    /// The request's name in the server's logs.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            Self::Unreadable { request_id, .. } => request_id.as_deref(),
            Self::Options(_) | Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => None,
        }
    }

    /// True if the same call may well succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retryable,
            Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => true,
            Self::Options(_) | Self::Unreadable { .. } => false,
        }
    }

    /// How long to wait before that, where the server says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}
