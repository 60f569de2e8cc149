use captions_domain::{fault::FaultKind, request::ProviderName};
use captions_http::Limits;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::{
    client::{get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

async fn say() -> Server {
    Server::start([Turn::Say(TEXT)]).await
}

#[tokio::test]
async fn a_caption_is_written_stored_and_found_again() {
    let server = say().await;
    let body = json!({"content_description": "a cat on a sill", "user_id": "ana", "campaign_id": "spring"});

    let written = send_json(server.address, "POST", "/v1/captions", &body).await;

    let document = written.json();
    let id = document["id"].as_str().unwrap();
    assert_eq!(written.status, 201);
    assert_eq!(written.header("location"), Some(format!("/v1/captions/{id}").as_str()));
    assert_eq!(written.header("content-type"), Some("application/json"));
    assert_eq!(written.header("cache-control"), Some("no-store"));
    assert_eq!(written.header("captions-provider"), Some("primary"));
    assert_eq!(written.header("captions-model"), Some("some-model"));
    assert_eq!(written.header("captions-attempts"), Some("1"));
    assert_eq!(written.header("captions-degraded"), None);
    // Its own work is measured here; nobody stands around the ports.
    let timing = written.header("server-timing").unwrap();
    let parts: Vec<&str> = timing.split(", ").map(|part| part.split(';').next().unwrap()).collect();
    assert_eq!(parts, ["hashtags", "score", "total"]);
    assert_eq!(written.header("x-request-id"), document["request_id"].as_str());
    assert_eq!(document["caption"], TEXT);
    assert_eq!(
        (&document["source"], &document["attempts"]),
        (&json!("provider"), &json!(1))
    );
    assert!(document["processing_time"].as_f64().unwrap() > 0.0);

    let found = get(server.address, &format!("/v1/captions/{id}")).await;
    let stored = found.json();
    assert_eq!(found.status, 200);
    assert_eq!(stored["content_description"], "a cat on a sill");
    assert_eq!(
        (&stored["user_id"], &stored["campaign_id"]),
        (&json!("ana"), &json!("spring"))
    );
    assert_eq!(stored["request_id"], document["request_id"]);
    assert_eq!(stored["variants"], document["variants"]);
    assert_eq!(stored["processing_time"], Value::Null);
}

#[tokio::test]
async fn an_unstored_caption_is_no_new_resource() {
    let server = say().await;

    let body = json!({"content_description": "a cat on a sill", "store": false});
    let written = send_json(server.address, "POST", "/v1/captions", &body).await;

    assert_eq!((written.status, written.header("location")), (200, None));
    assert_eq!(written.json()["id"], Value::Null);
}

#[tokio::test]
async fn a_caption_served_again_carries_the_stored_id_its_age_and_no_attempts() {
    let server = say().await;
    let body = json!({"content_description": "a cat on a sill"});

    let first = send_json(server.address, "POST", "/v1/captions", &body).await;
    let again = send_json(server.address, "POST", "/v1/captions", &body).await;

    let document = again.json();
    assert_eq!(
        (again.status, again.header("location"), again.header("age")),
        (200, None, Some("7"))
    );
    assert_eq!(document["id"], first.json()["id"]);
    assert_eq!(
        (&document["source"], &document["attempts"]),
        (&json!("cache"), &json!(0))
    );
    assert_ne!(document["request_id"], first.json()["request_id"]);
}

#[tokio::test]
async fn every_field_of_the_body_reaches_the_writer() {
    let server = say().await;
    let body = json!({
        "content_description": "a cat on a sill", "language": "de", "tone": "warm", "style": "luxury",
        "audience": "food", "content_type": "reel", "platform": "threads", "length": "medium", "max_chars": 300,
        "hashtag_count": 1, "emoji": "many", "cta": "save", "keywords": ["sun"], "avoid": ["cheap"], "variants": 3,
        "brand_voice": "dry", "instructions": "mention autumn", "sponsored": true, "provider": "second", "seed": 7,
        "temperature": 0.25, "cache": "bypass", "store": false, "allow_fallback": false
    });

    let written = send_json(server.address, "POST", "/v1/captions", &body).await;

    assert_eq!(written.status, 200, "{}", written.json());
    let prompts = server.writer.prompts.lock().unwrap();
    let brief = serde_json::to_value(&prompts[0].brief).unwrap();
    for (field, value) in body.as_object().unwrap() {
        let told = match field.as_str() {
            "content_description" => &brief["description"],
            "provider" | "cache" | "store" | "allow_fallback" => continue,
            field => &brief[field],
        };
        match (value.as_f64(), told.as_f64()) {
            (Some(sent), Some(told)) => assert!((sent - told).abs() < 1e-6, "{field}: {told}"),
            _ => assert_eq!(told, value, "{field}"),
        }
    }
    assert_eq!(prompts[0].provider.as_ref().map(ProviderName::as_str), Some("second"));
}

#[tokio::test]
async fn the_users_preferences_reach_the_writer() {
    let server = say().await;
    send_json(
        server.address,
        "POST",
        "/v1/users",
        &json!({"id": "ana", "preferences": {"tone": "calm"}}),
    )
    .await;

    let body = json!({"content_description": "a cat on a sill", "user_id": "ana"});
    send_json(server.address, "POST", "/v1/captions", &body).await;

    let prompts = server.writer.prompts.lock().unwrap();
    assert_eq!(prompts[0].brief.tone.as_str(), "calm");
}

#[tokio::test]
async fn the_callers_timeout_lowers_the_deadline_and_never_raises_it() {
    let server = Server::start_with(
        [Turn::Say(TEXT)],
        Limits {
            deadline: Duration::from_secs(5),
            ..Limits::default()
        },
    )
    .await;
    let body = json!({"content_description": "a cat on a sill", "cache": "bypass"}).to_string();

    for (asked, most) in [("1500", 1500), ("60000", 5000)] {
        let headers = [("content-type", "application/json"), ("request-timeout-ms", asked)];
        let before = Instant::now();
        send(server.address, "POST", "/v1/captions", &headers, body.as_bytes()).await;

        let cx = server.writer.contexts.lock().unwrap().pop().unwrap();
        let least = before + Duration::from_millis(most);
        assert!(
            cx.deadline >= least && cx.deadline <= Instant::now() + Duration::from_millis(most),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn a_request_that_nobody_answers_ends_at_its_deadline() {
    let server = Server::start([Turn::WaitThenSay(TEXT)]).await;
    let body = json!({"content_description": "a cat on a sill"}).to_string();
    let headers = [("content-type", "application/json"), ("request-timeout-ms", "50")];

    let begun = Instant::now();
    let reply = send(server.address, "POST", "/v1/captions", &headers, body.as_bytes()).await;

    assert_eq!(reply.code(), (504, "provider_timeout".into()));
    assert_eq!(reply.problem()["attempts"], 1);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    server.writer.is_busy_with(0).await;
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_writing() {
    let server = Server::start([Turn::WaitThenSay(TEXT)]).await;
    let body = json!({"content_description": "a cat on a sill"}).to_string();
    let mut connection = crate::client::Connection::open(server.address).await;
    let head = format!(
        "POST /v1/captions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write(format!("{head}{body}").as_bytes()).await;
    server.writer.is_busy_with(1).await;

    let left = Instant::now();
    drop(connection);
    server.writer.is_busy_with(0).await;

    assert!(left.elapsed() < Duration::from_secs(10), "{:?}", left.elapsed());
}

#[tokio::test]
async fn a_history_is_paged_from_the_newest_to_the_oldest() {
    let server = say().await;
    for index in 0..5 {
        let body = json!({"content_description": format!("cat number {index}"), "user_id": "ana"});
        assert_eq!(
            send_json(server.address, "POST", "/v1/captions", &body).await.status,
            201
        );
    }
    let stranger = json!({"content_description": "a dog", "user_id": "ben"});
    send_json(server.address, "POST", "/v1/captions", &stranger).await;

    let mut seen = Vec::new();
    let mut address = "/v1/users/ana/captions?limit=2".to_owned();
    let pages = loop {
        let page = get(server.address, &address).await.json();
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["content_description"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            break seen.len().div_ceil(2);
        };
        assert_eq!(page["has_more"], true);
        address = format!("/v1/users/ana/captions?limit=2&cursor={cursor}");
    };

    assert_eq!(pages, 3);
    assert_eq!(
        seen,
        [
            "cat number 4",
            "cat number 3",
            "cat number 2",
            "cat number 1",
            "cat number 0"
        ]
    );
    let all = get(server.address, "/v1/users/ana/captions").await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_user_without_captions_has_an_empty_history() {
    let server = say().await;

    let page = get(server.address, "/v1/users/nobody/captions").await;

    assert_eq!(
        (page.status, page.json()),
        (200, json!({"data": [], "has_more": false, "next_cursor": null}))
    );
}

#[tokio::test]
async fn the_callers_request_id_is_kept_and_a_bad_one_is_replaced() {
    let server = say().await;

    let kept = send(server.address, "GET", "/livez", &[("x-request-id", "My_id-7")], b"").await;
    assert_eq!(kept.header("x-request-id"), Some("My_id-7"));

    for bad in ["", "a b", "ü", "a;b", &"x".repeat(129)] {
        let reply = send(
            server.address,
            "GET",
            "/v1/captions/nope",
            &[("x-request-id", bad)],
            b"",
        )
        .await;
        let minted = reply.header("x-request-id").unwrap();
        assert!(minted.starts_with("req_") && minted.len() == 36, "{minted}");
        assert_eq!(reply.problem()["request_id"], minted);
    }
}

#[tokio::test]
async fn a_store_that_is_away_costs_no_caption_and_is_owned_up_to() {
    let server = say().await;
    server.store.breaks(Some(FaultKind::Unavailable));

    let body = json!({"content_description": "a cat on a sill", "user_id": "ana"});
    let written = send_json(server.address, "POST", "/v1/captions", &body).await;

    let document = written.json();
    assert_eq!(
        (written.status, written.header("captions-degraded")),
        (200, Some("preferences_default,partial_analysis"))
    );
    assert_eq!((&document["id"], &document["caption"]), (&Value::Null, &json!(TEXT)));
    let warnings = document["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|warning| warning["code"] == "not_stored"),
        "{warnings:?}"
    );
    assert_eq!(document["degraded"], json!(["preferences_default", "partial_analysis"]));
}
