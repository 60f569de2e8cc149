//! `captions prompt`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use captions_api::problem::Problem;
use captions_domain::{
    brief::Brief,
    prompt::{Format, Question, Size, Templates},
    request::CaptionRequest,
    user::Preferences,
};
use captions_wiring::{AssembleError, settings::Settings, templates};
use serde::Serialize;

use crate::{
    Surroundings,
    args::{PromptCommand, ShowArgs},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    screen::Screen,
    session::{self, Session},
};

pub(crate) async fn run(
    command: &PromptCommand,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        PromptCommand::Show(args) => Box::pin(show(args, surroundings, stdin, screen)).await?,
        PromptCommand::Templates { write: Some(folder) } => {
            let folder = surroundings.cwd.join(folder);
            let count = write(&folder).map_err(|(path, error)| {
                let path = path.display();
                Failure::new(Exit::Failure, None, format!("{path} cannot be written: {error}"))
            })?;
            screen.note(&format!(
                "{count} templates written; use them: --set prompt.folder={}",
                folder.display()
            ));
        }
        PromptCommand::Templates { write: None } => {
            let settings = session::settings(surroundings, Vec::new(), screen)?.settings;
            list(&settings, screen)?;
        }
    }
    Ok(Exit::Done)
}

/// What is sent to a model.
#[derive(Serialize)]
struct Sent<'a> {
    system: &'a str,
    user: &'a str,
    format: Format,
    max_tokens: u32,
    temperature: f32,
    /// Of the wording: the program's version, and a digest of the operator's templates.
    edition: String,
}

async fn show(
    args: &ShowArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let description = input::description(args.text.as_deref(), stdin, &surroundings.cwd)?;
    let request = args
        .body(description)
        .check()
        .map_err(|broken| Failure::of_flags(Problem::from(broken)))?;
    let settings = session::settings(surroundings, Vec::new(), screen)?.settings;
    let templates = in_use(&settings)?;
    let preferences = preferences(&request, surroundings, screen).await?;
    let (brief, _) = Brief::resolve(&request, &preferences);
    let format = if args.plain { Format::Plain } else { Format::Variants };
    let prompt = templates.render(&Question::new(&brief, format));
    let (system, user, max_tokens) = prompt.words(if args.compact { Size::Compact } else { Size::Full });
    if args.output.json {
        return screen.document(&Sent {
            system,
            user,
            format,
            max_tokens,
            temperature: prompt.temperature,
            edition: templates.edition(),
        });
    }
    screen.result(&format!("[system]\n{system}\n\n[user]\n{user}"))?;
    screen.note(&format!(
        "wording {}, temperature {}, at most {max_tokens} tokens for the answer",
        templates.edition(),
        prompt.temperature
    ));
    Ok(())
}

/// Nobody has to be registered to get a caption, so nobody has to be to see what would be sent.
async fn preferences(
    request: &CaptionRequest,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Preferences, Failure> {
    let Some(user) = &request.user else {
        return Ok(Preferences::default());
    };
    let session = Session::of_store(surroundings, screen).await?;
    let found = session.users().preferences(&session.context(), user).await;
    session.close().await;
    Ok(found?.unwrap_or_default())
}

fn in_use(settings: &Settings) -> Result<Templates, Failure> {
    templates(settings).map_err(|error| Failure::from(AssembleError::from(error)))
}

fn list(settings: &Settings, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let own = in_use(settings)?.overridden();
    let folder = settings.prompt.folder.as_ref();
    for (file, _) in Templates::shipped() {
        let origin = match folder {
            Some(folder) if own.contains(&file) => folder.join(file).display().to_string(),
            _ => "shipped".to_owned(),
        };
        screen.result(&format!("{file}: {origin}"))?;
    }
    Ok(())
}

/// Writes every shipped template into the folder; the path with the error if one cannot be, because it is there already or
/// for another reason.
fn write(folder: &Path) -> Result<usize, (std::path::PathBuf, io::Error)> {
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let mut count = 0;
    for (file, text) in Templates::shipped() {
        let path = folder.join(file);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| (path, error))?;
        count += 1;
    }
    Ok(count)
}
