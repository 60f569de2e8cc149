//! What nobody but its owner may read: keys, passwords and what people write are in no log at debug level, no problem, no
//! figure and no trace, whatever goes well or wrong.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Value, json};

use crate::{
    client::{Connection, Reply, get, send},
    traces::Collector,
};

/// Part of every word that is looked for, and of nothing else.
const MARK: &str = "zqx";
const PROVIDER_KEY: &str = "sk-zqx-provider-key-0123456789abcdef";
const REDIS_PASSWORD: &str = "zqx-redis-password";
const COLLECTOR_KEY: &str = "zqx-collector-key";
const HOOK_KEY: &str = "zqx-hook-key";
/// `whsec_` and the base64 of 32 bytes, among which the mark stands as it is.
const HOOK_SECRET: &str = "whsec_zqxzqxzqxzqxzqxzqxzqxzqxzqxzqxzqxzqxzqxzqxA=";
const BEARER: &str = "Bearer captions_zqx_callers_key";
const USER: &str = "zqx-user";
const ASKED: &str = "Zqxana baking bread in her kitchen at 12 Zqxstreet";
const WRITTEN: &str = "Zqxana took the loaves out at six and the whole street smells of it.";

/// The program with everything in its settings that is a secret. Ends with the test.
struct Program {
    child: Child,
    address: SocketAddr,
    operators: SocketAddr,
    home: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Program {
    async fn start(llm: &FakeLlm, collector: &Collector, closed: u16) -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = File::create(home.path().join("log")).unwrap();
        let settings = [
            ("server.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
            ("server.body_timeout", "0.3".to_owned()),
            ("log.filter", "debug".to_owned()),
            ("log.format", "json".to_owned()),
            ("api.retry_delay", "0".to_owned()),
            ("api.timeout", "2".to_owned()),
            ("api.first_byte_timeout", "0.5".to_owned()),
            ("api.idle_timeout", "0.5".to_owned()),
            ("telemetry.otlp_endpoint", format!("http://{}/", collector.address)),
            ("redis.url", format!("redis://ana:{REDIS_PASSWORD}@127.0.0.1:{closed}/")),
            ("alerts.interval", "0.1".to_owned()),
            ("alerts.fire_after", "1".to_owned()),
            ("alerts.min_calls", "1".to_owned()),
            ("alerts.api_response", "0.001".to_owned()),
            ("alerts.webhook_url", format!("http://127.0.0.1:{closed}/{HOOK_KEY}")),
            ("alerts.webhook_allow_private", "true".to_owned()),
            ("alerts.webhook_secret_env", "HOOK_SECRET".to_owned()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_captions-http"));
        command
            .env_clear()
            .env("HOME", home.path())
            .env("OPENAI_BASE_URL", llm.base_url())
            .env("OPENAI_MODEL", "m")
            .env("OPENAI_API_KEY", PROVIDER_KEY)
            .env("HOOK_SECRET", HOOK_SECRET)
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-key={COLLECTOR_KEY}"))
            .current_dir(home.path())
            // Not a pipe: nobody reads along, and a full one would stop the program.
            .stderr(log);
        for (key, value) in settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let child = command.spawn().unwrap();
        let log = home.path().join("log");
        let operators = listens(&log, "listening for operators").await;
        let address = listens(&log, "listening").await;
        Self {
            child,
            address,
            operators,
            home,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Ends it in good order, so that all traces are delivered.
    async fn stop(&mut self) {
        let told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        until("the end", || self.child.try_wait().unwrap()).await;
    }
}

async fn listens(log: &Path, message: &str) -> SocketAddr {
    until(message, || {
        let text = fs::read_to_string(log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line = lines.into_iter().find(|line| line["message"] == message)?;
        line["address"].as_str()?.parse().ok()
    })
    .await
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(30);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "not within 30 s: {what}");
    }
}

/// Sends JSON with all that a caller has to hide.
async fn ask(program: &Program, method: &str, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("cookie", "session=zqx-cookie")];
    send(program.address, method, path, &headers, body.to_string().as_bytes()).await
}

fn asked() -> Value {
    json!({
        "content_description": ASKED, "user_id": USER, "store": true,
        "instructions": "Mention Zqxmother", "brand_voice": "like Zqxaunt",
        "keywords": ["zqxbread"], "avoid": ["zqxrival"],
    })
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Goes through what goes well.
async fn succeeds(program: &Program, llm: &FakeLlm) {
    llm.always(Turn::caption(WRITTEN));
    let user = json!({"id": USER, "display_name": "Zqxana", "preferences": {"brand_voice": "like Zqxaunt", "samples": ["Zqxbread is up."]}});
    assert_eq!(ask(program, "POST", "/v1/users", &user).await.status, 201);
    let written = ask(program, "POST", "/v1/captions", &asked()).await;
    assert_eq!(written.status, 201);
    let id = written.json()["id"].as_str().unwrap().to_owned();
    assert!(ask(program, "POST", "/v1/captions", &asked()).await.status < 300);
    for path in ["/v1/captions/stream", "/v1/check", "/v1/scores", "/v1/hashtags"] {
        let body = match path {
            "/v1/check" => json!({"text": WRITTEN}),
            "/v1/scores" => json!({"text": WRITTEN, "content_description": ASKED}),
            "/v1/hashtags" => json!({"content_description": ASKED}),
            _ => with(asked(), json!({"cache": "bypass"})),
        };
        assert_eq!(ask(program, "POST", path, &body).await.status, 200, "{path}");
    }
    let feedback = json!({"verdict": "edited", "final_text": WRITTEN});
    ask(program, "PUT", &format!("/v1/captions/{id}/feedback"), &feedback).await;
    let rewrite = json!({"text": format!("{WRITTEN} And there is more to come."), "operation": "shorten", "target_chars": 60, "user_id": USER});
    ask(program, "POST", "/v1/rewrites", &rewrite).await;
    ask(
        program,
        "PATCH",
        &format!("/v1/users/{USER}"),
        &json!({"display_name": "Zqxana Two"}),
    )
    .await;
    let voice = json!({"captions": [WRITTEN, "Zqxbread is up again."]});
    ask(program, "PUT", &format!("/v1/users/{USER}/voice"), &voice).await;
    for path in [
        format!("/v1/captions/{id}"),
        format!("/v1/users/{USER}/captions"),
        format!("/v1/users/{USER}"),
    ] {
        assert_eq!(get(program.address, &path).await.status, 200, "{path}");
    }
}

/// Goes through what goes wrong, and returns the problems.
async fn fails(program: &Program, llm: &FakeLlm) -> Vec<String> {
    let mut problems = Vec::new();
    let echo = format!("Incorrect API key provided: {PROVIDER_KEY}. Your prompt was: {ASKED}");
    let turns = [
        Turn::error(401, "invalid_api_key", &echo),
        Turn::error(500, "server_error", &echo),
        Turn::error(400, "bad_request", &echo),
        Turn::error(429, "slow_down", &echo),
        Turn::raw(200, "application/json", format!("{{\"zqx\": \"{ASKED}\"}}")),
        Turn::raw(502, "text/html", format!("<p>{echo}</p>")),
        Turn::refusal_text(),
        Turn::wrong_language(),
        Turn::text(WRITTEN).cut_after(3),
        Turn::text(WRITTEN).garbled_after(3),
        Turn::text(WRITTEN).stall_after(3),
        Turn::silence(),
    ];
    for (number, turn) in turns.into_iter().enumerate() {
        llm.always(turn);
        for path in ["/v1/captions", "/v1/captions/stream"] {
            let body = with(
                asked(),
                json!({"allow_fallback": false, "seed": number, "store": false, "cache": "bypass"}),
            );
            let reply = ask(program, "POST", path, &body).await;
            if reply.status >= 400 {
                problems.push(reply.problem().to_string());
            }
        }
        // What stands below the chain answers.
        ask(
            program,
            "POST",
            "/v1/captions",
            &with(asked(), json!({"seed": number, "cache": "bypass"})),
        )
        .await;
    }
    let broken = [
        json!({"content_description": ASKED, "tone": ["zqxtone"], "platform": {"zqx": 1}, "language": "zqxlanguage-zqx"}),
        json!({"content_description": ASKED, "provider": "zqxprovider"}),
        json!({"content_description": ASKED, "image": {"url": "http://10.0.0.1/zqx.jpg"}}),
        json!({"content_description": ASKED, "image": {"data": "enF4enF4enF4", "media_type": "image/png"}}),
        json!({"content_description": "zq".repeat(2000) + MARK}),
        json!({"content_description": ASKED, "keywords": "zqxbread"}),
        json!([ASKED]),
    ];
    for body in broken {
        let reply = ask(program, "POST", "/v1/captions", &body).await;
        assert_eq!(reply.status, 422);
        problems.push(reply.problem().to_string());
    }
    let json = [("content-type", "application/json")];
    for body in [
        "{\"content_description\": \"Zqxana",
        "\"Zqxana\" and more",
        "Zqxana",
        "{\"tone\": 1, \"tone\": \"zqx\"}",
    ] {
        let reply = send(program.address, "POST", "/v1/captions", &json, body.as_bytes()).await;
        problems.push(reply.problem().to_string());
    }
    for (name, value) in [
        ("content-type", "text/zqx"),
        ("request-timeout-ms", "zqx"),
        ("traceparent", "zqx"),
        ("x-request-id", "zqx not a name"),
    ] {
        let reply = send(
            program.address,
            "POST",
            "/v1/captions",
            &[("content-type", "application/json"), (name, value)],
            b"{}",
        )
        .await;
        problems.push(reply.problem().to_string());
    }
    // Keys that there are not, in all their forms.
    for key in [BEARER, "Bearer zqx", "Basic enF4OnpxeA==", "zqx"] {
        let reply = send(
            program.address,
            "POST",
            "/v1/captions",
            &[json[0], ("authorization", key)],
            b"{}",
        )
        .await;
        problems.push(reply.problem().to_string());
    }
    for query in ["cursor=zqx", "limit=zqx"] {
        let reply = get(program.address, &format!("/v1/users/nobody/captions?{query}")).await;
        problems.push(reply.problem().to_string());
    }
    leaves(program).await;
    problems
}

/// Callers that leave while they send and while they are told, and one that speaks rubbish.
async fn leaves(program: &Program) {
    let body = asked().to_string();
    for sent in [&body[..40], &body[..]] {
        let mut connection = Connection::open(program.address).await;
        let head = format!(
            "POST /v1/captions/stream HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write(format!("{head}{sent}").as_bytes()).await;
        if sent.len() < body.len() {
            assert_eq!(connection.head().await.status, 408);
        }
    }
    let mut rubbish = Connection::open(program.address).await;
    rubbish.write(b"GET /zqx HTTP/1.1\r\nx-zqx : zqx\r\n\r\n").await;
    rubbish.closed().await;
}

fn mark_in(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.to_lowercase().contains(MARK)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_personal_text_are_in_no_log_no_problem_no_figure_and_no_trace() {
    let (llm, collector) = (FakeLlm::start().await, Collector::start().await);
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut program = Program::start(&llm, &collector, closed.local_addr().unwrap().port()).await;

    succeeds(&program, &llm).await;
    let problems = fails(&program, &llm).await;
    let stats = get(program.address, "/v1/stats").await;
    let metrics = get(program.operators, "/metrics").await;
    let breakers = get(program.operators, "/breakers").await;
    let ready = get(program.address, "/readyz?verbose").await;
    program.stop().await;

    // The test has seen what it wants to see the absence of.
    assert!(llm.requests().iter().any(|request| request.user_text().contains(ASKED)));
    assert!(
        llm.requests()
            .iter()
            .all(|request| request.headers["authorization"].contains(PROVIDER_KEY))
    );
    assert!(problems.len() > 25, "{}", problems.len());
    let log = program.log();
    assert!(
        log.contains("\"level\":\"DEBUG\"") && log.contains("request answered") && log.contains("alert"),
        "{log}"
    );
    for problem in &problems {
        // The word that was no choice may be named to the one who sent it. What was to be written about and what others
        // said of it, and whatever is a secret, is not.
        let lower = problem.to_lowercase();
        let kept = ["zqx-", "zqxana", "zqxmother", "zqxaunt", "_zqx_", "whsec_", "enf4"];
        let found: Vec<_> = kept.into_iter().filter(|text| lower.contains(text)).collect();
        assert!(found.is_empty(), "{found:?}: {problem}");
    }
    for (what, reply) in [
        ("stats", stats),
        ("metrics", metrics),
        ("breakers", breakers),
        ("readiness", ready),
    ] {
        assert_eq!(reply.status, 200, "{what}");
        let text = String::from_utf8(reply.body).unwrap();
        assert!(
            !text.is_empty() && mark_in(&text).is_empty(),
            "{what}: {:?}",
            mark_in(&text)
        );
    }
    assert!(collector.spans().len() > 50, "{} spans", collector.spans().len());
    for (_, span) in collector.spans() {
        let text = format!("{span:?}");
        assert!(!text.to_lowercase().contains(MARK), "{text}");
    }
    assert_eq!(mark_in(&log), Vec::<&str>::new());
}
