//! The OpenAPI document, and the same for people: a page made from it here, which needs nothing but itself.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::header;
use serde_json::{Map, Value};

use super::escape;
use crate::{openapi::Explaining, state::AppState};

/// Made once: none changes while the program runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| bytes(&crate::openapi()));
static DOCUMENT_WITHOUT_KEYS: LazyLock<Bytes> = LazyLock::new(|| bytes(&crate::openapi_without_keys()));
static PAGE: LazyLock<String> = LazyLock::new(|| body(&crate::openapi()));

/// Describe the API
///
/// This OpenAPI 3.1 document. Where the server asks for no keys, they are optional in it.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "read_openapi",
    tag = "health",
    responses((status = 200, description = "The document", body = Object), Explaining)
)]
pub(crate) async fn document(State(state): State<AppState>) -> Response {
    let document = if state.keys.as_ref().is_some_and(|keys| keys.required) {
        &DOCUMENT
    } else {
        &DOCUMENT_WITHOUT_KEYS
    };
    ([(header::CONTENT_TYPE, "application/json")], (*document).clone()).into_response()
}

fn bytes(document: &Value) -> Bytes {
    serde_json::to_vec(document).unwrap_or_default().into()
}

/// Describe the API to people
///
/// The same as a page, which loads nothing from anywhere.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "read_docs",
    tag = "health",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), Explaining)
)]
pub(crate) async fn page() -> Response {
    super::page("API", &PAGE)
}

fn body(document: &Value) -> String {
    let (mut contents, mut operations) = (String::new(), String::new());
    for tag in array(&document["tags"]) {
        let name = text(&tag["name"]);
        // Writing to a string cannot fail.
        let _ = write!(
            contents,
            "<h3>{}: {}</h3>\n<ul>\n",
            escape(name),
            inline(text(&tag["description"]))
        );
        let _ = writeln!(operations, "<h2>{}</h2>", escape(name));
        for (path, item) in object(&document["paths"]) {
            for (method, operation) in object(item) {
                if !array(&operation["tags"]).any(|of| of == &tag["name"]) {
                    continue;
                }
                let id = escape(text(&operation["operationId"]));
                let address = format!(
                    "<span class=\"method\">{}</span> {}",
                    method.to_uppercase(),
                    escape(path)
                );
                let summary = inline(text(&operation["summary"]));
                let _ = writeln!(
                    contents,
                    "<li><a href=\"#{id}\"><code>{address}</code></a> {summary}</li>"
                );
                let _ = writeln!(
                    operations,
                    "<h3 id=\"{id}\">{summary}</h3>\n<p><code>{address}</code></p>"
                );
                operations.push_str(&told(operation, document));
            }
        }
        contents.push_str("</ul>\n");
    }
    let mut schemas = String::new();
    for (name, schema) in object(&document["components"]["schemas"]) {
        let name = escape(name);
        let _ = writeln!(schemas, "<h3 id=\"schema-{name}\">{name}</h3>\n{}", of_schema(schema));
    }
    format!(
        "<h1>{} {}</h1>\n<p>{}</p>\n<p><a href=\"/openapi.json\">OpenAPI document</a>, <a href=\"/errors\">errors</a></p>\n\
         {contents}\n{operations}\n<h2>Schemas</h2>\n{schemas}",
        escape(text(&document["info"]["title"])),
        escape(text(&document["info"]["version"])),
        inline(text(&document["info"]["description"])),
    )
}

/// One operation: what it does, takes and gives.
fn told(operation: &Value, document: &Value) -> String {
    let mut html = format!("<p>{}</p>\n", inline(text(&operation["description"])));
    let parameters: Vec<String> = array(&operation["parameters"])
        .map(|parameter| {
            let parameter = resolved(parameter, document);
            format!(
                "<tr><td><code>{}</code></td><td>{}{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                if parameter["required"] == true {
                    ", required"
                } else {
                    ""
                },
                kind(&parameter["schema"]),
                inline(text(&parameter["description"])),
            )
        })
        .collect();
    if !parameters.is_empty() {
        let rows = parameters.concat();
        let _ = writeln!(
            html,
            "<table>\n<tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>\n{rows}</table>"
        );
    }
    for (media_type, content) in object(&operation["requestBody"]["content"]) {
        let _ = writeln!(
            html,
            "<p>Body: {} as <code>{}</code></p>",
            kind(&content["schema"]),
            escape(media_type)
        );
        html.push_str(&example(content));
    }
    let mut answers = String::new();
    let mut examples = String::new();
    for (status, response) in object(&operation["responses"]) {
        let kinds: Vec<String> = object(&response["content"])
            .map(|(media_type, content)| {
                if status.starts_with('2') {
                    examples.push_str(&example(content));
                }
                format!(
                    "{} <span class=\"from\">{}</span>",
                    kind(&content["schema"]),
                    escape(media_type)
                )
            })
            .collect();
        let headers: Vec<String> = object(&response["headers"])
            .map(|(name, _)| format!("<code>{}</code>", escape(name)))
            .collect();
        let _ = writeln!(
            answers,
            "<tr><td>{}</td><td>{}<br>{}</td><td>{}</td></tr>",
            escape(status),
            inline(text(&response["description"])),
            kinds.join("<br>"),
            headers.join(" "),
        );
    }
    let _ = writeln!(
        html,
        "<table>\n<tr><th>status</th><th>answer</th><th>headers</th></tr>\n{answers}</table>"
    );
    html + &examples
}

fn example(content: &Value) -> String {
    let shown = match &content["example"] {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    format!(
        "<details><summary>Example</summary><pre><code>{}</code></pre></details>\n",
        escape(&shown)
    )
}

fn of_schema(schema: &Value) -> String {
    let mut html = format!("<p>{}</p>\n", inline(text(&schema["description"])));
    let rows: Vec<String> = object(&schema["properties"])
        .map(|(name, property)| {
            let required = array(&schema["required"]).any(|one| one == name);
            format!(
                "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(name),
                if required { ", required" } else { "" },
                kind(property),
                inline(text(&property["description"])),
            )
        })
        .collect();
    if rows.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", kind(schema));
    } else {
        let rows = rows.concat();
        let _ = writeln!(
            html,
            "<table>\n<tr><th>field</th><th>type</th><th></th></tr>\n{rows}</table>"
        );
    }
    html
}

/// The type of a value, in a few words, as HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for of in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<String> = array(&schema[of]).map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let choices: Vec<String> = array(&schema["enum"])
        .map(|one| format!("<code>{}</code>", plain(one)))
        .collect();
    if !choices.is_empty() {
        return choices.join(" ");
    }
    let names = match &schema["type"] {
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" or "),
        Value::Null => "any".to_owned(),
        one => plain(one),
    };
    let items = match &schema["items"] {
        Value::Null => String::new(),
        items => format!(" of {}", kind(items)),
    };
    let bounds = [
        "format",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "default",
    ];
    let bounds: Vec<String> = bounds
        .into_iter()
        .filter(|bound| !schema[bound].is_null())
        .map(|bound| format!(", {bound} {}", plain(&schema[bound])))
        .collect();
    format!("{names}{items}{}", bounds.concat())
}

/// What a reference leads to, within the document.
fn resolved<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|target| document.pointer(target)).unwrap_or(value)
}

/// Text with `code` in it, as HTML.
fn inline(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    let pieces = pieces.map(|(index, piece)| {
        let piece = escape(piece).replace("\n\n", "<br>");
        if index % 2 == 1 {
            format!("<code>{piece}</code>")
        } else {
            piece
        }
    });
    pieces.collect::<Vec<_>>().concat()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| escape(&value.to_string()), escape)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_told_with_what_it_is_bound_by() {
        let told = [
            json!({"$ref": "#/components/schemas/Problem"}),
            json!({"type": ["string", "null"], "maxLength": 5}),
            json!({"type": "array", "items": {"type": "integer", "minimum": 1}}),
            json!({"enum": ["a<b", 2]}),
            json!({"oneOf": [{"type": "null"}, {"type": "boolean"}]}),
            json!({}),
        ]
        .map(|schema| kind(&schema));

        assert_eq!(
            told,
            [
                "<a href=\"#schema-Problem\">Problem</a>",
                "string or null, maxLength 5",
                "array of integer, minimum 1",
                "<code>a&lt;b</code> <code>2</code>",
                "null or boolean",
                "any",
            ]
        );
    }

    #[test]
    fn words_in_backticks_are_code_and_nothing_is_markup() {
        assert_eq!(inline("see `a<b` & c"), "see <code>a&lt;b</code> &amp; c");
    }
}
