//! The one table of failures: what each is called, whose fault its status says it is, and what helps.

use std::{str::FromStr, time::Duration};

/// Declares the table. A row is: variant = name, status, retry (`never`, or the wait in milliseconds where nobody
/// named another one), title, suggestion, cause.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $retry:expr, $title:literal, $suggestion:literal, $cause:literal;)+) => {
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

            /// How it comes to this, in general.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
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

/// The types of draft-ietf-httpapi-ratelimit-headers: a limit of the caller's is reached; less can be done than usual.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

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
        "Send one JSON object in UTF-8, nested at most 100 deep.",
        "What came as the body cannot be read as one JSON document: broken syntax, bytes that are not UTF-8, nothing at all, or a connection that broke off.";
    InvalidParameter = "invalid_parameter", 400, Never, "A parameter or header cannot be read",
        "Correct the parameter or header that the detail names.",
        "A part of the address, of the query or of the headers does not have the form that it must have.";
    InvalidCursor = "cursor_invalid", 400, Never, "The cursor is not one of ours",
        "Pass next_cursor on unchanged, or leave it out to start with the newest.",
        "The cursor was cut, changed or made up.";
    Unauthenticated = "unauthenticated", 401, Never, "Nobody knows who calls",
        "Send Authorization: Bearer and a key of `captions key create`.",
        "The request has no key, or one that is mistyped, unknown, expired or revoked.";
    Forbidden = "forbidden", 403, Never, "The key may not do this",
        "Use a key that has the scope, or have one made with it.",
        "The key is good, and what it is for does not include this address.";
    RouteNotFound = "route_not_found", 404, Never, "There is nothing at this address",
        "GET /openapi.json lists every address.",
        "No address of this version matches the path.";
    CaptionNotFound = "caption_not_found", 404, Never, "There is no such caption",
        "Check the id; captions of store: false are not kept.",
        "No caption is stored under this id: it never was, or it was erased.";
    UserNotFound = "user_not_found", 404, Never, "There is no such user",
        "Create the user with POST /v1/users.",
        "No user is registered under this id: none was created, or it was erased.";
    ProviderNotFound = "provider_not_found", 404, Never, "There is no such provider",
        "GET /v1/providers lists the names.",
        "No provider of this server has this name.";
    SuggestionNotFound = "suggestion_not_found", 404, Never, "There is no such suggestion",
        "Read GET /v1/users/{id}/suggestions again; an accepted or outdated one is gone.",
        "The feedback of the user does not make this suggestion at present.";
    KeyNotFound = "key_not_found", 404, Never, "There is no such key",
        "GET /v1/keys lists the keys of the tenant.",
        "The tenant has no key of this id; keys of other tenants are not told of.";
    BatchNotFound = "batch_not_found", 404, Never, "There is no such batch",
        "Check the id; a batch is removed some days after its end.",
        "No batch is kept under this id: it never was, or its end is longer ago than batches.retention.";
    MethodNotAllowed = "method_not_allowed", 405, Never, "This address does not know the method",
        "The Allow header lists the methods.",
        "The address exists for other methods.";
    BodyTimeout = "body_timeout", 408, Soon, "The body did not arrive in time",
        "Send the body without long pauses.",
        "The connection was open and the rest of the body did not come for too long: a slow line, or a client that waits for something itself.";
    UserExists = "user_exists", 409, Never, "The user exists already",
        "Change it with PATCH /v1/users/{id}.",
        "A user was created under this id before.";
    KeyInactive = "key_inactive", 409, Never, "The key opens nothing any more",
        "Create a new key, and submit with it what was not written of a batch.",
        "Only an active key can be replaced by a successor, and items of a batch are begun only while the key that it was submitted with, or one that took its place, is active; this one has expired or was revoked.";
    BriefUnknown = "brief_unknown", 409, Never, "What the caption was asked for with is not known",
        "Write a new caption with POST /v1/captions.",
        "The caption was stored by a version that kept no requests with captions. More like it might lack a disclosure or have a word that was to be avoided, so none are written.";
    VariantsFull = "variants_full", 409, Never, "The caption has all the variants that it can have",
        "Pick one of them, or write a new caption with regenerate: true.",
        "A stored caption has at most 30 variants.";
    VariantsExhausted = "variants_exhausted", 409, Never, "Nothing else can be written for the caption",
        "Pick one of its variants, write a new caption with more words of description, or have the operator set up a language model.",
        "This server has no language model in its chain, only templates, and all that they make of the brief is next to the same as what the caption has or its user has seen. They would write the same again.";
    Conflict = "conflict", 409, Soon, "Somebody else wrote at the same time",
        "Read again and repeat the change.",
        "Between reading and writing, another request changed the same thing, more than once in a row.";
    IdempotencyInFlight = "idempotency_in_flight", 409, After(1000), "The same request is being worked on",
        "Send it again with the same key after the wait.",
        "A request with this Idempotency-Key came in before and has no answer yet: it still runs, or its server died a moment ago.";
    BatchNotReady = "batch_not_ready", 409, After(5000), "The batch is not over",
        "Wait with GET /v1/batches/{id}?wait=30, or ask for what there is with partial=true.",
        "Some of its items have no outcome yet.";
    VersionMismatch = "version_mismatch", 412, Never, "The version is another one",
        "Read again; its ETag is the version to put into If-Match.",
        "If-Match names a version that is not the present one: something changed since it was read.";
    BodyTooLarge = "body_too_large", 413, Never, "The body is too large",
        "Send less; the detail names the limit.",
        "The body, or the picture in it, has more bytes than this server reads.";
    UriTooLong = "uri_too_long", 414, Never, "The address is too long",
        "Shorten path and query; the detail names the limit.",
        "Path and query together have more bytes than the server takes.";
    UnsupportedMediaType = "unsupported_media_type", 415, Never, "The body is not declared as JSON",
        "Send Content-Type: application/json.",
        "The Content-Type is missing, is another one than this address reads, or names another charset than UTF-8.";
    InvalidRequest = "invalid_request", 422, Never, "The request breaks a rule",
        "Correct the fields that errors lists.",
        "The JSON is well formed, but a field is unknown, missing, out of its range, or at odds with another one.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, Never, "The key stands for another request",
        "Take a new key for each new request, and send the same body again with the same key.",
        "This Idempotency-Key was used at this address with another body, query or kind of content.";
    ContentRefused = "content_refused", 422, Never, "The provider refused the content",
        "Describe the post in another way.",
        "The model's provider declined to write about this content. It was not asked for again, and nobody else was asked in its place.";
    PromptTooLong = "prompt_too_long", 422, Never, "The request is too long for the model",
        "Shorten the description, the instructions or the lists of words, or ask for fewer variants.",
        "Description, instructions and lists together are longer than what the model reads at once.";
    PreconditionRequired = "precondition_required", 428, Never, "The request does not say what it replaces",
        "Read it, and send its ETag as If-Match, or If-Match: * to replace whatever is there.",
        "The change would replace what others may have written since the caller read it, and If-Match is missing.";
    RateLimited = "rate_limited", 429, After(1000), "Too many requests",
        "Try again after the wait; RateLimit tells what is left of each limit.",
        "More was asked for than the limits of this server allow at once.";
    BudgetExceeded = "budget_exceeded", 429, After(3_600_000), "The budget is spent",
        "Wait for the next period, or ask whoever runs the server for a larger budget; GET /v1/limits shows both.",
        "What the calls for this request may cost does not fit into what is left of the budget of the caller's key or tenant for the day or the month. No call was made; retry_after_ms is the time until the next period.";
    BatchesFull = "batches_full", 429, After(60_000), "Too many items of batches are open",
        "Try again after the wait, with fewer items: GET /v1/batches shows what is open, and POST /v1/batches/{id}/cancel gives it up.",
        "The items that have no outcome yet, in all batches of the tenant, would with these be more than this server keeps for one tenant (batches.max_open_items).";
    HeadersTooLarge = "headers_too_large", 431, Never, "The headers are too large",
        "Send fewer or shorter headers; the detail names the limit.",
        "The headers of the request are more, or longer together, than the server takes: often cookies of another service, which this one has no use for.";
    Internal = "internal", 500, Never, "A fault of ours",
        "Report it with the request_id.",
        "Something happened that this program does not foresee.";
    StoreCorrupt = "store_corrupt", 500, Never, "Stored data cannot be read",
        "Report it with the request_id.",
        "What stands in the store under this id is not what this program writes there: another program wrote it, or it is damaged.";
    ProviderAuth = "provider_auth", 502, Never, "The provider does not accept our key",
        "The operator has to set a valid key for the provider.",
        "The key that this server uses with the provider is missing, wrong or withdrawn.";
    ProviderBilling = "provider_billing", 502, Never, "The provider's quota is used up",
        "The operator has to add credit with the provider.",
        "The account that this server has with the provider has no credit or no quota left.";
    ProviderRejected = "provider_rejected", 502, Never, "The provider does not support the request",
        "The operator has to check the provider's model name and settings.",
        "The provider refuses the form of our question: an unknown model, or a parameter that it does not take.";
    ProviderBadOutput = "provider_bad_output", 502, Soon, "The provider's answer cannot be used",
        "Try again, or ask for another provider.",
        "The provider answered, but with nothing that could be given: broken off, not in the form that was asked for, or against a rule of the platform, also after it was asked again.";
    ProviderUnavailable = "provider_unavailable", 502, After(1000), "The provider cannot be reached",
        "Try again later.",
        "No connection to the provider could be made, or it broke, or the provider says itself that it is out of order.";
    ProviderRateLimited = "provider_rate_limited", 503, After(5000), "The provider asks for fewer calls",
        "Try again after the wait.",
        "This server, not you, has asked the provider more often than it allows.";
    ProviderCircuitOpen = "provider_circuit_open", 503, After(1000), "The provider is left alone for a while",
        "Try again after the wait.",
        "The provider failed several times in a row. Until it has had time to recover it is not called.";
    Overloaded = "overloaded", 503, After(1000), "Too much work at once",
        "Try again after the wait.",
        "All places for work of this kind are taken, and so is the queue before them.";
    StoreUnavailable = "store_unavailable", 503, After(1000), "The store cannot be reached",
        "Try again later.",
        "The database did not answer, or not in time.";
    StreamCut = "stream_cut", 503, After(1000), "The stream was cut off",
        "Send the request again without Last-Event-ID.",
        "Another server wrote the stream that was taken up here, and gave it up: whoever had asked for it left, or that server ended.";
    Starting = "starting", 503, After(1000), "The server is starting",
        "Try again after the wait.",
        "The process is up and still connects its parts.";
    ShuttingDown = "shutting_down", 503, After(1000), "The server is stopping",
        "Try again; another server answers.",
        "The process was told to stop. It finishes what has begun and takes nothing new.";
    ProviderTimeout = "provider_timeout", 504, Soon, "No answer in time",
        "Try again, or allow more time.",
        "The caption was not there before the deadline: the provider is slow, or Request-Timeout-Ms left it too little time.";
}

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Whoever asks: by asking otherwise, later or less.
    Caller,
    /// Whoever runs this server: by changing its settings or its contracts.
    Operator,
    /// The model's provider.
    Provider,
    /// This service itself, its store included.
    Service,
}

impl Whose {
    pub const ALL: [Self; 4] = [Self::Caller, Self::Operator, Self::Provider, Self::Service];

    /// The name in problems.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Provider => "provider",
            Self::Service => "service",
        }
    }

    /// The name in a sentence.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Caller => "yours: the request has to change, or to wait",
            Self::Operator => "that of whoever runs this server; the request is fine",
            Self::Provider => "the model provider's; the request is fine",
            Self::Service => "ours; the request is fine",
        }
    }
}

impl Code {
    /// Where the code is explained, relative to the server.
    pub fn page(self) -> String {
        format!("/errors/{}", self.as_str())
    }

    /// The problem type: that of the `RateLimit` draft where it has one, else the code's own page.
    pub fn kind(self) -> String {
        match self {
            Self::ProviderCircuitOpen | Self::Overloaded => REDUCED_CAPACITY.to_owned(),
            _ if self.status() == 429 => QUOTA_EXCEEDED.to_owned(),
            _ => self.page(),
        }
    }

    /// Whose fault it is. What a status of 4xx says is the caller's to mend.
    pub const fn fault(self) -> Whose {
        match self {
            Self::ProviderAuth | Self::ProviderBilling | Self::ProviderRejected => Whose::Operator,
            Self::ProviderBadOutput
            | Self::ProviderUnavailable
            | Self::ProviderRateLimited
            | Self::ProviderCircuitOpen
            | Self::ProviderTimeout => Whose::Provider,
            _ if self.status() < 500 => Whose::Caller,
            _ => Whose::Service,
        }
    }

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
