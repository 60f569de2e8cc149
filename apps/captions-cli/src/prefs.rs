//! `captions prefs`.

use std::path::Path;

use captions_api::user::{PreferencesDocument, merge};
use captions_domain::{
    fault::StoreError,
    ports::Expect,
    request::{Invalid, UserId},
    user::{Preferences, User},
};
use serde_json::{Map, Value};

use crate::{
    Surroundings,
    args::{Output, PrefsCommand},
    exit::Exit,
    failure::Failure,
    remote::{Remote, about_user},
    samples,
    screen::Screen,
    session::Session,
};

/// Wishes that are lists, written with commas.
const LISTS: [&str; 4] = ["keywords", "avoid", "required", "brand_tags"];
/// Wishes that are numbers.
const NUMBERS: [&str; 1] = ["hashtag_count"];
/// How often a change is made again on top of somebody else's.
const MAX_TRIES: u32 = 3;

pub(crate) async fn run(
    command: &PrefsCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        PrefsCommand::Get { user, output } => {
            let id = UserId::new(user)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let found = remote.client.preferences(id.as_str()).await;
                return show(&found.map_err(about_user(&id))?.document.0, *output, screen);
            }
            let session = Session::of_store(surroundings, screen).await?;
            let user = session.user(&session.context(), &id).await;
            session.close().await;
            show(&user?.preferences, *output, screen)
        }
        PrefsCommand::Set { user, wishes, output } => {
            let id = UserId::new(user)?;
            let patch = patch(wishes, &surroundings.cwd)?;
            // What is wrong by itself is told before any store is asked.
            merge(&Preferences::default(), &patch)?;
            let (changed, is_new) = if let Some(remote) = Remote::of(surroundings, None)? {
                remote.prefer(&id, &patch).await?
            } else {
                let session = Session::of_store(surroundings, screen).await?;
                let changed = change(&session, &id, |current| merge(current, &patch)).await;
                session.close().await;
                changed?
            };
            if is_new {
                screen.note(&format!("created the user {id}"));
            }
            show(&changed, *output, screen)
        }
        PrefsCommand::Reset { user, output } => {
            let id = UserId::new(user)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let removed = remote.client.remove_preferences(id.as_str(), None).await;
                removed.map_err(about_user(&id))?;
                return show(&Preferences::default(), *output, screen);
            }
            let session = Session::of_store(surroundings, screen).await?;
            let changed = change(&session, &id, |current| Ok(without_wishes(current))).await;
            session.close().await;
            show(&changed?.0, *output, screen)
        }
    }
}

/// Nothing but what is no wish.
fn without_wishes(preferences: &Preferences) -> Preferences {
    Preferences::default().in_place_of(preferences)
}

/// Reads, changes and writes; again if somebody else wrote in between. Whoever has wishes and is not there yet is created,
/// which the second value says.
pub(crate) async fn change(
    session: &Session,
    id: &UserId,
    new: impl Fn(&Preferences) -> Result<Preferences, Vec<Invalid>> + Send + Sync,
) -> Result<(Preferences, bool), Failure> {
    let cx = &session.context();
    let mut tries = 0;
    loop {
        tries += 1;
        let stored = session.users().read(cx, id).await?;
        let is_new = stored.is_none();
        let mut user = stored.unwrap_or_else(|| User {
            id: id.clone(),
            display_name: None,
            preferences: Preferences::default(),
            version: 1,
            created_at: cx.now,
            updated_at: cx.now,
        });
        user.preferences = new(&user.preferences)?;
        user.updated_at = cx.now;
        if is_new && user.preferences == Preferences::default() {
            return Err(Failure::user_not_found(id.as_str()));
        }
        let expect = if is_new {
            Expect::Absent
        } else {
            Expect::Version(user.version)
        };
        match session.users().write(cx, &user, expect).await {
            Ok(_) => return Ok((user.preferences, is_new)),
            Err(StoreError::Conflict) if tries < MAX_TRIES => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The merge patch that `KEY=VALUE` arguments stand for.
fn patch(wishes: &[(String, String)], cwd: &Path) -> Result<Value, Failure> {
    let mut patch = Map::new();
    for (key, text) in wishes {
        let value = match text.trim() {
            "" => Value::Null,
            text if key == "samples" => match text.strip_prefix('@') {
                Some(file) => samples::read(file, None, cwd)?.into(),
                None => {
                    return Err(Failure::usage("samples stand in a file, not in an argument")
                        .next("put a line of --- between captions and give the file: samples=@captions.txt"));
                }
            },
            text if LISTS.contains(&key.as_str()) => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                words.map(Value::from).collect()
            }
            text if NUMBERS.contains(&key.as_str()) => {
                // What is no number stays text, which the reader of the patch refuses in its own words.
                text.parse::<f64>()
                    .ok()
                    .and_then(serde_json::Number::from_f64)
                    .map_or_else(|| text.into(), Value::Number)
            }
            text => text.into(),
        };
        if patch.insert(key.clone(), value).is_some() {
            return Err(
                Failure::usage(format!("{key} is given twice")).next(format!("put all words into one: {key}=one,two"))
            );
        }
    }
    Ok(Value::Object(patch))
}

pub(crate) fn show(preferences: &Preferences, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(&PreferencesDocument(preferences.clone()))?;
        return Ok(Exit::Done);
    }
    let lines = lines(preferences);
    if lines.is_empty() && preferences.samples.is_empty() {
        screen.note("no wishes: the defaults count");
    } else if !lines.is_empty() {
        screen.result(&lines.join("\n"))?;
    }
    if !preferences.samples.is_empty() {
        let number = preferences.samples.len();
        screen.note(&format!("and {number} captions of their own: captions voice show USER"));
    }
    Ok(Exit::Done)
}

/// The wishes in the form that `prefs set` takes.
pub(crate) fn lines(preferences: &Preferences) -> Vec<String> {
    let Ok(Value::Object(wishes)) = serde_json::to_value(PreferencesDocument(preferences.clone())) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (key, value) in wishes {
        // Long, and shown by `captions voice show`.
        if matches!(key.as_str(), "samples" | "style_card") {
            continue;
        }
        let text = match value {
            Value::Null => continue,
            Value::Array(words) if words.is_empty() => continue,
            Value::Array(words) => words.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(&other),
        };
        lines.push(format!("{key}={text}"));
    }
    lines
}

/// A scalar without JSON's quotes; whole numbers without a fraction.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
