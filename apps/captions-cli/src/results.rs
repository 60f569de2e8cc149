//! `captions results`.

use captions_api::results::{Calibration, ResultsDocument, parse_posts, posts_of_csv};
use captions_domain::{
    engagement::{Post, Results},
    request::{Invalid, UserId},
    user::Preferences,
};
use serde_json::{Value, json};

use crate::{
    Surroundings,
    args::{Output, ResultsCommand},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    prefs,
    remote::{Remote, about_user, is_no_user},
    screen::Screen,
    session::Session,
};

/// As many broken rules are told at once.
const MOST_TOLD: usize = 5;

pub(crate) async fn run(
    command: &ResultsCommand,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        ResultsCommand::Import { user, file, output } => {
            let (body, posts) = posts(&input::posts(file, stdin, &surroundings.cwd)?)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let (document, is_new) = import(&remote, &UserId::new(user)?, &body).await?;
                if is_new {
                    screen.note(&format!("created the user {user}"));
                }
                return show(&document, *output, screen);
            }
            let set = |current: &Preferences, now| {
                let language = current.language.clone().unwrap_or_default();
                Some(Results::of(&posts, &language, now))
            };
            let changed = change(user, surroundings, screen, set).await?;
            show(&ResultsDocument::of(changed.results.as_ref()), *output, screen)
        }
        ResultsCommand::Show { user, output } => {
            let id = UserId::new(user)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let found = remote.client.results(id.as_str()).await;
                return show(&found.map_err(about_user(&id))?.document, *output, screen);
            }
            let session = Session::of_store(surroundings, screen).await?;
            let user = session.user(&session.context(), &id).await;
            session.close().await;
            show(
                &ResultsDocument::of(user?.preferences.results.as_ref()),
                *output,
                screen,
            )
        }
        ResultsCommand::Forget { user } => {
            if let Some(remote) = Remote::of(surroundings, None)? {
                let id = UserId::new(user)?;
                let forgotten = remote.client.forget_results(id.as_str(), None).await;
                forgotten.map_err(about_user(&id))?;
            } else {
                change(user, surroundings, screen, |_, _| None).await?;
            }
            screen.note(&format!("forgot what the posts of {user} have reached"));
            Ok(Exit::Done)
        }
    }
}

/// Lets the server read the posts; creates the user where that is needed, which the second value says.
async fn import(remote: &Remote, id: &UserId, posts: &Value) -> Result<(ResultsDocument, bool), Failure> {
    let is_new = match remote.client.import_results(id.as_str(), posts, None).await {
        Ok(reply) => return Ok((reply.document, false)),
        Err(error) if is_no_user(&error) => remote.create(id, &json!({})).await?.is_some(),
        Err(error) => return Err(error.into()),
    };
    let imported = remote.client.import_results(id.as_str(), posts, None).await;
    Ok((imported.map_err(about_user(id))?.document, is_new))
}

/// What was read, as a body and as posts. JSON begins with a brace, and no CSV does.
fn posts(text: &str) -> Result<(Value, Vec<Post>), Failure> {
    let body: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| Failure::usage(format!("the file is not JSON: {error}")))?
    } else {
        posts_of_csv(text).map_err(|broken| wrong(&broken))?
    };
    let posts = parse_posts(&body).map_err(|broken| wrong(&broken))?;
    Ok((body, posts))
}

/// What is wrong, by the number of the post: pointers into a body are of no use to somebody with a file.
fn wrong(broken: &[Invalid]) -> Failure {
    let told = broken.iter().take(MOST_TOLD).map(|invalid| {
        let place = invalid
            .pointer
            .strip_prefix("/posts/")
            .and_then(|place| place.split('/').next());
        match place.and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => format!("post {}: {}", index + 1, invalid.rule),
            None => invalid.rule.clone(),
        }
    });
    let mut told: Vec<String> = told.collect();
    if broken.len() > MOST_TOLD {
        told.push(format!("and {} more", broken.len() - MOST_TOLD));
    }
    Failure::usage(told.join("; "))
}

async fn change(
    user: &str,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
    set: impl Fn(&Preferences, time::OffsetDateTime) -> Option<Results> + Send + Sync,
) -> Result<Preferences, Failure> {
    let id = UserId::new(user)?;
    let session = Session::of_store(surroundings, screen).await?;
    let now = session.context().now;
    let edit = |current: &Preferences| -> Result<Preferences, Vec<Invalid>> {
        Ok(Preferences {
            results: set(current, now),
            ..current.clone()
        })
    };
    let changed = prefs::change(&session, &id, edit).await;
    session.close().await;
    let (changed, is_new) = changed?;
    if is_new {
        screen.note(&format!("created the user {id}"));
    }
    Ok(changed)
}

fn show(document: &ResultsDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(document)?;
        return Ok(Exit::Done);
    }
    let Some(imported) = &document.imported else {
        screen.note("nothing was imported yet: captions results import USER FILE");
        return Ok(Exit::Done);
    };
    let mut lines = vec![format!(
        "posts={} too_young={} as_of={}",
        imported.posts,
        imported.too_young,
        imported.as_of.date()
    )];
    for format in &imported.formats {
        let what = format.format.as_str();
        lines.push(line(what, "likes", &format.likes));
        lines.extend(
            format
                .comments
                .as_ref()
                .map(|comments| line(what, "comments", comments)),
        );
    }
    screen.result(&lines.join("\n"))?;
    if imported.formats.is_empty() {
        screen.note("no format has 6 posts that are older than 48 hours, so that nothing is estimated yet");
    }
    Ok(Exit::Done)
}

fn line(format: &str, unit: &str, habit: &Calibration) -> String {
    let captions = if habit.captions_count { "counted" } else { "not counted" };
    format!(
        "{format}: {} {unit} ({} to {}); of {} posts told over again {:.0} % came within, the median estimate was {:.0} % off; captions {captions}",
        habit.median,
        habit.low,
        habit.high,
        habit.replayed,
        habit.coverage * 100.0,
        habit.error * 100.0
    )
}
