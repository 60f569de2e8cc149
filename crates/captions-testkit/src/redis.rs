//! Private Redis servers: on a free loopback port, without persistence, gone when the test process is gone.
//!
//! Needs the program `redis-server` (Debian package `redis-server`), and `openssl` for [`Server::start_tls`]. Where one
//! is missing the test fails and says so; nothing is skipped.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{tls, watch::Watchdog};

/// How long a server may take to answer its first command.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running Redis server that belongs to this test alone. Dropping it stops it; so does the end of the test process,
/// however that comes.
pub struct Server {
    port: u16,
    tls: Option<Tls>,
    extra: Vec<String>,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

struct Tls {
    port: u16,
    ca: PathBuf,
}

struct Process {
    child: Child,
    watchdog: Watchdog,
}

/// The server that all tests of this process share. Keep apart with [`prefix`].
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// A key prefix that no other test uses.
pub fn prefix() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings, such as `["--requirepass", "secret"]`.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self {
            port: 0,
            tls: None,
            extra: settings.iter().map(|&setting| setting.to_owned()).collect(),
            folder: tempfile::tempdir().expect("a folder for Redis"),
            process: None,
        };
        server.start_on_free_port();
        server
    }

    /// Starts a server that also speaks TLS, with a certificate for 127.0.0.1 of its own throw-away authority.
    pub fn start_tls() -> Self {
        let folder = tempfile::tempdir().expect("a folder for Redis");
        tls::make(folder.path());
        let ca = folder.path().join(tls::CA);
        let mut server = Self {
            port: 0,
            tls: Some(Tls { port: 0, ca }),
            extra: Vec::new(),
            folder,
            process: None,
        };
        server.start_on_free_port();
        server
    }

    /// `redis://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// `rediss://127.0.0.1:PORT/` of a server started by [`Server::start_tls`].
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}/", self.tls().port)
    }

    /// The PEM file of the authority that signed the server's certificate.
    pub fn ca_file(&self) -> &Path {
        &self.tls().ca
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Freezes the process: connections stay open and are silent.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen process run on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends the process at once. Its data is lost, its port is free.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + START_LIMIT;
        while !self.try_start() {
            assert!(
                Instant::now() < deadline,
                "port {} was not free again in time",
                self.port
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("a server started by start_tls")
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("a running server");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", process.child.id())])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send SIG{name} to the Redis server"
        );
    }

    fn start_on_free_port(&mut self) {
        // Between finding a free port and using it somebody else may take it: then the next one.
        for _ in 0..20 {
            self.port = free_port();
            if let Some(tls) = &mut self.tls {
                tls.port = free_port();
            }
            if self.try_start() {
                return;
            }
        }
        panic!("no free port for a Redis server; its last words:\n{}", self.log());
    }

    /// Starts the process; `false` if it ended again, as it does when a port is taken.
    fn try_start(&mut self) -> bool {
        let log = File::create(self.log_file()).expect("a log file for Redis");
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same log file"))
            .stderr(log);
        if let Some(tls) = &self.tls {
            let file = |name: &str| self.folder.path().join(name);
            command.args(["--tls-port", &tls.port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(file(tls::CERTIFICATE));
            command.arg("--tls-key-file").arg(file(tls::KEY));
            command.arg("--tls-ca-cert-file").arg(&tls.ca);
        }
        command.args(&self.extra);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("redis-server is not installed; these tests need it (Debian package: redis-server)")
            }
            Err(error) => panic!("cannot start redis-server: {error}"),
        };
        let watchdog = Watchdog::over(child.id(), self.folder.path());
        let mut process = Process { child, watchdog };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if process
                .child
                .try_wait()
                .expect("the state of the Redis server")
                .is_some()
            {
                process.end();
                return false;
            }
            if self.answers(process.child.id()) {
                self.process = Some(process);
                return true;
            }
            if Instant::now() > deadline {
                process.end();
                panic!(
                    "redis-server did not answer within {START_LIMIT:?}; its last words:\n{}",
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// True if the server on our port is this very process, not another test's that was quicker.
    fn answers(&self, process: u32) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
            return false;
        };
        let asked = stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .and_then(|()| stream.write_all(b"INFO server\r\n"));
        if asked.is_err() {
            return false;
        }
        let mut answer = [0; 4096];
        let Ok(length) = stream.read(&mut answer) else {
            return false;
        };
        let answer = String::from_utf8_lossy(&answer[..length]);
        // A server with a password does not tell its process id; its refusal is as good.
        answer.starts_with("-NOAUTH") || answer.contains(&format!("process_id:{process}\r\n"))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn end(mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.watchdog.dismiss();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free loopback port")
        .port()
}

#[cfg(test)]
mod tests;
