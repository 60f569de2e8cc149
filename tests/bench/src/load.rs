//! Requests over loopback. In a closed loop each connection asks again as soon as it has its answer; in an open one a
//! clock says when a request is due, and its latency counts from then, however late a connection comes free for it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{Barrier, Mutex, mpsc},
    task::JoinSet,
};

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, and how a right answer is known.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) ask: Ask,
    pub(crate) status: u16,
    /// A text that every right answer contains.
    pub(crate) says: &'static str,
}

/// What is sent.
#[derive(Clone)]
pub(crate) enum Ask {
    Get,
    /// Makes the JSON body of the next request; `None`: there is nothing more to ask, and the connection rests.
    Post(Arc<dyn Fn() -> Option<Bytes> + Send + Sync>),
}

/// One answer of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    /// When it was due, or asked for, since the start of the run.
    pub(crate) at: Duration,
    /// From then to the last byte.
    pub(crate) latency: Duration,
    /// Of HTTP; 0: there was no whole answer.
    pub(crate) status: u16,
    /// Whether it held the text that was looked for.
    pub(crate) says: bool,
    /// Whether it was the right one.
    pub(crate) right: bool,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) answers: Vec<Answered>,
    pub(crate) first_failure: Option<String>,
    /// From the start to the last answer.
    pub(crate) elapsed: Duration,
}

impl Measured {
    pub(crate) fn failed(&self) -> usize {
        self.answers.iter().filter(|answer| !answer.right).count()
    }

    /// Right answers a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.answers.len() - self.failed()) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Latency of the right answers that this share of them does not exceed; zero if there are none.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let right = self.answers.iter().filter(|answer| answer.right);
        let mut sorted: Vec<_> = right.map(|answer| answer.latency).collect();
        sorted.sort_unstable();
        percentile(&sorted, share)
    }

    /// The answers to what was asked from `from` on and before `to`.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Self {
        Self {
            answers: self
                .answers
                .iter()
                .filter(|answer| (from..to).contains(&answer.at))
                .copied()
                .collect(),
            first_failure: None,
            elapsed: to.saturating_sub(from),
        }
    }

    fn join(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// The value that this share (0-1) of the sorted ones does not exceed, by nearest rank; zero if there are none.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let rank = (count(sorted.len()) * share).ceil() as usize;
    sorted
        .get(rank.max(1) - 1)
        .or(sorted.last())
        .copied()
        .unwrap_or_default()
}

/// One connection, opened anew when it has been closed.
struct Connection<'a> {
    call: &'a Call,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection<'_> {
    async fn sender(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(self.call.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut().context("there is a connection")?;
        sender.ready().await?;
        Ok(sender)
    }

    /// The next request, if there is one.
    fn request(&self) -> anyhow::Result<Option<Request<Full<Bytes>>>> {
        let (request, body) = match &self.call.ask {
            Ask::Get => (Request::get(self.call.path), Bytes::new()),
            Ask::Post(next) => match next() {
                Some(body) => (
                    Request::post(self.call.path).header(CONTENT_TYPE, "application/json"),
                    body,
                ),
                None => return Ok(None),
            },
        };
        Ok(Some(request.header(HOST, "localhost").body(Full::new(body))?))
    }

    /// One request and the whole of its answer: its status, and whether it says what it should.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, bool)> {
        let call = self.call;
        let answered = tokio::time::timeout(PATIENCE, async {
            let answer = self.sender().await?.send_request(request).await?;
            let status = answer.status().as_u16();
            anyhow::Ok((status, answer.into_body().collect().await?.to_bytes()))
        });
        let (status, body) = answered.await.context("no answer in time")??;
        Ok((status, std::str::from_utf8(&body)?.contains(call.says)))
    }

    /// Asks, and enters what came of it. False: there was nothing more to ask.
    async fn ask(&mut self, measured: &mut Measured, start: Instant, asked: Instant) -> bool {
        let outcome = match self.request() {
            Ok(None) => return false,
            Ok(Some(request)) => self.exchange(request).await,
            Err(error) => Err(error),
        };
        let latency = asked.elapsed();
        let (status, says) = *outcome.as_ref().unwrap_or(&(0, false));
        let right = status == self.call.status && says;
        measured.answers.push(Answered {
            at: asked.saturating_duration_since(start),
            latency,
            status,
            says,
            right,
        });
        if !right && measured.first_failure.is_none() {
            measured.first_failure = Some(match outcome {
                Err(error) => format!("{error:#}"),
                Ok((status, _)) => format!("{status}, not {} with {}", self.call.status, self.call.says),
            });
        }
        true
    }
}

/// Requests until the time is up; those that have begun are waited for. `warm_up` of each connection come before and
/// do not count.
pub(crate) async fn closed(
    call: &Call,
    connections: usize,
    warm_up: usize,
    time: Duration,
) -> anyhow::Result<Measured> {
    let warm = Arc::new(Barrier::new(connections));
    let mut loops = JoinSet::new();
    for _ in 0..connections {
        let (call, warm) = (call.clone(), Arc::clone(&warm));
        loops.spawn(async move {
            let mut connection = Connection {
                call: &call,
                sender: None,
            };
            let mut measured = Measured::default();
            let begun = Instant::now();
            for _ in 0..warm_up {
                connection.ask(&mut measured, begun, Instant::now()).await;
            }
            measured.answers.clear();
            warm.wait().await;
            let start = Instant::now();
            while start.elapsed() < time && connection.ask(&mut measured, start, Instant::now()).await {}
            measured.elapsed = start.elapsed();
            measured
        });
    }
    joined(loops).await
}

/// Each of so many connections asks once, all at the same moment.
pub(crate) async fn burst(call: &Call, connections: usize) -> anyhow::Result<Measured> {
    let ready = Arc::new(Barrier::new(connections));
    let mut all = JoinSet::new();
    for _ in 0..connections {
        let (call, ready) = (call.clone(), Arc::clone(&ready));
        all.spawn(async move {
            let mut connection = Connection {
                call: &call,
                sender: None,
            };
            let mut measured = Measured::default();
            // A connection that cannot be opened fails when it asks.
            drop(connection.sender().await.map(|_| ()));
            ready.wait().await;
            let start = Instant::now();
            connection.ask(&mut measured, start, start).await;
            measured.elapsed = start.elapsed();
            measured
        });
    }
    joined(all).await
}

/// Requests at a fixed rate for so long. A clock of its own, so that a busy runtime does not make it late.
pub(crate) async fn open(call: &Call, per_second: u32, connections: usize, time: Duration) -> anyhow::Result<Measured> {
    let (due, dues) = mpsc::unbounded_channel::<Instant>();
    let dues = Arc::new(Mutex::new(dues));
    let start = Instant::now() + Duration::from_millis(50);
    let stopped = Arc::new(AtomicBool::new(false));
    let clock = std::thread::spawn({
        let stopped = Arc::clone(&stopped);
        move || {
            let mut next = start;
            while next < start + time && !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                if due.send(next).is_err() {
                    break;
                }
                next += Duration::from_secs(1) / per_second;
            }
        }
    });
    let mut loops = JoinSet::new();
    for _ in 0..connections {
        let (call, dues) = (call.clone(), Arc::clone(&dues));
        loops.spawn(async move {
            let mut connection = Connection {
                call: &call,
                sender: None,
            };
            let mut measured = Measured::default();
            // Open before the clock starts; one that cannot be opened fails when it asks.
            drop(connection.sender().await.map(|_| ()));
            loop {
                let next = dues.lock().await.recv().await;
                let Some(due) = next else { break };
                if !connection.ask(&mut measured, start, due).await {
                    break;
                }
            }
            measured.elapsed = start.elapsed();
            measured
        });
    }
    let measured = joined(loops).await;
    stopped.store(true, Ordering::Relaxed);
    drop(clock.join());
    measured
}

async fn joined(mut loops: JoinSet<Measured>) -> anyhow::Result<Measured> {
    let mut all = Measured::default();
    while let Some(one) = loops.join_next().await {
        all.join(one?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
