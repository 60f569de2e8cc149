//! Traces, as a collector gets them from the real program.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use captions_testkit::llm::{FakeLlm, Turn};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};

use crate::client::{Reply, send};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// Words that only the user and the provider know.
const ASKED: &str = "zanzibar bakery at dawn";
const WRITTEN: &str = "Quokka loaves came out at six and the counter is full.";

/// A collector that keeps what it gets.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Bytes>>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        async fn keep(State(got): State<Arc<Mutex<Vec<Bytes>>>>, body: Bytes) {
            got.lock().unwrap().push(body);
        }
        let got = Arc::default();
        let app = Router::new()
            .route("/v1/traces", post(keep))
            .with_state(Arc::clone(&got));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, got, task }
    }

    /// Every span, with the name of the service that it is of.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap())
            .flat_map(|request| request.resource_spans)
            .flat_map(|of_one| {
                let resource = attributes(&of_one.resource.unwrap().attributes);
                let service = resource["service.name"].as_str().unwrap().to_owned();
                let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.map(|span| (service.clone(), span)).collect::<Vec<_>>()
            })
            .collect()
    }

    fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.spans().into_iter();
        spans
            .filter(|(_, span)| span.name == name)
            .map(|(_, span)| span)
            .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, Value> {
    let plain = |value: &AnyValue| match value {
        AnyValue::StringValue(text) => json!(text),
        AnyValue::IntValue(number) => json!(number),
        AnyValue::BoolValue(flag) => json!(flag),
        other => json!(format!("{other:?}")),
    };
    list.iter()
        .filter_map(|KeyValue { key, value, .. }| Some((key.clone(), plain(value.as_ref()?.value.as_ref()?))))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The program with one provider.
struct Program {
    child: Child,
    address: SocketAddr,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
    seen: Vec<String>,
    _home: tempfile::TempDir,
}

impl Program {
    fn start(llm: &FakeLlm, settings: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_captions-http"));
        command
            .env_clear()
            .env("HOME", home.path())
            .env("OPENAI_BASE_URL", llm.base_url())
            .env("OPENAI_MODEL", "m")
            .current_dir(home.path())
            .stderr(Stdio::piped());
        let own = [
            ("server.listen", "127.0.0.1:0"),
            ("log.format", "json"),
            ("api.retry_delay", "0"),
        ];
        for (key, value) in own.iter().chain(settings) {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        let address = loop {
            let line = log.next().unwrap_or_else(|| panic!("never listens: {seen:?}")).unwrap();
            let told: Value = serde_json::from_str(&line).unwrap();
            seen.push(line);
            if told["message"] == "listening" {
                break told["address"].as_str().unwrap().parse().unwrap();
            }
        };
        Self {
            child,
            address,
            log,
            seen,
            _home: home,
        }
    }

    async fn ask(&self, path: &str, about: &str, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let body = json!({"content_description": about, "allow_fallback": false}).to_string();
        send(self.address, "POST", path, &all, body.as_bytes()).await
    }

    /// Reads the log up to the first line with these words.
    fn until(&mut self, words: &str) {
        loop {
            let line = self
                .log
                .next()
                .unwrap_or_else(|| panic!("never {words}: {:?}", self.seen));
            self.seen.push(line.unwrap());
            if self.seen.last().unwrap().contains(words) {
                return;
            }
        }
    }

    /// The names of its threads.
    fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .collect()
    }

    /// Stops it in good order; the whole log.
    fn stop(mut self) -> Vec<String> {
        let told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
        let rest = self.log.by_ref().map(Result::unwrap).collect::<Vec<_>>();
        self.seen.extend(rest);
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}: {:?}", self.seen);
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_model_calls_are_one_trace_that_holds_no_text() {
    let (llm, collector) = (FakeLlm::start().await, Collector::start().await);
    llm.reply(Turn::unavailable()).reply(Turn::caption_json(&[WRITTEN]));
    let endpoint = format!("http://{}/", collector.address);
    let program = Program::start(
        &llm,
        &[
            ("telemetry.otlp_endpoint", &endpoint),
            ("telemetry.service_name", "captions-of-ours"),
        ],
    );

    let parent = format!("00-{TRACE}-{PARENT}-01");
    let reply = program.ask("/v1/captions", ASKED, &[("traceparent", &parent)]).await;
    assert_eq!(reply.status, 201, "{}", reply.json());
    program.stop();

    let spans = collector.spans();
    assert!(
        spans.iter().all(|(service, _)| service == "captions-of-ours"),
        "{spans:?}"
    );
    let [request] = &collector.named("POST /v1/captions")[..] else {
        panic!("one request in {spans:?}")
    };
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(
        (hex(&request.trace_id), hex(&request.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    let told = attributes(&request.attributes);
    assert_eq!(
        [
            &told["http.request.method"],
            &told["http.route"],
            &told["http.response.status_code"]
        ],
        [&json!("POST"), &json!("/v1/captions"), &json!(201)]
    );
    assert_eq!(
        told["captions.request_id"].as_str(),
        reply.header("x-request-id"),
        "one id finds the log and the trace"
    );

    let mut calls = collector.named("chat m");
    calls.sort_by_key(|span| span.start_time_unix_nano);
    let [failed, done] = &calls[..] else {
        panic!("two calls in {spans:?}")
    };
    for call in [failed, done] {
        assert_eq!(
            (&call.trace_id, &call.parent_span_id),
            (&request.trace_id, &request.span_id)
        );
        assert_eq!(call.kind, SpanKind::Client as i32);
        let told = attributes(&call.attributes);
        assert_eq!(
            [
                &told["gen_ai.operation.name"],
                &told["gen_ai.provider.name"],
                &told["gen_ai.request.model"],
                &told["server.address"],
                &told["server.port"],
            ],
            [
                &json!("chat"),
                &json!("openai"),
                &json!("m"),
                &json!("127.0.0.1"),
                &json!(llm.address().port()),
            ]
        );
    }
    let told = attributes(&failed.attributes);
    assert_eq!(told["error.type"], "unavailable");
    assert_eq!(failed.status.as_ref().unwrap().code, StatusCode::Error as i32);
    let told = attributes(&done.attributes);
    assert!(told["gen_ai.usage.input_tokens"].as_i64() > Some(0), "{told:?}");
    assert!(told["gen_ai.usage.output_tokens"].as_i64() > Some(0), "{told:?}");
    assert!(told["gen_ai.response.model"].is_string() && !told.contains_key("error.type"));

    let got = collector.got.lock().unwrap().concat();
    let text = String::from_utf8_lossy(&got);
    for secret in ["zanzibar", "bakery", "Quokka", "loaves", "caption writer"] {
        assert!(!text.contains(secret), "{secret} is in the trace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_one_trace_too_and_probes_are_none() {
    let (llm, collector) = (FakeLlm::start().await, Collector::start().await);
    llm.always(Turn::text(WRITTEN));
    let endpoint = format!("http://{}", collector.address);
    // What the log leaves out is traced all the same.
    let program = Program::start(&llm, &[("telemetry.otlp_endpoint", &endpoint)]);

    let reply = program
        .ask("/v1/captions/stream", ASKED, &[("traceparent", "nonsense")])
        .await;
    assert_eq!(reply.status, 200);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(send(program.address, "GET", probe, &[], b"").await.status, 200);
    }
    program.stop();

    let [request] = &collector.named("POST /v1/captions/stream")[..] else {
        panic!("one request in {:?}", collector.spans())
    };
    let [call] = &collector.named("chat m")[..] else {
        panic!("one call in {:?}", collector.spans())
    };
    assert_eq!(call.parent_span_id, request.span_id);
    assert!(request.parent_span_id.is_empty() && call.end_time_unix_nano <= request.end_time_unix_nano);
    assert_eq!(collector.spans().len(), 2, "{:?}", collector.spans());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_none_leaves_only_what_callers_trace() {
    let (llm, collector) = (FakeLlm::start().await, Collector::start().await);
    llm.always(Turn::caption_json(&[WRITTEN]));
    let endpoint = format!("http://{}", collector.address);
    let program = Program::start(
        &llm,
        &[("telemetry.otlp_endpoint", &endpoint), ("telemetry.sample_ratio", "0")],
    );

    for (about, flags) in [
        ("a dog on a mat", None),
        ("a cat on a mat", Some("00")),
        (ASKED, Some("01")),
    ] {
        let parent = flags.map(|flags| format!("00-{TRACE}-{PARENT}-{flags}"));
        let headers: Vec<(&str, &str)> = parent.iter().map(|parent| ("traceparent", parent.as_str())).collect();
        assert_eq!(program.ask("/v1/captions", about, &headers).await.status, 201);
    }
    program.stop();

    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans.iter().all(|(_, span)| hex(&span.trace_id) == TRACE), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_harms_nothing_and_is_told_once() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[WRITTEN]));
    // Taken and not listened on: nobody else can get the port, and whoever connects is refused.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    let mut program = Program::start(&llm, &[("telemetry.otlp_endpoint", &endpoint)]);

    assert_eq!(program.ask("/v1/captions", "a dog on a mat", &[]).await.status, 201);
    program.until("traces cannot be delivered");
    assert_eq!(program.ask("/v1/captions", "a cat on a mat", &[]).await.status, 201);
    let log = program.stop();

    let told = log.iter().filter(|line| line.contains("traces cannot be delivered"));
    assert_eq!(told.count(), 1, "{log:?}");
    assert!(log.iter().any(|line| line.contains("\"stopped\"")), "{log:?}");
}

/// It takes connections and never answers, so the last export cannot end by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_does_not_hold_up_the_end() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[WRITTEN]));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let program = Program::start(&llm, &[("telemetry.otlp_endpoint", &endpoint)]);

    assert_eq!(program.ask("/v1/captions", ASKED, &[]).await.status, 201);
    let log = program.stop();

    assert!(
        log.iter()
            .any(|line| line.contains("the last traces were not delivered")),
        "{log:?}"
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_there_is_no_exporter() {
    let (llm, collector) = (FakeLlm::start().await, Collector::start().await);
    let endpoint = format!("http://{}", collector.address);
    for (endpoint, is_there) in [("", false), (endpoint.as_str(), true)] {
        let program = Program::start(&llm, &[("telemetry.otlp_endpoint", endpoint)]);

        let threads = program.threads();

        let exporter = threads.iter().any(|name| name.starts_with("OpenTelemetry"));
        assert_eq!(exporter, is_there, "{threads:?}");
        program.stop();
    }
}
