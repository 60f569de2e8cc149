//! Captions that are written ahead.

use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Service, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery") })
}

/// A file with these lines.
fn list(home: &TempDir, lines: &[&str]) -> String {
    let path = home.path().join("warm-up.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.display().to_string()
}

async fn service(llm: &FakeLlm, list: &str) -> Service {
    Service::start(&[
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_CACHE__WARM_UP", list),
        // A store that is slow because the machine is has its captions all the same.
        ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "60"),
        ("CAPTIONS_DATABASE__STATEMENT_TIMEOUT", "60"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_captions_of_the_list_are_there_before_anybody_asks() {
    let home = tempfile::tempdir().unwrap();
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let (first, last) = (asked(), asked());
    let (first_line, last_line) = (first.to_string(), last.to_string());
    let lines = [
        "not JSON",
        &first_line,
        "",
        r#"{"content_description": "a"}"#,
        &last_line,
    ];
    let service = service(&llm, &list(&home, &lines)).await;

    llm.until("both are written", |llm| llm.count() == 2).await;
    let mut hits = Vec::new();
    for body in [&first, &last] {
        // The answer of the provider may still be on its way into the cache: then this shares it.
        hits.push(service.post("/v1/captions", body).await);
    }

    assert_eq!(llm.count(), 2);
    for (status, hit) in &hits {
        assert_eq!((*status, &hit["caption"]), (200, &json!(CAPTION)), "{hit}");
        // Nobody had asked for it before, so it was in no history. Now somebody has.
        let (status, stored) = service
            .get(&format!("/v1/captions/{}", hit["id"].as_str().unwrap()))
            .await;
        assert_eq!((status, &stored["text"]), (200, &hit["text"]), "{stored}");
    }
    let (_, again) = service.post("/v1/captions", &first).await;
    assert_eq!((&again["source"], &again["id"]), (&json!("cache"), &hits[0].1["id"]));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_nothing_is_written_unasked() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let service = service(&llm, "").await;

    let (status, written) = service.post("/v1/captions", &asked()).await;

    assert_eq!((status, &written["source"], llm.count()), (201, &json!("provider"), 1));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_gets_nowhere_holds_up_neither_the_start_nor_the_requests_nor_the_end() {
    let home = tempfile::tempdir().unwrap();
    let llm = FakeLlm::start().await;
    llm.reply(Turn::silence()).always(Turn::caption(CAPTION));
    let line = asked().to_string();
    let service = service(&llm, &list(&home, &[&line])).await;
    llm.until("the list is being written", |llm| llm.count() == 1).await;

    assert_eq!(service.get("/readyz").await.0, 200);
    assert_eq!(service.post("/v1/captions", &asked()).await.0, 201);
    service.stop().await;
    llm.until("the call of the list has ended", |llm| {
        llm.requests()[0].left_early().is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_there_costs_only_the_list() {
    let home = tempfile::tempdir().unwrap();
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let service = service(&llm, &home.path().join("nowhere.jsonl").display().to_string()).await;

    let (status, written) = service.post("/v1/captions", &asked()).await;

    assert_eq!((status, &written["source"], llm.count()), (201, &json!("provider"), 1));
    service.stop().await;
}
