//! The briefs of a run: the built-in ones, or those of a file in the same form.

use std::{fs, path::Path};

use captions_api::{generate, problem::Problem, user::parse_preferences};
use captions_domain::{
    choice::CacheUse,
    request::{CaptionRequest, Invalid, UserId, Variants},
    user::Preferences,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{args::EvalArgs, failure::Failure};

/// Written by hand: languages, scripts, tones, platforms, limits, odd and hostile ones.
const BUILT_IN: &str = include_str!("../../data/evaluation.toml");

/// The most bytes of a file of briefs.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    brief: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    purpose: String,
    /// Of the user whom it is for.
    preferences: Option<Value>,
    /// A body of `POST /v1/captions`.
    request: Value,
}

/// One brief, ready to be asked.
pub(crate) struct Fixture {
    pub(crate) id: String,
    pub(crate) purpose: String,
    pub(crate) preferences: Preferences,
    pub(crate) request: CaptionRequest,
}

/// Reads and checks the briefs, and leaves those that the arguments ask for.
pub(crate) fn read(args: &EvalArgs, cwd: &Path) -> Result<Vec<Fixture>, Failure> {
    let (name, text) = match &args.fixtures {
        None => ("the built-in briefs".to_owned(), BUILT_IN.to_owned()),
        Some(path) => (path.display().to_string(), file(&cwd.join(path))?),
    };
    let mut all = parse(&name, &text)?;
    for id in &args.only {
        if !all.iter().any(|fixture| fixture.id == *id) {
            let known = all.iter().map(|fixture| fixture.id.as_str());
            let near = captions_domain::choice::nearest(id, known);
            let failure = Failure::usage(format!("no brief has the id {id}"));
            return Err(match near {
                Some(near) => failure.next(format!("did you mean {near}?")),
                None => failure,
            });
        }
    }
    all.retain(|fixture| {
        let language = fixture
            .request
            .language
            .as_ref()
            .or(fixture.preferences.language.as_ref());
        let language = language.map_or("en", |language| language.primary());
        (args.only.is_empty() || args.only.contains(&fixture.id))
            && args.language.as_ref().is_none_or(|wanted| wanted == language)
    });
    if all.is_empty() {
        return Err(Failure::usage("no brief is left to be asked"));
    }
    for fixture in &mut all {
        let own = seed_of(&fixture.id);
        let request = &mut fixture.request;
        request.seed = request.seed.or(Some(args.seed.wrapping_add(own)));
        if let Some(count) = args.variants {
            request.variants = Variants::new(count.into())?;
        }
    }
    Ok(all)
}

/// A number of each brief's own, whatever other briefs are asked: not every caption is to be built alike.
fn seed_of(id: &str) -> u64 {
    id.bytes()
        .fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
}

fn file(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(Failure::usage(format!("{} is larger than 8 MiB", path.display())));
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn parse(name: &str, text: &str) -> Result<Vec<Fixture>, Failure> {
    let file: File = toml::from_str(text).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let mut fixtures: Vec<Fixture> = Vec::with_capacity(file.brief.len());
    for entry in file.brief {
        let id = entry.id.clone();
        if fixtures.iter().any(|fixture| fixture.id == id) {
            return Err(Failure::usage(format!("{name}: the id {id} stands there twice")));
        }
        let fixture = checked(entry).map_err(|broken| {
            let problem = Problem::from(broken);
            Failure::usage(format!("{name}: the brief {id}: {}", problem.detail))
        })?;
        fixtures.push(fixture);
    }
    Ok(fixtures)
}

fn checked(entry: Entry) -> Result<Fixture, Vec<Invalid>> {
    let mut request = generate::parse(&entry.request)?;
    // The user is the brief's own; nothing is kept, and nobody else's answer counts.
    request.user = Some(UserId::new(&entry.id).map_err(|broken| vec![broken])?);
    request.store = false;
    request.cache = CacheUse::Bypass;
    request.allow_fallback = false;
    request.provider = None;
    Ok(Fixture {
        id: entry.id,
        purpose: entry.purpose,
        preferences: entry
            .preferences
            .as_ref()
            .map(parse_preferences)
            .transpose()?
            .unwrap_or_default(),
        request,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_enough_built_in_briefs_of_every_kind() {
        let all = parse("built in", BUILT_IN).unwrap();

        let languages: HashSet<&str> = all
            .iter()
            .map(|fixture| fixture.request.language.as_ref().map_or("en", |tag| tag.primary()))
            .collect();
        assert!(all.len() >= 60, "{}", all.len());
        for tag in [
            "en", "es", "pt", "fr", "de", "it", "ru", "ja", "ko", "zh", "ar", "hi", "th", "tr", "fa", "he",
        ] {
            assert!(languages.contains(tag), "{tag}");
        }
        let lengths = |at_least: usize| {
            all.iter()
                .filter(|fixture| fixture.request.description.as_str().chars().count() >= at_least)
                .count()
        };
        assert!(lengths(3) > lengths(4), "one of three characters");
        assert!(lengths(1990) > 0);
        assert!(all.iter().filter(|fixture| fixture.id.starts_with("hostile")).count() >= 8);
        assert!(all.iter().all(|fixture| !fixture.purpose.is_empty()));
    }

    #[test]
    fn a_file_with_a_mistake_names_the_brief() {
        let two = "[[brief]]\nid='a'\npurpose='p'\nrequest={content_description='a sea'}\n".repeat(2);

        for (text, words) in [
            (two.as_str(), "the id a stands there twice"),
            (
                "[[brief]]\nid='b'\npurpose='p'\nrequest={content_description='ab'}\n",
                "the brief b",
            ),
            (
                "[[brief]]\nid='b'\npurpose='p'\nrequest={}\nwrong=1",
                "unknown field `wrong`",
            ),
        ] {
            let failure = parse("mine.toml", text).err().unwrap();
            assert!(failure.errors[0].contains(words), "{:?}", failure.errors);
        }
    }
}
