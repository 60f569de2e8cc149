//! The client against a server that answers by script. Against the real one: `tests/it/client.rs` of the workspace.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets the unexpected stops"
)]

mod calls;
mod streams;

use std::time::Duration;

use captions_client::{Client, Options};
use captions_testkit::receiver::Receiver;
use serde_json::{Value, json};

/// An answer with a JSON body.
fn answer(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: req_7\r\n\
         connection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn problem(status: u16, code: &str, is_retryable: bool) -> Value {
    json!({ "type": format!("/errors/{code}"), "title": "t", "status": status, "detail": "it is so", "code": code,
            "request_id": "req_7", "retryable": is_retryable })
}

/// What `GET /v1/users/{id}` answers.
fn user(id: &str) -> Value {
    json!({ "id": id, "display_name": null, "preferences": {}, "version": 1, "created_at": "2026-11-30T12:00:00Z",
            "updated_at": "2026-11-30T12:00:00Z" })
}

/// A caption as the server shows it.
fn caption(text: &str) -> Value {
    let mut caption: Value = serde_json::from_str(include_str!("../caption.json")).unwrap();
    caption["text"] = text.into();
    caption["caption"] = text.into();
    caption
}

async fn scripted(answers: &[String]) -> Receiver {
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    Receiver::scripted(&answers).await
}

fn options(server: &Receiver) -> Options {
    Options::new(server.url(""))
}

fn client(server: &Receiver) -> Client {
    Client::new(&options(server)).unwrap()
}

const SOON: Duration = Duration::from_millis(100);
