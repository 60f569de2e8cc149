//! Batches through the HTTP API, from the submission to the results: on one process, on several, and on bad days.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use captions_api::batch;
use captions_domain::{
    batch as queue,
    caption::Record,
    keys::{Scope, Scopes},
};
use captions_testkit::{
    build, contract,
    llm::{FakeLlm, Turn},
    postgres::fresh_database,
    receiver::Receiver,
};
use reqwest::{Method, header::HeaderValue};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Service, description, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A process that works on so many items at a time, and looks often.
async fn process(llm: &FakeLlm, workers: u32, more: &[(&str, &str)]) -> Service {
    let base_url = llm.base_url();
    let mut env = vec![
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_BATCHES__POLL", "0.05"),
        ("CAPTIONS_BATCHES__RETRY_DELAY", "0.01"),
        // What a test sends itself is not to be held up by what it did before.
        ("CAPTIONS_API__BREAKER__ENABLED", "false"),
        ("CAPTIONS_API__RETRY_BUDGET", "1"),
        ("CAPTIONS_API__RETRY_DELAY", "0.01"),
    ];
    env.extend(more);
    let service = Service::start(&env).await;
    let batches = service.state.batches.clone().unwrap();
    batches.work(batch::FORMS, workers, None);
    service
}

/// One item a line, each with a description of its own.
fn lines(count: usize) -> String {
    let item = |index| {
        let item = json!({
            "custom_id": format!("post-{index}"),
            "content_description": description(&format!("Loaf number {index} on the counter of a bakery")),
        });
        item.to_string()
    };
    (0..count).map(item).collect::<Vec<_>>().join("\n")
}

/// Submits JSON Lines; the status, the headers and the document.
async fn submit(service: &Service, body: String) -> (u16, reqwest::header::HeaderMap, Value) {
    let request = service.client.post(format!("{}/v1/batches", service.base)).body(body);
    let reply = request
        .header("content-type", "application/jsonl")
        .send()
        .await
        .unwrap();
    (
        reply.status().as_u16(),
        reply.headers().clone(),
        reply.json().await.unwrap(),
    )
}

/// Submits, and says where the batch is.
async fn submitted(service: &Service, body: String) -> String {
    let (status, _, document) = submit(service, body).await;
    assert_eq!(status, 202, "{document}");
    format!("/v1/batches/{}", document["id"].as_str().unwrap())
}

async fn over(service: &Service, place: &str) -> Value {
    let (status, batch) = service.get(&format!("{place}?wait=60")).await;
    assert_eq!(status, 200, "{batch}");
    assert!(batch["finished_at"].is_string(), "{batch}");
    batch
}

async fn results(service: &Service, place: &str) -> Vec<Value> {
    let reply = service
        .client
        .get(format!("{}{place}/results", service.base))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["content-type"], "application/jsonl");
    let text = reply.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counts(total: u32, succeeded: u32, failed: u32, cancelled: u32) -> Value {
    json!({ "total": total, "succeeded": succeeded, "failed": failed, "cancelled": cancelled })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_taken_written_and_given_back_in_its_order() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 3, &[]).await;

    let (status, headers, kept) = submit(&service, lines(7)).await;

    assert_eq!(status, 202, "{kept}");
    let place = headers["location"].to_str().unwrap();
    assert_eq!(place, format!("/v1/batches/{}", kept["id"].as_str().unwrap()));
    assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let batch = over(&service, place).await;
    assert_eq!(
        (&batch["state"], &batch["counts"]),
        (&json!("completed"), &counts(7, 7, 0, 0))
    );
    assert_eq!(batch["eta_s"], json!(0.0));
    let lines = results(&service, place).await;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!(line["custom_id"], format!("post-{index}"));
        assert_eq!(
            (&line["status"], &line["reclaimed"]),
            (&json!("succeeded"), &json!(false))
        );
        let id = line["caption"]["id"].as_str().unwrap();
        let (status, stored) = service.get(&format!("/v1/captions/{id}")).await;
        assert_eq!((status, &stored["text"]), (200, &line["caption"]["text"]));
    }
    assert_eq!((lines.len(), llm.count()), (7, 7));
    let (_, page) = service.get("/v1/batches").await;
    assert_eq!(page["data"], json!([batch]));
    let figures = service.get("/v1/stats").await.1;
    assert_eq!(figures["batches"]["succeeded"], 7);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_submission_is_told_before_anything_is_paid() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 1, &[("CAPTIONS_BATCHES__BODY_LIMIT", "300000")]).await;
    let item = r#"{"custom_id":"a","content_description":"a cat asleep"}"#;
    let twice = format!("{item}\n\n{item}");

    let (status, _, problem) = submit(&service, twice).await;

    assert_eq!((status, &problem["code"]), (422, &json!("invalid_request")));
    assert_eq!(problem["errors"][0]["pointer"], "/items/1/custom_id");
    assert_eq!(problem["errors"][0]["detail"], "line 3: the custom_id of line 1 again");
    let (status, _, problem) = submit(&service, lines(3000)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body_too_large")));
    let webhook = json!({ "url": "https://127.0.0.1/hook", "secret": SECRET });
    let body = json!({ "items": [serde_json::from_str::<Value>(item).unwrap()], "webhook": webhook });
    let (status, problem) = service.post("/v1/batches", &body).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/webhook")));
    for (path, status, code) in [
        ("/v1/batches/7", 400, "invalid_parameter"),
        (
            "/v1/batches/0192e4a0-0000-7000-8000-000000000000",
            404,
            "batch_not_found",
        ),
        (
            "/v1/batches/0192e4a0-0000-7000-8000-000000000000/results",
            404,
            "batch_not_found",
        ),
        (
            "/v1/batches/0192e4a0-0000-7000-8000-000000000000?wait=61",
            400,
            "invalid_parameter",
        ),
        ("/v1/batches?cursor=x", 400, "cursor_invalid"),
        ("/v1/batches?limits=3", 400, "invalid_parameter"),
    ] {
        let (got, problem) = service.get(path).await;
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{path}: {problem}"
        );
    }
    assert_eq!(llm.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_wait_for_the_end_unless_a_part_is_asked_for_and_go_on_where_one_was_cut_off() {
    let llm = FakeLlm::start().await;
    llm.reply(Turn::fitting()).reply(Turn::fitting());
    llm.always(Turn::silence());
    let service = process(
        &llm,
        1,
        &[
            ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "60"),
            ("CAPTIONS_API__TIMEOUT", "60"),
        ],
    )
    .await;
    let place = submitted(&service, lines(3)).await;
    until("two outcomes", async || {
        let (_, batch) = service.get(&place).await;
        (batch["counts"]["succeeded"] == 2).then_some(())
    })
    .await;

    let (status, problem) = service.get(&format!("{place}/results")).await;
    let part = async |query: &str| {
        let url = format!("{}{place}/results?{query}", service.base);
        let reply = service.client.get(url).send().await.unwrap();
        assert_eq!(reply.headers()["captions-batch-state"], "in_progress");
        let text = reply.text().await.unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].clone());
        lines.collect::<Vec<Value>>()
    };

    assert_eq!((status, &problem["code"]), (409, &json!("batch_not_ready")));
    assert_eq!(part("partial=true").await, [0, 1]);
    assert_eq!(part("partial=true&after=0").await, [1]);
    let (status, _) = service.get(&format!("{place}/results?partial=true&after=1")).await;
    assert_eq!(status, 409);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_after_the_first_ends_the_results_with_the_last_item() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 16, &[]).await;
    let place = submitted(&service, lines(230)).await;
    over(&service, &place).await;

    let all = results(&service, &place).await;
    let rest = service.client.get(format!("{}{place}/results?after=199", service.base));
    let rest = rest.send().await.unwrap().text().await.unwrap();

    let indexes: Vec<u64> = all.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (0..230).collect::<Vec<u64>>());
    assert_eq!(rest.lines().count(), 30);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_wait_for_a_batch_the_store_is_asked_by_one() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_secs(2)));
    let service = process(&llm, 1, &[]).await;
    let place = submitted(&service, lines(1)).await;
    let reads = async || {
        service.get("/v1/stats").await.1["operations"]["batches.read"]["total"]
            .as_u64()
            .unwrap()
    };
    let before = reads().await;

    let waiters = (0..50).map(|_| over(&service, &place));
    let batches = futures_util::future::join_all(waiters).await;

    assert!(batches.iter().all(|batch| batch["state"] == "completed"));
    // One look each when they came, and then those of one: 20 a second at most, for the time that the item took.
    let looks = reads().await - before;
    assert!(looks < 50 + 150, "{looks} looks");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_batch_keeps_what_was_written_and_begins_nothing_more() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_millis(300)));
    let service = process(&llm, 1, &[]).await;
    let place = submitted(&service, lines(50)).await;
    llm.until("a call", |llm| llm.count() >= 1).await;

    let (status, batch) = service.post(&format!("{place}/cancel"), &json!({})).await;

    assert_eq!(status, 200, "{batch}");
    assert!(
        ["cancelling", "cancelled"].contains(&batch["state"].as_str().unwrap()),
        "{batch}"
    );
    let batch = over(&service, &place).await;
    assert_eq!(batch["state"], "cancelled");
    let lines = results(&service, &place).await;
    let written = lines.iter().filter(|line| line["status"] == "succeeded").count();
    assert_eq!((lines.len(), written), (50, llm.count()));
    assert!(
        lines
            .iter()
            .all(|line| line["status"] != "cancelled" || line.get("caption").is_none())
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_tried_again_when_its_provider_was_away_and_only_the_last_try_takes_a_template() {
    let llm = FakeLlm::start().await;
    // Three calls a try.
    for _ in 0..3 {
        llm.reply(Turn::unavailable());
    }
    let service = process(&llm, 1, &[]).await;
    let place = submitted(&service, lines(1)).await;

    over(&service, &place).await;

    let lines = results(&service, &place).await;
    assert_eq!(
        (&lines[0]["status"], &lines[0]["caption"]["source"]),
        (&json!("succeeded"), &json!("provider"))
    );
    assert_eq!(llm.count(), 4);
    llm.always(Turn::unavailable());
    let place = submitted(&service, self::lines(1)).await;
    over(&service, &place).await;
    let lines = results(&service, &place).await;
    assert_eq!(lines[0]["caption"]["source"], "template", "{lines:?}");
    assert_eq!(llm.count(), 4 + 15);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_fails_says_why_and_the_others_are_written() {
    let llm = FakeLlm::start().await;
    llm.answer_with(|request| {
        if request.user_text().contains("Loaf number 1 ") {
            Turn::content_refused()
        } else {
            Turn::fitting()
        }
    });
    let service = process(&llm, 2, &[]).await;
    let place = submitted(&service, lines(3)).await;

    let batch = over(&service, &place).await;

    assert_eq!(
        (&batch["state"], &batch["counts"]),
        (&json!("completed"), &counts(3, 2, 1, 0))
    );
    let lines = results(&service, &place).await;
    assert_eq!((&lines[1]["index"], &lines[1]["status"]), (&json!(1), &json!("failed")));
    assert_eq!(lines[1]["problem"]["code"], "content_refused");
    assert!(
        lines[1]["problem"]["request_id"]
            .as_str()
            .unwrap()
            .starts_with("batch_")
    );
    service.stop().await;
}

#[rstest]
#[case::file(false)]
#[case::postgres(true)]
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_and_nothing_is_paid_twice(#[case] on_postgres: bool) {
    let llm = FakeLlm::start().await;
    let is_well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_well);
    llm.answer_with(move |request| {
        let text = request.user_text();
        if text.contains("Loaf number 0 ") {
            Turn::content_refused()
        } else if text.contains("Loaf number 1 ") && !seen.load(Ordering::SeqCst) {
            Turn::bad_key()
        } else {
            Turn::fitting()
        }
    });
    let database = if on_postgres {
        fresh_database().await
    } else {
        String::new()
    };
    let mut settings = vec![
        ("CAPTIONS_BATCHES__MAX_TRIES", "1"),
        ("CAPTIONS_FALLBACK__TEMPLATE", "false"),
    ];
    settings.extend(on_postgres.then_some(("DATABASE_URL", &*database)));
    let service = process(&llm, 1, &settings).await;
    let place = submitted(&service, lines(4)).await;
    let batch = over(&service, &place).await;
    assert_eq!(batch["counts"], counts(4, 2, 2, 0));
    let before = llm.count();
    let first = results(&service, &place).await;
    is_well.store(true, Ordering::SeqCst);

    let retry = format!("{place}/retry");
    let body = json!({});
    let retries = (0..5).map(|_| service.post(&retry, &body));
    for (status, batch) in futures_util::future::join_all(retries).await {
        assert_eq!(status, 200, "{batch}");
        assert_eq!(batch["counts"]["failed"], 1, "the refused one stays: {batch}");
    }
    let batch = over(&service, &place).await;
    let (status, after) = service.post(&retry, &body).await;

    assert_eq!(
        (&batch["state"], &batch["counts"]),
        (&json!("completed"), &counts(4, 3, 1, 0))
    );
    assert_eq!((status, after), (200, batch));
    assert_eq!(llm.count(), before + 1);
    let lines = results(&service, &place).await;
    for index in [0, 2, 3] {
        assert_eq!(lines[index], first[index]);
    }
    assert_eq!(lines[1]["status"], "succeeded");
    let (status, problem) = service
        .post("/v1/batches/0192e4a0-0000-7000-8000-000000000000/retry", &body)
        .await;
    assert_eq!((status, &problem["code"]), (404, &json!("batch_not_found")));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_may_be_open_is_refused_with_the_time_to_come_back() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 0, &[("CAPTIONS_BATCHES__MAX_OPEN_ITEMS", "5")]).await;
    let place = submitted(&service, lines(3)).await;

    let (status, headers, problem) = submit(&service, lines(3)).await;

    assert_eq!((status, &problem["code"]), (429, &json!("batches_full")), "{problem}");
    assert_eq!(
        (&headers["retry-after"], &problem["retryable"]),
        (&HeaderValue::from(60), &json!(true))
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("3 items of the tenant's batches are open, of 5")
    );
    let (status, _, problem) = submit(&service, lines(6)).await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (422, &json!("/items")),
        "{problem}"
    );
    submitted(&service, lines(2)).await;
    service.post(&format!("{place}/cancel"), &json!({})).await;
    submitted(&service, lines(3)).await;
    service.stop().await;
}

#[rstest]
#[case::file(false)]
#[case::postgres(true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_pays_for_nothing_more_and_a_rotated_one_goes_on(#[case] on_postgres: bool) {
    let llm = FakeLlm::start().await;
    let database = if on_postgres {
        fresh_database().await
    } else {
        String::new()
    };
    let mut settings = vec![("CAPTIONS_AUTH__REQUIRED", "always")];
    settings.extend(on_postgres.then_some(("DATABASE_URL", &*database)));
    // Nobody writes until the keys are as they are to be.
    let service = process(&llm, 0, &settings).await;
    let cx = build::context_of("acme");
    let store = &service.state.keys.as_ref().unwrap().store;
    let key = async |scopes: &[Scope]| {
        let secret = build::secret();
        let mut key = build::key_bare(&cx.tenant, &secret);
        key.scopes = Scopes::new(scopes.iter().copied());
        store.add(&cx, &key).await.unwrap();
        (key.id.to_string(), secret.text())
    };
    let call = async |method: Method, path: &str, key: &str, body: String| {
        let request = service.client.request(method, format!("{}{path}", service.base));
        let request = request.bearer_auth(key).header("content-type", "application/json");
        let reply = request.body(body).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    let (_, admin) = key(&[Scope::Read, Scope::Admin]).await;
    let mut places = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (id, secret) = key(&[Scope::Write]).await;
        let items: Vec<Value> = lines(3)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (status, kept) = call(
            Method::POST,
            "/v1/batches",
            &secret,
            json!({ "items": items }).to_string(),
        )
        .await;
        assert_eq!(status, 202, "{kept}");
        let kept: Value = serde_json::from_str(&kept).unwrap();
        places.push(format!("/v1/batches/{}", kept["id"].as_str().unwrap()));
        ids.push(id);
    }
    let rotate = format!("/v1/keys/{}/rotate", ids[0]);
    let (status, _) = call(Method::POST, &rotate, &admin, json!({ "grace_seconds": 0 }).to_string()).await;
    assert_eq!(status, 201);
    let (status, _) = call(Method::DELETE, &format!("/v1/keys/{}", ids[1]), &admin, String::new()).await;
    assert_eq!(status, 200);

    service.state.batches.as_ref().unwrap().work(batch::FORMS, 2, None);
    let mut states = Vec::new();
    for place in &places {
        let (_, over) = call(Method::GET, &format!("{place}?wait=60"), &admin, String::new()).await;
        let over: Value = serde_json::from_str(&over).unwrap();
        states.push((over["state"].clone(), over["counts"].clone()));
    }

    assert_eq!(states[0], (json!("completed"), counts(3, 3, 0, 0)));
    assert_eq!(states[1], (json!("failed"), counts(3, 0, 3, 0)));
    assert_eq!(llm.count(), 3, "nothing was called with the revoked key");
    let (_, lines) = call(Method::GET, &format!("{}/results", places[1]), &admin, String::new()).await;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let problem = &line["problem"];
        assert_eq!(
            (&problem["code"], &problem["retryable"]),
            (&json!("key_inactive"), &json!(false))
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&ids[1]) && detail.contains("was revoked at"),
            "{detail}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_count_against_the_limits_of_their_tenant_and_wait_for_them() {
    let llm = FakeLlm::start().await;
    // The submission and the reads below take of the same limit.
    let service = process(&llm, 4, &[("CAPTIONS_LIMITS__REQUESTS_PER_MINUTE", "5")]).await;
    let place = submitted(&service, lines(8)).await;

    llm.until("as many calls as there is room for", |llm| llm.count() >= 4)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    // One comes back in 12 s.
    assert!((4..=5).contains(&llm.count()), "{}", llm.count());
    let (status, _) = service.get(&place).await;
    assert_eq!(status, 429);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_key_with_limits_of_its_own_count_against_these() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 4, &[]).await;
    let batches = service.state.batches.clone().unwrap();
    let cx = build::context_of("local");
    let mut key = build::key_bare(&cx.tenant, &build::secret());
    key.limits.requests_per_hour = Some(3);
    service.state.keys.as_ref().unwrap().store.add(&cx, &key).await.unwrap();
    let new = queue::NewBatch {
        payer: Some(queue::Payer {
            family: key.family.to_string(),
            limits: key.limits,
        }),
        ..contract::batches::batch(9)
    };

    batches.submit(&cx, &new).await.unwrap();

    llm.until("as many calls as there is room for", |llm| llm.count() >= 3)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(llm.count(), 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_of_the_end_with_a_signature_and_again_if_it_was_away() {
    let llm = FakeLlm::start().await;
    let receiver = Receiver::scripted(&[
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ])
    .await;
    let service = process(&llm, 2, &[("CAPTIONS_BATCHES__WEBHOOK_ALLOW_PRIVATE", "true")]).await;
    let items: Vec<Value> = lines(2)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let webhook = json!({ "url": receiver.url("/hook"), "secret": SECRET });
    let (status, kept) = service
        .post("/v1/batches", &json!({ "items": items, "webhook": webhook }))
        .await;
    assert_eq!(status, 202, "{kept}");
    assert!(!kept.to_string().contains("whsec_"));

    let told = receiver.until(2, Duration::from_secs(30)).await;

    let body: Value = serde_json::from_slice(&told[1].body).unwrap();
    assert_eq!(body["type"], "batch.completed");
    assert_eq!(
        (&body["data"]["id"], &body["data"]["counts"]),
        (&kept["id"], &counts(2, 2, 0, 0))
    );
    assert_eq!(told[0].body, told[1].body);
    assert_eq!(told[0].headers["webhook-id"], told[1].headers["webhook-id"]);
    assert!(told[1].headers["webhook-signature"].starts_with("v1,"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_share_one_batch() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_millis(20)));
    let url = fresh_database().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(process(&llm, 3, &[("DATABASE_URL", url.as_str())]).await);
    }
    let place = submitted(&replicas[0], lines(120)).await;

    // Whoever is asked: it is the same batch.
    let batch = over(&replicas[2], &place).await;

    assert_eq!(
        (&batch["state"], &batch["counts"]),
        (&json!("completed"), &counts(120, 120, 0, 0))
    );
    let lines = results(&replicas[1], &place).await;
    let ids: BTreeSet<&str> = lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), ids.len(), llm.count()), (120, 120, 120));
    let mut shares = BTreeMap::new();
    for (index, replica) in replicas.iter().enumerate() {
        let (_, stats) = replica.get("/v1/stats").await;
        shares.insert(index, stats["batches"]["succeeded"].as_u64().unwrap());
    }
    assert_eq!(shares.values().sum::<u64>(), 120, "{shares:?}");
    assert!(shares.values().all(|share| *share > 0), "{shares:?}");
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_caption_was_stored_before_its_worker_was_lost_is_not_written_again() {
    let llm = FakeLlm::start().await;
    let service = process(&llm, 0, &[]).await;
    let batches = service.state.batches.clone().unwrap();
    let cx = build::context_of("local");
    let new = contract::batches::batch(2);
    batches.submit(&cx, &new).await.unwrap();
    // A worker that stores a caption and is lost before it can say so.
    let lost = queue::Turn {
        items: 1,
        lease: Duration::ZERO,
        only: Some(new.id),
        held: Vec::new(),
        tidy: None,
    };
    assert_eq!(batches.queue().claim(&cx, &lost).await.unwrap().items.len(), 1);
    let stored = Record {
        id: new.items[0].caption,
        ..build::record(&build::user_id("ann"))
    };
    service.state.engine.captions.append(&cx, &stored).await.unwrap();

    batches.work(batch::FORMS, 1, None);

    let place = format!("/v1/batches/{}", new.id);
    assert_eq!(over(&service, &place).await["counts"], counts(2, 2, 0, 0));
    let lines = results(&service, &place).await;
    assert_eq!(lines[0]["caption"]["id"], stored.id.to_string());
    assert_eq!(
        (&lines[0]["reclaimed"], &lines[1]["reclaimed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(llm.count(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_gives_its_items_back_at_once() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::silence());
    let url = fresh_database().await;
    let patient = [
        ("DATABASE_URL", url.as_str()),
        ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "600"),
        ("CAPTIONS_API__TIMEOUT", "600"),
        ("CAPTIONS_BATCHES__ITEM_DEADLINE", "600"),
        ("CAPTIONS_BATCHES__LEASE", "600"),
        ("CAPTIONS_SERVER__DRAIN_TIMEOUT", "5"),
    ];
    let first = process(&llm, 2, &patient).await;
    let place = submitted(&first, lines(2)).await;
    llm.until("two calls", |llm| llm.count() >= 2).await;
    first.stop().await;
    llm.always(Turn::fitting());
    let begun = Instant::now();

    let second = process(&llm, 2, &patient).await;
    let batch = over(&second, &place).await;

    assert_eq!(batch["counts"], counts(2, 2, 0, 0));
    // Long before the leases would have run out.
    assert!(begun.elapsed() < Duration::from_secs(60));
    let lines = results(&second, &place).await;
    assert!(lines.iter().all(|line| line["reclaimed"] == false), "{lines:?}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_in_person_waits_for_one_item_at_most_while_a_batch_fills_the_provider() {
    let item = Duration::from_millis(500);
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(item));
    let service = process(&llm, 4, &[("CAPTIONS_API__MAX_PER_HOST", "1")]).await;
    submitted(&service, lines(200)).await;
    llm.until("one is written, and the others wait", |llm| llm.count() >= 2)
        .await;
    let begun = Instant::now();

    let body = json!({ "content_description": description("A person at the counter of a bakery") });
    let (status, caption) = service.post("/v1/captions", &body).await;

    assert_eq!((status, &caption["source"]), (201, &json!("provider")), "{caption}");
    // One item's time and its own, and half a second for the machine; behind all that wait it would be five.
    let took = begun.elapsed();
    assert!(took < 3 * item, "{took:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_lives_as_long_and_is_as_large_as_the_settings_say() {
    let llm = FakeLlm::start().await;
    for (settings, lives, taken) in [
        (vec![], 86_400, 202),
        (
            vec![
                ("CAPTIONS_BATCHES__EXPIRY", "90"),
                ("CAPTIONS_BATCHES__BODY_LIMIT", "300000"),
            ],
            90,
            413,
        ),
    ] {
        let service = process(&llm, 0, &settings).await;

        let (status, _, kept) = submit(&service, lines(1)).await;
        let (large, ..) = submit(&service, lines(3000)).await;

        assert_eq!(status, 202, "{kept}");
        let kept: batch::BatchDocument = serde_json::from_value(kept).unwrap();
        let life = kept.expires_at - kept.created_at;
        assert_eq!((life.whole_seconds(), large), (lives, taken));
        service.stop().await;
    }
}
