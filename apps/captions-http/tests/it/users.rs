use captions_domain::fault::FaultKind;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::{Reply, get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

async fn with_ana() -> Server {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let body = json!({"id": "ana", "display_name": "Ana", "preferences": {"tone": "warm", "avoid": ["cheap"]}});
    let created = send_json(server.address, "POST", "/v1/users", &body).await;
    assert_eq!(created.status, 201, "{}", created.json());
    server
}

async fn with_match(server: &Server, method: &str, path: &str, version: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("if-match", version)];
    send(server.address, method, path, &headers, body.to_string().as_bytes()).await
}

/// What the receipt says has a test of its own.
pub(crate) fn without_receipt(erased: &Reply) -> Value {
    let mut document = erased.json();
    document.as_object_mut().unwrap().remove("receipt").unwrap();
    document
}

#[tokio::test]
async fn a_user_is_created_read_changed_and_erased() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let body = json!({"id": "ana", "display_name": "Ana", "preferences": {"tone": "warm"}});

    let created = send_json(server.address, "POST", "/v1/users", &body).await;
    assert_eq!(
        (created.status, created.header("location"), created.header("etag")),
        (201, Some("/v1/users/ana"), Some("\"1\""))
    );
    let document = created.json();
    assert_eq!((&document["id"], &document["version"]), (&json!("ana"), &json!(1)));

    let read = get(server.address, "/v1/users/ana").await;
    assert_eq!(
        (read.status, read.header("etag"), read.json()),
        (200, Some("\"1\""), document)
    );

    let patch = json!({"display_name": null, "preferences": {"style": "luxury"}});
    let changed = send_json(server.address, "PATCH", "/v1/users/ana", &patch).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    assert_eq!(changed.json()["display_name"], Value::Null);
    assert_eq!(changed.json()["preferences"]["tone"], "warm");
    assert_eq!(changed.json()["preferences"]["style"], "luxury");
    assert_eq!(get(server.address, "/v1/users/ana").await.json(), changed.json());

    let erased = send(server.address, "DELETE", "/v1/users/ana", &[], b"").await;
    assert_eq!(
        (erased.status, without_receipt(&erased)),
        (200, json!({"id": "ana", "user_erased": true, "captions_erased": 0}))
    );
    let receipt = &erased.json()["receipt"];
    assert_eq!(
        receipt["erased"],
        json!({
            "profile": true, "preferences": 2, "samples": 0, "results": false, "captions": 0, "spooled": null,
            "cache_entries": 0, "kept_answers": 0, "batch_items": 0, "usage_rows": 0, "cached": true
        })
    );
    assert_eq!(
        (receipt["user_id"].as_str(), receipt["id"].as_str().map(str::len)),
        (Some("ana"), Some(36))
    );
    assert!(receipt["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        get(server.address, "/v1/users/ana").await.code(),
        (404, "user_not_found".into())
    );
}

#[tokio::test]
async fn users_are_listed_by_pages_with_the_address_of_the_next() {
    let server = with_ana().await;
    for id in ["cleo", "ben"] {
        let body = json!({"id": id, "display_name": "Somebody", "preferences": {"tone": "warm"}});
        assert_eq!(send_json(server.address, "POST", "/v1/users", &body).await.status, 201);
    }
    let ids = |page: &Value| -> Vec<String> {
        let all = page["data"].as_array().unwrap().iter();
        all.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    };

    let first = get(server.address, "/v1/users?limit=2").await;
    let next = first
        .header("link")
        .and_then(|link| link.strip_prefix('<')?.split_once('>'))
        .unwrap();
    let last = get(server.address, next.0).await;

    assert_eq!(
        (ids(&first.json()), first.json()["has_more"].clone()),
        (vec!["ana".into(), "ben".into()], json!(true))
    );
    assert_eq!(next.1, "; rel=\"next\"");
    assert_eq!(
        (ids(&last.json()), last.json()["next_cursor"].clone()),
        (vec!["cleo".into()], json!(null))
    );
    assert_eq!(last.header("link"), None);
    let cleo = &last.json()["data"][0];
    assert_eq!(
        (&cleo["display_name"], &cleo["version"]),
        (&json!("Somebody"), &json!(1))
    );
    assert!(cleo.get("preferences").is_none(), "{cleo}");
    for (query, code) in [
        ("cursor=ana", "cursor_invalid"),
        ("limit=0", "invalid_parameter"),
        ("user=ana", "invalid_parameter"),
    ] {
        let refused = get(server.address, &format!("/v1/users?{query}")).await;
        assert_eq!(
            (refused.status, refused.json()["code"].clone()),
            (400, json!(code)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn erasing_a_user_erases_their_captions_and_says_how_many() {
    let server = with_ana().await;
    for (user, description) in [("ana", "a cat"), ("ana", "a dog"), ("ben", "a bird")] {
        let body = json!({"content_description": description, "user_id": user});
        assert_eq!(
            send_json(server.address, "POST", "/v1/captions", &body).await.status,
            201
        );
    }

    let erased = send(server.address, "DELETE", "/v1/users/ana", &[], b"").await;

    assert_eq!(
        without_receipt(&erased),
        json!({"id": "ana", "user_erased": true, "captions_erased": 2})
    );
    assert_eq!(
        get(server.address, "/v1/users/ana/captions").await.json()["data"],
        json!([])
    );
    assert_eq!(
        get(server.address, "/v1/users/ben/captions").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn captions_of_somebody_who_was_never_registered_can_be_erased() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let body = json!({"content_description": "a cat", "user_id": "ana"});
    send_json(server.address, "POST", "/v1/captions", &body).await;

    let erased = send(server.address, "DELETE", "/v1/users/ana", &[], b"").await;
    assert_eq!(
        without_receipt(&erased),
        json!({"id": "ana", "user_erased": false, "captions_erased": 1})
    );

    let again = send(server.address, "DELETE", "/v1/users/ana", &[], b"").await;
    assert_eq!(again.code(), (404, "user_not_found".into()));
}

#[tokio::test]
async fn a_user_is_created_once() {
    let server = with_ana().await;

    let again = send_json(server.address, "POST", "/v1/users", &json!({"id": "ana"})).await;

    assert_eq!(again.code(), (409, "user_exists".into()));
    assert_eq!(get(server.address, "/v1/users/ana").await.json()["display_name"], "Ana");
}

#[tokio::test]
async fn preferences_are_patched_replaced_and_removed() {
    let server = with_ana().await;
    let address = "/v1/users/ana/preferences";

    let read = get(server.address, address).await;
    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")));
    assert_eq!(
        (&read.json()["tone"], &read.json()["avoid"]),
        (&json!("warm"), &json!(["cheap"]))
    );

    let headers = [("content-type", "application/merge-patch+json")];
    let patch = json!({"tone": null, "hashtag_count": 3}).to_string();
    let patched = send(server.address, "PATCH", address, &headers, patch.as_bytes()).await;
    assert_eq!((patched.status, patched.header("etag")), (200, Some("\"2\"")));
    assert_eq!(
        (&patched.json()["tone"], &patched.json()["hashtag_count"]),
        (&Value::Null, &json!(3))
    );
    assert_eq!(patched.json()["avoid"], json!(["cheap"]));

    let blind = send_json(server.address, "PUT", address, &json!({"cta": "save"})).await;
    assert_eq!(blind.code(), (428, "precondition_required".into()));
    let replaced = with_match(&server, "PUT", address, "\"2\"", &json!({"cta": "save"})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, Some("\"3\"")));
    assert_eq!(
        (&replaced.json()["cta"], &replaced.json()["avoid"]),
        (&json!("save"), &json!([]))
    );

    let removed = send(server.address, "DELETE", address, &[], b"").await;
    assert_eq!(
        (removed.status, removed.header("etag"), removed.body.len()),
        (204, Some("\"4\""), 0)
    );
    assert_eq!(get(server.address, address).await.json()["cta"], Value::Null);
    assert_eq!(get(server.address, "/v1/users/ana").await.json()["display_name"], "Ana");
}

#[rstest]
#[case::user_patch("PATCH", "/v1/users/ana", json!({"display_name": "A"}))]
#[case::user_delete("DELETE", "/v1/users/ana", json!({}))]
#[case::preferences_patch("PATCH", "/v1/users/ana/preferences", json!({"tone": "calm"}))]
#[case::preferences_put("PUT", "/v1/users/ana/preferences", json!({}))]
#[case::preferences_delete("DELETE", "/v1/users/ana/preferences", json!({}))]
#[tokio::test]
async fn a_change_of_another_version_is_refused_and_changes_nothing(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: Value,
) {
    let server = with_ana().await;
    let before = get(server.address, "/v1/users/ana").await.json();

    for other in ["\"2\"", "W/\"1\"", "\"2\", \"3\"", "\"abc\""] {
        let refused = with_match(&server, method, path, other, &body).await;
        assert_eq!(refused.code(), (412, "version_mismatch".into()), "{other}");
    }
    assert_eq!(
        with_match(&server, method, path, "1", &body).await.code(),
        (400, "invalid_parameter".into())
    );
    assert_eq!(get(server.address, "/v1/users/ana").await.json(), before);

    let accepted = with_match(&server, method, path, "\"7\", \"1\"", &body).await;
    assert!(matches!(accepted.status, 200 | 204), "{}", accepted.status);
}

#[rstest]
#[case("/v1/users/ana")]
#[case("/v1/users/ana/preferences")]
#[case("/v1/users/ana/voice")]
#[case("/v1/users/ana/results")]
#[tokio::test]
async fn who_knows_a_version_already_is_not_sent_it_again(#[case] path: &str) {
    let server = with_ana().await;
    let ask = async |known: &str| send(server.address, "GET", path, &[("if-none-match", known)], b"").await;

    for known in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
        let reply = ask(known).await;
        assert_eq!(
            (reply.status, reply.header("etag"), reply.body.len()),
            (304, Some("\"1\""), 0),
            "{known}"
        );
    }
    for other in ["\"2\"", "1", ""] {
        assert_eq!(ask(other).await.status, 200, "{other}");
    }
    send_json(server.address, "PATCH", "/v1/users/ana", &json!({"display_name": "A"})).await;
    assert_eq!((ask("\"1\"").await.status, ask("\"2\"").await.status), (200, 304));
}

#[tokio::test]
async fn any_version_will_do_for_a_star() {
    let server = with_ana().await;

    let changed = with_match(&server, "PATCH", "/v1/users/ana", "*", &json!({"display_name": "A"})).await;

    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn a_change_is_repeated_on_top_of_somebody_elses() {
    let server = with_ana().await;
    server.store.conflicts(3);

    let changed = send_json(server.address, "PATCH", "/v1/users/ana", &json!({"display_name": "A"})).await;
    assert_eq!(
        (changed.status, changed.json()["display_name"].as_str()),
        (200, Some("A"))
    );

    server.store.conflicts(4);
    let given_up = send_json(server.address, "PATCH", "/v1/users/ana", &json!({"display_name": "B"})).await;
    assert_eq!(given_up.code(), (409, "conflict".into()));
    assert_eq!(given_up.problem()["retryable"], true);
}

#[rstest]
#[case("GET", "/v1/users/nobody")]
#[case("PATCH", "/v1/users/nobody")]
#[case("DELETE", "/v1/users/nobody")]
#[case("GET", "/v1/users/nobody/preferences")]
#[case("PATCH", "/v1/users/nobody/preferences")]
#[case("PUT", "/v1/users/nobody/preferences")]
#[case("DELETE", "/v1/users/nobody/preferences")]
#[tokio::test]
async fn an_unknown_user_is_not_found(#[case] method: &str, #[case] path: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = with_match(&server, method, path, "*", &json!({})).await;

    assert_eq!(reply.code(), (404, "user_not_found".into()));
}

#[tokio::test]
async fn a_broken_preference_is_told_from_where_it_stands() {
    let server = with_ana().await;

    let patch = json!({"preferences": {"tone": "wram", "emojis": "few"}});
    let reply = send_json(server.address, "PATCH", "/v1/users/ana", &patch).await;

    let problem = reply.problem();
    assert_eq!(reply.status, 422);
    assert_eq!(problem["errors"][0]["pointer"], "/preferences/tone");
    assert_eq!(problem["errors"][0]["nearest"], "warm");
    assert_eq!(problem["errors"][1]["pointer"], "/preferences/emojis");
    assert_eq!(problem["errors"][1]["code"], "unknown_field");
}

#[rstest]
#[case("POST", "/v1/users")]
#[case("GET", "/v1/users/ana")]
#[case("PATCH", "/v1/users/ana")]
#[case("DELETE", "/v1/users/ana")]
#[case("GET", "/v1/users/ana/preferences")]
#[case("PATCH", "/v1/users/ana/preferences")]
#[case("PUT", "/v1/users/ana/preferences")]
#[case("DELETE", "/v1/users/ana/preferences")]
#[case("GET", "/v1/users/ana/captions")]
#[case("GET", "/v1/captions/01890000-0000-7000-8000-000000000001")]
#[tokio::test]
async fn a_store_that_is_away_is_told_with_a_wait(#[case] method: &str, #[case] path: &str) {
    let server = with_ana().await;
    server.store.breaks(Some(FaultKind::Unavailable));

    let reply = with_match(
        &server,
        method,
        path,
        "*",
        &json!({"id": "ana"}).as_object().map_or(json!({}), |full| {
            if method == "POST" {
                Value::Object(full.clone())
            } else {
                json!({})
            }
        }),
    )
    .await;

    assert_eq!(reply.code(), (503, "store_unavailable".into()));
    assert_eq!(
        (reply.header("retry-after"), &reply.problem()["retryable"]),
        (Some("1"), &json!(true))
    );
}
