//! The command line and the HTTP API are two doors to the same thing.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{Service, captions, environment};

/// A settings file with no provider but the template writer.
const TEMPLATE: &str = "[[llm.providers]]\nname = \"words\"\nkind = \"template\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn both_print_the_same_document_for_the_same_request() {
    let home = tempdir().unwrap();
    let config = home.path().join("words.toml");
    std::fs::write(&config, TEMPLATE).unwrap();
    let config = config.display().to_string();
    let text = "A folding electric bike in front of the station";

    let env = environment(&home, &[("CAPTIONS_CONFIG", &config)]);
    let ran = captions(
        env,
        &["generate", text, "--tone", "warm", "--seed", "7", "-n", "2", "--json"],
    )
    .await;
    let service = Service::start(&[("CAPTIONS_CONFIG", &config)]).await;
    let body = json!({ "content_description": text, "tone": "warm", "seed": 7, "variants": 2 });
    let (status, by_http) = service.post("/v1/captions", &body).await;

    assert_eq!((ran.exit.code(), status), (0, 201), "{} {by_http}", ran.stderr);
    let by_command: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(fields(&by_command), fields(&by_http));
    for field in [
        "caption",
        "hashtags",
        "text",
        "quality_score",
        "source",
        "provider",
        "grade",
    ] {
        assert_eq!((field, &by_command[field]), (field, &by_http[field]));
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_has_the_same_words_in_both() {
    let home = tempdir().unwrap();
    let service = Service::start(&[]).await;

    let ran = captions(
        environment(&home, &[]),
        &["generate", "a cat on a sofa", "--tone", "freindly"],
    )
    .await;
    let (status, problem) = service
        .post(
            "/v1/captions",
            &json!({ "content_description": "a cat on a sofa", "tone": "freindly" }),
        )
        .await;

    assert_eq!((ran.exit.code(), status), (2, 422), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("unknown tone 'freindly'") && ran.stderr.contains("friendly"),
        "{}",
        ran.stderr
    );
    let error = &problem["errors"][0];
    assert_eq!(
        (&error["pointer"], &error["nearest"]),
        (&json!("/tone"), &json!("friendly"))
    );
    assert!(
        error["detail"].as_str().unwrap().contains("unknown tone 'freindly'"),
        "{problem}"
    );
    service.stop().await;
}

fn fields(document: &Value) -> Vec<&String> {
    let mut fields: Vec<_> = document.as_object().unwrap().keys().collect();
    fields.sort();
    fields
}
