//! Private Postgres servers: on a free loopback port, in a folder of their own, gone when the test process is gone.
//!
//! Needs the programs of the Debian package `postgresql` (`initdb`, `postgres`, `psql`), in the PATH or where Debian puts
//! them. Where they are missing the test fails and says so; nothing is skipped. Linux only: the processes of a server are
//! found in `/proc`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::watch::Watchdog;

/// How long a server may take to come up or to go down.
const LIMIT: Duration = Duration::from_secs(30);

/// The name of the superuser, who needs no password on loopback.
const OWNER: &str = "captions";

/// A running Postgres server that belongs to this test alone. Dropping it stops it; so does the end of the test process,
/// however that comes.
pub struct Server {
    port: u16,
    programs: PathBuf,
    account: Option<Account>,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

/// Whom the server runs as, when we are root: Postgres refuses to run as root.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

struct Process {
    child: Child,
    watchdog: Watchdog,
}

/// The server that all tests of this process share. Keep apart with [`Server::new_database`].
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::start)
}

/// The URL of a new, empty database on the shared server.
pub async fn fresh_database() -> String {
    tokio::task::spawn_blocking(|| shared().new_database())
        .await
        .expect("a new database")
}

impl Server {
    /// Makes a new server and waits until it takes connections.
    pub fn start() -> Self {
        let programs = programs();
        let folder = tempfile::tempdir().expect("a folder for Postgres");
        let account = other_account(folder.path());
        if let Some(account) = account {
            std::os::unix::fs::chown(folder.path(), Some(account.user), Some(account.group))
                .expect("root may give its folder away");
        }
        let mut server = Self {
            port: 0,
            programs,
            account,
            folder,
            process: None,
        };
        server.initialise();
        server.start_on_free_port();
        server
    }

    /// The URL of this database on the server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", Uuid::now_v7().simple());
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Runs SQL as the superuser and returns what it prints: one line per row, columns separated by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let done = self
            .command("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set",
                "ON_ERROR_STOP=1",
            ])
            .args(["--dbname", &self.url(database), "--command", sql])
            .output()
            .expect("psql runs");
        assert!(
            done.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Freezes every process of the server: connections stay open and are silent, new ones are not answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen server run on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends every process at once, as a power cut does. What was committed is kept.
    pub fn kill(&mut self) {
        if self.process.is_some() {
            self.signal("KILL");
        }
        if let Some(process) = self.process.take() {
            process.end();
        }
    }

    /// Starts it again with its data, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + LIMIT;
        while !self.try_start() {
            assert!(
                Instant::now() < deadline,
                "not up again in time; its last words:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process ids of the server's main process and of all its children.
    fn processes(&self) -> Vec<u32> {
        let main = self.process.as_ref().expect("a running server").child.id();
        let mut all = vec![main];
        for entry in std::fs::read_dir("/proc").expect("/proc, as Linux has it").flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // `id (name) state parent ...`, and the name may hold anything.
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent == Some(main.to_string().as_str()) {
                all.push(id);
            }
        }
        all
    }

    fn signal(&self, name: &str) {
        // The main process first and by itself: frozen or dead it starts no more children while we look for them.
        let main = self.process.as_ref().expect("a running server").child.id();
        send(name, &[main]);
        send(name, &self.processes());
    }

    fn initialise(&self) {
        let made = self
            .command("initdb")
            .args([
                "--username",
                OWNER,
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
            ])
            .args(["--no-sync", "--no-instructions", "--wal-segsize", "1", "--pgdata"])
            .arg(self.data())
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    fn start_on_free_port(&mut self) {
        // Between finding a free port and using it somebody else may take it: then the next one.
        for _ in 0..20 {
            self.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .expect("a free loopback port")
                .port();
            if self.try_start() {
                return;
            }
        }
        panic!("Postgres does not start; its last words:\n{}", self.log());
    }

    /// Starts the main process; `false` if it ended again, as it does when the port is taken.
    fn try_start(&mut self) -> bool {
        let log = File::create(self.log_file()).expect("a log file for Postgres");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        command
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.folder.path().display()));
        command.arg("-c").arg(format!("port={}", self.port));
        // A crash of the machine may cost the data, a crash of the server may not.
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "full_page_writes=off",
            "autovacuum=off",
            "jit=off",
            "max_connections=200",
            "shared_buffers=16MB",
            "dynamic_shared_memory_type=mmap",
            "wal_level=minimal",
            "max_wal_senders=0",
        ] {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone().expect("the same log file")).stderr(log);
        let child = command.spawn().expect("postgres runs");
        let watchdog = Watchdog::with_ending(SHUT_DOWN, child.id(), self.folder.path());
        let mut process = Process { child, watchdog };
        let deadline = Instant::now() + LIMIT;
        loop {
            if process
                .child
                .try_wait()
                .expect("the state of the Postgres server")
                .is_some()
            {
                process.end();
                return false;
            }
            if self.is_ready(process.child.id()) {
                self.process = Some(process);
                return true;
            }
            if Instant::now() > deadline {
                process.end();
                panic!(
                    "Postgres was not ready within {LIMIT:?}; its last words:\n{}",
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives back what a killed server left behind: a segment of shared memory that would outlive every process.
    fn free_shared_memory(&self) {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        // The seventh line is the segment's key and id. A server that was shut down has removed segment and file.
        if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            drop(
                Command::new("ipcrm")
                    .args(["--shmem-id", id])
                    .stdin(Stdio::null())
                    .stderr(Stdio::null())
                    .status(),
            );
        }
    }

    /// True if the server's own file says that this very process takes connections.
    fn is_ready(&self, process: u32) -> bool {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(process.to_string().as_str()) && lines.nth(6) == Some("ready")
    }

    /// A program of Postgres, run as whom the server runs.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // The folder of the tests may be closed to that account.
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// What the server has told since its last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            // A frozen server has to be woken, to the last child, to obey.
            self.signal("CONT");
        }
        if let Some(mut process) = self.process.take() {
            process.shut_down();
            process.end();
        }
        self.free_shared_memory();
    }
}

/// For the watchdog: an immediate shutdown, which unlike a kill gives the server's shared memory back. A frozen server
/// has to be woken to obey; one that still does not obey is killed.
const SHUT_DOWN: &str = r#"kill -QUIT "$1"; kill -CONT "$1"; i=0
    while kill -0 "$1" && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
    kill -KILL "$1""#;

impl Process {
    fn shut_down(&mut self) {
        send("QUIT", &[self.child.id()]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.watchdog.dismiss();
    }
}

/// Sends a signal; processes that are gone are no error.
fn send(name: &str, processes: &[u32]) {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"for id in "$@"; do kill "$0" "$id" 2>/dev/null; done"#,
        &format!("-{name}"),
    ]);
    command.args(processes.iter().map(u32::to_string));
    command.stdin(Stdio::null()).status().expect("a shell to send signals");
}

/// The folder of `initdb`, `postgres` and `psql`: in the PATH, else the newest that Debian has installed.
fn programs() -> PathBuf {
    let has_all = |folder: &PathBuf| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(has_all) {
        return folder;
    }
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| has_all(folder))
        .collect();
    debian.sort();
    let Some((_, folder)) = debian.pop() else {
        panic!("Postgres is not installed; these tests need initdb, postgres and psql (Debian package: postgresql)");
    };
    folder
}

/// The account to run the server as, if we are root; `None` if we are not.
fn other_account(ours: &Path) -> Option<Account> {
    if std::fs::metadata(ours).expect("our own folder").uid() != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").expect("the list of accounts");
    let find = |name: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            Some(Account {
                user: fields.nth(1)?.parse().ok()?,
                group: fields.next()?.parse().ok()?,
            })
        })
    };
    let account = find("postgres").or_else(|| find("nobody"));
    Some(account.expect("an account other than root: Postgres refuses to run as root"))
}

#[cfg(test)]
mod tests;
