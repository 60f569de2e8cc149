//! The generated clients: built from the document of a running server, which they then call.

use std::{path::Path, process::Command};

use crate::support::Service;

/// Packages come from the registries once, into the cache folder; where they cannot, this fails and says so.
#[tokio::test(flavor = "multi_thread")]
async fn typescript_and_python_are_generated_from_the_live_document_and_call_the_server() {
    let providers = r#"[{ name = "template", kind = "template" }]"#;
    let service = Service::start(&[("CAPTIONS_LLM__PROVIDERS", providers)]).await;
    let smoke = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("clients/smoke");

    let url = service.base.clone();
    let ran = tokio::task::spawn_blocking(move || Command::new(smoke).arg(url).output().unwrap());
    let ran = ran.await.unwrap();

    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(
        told.contains("TypeScript client: fine") && told.contains("Python client: fine"),
        "{told}"
    );
    service.stop().await;
}
