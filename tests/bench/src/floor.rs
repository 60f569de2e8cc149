//! The least that the job can cost on this machine: what the service is compared with, and the provider of both.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A piece of the caption that the provider writes.
pub(crate) const CAPTION_PART: &str = "Come by while they are warm";

/// A server in this process; dropping it ends it.
struct Server {
    base: String,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // Left out, the delay of small packets would only lengthen the floor.
            drop(stream.set_nodelay(true));
        });
        let task = tokio::spawn(async move {
            // It never returns; if it did, every request of the run would fail and say so.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { base, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A provider that answers at once: the same bytes for every request, in one write. Not the testkit's scripted server,
/// which keeps every request and writes an answer in eleven pieces: it would be the slowest part of the floor.
pub(crate) struct Upstream {
    /// Ends before `/chat/completions`.
    pub(crate) base: String,
    seen: Arc<Seen>,
    _server: Server,
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    first: OnceLock<String>,
}

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let written = json!({"variants": [{
            "angle": "news", "hook": "The loaves came out at six and the counter is full.",
            "body": format!("{CAPTION_PART}."), "cta": null, "hashtags": ["bakery", "bread", "sourdough"],
        }]});
        let completion = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "bench",
            "choices": [{
                "index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": written.to_string()},
            }],
            "usage": {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960},
        });
        let answer = axum::body::Bytes::from(completion.to_string());
        let seen = Arc::new(Seen::default());
        let noticed = Arc::clone(&seen);
        let complete = post(move |body: String| async move {
            noticed.calls.fetch_add(1, Ordering::Relaxed);
            noticed.first.get_or_init(|| body);
            ([(header::CONTENT_TYPE, "application/json")], answer)
        });
        let server = Server::start(Router::new().route("/v1/chat/completions", complete)).await?;
        Ok(Self {
            base: format!("{}/v1", server.base),
            seen,
            _server: server,
        })
    }

    /// Requests so far.
    pub(crate) fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::Relaxed)
    }

    /// The body of the first request.
    pub(crate) fn first_request(&self) -> Option<String> {
        self.seen.first.get().cloned()
    }
}

/// The job done once and without care: no validation, limits, policy, checks, score, hashtags, history or document.
///
/// - `/write` reads the body, sends the prompt to the provider and hands its text on;
/// - `/store` does the same and inserts one row;
/// - `/known` reads the body and answers from a map.
pub(crate) struct Floor {
    pub(crate) base: String,
    _server: Server,
}

struct Job {
    client: Client,
    url: String,
    prompt: Prompt,
    known: HashMap<String, String>,
    store: SqlitePool,
}

/// A provider request with a place for the description.
pub(crate) struct Prompt {
    before: String,
    after: String,
}

impl Prompt {
    /// Cuts a request that was made for `description`. Only for descriptions that JSON writes as they are.
    pub(crate) fn of(request: &str, description: &str) -> anyhow::Result<Self> {
        let (before, after) = request
            .split_once(description)
            .context("the provider request does not hold the description")?;
        anyhow::ensure!(
            !after.contains(description),
            "the provider request holds the description twice"
        );
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    pub(crate) fn about(&self, description: &str) -> String {
        [&self.before, description, &self.after].concat()
    }
}

#[derive(Deserialize)]
struct Asked {
    content_description: String,
}

#[derive(Deserialize)]
struct Completion {
    choices: [Choice; 1],
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

impl Floor {
    /// `upstream` ends before `/chat/completions`; `known` is what `/known` knows; the rows go into a file in `folder`.
    pub(crate) async fn start(upstream: &str, prompt: Prompt, known: &str, folder: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("floor.db"))
            .create_if_missing(true)
            // As the service's own store.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        // SQLite lets one connection write at a time: a second one would only wait.
        let pool = SqlitePoolOptions::new().max_connections(1);
        let store = pool
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        sqlx::query("CREATE TABLE captions (id INTEGER PRIMARY KEY, description TEXT NOT NULL, caption TEXT NOT NULL)")
            .execute(&store)
            .await?;
        let job = Job {
            client: Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?,
            url: format!("{upstream}/chat/completions"),
            prompt,
            known: HashMap::from([(known.to_owned(), CAPTION_PART.to_owned())]),
            store,
        };
        let router = Router::new()
            .route("/write", post(write))
            .route("/store", post(store_too))
            .route("/known", post(answer_known))
            .with_state(Arc::new(job));
        let server = Server::start(router).await?;
        Ok(Self {
            base: server.base.clone(),
            _server: server,
        })
    }
}

async fn write(State(job): State<Arc<Job>>, Json(asked): Json<Asked>) -> Response {
    match job.written(&asked.content_description).await {
        Ok(caption) => Json(json!({ "caption": caption })).into_response(),
        Err(error) => failed(&error),
    }
}

async fn store_too(State(job): State<Arc<Job>>, Json(asked): Json<Asked>) -> Response {
    match job.stored(&asked.content_description).await {
        Ok(caption) => Json(json!({ "caption": caption })).into_response(),
        Err(error) => failed(&error),
    }
}

async fn answer_known(State(job): State<Arc<Job>>, Json(asked): Json<Asked>) -> (StatusCode, Json<Value>) {
    match job.known.get(&asked.content_description) {
        Some(caption) => (StatusCode::OK, Json(json!({ "caption": caption }))),
        None => (StatusCode::NOT_FOUND, Json(Value::Null)),
    }
}

impl Job {
    async fn written(&self, description: &str) -> anyhow::Result<String> {
        let request = self.client.post(&self.url);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = request.body(self.prompt.about(description)).send().await?;
        let Completion { choices: [choice] } = answer.error_for_status()?.json().await?;
        Ok(choice.message.content)
    }

    async fn stored(&self, description: &str) -> anyhow::Result<String> {
        let caption = self.written(description).await?;
        sqlx::query("INSERT INTO captions (description, caption) VALUES (?, ?)")
            .bind(description)
            .bind(&caption)
            .execute(&self.store)
            .await?;
        Ok(caption)
    }
}

fn failed(error: &anyhow::Error) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response()
}
