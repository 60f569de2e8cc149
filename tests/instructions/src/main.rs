//! How many instructions each function takes that every request passes, and how often it allocates: figures that come out
//! the same on a busy machine as on an idle one.
//!
//! `cargo run --profile profiling -p captions-instructions` counts the cases of the micro-benchmarks
//! (`crates/*/benches/*/cases.rs`) under valgrind and ends with status 1 if one costs over a tenth more than
//! `baseline.json` says. After a change that is meant to cost more or less, `-- --write` writes that file anew.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

mod baseline;
mod profile;

#[path = "../../../crates/captions-domain/benches/rules/cases.rs"]
mod domain;
#[path = "../../../crates/captions-embedded/benches/defaults/cases.rs"]
mod embedded;
#[path = "../../../crates/captions-resilience/benches/policies/cases.rs"]
mod resilience;

use std::{
    env,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, ensure};

use self::baseline::{Baseline, Cost};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

/// Calls of each case that are counted together: the tables of the standard library are seeded by chance, so that one call
/// may need a few comparisons more than the next.
const CALLS: u64 = 10;

fn main() -> anyhow::Result<ExitCode> {
    match env::args().nth(1).as_deref() {
        Some("--counted") => {
            run()?;
            Ok(ExitCode::SUCCESS)
        }
        Some("--write") => {
            baseline::write(Path::new(BASELINE), &Baseline::of(count()?)?)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let known = baseline::read(Path::new(BASELINE))?;
            let comparison = known.compare(&Baseline::of(count()?)?);
            print!("{comparison}");
            Ok(if comparison.is_fine() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Some(other) => anyhow::bail!("there is no option {other}; there is --write"),
    }
}

/// Calls every case, and prints its name before those of its calls that count. This is what valgrind runs.
fn run() -> anyhow::Result<()> {
    // Time-outs belong to a runtime, though none of them begins here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _inside = runtime.enter();
    for (name, call) in [domain::all(), embedded::all(), resilience::all()]
        .into_iter()
        .flatten()
    {
        // Lists are read at their first use, and the allocator gets its memory. Valgrind also goes on counting from where to
        // where is called outside, and forgets it only where such a call has cost something in a part: the first part
        // takes all of it away, so that the second has what belongs to it.
        counted(&*call);
        println!("{name}");
        counted(&*call);
    }
    Ok(())
}

/// What happens in here is counted; valgrind knows it by its name.
#[inline(never)]
fn counted(call: &dyn Fn()) {
    for _ in 0..CALLS {
        black_box(call)();
    }
}

/// The cost of one call of each case, by its name.
fn count() -> anyhow::Result<Vec<(String, Cost)>> {
    let folder = tempfile::tempdir()?;
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--separate-threads=no"])
        .args([
            "--toggle-collect=captions_instructions::counted",
            "--dump-after=captions_instructions::counted",
        ])
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(env::current_exe()?)
        .arg("--counted")
        .stdin(Stdio::null())
        .output()
        .context("valgrind cannot be started; tests/setup installs it")?;
    let told = String::from_utf8_lossy(&valgrind.stderr);
    ensure!(valgrind.status.success(), "valgrind failed:\n{told}");
    let names = String::from_utf8(valgrind.stdout)?;
    names
        .lines()
        .enumerate()
        .map(|(index, name)| {
            let part = folder.path().join(format!("out.{}", 2 * (index + 1)));
            let part = std::fs::read_to_string(&part).with_context(|| format!("nothing was counted for {name}"))?;
            let cost = profile::read(&part)?;
            ensure!(
                cost.instructions >= CALLS,
                "nothing was counted for {name}: the build has to keep its symbols, as --profile profiling does"
            );
            Ok((name.to_owned(), cost.of_one(CALLS)))
        })
        .collect()
}
