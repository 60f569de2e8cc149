//! How the process ends: the exit codes, and which failure gets which.

use std::process::ExitCode;

use captions_api::problem::Code;

/// What the shell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failure,
    Usage,
    /// Settings, or the store.
    Settings,
    /// A provider does not accept our key, or the account behind it is used up.
    Auth,
    /// A provider or the network.
    Provider,
    /// Fewer captions than were asked for.
    Partial,
    /// Below `--min-score`, or not publishable.
    Gate,
    /// Too much at once, here or at a provider.
    Limited,
    /// Ctrl-C.
    Cancelled,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Settings => 3,
            Self::Auth => 4,
            Self::Provider => 5,
            Self::Partial => 6,
            Self::Gate => 7,
            Self::Limited => 8,
            Self::Cancelled => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidJson
            | Code::InvalidParameter
            | Code::InvalidCursor
            | Code::InvalidRequest
            | Code::BodyTooLarge
            | Code::UriTooLong
            | Code::HeadersTooLarge
            | Code::UnsupportedMediaType
            | Code::PromptTooLong => Self::Usage,
            Code::StoreUnavailable | Code::StoreCorrupt => Self::Settings,
            Code::Unauthenticated | Code::Forbidden | Code::ProviderAuth | Code::ProviderBilling => Self::Auth,
            Code::ProviderRejected
            | Code::ProviderBadOutput
            | Code::ProviderUnavailable
            | Code::ProviderCircuitOpen
            | Code::ProviderTimeout => Self::Provider,
            Code::RateLimited
            | Code::BudgetExceeded
            | Code::BatchesFull
            | Code::ProviderRateLimited
            | Code::Overloaded => Self::Limited,
            Code::RouteNotFound
            | Code::CaptionNotFound
            | Code::BatchNotFound
            | Code::BatchNotReady
            | Code::UserNotFound
            | Code::SuggestionNotFound
            | Code::ProviderNotFound
            | Code::KeyNotFound
            | Code::KeyInactive
            | Code::MethodNotAllowed
            | Code::BodyTimeout
            | Code::UserExists
            | Code::BriefUnknown
            | Code::VariantsFull
            | Code::VariantsExhausted
            | Code::Conflict
            | Code::IdempotencyInFlight
            | Code::IdempotencyKeyReused
            | Code::VersionMismatch
            | Code::PreconditionRequired
            | Code::ContentRefused
            | Code::Internal
            | Code::StreamCut
            | Code::Starting
            | Code::ShuttingDown => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Code::InvalidRequest, 2)]
    #[case(Code::StoreUnavailable, 3)]
    #[case(Code::ProviderAuth, 4)]
    #[case(Code::ProviderTimeout, 5)]
    #[case(Code::RateLimited, 8)]
    #[case(Code::ProviderRateLimited, 8)]
    #[case(Code::UserNotFound, 1)]
    fn a_problem_ends_the_process_with_its_own_number(#[case] code: Code, #[case] number: u8) {
        assert_eq!(Exit::from(code).code(), number);
    }

    #[test]
    fn no_failure_looks_like_success() {
        for code in Code::ALL {
            assert_ne!(Exit::from(*code).code(), 0, "{}", code.as_str());
        }
    }
}
