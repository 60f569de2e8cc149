use serde_json::{Value, json};

use crate::{
    client::{get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

async fn with_ana() -> Server {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let created = send_json(server.address, "POST", "/v1/users", &json!({ "id": "ana" })).await;
    assert_eq!(created.status, 201);
    server
}

fn posts(likes: u64) -> Value {
    let posts =
        (1..=9).map(|day| json!({ "posted_at": format!("2026-10-0{day}"), "caption": "Bread", "likes": likes }));
    json!({ "posts": posts.collect::<Vec<_>>() })
}

async fn estimate(server: &Server) -> (Value, Value) {
    let body = json!({ "content_description": "a cat on a roof", "user_id": "ana" });
    let document = send_json(server.address, "POST", "/v1/captions", &body).await.json();
    (
        document["estimated_engagement"].clone(),
        document["estimated_engagement_reason"].clone(),
    )
}

#[tokio::test]
async fn an_import_gives_the_users_captions_an_estimate_also_those_that_were_cached() {
    let server = with_ana().await;
    let unknown = json!("no posting history is known for this user");
    assert_eq!(estimate(&server).await, (Value::Null, unknown.clone()));

    let imported = send_json(server.address, "PUT", "/v1/users/ana/results", &posts(200)).await;

    assert_eq!(
        (imported.status, imported.header("etag")),
        (200, Some("\"2\"")),
        "{}",
        imported.json()
    );
    assert_eq!(imported.json()["imported"]["formats"][0]["likes"]["median"], 200.0);
    assert_eq!(
        get(server.address, "/v1/users/ana/results").await.json(),
        imported.json()
    );
    let (told, reason) = estimate(&server).await;
    assert_eq!(
        (&told["median"], &told["unit"], &told["posts"], reason),
        (&json!(200.0), &json!("likes"), &json!(9), Value::Null)
    );

    let forgotten = send(server.address, "DELETE", "/v1/users/ana/results", &[], b"").await;
    assert_eq!(forgotten.status, 204);
    assert_eq!(
        get(server.address, "/v1/users/ana/results").await.json(),
        json!({ "imported": null })
    );
    assert_eq!(estimate(&server).await, (Value::Null, unknown));
}

#[tokio::test]
async fn wishes_come_and_go_without_what_was_imported() {
    let server = with_ana().await;
    send_json(server.address, "PUT", "/v1/users/ana/results", &posts(200)).await;

    let path = "/v1/users/ana/preferences";
    let replaced = send_json(server.address, "PUT", path, &json!({ "tone": "warm" })).await;
    assert!(replaced.json().get("results").is_none(), "{}", replaced.json());
    send_json(server.address, "PATCH", path, &json!({ "tone": null })).await;
    send(server.address, "DELETE", path, &[], b"").await;

    assert_eq!(
        get(server.address, "/v1/users/ana/results").await.json()["imported"]["posts"],
        9
    );
}

#[tokio::test]
async fn csv_is_taken_as_well_and_other_types_are_not() {
    let server = with_ana().await;
    let put = async |kind| {
        let csv = b"posted_at,likes\n2026-10-01,5\n";
        send(
            server.address,
            "PUT",
            "/v1/users/ana/results",
            &[("content-type", kind)],
            csv,
        )
        .await
    };

    let (taken, refused) = (put("text/csv; charset=utf-8").await, put("text/plain").await);

    assert_eq!((taken.status, &taken.json()["imported"]["posts"]), (200, &json!(1)));
    assert_eq!(refused.code(), (415, "unsupported_media_type".into()));
}

#[tokio::test]
async fn what_is_wrong_with_an_import_is_told_and_nothing_changes() {
    let server = with_ana().await;

    let refused = send_json(
        server.address,
        "PUT",
        "/v1/users/ana/results",
        &json!({ "posts": [{ "likes": 1 }] }),
    )
    .await;

    assert_eq!(refused.code(), (422, "invalid_request".into()));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/posts/0/posted_at");
    assert_eq!(get(server.address, "/v1/users/ana").await.header("etag"), Some("\"1\""));
}
