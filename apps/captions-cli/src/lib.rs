//! The command line. It drives the engine in this process, as tenant `local`, or asks a server (`remote`).
//!
//! [`run`] is the whole program over a [`Process`]: arguments, environment and streams are handed in, so tests run it
//! as people do. Results go to stdout, everything else to stderr. One file for each command.

mod args;
mod batch;
mod check;
mod columns;
mod completions;
mod config;
mod doctor;
mod draft;
mod eval;
mod exit;
mod failure;
mod feedback;
#[cfg(feature = "local-llm")]
mod fetch;
mod generate;
mod hashtags;
mod history;
mod input;
mod key;
mod model;
mod options;
mod picture;
mod prefs;
mod prompt;
mod provider;
mod remote;
mod report;
mod results;
mod rewrite;
mod samples;
mod score;
mod screen;
mod session;
mod usage;
mod user;
mod variants;
mod voice;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Read, Write},
    path::PathBuf,
};

use clap::error::ErrorKind;

use self::{
    args::{ColorChoice, Command, CommandLine, Global},
    failure::Failure,
    input::Stdin,
    screen::Screen,
};
pub use self::{exit::Exit, screen::Sink};

/// All that a process is given.
pub struct Process<'a> {
    /// The program's name first.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Where relative paths start.
    pub cwd: PathBuf,
    pub stdin: &'a mut (dyn Read + Send),
    pub stdin_is_terminal: bool,
    pub stdout: (&'a mut (dyn Write + Send), Sink),
    pub stderr: (&'a mut (dyn Write + Send), Sink),
    /// Install the process-wide log subscriber; it can be installed only once.
    pub log: bool,
}

/// Runs one command to its end, or until `interrupted` is done; what runs then is dropped, calls to providers included.
pub async fn run(process: Process<'_>, interrupted: impl Future<Output = ()> + Send) -> Exit {
    let Process {
        args,
        env,
        cwd,
        stdin,
        stdin_is_terminal,
        stdout,
        stderr,
        log,
    } = process;
    let mut screen = Screen::new(stdout, stderr, false);
    let line = match args::read(args) {
        Ok(line) => line,
        Err(error) => return not_a_command(&error, &env, &mut screen),
    };
    let CommandLine { global, command } = line;
    screen.colour = match global.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => screen.stderr_sink.is_terminal() && terminal_has_colour(&env),
    };
    screen.quiet = global.quiet;
    let surroundings = Surroundings { global, env, cwd, log };
    let stdin = Stdin {
        source: stdin,
        is_terminal: stdin_is_terminal,
    };

    let outcome = tokio::select! {
        // The command comes first: as long as it reads stdin, Ctrl-C still ends the process by itself.
        biased;
        // On the heap: each command's state is as large as all that it holds on its way.
        outcome = Box::pin(dispatch(command, &surroundings, stdin, &mut screen)) => Some(outcome),
        () = interrupted => None,
    };
    match outcome {
        Some(Ok(exit)) => exit,
        Some(Err(failure)) => {
            screen.failure(&failure);
            failure.exit
        }
        None => {
            if screen.stderr_sink.is_terminal() {
                screen.raw("\n");
            }
            screen.note("stopped");
            Exit::Cancelled
        }
    }
}

/// What a command knows of the world besides its own arguments.
pub(crate) struct Surroundings {
    pub(crate) global: Global,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    pub(crate) log: bool,
}

async fn dispatch(
    command: Command,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    remote::has_an_answer(&command, surroundings)?;
    match command {
        Command::Generate(args) => Box::pin(generate::run(&args, surroundings, stdin, screen)).await,
        Command::Variants(args) => Box::pin(variants::run(&args, surroundings, screen)).await,
        Command::Hashtags(args) => Box::pin(hashtags::run(&args, surroundings, stdin, screen)).await,
        Command::Rewrite(args) => Box::pin(rewrite::run(&args, surroundings, stdin, screen)).await,
        Command::Translate(args) => Box::pin(rewrite::translate(&args, surroundings, stdin, screen)).await,
        Command::Adapt(args) => Box::pin(rewrite::adapt(&args, surroundings, stdin, screen)).await,
        Command::Check(args) => Box::pin(check::run(&args, surroundings, stdin, screen)).await,
        Command::Score(args) => Box::pin(score::run(&args, surroundings, stdin, screen)).await,
        Command::User(command) => Box::pin(user::run(&command, surroundings, screen)).await,
        Command::Feedback(args) => Box::pin(feedback::run(&args, surroundings, stdin, screen)).await,
        Command::Voice(command) => Box::pin(voice::run(&command, surroundings, stdin, screen)).await,
        Command::Prefs(command) => Box::pin(prefs::run(&command, surroundings, screen)).await,
        Command::Results(command) => Box::pin(results::run(&command, surroundings, stdin, screen)).await,
        Command::Key(command) => Box::pin(key::run(&command, surroundings, screen)).await,
        Command::Batch(command) => Box::pin(batch::run(&command, surroundings, stdin, screen)).await,
        Command::History(args) => Box::pin(history::run(&args, surroundings, screen)).await,
        Command::Usage(args) => Box::pin(usage::run(&args, surroundings, screen)).await,
        Command::Prompt(command) => prompt::run(&command, surroundings, stdin, screen).await,
        Command::Options(output) => options::run(output, screen),
        Command::Provider(command) => Box::pin(provider::run(&command, surroundings, screen)).await,
        Command::Model(command) => model::run(&command, surroundings, screen).await,
        Command::Doctor(args) => doctor::run(&args, surroundings, screen).await,
        Command::Eval(args) => eval::run(&args, surroundings, screen).await,
        Command::Config(command) => config::run(&command, surroundings, screen),
        Command::Completions { shell } => completions::run(shell, screen),
    }
}

/// Help and version are results; everything else that the arguments cannot mean is wrong usage.
fn not_a_command(error: &clap::Error, env: &BTreeMap<String, String>, screen: &mut Screen<'_>) -> Exit {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let sink = if asked_for {
        screen.stdout_sink
    } else {
        screen.stderr_sink
    };
    let text = if sink.is_terminal() && terminal_has_colour(env) {
        error.render().ansi().to_string()
    } else {
        error.render().to_string()
    };
    if !asked_for {
        screen.raw(&text);
        return Exit::Usage;
    }
    match screen.own_words(text.trim_end()) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            screen.failure(&failure);
            failure.exit
        }
    }
}

/// <https://no-color.org>: any value but the empty one asks for no colour.
fn terminal_has_colour(env: &BTreeMap<String, String>) -> bool {
    let says = |name| env.get(name).map(String::as_str).unwrap_or_default();
    says("NO_COLOR").is_empty() && says("TERM") != "dumb"
}
