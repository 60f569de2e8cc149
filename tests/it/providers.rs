//! What may be asked for, and who writes: as the API and the command line tell it.

use captions_api::options::OptionsDocument;
use captions_cli::Exit;
use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Value, json};

use crate::support::{Service, captions, description, environment};

/// Two providers and no local model, so that nothing else can answer than what a test scripts.
async fn service(llm: &FakeLlm) -> Service {
    let providers = format!(
        r#"[{{ name = "main", kind = "openai", base_url = "{}", model = "some-model", api_key_env = "SECRET_OF_MAIN" }},
            {{ name = "spare", kind = "template" }}]"#,
        llm.base_url()
    );
    let env = [
        ("CAPTIONS_LLM__PROVIDERS", providers.as_str()),
        ("SECRET_OF_MAIN", "sk-of-main"),
    ];
    Service::start(&env).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_options_are_those_of_the_code_and_a_form_made_of_them_is_accepted() {
    let llm = FakeLlm::start().await;
    let service = service(&llm).await;

    let (status, options) = service.get("/v1/options").await;

    assert_eq!(status, 200);
    assert_eq!(options, serde_json::to_value(OptionsDocument::all()).unwrap());
    for field in [
        "tone",
        "style",
        "audience",
        "content_type",
        "platform",
        "length",
        "emoji",
        "cta",
    ] {
        for value in options[field]["values"].as_array().unwrap() {
            let body = json!({ "content_description": "Bread", "provider": "spare", "store": false, field: value });
            let (status, answer) = service.post("/v1/captions", &body).await;
            assert_eq!(status, 200, "{field} {value}: {answer}");
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_listed_in_their_order_with_what_they_last_failed_with_and_without_secrets() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::server_error());
    let service = service(&llm).await;

    let (status, before) = service.get("/v1/providers").await;
    assert_eq!(status, 200);
    let shown: Vec<(&Value, &Value, &Value)> = before["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["id"], &one["role"], &one["model"]))
        .collect();
    assert_eq!(shown[0], (&json!("main"), &json!("chain"), &json!("some-model")));
    assert_eq!((shown[1].0, shown[1].1), (&json!("spare"), &json!("chain")));
    assert_eq!(before["data"][0]["healthy"], true);
    assert_eq!(before["data"][0]["breaker"], "closed");
    assert_eq!(before["data"][0]["last_error"], Value::Null);

    let body = json!({ "content_description": description("Bread") });
    assert_eq!(service.post("/v1/captions", &body).await.1["provider"], "spare");

    let (_, after) = service.get("/v1/providers").await;
    assert_eq!(
        after["data"][0]["last_error"]["code"], "provider_unavailable",
        "{after}"
    );
    assert_eq!(after["data"][1]["last_error"], Value::Null);
    let (_, models) = service.get("/v1/models").await;
    assert_eq!(models["data"][0]["id"], "some-model");
    assert_eq!(models["data"][0]["provider"], "main");
    for told in [after, models] {
        let told = told.to_string();
        assert!(!told.contains("127.0.0.1") && !told.contains("sk-of-main"), "{told}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_makes_one_real_call_and_tells_what_came_of_it() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption("A cup of coffee, warm in the hand."));
    let service = service(&llm).await;
    let probe = async |name: &str| service.post(&format!("/v1/providers/{name}/probe"), &json!({})).await;

    let (status, fine) = probe("main").await;
    assert_eq!(
        (status, &fine["ok"], &fine["attempts"]),
        (200, &json!(true), &json!(1)),
        "{fine}"
    );
    assert_eq!((&fine["model"], &fine["error"]), (&json!("some-model"), &Value::Null));
    assert_eq!(llm.requests().len(), 1);

    llm.always(Turn::server_error());
    let (status, sick) = probe("main").await;
    assert_eq!(
        (status, &sick["ok"], &sick["attempts"]),
        (200, &json!(false), &json!(1)),
        "{sick}"
    );
    assert_eq!(sick["error"]["code"], "provider_unavailable");
    assert_eq!(llm.requests().len(), 2, "a probe is not repeated");

    let (status, unknown) = probe("nobody").await;
    assert_eq!((status, &unknown["code"]), (404, &json!("provider_not_found")));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_and_tests_the_same_providers() {
    let home = tempfile::tempdir().unwrap();
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption("A cup of coffee, warm in the hand."));
    let base_url = llm.base_url();
    let env = environment(&home, &[("OPENAI_BASE_URL", &base_url), ("OPENAI_MODEL", "some-model")]);

    let listed = captions(env.clone(), &["provider", "list", "--json"]).await;
    assert_eq!(listed.exit, Exit::Done, "{}", listed.stderr);
    let document: Value = serde_json::from_str(&listed.stdout).unwrap();
    let name = document["data"][0]["id"].as_str().unwrap();
    assert_eq!(document["data"][0]["model"], "some-model");
    let listed = captions(env.clone(), &["provider", "list"]).await;
    assert!(
        listed.stdout.contains(name) && listed.stdout.contains("some-model (chain)"),
        "{}",
        listed.stdout
    );

    let tested = captions(env.clone(), &["provider", "test", name, "--json"]).await;
    assert_eq!(tested.exit, Exit::Done, "{}", tested.stderr);
    let document: Value = serde_json::from_str(&tested.stdout).unwrap();
    assert_eq!((&document["ok"], &document["attempts"]), (&json!(true), &json!(1)));

    llm.always(Turn::server_error());
    let failed = captions(env.clone(), &["provider", "test", name]).await;
    assert_ne!(failed.exit, Exit::Done);
    assert!(failed.stderr.contains("provider_unavailable"), "{}", failed.stderr);

    let unknown = captions(env, &["provider", "test", "nobody"]).await;
    assert!(unknown.stderr.contains("provider_not_found"), "{}", unknown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_prints_the_options() {
    let home = tempfile::tempdir().unwrap();
    let env = environment(&home, &[]);

    let document = captions(env.clone(), &["options", "--json"]).await;
    let plain = captions(env, &["options"]).await;

    let told: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(told, serde_json::to_value(OptionsDocument::all()).unwrap());
    assert_eq!((document.exit, plain.exit), (Exit::Done, Exit::Done));
    assert!(plain.stdout.contains("tone (friendly): "), "{}", plain.stdout);
    assert!(plain.stdout.contains("instagram default: 2200 "), "{}", plain.stdout);
}
