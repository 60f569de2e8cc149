//! Error documents of every shape, and what they mean.

use std::time::Duration;

use captions_domain::fault::{Fault, FaultKind, LlmError, Rejection};
use serde_json::Value;

use crate::{
    dialect::{Complaint, Parameter},
    wait,
};

/// The longest detail, in characters.
const MAX_DETAIL: usize = 200;

/// What an error document says. Its message is only searched, never shown: it may quote the prompt or the key.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) code: Option<String>,
    pub(crate) kind: Option<String>,
    param: Option<String>,
    /// Fields named by their place in the request.
    places: Vec<String>,
    /// Everything else that is text, in lower case.
    text: String,
    moderated: bool,
    wait: Option<Duration>,
}

impl Document {
    /// Reads the body of a failed response: an error object, a list of them, a bare string, HTML, or rubbish.
    pub(crate) fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(document) => Self::read(&document),
            Err(_) => Self {
                text: String::from_utf8_lossy(body).to_lowercase(),
                ..Self::default()
            },
        }
    }

    /// The error inside a document that came with a success status, if there is one.
    pub(crate) fn within(document: &Value) -> Option<Self> {
        let first = document.get(0).unwrap_or(document);
        let error = &first["error"];
        let told = error.is_object() || error.as_str().is_some_and(|text| !text.is_empty());
        (told || first["object"] == "error" || first["type"] == "error").then(|| Self::read(document))
    }

    fn read(document: &Value) -> Self {
        let document = document.get(0).unwrap_or(document);
        let error = document
            .get("error")
            .filter(|error| !error.is_null())
            .unwrap_or(document);
        let word = |name: &str| match error.get(name).or_else(|| document.get(name))? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let mut read = Self {
            code: word("code"),
            kind: word("type").or_else(|| word("status")),
            param: word("param"),
            ..Self::default()
        };
        let mut text = String::new();
        if let Some(message) = error.as_str() {
            text.push_str(message);
        }
        for name in ["message", "detail", "msg"] {
            read.gather(&error[name], &mut text);
            if !std::ptr::eq(error, document) {
                read.gather(&document[name], &mut text);
            }
        }
        if let Some(inner) = error.pointer("/innererror/code").and_then(Value::as_str) {
            text = format!("{text} {inner}");
        }
        // A gateway's own error around the provider's.
        if let Some(raw) = error.pointer("/metadata/raw").and_then(Value::as_str) {
            text = format!("{text} {raw}");
        }
        read.text = text.to_lowercase();
        read.moderated =
            error.pointer("/metadata/flagged_input").is_some() || error.pointer("/metadata/reasons").is_some();
        read.wait = error["details"]
            .as_array()
            .and_then(|details| details.iter().find_map(|detail| detail["retryDelay"].as_str()))
            .and_then(wait::told);
        read
    }

    /// Adds a message: a string, a list of broken rules with their places, or either inside `detail`.
    fn gather(&mut self, message: &Value, text: &mut String) {
        match message {
            Value::String(said) => {
                text.push(' ');
                text.push_str(said);
            }
            Value::Array(rules) => {
                for rule in rules {
                    let place = rule["loc"]
                        .as_array()
                        .and_then(|loc| loc.iter().filter_map(Value::as_str).find(|p| *p != "body"));
                    self.places.extend(place.map(Into::into));
                    if self.code.is_none() {
                        self.code = rule["type"].as_str().map(Into::into);
                    }
                    self.gather(&rule["msg"], text);
                }
            }
            Value::Object(inner) => {
                if let Some(detail) = inner.get("detail") {
                    self.gather(detail, text);
                }
            }
            _ => {}
        }
    }

    fn names(&self) -> impl Iterator<Item = String> {
        [&self.code, &self.kind]
            .into_iter()
            .flatten()
            .map(|name| name.to_lowercase())
    }

    fn is_named(&self, names: &[&str]) -> bool {
        self.names().any(|name| names.contains(&name.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(phrase))
    }
}

/// A call that the provider answered with an error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The HTTP status, or the one that an error told with status 200 amounts to.
    pub(crate) status: u16,
    pub(crate) document: Document,
    /// How long the headers ask us to wait.
    pub(crate) wait: Option<Duration>,
}

const TOO_LONG: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];
const TOO_LONG_TEXT: [&str; 11] = [
    "context length",
    "maximum context",
    "context window",
    "context size",
    "context_length",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "token count exceeds",
    "input token count",
    "too many input tokens",
];
const REFUSED: [&str; 5] = [
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "data_inspection_failed",
    "responsibleaipolicyviolation",
];
const BILLING: [&str; 7] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient_balance",
    "insufficient_credits",
    "spend_limit_exceeded",
];
const BILLING_TEXT: [&str; 3] = ["credit balance", "spend limit", "insufficient balance"];

/// Any other value would be refused too.
const ONLY_THE_DEFAULT: [&str; 2] = ["only the default", "only supports the default"];
const PARAMETER_REFUSED: [&str; 5] = [
    "unsupported_parameter",
    "unknown_parameter",
    "unrecognized_parameter",
    "extra_forbidden",
    "unexpected_parameter",
];
const PARAMETER_REFUSED_TEXT: [&str; 14] = [
    "unsupported",
    "not supported",
    "does not support",
    "doesn't support",
    "unknown",
    "unrecognized",
    "unrecognised",
    "unexpected",
    "not permitted",
    "not allowed",
    "cannot find field",
    "no such",
    "deprecated",
    "instead",
];
const VALUE_REFUSED: [&str; 8] = [
    "unsupported_value",
    "invalid_value",
    "integer_above_max_value",
    "integer_below_min_value",
    "decimal_above_max_value",
    "decimal_below_min_value",
    "less_than_equal",
    "greater_than_equal",
];
const VALUE_REFUSED_TEXT: [&str; 15] = [
    "unsupported value",
    "invalid value",
    "value is not supported",
    "too large",
    "too high",
    "too small",
    "must be",
    "should be",
    "less than",
    "greater than",
    "at most",
    "at least",
    "maximum",
    "range",
    "exceed",
];

/// Too much to do for all of its callers together, and not too many calls of ours.
const OVERLOADED: [&str; 3] = ["overloaded_error", "overloaded", "engine_overloaded"];

/// What names stand for where no status says it.
const STATUS_OF: [(u16, &[&str]); 10] = [
    (400, &REFUSED),
    (400, &TOO_LONG),
    (402, &BILLING),
    (
        429,
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "too_many_requests",
            "resource_exhausted",
        ],
    ),
    (
        401,
        &[
            "invalid_api_key",
            "authentication_error",
            "unauthorized",
            "unauthenticated",
            "permission_error",
            "permission_denied",
        ],
    ),
    (404, &["model_not_found", "not_found_error", "not_found"]),
    (
        504,
        &["timeout", "request_timeout", "timeout_error", "deadline_exceeded"],
    ),
    (
        400,
        &[
            "invalid_request_error",
            "bad_request",
            "bad_request_error",
            "invalid_argument",
        ],
    ),
    (503, &OVERLOADED),
    (
        503,
        &[
            "server_error",
            "api_error",
            "internal_server_error",
            "service_unavailable",
            "unavailable",
        ],
    ),
];

impl Failure {
    /// A failure told inside a response with a success status. Unknown ones count as the provider's own breakdown.
    pub(crate) fn told(document: Document, wait: Option<Duration>) -> Self {
        let number = document
            .code
            .as_deref()
            .and_then(|code| code.parse().ok())
            .filter(|code| (400..600).contains(code));
        // The code says more than the type.
        let named = || {
            document
                .names()
                .find_map(|name| STATUS_OF.iter().find(|(_, names)| names.contains(&name.as_str())))
                .map(|(status, _)| *status)
        };
        Self {
            status: number.or_else(named).unwrap_or(502),
            document,
            wait,
        }
    }

    /// What it means for the caller.
    pub(crate) fn error(&self) -> LlmError {
        let document = &self.document;
        let client_side = (400..500).contains(&self.status);
        if client_side
            && (document.is_named(&REFUSED) || document.says(&["responsibleaipolicyviolation"]) || document.moderated)
        {
            return LlmError::Refused;
        }
        if self.is_too_long() {
            return LlmError::TooLong;
        }
        if self.status == 402 || client_side && (document.is_named(&BILLING) || document.says(&BILLING_TEXT)) {
            return self.rejected(Rejection::Billing);
        }
        if document.is_named(&["json_validate_failed"]) {
            return LlmError::unusable("the provider says that its model kept to no JSON");
        }
        let wait = self.wait.max(document.wait);
        let kind = match self.status {
            401 | 403 => return self.rejected(Rejection::Auth),
            408 | 504 | 524 => FaultKind::Timeout,
            429 => FaultKind::RateLimited { retry_after: wait },
            500.. => FaultKind::Unavailable,
            _ => return self.rejected(Rejection::Request),
        };
        let mut fault = Fault::because(kind, self.detail());
        if let Some(wait) = wait {
            fault = fault.with_retry_after(wait);
        }
        if self.status == 529 || document.is_named(&OVERLOADED) {
            fault = fault.by_overload();
        }
        fault.into()
    }

    fn is_too_long(&self) -> bool {
        let document = &self.document;
        self.status == 413
            || document.is_named(&TOO_LONG)
            // Some servers tell it as a breakdown of their own.
            || matches!(self.status, 400 | 422 | 500) && document.says(&TOO_LONG_TEXT)
    }

    fn rejected(&self, kind: Rejection) -> LlmError {
        LlmError::Rejected {
            kind,
            detail: self.detail(),
        }
    }

    /// Status, code, type and parameter, as far as they look like names and not like text.
    fn detail(&self) -> String {
        let document = &self.document;
        let mut detail = format!("HTTP {}", self.status);
        let mut told = vec![self.status.to_string()];
        for word in [&document.code, &document.kind, &document.param].into_iter().flatten() {
            if is_name(word) && !told.contains(word) {
                detail = format!("{detail} {word}");
                told.push(word.clone());
            }
        }
        match self.status {
            300..400 => detail += ": the base URL redirects; name the final address",
            404 => detail += ": check the base URL (usually ending in /v1) and the model's name",
            _ => {}
        }
        detail.chars().take(MAX_DETAIL).collect()
    }

    /// The parameters of the request `sent` that it complains about; empty if it is about something else.
    pub(crate) fn complaints(&self, sent: &Value) -> Vec<Complaint> {
        // Two known servers break down over a response format instead of refusing it.
        let about_structure_only = matches!(self.status, 500 | 501);
        if !matches!(self.status, 400 | 422) && !about_structure_only
            || matches!(
                self.error(),
                LlmError::Refused | LlmError::TooLong | LlmError::Unusable { .. }
            )
        {
            return Vec::new();
        }
        let refused = self.refuses_a_parameter();
        Parameter::ALL
            .into_iter()
            .filter(|parameter| !about_structure_only || *parameter == Parameter::Structure)
            .filter(|parameter| {
                let mut fields = parameter.fields().iter().filter(|field| sent.get(**field).is_some());
                fields.any(|field| self.names_field(field, *parameter))
            })
            .map(|about| Complaint {
                about,
                for_good: match about {
                    Parameter::TokenLimit | Parameter::Temperature | Parameter::Seed => refused,
                    // What we send of these never differs from call to call.
                    Parameter::Structure | Parameter::StreamUsage | Parameter::Thinking | Parameter::Store => true,
                },
            })
            .collect()
    }

    fn names_field(&self, field: &str, parameter: Parameter) -> bool {
        let document = &self.document;
        let first = |path: &str| path.split(['.', '[', '/']).next().unwrap_or_default().to_owned();
        if let Some(param) = &document.param {
            return first(param) == field;
        }
        if !document.places.is_empty() {
            return document.places.iter().any(|place| place == field);
        }
        let text = &document.text;
        match parameter {
            Parameter::Structure => {
                let words = [
                    "response_format",
                    "response format",
                    "json_schema",
                    "json schema",
                    "json_object",
                    "grammar",
                ];
                words.iter().any(|word| text.contains(word))
            }
            // These are words of the language too, so only the quoted ones are names.
            Parameter::Seed | Parameter::Store | Parameter::Thinking if !field.contains('_') => ['\'', '"', '`']
                .iter()
                .any(|quote| text.contains(&format!("{quote}{field}{quote}"))),
            _ => contains_word(text, field),
        }
    }

    /// True if it says that a parameter is unknown or unsupported, whatever its value. Where that is not plain, it counts
    /// as a complaint about the value, which teaches nothing.
    fn refuses_a_parameter(&self) -> bool {
        let document = &self.document;
        // Of several complaints only the first one's code is known.
        let code_counts = document.places.len() < 2 || !document.says(&VALUE_REFUSED_TEXT);
        if document.says(&ONLY_THE_DEFAULT) || code_counts && document.is_named(&PARAMETER_REFUSED) {
            return true;
        }
        !document.is_named(&VALUE_REFUSED)
            && !document.says(&VALUE_REFUSED_TEXT)
            && document.says(&PARAMETER_REFUSED_TEXT)
    }
}

fn contains_word(text: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        !text[..start].ends_with(part_of_name) && !text[start + word.len()..].starts_with(part_of_name)
    })
}

/// The form of codes and types: no text and no key passes for one.
fn is_name(word: &str) -> bool {
    (1..=64).contains(&word.len())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !word.starts_with("sk-")
        && (word.len() <= 20 || !word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
