//! What every operation of the document has in common, so that no handler repeats it: headers, parameters, examples.

use std::collections::BTreeSet;

use captions_api::problem::Code;
use captions_domain::choice::Platform;
use serde_json::{Map, Value, json};

use super::EXAMPLES;

/// Operations whose answers tell who answered.
const CREDITED: [&str; 5] = [
    "create_caption",
    "stream_caption",
    "write_variants",
    "rewrite",
    "rewrite_caption",
];
/// Those of them that tell of the cache, too.
const CACHED: [&str; 3] = ["create_caption", "stream_caption", "write_variants"];

/// A header or parameter: name, description, type, example.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// What names of users and providers look like.
const NAME: &str = "^[A-Za-z0-9_-]{1,100}$";

/// A key bare, or as a string of RFC 8941: 1 to 255 visible characters, with spaces only between them.
const IDEMPOTENCY_KEY: &str =
    r#"^([!#-~]([ -~]{0,253}[!-~])?|"([!#-\[\]-~]|\\["\\])(([ !#-\[\]-~]|\\["\\]){0,253}([!#-\[\]-~]|\\["\\]))?")$"#;

const HEADERS: [Row; 20] = [
    (
        "x-request-id",
        "The name of the request: the caller's, if it can stand in a log, else a new one",
        "string",
        "req_01890000000070008000000000000001",
    ),
    (
        "server-timing",
        "Milliseconds spent in the parts that were measured, and in total",
        "string",
        "auth;dur=0.1, prefs;dur=0.3, cache;dur=0.2, llm;dur=812.4, hashtags;dur=0.2, score;dur=0.9, store;dur=1.1, total;dur=815.0",
    ),
    (
        "cache-control",
        "Captions and users are personal data: no-store, unless an answer is nobody's in particular",
        "string",
        "no-store",
    ),
    (
        "RateLimit",
        "Where callers are limited: what is left of each limit, and in how many seconds all of it is there again",
        "string",
        "\"requests-minute\";r=97;t=2",
    ),
    (
        "RateLimit-Policy",
        "Where callers are limited: each limit, and its seconds",
        "string",
        "\"requests-minute\";q=100;w=60",
    ),
    ("Retry-After", "Seconds to wait, where waiting helps", "integer", "1"),
    ("retry-after-ms", "The same in milliseconds", "integer", "1000"),
    (
        "x-should-retry",
        "Whether the same request may succeed later",
        "boolean",
        "true",
    ),
    ("captions-provider", "Who answered", "string", "primary"),
    ("captions-model", "The model that answered", "string", "some-model"),
    (
        "captions-attempts",
        "Provider calls begun for the answer; 0 from the cache",
        "integer",
        "1",
    ),
    (
        "captions-fallback",
        "Who stood in: none, cache, provider:<name>, local, template, stale, rules",
        "string",
        "none",
    ),
    (
        "captions-degraded",
        "What went less well than it should, if anything did",
        "string",
        "history_delayed",
    ),
    (
        "cache-status",
        "What the cache did (RFC 9211)",
        "string",
        "captions; hit; ttl=271",
    ),
    ("age", "Seconds since a cached answer was written", "integer", "12"),
    (
        "WWW-Authenticate",
        "How to say who calls (RFC 6750)",
        "string",
        "Bearer",
    ),
    (
        "deprecation",
        "Since when the address is outdated (RFC 9745)",
        "string",
        "@1795996800",
    ),
    (
        "sunset",
        "When it goes (RFC 8594)",
        "string",
        "Tue, 30 Nov 2027 00:00:00 GMT",
    ),
    (
        "link",
        "Where that is explained",
        "string",
        "</docs#healthz>; rel=\"deprecation\", </docs#healthz>; rel=\"sunset\"",
    ),
    ("Allow", "The methods that the address has", "string", "GET, POST"),
];

const PARAMETERS: [Row; 2] = [
    (
        "x-request-id",
        "A name for the request, to be found in answers and logs: 1-128 of A-Z a-z 0-9 _ -; any other is replaced",
        "string",
        "order-1234",
    ),
    (
        "Request-Timeout-Ms",
        "Answer within this many milliseconds; the server's own deadline stands if it is shorter",
        "integer",
        "5000",
    ),
];

/// The whole document, with what all operations share.
pub(crate) fn complete(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    // No handler answers anywhere else than where the document was read.
    document["servers"] = json!([{ "url": "/", "description": "This server" }]);
    let components = &mut document["components"];
    components["headers"] = HEADERS.map(|row| (row.0.to_owned(), value(row))).into_iter().collect();
    components["parameters"] = PARAMETERS
        .map(|row| {
            let mut parameter = value(row);
            parameter["name"] = row.0.into();
            parameter["in"] = "header".into();
            parameter["required"] = false.into();
            (row.0.to_owned(), parameter)
        })
        .into_iter()
        .collect();
    absent_may_be_null(&mut document);
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete_operation(path, operation);
        }
    }
    document
}

/// A field of a body that need not be there may as well be `null`: that is what many clients send for it.
fn absent_may_be_null(document: &mut Value) {
    let mut bodies = BTreeSet::new();
    for item in document["paths"].as_object().into_iter().flat_map(Map::values) {
        for operation in item.as_object().into_iter().flat_map(Map::values) {
            let contents = operation["requestBody"]["content"].as_object();
            let targets = contents.into_iter().flat_map(Map::values);
            bodies.extend(targets.filter_map(|content| content["schema"]["$ref"].as_str().map(str::to_owned)));
        }
    }
    for body in bodies {
        let Some(schema) = document.pointer_mut(body.trim_start_matches('#')) else {
            continue;
        };
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in members(schema.get_mut("properties")) {
            if !required.iter().any(|one| one == name) {
                allow_null(field);
            }
        }
    }
}

fn allow_null(schema: &mut Value) {
    if let Some(kind) = schema["type"].as_str().map(str::to_owned) {
        schema["type"] = json!([kind, "null"]);
        if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            choices.push(Value::Null);
        }
    } else if schema["$ref"].is_string() {
        *schema = json!({ "oneOf": [{ "type": "null" }, schema.take()] });
    }
}

/// What the values of the address and the headers have to look like. There they are never `null`.
fn refine(path: &str, parameter: &mut Value) {
    if parameter["name"] == "If-Match" {
        parameter["example"] = "*".into();
    }
    let schema = &mut parameter["schema"];
    if let Some(kinds) = schema["type"].as_array() {
        schema["type"] = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    if !schema["format"].is_null() {
        return;
    }
    let rules = match (parameter["in"].as_str(), parameter["name"].as_str()) {
        (Some("path"), Some("id")) if path.starts_with("/v1/users/") => json!({ "pattern": NAME }),
        (Some("query"), Some("user_id" | "provider")) => json!({ "pattern": NAME }),
        (Some("query"), Some("since" | "until" | "start" | "end")) => json!({ "format": "date-time" }),
        (Some("query"), Some("bucket")) => json!({ "enum": ["1h", "1d"] }),
        (Some("query"), Some("group_by")) => {
            json!({ "pattern": "^ *((provider|model|user|key) *(, *(provider|model|user|key) *)*)?$" })
        }
        (Some("query"), Some("platform")) => {
            json!({ "enum": Platform::NAMES })
        }
        (Some("query"), Some("language")) => json!({ "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" }),
        (Some("query"), Some("format")) => json!({ "enum": ["jsonl", "csv"] }),
        (Some("query"), Some("q")) => json!({ "minLength": 1, "maxLength": 200, "pattern": "\\S" }),
        (Some("query"), Some("cursor")) => json!({ "pattern": match path {
            "/v1/batches" => "^b[0-9a-f]{32}$",
            "/v1/keys" => "^k[0-9a-f]{32}$",
            "/v1/users" => "^u\\.[A-Za-z0-9_-]{1,100}$",
            _ => "^c[0-9a-f]{48}$",
        } }),
        (Some("header"), Some("If-Match")) => json!({ "minLength": 1, "pattern": "^(\\*|(W/)?\"[0-9a-f]{1,32}\")$" }),
        (Some("header"), Some("Idempotency-Key")) => json!({ "pattern": IDEMPOTENCY_KEY }),
        _ => return,
    };
    let rules = rules.as_object().into_iter().flatten();
    for (rule, value) in rules {
        parameter["schema"][rule] = value.clone();
    }
}

/// Each event of a stream, as tools that read them see it.
fn event() -> Value {
    json!({
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "id": { "type": "string" },
            "event": { "type": "string" },
            "data": { "type": "string", "description": "JSON, as the event's name says" }
        }
    })
}

fn value((name, description, kind, example): Row) -> Value {
    let example = match kind {
        "string" => Value::from(example),
        _ => serde_json::from_str(example).unwrap_or_default(),
    };
    let mut schema = json!({ "type": kind });
    if name == "Request-Timeout-Ms" {
        schema["maximum"] = u64::MAX.into();
    }
    if kind == "integer" {
        schema["minimum"] = u64::from(name == "Retry-After" || name == PARAMETERS[1].0).into();
    }
    json!({ "description": description, "schema": schema, "example": example })
}

fn complete_operation(path: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let is_limited = path.starts_with("/v1/");
    let mut parameters = vec!["x-request-id"];
    if is_limited {
        parameters.push("Request-Timeout-Ms");
    }
    let list = &mut operation["parameters"];
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        for parameter in list.iter_mut() {
            refine(path, parameter);
        }
        list.extend(
            parameters
                .iter()
                .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })),
        );
    }
    let own = &EXAMPLES[&id];
    let is_outdated = operation["deprecated"] == true;
    for (media_type, content) in members(operation.pointer_mut("/requestBody/content")) {
        set_example(content, &own["request"][media_type]);
    }
    for (status, response) in members(operation.get_mut("responses")) {
        let is_success = status.starts_with('2');
        let contents = response["content"].as_object();
        let is_stream = contents.is_some_and(|all| all.contains_key("text/event-stream"));
        let is_problem = contents.is_some_and(|all| all.contains_key("application/problem+json"));
        let mut told = vec!["x-request-id", "cache-control"];
        if is_stream {
            response["content"]["text/event-stream"]["schema"] = event();
        } else {
            told.push("server-timing");
        }
        if is_limited {
            told.extend(["RateLimit", "RateLimit-Policy"]);
        }
        if is_problem {
            told.push("x-should-retry");
            if Code::ALL
                .iter()
                .any(|code| code.status().to_string() == *status && code.is_retryable())
            {
                told.extend(["Retry-After", "retry-after-ms"]);
            }
        }
        if is_outdated {
            told.extend(["deprecation", "sunset", "link"]);
        }
        if status == "405" {
            told.push("Allow");
        }
        if matches!(&**status, "401" | "403") {
            told.push("WWW-Authenticate");
        }
        if is_success && CREDITED.contains(&&*id) && !is_stream {
            told.extend([
                "captions-provider",
                "captions-model",
                "captions-attempts",
                "captions-fallback",
                "captions-degraded",
            ]);
        }
        if is_success && CACHED.contains(&&*id) {
            told.push("cache-status");
            if !is_stream {
                told.push("age");
            }
        }
        for name in told {
            response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        if is_success {
            for (media_type, content) in members(response.get_mut("content")) {
                set_example(content, &own[status][media_type]);
            }
        }
    }
}

fn members(of: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    of.and_then(Value::as_object_mut).into_iter().flatten()
}

fn set_example(content: &mut Value, example: &Value) {
    if !example.is_null() {
        content["example"] = example.clone();
    }
}
