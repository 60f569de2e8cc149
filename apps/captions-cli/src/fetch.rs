//! Fetches the local model's file, in view: a bar on a terminal, else one line at the start and one at the end.

use std::{path::PathBuf, time::Duration};

use captions_wiring::{
    model::{self, ModelError, Progress},
    settings::{Provider, ProviderKind, Settings},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::{
    failure::{Failure, with_causes},
    screen::{Mark, Screen},
};

/// Before a caption is written: fetches the file if the local model is to write it and the file is not there.
///
/// Without the file the engine still answers as far as the settings allow, so only settings that name a wrong file end
/// the command here.
pub(crate) async fn if_needed(
    settings: &Settings,
    asked_for: Option<&str>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    if !is_first_writer(&settings.llm.providers, asked_for) || model::path(settings).is_some() {
        return Ok(());
    }
    match pull(settings, screen).await {
        Ok(_) => Ok(()),
        Err(error @ ModelError::Configured { .. }) => Err(error.into()),
        Err(error) => {
            screen.marked(
                Mark::Yellow,
                "warning",
                &format!(": {}; going on without it", with_causes(&error)),
            );
            Ok(())
        }
    }
}

/// True if the provider that is asked first is the local model. A later one is not worth a wait before the first.
fn is_first_writer(chain: &[Provider], asked_for: Option<&str>) -> bool {
    let first = chain
        .iter()
        .find(|provider| asked_for.is_none_or(|name| provider.name == name));
    first.is_some_and(|provider| provider.kind == ProviderKind::Local)
}

/// Fetches and checks the file. Dropping the future stops it.
pub(crate) async fn pull(settings: &Settings, screen: &mut Screen<'_>) -> Result<PathBuf, ModelError> {
    let is_terminal = screen.stderr_sink.is_terminal();
    if !is_terminal && !model::path(settings).is_some_and(|path| path.exists()) {
        screen.note("fetching the local model, once (about 100 MB)");
    }
    let bar = bar(is_terminal && !screen.quiet);
    let outcome = model::pull(settings, |progress: Progress| {
        bar.set_message(progress.step.as_str());
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })
    .await;
    bar.finish_and_clear();
    if let Ok(path) = &outcome {
        screen.note(&format!("the local model is in place: {}", path.display()));
    }
    outcome
}

fn bar(is_shown: bool) -> ProgressBar {
    let target = if is_shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
    // A template that cannot be read leaves the plain bar.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes} ({eta} left)") {
        bar.set_style(style);
    }
    if is_shown {
        // Checking reports only its start and its end; the clock shows that it is alive.
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}
