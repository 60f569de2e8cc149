//! Keys over HTTP: the tenant's own, and each secret once.

use captions_domain::keys::{Scope, Secret};
use serde_json::{Value, json};

use crate::{
    auth::{KeyRack, bearer, with_keys},
    client::{Reply, send},
    server::Server,
};

async fn call(server: &Server, method: &str, path: &str, key: &str, body: Option<&Value>) -> Reply {
    let headers = [("content-type", "application/json"), ("authorization", key)];
    let body = body.map(ToString::to_string).unwrap_or_default();
    send(server.address, method, path, &headers, body.as_bytes()).await
}

fn admin(rack: &KeyRack, tenant: &str) -> String {
    bearer(&rack.issue(tenant, &[Scope::Admin], |_| {}))
}

async fn create(server: &Server, key: &str, body: Value) -> Value {
    let made = call(server, "POST", "/v1/keys", key, Some(&body)).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let document = made.json();
    let location = format!("/v1/keys/{}", document["id"].as_str().unwrap());
    assert_eq!(made.header("location"), Some(&*location));
    document
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");

    let made = create(&server, &admin, json!({"name": "ci", "scopes": ["read"]})).await;
    assert_eq!(
        (
            &made["tenant"],
            &made["name"],
            &made["scopes"],
            &made["status"],
            &made["expires_at"]
        ),
        (
            &json!("acme"),
            &json!("ci"),
            &json!(["read"]),
            &json!("active"),
            &Value::Null
        )
    );
    let secret = Secret::parse(made["key"].as_str().unwrap()).unwrap();
    let reader = bearer(&secret);
    assert_eq!(
        call(&server, "GET", "/v1/users/ana/captions", &reader, None)
            .await
            .status,
        200
    );
    assert_eq!(call(&server, "GET", "/v1/keys", &reader, None).await.status, 403);

    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let shown = call(&server, "GET", &path, &admin, None).await;
    assert_eq!((shown.status, shown.json().get("key")), (200, None));
    let revoked = call(&server, "DELETE", &path, &admin, None).await;
    assert_eq!((revoked.status, &revoked.json()["status"]), (200, &json!("revoked")));
    let again = call(&server, "DELETE", &path, &admin, None).await;
    assert_eq!(again.json()["revoked_at"], revoked.json()["revoked_at"]);
    assert_eq!(
        call(&server, "GET", "/v1/users/ana/captions", &reader, None)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_its_grace() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");
    let old = create(&server, &admin, json!({"name": "ci"})).await;
    let path = format!("/v1/keys/{}/rotate", old["id"].as_str().unwrap());

    let new = call(&server, "POST", &path, &admin, Some(&json!({"grace_seconds": 3600}))).await;

    assert_eq!(new.status, 201, "{}", new.json());
    let new = new.json();
    assert_eq!((&new["family"], &new["scopes"]), (&old["id"], &old["scopes"]));
    assert_ne!(new["key"], old["key"]);
    for document in [&old, &new] {
        let key = format!("Bearer {}", document["key"].as_str().unwrap());
        assert_eq!(
            call(&server, "GET", "/v1/users/ana/captions", &key, None).await.status,
            200
        );
    }

    let path = format!("/v1/keys/{}/rotate", new["id"].as_str().unwrap());
    let newest = call(&server, "POST", &path, &admin, Some(&json!({"grace_seconds": 0}))).await;
    assert_eq!(newest.status, 201);
    let ended = format!("Bearer {}", new["key"].as_str().unwrap());
    assert_eq!(
        call(&server, "GET", "/v1/users/ana/captions", &ended, None)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_budget_is_changed_by_a_merge_patch() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");
    let made = create(&server, &admin, json!({"name": "ci"})).await;
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let rotate = format!("{path}/rotate");
    let successor = call(&server, "POST", &rotate, &admin, Some(&json!({"grace_seconds": 3600})))
        .await
        .json();

    for (patch, budget, period) in [
        (json!({"budget": "25.5"}), json!("25.50"), json!("month")),
        (json!({"budget_period": "day"}), json!("25.50"), json!("day")),
        (json!({"budget": "30"}), json!("30.00"), json!("day")),
        (json!({}), json!("30.00"), json!("day")),
        (json!({"budget": null}), Value::Null, Value::Null),
        (
            json!({"budget": "7", "budget_period": "month"}),
            json!("7.00"),
            json!("month"),
        ),
        (json!({"budget": "0"}), Value::Null, Value::Null),
        (json!({"budget": "8"}), json!("8.00"), json!("month")),
    ] {
        let changed = call(&server, "PATCH", &path, &admin, Some(&patch)).await;

        assert_eq!(changed.status, 200, "{patch}: {}", changed.json());
        let limits = &changed.json()["limits"];
        assert_eq!(
            (&limits["budget"], &limits["budget_period"]),
            (&budget, &period),
            "{patch}"
        );
        assert_eq!(changed.json().get("key"), None);
    }
    let path = format!("/v1/keys/{}", successor["id"].as_str().unwrap());
    let shown = call(&server, "GET", &path, &admin, None).await.json();
    assert_eq!(shown["limits"]["budget"], "8.00");
}

#[tokio::test]
async fn what_is_no_change_of_a_budget_says_why() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");
    let made = create(&server, &admin, json!({"name": "ci", "scopes": ["read"]})).await;
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());

    for (patch, pointer) in [
        (json!({"budget_period": "day"}), "/budget_period"),
        (json!({"budget": null, "budget_period": "day"}), "/budget_period"),
        (json!({"budget": "-1"}), "/budget"),
        (json!({"budget": 5}), "/budget"),
        (json!({"name": "other"}), "/name"),
    ] {
        let refused = call(&server, "PATCH", &path, &admin, Some(&patch)).await;

        assert_eq!(refused.code(), (422, "invalid_request".to_owned()), "{patch}");
        assert_eq!(refused.problem()["errors"][0]["pointer"], pointer, "{patch}");
    }
    let reader = format!("Bearer {}", made["key"].as_str().unwrap());
    let refused = call(&server, "PATCH", &path, &reader, Some(&json!({"budget": "100"}))).await;
    assert_eq!(refused.code(), (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn the_list_has_pages_and_no_secrets() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");
    for name in ["one", "two", "three"] {
        create(&server, &admin, json!({"name": name})).await;
    }

    let first = call(&server, "GET", "/v1/keys?limit=2", &admin, None).await.json();
    let rest = format!("/v1/keys?cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = call(&server, "GET", &rest, &admin, None).await.json();

    let all: Vec<&Value> = first["data"]
        .as_array()
        .unwrap()
        .iter()
        .chain(rest["data"].as_array().unwrap())
        .collect();
    let names: Vec<&str> = all.iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["three", "two", "one", "tests"]);
    assert!(all.iter().all(|key| key.get("key").is_none()));
    assert_eq!((&first["has_more"], &rest["has_more"]), (&json!(true), &json!(false)));
    let foreign = call(&server, "GET", "/v1/keys?cursor=c1", &admin, None).await;
    assert_eq!(foreign.code(), (400, "cursor_invalid".to_owned()));
}

#[tokio::test]
async fn keys_of_other_tenants_are_not_there() {
    let (server, rack) = with_keys(true).await;
    let (acme, other) = (admin(&rack, "acme"), admin(&rack, "other"));
    let made = create(&server, &acme, json!({"name": "ci"})).await;
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());

    for (method, path, body) in [
        ("GET", path.clone(), None),
        ("PATCH", path.clone(), Some(json!({"budget": "0.01"}))),
        ("DELETE", path.clone(), None),
        ("POST", format!("{path}/rotate"), Some(json!({}))),
    ] {
        let reply = call(&server, method, &path, &other, body.as_ref()).await;
        assert_eq!(reply.code(), (404, "key_not_found".to_owned()), "{method}");
    }

    assert_eq!(
        call(&server, "GET", "/v1/keys", &other, None).await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        call(&server, "GET", &path, &acme, None).await.json()["status"],
        "active"
    );
}

#[tokio::test]
async fn what_cannot_be_made_says_why() {
    let (server, rack) = with_keys(true).await;
    let admin = admin(&rack, "acme");

    // Neither another tenant nor limits: those are for whoever runs the server.
    let body = json!({"name": "", "tenant": "other", "limits": {}});
    let refused = call(&server, "POST", "/v1/keys", &admin, Some(&body)).await;

    assert_eq!(refused.code(), (422, "invalid_request".to_owned()));
    let problem = refused.problem();
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/name", "/limits", "/tenant"]);
    let malformed = call(&server, "GET", "/v1/keys/1", &admin, None).await;
    assert_eq!(malformed.code(), (400, "invalid_parameter".to_owned()));
}
