//! The OpenAPI document in the eyes of validators that know nothing of this service.

use std::{env, path::Path, process::Command};

use crate::support::{Service, captions, environment};

/// For how long each server is asked, unless `CAPTIONS_LIVE_SECONDS` says otherwise.
const SECONDS: &str = "15";

/// Packages come from the registries once, into the cache folder; where they cannot, this fails and says so.
#[test]
fn the_document_is_valid_to_two_validators_and_every_example_fits_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, captions_http::openapi().to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");

    let ran = Command::new(script).arg(&file).output().unwrap();

    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(ran.status.success(), "{told}");
    assert!(told.contains(": OK") && told.contains("is valid"), "{told}");
}

/// Schemathesis with all its checks, on a server that asks for keys and on one that asks for none. The cases are drawn from a
/// fixed seed.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_asks_all_that_the_document_allows_finds_nothing_with_a_key_and_without() {
    let providers = (
        "CAPTIONS_LLM__PROVIDERS",
        r#"[{ name = "template", kind = "template" }]"#,
    );
    let open = Service::start(&[providers]).await;
    asked(&open, None).await;
    open.stop().await;

    let home = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", home.path().join("captions.db").display());
    let required = ("CAPTIONS_AUTH__REQUIRED", "always");
    let closed = Service::start(&[providers, required, ("DATABASE_URL", &database)]).await;
    let env = environment(&home, &[("DATABASE_URL", &database)]);
    let made = captions(env, &["key", "create", "--scopes", "read,write,admin"]).await;
    asked(&closed, Some(made.stdout.trim())).await;
    closed.stop().await;
}

async fn asked(service: &Service, key: Option<&str>) {
    let queue = service.state.batches.clone().unwrap();
    queue.work(captions_api::batch::FORMS, 1, None);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let seconds = env::var_os("CAPTIONS_LIVE_SECONDS").unwrap_or_else(|| SECONDS.into());
    let mut command = Command::new(script);
    command
        .args(["--live", &service.base])
        .arg(seconds)
        .env_remove("CAPTIONS_API_KEY");
    if let Some(key) = key {
        command.env("CAPTIONS_API_KEY", key);
    }
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    // It got somewhere, and was let in.
    assert!(told.contains("generated"), "{told}");
    assert!(!told.contains("Authentication failed"), "{told}");
}
