//! The apps as production starts them, on a free port and in an empty home.

use std::{
    collections::BTreeMap,
    io::Cursor,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use captions_cli::{Exit, Process, Sink};
use captions_http::AppState;
use captions_wiring::{Caches, assemble, install_crypto, settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// An environment: an empty home and what the test adds.
pub(crate) fn environment(home: &TempDir, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
    // Tools that the code under test may start, such as python3.
    if let Some(path) = std::env::vars().find(|(name, _)| name == "PATH") {
        env.insert(path.0, path.1);
    }
    env.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    env
}

/// The cache folder of whoever runs the tests, where the model file is kept between runs.
pub(crate) fn model_cache() -> String {
    let vars: BTreeMap<String, String> = std::env::vars().collect();
    vars.get("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .cloned()
        .unwrap_or_else(|| format!("{}/.cache", vars["HOME"]))
}

/// The HTTP API, running in this process.
pub(crate) struct Service {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    /// What its handlers are given.
    pub(crate) state: AppState,
    /// The whole app, to be asked without a socket.
    pub(crate) app: Router,
    /// What it keeps.
    pub(crate) caches: Caches,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _home: TempDir,
}

impl Service {
    /// Starts with these environment variables and nothing else set.
    pub(crate) async fn start(env: &[(&str, &str)]) -> Self {
        install_crypto();
        let home = tempfile::tempdir().unwrap();
        let sources = settings::Sources {
            env: environment(&home, env),
            cwd: home.path().to_owned(),
            ..settings::Sources::default()
        };
        let settings = settings::load(&sources).unwrap().settings;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let assembled = Arc::new(assemble(&settings).await.unwrap());
        captions_http::start::warm(&settings, &assembled);
        assembled.watch_event_loop();
        assembled.forget_what_is_old();
        assembled.raise_alerts(&settings.alerts).unwrap();
        let state = captions_http::start::state(&settings, &assembled);
        let app = captions_http::router(state.clone());
        let caches = assembled.caches.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let given = state.clone();
        let served = tokio::spawn(async move {
            let stopped = async {
                drop(stopped.await);
            };
            captions_http::serve(listener, state, stopped).await.unwrap();
            assembled.shutdown().await;
        });
        Self {
            base,
            client: reqwest::Client::new(),
            state: given,
            app,
            caches,
            stop,
            served,
            _home: home,
        }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap();
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let reply = self
            .client
            .post(format!("{}{path}", self.base))
            .json(body)
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}", self.base)).json(body);
        let reply = request
            .header("content-type", "application/merge-patch+json")
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let reply = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    /// The events of a streamed caption, in order: name and data.
    pub(crate) async fn stream(&self, body: &Value) -> Vec<(String, Value)> {
        let request = self.client.post(format!("{}/v1/captions/stream", self.base)).json(body);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
        events(&reply.text().await.unwrap())
    }
}

/// An answer in whichever form it came.
#[derive(Debug)]
pub(crate) struct Told {
    /// That of the problem, if it ended in one, also where the response had begun long before; else 200 for 200 and 201.
    pub(crate) status: u16,
    /// The document or the problem.
    pub(crate) end: Value,
    /// The text that events had shown and not withdrawn when the end came.
    pub(crate) shown: String,
    /// Whether the events kept their order: created first, exactly one end and that last, nothing of a new candidate before
    /// the old one was withdrawn.
    pub(crate) is_in_order: bool,
}

impl Service {
    /// A caption as JSON.
    pub(crate) async fn told(&self, body: &Value) -> Told {
        let (status, end) = self.post("/v1/captions", body).await;
        Told {
            status: if status == 201 { 200 } else { status },
            end,
            shown: String::new(),
            is_in_order: true,
        }
    }

    /// A caption as events.
    pub(crate) async fn told_by_events(&self, body: &Value) -> Told {
        let request = self.client.post(format!("{}/v1/captions/stream", self.base)).json(body);
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        if status != 200 {
            return Told {
                status,
                end: reply.json().await.unwrap(),
                shown: String::new(),
                is_in_order: true,
            };
        }
        let events = events(&reply.text().await.unwrap());
        let (mut candidate, mut shown, mut is_in_order) = (Value::from(1), String::new(), true);
        let last = events.len() - 1;
        for (index, (name, data)) in events.iter().enumerate() {
            match name.as_str() {
                "caption.created" => is_in_order &= index == 0,
                "caption.delta" => {
                    is_in_order &= data["candidate"] == candidate || shown.is_empty();
                    candidate = data["candidate"].clone();
                    shown += data["text"].as_str().unwrap();
                }
                "caption.withdrawn" => {
                    is_in_order &= data["candidate"] == candidate && data["code"].is_string();
                    shown.clear();
                }
                "caption.completed" | "error" => is_in_order &= index == last,
                other => panic!("an event that does not exist: {other}"),
            }
        }
        let (name, end) = &events[last];
        let status = match name.as_str() {
            "caption.completed" => 200,
            "error" => u16::try_from(end["status"].as_u64().unwrap()).unwrap(),
            other => panic!("no end but {other}"),
        };
        Told {
            status,
            end: end.clone(),
            shown,
            is_in_order,
        }
    }
}

/// The events of a body, in order: name and data.
fn events(body: &str) -> Vec<(String, Value)> {
    body.split("\n\n")
        .filter_map(|frame| {
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            Some((
                field("event:")?.to_owned(),
                serde_json::from_str(field("data:")?).unwrap(),
            ))
        })
        .collect()
}

/// True if it took no longer than it may, give or take what a busy machine takes.
pub(crate) fn close_to(took: Duration, limit: Duration) -> bool {
    took <= limit + Duration::from_secs(1)
}

/// One run of the command line in this process.
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn captions(env: BTreeMap<String, String>, args: &[&str]) -> Ran {
    install_crypto();
    let (mut stdin, mut stdout, mut stderr) = (Cursor::new(Vec::new()), Vec::new(), Vec::new());
    let process = Process {
        args: std::iter::once("captions")
            .chain(args.iter().copied())
            .map(Into::into)
            .collect(),
        cwd: env["HOME"].clone().into(),
        env,
        stdin: &mut stdin,
        stdin_is_terminal: true,
        stdout: (&mut stdout, Sink::Plain),
        stderr: (&mut stderr, Sink::Plain),
        log: false,
    };
    let exit = captions_cli::run(process, std::future::pending()).await;
    Ran {
        exit,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// A description that no other test uses: caches are shared between tests.
pub(crate) fn description(about: &str) -> String {
    format!(
        "{about} {}",
        tempfile::tempdir().unwrap().path().file_name().unwrap().display()
    )
}

/// An address that refuses connections.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again until the answer is right, for 20 seconds at most.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(20);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while Instant::now() < give_up {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("not within 20 s: {what}");
}
