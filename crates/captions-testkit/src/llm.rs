//! A scripted server that speaks the OpenAI wire format on loopback: good answers, and every way of failing.
//!
//! Each request takes the next turn of the queue ([`FakeLlm::reply`]); with the queue empty, the turn set for its model
//! ([`FakeLlm::model`]), else the standing one ([`FakeLlm::always`], [`FakeLlm::cycle`], [`FakeLlm::answer_with`]),
//! which at first is [`Turn::fitting`].
//!
//! [`FakeLlm::start`] speaks HTTP/1.1 in the clear, [`FakeLlm::start_tls`] HTTP/2 over TLS, as the large providers do.

#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

mod http2;
mod play;
mod turn;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use self::play::{Outcome, Received};
pub use self::turn::Turn;
use crate::tls;

/// How long [`FakeLlm::until`] waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request as it came in.
#[derive(Debug)]
pub struct Recorded {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The JSON body; null if it was none.
    pub body: Value,
    pub path: String,
    pub at: Instant,
    left: Mutex<Option<Instant>>,
}

impl Recorded {
    /// True if it asked for a stream.
    pub fn streamed(&self) -> bool {
        self.body["stream"] == true
    }

    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The texts of the user messages.
    pub fn user_text(&self) -> String {
        self.texts("user")
    }

    /// The texts of the system messages.
    pub fn system_text(&self) -> String {
        self.texts("system")
    }

    /// The addresses of the pictures in the messages; bytes come as `data:` addresses.
    pub fn pictures(&self) -> Vec<&str> {
        self.messages()
            .flat_map(|message| message["content"].as_array().map(Vec::as_slice).unwrap_or_default())
            .filter_map(|part| part["image_url"]["url"].as_str())
            .collect()
    }

    fn messages(&self) -> impl Iterator<Item = &Value> {
        self.body["messages"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
    }

    /// Of contents that are a text, and of those that are a list of parts.
    fn texts(&self, role: &str) -> String {
        let texts: Vec<_> = self
            .messages()
            .filter(|message| message["role"] == role)
            .flat_map(|message| match &message["content"] {
                Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
                text => Vec::from_iter(text.as_str()),
            })
            .collect();
        texts.join("\n")
    }

    /// When the client left before the answer was complete, if it did.
    pub fn left_early(&self) -> Option<Instant> {
        *lock(&self.left)
    }
}

type Answer = Arc<dyn Fn(&Recorded) -> Turn + Send + Sync>;

struct Script {
    queue: VecDeque<Turn>,
    by_model: BTreeMap<String, Turn>,
    standing: Answer,
    models: Turn,
}

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Arc<Recorded>>>,
    model_lists: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// The server. Dropping it closes its port and every connection.
pub struct FakeLlm {
    address: SocketAddr,
    certificates: Option<TempDir>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeLlm {
    /// Starts on a free loopback port.
    pub async fn start() -> Self {
        Self::listen("127.0.0.1:0").await
    }

    /// Starts on a free loopback port and speaks HTTP/2 over TLS, with a certificate of its own throw-away authority.
    pub async fn start_tls() -> Self {
        let certificates = tempfile::tempdir().expect("a folder for certificates");
        tls::make(certificates.path());
        let acceptor = tls::acceptor(certificates.path(), b"h2");
        let mut server = Self::begin("127.0.0.1:0", Some(acceptor)).await;
        server.certificates = Some(certificates);
        server
    }

    /// Starts on this address, for instance that of a server that was dropped before.
    pub async fn listen(address: &str) -> Self {
        Self::begin(address, None).await
    }

    async fn begin(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script: Mutex::new(Script {
                queue: VecDeque::new(),
                by_model: BTreeMap::new(),
                standing: Arc::new(|_| Turn::fitting()),
                models: model_list(&["fake-model"]),
            }),
            requests: Mutex::default(),
            model_lists: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let server = tokio::spawn(serve(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            certificates: None,
            shared,
            server,
        }
    }

    /// `http://127.0.0.1:PORT/v1`, or `https` with TLS.
    pub fn base_url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// The PEM file of the authority behind a server started by [`FakeLlm::start_tls`].
    pub fn ca_file(&self) -> PathBuf {
        let folder = self.certificates.as_ref().expect("a server started by start_tls");
        folder.path().join(tls::CA)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a turn at the end of the queue. Each is played once.
    pub fn reply(&self, turn: Turn) -> &Self {
        lock(&self.shared.script).queue.push_back(turn);
        self
    }

    /// Plays this turn whenever the queue is empty.
    pub fn always(&self, turn: Turn) -> &Self {
        self.answer_with(move |_| turn.clone())
    }

    /// Plays these turns in a circle whenever the queue is empty.
    pub fn cycle(&self, turns: Vec<Turn>) -> &Self {
        assert!(!turns.is_empty(), "a circle has at least one turn");
        let next = AtomicUsize::new(0);
        self.answer_with(move |_| turns[next.fetch_add(1, Ordering::Relaxed) % turns.len()].clone())
    }

    /// Chooses the turn by looking at the request, whenever the queue is empty.
    pub fn answer_with(&self, answer: impl Fn(&Recorded) -> Turn + Send + Sync + 'static) -> &Self {
        lock(&self.shared.script).standing = Arc::new(answer);
        self
    }

    /// Plays this turn for requests that name `model`, whenever the queue is empty.
    pub fn model(&self, model: &str, turn: Turn) -> &Self {
        lock(&self.shared.script).by_model.insert(model.into(), turn);
        self
    }

    /// What `GET /v1/models` lists; `fake-model` at first.
    pub fn lists(&self, models: &[&str]) -> &Self {
        self.models_answer(model_list(models))
    }

    /// What `GET /v1/models` answers.
    pub fn models_answer(&self, turn: Turn) -> &Self {
        lock(&self.shared.script).models = turn;
        self
    }

    /// The chat requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Arc<Recorded>> {
        lock(&self.shared.requests).clone()
    }

    /// The last chat request.
    pub fn last(&self) -> Arc<Recorded> {
        lock(&self.shared.requests)
            .last()
            .map(Arc::clone)
            .expect("a request was made")
    }

    /// The number of chat requests so far.
    pub fn count(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// The number of `GET /v1/models` so far.
    pub fn model_lists(&self) -> usize {
        self.shared.model_lists.load(Ordering::Relaxed)
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The number of connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Waits until the condition holds. Panics after 10 seconds, naming what was awaited.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "never happened: {what}");
            sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        // The task owns every connection's task, so all of them end with it.
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn model_list(models: &[&str]) -> Turn {
    let data: Vec<_> = models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    Turn::json(200, &json!({"object": "list", "data": data}))
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    match &tls {
                        None => connections.spawn(converse(socket, Arc::clone(&shared))),
                        Some(tls) => connections.spawn(http2::converse(socket, tls.clone(), Arc::clone(&shared))),
                    };
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn converse(mut socket: TcpStream, shared: Arc<Shared>) {
    let _open = Open::new(&shared);
    // Small writes must leave at once, or a paced stream would be paced by the kernel.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    while let Ok(Some(received)) = play::receive(&mut socket, &mut buffer).await {
        let (turn, request) = shared.turn_for(received);
        match play::play(&mut socket, turn, &request).await {
            Outcome::Answered => {}
            Outcome::Close => return,
            Outcome::Reset => {
                // With no time to linger the kernel sends a reset instead of a clean end.
                let _reset = socket.set_zero_linger();
                return;
            }
            Outcome::LeftEarly => {
                *lock(&request.left) = Some(Instant::now());
                return;
            }
        }
    }
}

impl Shared {
    fn turn_for(&self, received: Received) -> (Turn, Arc<Recorded>) {
        let request = Arc::new(Recorded {
            headers: received.headers.into_iter().collect(),
            body: serde_json::from_slice(&received.body).unwrap_or_default(),
            path: received.path,
            at: Instant::now(),
            left: Mutex::new(None),
        });
        let path = request.path.split('?').next().unwrap_or_default();
        let turn = match (received.method.as_str(), path) {
            ("POST", path) if path.ends_with("/chat/completions") => {
                lock(&self.requests).push(Arc::clone(&request));
                let mut script = lock(&self.script);
                let scripted = script
                    .queue
                    .pop_front()
                    .or_else(|| script.by_model.get(request.model()).cloned());
                let standing = Arc::clone(&script.standing);
                drop(script);
                scripted.unwrap_or_else(|| standing(&request))
            }
            ("GET", path) if path.ends_with("/models") => {
                self.model_lists.fetch_add(1, Ordering::Relaxed);
                lock(&self.script).models.clone()
            }
            _ => Turn::error(404, "not_found", "There is nothing at this path"),
        };
        (turn, request)
    }
}

#[cfg(test)]
mod tests;
