//! The OpenAPI 3.1 document: operations from the handlers, schemas from the wire contract, problems from the table. What
//! every operation has in common is added by [`complete`].

mod complete;

use std::{collections::BTreeMap, sync::LazyLock};

use captions_api::problem::{Code, Problem};
use http::Method;
use serde_json::Value;
use utoipa::{
    IntoResponses, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, Object, Ref, RefOr, Required, Response, ResponseBuilder, Type,
        example::ExampleBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
    },
};

pub(crate) use complete::complete;

use crate::once::SECRETS;

/// A request and an answer by operation, status and media type, and problems by code, recorded from a
/// server by the tests (`tests/it/examples.rs`).
static EXAMPLES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("openapi/examples.json")).unwrap_or_default());

/// The operation of an address, if the document has it.
pub(crate) fn operation_mut<'d>(
    document: &'d mut utoipa::openapi::OpenApi,
    method: &Method,
    path: &str,
) -> Option<&'d mut Operation> {
    let item = document.paths.paths.get_mut(path)?;
    match *method {
        Method::GET => item.get.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::PATCH => item.patch.as_mut(),
        Method::DELETE => item.delete.as_mut(),
        _ => None,
    }
}

/// The document without its operations, which the router adds.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Captions",
        version = "1.0.0",
        description = "Captions for social media posts: ready to publish, with hashtags, an explained score and honest numbers. Failures are problem details (RFC 9457); branch on `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Problem)),
    tags(
        (name = "captions", description = "Write and read captions"),
        (name = "batches", description = "Many captions that nobody waits for"),
        (name = "texts", description = "Judge texts by rules, without a model"),
        (name = "users", description = "Users and their standing wishes"),
        (name = "limits", description = "How much a caller may ask"),
        (name = "keys", description = "The keys that open this API"),
        (name = "health", description = "The server itself")
    )
)]
pub(crate) struct Document;

/// Every request can end so.
const ALWAYS: &[Code] = &[
    Code::Internal,
    Code::Starting,
    Code::ShuttingDown,
    Code::InvalidParameter,
    Code::UriTooLong,
    Code::HeadersTooLarge,
];

const BODY: &[Code] = &[
    Code::InvalidJson,
    Code::BodyTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
];

/// Every address with a version asks who calls and can be asked too often.
const LIMITED: &[Code] = &[
    Code::Unauthenticated,
    Code::Forbidden,
    Code::RateLimited,
    Code::StoreUnavailable,
    Code::StoreCorrupt,
    Code::Overloaded,
];

const STORE: &[Code] = &[Code::StoreUnavailable, Code::StoreCorrupt, Code::Overloaded];

const PROVIDER: &[Code] = &[
    Code::ContentRefused,
    Code::PromptTooLong,
    Code::BudgetExceeded,
    Code::ProviderAuth,
    Code::ProviderBilling,
    Code::ProviderRejected,
    Code::ProviderBadOutput,
    Code::ProviderUnavailable,
    Code::ProviderRateLimited,
    Code::ProviderCircuitOpen,
    Code::Overloaded,
    Code::ProviderTimeout,
];

/// Declares the problems of one kind of operation.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $($codes:expr),+;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let codes: &[&[Code]] = &[$($codes),+];
                    by_status(&codes.concat())
                }
            }
        )+
    };
}

problems! {
    /// Of an operation that writes a caption.
    Generating = ALWAYS, LIMITED, BODY, PROVIDER;
    /// Of an operation that writes a caption and tells it by and by.
    Streaming = ALWAYS, LIMITED, BODY, PROVIDER, &[Code::StreamCut];
    /// Of an operation that changes a given caption.
    Rewriting = ALWAYS, LIMITED, BODY, PROVIDER;
    /// Of an operation that changes a stored caption.
    RewritingStored = ALWAYS, LIMITED, BODY, PROVIDER, &[Code::StoreUnavailable, Code::StoreCorrupt, Code::CaptionNotFound];
    /// Of an operation that judges a text without anybody's help.
    Judging = ALWAYS, LIMITED, BODY;
    /// Of an operation that judges a text for somebody.
    Scoring = ALWAYS, LIMITED, BODY, STORE;
    /// Of an operation that reads one caption.
    ReadingCaption = ALWAYS, LIMITED, STORE, &[Code::CaptionNotFound];
    /// Of an operation that picks a variant.
    PickingVariant = ALWAYS, LIMITED, BODY, STORE, &[Code::CaptionNotFound, Code::VersionMismatch, Code::PreconditionRequired];
    /// Of an operation that writes more variants.
    WritingMore = ALWAYS, LIMITED, BODY, PROVIDER, STORE, &[Code::CaptionNotFound, Code::VersionMismatch, Code::Conflict, Code::BriefUnknown, Code::VariantsFull, Code::VariantsExhausted];
    /// Of an operation that erases a caption.
    ErasingCaption = ALWAYS, LIMITED, STORE, &[Code::VersionMismatch];
    /// Of an operation that sends all captions.
    Exporting = ALWAYS, LIMITED, STORE;
    /// Of an operation that tells of a caption.
    GivingFeedback = ALWAYS, LIMITED, BODY, STORE, &[Code::CaptionNotFound];
    /// Of an operation that reads a list of captions.
    ReadingHistory = ALWAYS, LIMITED, STORE, &[Code::InvalidCursor];
    /// Of an operation that creates a user.
    CreatingUser = ALWAYS, LIMITED, BODY, STORE, &[Code::UserExists];
    /// Of an operation that lists users.
    ListingUsers = ALWAYS, LIMITED, STORE, &[Code::InvalidCursor];
    /// Of an operation that reads of a user.
    ReadingUser = ALWAYS, LIMITED, STORE, &[Code::UserNotFound];
    /// Of an operation that removes of a user.
    ErasingUser = ALWAYS, LIMITED, STORE, &[Code::UserNotFound, Code::Conflict, Code::VersionMismatch];
    /// Of an operation that changes a user.
    ChangingUser = ALWAYS, LIMITED, BODY, STORE, &[Code::UserNotFound, Code::Conflict, Code::VersionMismatch];
    /// Of an operation that replaces something of a user's.
    ReplacingOfUser = ALWAYS, LIMITED, BODY, STORE, &[Code::UserNotFound, Code::Conflict, Code::VersionMismatch, Code::PreconditionRequired];
    /// Of an operation that makes a suggested change.
    AcceptingSuggestion = ALWAYS, LIMITED, STORE, &[Code::UserNotFound, Code::SuggestionNotFound, Code::Conflict, Code::VersionMismatch, Code::InvalidRequest];
    /// Of a call to a provider that is named.
    Probing = ALWAYS, LIMITED, &[Code::ProviderNotFound, Code::ProviderTimeout];
    /// Of an operation that makes a key.
    CreatingKey = ALWAYS, LIMITED, BODY;
    /// Of an operation that lists keys.
    ListingKeys = ALWAYS, LIMITED, &[Code::InvalidCursor];
    /// Of an operation on one key.
    ReadingKey = ALWAYS, LIMITED, &[Code::KeyNotFound];
    /// Of an operation that changes a key.
    PatchingKey = ALWAYS, LIMITED, BODY, &[Code::KeyNotFound];
    /// Of an operation that replaces a key.
    ChangingKey = ALWAYS, LIMITED, BODY, &[Code::KeyNotFound, Code::KeyInactive];
    /// Of an operation that dismisses one.
    DismissingSuggestion = ALWAYS, LIMITED, STORE, &[Code::UserNotFound, Code::SuggestionNotFound, Code::Conflict, Code::VersionMismatch];
    /// Of an operation that takes a batch.
    SubmittingBatch = ALWAYS, LIMITED, BODY, STORE, &[Code::BatchesFull];
    /// Of an operation that has what failed of a batch tried again.
    RetryingBatch = ALWAYS, LIMITED, STORE, &[Code::BatchNotFound, Code::BatchesFull];
    /// Of an operation that reads a list of batches.
    ListingBatches = ALWAYS, LIMITED, STORE, &[Code::InvalidCursor];
    /// Of an operation on one batch.
    ReadingBatch = ALWAYS, LIMITED, STORE, &[Code::BatchNotFound];
    /// Of an operation that reads the results of a batch.
    ReadingResults = ALWAYS, LIMITED, STORE, &[Code::BatchNotFound, Code::BatchNotReady];
    /// Of the figures.
    ReadingStats = ALWAYS, LIMITED;
    /// Of the usage.
    ReadingUsage = ALWAYS, LIMITED, STORE, &[Code::InvalidRequest, Code::InvalidCursor];
    /// Of the explanations of errors, and of every address that there is not.
    Explaining = ALWAYS, &[Code::RouteNotFound, Code::MethodNotAllowed];
}

/// Adds to everything that may be sent again with a key how that is done and how it is answered.
pub(crate) fn tell_keys(document: &mut utoipa::openapi::OpenApi) {
    let key = Object::builder().schema_type(Type::String);
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name for this one request, 1 to 255 visible ASCII characters, bare or as a string of RFC 8941. Sent again with \
             it, the request is not made a second time.",
        ))
        .schema(Some(key.build()))
        .build();
    let flag = |about: &str, value: &str| {
        let schema = Object::builder().schema_type(Type::String).enum_values(Some([value]));
        RefOr::T(
            HeaderBuilder::new()
                .schema(Some(schema.build()))
                .description(Some(about))
                .build(),
        )
    };
    let versioned = document
        .paths
        .paths
        .iter_mut()
        // What holds a secret is not kept.
        .filter(|(path, _)| path.starts_with("/v1/") && !path.starts_with(SECRETS));
    for operation in versioned.filter_map(|(_, item)| item.post.as_mut()) {
        operation.parameters.get_or_insert_default().push(RefOr::T(key.clone()));
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if status.starts_with('2') || status.starts_with('4') {
                let about = "Present if the answer was given before, to the same request with the same Idempotency-Key";
                response
                    .headers
                    .insert("Idempotency-Replayed".to_owned(), flag(about, "true"));
            }
            if status.starts_with('2') {
                let about = "Present if the answer could not be kept for the Idempotency-Key";
                response
                    .headers
                    .insert("Idempotency-Kept".to_owned(), flag(about, "false"));
            }
        }
        for code in [
            Code::IdempotencyInFlight,
            Code::IdempotencyKeyReused,
            Code::StoreUnavailable,
            Code::StoreCorrupt,
        ] {
            let all = &mut operation.responses.responses;
            match all.get_mut(&code.status().to_string()) {
                Some(RefOr::T(there)) if !there.description.contains(code.as_str()) => {
                    there.description = format!("{}; {}", there.description, described(code));
                }
                Some(_) => {}
                None => {
                    all.insert(code.status().to_string(), RefOr::T(response(&[code])));
                }
            }
        }
    }
}

fn described(code: Code) -> String {
    format!("`{}`: {}", code.as_str(), code.title())
}

/// One response a status, which names its codes.
fn by_status(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut grouped: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let group = grouped.entry(code.status()).or_default();
        if !group.contains(code) {
            group.push(*code);
        }
    }
    grouped
        .into_iter()
        .map(|(status, codes)| (status.to_string(), RefOr::T(response(&codes))))
        .collect()
}

/// One that was recorded, else one like it.
fn example_of(code: Code) -> Value {
    let recorded = &EXAMPLES["problems"][code.as_str()];
    if !recorded.is_null() {
        return recorded.clone();
    }
    let problem = Problem::new(code, format!("{}: what happened this time", code.title()));
    let problem = problem.of_request("req_01890000000070008000000000000001", "/v1/...");
    serde_json::to_value(problem).unwrap_or_default()
}

fn response(codes: &[Code]) -> Response {
    let described: Vec<String> = codes.iter().map(|code| described(*code)).collect();
    let examples = codes.iter().map(|code| {
        let example = ExampleBuilder::new().value(Some(example_of(*code)));
        (code.as_str(), example.build())
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Problem::name())))
        .examples_from_iter(examples)
        .build();
    ResponseBuilder::new()
        .description(described.join("; "))
        .content("application/problem+json", content)
        .build()
}
