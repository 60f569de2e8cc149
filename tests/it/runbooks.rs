//! Every command of every runbook runs against a real service, and shows what it says that it shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use captions_domain::keys::{Scope, Scopes};
use captions_resilience::alerts::Alert;
use captions_testkit::{
    build,
    llm::{FakeLlm, Turn},
    postgres, redis,
};
use rstest::rstest;
use serde_json::json;

use crate::{
    figures::Operators,
    support::{Service, description},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks");
const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

/// The text of every page by its file's name.
fn pages() -> BTreeMap<String, String> {
    fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// Names of fields whose value was printed as null.
fn nulls(printed: &str) -> BTreeSet<String> {
    printed
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').strip_suffix(": null"))
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_alert_has_a_page_and_every_page_is_in_the_list() {
    let pages = pages();
    let list = &pages["README.md"];

    for alert in Alert::ALL {
        let file = PathBuf::from(alert.runbook()).file_name().unwrap().to_owned();
        let file = file.into_string().unwrap();
        let title = pages[&file].lines().next().unwrap();
        assert!(title.ends_with(&format!("(`{}`)", alert.as_str())), "{file}: {title}");
        assert!(list.contains(&format!("| `{}` | [", alert.as_str())), "{alert:?}");
    }
    for (name, page) in &pages {
        assert!(!blocks(page).is_empty(), "{name} has no command");
        assert!(name == "README.md" || list.contains(&format!("({name})")), "{name}");
    }
}

/// Everything that the commands read, as it is now.
async fn documents(service: &Service, operators: &Operators, key: &str) -> String {
    let mut all = String::new();
    for (url, key) in [
        (format!("{}/v1/stats", service.base), key),
        (format!("{}/readyz?verbose", service.base), ""),
        (format!("{}/breakers", operators.base), ""),
    ] {
        all += &with(service.client.get(url), key)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
    }
    all
}

fn with(request: reqwest::RequestBuilder, key: &str) -> reqwest::RequestBuilder {
    if key.is_empty() {
        request
    } else {
        request.bearer_auth(key)
    }
}

#[rstest]
#[case::of_a_server_that_asks_for_no_keys("auto")]
#[case::of_a_server_that_asks_for_keys("always")]
#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_every_page_runs_and_prints_what_is_there(#[case] required: &str) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let database = postgres::fresh_database().await;
    let redis = redis::shared().url();
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("REDIS_URL", &redis),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m1"),
        ("CAPTIONS_AUTH__REQUIRED", required),
    ])
    .await;
    let key = if required == "always" {
        let (cx, secret) = (build::context_of("local"), build::secret());
        let mut key = build::key_bare(&cx.tenant, &secret);
        key.scopes = Scopes::new([Scope::Write, Scope::Admin]);
        service.state.keys.as_ref().unwrap().store.add(&cx, &key).await.unwrap();
        secret.text()
    } else {
        String::new()
    };
    let operators = Operators::of(&service).await;
    // Something to show: a caption that is written, and one that is found.
    let body = json!({ "content_description": description("Bread on the counter"), "user_id": "ana" });
    for status in [201, 200] {
        let asked = service.client.post(format!("{}/v1/captions", service.base)).json(&body);
        assert_eq!(with(asked, &key).send().await.unwrap().status(), status);
    }
    let pages = pages();
    let setting = blocks(&pages["README.md"]).concat();

    for (name, page) in &pages {
        for block in blocks(page) {
            let mut known = documents(&service, &operators, &key).await;
            let mut command = Command::new("timeout");
            command
                .args(["60", "bash", "-c", &format!("set -euo pipefail\n{setting}\n{block}")])
                .env("CAPTIONS", &service.base)
                .env("ADMIN", &operators.base)
                .env("DATABASE_URL", &database)
                .env("REDIS_URL", &redis)
                .env("CAPTIONS_API_KEY", &key);
            let done = tokio::task::spawn_blocking(move || command.output()).await;
            let done = done.unwrap().unwrap();
            let printed = String::from_utf8_lossy(&done.stdout);
            let complained = String::from_utf8_lossy(&done.stderr);

            assert!(done.status.success(), "{name}:\n{block}\n{printed}\n{complained}");
            assert!(
                name == "README.md" || !printed.trim().is_empty(),
                "{name} shows nothing:\n{block}"
            );
            assert!(
                !printed.lines().any(|line| line == "null"),
                "{name} shows null:\n{block}"
            );
            // What is null, such as the rate of a minute without calls, is a name that is there and null there too.
            known += &documents(&service, &operators, &key).await;
            for field in nulls(&printed) {
                assert!(
                    known.contains(&format!("\"{field}\":null")),
                    "{name}: there is no `{field}`:\n{block}"
                );
            }
        }
    }

    // The hand on the breaker was taken away again.
    let (_, ready) = service.get("/readyz").await;
    assert_eq!(ready["status"], "ok", "{ready}");
    operators.stop().await;
    service.stop().await;
}
