//! The bench itself: its program, with everything that it starts.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_smoke_run_measures_every_part_and_every_answer_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");

    let program = env!("CARGO_BIN_EXE_captions-bench");
    let listed = Command::new(program).args(["--only", "list"]).output().unwrap();
    let parts = String::from_utf8(listed.stdout).unwrap().trim().replace('\n', ",");
    let done = Command::new(program)
        .args(["--smoke", "--only", &parts, "--json"])
        .arg(&json)
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.starts_with("SMOKE"), "{said}");
    let document: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let figures = document["figures"].as_array().unwrap();
    let mut scenarios: Vec<_> = figures
        .iter()
        .map(|figure| figure["scenario"].as_str().unwrap())
        .collect();
    scenarios.dedup();
    assert!(scenarios.len() > 15, "{scenarios:?}");
    // What does not depend on the speed of a debug build.
    let value = |what: &str| {
        let of = figures.iter().filter(|figure| figure["what"] == what);
        of.map(|figure| figure["service"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(value("calls of the provider"), [1.0]);
    assert_eq!(value("requests without a caption"), [0.0, 0.0, 0.0]);
    assert!(
        value("calls of the provider while out")
            .iter()
            .all(|&calls| calls <= 20.0)
    );
}
