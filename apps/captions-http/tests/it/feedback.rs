use captions_domain::fault::FaultKind;
use serde_json::{Value, json};

use crate::{
    client::{get, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

/// A stored caption, and where its feedback goes.
async fn caption(server: &Server) -> (String, String) {
    let body = json!({"content_description": "a cat", "user_id": "ana"});
    let made = send_json(server.address, "POST", "/v1/captions", &body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let path = made.header("location").unwrap().to_owned();
    let feedback = format!("{path}/feedback");
    (path, feedback)
}

#[tokio::test]
async fn feedback_is_kept_replaced_and_shown_with_its_caption() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let (path, feedback) = caption(&server).await;
    assert_eq!(get(server.address, &path).await.json().get("feedback"), None);

    let body = json!({"verdict": "edited", "rating": 4, "final_text": "The cat knows.", "variant": 0});
    let first = send_json(server.address, "PUT", &feedback, &body).await;
    assert_eq!(first.status, 200, "{}", first.json());
    let shown = get(server.address, &path).await.json();
    assert_eq!(shown["feedback"], first.json());
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&shown["feedback"][field], value);
    }

    let second = send_json(server.address, "PUT", &feedback, &json!({"verdict": "rejected"})).await;
    assert_eq!(second.status, 200);
    let list = get(server.address, "/v1/users/ana/captions").await.json();
    assert_eq!(list["data"][0]["feedback"], second.json());
    assert_eq!(second.json()["final_text"], Value::Null, "nothing of the first is left");
}

#[tokio::test]
async fn feedback_on_what_is_not_there_is_refused() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let path = "/v1/captions/01890000-0000-7000-8000-000000000001/feedback";

    let refused = send_json(server.address, "PUT", path, &json!({"verdict": "used"})).await;

    assert_eq!(refused.code(), (404, "caption_not_found".into()));
    let refused = send_json(
        server.address,
        "PUT",
        "/v1/captions/7/feedback",
        &json!({"verdict": "used"}),
    )
    .await;
    assert_eq!(refused.code(), (400, "invalid_parameter".into()));
}

#[tokio::test]
async fn wrong_feedback_is_told_with_its_place_and_nothing_is_kept() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let (path, feedback) = caption(&server).await;

    for (body, pointer) in [
        (json!({"verdict": "liked"}), "/verdict"),
        (json!({"verdict": "used", "rating": 0}), "/rating"),
        (json!({"verdict": "used", "variant": 1}), "/variant"),
    ] {
        let refused = send_json(server.address, "PUT", &feedback, &body).await;
        assert_eq!(refused.code(), (422, "invalid_request".into()), "{body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }

    assert_eq!(get(server.address, &path).await.json().get("feedback"), None);
}

#[tokio::test]
async fn feedback_waits_for_no_store_that_is_away() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let (_, feedback) = caption(&server).await;
    server.store.breaks(Some(FaultKind::Unavailable));

    let refused = send_json(server.address, "PUT", &feedback, &json!({"verdict": "used"})).await;

    assert_eq!(refused.code(), (503, "store_unavailable".into()));
}
