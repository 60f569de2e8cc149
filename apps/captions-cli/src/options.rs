//! `captions options`.

use captions_api::options::{Choice, OptionsDocument};

use crate::{args::Output, exit::Exit, failure::Failure, screen::Screen};

pub(crate) fn run(args: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let options = OptionsDocument::all();
    if args.json {
        screen.document(&options)?;
        return Ok(Exit::Done);
    }
    let choices: [(&str, &Choice); 9] = [
        ("tone", &options.tone),
        ("style", &options.style),
        ("audience", &options.audience),
        ("content-type", &options.content_type),
        ("platform", &options.platform),
        ("length", &options.length),
        ("emoji", &options.emoji),
        ("cta", &options.cta),
        ("cache", &options.cache),
    ];
    for (name, choice) in choices {
        let default = choice
            .default
            .map(|default| format!(" ({default})"))
            .unwrap_or_default();
        screen.result(&format!("{name}{default}: {}", choice.values.join(", ")))?;
    }
    for platform in &options.platforms {
        for profile in &platform.profiles {
            screen.result(&format!(
                "{} {}: {} {}, {} hashtags",
                platform.name, profile.name, profile.max_chars, profile.unit, profile.max_hashtags
            ))?;
        }
    }
    screen.note(&format!("rules of {}", options.rules_as_of));
    Ok(Exit::Done)
}
