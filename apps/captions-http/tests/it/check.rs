use serde_json::json;

use crate::{client::send_json, server::Server};

#[tokio::test]
async fn a_text_is_judged_without_a_writer_and_without_a_store() {
    let server = Server::start([]).await;

    let body = json!({"text": "Rain on the roof #a #b #c #d #e #f", "platform": "instagram"});
    let reply = send_json(server.address, "POST", "/v1/check", &body).await;

    assert_eq!(reply.status, 200);
    let document = reply.json();
    assert_eq!(document["publishable"], false);
    assert_eq!(
        document["violations"],
        json!([{"rule": "too_many_hashtags", "value": "6", "limit": "5"}])
    );
    assert_eq!(document["fold"]["visible"], body["text"]);
}

#[tokio::test]
async fn what_cannot_be_judged_is_told_with_a_pointer() {
    let server = Server::start([]).await;

    let body = json!({"text": "Rain", "platform": "instagran"});
    let reply = send_json(server.address, "POST", "/v1/check", &body).await;

    let problem = reply.problem();
    assert_eq!(problem["status"], 422);
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["nearest"]),
        (&json!("/platform"), &json!("instagram"))
    );
}
