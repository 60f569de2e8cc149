use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::{Reply, get, send, send_json},
    ports::Turn,
    server::Server,
};

const TEXT: &str = "The sill is warm 🐈 and the cat knows it.";
const SAMPLES: [&str; 3] = ["we bake at 5 🥖", "we sleep at 9", "we open at 7"];

async fn with_ana() -> Server {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let body = json!({"id": "ana", "preferences": {"tone": "warm"}});
    let created = send_json(server.address, "POST", "/v1/users", &body).await;
    assert_eq!(created.status, 201, "{}", created.json());
    server
}

async fn with_match(server: &Server, method: &str, path: &str, version: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("if-match", version)];
    send(server.address, method, path, &headers, body.to_string().as_bytes()).await
}

/// Six captions for Ana about six posts, from each of which she removes the emoji.
async fn with_edits() -> Server {
    let server = with_ana().await;
    for post in 0..6 {
        let body = json!({"content_description": format!("a cat on sill {post}"), "user_id": "ana"});
        let made = send_json(server.address, "POST", "/v1/captions", &body).await;
        let feedback = format!("{}/feedback", made.header("location").unwrap());
        let edited = made.json()["text"].as_str().unwrap().replace(" 🐈", "");
        let body = json!({"verdict": "edited", "final_text": edited});
        assert_eq!(send_json(server.address, "PUT", &feedback, &body).await.status, 200);
    }
    server
}

#[tokio::test]
async fn a_voice_is_learned_shown_and_forgotten() {
    let server = with_ana().await;
    let unknown = get(server.address, "/v1/users/ana/voice").await;
    assert_eq!(unknown.json(), json!({"samples": [], "style_card": null}));

    let learned = send_json(
        server.address,
        "PUT",
        "/v1/users/ana/voice",
        &json!({"samples": SAMPLES}),
    )
    .await;
    assert_eq!((learned.status, learned.header("etag")), (200, Some("\"2\"")));
    assert_eq!(learned.json()["samples"], json!(SAMPLES));
    assert_eq!(learned.json()["style_card"]["emoji"], json!({"mean": 0.33, "sd": 0.58}));
    assert_eq!(get(server.address, "/v1/users/ana/voice").await.json(), learned.json());
    let preferences = get(server.address, "/v1/users/ana/preferences").await.json();
    assert_eq!(
        (&preferences["samples"], &preferences["tone"]),
        (&json!(SAMPLES), &json!("warm"))
    );
    assert_eq!(preferences["style_card"], learned.json()["style_card"]);

    let forgotten = send(server.address, "DELETE", "/v1/users/ana/voice", &[], b"").await;
    assert_eq!((forgotten.status, forgotten.header("etag")), (204, Some("\"3\"")));
    assert_eq!(get(server.address, "/v1/users/ana/voice").await.json(), unknown.json());
    assert_eq!(
        get(server.address, "/v1/users/ana/preferences").await.json()["tone"],
        "warm",
        "the other wishes stay"
    );
}

#[tokio::test]
async fn what_was_read_of_preferences_can_be_sent_back() {
    let server = with_ana().await;
    send_json(
        server.address,
        "PUT",
        "/v1/users/ana/voice",
        &json!({"samples": SAMPLES}),
    )
    .await;
    let read = get(server.address, "/v1/users/ana/preferences").await.json();

    let sent = send_json(server.address, "PUT", "/v1/users/ana/preferences", &read).await;

    assert_eq!((sent.status, sent.json()), (200, read));
}

#[rstest]
#[case("GET", "/v1/users/bob/voice", json!({}))]
#[case("PUT", "/v1/users/bob/voice", json!({"samples": []}))]
#[case("DELETE", "/v1/users/bob/voice", json!({}))]
#[case("GET", "/v1/users/bob/suggestions", json!({}))]
#[case("POST", "/v1/users/bob/suggestions/emoji-none/accept", json!({}))]
#[case("DELETE", "/v1/users/bob/suggestions/emoji-none", json!({}))]
#[tokio::test]
async fn an_unknown_user_has_no_voice(#[case] method: &str, #[case] path: &str, #[case] body: Value) {
    let server = with_ana().await;

    let refused = send_json(server.address, method, path, &body).await;

    assert_eq!(refused.code(), (404, "user_not_found".into()));
}

#[tokio::test]
async fn a_wrong_sample_is_told_with_its_place() {
    let server = with_ana().await;

    let body = json!({"samples": ["fine", ""]});
    let refused = send_json(server.address, "PUT", "/v1/users/ana/voice", &body).await;

    assert_eq!(refused.code(), (422, "invalid_request".into()));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/samples/1");
}

#[tokio::test]
async fn another_version_is_not_changed() {
    let server = with_edits().await;
    let accept = "/v1/users/ana/suggestions/emoji-none/accept";

    for (method, path, body) in [
        ("PUT", "/v1/users/ana/voice", json!({"samples": SAMPLES})),
        ("DELETE", "/v1/users/ana/voice", json!({})),
        ("POST", accept, json!({})),
    ] {
        let refused = with_match(&server, method, path, "\"7\"", &body).await;
        assert_eq!(refused.code(), (412, "version_mismatch".into()), "{method} {path}");
    }

    assert_eq!(get(server.address, "/v1/users/ana").await.json()["version"], 1);
    assert_eq!(
        with_match(&server, "POST", accept, "\"1\"", &json!({})).await.status,
        200
    );
}

#[tokio::test]
async fn what_the_feedback_suggests_can_be_accepted_once() {
    let server = with_edits().await;

    let suggested = get(server.address, "/v1/users/ana/suggestions").await;
    assert_eq!((suggested.status, suggested.header("etag")), (200, Some("\"1\"")));
    assert_eq!(
        suggested.json(),
        json!({"data": [{
            "id": "emoji-none", "field": "emoji", "value": "none", "from": null,
            "because": "you removed all emoji in 6 of 6 captions", "support": {"agree": 6, "of": 6}
        }]})
    );

    let accept = "/v1/users/ana/suggestions/emoji-none/accept";
    let accepted = send(server.address, "POST", accept, &[], b"").await;
    assert_eq!((accepted.status, accepted.header("etag")), (200, Some("\"2\"")));
    assert_eq!(
        (&accepted.json()["emoji"], &accepted.json()["tone"]),
        (&json!("none"), &json!("warm"))
    );
    assert_eq!(
        get(server.address, "/v1/users/ana/preferences").await.json(),
        accepted.json()
    );

    assert_eq!(
        get(server.address, "/v1/users/ana/suggestions").await.json(),
        json!({"data": []})
    );
    let again = send(server.address, "POST", accept, &[], b"").await;
    assert_eq!(again.code(), (404, "suggestion_not_found".into()));
}

#[tokio::test]
async fn a_dismissed_suggestion_stays_away_until_the_evidence_is_another() {
    let server = with_edits().await;
    let dismiss = "/v1/users/ana/suggestions/emoji-none";
    let refused = with_match(&server, "DELETE", dismiss, "\"7\"", &json!({})).await;
    assert_eq!(refused.code(), (412, "version_mismatch".into()));

    let dismissed = send(server.address, "DELETE", dismiss, &[], b"").await;

    assert_eq!((dismissed.status, dismissed.header("etag")), (204, Some("\"2\"")));
    let suggested = get(server.address, "/v1/users/ana/suggestions").await.json();
    assert_eq!(suggested, json!({"data": []}));
    for (method, path) in [("DELETE", dismiss.to_owned()), ("POST", format!("{dismiss}/accept"))] {
        let again = send(server.address, method, &path, &[], b"").await;
        assert_eq!(again.code(), (404, "suggestion_not_found".into()), "{method}");
    }
    let preferences = get(server.address, "/v1/users/ana/preferences").await.json();
    assert_eq!(
        (&preferences["emoji"], preferences.get("dismissed")),
        (&Value::Null, None)
    );
    // Whoever replaces the wishes dismisses nothing less.
    send_json(
        server.address,
        "PUT",
        "/v1/users/ana/preferences",
        &json!({"tone": "calm"}),
    )
    .await;
    let suggested = get(server.address, "/v1/users/ana/suggestions").await.json();
    assert_eq!(suggested, json!({"data": []}));
}

#[tokio::test]
async fn somebody_else_writing_all_the_time_is_a_conflict() {
    let server = with_edits().await;
    server.store.conflicts(u32::MAX);

    let refused = send(
        server.address,
        "POST",
        "/v1/users/ana/suggestions/emoji-none/accept",
        &[],
        b"",
    )
    .await;

    assert_eq!(refused.code(), (409, "conflict".into()));
}

#[tokio::test]
async fn whoever_is_erased_leaves_no_sample_and_no_feedback() {
    let server = with_edits().await;
    send_json(
        server.address,
        "PUT",
        "/v1/users/ana/voice",
        &json!({"samples": SAMPLES}),
    )
    .await;

    let erased = send(server.address, "DELETE", "/v1/users/ana", &[], b"").await;
    assert_eq!(
        erased.json(),
        json!({"id": "ana", "user_erased": true, "captions_erased": 6})
    );

    send_json(server.address, "POST", "/v1/users", &json!({"id": "ana"})).await;
    assert_eq!(
        get(server.address, "/v1/users/ana/voice").await.json(),
        json!({"samples": [], "style_card": null})
    );
    assert_eq!(
        get(server.address, "/v1/users/ana/suggestions").await.json(),
        json!({"data": []})
    );
}
