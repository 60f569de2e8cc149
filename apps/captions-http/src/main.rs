//! `captions-http`: hands the command line to the start.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use captions_http::start::End;
use clap::Parser;

// A request makes and drops thousands of small texts, on whichever thread takes it up: docs/adr/0016.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code of a server that was not let finish.
const INTERRUPTED: i32 = 130;

/// The HTTP API of Captions.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in server.listen=127.0.0.1:8080; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    flags: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("a setting is KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    captions_wiring::install_crypto();
    // Each request has a connection to a client and one to a provider, and shells and systemd start programs with room for
    // 1024 files: as far as the machine allows. What it does not allow, it refuses later; then the accept loop says so.
    drop(rlimit::increase_nofile_limit(rlimit::INFINITY));
    let args = Args::parse();
    match captions_http::start::run(args.flags, args.config).await {
        Ok(End::InGoodOrder) => ExitCode::SUCCESS,
        // Not by returning: that waits for what the runtime's threads are busy with.
        Ok(End::AtOnce) => std::process::exit(INTERRUPTED),
        Err(error) => {
            // There may be no log yet, and nothing is left to be done if this fails too.
            drop(writeln!(io::stderr(), "captions-http: {error:#}"));
            // 3: the settings, or what they name, are to be mended. 1: the machine did not let us listen.
            ExitCode::from(if error.is::<io::Error>() { 1 } else { 3 })
        }
    }
}
