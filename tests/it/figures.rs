//! What the service says about itself, compared with what it was made to do.

use std::{
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use captions_domain::ports::{Cache, CacheKey, UserStore};
use captions_embedded::{memory::MemoryCache, sqlite::SqliteStore};
use captions_resilience::monitor::{Monitor, Operation, Outcome, watched::Watched};
use captions_testkit::{
    build,
    llm::{FakeLlm, Turn},
    redis,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::{Service, description, model_cache, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// As many series as there may be, whatever the callers do.
const MOST_SERIES: usize = 500;

fn asked(about: &str) -> Value {
    json!({ "content_description": description(about) })
}

/// The listener for operators of a running service.
pub(crate) struct Operators {
    pub(crate) base: String,
    client: reqwest::Client,
    task: JoinHandle<()>,
}

impl Operators {
    pub(crate) async fn of(service: &Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let state = service.state.clone();
        let task = tokio::spawn(async move { match captions_http::serve_admin(listener, state).await {} });
        Self {
            base: format!("http://{address}"),
            client: service.client.clone(),
            task,
        }
    }

    /// The page of metrics.
    async fn metrics(&self) -> String {
        let reply = self.client.get(format!("{}/metrics", self.base)).send().await.unwrap();
        assert_eq!(
            reply.headers()["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        reply.text().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let reply = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    /// Has an operator's hand on a breaker.
    async fn force(&self, breaker: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/breakers/{breaker}", self.base));
        let reply = request.json(body).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    pub(crate) async fn stop(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// The lines that are values.
fn series(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

fn value(page: &str, key: &str) -> f64 {
    let line = series(page).into_iter().find_map(|line| line.strip_prefix(key));
    let value = line.unwrap_or_else(|| panic!("{key} is not in\n{page}"));
    value.trim().parse().unwrap()
}

/// `promtool check metrics` on this page.
fn promtool(page: &str) -> (bool, String) {
    let kept = PathBuf::from(model_cache()).join("captions/promtool/promtool");
    let program = if kept.is_file() { kept } else { "promtool".into() };
    let started = Command::new(&program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut running) = started else {
        panic!(
            "promtool is missing: tests/setup gets it ({} cannot be run)",
            program.display()
        )
    };
    running.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let done = running.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_and_metrics_say_exactly_what_was_asked_and_called() {
    let (llm, redis) = (FakeLlm::start().await, redis::Server::start());
    llm.always(Turn::caption_json(&[CAPTION]));
    let service = Service::start(&[
        ("REDIS_URL", &redis.url()),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_API__RETRY_DELAY", "0"),
    ])
    .await;
    let operators = Operators::of(&service).await;
    let bread = asked("Bread on the counter of a bakery");
    // A failed attempt and a good one, written; the same again, a hit; a stream of another; a refusal by the rules.
    llm.reply(Turn::unavailable());
    assert_eq!(service.post("/v1/captions", &bread).await.0, 201);
    assert_eq!(service.post("/v1/captions", &bread).await.0, 200);
    llm.reply(Turn::text(CAPTION));
    let streamed = service.stream(&asked("Rolls in a basket by the window")).await;
    assert_eq!(streamed.last().unwrap().0, "caption.completed", "{streamed:?}");
    let refused = service.post("/v1/captions", &json!({"content_description": "x"})).await;
    assert_eq!(refused.0, 422);

    let (code, stats) = service.get("/v1/stats").await;
    let page = operators.metrics().await;

    assert_eq!(code, 200);
    assert_eq!(
        (&stats["total_operations"], &stats["success_rate"]),
        (&json!(4), &json!(1.0)),
        "{stats}"
    );
    for name in ["avg_duration", "total_duration"] {
        assert!(stats[name].as_f64().unwrap() > 0.0, "{name}");
    }
    let outcomes = &stats["operations"]["caption_generation"]["outcomes"];
    assert_eq!(
        [
            &outcomes["ok"],
            &outcomes["hit"],
            &outcomes["refused"],
            &outcomes["failed"]
        ],
        [&json!(1), &json!(1), &json!(1), &json!(0)]
    );
    assert_eq!(stats["operations"]["caption_stream"]["outcomes"]["ok"], 1);
    let api = &stats["api"];
    assert_eq!(
        [&api["calls"]["total"], &api["calls"]["ok"], &api["calls"]["failed"]],
        [&json!(3), &json!(2), &json!(1)]
    );
    assert_eq!(llm.count(), 3);
    assert_eq!(api["error_rate"], json!(1.0 / 3.0));
    assert!(api["avg_response_time"].as_f64().unwrap() > 0.0);
    assert!(api["providers"]["openai"]["tokens"]["input"].as_u64().unwrap() > 0);
    assert_eq!(stats["cache"]["hits"], 1);
    let look_ups = stats["cache"]["look_ups"].as_f64().unwrap();
    assert_eq!(stats["cache"]["hit_rate"], json!(1.0 / look_ups));
    assert_eq!(stats["cache"]["shared"]["breaker"]["state"], "closed");
    assert_eq!(stats["database"]["error_rate"], json!(0.0));
    assert!(stats["database"]["queries"].as_u64().unwrap() >= 2);

    let (is_valid, said) = promtool(&page);
    assert!(is_valid, "{said}");
    for (key, expected) in [
        (
            r#"captions_operations_total{operation="caption_generation",outcome="ok"}"#,
            1.0,
        ),
        (
            r#"captions_operations_total{operation="caption_generation",outcome="hit"}"#,
            1.0,
        ),
        (
            r#"captions_operations_total{operation="caption_stream",outcome="ok"}"#,
            1.0,
        ),
        (r#"captions_calls_total{dependency="api.openai",outcome="ok"}"#, 2.0),
        (r#"captions_calls_total{dependency="api.openai",outcome="failed"}"#, 1.0),
        ("captions_cache_hits_total", 1.0),
        (r#"captions_breaker_state{dependency="cache",state="closed"}"#, 1.0),
    ] {
        assert!((value(&page, key) - expected).abs() < 1e-9, "{key}\n{page}");
    }
    assert!(value(&page, "process_resident_memory_bytes") > 1e6);
    operators.stop().await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_opens_and_closes_a_breaker_by_hand() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let operators = Operators::of(&service).await;

    let (status, listed) = operators.get("/breakers").await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&String> = listed["breakers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["api.openai", "database"]);

    let (status, forced) = operators.force("api.openai", &json!({"state": "open"})).await;
    assert_eq!((status, &forced["state"]), (StatusCode::OK, &json!("forced_open")));
    let (_, written) = service.post("/v1/captions", &asked("Bread on the counter")).await;
    assert_eq!((&written["source"], llm.count()), (&json!("template"), 0), "{written}");

    let (_, automatic) = operators.force("api.openai", &json!({"state": "auto"})).await;
    assert_eq!(automatic["state"], "closed");
    let (_, written) = service.post("/v1/captions", &asked("Bread on the counter")).await;
    assert_eq!((&written["source"], llm.count()), (&json!("provider"), 1), "{written}");

    let (_, closed) = operators.force("api.openai", &json!({"state": "closed"})).await;
    assert_eq!(closed["state"], "forced_closed");
    operators.stop().await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_that_slips_changes_nothing_and_is_told_why() {
    let service = Service::start(&[("CAPTIONS_LLM__PROVIDERS", "[{name = 'plain', kind = 'template'}]")]).await;
    let operators = Operators::of(&service).await;

    let (status, problem) = operators.force("api.nobody", &json!({"state": "open"})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("route_not_found"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("database"), "{problem}");
    for body in [json!({"state": "ajar"}), json!({"state": "open", "for": 5}), json!([])] {
        let (status, problem) = operators.force("database", &body).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_parameter")),
            "{body}"
        );
    }
    // What a web page can send without asking first is not taken.
    let form = operators.client.post(format!("{}/breakers/database", operators.base));
    let form = form.header("content-type", "text/plain").body(r#"{"state": "open"}"#);
    assert_eq!(form.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Nor is any of this on the listener for callers.
    for path in ["/metrics", "/breakers"] {
        assert_eq!(service.get(path).await.0, 404, "{path}");
    }

    let (_, listed) = operators.get("/breakers").await;
    assert_eq!(listed["breakers"]["database"]["state"], "closed");
    operators.stop().await;
    service.stop().await;
}

/// A client that goes away in the middle of a stream is one that left, and nothing that failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_is_cancelled_here_and_at_the_provider() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::text(CAPTION).stall_after(2));
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let request = service.client.post(format!("{}/v1/captions/stream", service.base));

    let reply = request.json(&asked("Bread on the counter")).send().await.unwrap();
    llm.until("it is asked", |llm| llm.count() == 1).await;
    drop(reply);

    let stats = until("the stream has ended", async || {
        let (_, stats) = service.get("/v1/stats").await;
        let ended = stats["operations"]["caption_stream"]["total"] == 1 && stats["api"]["calls"]["total"] == 1;
        ended.then_some(stats)
    })
    .await;
    assert_eq!(
        stats["operations"]["caption_stream"]["outcomes"]["cancelled"], 1,
        "{stats}"
    );
    assert_eq!(stats["api"]["calls"]["cancelled"], 1, "{stats}");
    assert_eq!(
        (&stats["success_rate"], &stats["api"]["error_rate"]),
        (&Value::Null, &json!(0.0))
    );
    service.stop().await;
}

/// Names of users, requests and keys never become names of series.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_users_make_no_more_series_than_one() {
    const USERS: usize = 100_000;
    let monitor = Monitor::default();
    let store = SqliteStore::in_memory();
    store.migrate().await.unwrap();
    let users = Watched::new(Arc::new(store), monitor.clone());
    let cache = Watched::new(Arc::new(MemoryCache::new(1 << 24)), monitor.clone());
    let cx = build::context();
    let round = async |user: usize| {
        let timer = monitor.begin(Operation::ALL[user % 2]);
        let key = CacheKey::parse(&format!("captions:caption:{user:064x}")).unwrap();
        let found = cache.get(&cx, &key).await.unwrap();
        if found.is_none() {
            let ttl = Duration::from_secs(60);
            cache.put(&cx, &key, user.to_string().into(), ttl).await.unwrap();
        }
        timer.end(Outcome::ALL[user % 8]);
    };
    // SQLite takes its time; the first thousand users are enough of it.
    for user in 0..1000 {
        let id = build::user_id(&format!("user-{user}"));
        assert!(users.read(&cx, &id).await.unwrap().is_none());
    }
    round(0).await;
    let with_one = series(&monitor.summary().prometheus()).len();

    for user in 1..USERS {
        round(user).await;
    }

    let page = monitor.summary().prometheus();
    assert_eq!(series(&page).len(), with_one);
    assert!(with_one <= MOST_SERIES, "{with_one}");
    let counted: f64 = Outcome::ALL
        .iter()
        .map(|outcome| {
            let labels = format!(r#"{{operation="caption_generation",outcome="{}"}}"#, outcome.as_str());
            value(&page, &format!("captions_operations_total{labels}"))
        })
        .sum();
    assert!((counted - 50_000.0).abs() < 1e-9, "{counted}");
    assert!(!page.contains("user-"));
}
