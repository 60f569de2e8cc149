//! The one table of failures: what each is called, whose fault its status says it is, and what helps.

use std::{str::FromStr, time::Duration};

/// Declares the table. A row is: variant = name, status, retry (`never`, or the wait in milliseconds where nobody
/// named another one), title, suggestion.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $retry:expr, $title:literal, $suggestion:literal;)+) => {
        /// Everything that can go wrong, by its stable name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The HTTP status. 4xx is the caller's move; what went wrong behind us is never 4xx.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// One line of words, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What to do about it.
            pub const fn suggestion(self) -> &'static str {
                match self { $(Self::$variant => $suggestion),+ }
            }

            const fn retry(self) -> Retry {
                match self { $(Self::$variant => $retry),+ }
            }
        }

        impl FromStr for Code {
            type Err = UnknownCode;

            fn from_str(name: &str) -> Result<Self, UnknownCode> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownCode),
                }
            }
        }
    };
}

/// A name that stands for no code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCode;

/// Whether the same request may be sent again.
enum Retry {
    /// It would fail again.
    Never,
    /// At once or whenever the caller likes.
    Soon,
    /// After this many milliseconds, where nobody named another wait.
    After(u64),
}

use Retry::{After, Never, Soon};

codes! {
    InvalidJson = "invalid_json", 400, Never, "The body is not JSON",
        "Send one JSON object in UTF-8, nested at most 100 deep.";
    InvalidParameter = "invalid_parameter", 400, Never, "A parameter or header cannot be read",
        "Correct the parameter or header that the detail names.";
    InvalidCursor = "cursor_invalid", 400, Never, "The cursor is not one of ours",
        "Pass next_cursor on unchanged, or leave it out to start with the newest.";
    RouteNotFound = "route_not_found", 404, Never, "There is nothing at this address",
        "GET /openapi.json lists every address.";
    CaptionNotFound = "caption_not_found", 404, Never, "There is no such caption",
        "Check the id; captions of store: false are not kept.";
    UserNotFound = "user_not_found", 404, Never, "There is no such user",
        "Create the user with POST /v1/users.";
    SuggestionNotFound = "suggestion_not_found", 404, Never, "There is no such suggestion",
        "Read GET /v1/users/{id}/suggestions again; an accepted or outdated one is gone.";
    BatchNotFound = "batch_not_found", 404, Never, "There is no such batch",
        "Check the id; a batch is removed some days after its end.";
    MethodNotAllowed = "method_not_allowed", 405, Never, "This address does not know the method",
        "The Allow header lists the methods.";
    BodyTimeout = "body_timeout", 408, Soon, "The body did not arrive in time",
        "Send the body without long pauses.";
    UserExists = "user_exists", 409, Never, "The user exists already",
        "Change it with PATCH /v1/users/{id}.";
    Conflict = "conflict", 409, Soon, "Somebody else wrote at the same time",
        "Read again and repeat the change.";
    BatchNotReady = "batch_not_ready", 409, After(5000), "The batch is not over",
        "Wait with GET /v1/batches/{id}?wait=30, or ask for what there is with partial=true.";
    VersionMismatch = "version_mismatch", 412, Never, "The version is another one",
        "Read again; its ETag is the version to put into If-Match.";
    BodyTooLarge = "body_too_large", 413, Never, "The body is too large",
        "Send less; the detail names the limit.";
    UnsupportedMediaType = "unsupported_media_type", 415, Never, "The body is not declared as JSON",
        "Send Content-Type: application/json.";
    InvalidRequest = "invalid_request", 422, Never, "The request breaks a rule",
        "Correct the fields that errors lists.";
    ContentRefused = "content_refused", 422, Never, "The provider refused the content",
        "Describe the post in another way.";
    PromptTooLong = "prompt_too_long", 422, Never, "The request is too long for the model",
        "Shorten the description, the instructions or the lists of words, or ask for fewer variants.";
    RateLimited = "rate_limited", 429, After(1000), "Too many requests",
        "Try again after the wait; RateLimit tells what is left of each limit.";
    Internal = "internal", 500, Never, "A fault of ours",
        "Report it with the request_id.";
    StoreCorrupt = "store_corrupt", 500, Never, "Stored data cannot be read",
        "Report it with the request_id.";
    ProviderAuth = "provider_auth", 502, Never, "The provider does not accept our key",
        "The operator has to set a valid key for the provider.";
    ProviderBilling = "provider_billing", 502, Never, "The provider's quota is used up",
        "The operator has to add credit with the provider.";
    ProviderRejected = "provider_rejected", 502, Never, "The provider does not support the request",
        "The operator has to check the provider's model name and settings.";
    ProviderBadOutput = "provider_bad_output", 502, Soon, "The provider's answer cannot be used",
        "Try again, or ask for another provider.";
    ProviderUnavailable = "provider_unavailable", 502, After(1000), "The provider cannot be reached",
        "Try again later.";
    ProviderRateLimited = "provider_rate_limited", 503, After(5000), "The provider asks for fewer calls",
        "Try again after the wait.";
    ProviderCircuitOpen = "provider_circuit_open", 503, After(1000), "The provider is left alone for a while",
        "Try again after the wait.";
    Overloaded = "overloaded", 503, After(1000), "Too much work at once",
        "Try again after the wait.";
    StoreUnavailable = "store_unavailable", 503, After(1000), "The store cannot be reached",
        "Try again later.";
    Starting = "starting", 503, After(1000), "The server is starting",
        "Try again after the wait.";
    ShuttingDown = "shutting_down", 503, After(1000), "The server is stopping",
        "Try again; another server answers.";
    ProviderTimeout = "provider_timeout", 504, Soon, "No answer in time",
        "Try again, or allow more time.";
}

impl Code {
    /// True if the same request may well succeed later.
    pub const fn is_retryable(self) -> bool {
        !matches!(self.retry(), Never)
    }

    /// How long to wait where nobody named another wait.
    pub const fn retry_after(self) -> Option<Duration> {
        match self.retry() {
            Never | Soon => None,
            After(millis) => Some(Duration::from_millis(millis)),
        }
    }
}
