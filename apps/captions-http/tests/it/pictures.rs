//! Captions of pictures: how large they may be, who looks at them, and where they go.

use captions_domain::image::{MAX_BYTES, Shown};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::{send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn with(image: Value) -> Value {
    json!({"content_description": "a cat on a sill", "image": image})
}

/// A body whose picture has this many bytes, in base64.
fn of_size(bytes: usize) -> Vec<u8> {
    // Three bytes a group: the sign of a JPEG, then zeros.
    let mut data = "/9j/".to_owned();
    data.push_str(&"A".repeat(bytes / 3 * 4 - 4));
    match bytes % 3 {
        1 => data.push_str("AA=="),
        2 => data.push_str("AAA="),
        _ => {}
    }
    with(json!({"data": data})).to_string().into_bytes()
}

#[tokio::test]
async fn a_picture_reaches_the_writer_and_neither_the_document_nor_the_history() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let address = "https://pictures.example.com/cat.jpg?signature=hush";
    let written = send_json(server.address, "POST", "/v1/captions", &with(json!({"url": address}))).await;

    assert_eq!(written.status, 201);
    assert!(!String::from_utf8_lossy(&written.body).contains("hush"));
    let prompts = server.writer.prompts.lock().unwrap().clone();
    let Some(Shown::Address(shown)) = prompts[0].brief.image.as_ref().map(|image| image.shown()) else {
        panic!("the writer was shown no address");
    };
    assert_eq!(shown, address);
    let words = format!("{}{}", prompts[0].system, prompts[0].user);
    assert!(!words.contains("hush"));
    let location = written.header("location").unwrap().to_owned();
    let kept = send(server.address, "GET", &location, &[], b"").await;
    assert_eq!(kept.status, 200);
    assert!(!String::from_utf8_lossy(&kept.body).contains("hush"));
}

#[tokio::test]
async fn another_picture_is_another_question() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let mut sources = Vec::new();
    for image in [
        "https://example.com/a.jpg",
        "https://example.com/b.jpg",
        "https://example.com/a.jpg",
    ] {
        let written = send_json(server.address, "POST", "/v1/captions", &with(json!({"url": image}))).await;
        sources.push(written.json()["source"].clone());
    }

    assert_eq!(sources, ["provider", "provider", "cache"]);
}

#[rstest]
#[case::most(MAX_BYTES, 201)]
#[case::one_more(MAX_BYTES + 1, 413)]
#[case::far_more(MAX_BYTES + 1_000_000, 413)]
#[tokio::test]
async fn a_picture_has_at_most_eight_mebibytes(#[case] bytes: usize, #[case] status: u16) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send(server.address, "POST", "/v1/captions", &JSON, &of_size(bytes)).await;

    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
}

#[tokio::test]
async fn what_only_speaks_of_a_picture_may_not_be_larger() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut body = json!({"content_description": "a cat", "keywords": ["image"]})
        .to_string()
        .into_bytes();
    body.resize(256 * 1024 + 1, b' ');

    let reply = send(server.address, "POST", "/v1/captions", &JSON, &body).await;

    assert_eq!(reply.code(), (413, "body_too_large".into()));
}

#[rstest]
#[case::private(json!({"url": "https://192.168.0.1/a.jpg"}), "/image/url")]
#[case::plain_http(json!({"url": "http://example.com/a.jpg"}), "/image/url")]
#[case::no_picture(json!({"data": "aGVsbG8="}), "/image/data")]
#[tokio::test]
async fn a_picture_that_breaks_a_rule_is_named(#[case] image: Value, #[case] pointer: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send_json(server.address, "POST", "/v1/captions", &with(image)).await;

    assert_eq!(reply.status, 422);
    assert_eq!(reply.problem()["errors"][0]["pointer"], pointer);
}

#[rstest]
#[case("/v1/captions")]
#[case("/v1/captions/stream")]
#[tokio::test]
async fn a_provider_that_looks_at_no_pictures_is_the_callers_to_correct(#[case] path: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut body = with(json!({"url": "https://example.com/a.jpg"}));
    body["provider"] = json!("primary");
    body["allow_fallback"] = json!(false);

    let reply = send_json(server.address, "POST", path, &body).await;

    assert_eq!(reply.code(), (422, "invalid_request".into()));
    let error = &reply.problem()["errors"][0];
    assert_eq!(
        (&error["pointer"], &error["code"]),
        (&json!("/image"), &json!("not_supported"))
    );
    body["provider"] = json!("second");
    assert!(send_json(server.address, "POST", path, &body).await.status < 300);
}
