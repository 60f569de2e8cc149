//! More variants of a stored caption.

use serde_json::{Value, json};

use crate::{
    client::{Reply, get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

const OTHER: &str = "Six in the morning, and the oven door is already open.";
const THIRD: &str = "Lisbon wakes up slowly. Our loaves do not.";

/// A server with one stored caption, and the address of that.
async fn with_caption(then: Vec<Turn>) -> (Server, String) {
    let server = Server::start([vec![Turn::Say(TEXT)], then].concat()).await;
    let body = json!({"content_description": "a cat on a sill"});
    let made = send_json(server.address, "POST", "/v1/captions", &body).await;
    let path = made.header("location").unwrap().to_owned();
    (server, path)
}

async fn more(server: &Server, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    send(
        server.address,
        "POST",
        &format!("{path}/variants"),
        &headers,
        body.to_string().as_bytes(),
    )
    .await
}

fn texts(document: &Value) -> Vec<&str> {
    let all = document["variants"].as_array().unwrap().iter();
    all.map(|variant| variant["caption"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn they_stand_behind_those_there_are_and_can_be_picked() {
    let (server, path) = with_caption(vec![Turn::Say(OTHER)]).await;
    let before = get(server.address, &path).await;

    let grown = more(&server, &path, &[], &json!({"count": 1})).await;

    assert_eq!(grown.status, 200);
    let (document, stored) = (grown.json(), get(server.address, &path).await);
    assert_eq!(document, stored.json());
    assert_eq!(grown.header("etag"), stored.header("etag"));
    assert_ne!(grown.header("etag"), before.header("etag"));
    let all = texts(&document);
    assert_eq!((all.len(), all[0]), (2, texts(&before.json())[0]));
    assert_ne!(all[1], all[0]);
    assert_eq!(document["caption"], before.json()["caption"], "the top stays as it is");
    let addition = &document["additions"][0];
    assert_eq!(
        (&addition["first"], &addition["count"], &addition["source"]),
        (&json!(1), &json!(1), &json!("provider"))
    );
    let told = ["captions-provider", "captions-attempts", "captions-fallback"].map(|name| grown.header(name));
    assert_eq!(told, [addition["provider"].as_str(), Some("1"), Some("none")]);
    let headers = [
        ("content-type", "application/json"),
        ("if-match", grown.header("etag").unwrap()),
    ];
    let picked = send(server.address, "PATCH", &path, &headers, br#"{"selected_variant": 1}"#).await;
    assert_eq!(
        (picked.status, picked.json()["selected_variant"].clone()),
        (200, json!(1))
    );
}

#[tokio::test]
async fn they_are_added_to_no_other_version_than_the_one_named() {
    let (server, path) = with_caption(vec![Turn::Say(OTHER)]).await;
    let tag = get(server.address, &path).await.header("etag").unwrap().to_owned();

    let refused = more(&server, &path, &[("if-match", "\"0\"")], &json!({"count": 1})).await;
    let added = more(&server, &path, &[("if-match", &tag)], &json!({"count": 1})).await;
    let again = more(&server, &path, &[("if-match", &tag)], &json!({"count": 1})).await;

    assert_eq!((refused.status, added.status, again.status), (412, 200, 412));
    assert_eq!(again.json()["code"], "version_mismatch");
    assert_eq!(
        server.writer.prompts.lock().unwrap().len(),
        2,
        "nobody is asked in vain"
    );
}

#[tokio::test]
async fn sent_again_with_its_key_nothing_more_is_written() {
    let (server, path) = with_caption(vec![Turn::Say(OTHER), Turn::Say(THIRD)]).await;
    let key = [("idempotency-key", "more-1")];

    let first = more(&server, &path, &key, &json!({"count": 1})).await;
    let again = more(&server, &path, &key, &json!({"count": 1})).await;

    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(texts(&get(server.address, &path).await.json()).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_by_its_name() {
    let (server, path) = with_caption(vec![Turn::Say(OTHER)]).await;
    let unknown = "/v1/captions/0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

    for (path, body, status, code) in [
        (unknown, json!({}), 404, "caption_not_found"),
        (&*path, json!({"count": 11}), 422, "invalid_request"),
        (&*path, json!({"number": 1}), 422, "invalid_request"),
        (&*path, json!({"provider": "nobody"}), 422, "invalid_request"),
    ] {
        let refused = more(&server, path, &[], &body).await;
        assert_eq!(
            (refused.status, refused.json()["code"].clone()),
            (status, json!(code)),
            "{body}"
        );
    }
    server.store.without_wishes().await;
    let old = more(&server, &path, &[], &json!({})).await;
    assert_eq!((old.status, old.json()["code"].clone()), (409, json!("brief_unknown")));
}
