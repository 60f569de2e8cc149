//! Which crate may know which. The table is the design; the test reads what cargo knows of the tree.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
        // What callers of the HTTP API build on: the wire contract, and nothing of what answers it.
        "captions-client" => to == "captions-api" || to == "captions-domain",
        "captions-wiring" => to == "captions-domain" || to == "captions-resilience" || ADAPTERS.contains(&to),
        _ if ADAPTERS.contains(&from) => to == "captions-domain",
        // The same commands, answered by a server.
        "captions-cli" if to == "captions-client" => true,
        _ if APPS.contains(&from) => ["captions-wiring", "captions-api", "captions-domain"].contains(&to),
        // Readers of strangers' bytes.
        "captions-fuzz" => to == "captions-api" || to == "captions-domain",
        // Counts what the rules, the defaults and the safeguards cost, without building what else there is.
        "captions-instructions" => ["captions-domain", "captions-embedded", "captions-resilience"].contains(&to),
        // It starts the whole as production does and measures it from outside.
        "captions-bench" => ["captions-cli", "captions-http", "captions-wiring", "captions-testkit"].contains(&to),
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
        ("captions-client", "captions-wiring"),
        ("captions-client", "captions-http"),
        ("captions-http", "captions-client"),
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
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

/// Where shipped code may start what goes on beside its caller, and why it is not among the tasks that the composition
/// root drains.
const STARTS: [(&str, &str); 5] = [
    ("crates/captions-resilience/src/tasks.rs", "the tasks themselves"),
    (
        "apps/captions-http/src/serve.rs",
        "the accept loop: one task a connection, in a set that ends with the server and is drained before the tasks",
    ),
    (
        "crates/captions-redis/src/link.rs",
        "opening a connection goes on without the commands that wait for it; bounded by the time to connect, aborted \
         when the link lets go of it",
    ),
    (
        "crates/captions-wiring/src/readiness.rs",
        "asks all parts at once; the set lives in the call and ends with it",
    ),
    (
        "crates/captions-local-llm/src/worker.rs",
        "one thread for the model, which ends when its queue is dropped",
    ),
];

/// True for a line that starts a task or a thread, or makes a set of tasks.
fn starts_something(line: &str) -> bool {
    let line = line.trim_start();
    let is_call = |word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != '.')
        })
    };
    !line.starts_with("//")
        && !line.contains("fn spawn")
        && (is_call("spawn(")
            || is_call("spawn_local(")
            || is_call("spawn_on(")
            || is_call("thread::Builder")
            || ["JoinSet::", "TaskTracker::", "Handle::current("]
                .iter()
                .any(|set| line.contains(set)))
}

/// What is shipped of a source file: everything before its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && name != "tests.rs"
            && name != "interleavings.rs"
        {
            found.push(path);
        }
    }
}

#[test]
fn nothing_but_the_tasks_starts_what_outlives_a_call() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for parts in ["apps", "crates"] {
        for part in fs::read_dir(root.join(parts)).unwrap().map(Result::unwrap) {
            // It is not shipped.
            if part.file_name() != "captions-testkit" {
                sources(&part.path().join("src"), &mut files);
            }
        }
    }
    let mut starting: Vec<String> = files
        .iter()
        .filter(|path| {
            shipped(&fs::read_to_string(path).unwrap())
                .lines()
                .any(starts_something)
        })
        .map(|path| path.strip_prefix(root).unwrap().display().to_string())
        .collect();
    starting.sort();

    assert!(files.len() > 100, "the tree was not read: {} files", files.len());
    let mut known = STARTS.map(|(path, _)| path);
    known.sort_unstable();
    assert_eq!(
        starting, known,
        "work that outlives a call is started through captions_resilience::tasks::Tasks, so that it has an end"
    );
}

#[test]
fn a_task_without_an_owner_is_noticed() {
    for line in [
        "tokio::spawn(async move {",
        "    let task = spawn(work);",
        "tokio::task::spawn(work)",
        "std::thread::spawn(|| {})",
        "let mut set = JoinSet::new();",
        "thread::Builder::new().name(name)",
        "tokio::runtime::Handle::current().spawn(work)",
    ] {
        assert!(starts_something(line), "{line}");
    }
    for line in [
        "self.tasks.spawn(\"refresh\", work)",
        "tasks.spawn_endless(\"tables\", work);",
        "// tokio::spawn(work)",
        "tokio::task::spawn_blocking(work).await",
        "pub fn spawn(&self, work: F) {",
    ] {
        assert!(!starts_something(line), "{line}");
    }
}
