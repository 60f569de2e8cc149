//! How the far side fails. One shared [`Fault`] inside every port error, so that one policy can serve every port.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::budget::Account;

/// What happened to a call to a store, a cache or a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No answer within the time that the call had.
    Timeout,
    /// The other side could not be reached, broke off, or said that it is down.
    Unavailable,
    /// The other side asks for fewer calls.
    RateLimited {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// We did not call: the circuit of this dependency is open.
    CircuitOpen {
        /// Time until the next probe.
        retry_after: Duration,
    },
    /// We did not call: no slot was free in time, or a queue was full.
    Overloaded,
    /// An answer came and made no sense.
    Corrupt,
    /// Our own mistake or a refusal that no retry can mend, such as a bad statement.
    Internal,
}

impl FaultKind {
    /// The name used in logs, metrics and problem documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// A failure of the far side, or of the way to it.
///
/// Only the adapter knows its driver, so only the adapter chooses the kind; nobody above looks at driver errors.
#[derive(Clone)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Where the kind has no place for it.
    retry_after: Option<Duration>,
    by_overload: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault without a deeper cause.
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            retry_after: None,
            by_overload: false,
            source: None,
        }
    }

    /// A fault with its cause; the cause is for logs and never reaches a caller.
    pub fn because(kind: FaultKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            retry_after: None,
            by_overload: false,
            source: Some(Arc::from(source.into())),
        }
    }

    /// The same, with how long to wait before asking again; a kind that says so itself stands.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same, where the other side says that it has too much to do: fewer calls at once may help it.
    #[must_use]
    pub const fn by_overload(mut self) -> Self {
        self.by_overload = true;
        self
    }

    /// True if the other side said that it has too much to do.
    pub const fn is_by_overload(&self) -> bool {
        self.by_overload
    }

    /// True if the same call may well succeed a moment later. Refusals of our own (open circuit, overload) are not:
    /// retrying them is what turns a hiccup into an outage.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::Timeout | FaultKind::Unavailable | FaultKind::RateLimited { .. }
        )
    }

    /// How long to wait before asking again, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            FaultKind::RateLimited {
                retry_after: Some(wait),
            } => Some(wait),
            FaultKind::CircuitOpen { retry_after } => Some(retry_after),
            FaultKind::RateLimited { retry_after: None }
            | FaultKind::Timeout
            | FaultKind::Unavailable
            | FaultKind::Overloaded
            | FaultKind::Corrupt
            | FaultKind::Internal => self.retry_after,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FaultKind::Timeout => "no answer in time",
            FaultKind::Unavailable => "not available",
            FaultKind::RateLimited { .. } => "asked to slow down",
            FaultKind::CircuitOpen { .. } => "not called: its circuit is open",
            FaultKind::Overloaded => "not called: no free slot",
            FaultKind::Corrupt => "answered something unreadable",
            FaultKind::Internal => "internal fault",
        })
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({}", self.kind.as_str())?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        f.write_str(")")
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// All that a policy needs of a port's error: it can make one and read one.
pub trait PortError: From<Fault> {
    /// The fault inside, or `None` if the other side is healthy and said no.
    fn fault(&self) -> Option<&Fault>;
}

impl PortError for Fault {
    fn fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

/// Failures of [`UserStore`](crate::ports::UserStore), [`CaptionStore`](crate::ports::CaptionStore) and the other ports of a
/// store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first; read again and decide.
    #[error("the stored version is another one")]
    Conflict,
    /// As many items of batches as the tenant may have are open.
    #[error("{open} items of the tenant's batches are open, of {most} that may be")]
    Full { open: u64, most: u64 },
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl PortError for StoreError {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Conflict | Self::Full { .. } => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

/// Why a provider turned a call down although it is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Its key is missing, wrong, or not allowed to use the model.
    Auth,
    /// No credit or quota is left; waiting does not help.
    Billing,
    /// It does not understand or support what we asked: wrong model name, parameter, language.
    Request,
}

/// Failures of [`LlmProvider`](crate::ports::LlmProvider).
#[derive(Debug, Clone, thiserror::Error)]
pub enum LlmError {
    /// The provider's content rules forbid the answer. An answer, not an outage: nobody else is asked.
    #[error("the provider refused the content")]
    Refused,
    /// Prompt and answer together do not fit the model's context.
    #[error("the prompt is too long for the model")]
    TooLong,
    /// The next provider may do better; this one will not.
    #[error("the provider rejected the call: {detail}")]
    Rejected {
        /// Whose move it is.
        kind: Rejection,
        /// Short, free of user text and of keys.
        detail: String,
    },
    /// It answered, and the answer cannot be used: empty, cut off, or not what was asked for.
    #[error("the provider's answer cannot be used: {detail}")]
    Unusable {
        /// Short, free of user text.
        detail: String,
    },
    /// The call was not made, because nobody pays for it.
    #[error(transparent)]
    Unpaid(#[from] Unpaid),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a call is not paid for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unpaid {
    /// What it may cost does not fit into what is left of the budget.
    #[error("the budget does not cover what the call may cost")]
    OverBudget {
        /// Whose it is.
        account: Account,
        /// Until the next period begins.
        ends_in: Duration,
    },
    /// Where budgets are counted is away, and nothing is spent uncounted. What costs nothing may still answer.
    #[error("the budget cannot be counted at the moment: {0}")]
    Uncounted(Fault),
}

impl LlmError {
    /// True if it is the answer to the request, so that nobody else is asked in the place of who gave it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused | Self::Unpaid(Unpaid::OverBudget { .. }))
    }

    /// An answer that cannot be used.
    pub fn unusable(detail: impl Into<String>) -> Self {
        Self::Unusable { detail: detail.into() }
    }

    /// The name used in events, logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TooLong => "too_long",
            Self::Rejected { .. } => "rejected",
            Self::Unusable { .. } => "unusable",
            Self::Unpaid(Unpaid::OverBudget { .. }) => "over_budget",
            Self::Unpaid(Unpaid::Uncounted(_)) => "budget_uncounted",
            Self::Fault(fault) => fault.kind.as_str(),
        }
    }
}

impl PortError for LlmError {
    fn fault(&self) -> Option<&Fault> {
        match self {
            // A budget says nothing about the provider.
            Self::Refused | Self::TooLong | Self::Rejected { .. } | Self::Unusable { .. } | Self::Unpaid(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}
