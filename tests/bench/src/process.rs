//! The systems under test, each a process of its own: what one costs is not taken for the cost of another.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

/// How long a system may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running system; dropping it ends it.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    /// From its start until it said that it is ready.
    pub(crate) ready_after: Duration,
    child: Child,
    home: TempDir,
}

/// What a process has used so far, or has now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use {
    /// Seconds of all cores.
    pub(crate) cpu: f64,
    /// MiB in memory, now and at most since [`Process::forget_peak`].
    pub(crate) resident: f64,
    pub(crate) peak: f64,
    /// MiB of those in memory now that are not read from a file: what one more process costs.
    pub(crate) private: f64,
    pub(crate) files: usize,
    pub(crate) threads: usize,
    /// Of its runtime, where it was asked for them.
    pub(crate) tasks: usize,
    /// MiB in its cache in memory, where it was asked for them.
    pub(crate) cached: f64,
}

/// An address that nobody listens on. Somebody may take it before it is used: then the start fails, and says so.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Process {
    /// Starts this program in one of its roles, with `ground` as JSON in a file.
    pub(crate) async fn role(name: &str, ground: &serde_json::Value) -> anyhow::Result<Self> {
        let address = free_address()?;
        let home = tempfile::tempdir()?;
        let file = home.path().join("ground.json");
        fs::write(&file, ground.to_string())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["play", name, &address.to_string()]).arg(file);
        Self::start(command, address, home, BTreeMap::new()).await
    }

    /// Starts the service with the settings that it ships with and these variables; `server` is its program, or none for
    /// the same start in this program.
    pub(crate) async fn service(server: Option<&Path>, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let address = free_address()?;
        let home = tempfile::tempdir()?;
        let mut command = if let Some(program) = server {
            Command::new(program)
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("serve");
            command
        };
        command.args(["--set", &format!("server.listen={address}")]);
        let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self::start(command, address, home, env.collect()).await
    }

    async fn start(
        mut command: Command,
        address: SocketAddr,
        home: TempDir,
        env: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        command
            .env_clear()
            .env("HOME", home.path())
            .envs(env)
            .current_dir(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(home.path().join("log"))?);
        let begun = Instant::now();
        let child = command.spawn().context("the process cannot be started")?;
        let mut process = Self {
            address,
            ready_after: Duration::ZERO,
            child,
            home,
        };
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{address}/readyz");
        loop {
            if let Ok(answer) = client.get(&url).send().await
                && answer.status().is_success()
            {
                process.ready_after = begun.elapsed();
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("it ended with {status} at its start: {}", process.log());
            }
            if begun.elapsed() > START_LIMIT {
                bail!("it was not ready in time: {}", process.log());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The end of what it told on stderr.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Use> {
        let proc = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{proc}/stat"))?;
        // Behind the name, which may hold anything: user and system time are fields 14 and 15 of the whole, in ticks of 10 ms.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| {
            fields
                .get(place)
                .and_then(|text| text.parse::<f64>().ok())
                .unwrap_or_default()
        };
        let status = fs::read_to_string(format!("{proc}/status"))?;
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kibibytes.unwrap_or_default() / 1024.0
        };
        Ok(Use {
            cpu: (ticks(11) + ticks(12)) / 100.0,
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
            private: mebibytes("RssAnon:"),
            files: fs::read_dir(format!("{proc}/fd"))?.count(),
            threads: fs::read_dir(format!("{proc}/task"))?.count(),
            tasks: 0,
            cached: 0.0,
        })
    }

    /// The peak counts from now on.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Its base URL.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
