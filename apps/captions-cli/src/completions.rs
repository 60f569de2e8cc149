//! `captions completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::CommandLine, exit::Exit, failure::Failure, screen::Screen};

pub(crate) fn run(shell: Shell, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "captions", &mut script);
    screen.own_words(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
