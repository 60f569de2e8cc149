//! `captions-bench`: the whole service under load, beside the least that the same job can cost on the same machine in
//! the same minute. docs/BENCHMARKS.md says what the figures mean.

#![expect(clippy::future_not_send, reason = "one task does everything, part after part")]

mod bed;
mod floor;
mod load;
mod process;
mod report;
mod scenario;
mod upstream;

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{Router, http::StatusCode, routing::get, serve::ListenerExt};
use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    bed::{Bed, Extent},
    report::Figure,
    scenario::PARTS,
};

// A request makes and drops thousands of small texts, on whichever thread takes it up: docs/adr/0016. The same for all that is
// compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the HTTP API against the least that its job can cost.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// A few requests of each kind, to see that everything works; the figures mean nothing
    #[arg(long)]
    smoke: bool,
    /// Only these parts, parted by commas; `--only list` names them
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often what is compared is measured, in turn
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// Seconds of each scenario in each round
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Minutes of the part `soak`
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Rows of the part `history`; ten million take some 40 GB of disk
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    rows: u32,
    /// A captions-http program to measure, instead of the same server started from this program
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// This program in another part; the bench starts itself so.
#[derive(Subcommand)]
enum Role {
    /// `captions-http` as it ships
    #[command(hide = true)]
    Serve {
        #[arg(long = "set")]
        set: Vec<String>,
    },
    /// What stands around it
    #[command(hide = true)]
    Play {
        part: String,
        address: SocketAddr,
        ground: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    captions_wiring::install_crypto();
    let mut args = Args::parse();
    let done = match args.role.take() {
        None => print(args).await,
        Some(Role::Serve { set }) => serve(set).await.map(|()| true),
        Some(Role::Play { part, address, ground }) => play(&part, address, ground).await.map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to be done if this fails too.
            drop(writeln!(io::stderr(), "captions-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. False if a part failed; a target that is missed is no failure.
async fn print(args: Args) -> anyhow::Result<bool> {
    if args.only == ["list"] {
        let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        writeln!(io::stdout(), "{}", names.join("\n"))?;
        return Ok(true);
    }
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| PARTS.iter().all(|part| part.name != **name))
    {
        anyhow::bail!("there is no part {unknown:?}; --only list names them");
    }
    anyhow::ensure!(
        args.smoke || !cfg!(debug_assertions),
        "a debug build says nothing about speed: build with --release, or pass --smoke"
    );
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    let extent = Extent {
        rounds: if args.smoke { 1 } else { args.rounds.into() },
        time: if args.smoke {
            Duration::from_millis(300)
        } else {
            Duration::from_secs_f64(args.seconds)
        },
        soak: Duration::from_secs(60) * args.minutes,
        rows: args.rows as usize,
        smoke: args.smoke,
    };
    let begun = Instant::now();
    let mut bed = Bed::start(extent, args.server).await?;
    let (figures, failed) = measure(&mut bed, &args.only).await;
    let machine = report::machine(args.smoke, &load);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{machine} Rounds: {}, {} s each.\n",
        extent.rounds,
        extent.time.as_secs_f64()
    )?;
    write!(out, "{}", report::table(&figures))?;
    for line in &failed {
        writeln!(out, "FAILED: {line}")?;
    }
    let missed = figures.iter().filter(|figure| figure.met() == Some(false)).count();
    let aimed = figures.iter().filter(|figure| figure.target.is_some()).count();
    writeln!(
        out,
        "\n{} of {aimed} targets met, in {:.0} s.",
        aimed - missed,
        begun.elapsed().as_secs_f64()
    )?;
    if let Some(file) = args.json {
        let document = json!({"machine": machine, "rounds": extent.rounds, "figures": figures, "failed": failed});
        fs::write(&file, format!("{document:#}\n")).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(failed.is_empty())
}

/// The figures, and what failed: a part that fails has none, and the others go on.
async fn measure(bed: &mut Bed, only: &[String]) -> (Vec<Figure>, Vec<String>) {
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    let wanted = |name: &str, always: bool| only.iter().any(|one| one == name) || (only.is_empty() && always);
    for part in PARTS.iter().filter(|part| wanted(part.name, part.always)) {
        drop(writeln!(io::stderr(), "{} ...", part.name));
        match (part.run)(bed).await {
            Ok(more) => figures.extend(more),
            Err(error) => failed.push(format!(
                "{}: {error:#}; the service's log ends: {}",
                part.name,
                bed.service.log()
            )),
        }
    }
    (figures, failed)
}

/// `captions-http`, as its own program starts it.
async fn serve(set: Vec<String>) -> anyhow::Result<()> {
    let flags = set.iter().filter_map(|pair| pair.split_once('='));
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    captions_http::start::run(flags.collect(), None).await?;
    Ok(())
}

/// A server of the bench, until it is killed.
async fn play(part: &str, address: SocketAddr, ground: PathBuf) -> anyhow::Result<()> {
    let ground = fs::read(ground)?;
    let ready = Router::new().route("/readyz", get(|| async { StatusCode::OK }));
    let router = match part {
        "upstream" => upstream::router().merge(ready),
        "floor" => floor::router(serde_json::from_slice(&ground)?).await?.merge(ready),
        unknown => anyhow::bail!("there is no part {unknown}"),
    };
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        // Left out, the delay of small packets would only lengthen the floor.
        drop(stream.set_nodelay(true));
    });
    Ok(axum::serve(listener, router).await?)
}

#[cfg(test)]
mod tests;
