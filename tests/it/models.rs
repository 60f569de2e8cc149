//! Real models: the one in the process, and one behind a real OpenAI-compatible server.

use captions_testkit::{llama, postgres, redis};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{Service, captions, environment, model_cache};

/// What every caption of a real model must be, whatever it says.
fn assert_publishable(document: &Value) {
    let text = document["text"].as_str().unwrap();
    assert!(!document["caption"].as_str().unwrap().trim().is_empty(), "{document}");
    assert_eq!(document["publishable"], true, "{document}");
    assert!(text.chars().count() <= 2200);
    assert!(document["hashtags"].as_array().unwrap().len() <= 5);
    assert!((0.0..=100.0).contains(&document["quality_score"].as_f64().unwrap()));
    assert!(document["usage"]["output_tokens"].as_u64().unwrap() > 0, "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_setting_the_command_line_writes_with_the_local_model_and_remembers_it() {
    let home = tempdir().unwrap();
    let env = environment(&home, &[("XDG_CACHE_HOME", &model_cache())]);

    let ran = captions(
        env.clone(),
        &[
            "generate",
            "--user",
            "ana",
            "Golden retriever puppy running on a sandy beach at sunset",
            "--timeout",
            "60",
            "--json",
        ],
    )
    .await;
    let listed = captions(env, &["history", "ana", "--json"]).await;

    assert_eq!(ran.exit.code(), 0, "{}", ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_publishable(&document);
    assert_eq!(
        (&document["source"], &document["grade"]),
        (&json!("provider"), &json!("basic"))
    );
    assert_eq!(listed.exit.code(), 0, "{}", listed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_model_is_there_no_network_and_no_tool_is_needed() {
    let home = tempdir().unwrap();
    let cache = model_cache();
    captions(environment(&home, &[("XDG_CACHE_HOME", &cache)]), &["model", "pull"]).await;
    let mut env = environment(&home, &[("XDG_CACHE_HOME", &cache), ("PATH", "/nonexistent")]);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        env.insert(proxy.to_owned(), "http://127.0.0.1:9".to_owned());
    }

    let ran = captions(
        env,
        &[
            "generate",
            "Two friends hiking above the clouds",
            "--timeout",
            "60",
            "--json",
        ],
    )
    .await;

    assert_eq!(ran.exit.code(), 0, "{}", ran.stderr);
    assert_publishable(&serde_json::from_str(&ran.stdout).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_model_writes_for_anything_that_is_described_in_english_and_hands_over_what_is_not() {
    let service = Service::start(&[("XDG_CACHE_HOME", &model_cache()), ("CAPTIONS_ENGINE__DEADLINE", "60")]).await;

    for text in [
        "Latte flat lay with a notebook and a succulent on a cafe table",
        "New white minimalist sneakers on a concrete floor",
        "Homemade ramen with a soft egg and spring onions",
        "Our bakery team holding trays of fresh sourdough loaves",
        "A tabby cat hiding inside a cardboard box",
    ] {
        let (status, document) = service
            .post("/v1/captions", &json!({ "content_description": text }))
            .await;
        assert_eq!(status, 201, "{document}");
        assert_eq!(
            (&document["provider"], &document["degraded"]),
            (&json!("local-smollm2"), &json!([]))
        );
        assert_publishable(&document);
    }
    let german = json!({ "content_description": "Frisches Brot auf der Theke", "language": "de" });
    let (_, document) = service.post("/v1/captions", &german).await;
    assert_eq!(
        (&document["source"], &document["degraded"]),
        (&json!("template"), &json!(["template_fallback"]))
    );

    let events = service
        .stream(&json!({ "content_description": "A potter shaping a clay vase" }))
        .await;
    assert_eq!(events[events.len() - 1].0, "caption.completed");
    service.stop().await;
}

/// A service over nothing but servers: Postgres, Redis, and llama.cpp with the same small model.
async fn over_servers() -> Service {
    let llama = tokio::task::spawn_blocking(llama::server).await.unwrap();
    Service::start(&[
        ("DATABASE_URL", &postgres::fresh_database().await),
        ("REDIS_URL", &redis::shared().url()),
        ("OPENAI_BASE_URL", llama.base_url()),
        ("OPENAI_API_KEY", llama::API_KEY),
        ("CAPTIONS_ENGINE__DEADLINE", "120"),
        ("API_TIMEOUT", "60"),
        ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "60"),
        ("CAPTIONS_API__IDLE_TIMEOUT", "60"),
    ])
    .await
}

fn asked(seed: u32) -> Value {
    json!({
        // The same words each time, so that the model writes the same each time; no cache, as other tests share it.
        "content_description": "Golden retriever puppy running on a sandy beach",
        "cache": "bypass",
        "seed": seed,
        "temperature": 0.3,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_runs_over_real_servers_and_says_who_wrote_the_caption() {
    let service = over_servers().await;

    let (status, document) = service.post("/v1/captions", &asked(3)).await;

    assert_eq!(status, 201, "{document}");
    assert!(
        document["attempts"].as_u64().unwrap() >= 1,
        "the model's server was not asked: {document}"
    );
    assert_eq!(document["publishable"], true, "{document}");
    // This model cannot fill in the form: it repeats the example. That must never pass for a caption of its own.
    let caption = document["caption"].as_str().unwrap().to_lowercase();
    for echo in ["first sentence", "may be empty", "call to action"] {
        assert!(!caption.contains(echo), "{document}");
    }
    let is_template = document["source"] == "template";
    assert_eq!(
        is_template,
        document["degraded"] == json!(["template_fallback"]),
        "{document}"
    );
    assert!(is_template || document["source"] == "provider", "{document}");
    assert_eq!(
        service
            .get(&format!("/v1/captions/{}", document["id"].as_str().unwrap()))
            .await
            .0,
        200
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_server_streams_ends_in_one_document_that_says_whose_it_is() {
    let service = over_servers().await;

    let events = service.stream(&asked(1)).await;

    let (name, document) = &events[events.len() - 1];
    assert_eq!(name, "caption.completed", "{document}");
    assert_eq!(document["publishable"], true, "{document}");
    // Unconstrained, this model mostly repeats its question or runs on; that is withdrawn, and the template says so.
    let is_template = document["source"] == "template";
    assert_eq!(
        is_template,
        document["degraded"] == json!(["template_fallback"]),
        "{document}"
    );
    assert!(is_template || document["source"] == "provider", "{document}");
    service.stop().await;
}
