//! `captions`: hands this process to the library.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use captions_cli::{Process, Sink, run};
use captions_wiring::settings::Sources;
use console::Term;

// A request makes and drops thousands of small texts, on whichever thread takes it up: docs/adr/0016.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time that background work has to let go of its files after the command has ended.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> io::Result<ExitCode> {
    captions_wiring::install_crypto();
    let Sources { env, cwd, .. } = Sources::of_this_process(Vec::new(), None)?;
    let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
    let process = Process {
        args: std::env::args_os().collect(),
        env,
        cwd,
        stdin_is_terminal: stdin.is_terminal(),
        stdin: &mut stdin,
        stdout: (&mut stdout, sink(&Term::stdout())),
        stderr: (&mut stderr, sink(&Term::stderr())),
        log: true,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(run(process, async {
        // Without a handler, Ctrl-C ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    runtime.shutdown_timeout(GRACE);
    Ok(exit.into())
}

fn sink(term: &Term) -> Sink {
    if term.is_term() {
        Sink::Terminal {
            size: term.size_checked(),
        }
    } else {
        Sink::Plain
    }
}
