//! The OpenAPI document in the eyes of validators that know nothing of this service.

use std::{path::Path, process::Command};

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
