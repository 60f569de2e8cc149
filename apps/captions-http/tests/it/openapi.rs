use std::collections::BTreeSet;

use captions_api::problem::Code;
use serde_json::Value;

use crate::{
    client::{get, send},
    ports::Turn,
    server::{Server, TEXT},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document() -> (Server, Value) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let reply = get(server.address, "/openapi.json").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    let document = reply.json();
    (server, document)
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.clone(), method.clone(), operation))
        })
        .collect()
}

#[tokio::test]
async fn the_document_is_openapi_3_1() {
    let (_server, document) = document().await;

    assert_eq!(document["openapi"], "3.1.0");
    assert!(operations(&document).len() > 50);
}

/// As the document marks it, its answers say that it goes; and nothing else says so.
#[tokio::test]
async fn an_outdated_address_says_so_in_each_answer_and_in_the_document() {
    let (server, document) = document().await;

    for path in ["/healthz", "/livez"] {
        let is_marked = document["paths"][path]["get"]["deprecated"] == true;
        let reply = get(server.address, path).await;
        assert_eq!(
            (reply.status, reply.header("deprecation").is_some()),
            (200, is_marked),
            "{path}"
        );
        assert_eq!(reply.header("sunset").is_some(), is_marked, "{path}");
        assert_eq!(is_marked, path == "/healthz");
    }
}

/// What is not documented must not be there, and what is documented must.
#[tokio::test]
async fn each_address_answers_exactly_the_documented_methods() {
    let (server, document) = document().await;

    for (path, item) in document["paths"].as_object().unwrap() {
        let address = path
            .replace("{id}", "01890000-0000-7000-8000-000000000001")
            .replace("{suggestion}", "emoji-none")
            .replace("{code}", "internal");
        for method in METHODS {
            let status = send(server.address, &method.to_uppercase(), &address, &[], b"")
                .await
                .status;
            assert_eq!(status != 405, item.get(method).is_some(), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn every_operation_documents_its_problems_and_every_code_is_documented() {
    let (_server, document) = document().await;

    let mut told = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(
            operation["summary"].is_string() && operation["operationId"].is_string(),
            "{place}"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            // What has not changed is no problem.
            if path == "/readyz" || status == "304" {
                continue;
            }
            let content = &response["content"]["application/problem+json"];
            assert_eq!(
                content["schema"]["$ref"], "#/components/schemas/Problem",
                "{place} {status}"
            );
            for code in Code::ALL {
                let is_told = response["description"]
                    .as_str()
                    .unwrap()
                    .contains(&format!("`{}`", code.as_str()));
                assert!(
                    !is_told || code.status().to_string() == *status,
                    "{place}: {code:?} under {status}"
                );
                if is_told {
                    told.insert(code.as_str());
                }
            }
            if status == "503" {
                assert!(response["headers"]["Retry-After"].is_object(), "{place}");
            }
        }
        if path.starts_with("/v1/") {
            assert!(
                responses.contains_key("500") && responses.contains_key("503"),
                "{place}"
            );
        }
        if operation["requestBody"].is_object() {
            for status in ["400", "408", "413", "415", "422"] {
                assert!(responses.contains_key(status), "{place} {status}");
            }
        }
    }
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(told, all);
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value.as_str() {
                        Some(target) if key == "$ref" => found.push(target),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let (_server, document) = document().await;
    let mut found = Vec::new();

    references(&document, &mut found);

    assert!(found.len() > 20, "{}", found.len());
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

#[tokio::test]
async fn operation_ids_are_unlike() {
    let (_server, document) = document().await;
    let operations = operations(&document);

    let ids: BTreeSet<&str> = operations
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();

    assert_eq!(ids.len(), operations.len(), "{ids:?}");
}

#[tokio::test]
async fn the_stream_is_an_operation_of_its_own_and_only_a_stream() {
    let (_server, document) = document().await;

    let content = &document["paths"]["/v1/captions/stream"]["post"]["responses"]["200"]["content"];

    assert_eq!(
        content.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["text/event-stream"]
    );
}
