//! Writes the table of the platforms' rules out of `data/platforms.toml`. Whatever is wrong with that file stops the
//! build, with the profile and the rule that it is wrong in.

use std::{collections::BTreeSet, env, error::Error, fmt::Write, fs, path::Path};

use serde::Deserialize;

const DATA: &str = "data/platforms.toml";
/// The name of the profile that counts unless another one is asked for.
const DEFAULT: &str = "default";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: String,
    disclosure: Reference,
    profile: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    source: String,
    as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    platform: String,
    name: String,
    default_hashtags: Option<usize>,
    rules: Vec<Rule>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Rule {
    about: About,
    value: Value,
    lines: Option<usize>,
    unit: String,
    kind: Kind,
    source: String,
    as_of: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
enum About {
    Length,
    ForbiddenCharacters,
    Hashtags,
    Mentions,
    Links,
    EngagementBait,
    Fold,
    AltText,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Value {
    Number(usize),
    Signs(String),
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Hard,
    Advice,
}

type Checked<T> = Result<T, Box<dyn Error>>;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by the environment where to write"
)]
fn main() -> Checked<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DATA}");
    let table = table(&fs::read_to_string(DATA)?).map_err(|error| format!("{DATA}: {error}"))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("platforms.rs"), table)?;
    Ok(())
}

fn table(text: &str) -> Checked<String> {
    let file: File = toml::from_str(text)?;
    day(&file.as_of)?;
    day(&file.disclosure.as_of)?;
    let mut arms = String::new();
    let mut defaults = String::new();
    let mut names = BTreeSet::new();
    for profile in &file.profile {
        let at = |error: Box<dyn Error>| format!("{} {}: {error}", profile.platform, profile.name);
        if !names.insert((&profile.platform, &profile.name)) {
            return Err(at("there twice".into()).into());
        }
        let basis = file
            .profile
            .iter()
            .find(|other| other.platform == profile.platform && other.name == DEFAULT)
            .ok_or_else(|| at("the platform has no default profile".into()))?;
        let rules = literal(profile, basis).map_err(at)?;
        let platform = variant(&profile.platform);
        writeln!(
            arms,
            "(Platform::{platform}, Profile::{}) => Some(&{rules}),",
            variant(&profile.name)
        )?;
        if profile.name == DEFAULT {
            writeln!(defaults, "Platform::{platform} => &{rules},")?;
        }
    }
    Ok(format!(
        "/// The day on which the rules were last checked.\n\
         pub const RULES_AS_OF: &str = {:?};\n\
         pub(crate) const DISCLOSURE: (&str, &str) = ({:?}, {:?});\n\
         const fn profile_of(platform: Platform, profile: Profile) -> Option<&'static PlatformRules> {{\n\
         match (platform, profile) {{\n{arms}_ => None,\n}}\n}}\n\
         const fn default_of(platform: Platform) -> &'static PlatformRules {{\nmatch platform {{\n{defaults}}}\n}}\n",
        file.as_of, file.disclosure.source, file.disclosure.as_of
    ))
}

/// The Rust value of a profile: its own rules, and those of the default one about what it does not speak of.
fn literal(profile: &Profile, basis: &Profile) -> Checked<String> {
    let speaks_of = |about: About| profile.rules.iter().any(|rule| rule.about == about);
    let mut rules = profile.rules.clone();
    if profile.name != basis.name {
        rules.extend(basis.rules.iter().filter(|rule| !speaks_of(rule.about)).cloned());
    }
    rules.sort_by_key(|rule| rule.about);
    let mut written = String::new();
    for rule in &rules {
        check(rule).map_err(|error| format!("{:?}: {error}", rule.about))?;
        let (value, signs) = match &rule.value {
            Value::Number(number) => (*number, ""),
            Value::Signs(signs) => (0, signs.as_str()),
        };
        write!(
            written,
            "Rule {{ about: About::{:?}, value: {value}, lines: {}, signs: {signs:?}, unit: {:?}, hard: {}, source: {:?}, as_of: {:?} }}, ",
            rule.about,
            most(rule.lines),
            rule.unit,
            rule.kind == Kind::Hard,
            rule.source,
            rule.as_of,
        )?;
    }
    let first = |about: About| rules.iter().find(|rule| rule.about == about);
    let hard = |about: About| number(first(about).filter(|rule| rule.kind == Kind::Hard));
    let length = first(About::Length).ok_or("no rule about the length")?;
    if length.kind != Kind::Hard {
        return Err("the length is a hard rule".into());
    }
    let default_hashtags = profile
        .default_hashtags
        .or(basis.default_hashtags)
        .ok_or("no default_hashtags")?;
    Ok(format!(
        "PlatformRules {{ platform: Platform::{}, profile: Profile::{}, max_chars: {}, unit: Unit::{}, \
         max_hashtags: {}, default_hashtags: {default_hashtags}, max_mentions: {}, fold: ({}, {}), alt_text: {}, rules: &[{written}] }}",
        variant(&profile.platform),
        variant(&profile.name),
        most(number(Some(length))),
        variant(&length.unit),
        hard(About::Hashtags).map_or("MOST_HASHTAGS".to_owned(), |number| number.to_string()),
        most(hard(About::Mentions)),
        most(number(first(About::Fold))),
        most(first(About::Fold).and_then(|rule| rule.lines)),
        number(first(About::AltText)).map_or("None".to_owned(), |number| format!("Some({number})")),
    ))
}

fn check(rule: &Rule) -> Checked<()> {
    day(&rule.as_of)?;
    if rule.source.trim().is_empty() {
        return Err("no source".into());
    }
    let units: &[&str] = match rule.about {
        About::Length => &["code_points", "utf16", "graphemes", "bytes", "emoji_bytes", "weighted"],
        About::AltText => &["code_points"],
        About::Fold => &["graphemes"],
        About::Hashtags => &["hashtags"],
        About::Mentions => &["mentions"],
        About::Links => &["links"],
        About::EngagementBait => &["sentences"],
        About::ForbiddenCharacters => &["characters"],
    };
    if !units.contains(&rule.unit.as_str()) {
        return Err(format!("the unit {:?} is none of {units:?}", rule.unit).into());
    }
    if rule.lines.is_some() && rule.about != About::Fold {
        return Err("lines are for the fold".into());
    }
    match (&rule.value, rule.about) {
        (Value::Signs(signs), About::ForbiddenCharacters) if !signs.is_empty() => Ok(()),
        (Value::Number(_), about) if about != About::ForbiddenCharacters => Ok(()),
        _ => Err("a value of another kind".into()),
    }
}

fn number(rule: Option<&Rule>) -> Option<usize> {
    match rule?.value {
        Value::Number(number) => Some(number),
        Value::Signs(_) => None,
    }
}

fn most(number: Option<usize>) -> String {
    number.map_or("usize::MAX".to_owned(), |number| number.to_string())
}

/// `YYYY-MM-DD`.
fn day(text: &str) -> Checked<()> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return Err(format!("{text:?} is no day").into());
    };
    let (month, day, digits) = (month.parse::<u8>()?, day.parse::<u8>()?, year.len() == 4);
    year.parse::<u16>()?;
    if digits && text.len() == 10 && (1..=12).contains(&month) && (1..=31).contains(&day) {
        Ok(())
    } else {
        Err(format!("{text:?} is no day").into())
    }
}

/// The name of an enum's variant: `legacy_30` is `Legacy30`. One that there is not does not compile.
fn variant(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let mut chars = part.chars();
            chars
                .next()
                .map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
        })
        .collect()
}
