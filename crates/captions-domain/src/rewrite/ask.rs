//! What a model is told about a caption that it is to change. As for new captions, what users wrote stands only in the user
//! message, as data.

use super::{
    Operation,
    cover::{Covered, sign},
    wish::Wish,
};
use crate::{
    choice::Emoji,
    prompt::{Format, Name, Prompt, REPAIR_TEMPERATURE, Task, Templates, data::Data},
    request::{BrandVoice, Description, Keyword, ProviderName},
};

/// One question about a caption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) wish: &'a Wish,
    /// The caption, without the hashtags behind it.
    pub(crate) covered: &'a Covered,
    /// The most characters that the caption itself may have.
    pub(crate) room: usize,
    /// What else is known of the post.
    pub(crate) description: Option<&'a Description>,
    /// Worn phrases that are found in it.
    pub(crate) worn: Vec<String>,
    pub(crate) provider: Option<ProviderName>,
    pub(crate) templates: &'a Templates,
}

/// Renders it. `faults` are what was wrong with the last answer, in words of ours.
pub(crate) fn render(question: &Question<'_>, faults: &[String]) -> Prompt {
    let (brief, templates) = (&question.wish.after, question.templates);
    let mut user = user_message(question);
    if !faults.is_empty() {
        let problems: Vec<String> = faults.iter().map(|fault| format!("- {fault}")).collect();
        user.push('\n');
        user.push_str(&templates.fill(Name::RewriteAgain, &[("problems", &problems.join("\n"))]));
    }
    let there = question.covered.text.chars().count();
    let wanted = match question.operation {
        Operation::Expand(_) => question.room.min(3 * there + 400),
        _ => question.room.min(2 * there),
    };
    Prompt {
        task: Task::Rewrite,
        system: templates.text(Name::RewriteSystem).to_owned(),
        user,
        format: Format::Plain,
        max_tokens: u32::try_from(wanted + 200).unwrap_or(u32::MAX).clamp(256, 8192),
        compact: None,
        // The same thing said again, not another one.
        temperature: REPAIR_TEMPERATURE,
        brief: brief.clone(),
        seen: Vec::new(),
        provider: question.provider.clone(),
        templates: templates.clone(),
    }
}

fn user_message(question: &Question<'_>) -> String {
    let brief = &question.wish.after;
    let pieces = question.covered.pieces.iter().enumerate();
    let signs: Vec<String> = pieces
        .map(|(index, piece)| format!("{} is {piece}", sign(index + 1)))
        .collect();
    let mut data = Data::default();
    data.text("caption", &question.covered.text);
    data.texts("signs", signs.iter().map(String::as_str));
    data.text(
        "known_of_the_post",
        question.description.map_or("", Description::as_str),
    );
    data.text("platform", brief.platform.as_str());
    data.texts("must_contain", brief.required.iter().map(Keyword::as_str));
    data.texts("must_not_contain", brief.avoid.iter().map(Keyword::as_str));
    data.text("brand_voice", brief.brand_voice.as_ref().map_or("", BrandVoice::as_str));
    data.texts("worn_phrases", question.worn.iter().map(String::as_str));
    filled(question, &data.fenced())
}

/// The operation's template with its holes filled. Nothing but `brief` holds words of a user.
fn filled(question: &Question<'_>, data: &str) -> String {
    let brief = &question.wish.after;
    // Models overshoot lengths, so the target that they are told lies 15 % under the limit.
    let characters = question.room * 85 / 100;
    let mut length = format!(
        "at most {characters} characters, about {} words",
        (characters / 6).max(3)
    );
    let written_in = match &question.wish.language {
        Some(language) => format!("Write it in {}.", language.english_name()),
        None => "Write it in the language that it is in.".to_owned(),
    };
    let mut language = String::new();
    let name = match question.operation {
        Operation::Shorten(_) => Name::RewriteShorten,
        Operation::Expand(_) => {
            let there = question.covered.text.chars().count();
            length = format!("{} to {characters} characters", (there * 13 / 10).min(characters));
            Name::RewriteExpand
        }
        Operation::Fix => Name::RewriteFix,
        Operation::Tone(_) => Name::RewriteTone,
        Operation::DeCliche => Name::RewriteDeCliche,
        Operation::Translate(to) => {
            language = format!("{} ({to})", to.english_name());
            Name::RewriteTranslate
        }
        Operation::Adapt(_) => Name::RewriteAdapt,
    };
    let (shown, lines) = brief.rules().fold;
    let fold = format!("{shown} characters or {lines} lines");
    question.templates.fill(
        name,
        &[
            ("brief", data),
            ("length", &length),
            ("written_in", &written_in),
            ("language", &language),
            ("tone", brief.tone.as_str()),
            ("platform", brief.platform.as_str()),
            ("fold", &fold),
            ("no_emoji", if brief.emoji == Emoji::None { "Write no emoji." } else { "" }),
            (
                "disclosure",
                if brief.sponsored {
                    "The post is paid for: the first line says so in plain words, such as \"Ad:\" or \"Paid partnership\"."
                } else {
                    ""
                },
            ),
        ],
    )
}

#[cfg(test)]
mod tests;
