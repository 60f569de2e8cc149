//! What was asked for, and what it took: who is counted, whatever becomes of the store, and who is told.

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Service, description, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

async fn provider() -> FakeLlm {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    llm
}

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery"), "store": false })
}

async fn told(service: &Service, query: &str) -> Vec<Value> {
    let (status, report) = service.get(&format!("/v1/usage?{query}")).await;
    assert_eq!(status, 200, "{report}");
    report["data"].as_array().unwrap().clone()
}

fn sum(rows: &[Value], name: &str) -> u64 {
    rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_while_postgres_is_away_is_in_the_report_once_it_is_back_each_once() {
    let llm = provider().await;
    let mut server = tokio::task::spawn_blocking(postgres::Server::start).await.unwrap();
    let database = server.new_database();
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ])
    .await;
    let write = async |count: usize| {
        for _ in 0..count {
            let (status, written) = service.post("/v1/captions", &asked()).await;
            assert_eq!((status, &written["source"]), (200, &json!("provider")), "{written}");
        }
    };
    write(2).await;
    assert_eq!(sum(&told(&service, "").await, "requests"), 2);

    server.kill();
    write(5).await;
    let waiting = async || -> u64 {
        let (_, stats) = service.get("/v1/stats").await;
        stats["database"]["spool"]["waiting"].as_u64().unwrap()
    };
    until("usage waits on disk", async || (waiting().await > 0).then_some(())).await;
    write(3).await;
    let (status, problem) = service.get("/v1/usage").await;
    assert_eq!(
        (status, &problem["code"]),
        (503, &json!("store_unavailable")),
        "{problem}"
    );
    server.restart();
    write(1).await;

    until("what waited is in the store", async || {
        (waiting().await == 0).then_some(())
    })
    .await;
    let rows = until("all of it is told", async || {
        let (status, report) = service.get("/v1/usage?group_by=provider,model").await;
        let rows = report["data"].as_array().cloned().unwrap_or_default();
        (status == 200 && sum(&rows, "requests") >= 11).then_some(rows)
    })
    .await;
    let counts = ["requests", "captions", "calls", "cache_hits"].map(|name| sum(&rows, name));
    assert_eq!(counts, [11, 11, llm.count() as u64, 0], "{rows:#?}");
    let (_, figures) = service.get("/v1/stats").await;
    assert_eq!(figures["database"]["usage"]["dropped"], 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_last_is_delivered_when_the_server_stops() {
    let llm = provider().await;
    let mut server = tokio::task::spawn_blocking(postgres::Server::start).await.unwrap();
    let database = server.new_database();
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool.db").to_str().unwrap().to_owned();
    let env = [
        ("DATABASE_URL", database.as_str()),
        ("CAPTIONS_SPOOL__PATH", spool.as_str()),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ];
    let requests = "SELECT coalesce(sum(requests), 0) FROM usage_sums";
    let name = database.rsplit('/').next().unwrap();

    let service = Service::start(&env).await;
    service.post("/v1/captions", &asked()).await;
    service.stop().await;
    assert_eq!(server.sql(name, requests), "1");

    // With the store away it goes to the disk, and arrives with the next process.
    let service = Service::start(&env).await;
    server.kill();
    service.post("/v1/captions", &asked()).await;
    service.stop().await;
    server.restart();
    let service = Service::start(&env).await;
    until("it has arrived", async || {
        (server.sql(name, requests) == "2").then_some(())
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_a_model_or_the_cache_is_counted() {
    let llm = provider().await;
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let batches = service.state.batches.clone().unwrap();
    batches.work(captions_api::batch::FORMS, 2, None);
    let new = async |user: &str| {
        let rows = told(&service, "group_by=user,provider").await;
        let rows: Vec<Value> = rows.into_iter().filter(|row| row["user_id"] == user).collect();
        ["requests", "captions", "cache_hits"].map(|name| sum(&rows, name))
    };
    let of = |user: &str| {
        let mut body = asked();
        body["user_id"] = json!(user);
        body
    };

    let found = of("found");
    service.post("/v1/captions", &found).await;
    service.post("/v1/captions", &found).await;
    assert_eq!(new("found").await, [2, 1, 1]);

    service.stream(&of("streaming")).await;
    assert_eq!(new("streaming").await, [1, 1, 0]);

    let mut stored = of("growing");
    stored["store"] = json!(true);
    let (_, stored) = service.post("/v1/captions", &stored).await;
    llm.always(Turn::caption("Six in the morning, and the oven door is already open."));
    let place = format!("/v1/captions/{}/variants", stored["id"].as_str().unwrap());
    let (status, grown) = service.post(&place, &json!({})).await;
    assert_eq!(status, 200, "{grown}");
    assert_eq!(new("growing").await, [2, 2, 0]);

    let change = json!({ "text": CAPTION, "operation": "shorten", "target_chars": 60, "user_id": "changing" });
    let (status, changed) = service.post("/v1/rewrites", &change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(new("changing").await, [1, 1, 0]);

    let items = ["a", "b"].map(|id| {
        let mut item = of("batching");
        item["custom_id"] = json!(id);
        item
    });
    let (status, batch) = service.post("/v1/batches", &json!({ "items": items })).await;
    assert_eq!(status, 202, "{batch}");
    let place = format!("/v1/batches/{}?wait=60", batch["id"].as_str().unwrap());
    assert_eq!(service.get(&place).await.1["state"], "completed");
    assert_eq!(new("batching").await, [2, 2, 0]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_named_no_more_and_what_they_used_counts() {
    let llm = provider().await;
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let mut body = asked();
    body["user_id"] = json!("ana");
    service.post("/v1/captions", &body).await;
    let users = async || {
        let rows = told(&service, "group_by=user").await.into_iter();
        rows.map(|row| (row["user_id"].clone(), row["requests"].clone()))
            .collect::<Vec<_>>()
    };
    let erase = async |user: &str| -> (u16, Value) {
        let place = format!("{}/v1/users/{user}", service.base);
        let answer = service.client.delete(place).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };

    // Nothing else is known of her, and what was used a moment ago may not be in the store yet.
    let (status, erased) = erase("ana").await;

    assert_eq!(
        (status, &erased["receipt"]["erased"]["usage_rows"]),
        (200, &json!(1)),
        "{erased}"
    );
    assert_eq!(users().await, [(Value::Null, json!(1))]);
    for nobody in ["ana", "nobody"] {
        let (status, problem) = erase(nobody).await;
        assert_eq!((status, &problem["code"]), (404, &json!("user_not_found")), "{problem}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_told_page_by_page() {
    let llm = provider().await;
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    for user in ["ana", "bea", "cid"] {
        let mut body = asked();
        body["user_id"] = json!(user);
        service.post("/v1/captions", &body).await;
    }
    let mut address = "/v1/usage?group_by=user&limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let place = format!("{}{address}", service.base);
        let answer = service.client.get(place).send().await.unwrap();
        let next = answer
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let page: Value = answer.json().await.unwrap();
        let rows = page["data"].as_array().unwrap().iter();
        pages.push(rows.map(|row| row["user_id"].clone()).collect::<Vec<_>>());
        assert_eq!(next.is_some(), page["has_more"] == true, "{page}");
        assert_eq!(next.is_some(), page["next_cursor"].is_string(), "{page}");
        let Some(next) = next else { break };
        address = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    let wrong = address.replace("group_by=user", "group_by=key");
    let (status, problem) = service.get(&wrong).await;
    service.stop().await;

    assert_eq!(pages, [vec!["ana", "bea"], vec!["cid"]]);
    assert_eq!((status, &problem["code"]), (400, &json!("cursor_invalid")), "{problem}");
}

#[rstest]
#[case::a_time("start=yesterday", 400, "RFC 3339")]
#[case::a_piece_of_time("bucket=1w", 400, "1h, 1d")]
#[case::a_group("group_by=provider,modell", 400, "choose one of provider, model, user, key")]
#[case::too_long("start=2020-01-01T00:00:00Z", 422, "366 days at most")]
#[case::backwards("start=2026-02-01T00:00:00Z&end=2026-01-01T00:00:00Z", 422, "start is not after end")]
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_is_told_as_such(#[case] query: &str, #[case] status: u16, #[case] words: &str) {
    let service = Service::start(&[]).await;

    let (told, problem) = service.get(&format!("/v1/usage?{query}")).await;
    service.stop().await;

    let code = if status == 400 {
        "invalid_parameter"
    } else {
        "invalid_request"
    };
    assert_eq!((told, &problem["code"]), (status, &json!(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
}
