//! `captions config`.

use crate::{Surroundings, args::ConfigCommand, exit::Exit, failure::Failure, screen::Screen, session};

pub(crate) fn run(
    command: &ConfigCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show { origin } => {
            let loaded = session::settings(surroundings, Vec::new(), screen)?;
            let lines: Vec<String> = loaded
                .show()
                .iter()
                .map(|shown| {
                    if *origin {
                        format!("{shown}  # {}", shown.origin)
                    } else {
                        shown.to_string()
                    }
                })
                .collect();
            screen.result(&lines.join("\n"))?;
        }
        ConfigCommand::Path => {
            let file = session::sources(surroundings, Vec::new()).file();
            if !file.as_ref().is_some_and(|path| path.exists()) {
                screen.note("there is no settings file; this one would be read:");
            }
            let path = file.unwrap_or_else(|| surroundings.cwd.join("captions.toml"));
            screen.result(&path.display().to_string())?;
        }
    }
    Ok(Exit::Done)
}
