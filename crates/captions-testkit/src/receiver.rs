//! A receiver of webhooks on loopback: keeps every request and answers by script.
#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// As in `POST /hook HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Received>,
}

/// The receiver. Dropping it closes its port and every connection.
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Answers this text, such as `HTTP/1.1 204 No Content\r\n\r\n`, to each connection's one request and closes.
    pub async fn answering(answer: &str) -> Self {
        Self::start(&[answer], false).await
    }

    /// Answers the first connections by these texts in order, and all further ones by the last.
    pub async fn scripted(answers: &[&str]) -> Self {
        Self::start(answers, false).await
    }

    /// Answers this and then keeps the connection open without another byte.
    pub async fn stalling_after(answer: &str) -> Self {
        Self::start(&[answer], true).await
    }

    async fn start(answers: &[&str], stalls: bool) -> Self {
        assert!(!answers.is_empty(), "a script has at least one answer");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
            async move {
                let mut open = Vec::new();
                let mut next = 0;
                while let Ok((stream, _)) = listener.accept().await {
                    lock(&seen).connections += 1;
                    let mut stream = BufReader::new(stream);
                    if let Some(request) = read(&mut stream).await {
                        lock(&seen).requests.push(request);
                    }
                    let answer = &answers[next.min(answers.len() - 1)];
                    next += 1;
                    // Whoever left needs no answer.
                    drop(stream.write_all(answer.as_bytes()).await);
                    if stalls {
                        open.push(stream);
                    }
                }
            }
        });
        Self { address, seen, task }
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// Whole requests so far, in their order.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.seen).requests.clone()
    }

    /// The requests, as soon as there are `count` or more; fails after `limit`.
    pub async fn until(&self, count: usize, limit: Duration) -> Vec<Received> {
        let give_up = Instant::now() + limit;
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            assert!(
                Instant::now() < give_up,
                "{count} requests were to come within {limit:?}; there are {}",
                requests.len()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let line = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    // A request without a body has none.
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |length| length.parse())
        .ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { line, headers, body })
}
