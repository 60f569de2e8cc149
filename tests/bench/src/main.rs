//! `captions-bench`: the whole service under load, beside the least that the same job can cost on the same machine in
//! the same minute. docs/BENCHMARKS.md says what the figures mean.

mod floor;
mod load;
mod report;
mod service;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use captions_wiring::{install_crypto, telemetry};
use clap::Parser;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    floor::{CAPTION_PART, Floor, Prompt, Upstream},
    load::{Bounds, Call},
    report::{Round, Row},
    service::Service,
};

/// Measures the HTTP API against the least that its job can cost.
#[derive(Parser)]
struct Args {
    /// A few requests of each kind, to see that everything works; the figures mean nothing
    #[arg(long)]
    smoke: bool,
    /// Connections that ask at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// How often every row is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
}

impl Args {
    fn bounds(&self) -> Bounds {
        Bounds {
            connections: self.connections.into(),
            requests: if self.smoke { 40 } else { 20_000 },
            time: Duration::from_secs(10),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match print(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to be done if this fails too.
            drop(writeln!(io::stderr(), "captions-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. False if a row failed.
async fn print(args: &Args) -> anyhow::Result<bool> {
    anyhow::ensure!(
        args.smoke || !cfg!(debug_assertions),
        "a debug build says nothing about speed: build with --release, or pass --smoke"
    );
    let bench = Bench::start().await?;
    // As production has it: every request of the service gets its span.
    telemetry::install(&service::settings(bench.home.path(), &bench.upstream.base)?.log)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let (bounds, rounds) = (args.bounds(), args.rounds.into());
    let rows = bench.measure(bounds, rounds).await?;
    bench.service.stop().await?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", report::machine(bounds, rounds, args.smoke, &load))?;
    write!(out, "{}", report::table(&rows))?;
    Ok(rows.iter().all(|row| row.trouble().is_none()))
}

/// What every request of the cached kind is about.
const KNOWN: &str = "Bread on the counter of a bakery";

/// A description that nothing has seen before; plain letters, which JSON writes as they are.
fn fresh() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{KNOWN} with tray {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn new_and_unstored() -> Vec<u8> {
    json!({ "content_description": fresh(), "store": false })
        .to_string()
        .into()
}

fn new() -> Vec<u8> {
    json!({ "content_description": fresh() }).to_string().into()
}

fn known() -> Vec<u8> {
    json!({ "content_description": KNOWN }).to_string().into()
}

/// All servers, up and primed.
struct Bench {
    upstream: Upstream,
    /// The provider request that the service makes.
    prompt: String,
    floor: Floor,
    service: Service,
    home: TempDir,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        install_crypto();
        let home = tempfile::tempdir()?;
        let upstream = Upstream::start().await?;
        let service = Service::start(&service::settings(home.path(), &upstream.base)?).await?;
        // Puts the answer into the cache, and shows the prompt that the floor has to send as well.
        let primed = reqwest::Client::builder().no_proxy().build()?;
        let primed = primed.post(format!("{}/v1/captions", service.base));
        let primed = primed.header("content-type", "application/json").body(known()).send();
        primed.await?.error_for_status()?;
        let prompt = upstream.first_request().context("the provider was never asked")?;
        let floor = Floor::start(&upstream.base, Prompt::of(&prompt, KNOWN)?, KNOWN, home.path()).await?;
        Ok(Self {
            upstream,
            prompt,
            floor,
            service,
            home,
        })
    }

    /// What is measured, in this order, with empty rounds.
    fn scenarios(&self) -> Vec<(Row, Call)> {
        let prompt = self.prompt.clone();
        let captions = format!("{}/v1/captions", self.service.base);
        let row = |what, floor, asks_provider| Row {
            what,
            floor,
            asks_provider,
            rounds: Vec::new(),
        };
        let call = |url: String, body: fn() -> Vec<u8>, status, says| Call {
            url,
            body: Arc::new(body),
            status,
            says,
        };
        let floor = |path: &str, body| call(format!("{}{path}", self.floor.base), body, 200, CAPTION_PART);
        let alone = Call {
            url: format!("{}/chat/completions", self.upstream.base),
            body: Arc::new(move || prompt.clone().into()),
            status: 200,
            says: CAPTION_PART,
        };
        let (provider, cache) = (r#""source":"provider""#, r#""source":"cache""#);
        vec![
            (row("the provider alone", None, true), alone),
            (row("floor: ask the provider", None, true), floor("/write", new)),
            (
                row("service: new, not stored", Some(1), true),
                call(captions.clone(), new_and_unstored, 200, provider),
            ),
            (row("floor: look up in a map", None, false), floor("/known", known)),
            (
                row("service: cache hit", Some(3), false),
                call(captions.clone(), known, 200, cache),
            ),
            (row("floor: ask and insert", None, true), floor("/store", new)),
            (
                row("service: new, stored", Some(5), true),
                call(captions, new, 201, provider),
            ),
        ]
    }

    /// Each row once in every round, so that a change of the machine's mood meets a row and its floor alike.
    async fn measure(&self, bounds: Bounds, rounds: usize) -> anyhow::Result<Vec<Row>> {
        let mut scenarios = self.scenarios();
        for _ in 0..rounds {
            for (row, call) in &mut scenarios {
                let before = self.upstream.calls();
                let measured = load::run(call, bounds).await?;
                let provider_calls = self.upstream.calls() - before;
                row.rounds.push(Round {
                    measured,
                    provider_calls,
                });
            }
        }
        Ok(scenarios.into_iter().map(|(row, _)| row).collect())
    }
}

#[cfg(test)]
mod tests;
