//! `captions model`.

#[cfg(feature = "local-llm")]
use captions_wiring::model;

use crate::{Surroundings, args::ModelCommand, exit::Exit, failure::Failure, screen::Screen};
#[cfg(feature = "local-llm")]
use crate::{fetch, session};

#[cfg(feature = "local-llm")]
pub(crate) async fn run(
    command: &ModelCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let settings = session::settings(surroundings, Vec::new(), screen)?.settings;
    let path = match command {
        ModelCommand::Pull => fetch::pull(&settings, screen).await?,
        ModelCommand::Path => {
            let Some(files) = model::files(&settings) else {
                return Err(Failure::new(
                    Exit::Settings,
                    Some("settings"),
                    "there is no folder for the local model: set HOME, XDG_CACHE_HOME or local.model_path",
                ));
            };
            if model::path(&settings).is_none() {
                screen.note("the file is not there yet; fetch it: captions model pull");
            }
            files.place()
        }
    };
    screen.result(&path.display().to_string())?;
    Ok(Exit::Done)
}

#[cfg(not(feature = "local-llm"))]
#[expect(clippy::unused_async, reason = "the same form as with a local model")]
pub(crate) async fn run(_: &ModelCommand, _: &Surroundings, _: &mut Screen<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::Failure,
        Some("local_model"),
        "this build has no local model",
    ))
}
