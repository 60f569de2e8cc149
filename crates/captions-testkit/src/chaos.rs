//! A TCP proxy on loopback that spoils what goes through it: slow, silent, refusing, resetting, half dead.
//!
//! [`Chaos::set`] changes every connection, those that exist and those to come; [`Chaos::set_one`] a single one, and
//! [`Chaos::next`] the one that comes next. What a way holds back is delivered once the way lets it pass, as TCP would.
#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// The most bytes that are passed on at once.
const PIECE: usize = 16 << 10;
/// Pieces that may be on their way in one direction.
const IN_FLIGHT: usize = 256;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What is done to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Nothing.
    Pass,
    /// What the server says arrives later by `delay` and up to `jitter` more, in order.
    Latency { delay: Duration, jitter: Duration },
    /// At most so many bytes a second, in each direction.
    Bandwidth(u32),
    /// Accepted and silent: nothing passes in either direction, not even an end.
    Blackhole,
    /// Nobody listens; connections that exist are reset.
    Refuse,
    /// Connections that exist are reset, new ones as soon as they are accepted.
    Reset,
    /// When one side ends, the other learns of it so much later.
    SlowClose(Duration),
    /// Nothing passes in this one direction.
    HalfOpen(Direction),
    /// After so many bytes from the server the connection is closed.
    CutAfter(usize),
}

impl Way {
    const fn passes(self, direction: Direction) -> bool {
        !matches!(
            (self, direction),
            (Self::Blackhole, _)
                | (Self::HalfOpen(Direction::ToServer), Direction::ToServer)
                | (Self::HalfOpen(Direction::ToClient), Direction::ToClient)
        )
    }

    const fn resets(self) -> bool {
        matches!(self, Self::Refuse | Self::Reset)
    }
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    total: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Default)]
struct Plan {
    next: VecDeque<Way>,
    /// One for each connection so far, in order of arrival; those that have ended hear nothing any more.
    each: Vec<watch::Sender<Way>>,
}

struct Shared {
    server: SocketAddr,
    standing: watch::Sender<Way>,
    plan: Mutex<Plan>,
    counts: Counts,
}

/// The proxy. Dropping it closes its port and every connection.
pub struct Chaos {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound and never listening: keeps the port while nobody listens on it.
    _port: TcpSocket,
    task: JoinHandle<()>,
}

impl Chaos {
    /// A proxy to this port of loopback that lets everything pass. Needs a tokio runtime.
    pub fn to(server: u16) -> Self {
        let port = socket().expect("a socket for the proxy");
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free loopback port");
        let address = port.local_addr().expect("a bound socket has an address");
        let (standing, _) = watch::channel(Way::Pass);
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], server)),
            standing,
            plan: Mutex::default(),
            counts: Counts::default(),
        });
        let listener = listen(address).expect("the proxy's own port");
        let task = tokio::spawn(serve(address, listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _port: port,
            task,
        }
    }

    /// A proxy to the server of this URL, and the URL by way of it. The URL has to name the port.
    pub fn before(url: &str) -> (Self, String) {
        let server: SocketAddr = url
            .split("//")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .and_then(|authority| authority.rsplit('@').next())
            .and_then(|address| address.parse().ok())
            .expect("a URL with a loopback address and a port");
        let proxy = Self::to(server.port());
        let through = url.replacen(&server.to_string(), &proxy.address.to_string(), 1);
        (proxy, through)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes every connection, those that exist and those to come.
    pub fn set(&self, way: Way) {
        let mut plan = self.shared.plan();
        plan.next.clear();
        self.shared.standing.send_replace(way);
        for connection in &plan.each {
            connection.send_replace(way);
        }
    }

    /// Changes one connection, by its number in the order of arrival, from 0.
    pub fn set_one(&self, number: usize, way: Way) {
        self.shared.plan().each[number].send_replace(way);
    }

    /// What is done to the next connection instead of the standing way; further calls speak of those after it.
    pub fn next(&self, way: Way) {
        self.shared.plan().next.push_back(way);
    }

    /// Connections accepted so far.
    pub fn total(&self) -> usize {
        self.shared.counts.total.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.counts.open.load(Ordering::Relaxed)
    }

    /// The most connections that were open at once.
    pub fn peak(&self) -> usize {
        self.shared.counts.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        // The task owns every connection's task, so all of them end with it.
        self.task.abort();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way of a connection that has just come, and its number.
    fn welcome(&self) -> (watch::Receiver<Way>, usize) {
        let mut plan = self.plan();
        let way = plan.next.pop_front().unwrap_or(*self.standing.borrow());
        let (sender, way) = watch::channel(way);
        plan.each.push(sender);
        self.counts.total.fetch_add(1, Ordering::Relaxed);
        let open = self.counts.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.peak.fetch_max(open, Ordering::Relaxed);
        (way, plan.each.len() - 1)
    }
}

/// A socket whose port can be shared by those who hold it and those who listen on it.
fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket()?;
    // Connections that ended a moment ago do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn serve(address: SocketAddr, listener: TcpListener, shared: Arc<Shared>) {
    let mut standing = shared.standing.subscribe();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *standing.borrow_and_update() == Way::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(address).expect("the proxy's own port"));
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = standing.changed() => if changed.is_err() {
                return;
            },
            accepted = accepted => if let Ok((client, _)) = accepted {
                let (way, number) = shared.welcome();
                connections.spawn(connection(client, way, number, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(mut client: TcpStream, way: watch::Receiver<Way>, number: usize, shared: Arc<Shared>) {
    let _open = Open(Arc::clone(&shared));
    let until_reset = {
        let mut way = way.clone();
        async move { way.wait_for(|way| way.resets()).await.is_ok() }
    };
    tokio::pin!(until_reset);
    let mut gate = way.clone();
    let reached = tokio::select! {
        biased;
        _ = &mut until_reset => None,
        // A silent one reaches nobody before it is let through.
        server = async {
            drop(gate.wait_for(|way| *way != Way::Blackhole).await);
            TcpStream::connect(shared.server).await
        } => server.ok(),
    };
    let Some(mut server) = reached else {
        abort(&client);
        return;
    };
    // The proxy must add no delay of its own.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let was_reset = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = async {
            // Until both directions have ended by themselves, or one was cut.
            tokio::try_join!(
                pump(client_read, server_write, Direction::ToServer, way.clone(), number),
                pump(server_read, client_write, Direction::ToClient, way.clone(), number),
            )
            .is_err()
        };
        tokio::select! {
            biased;
            _ = &mut until_reset => true,
            _ = both => false,
        }
    };
    if was_reset {
        abort(&client);
        abort(&server);
    }
}

/// How many seconds' worth of the rate so many bytes are.
fn parts_of(bytes: usize, rate: u32) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(rate.max(1))
}

/// With no time to linger the kernel sends a reset instead of a clean end.
fn abort(socket: &TcpStream) {
    drop(socket.set_zero_linger());
}

/// An end on purpose.
struct Cut;

/// Passes bytes on in one direction until they end. Reading and writing run beside each other, so that a delay is a delay
/// and no limit of the rate.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut into: impl AsyncWrite + Unpin,
    direction: Direction,
    way: watch::Receiver<Way>,
    number: usize,
) -> Result<(), Cut> {
    let (pieces, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let reading = async {
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1));
        let mut piece = vec![0; PIECE];
        loop {
            // An error is an end like another: the far side is told by its own end.
            let count = from.read(&mut piece).await.unwrap_or(0);
            let late = match *way.borrow() {
                Way::Latency { delay, jitter } if direction == Direction::ToClient => {
                    delay + jitter.mul_f64(chance.unit())
                }
                Way::SlowClose(delay) if count == 0 => delay,
                _ => Duration::ZERO,
            };
            let sent = pieces.send((Instant::now() + late, piece[..count].to_vec())).await;
            if count == 0 || sent.is_err() {
                break;
            }
        }
        drop(pieces);
    };
    let writing = async {
        let mut way = way.clone();
        let mut passed = 0;
        while let Some((due, bytes)) = on_the_way.recv().await {
            sleep_until(due).await;
            // Fails only if the proxy is gone, and then so are we.
            drop(way.wait_for(|way| way.passes(direction)).await);
            let now = *way.borrow();
            let bytes = match now {
                Way::CutAfter(limit) if direction == Direction::ToClient && passed + bytes.len() > limit => {
                    let _told = into.write_all(&bytes[..limit.saturating_sub(passed)]).await;
                    let _ended = into.shutdown().await;
                    return Err(Cut);
                }
                _ => bytes,
            };
            if bytes.is_empty() {
                break;
            }
            passed += bytes.len();
            match now {
                Way::Bandwidth(rate) => {
                    // A tenth of a second's worth at a time.
                    let share = (rate as usize / 10).max(1);
                    for part in bytes.chunks(share) {
                        // Before it goes on: the last part has its time too.
                        sleep(Duration::from_secs(1).mul_f64(parts_of(part.len(), rate))).await;
                        if into.write_all(part).await.is_err() {
                            return Err(Cut);
                        }
                    }
                }
                _ => {
                    if into.write_all(&bytes).await.is_err() {
                        return Err(Cut);
                    }
                }
            }
        }
        // The other side may have gone first.
        drop(into.shutdown().await);
        Ok(())
    };
    tokio::pin!(reading);
    tokio::pin!(writing);
    tokio::select! {
        outcome = &mut writing => outcome,
        () = &mut reading => writing.await,
    }
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    /// At least 0, less than 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests;
