//! Failures on the wire: problem details (RFC 9457), the same for HTTP, streams and the command line.

mod code;

use std::time::Duration;

use captions_domain::{
    engine::{GenerateError, MoreError},
    fault::{Fault, FaultKind, LlmError, PortError, Rejection, StoreError, Unpaid},
    more::Unwritable,
    request::Invalid,
};
use serde::{Deserialize, Serialize};
use utoipa::{ToSchema, openapi::RefOr};

pub use code::{Code, Whose};

/// What went wrong, whose move it is, and whether it is worth trying again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The problem type: one of the `RateLimit` draft, else the same as `documentation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<String>,
    /// The stable name to branch on.
    #[schema(schema_with = code_schema)]
    pub code: String,
    /// Whose move it is.
    #[serde(default)]
    #[schema(schema_with = fault_schema)]
    pub fault: String,
    /// Where the code is explained, relative to the server.
    #[serde(default)]
    pub documentation: String,
    /// The name of the request in the server's logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// True if the same request may well succeed later.
    pub retryable: bool,
    /// How long to wait before that, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_ms: Option<u64>,
    /// Provider calls begun for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempts: Option<u32>,
    /// The limits that are reached, as `RateLimit-Policy` names them.
    #[serde(rename = "violated-policies", default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<String>,
    /// Every broken rule of the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub suggestion: Option<String>,
}

/// One broken rule of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Where it stands in the body, as a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// The rule's stable name, as in `too_long`.
    pub code: String,
    /// The rule in words, with its numbers.
    pub detail: String,
    /// The nearest value that would have been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem as the table of codes describes it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: code.kind(),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            instance: None,
            code: code.as_str().to_owned(),
            fault: code.fault().as_str().to_owned(),
            documentation: code.page(),
            request_id: None,
            retryable: code.is_retryable(),
            retry_after_ms: code.retry_after().map(millis),
            attempts: None,
            violated_policies: Vec::new(),
            errors: Vec::new(),
            suggestion: Some(code.suggestion().to_owned()),
        }
    }

    /// The row of the table that this problem belongs to.
    pub fn code(&self) -> Code {
        self.code.parse().unwrap_or(Code::Internal)
    }

    /// How long to wait, as far as it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }

    /// Names the wait that the other side asked for, where it did; else the table's stays.
    #[must_use]
    pub fn wait(mut self, retry_after: Option<Duration>) -> Self {
        if self.retryable
            && let Some(wait) = retry_after
        {
            self.retry_after_ms = Some(millis(wait));
        }
        self
    }

    /// Names the end of the period that a budget is for.
    fn in_period(mut self, ends_in: Duration) -> Self {
        self.retry_after_ms = Some(millis(ends_in));
        self
    }

    /// Names the provider calls begun.
    #[must_use]
    pub const fn after(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Names the request.
    #[must_use]
    pub fn of_request(mut self, request_id: &str, path: &str) -> Self {
        self.request_id = Some(request_id.to_owned());
        self.instance = Some(path.to_owned());
        self
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

fn fault_schema() -> RefOr<utoipa::openapi::Schema> {
    crate::schema::one_of("Whose move it is.", Whose::ALL.iter().map(|whose| whose.as_str())).into()
}

fn code_schema() -> RefOr<utoipa::openapi::Schema> {
    crate::schema::one_of(
        "The stable name to branch on.",
        Code::ALL.iter().map(|code| code.as_str()),
    )
    .into()
}

impl From<Vec<Invalid>> for Problem {
    fn from(broken: Vec<Invalid>) -> Self {
        let detail = match broken.as_slice() {
            [] => "the request breaks a rule".to_owned(),
            [one] if one.pointer.is_empty() => one.rule.clone(),
            [one] => format!("{}: {}", one.pointer, one.rule),
            [first, rest @ ..] => format!("{}: {} (and {} more)", first.pointer, first.rule, rest.len()),
        };
        Self {
            errors: broken.into_iter().map(FieldProblem::from).collect(),
            ..Self::new(Code::InvalidRequest, detail)
        }
    }
}

impl From<Invalid> for Problem {
    fn from(broken: Invalid) -> Self {
        Self::from(vec![broken])
    }
}

impl From<Invalid> for FieldProblem {
    fn from(broken: Invalid) -> Self {
        Self {
            pointer: broken.pointer,
            code: broken.code.to_owned(),
            detail: broken.rule,
            nearest: broken.nearest,
        }
    }
}

impl From<&GenerateError> for Problem {
    fn from(error: &GenerateError) -> Self {
        match error {
            GenerateError::Invalid(broken) => Self::from(broken.clone()),
            GenerateError::Provider { error, attempts } => Self::from(error).after(*attempts),
        }
    }
}

impl From<&MoreError> for Problem {
    fn from(error: &MoreError) -> Self {
        let code = match error {
            MoreError::Generate(error) => return error.into(),
            MoreError::Unwritable(Unwritable::NoBrief) => Code::BriefUnknown,
            MoreError::Unwritable(Unwritable::Full) => Code::VariantsFull,
            MoreError::Unwritable(Unwritable::NoOtherWords) => Code::VariantsExhausted,
            MoreError::Gone => Code::CaptionNotFound,
            MoreError::Changed => Code::Conflict,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&LlmError> for Problem {
    fn from(error: &LlmError) -> Self {
        let code = match error {
            LlmError::Refused => Code::ContentRefused,
            LlmError::TooLong => Code::PromptTooLong,
            LlmError::Rejected {
                kind: Rejection::Auth, ..
            } => Code::ProviderAuth,
            LlmError::Rejected {
                kind: Rejection::Billing,
                ..
            } => Code::ProviderBilling,
            LlmError::Rejected {
                kind: Rejection::Request,
                ..
            } => Code::ProviderRejected,
            LlmError::Unusable { .. } => Code::ProviderBadOutput,
            LlmError::Unpaid(Unpaid::OverBudget { ends_in, .. }) => {
                return Self::new(Code::BudgetExceeded, format!("no caption: {error}")).in_period(*ends_in);
            }
            LlmError::Unpaid(Unpaid::Uncounted(_)) => Code::StoreUnavailable,
            LlmError::Fault(fault) => match fault.kind {
                FaultKind::Timeout => Code::ProviderTimeout,
                FaultKind::Unavailable => Code::ProviderUnavailable,
                FaultKind::RateLimited { .. } => Code::ProviderRateLimited,
                FaultKind::CircuitOpen { .. } => Code::ProviderCircuitOpen,
                FaultKind::Overloaded => Code::Overloaded,
                FaultKind::Corrupt => Code::ProviderBadOutput,
                FaultKind::Internal => Code::Internal,
            },
        };
        Self::new(code, format!("no caption: {error}")).wait(error.fault().and_then(Fault::retry_after))
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        let code = match error {
            StoreError::Conflict => Code::Conflict,
            StoreError::Full { .. } => Code::BatchesFull,
            StoreError::Fault(fault) => match fault.kind {
                FaultKind::Timeout
                | FaultKind::Unavailable
                | FaultKind::RateLimited { .. }
                | FaultKind::CircuitOpen { .. } => Code::StoreUnavailable,
                FaultKind::Overloaded => Code::Overloaded,
                FaultKind::Corrupt => Code::StoreCorrupt,
                FaultKind::Internal => Code::Internal,
            },
        };
        Self::new(code, format!("the store: {error}")).wait(error.fault().and_then(Fault::retry_after))
    }
}

#[cfg(test)]
mod tests;
