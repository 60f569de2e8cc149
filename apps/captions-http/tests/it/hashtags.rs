//! Hashtags alone.

use serde_json::json;

use crate::{
    client::send_json,
    ports::Turn,
    server::{Server, TEXT},
};

#[tokio::test]
async fn hashtags_come_explained_and_nobody_is_asked() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    server
        .store
        .breaks(Some(captions_domain::fault::FaultKind::Unavailable));
    let body = json!({"content_description": "قهوة الصباح في بيروت", "language": "ar", "hashtag_count": 3});

    let reply = send_json(server.address, "POST", "/v1/hashtags", &body).await;

    assert_eq!(reply.status, 200);
    let document = reply.json();
    assert_eq!(document["hashtags"], json!(["#قهوة_الصباح", "#بيروت"]));
    assert_eq!(document["details"][0]["source"]["text"], "قهوة الصباح");
    assert_eq!(document["warnings"][0]["code"], "fewer_hashtags");
    assert_eq!(document["denylist_as_of"], captions_domain::hashtags::denylist_as_of());
    assert!(server.writer.prompts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send_json(
        server.address,
        "POST",
        "/v1/hashtags",
        &json!({"text": "a", "user_id": "ana"}),
    )
    .await;

    assert_eq!(reply.code(), (422, "invalid_request".into()));
    let pointers: Vec<_> = reply.problem()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/content_description", "/user_id"]);
}
