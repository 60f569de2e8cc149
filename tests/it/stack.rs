//! The whole job over a real Postgres and a real Redis.

use std::time::{Duration, Instant};

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres, redis,
};
use serde_json::json;

use crate::support::{Service, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

/// A service over its own database, the shared Redis and this provider.
async fn service(llm: &FakeLlm, database: &str) -> Service {
    Service::start(&[
        ("DATABASE_URL", database),
        ("REDIS_URL", &redis::shared().url()),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m1"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caption_is_written_once_stored_in_postgres_and_shared_over_redis_by_two_replicas() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let database = postgres::fresh_database().await;
    let (one, other) = (service(&llm, &database).await, service(&llm, &database).await);
    let body = json!({ "content_description": description("Bread on the counter of a bakery") });

    let (status, written) = one.post("/v1/captions", &body).await;
    // What was written reaches Redis behind the answer; whoever asks before that shares the writing, and it is no hit yet.
    let begun = Instant::now();
    let (again, hit) = loop {
        let (again, hit) = other.post("/v1/captions", &body).await;
        if hit["source"] == "cache" || begun.elapsed() > Duration::from_secs(20) {
            break (again, hit);
        }
    };
    let (found, stored) = other
        .get(&format!("/v1/captions/{}", written["id"].as_str().unwrap()))
        .await;

    assert_eq!((status, again, found), (201, 200, 200), "{written} {hit} {stored}");
    assert_eq!(
        (&written["source"], &hit["source"]),
        (&json!("provider"), &json!("cache"))
    );
    assert_eq!((&written["attempts"], &hit["attempts"]), (&json!(1), &json!(0)));
    for field in [
        "id",
        "caption",
        "hashtags",
        "text",
        "quality_score",
        "word_count",
        "character_count",
        "model",
    ] {
        assert_eq!((field, &written[field]), (field, &hit[field]));
        assert_eq!((field, &written[field]), (field, &stored[field]));
    }
    assert_ne!(written["request_id"], hit["request_id"]);
    assert_eq!(llm.count(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_prefer_reaches_the_model_and_their_captions_never_meet() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let service = service(&llm, &postgres::fresh_database().await).await;
    let text = description("A street in the rain");
    for (user, tone) in [("ana", "playful"), ("ben", "formal")] {
        let (status, made) = service
            .post("/v1/users", &json!({ "id": user, "preferences": { "tone": tone } }))
            .await;
        assert_eq!(status, 201, "{made}");
    }

    for user in ["ana", "ben", "ana"] {
        service
            .post("/v1/captions", &json!({ "content_description": text, "user_id": user }))
            .await;
    }
    service
        .patch("/v1/users/ana/preferences", &json!({ "tone": "calm" }))
        .await;
    service
        .post(
            "/v1/captions",
            &json!({ "content_description": text, "user_id": "ana" }),
        )
        .await;

    let told: Vec<String> = llm.requests().iter().map(|request| request.user_text()).collect();
    // The last one is asked for once more: the model writes what ana has had before.
    assert_eq!(told.len(), 4, "ana's second request is a hit");
    for (text, tone) in told.iter().zip(["playful", "formal", "calm", "calm"]) {
        assert!(text.contains(&format!("is {tone} in tone")), "{text}");
    }
    let (_, history) = service.get("/v1/users/ana/captions").await;
    assert_eq!(history["data"].as_array().unwrap().len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caption_is_streamed_and_then_kept_like_any_other() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::text(CAPTION));
    let service = service(&llm, &postgres::fresh_database().await).await;
    let body = json!({ "content_description": description("Bread on the counter of a bakery") });

    let events = service.stream(&body).await;

    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names[0], names[names.len() - 1]),
        ("caption.created", "caption.completed")
    );
    let shown: String = events
        .iter()
        .filter(|(name, _)| name == "caption.delta")
        .map(|(_, data)| data["text"].as_str().unwrap())
        .collect();
    assert_eq!(shown, CAPTION);
    let document = &events[events.len() - 1].1;
    assert_eq!(document["caption"], CAPTION);
    let (found, _) = service
        .get(&format!("/v1/captions/{}", document["id"].as_str().unwrap()))
        .await;
    assert_eq!(found, 200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_leaves_takes_everything_along() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let database = postgres::fresh_database().await;
    let service = service(&llm, &database).await;
    service.post("/v1/users", &json!({ "id": "ana" })).await;
    let (_, made) = service
        .post(
            "/v1/captions",
            &json!({ "content_description": description("A street"), "user_id": "ana" }),
        )
        .await;

    let gone = service
        .client
        .delete(format!("{}/v1/users/ana", service.base))
        .send()
        .await
        .unwrap();

    assert!(gone.status().is_success());
    assert_eq!(service.get("/v1/users/ana").await.0, 404);
    assert_eq!(
        service
            .get(&format!("/v1/captions/{}", made["id"].as_str().unwrap()))
            .await
            .0,
        404
    );
    service.stop().await;
}
