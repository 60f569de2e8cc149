//! Which crate may know which. The table is the design; the test reads what cargo knows of the tree.

use std::{collections::BTreeMap, process::Command};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const ADAPTERS: [&str; 6] = [
    "captions-embedded",
    "captions-local-llm",
    "captions-openai",
    "captions-postgres",
    "captions-redis",
    "captions-webhook",
];
const APPS: [&str; 2] = ["captions-cli", "captions-http"];

/// Libraries that bring a runtime, a driver, the environment, a clock or files: none of them belongs in the domain.
const IMPURE: [&str; 14] = [
    "axum",
    "candle-core",
    "clap",
    "config",
    "hyper",
    "indicatif",
    "rand",
    "redis",
    "reqwest",
    "rustls",
    "sqlx",
    "tokio",
    "tracing",
    "tracing-subscriber",
];

/// True if `from` may use `to` in what is shipped.
fn may_use(from: &str, to: &str) -> bool {
    match from {
        "captions-domain" => false,
        "captions-api" | "captions-resilience" | "captions-testkit" => to == "captions-domain",
        "captions-wiring" => to == "captions-domain" || to == "captions-resilience" || ADAPTERS.contains(&to),
        _ if ADAPTERS.contains(&from) => to == "captions-domain",
        _ if APPS.contains(&from) => ["captions-wiring", "captions-api", "captions-domain"].contains(&to),
        // It starts the whole as production does and measures it from outside.
        "captions-bench" => to == "captions-http" || to == "captions-wiring",
        _ => false,
    }
}

/// True if the tests of `from` may use `to`.
fn may_test_with(from: &str, to: &str) -> bool {
    // The whole-system tests may use everything.
    from == "captions-tests" || to == "captions-testkit" || to == "captions-domain" || may_use(from, to)
}

/// The arrows between our own crates that the table forbids.
fn forbidden(arrows: &[(&str, &str, DependencyKind)]) -> Vec<String> {
    arrows
        .iter()
        .filter(|(from, to, kind)| {
            !(if *kind == DependencyKind::Development {
                may_test_with(from, to)
            } else {
                may_use(from, to)
            })
        })
        .map(|(from, to, kind)| format!("{from} -> {to} ({kind:?})"))
        .collect()
}

/// The tree for the kind of machine that this test was built for: packages for others need not be there.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    MetadataCommand::new()
        .other_options(["--locked", "--offline", "--filter-platform", host].map(String::from))
        .exec()
        .unwrap()
}

#[test]
fn no_crate_knows_what_it_must_not_know() {
    let metadata = metadata();
    let ours = metadata.workspace_packages();

    let arrows: Vec<_> = ours
        .iter()
        .flat_map(|package| {
            package
                .dependencies
                .iter()
                .map(|to| (package.name.as_str(), to.name.as_str(), to.kind))
        })
        .filter(|(_, to, _)| to.starts_with("captions-"))
        .collect();

    assert!(arrows.len() > 20, "the tree was not read: {arrows:?}");
    assert_eq!(forbidden(&arrows), Vec::<String>::new());
}

#[test]
fn an_arrow_against_the_design_is_noticed() {
    let normal = DependencyKind::Normal;
    for (from, to) in [
        ("captions-domain", "captions-api"),
        ("captions-redis", "captions-postgres"),
        ("captions-openai", "captions-resilience"),
        ("captions-http", "captions-postgres"),
        ("captions-webhook", "captions-resilience"),
        ("captions-http", "captions-cli"),
        ("captions-resilience", "captions-redis"),
        ("captions-api", "captions-wiring"),
        ("captions-wiring", "captions-testkit"),
    ] {
        assert_eq!(forbidden(&[(from, to, normal)]).len(), 1, "{from} -> {to}");
    }
    assert_eq!(
        forbidden(&[("captions-redis", "captions-testkit", DependencyKind::Development)]).len(),
        0
    );
    assert_eq!(
        forbidden(&[("captions-redis", "captions-postgres", DependencyKind::Development)]).len(),
        1
    );
}

#[test]
fn the_domain_is_pure() {
    let metadata = metadata();
    let domain = metadata
        .packages
        .iter()
        .find(|package| package.name == "captions-domain")
        .unwrap();

    let impure: Vec<_> = domain
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal && IMPURE.contains(&dependency.name.as_str()))
        .map(|dependency| dependency.name.as_str())
        .collect();

    assert_eq!(impure, Vec::<&str>::new());
}

#[test]
fn there_is_one_tls_library_with_one_crypto_provider() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in &metadata.packages {
        *versions.entry(package.name.as_str()).or_default() += 1;
    }

    for banned in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"] {
        assert!(!versions.contains_key(banned), "{banned} is in the tree");
    }
    for single in ["rustls", "ring"] {
        assert_eq!(versions.get(single), Some(&1), "{single}");
    }
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}
