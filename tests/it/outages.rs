//! Parts that are away: callers get a caption all the same, and are told.

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres,
};
use serde_json::{Value, json};

use crate::support::{Service, captions, closed_port, description, environment, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

async fn provider() -> FakeLlm {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    llm
}

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery") })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_at_the_start_costs_only_the_cache() {
    let llm = provider().await;
    let redis = format!("redis://127.0.0.1:{}", closed_port());
    let service = Service::start(&[
        ("REDIS_URL", &redis),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ])
    .await;

    let (status, written) = service.post("/v1/captions", &asked()).await;
    let (ready, health) = service.get("/readyz").await;

    assert_eq!((status, &written["caption"]), (201, &json!(CAPTION)));
    assert_eq!(written["degraded"], json!(["cache_unavailable"]));
    assert_eq!((ready, &health["status"]), (200, &json!("degraded")));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_away_at_the_start_is_taken_into_use_once_it_is_back() {
    let llm = provider().await;
    let mut server = postgres::Server::start();
    let database = server.new_database();
    server.kill();
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ])
    .await;
    let mut body = asked();
    body["user_id"] = json!("ana");

    let (status, written) = service.post("/v1/captions", &body).await;
    assert_eq!((status, &written["caption"]), (201, &json!(CAPTION)), "{written}");
    assert_eq!(
        written["degraded"],
        json!(["preferences_default", "history_delayed", "partial_analysis"])
    );
    assert_eq!(written["warnings"], json!([]));
    let (_, health) = service.get("/readyz?verbose").await;
    let parts = health["components"].as_array().unwrap();
    for part in ["store", "spool"] {
        let part = parts.iter().find(|other| other["name"] == part).unwrap();
        assert_eq!(part["status"], "degraded", "{part}");
    }
    let (status, problem) = service.get("/v1/users/ana").await;
    assert_eq!(
        (status, &problem["retryable"]),
        (503, &json!(true)),
        "never a 404 or a 401 for an outage: {problem}"
    );

    server.restart();
    let stored = until("a caption is stored", async || {
        let (status, written) = service.post("/v1/captions", &asked()).await;
        (status == 201 && written["degraded"] == json!([])).then_some(written)
    })
    .await;

    assert_eq!(stored["warnings"], json!([]));
    let waited = written["id"].as_str().unwrap();
    let found = format!("SELECT count(*) FROM captions WHERE id = '{waited}'");
    let database = database.rsplit('/').next().unwrap();
    until("what waited is in the table", async || {
        (server.sql(database, &found) == "1").then_some(())
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_neither_postgres_nor_redis_it_starts_writes_and_says_so() {
    let llm = provider().await;
    let database = format!("postgres://nobody@127.0.0.1:{}/none", closed_port());
    let redis = format!("redis://127.0.0.1:{}", closed_port());
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("REDIS_URL", &redis),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ])
    .await;

    let (status, written) = service.post("/v1/captions", &asked()).await;
    let (ready, health) = service.get("/readyz?verbose").await;

    assert_eq!((status, &written["caption"]), (201, &json!(CAPTION)), "{written}");
    assert_eq!(written["degraded"], json!(["history_delayed", "cache_unavailable"]));
    assert_eq!((ready, &health["status"]), (200, &json!("degraded")));
    let away = health["components"].as_array().unwrap().iter();
    let away: Vec<&Value> = away
        .filter(|part| part["status"] == "degraded")
        .map(|part| &part["name"])
        .collect();
    assert_eq!(away, ["store", "spool", "cache"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_could_not_store_is_delivered_by_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let mut server = postgres::Server::start();
    let database = server.new_database();
    let config = home.path().join("words.toml");
    std::fs::write(&config, "[[llm.providers]]\nname = \"words\"\nkind = \"template\"\n").unwrap();
    let config = config.display().to_string();
    let env = || environment(&home, &[("CAPTIONS_CONFIG", &config), ("DATABASE_URL", &database)]);
    let write = async || {
        let ran = captions(env(), &["generate", "bread on the counter of a bakery", "--json"]).await;
        assert_eq!(ran.exit.code(), 0, "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let stored = |server: &postgres::Server| {
        let rows = server.sql(
            database.rsplit('/').next().unwrap(),
            "SELECT id FROM captions ORDER BY id",
        );
        rows.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = write().await;
    assert_eq!(first["degraded"], json!([]));

    server.kill();
    let second = write().await;
    assert_eq!(second["degraded"], json!(["history_delayed"]));
    server.restart();
    assert_eq!(stored(&server), [first["id"].as_str().unwrap()]);
    let third = write().await;

    assert_eq!(third["degraded"], json!([]));
    let all = [first, second, third].map(|document| document["id"].as_str().unwrap().to_owned());
    assert_eq!(stored(&server), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_provider_is_down_the_template_answers_and_says_so_unless_it_is_refused() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::unavailable());
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let mut strict = asked();
    strict["allow_fallback"] = json!(false);

    let (status, written) = service.post("/v1/captions", &asked()).await;
    let tried = llm.count();
    let (refused, problem) = service.post("/v1/captions", &strict).await;

    assert_eq!(
        (status, &written["source"], &written["grade"]),
        (201, &json!("template"), &json!("template"))
    );
    assert_eq!(written["degraded"], json!(["template_fallback"]));
    assert_eq!((&written["attempts"], tried), (&json!(3), 3));
    assert_eq!((refused, &problem["retryable"]), (502, &json!(true)), "{problem}");
    assert!(problem["code"].is_string() && problem["request_id"].is_string());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_provider_uses_up_neither_the_next_providers_time_nor_the_templates() {
    let (silent, other) = (FakeLlm::start().await, provider().await);
    silent.always(Turn::silence());
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("chain.toml");
    let chain = |names: &[(&str, &FakeLlm)]| {
        let listed = names.iter().map(|(name, llm)| {
            format!(
                "[[llm.providers]]\nname = \"{name}\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n",
                llm.base_url()
            )
        });
        std::fs::write(&config, listed.collect::<String>()).unwrap();
    };
    let config_path = config.display().to_string();
    let env = [
        ("CAPTIONS_CONFIG", config_path.as_str()),
        ("CAPTIONS_ENGINE__DEADLINE", "3"),
    ];

    chain(&[("silent", &silent), ("other", &other)]);
    let two = Service::start(&env).await;
    let (status, written) = two.post("/v1/captions", &asked()).await;
    assert_eq!((status, &written["provider"]), (201, &json!("other")), "{written}");
    assert_eq!(written["degraded"], json!(["fallback_provider"]));
    two.stop().await;

    chain(&[("silent", &silent)]);
    let alone = Service::start(&env).await;
    let (status, written) = alone.post("/v1/captions", &asked()).await;
    assert_eq!((status, &written["source"]), (201, &json!("template")), "{written}");
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_content_is_an_answer_that_nothing_gets_round() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::content_refused());
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;

    let (status, problem) = service.post("/v1/captions", &asked()).await;

    assert_eq!((status, &problem["code"]), (422, &json!("content_refused")));
    assert_eq!(llm.count(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_and_the_server_lives_on() {
    let llm = provider().await;
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let url = format!("{}/v1/captions", service.base);
    let deep = format!(
        "{{\"content_description\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let cases: [(&[u8], u16); 6] = [
        (b"{\"content_description\": \"a\\u0000bc\"}", 422),
        (b"{\"content_description\": \"\\ud800 abc\"}", 400),
        (b"{\"content_description\": \"\xff\xfe abc\"}", 400),
        (b"not json", 400),
        (deep.as_bytes(), 400),
        (&vec![b' '; 10 << 20], 413),
    ];

    for (body, expected) in cases {
        let request = service
            .client
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_vec());
        // A server that refuses a large body may close before all of it was sent.
        match request.send().await {
            Ok(reply) => assert_eq!(
                reply.status().as_u16(),
                expected,
                "{}",
                String::from_utf8_lossy(&body[..40.min(body.len())])
            ),
            Err(error) => assert!(expected == 413 && error.is_request(), "{error}"),
        }
    }

    assert_eq!(service.post("/v1/captions", &asked()).await.0, 201);
    assert_eq!(llm.count(), 1);
    service.stop().await;
}
