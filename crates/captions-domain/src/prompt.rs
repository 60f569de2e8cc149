//! What a model is told. One function renders it; what users wrote stands only in the user message, as data.
//!
//! The words are `templates`, the data is fenced by `data`, the captions are asked for by named `angles` and in the
//! form of a [`schema`](variants_schema); `examples` picks the user's own captions that are shown.

mod again;
mod angles;
pub(crate) mod data;
mod examples;
mod schema;
mod templates;
mod voice;

use std::{borrow::Cow, fmt::Write as _};

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use self::data::Data;
pub(crate) use self::templates::Name;
pub use self::{
    again::ask_to_mend,
    angles::{Angle, all as all_angles},
    schema::{Shape, variants_schema},
    templates::{Templates, Unfit},
};
use crate::{
    brief::Brief,
    check::Violation,
    choice::{Cta, Emoji},
    request::{Keyword, ProviderName},
};

/// Changes with every change of what is sent: it is part of the cache key, and of the names of the snapshots in the tests.
pub const VERSION: u32 = 5;

/// The temperature where the request names none: drafting wants variety.
pub const DEFAULT_TEMPERATURE: f32 = 0.9;
/// The temperature of a repair: the same caption is wanted, without its faults.
pub const REPAIR_TEMPERATURE: f32 = 0.2;

/// What a picture counts: providers that cut it into tiles take some 800 tokens for 1024 x 1024, more for larger ones.
const PICTURE_TOKENS: u64 = 1600;

/// The form that the answer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The JSON object of [`variants_schema`].
    Variants,
    /// Nothing but the text of one caption. Used for streams, and for models that cannot keep to a schema.
    Plain,
}

/// What a prompt is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Task {
    /// A new caption for the brief.
    #[default]
    Write,
    /// A given caption changed in one way; which, only the words of the prompt say.
    Rewrite,
}

/// Which wording a provider gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    #[default]
    Full,
    /// For small models, which lose the thread of a long question: fewer rules, no examples, no reserve of captions.
    Compact,
}

/// The words of a question, and what fits them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// Fixed rules. Holds nothing that a user wrote.
    pub system: String,
    /// The brief as fenced data, and the task.
    pub user: String,
    /// A bound on the answer's length, in tokens; a generous guess, because cutting an answer wastes all of it.
    pub max_tokens: u32,
}

/// One question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    pub task: Task,
    /// Fixed rules. Holds nothing that a user wrote.
    pub system: String,
    /// The brief as fenced data, and the task.
    pub user: String,
    pub format: Format,
    /// A bound on the answer's length, in tokens; a generous guess, because cutting an answer wastes all of it.
    pub max_tokens: u32,
    /// The same question for small models; `None` if there is only the one.
    pub compact: Option<Wording>,
    /// Sampling temperature, 0-2.
    pub temperature: f32,
    /// The same wishes unrendered, for writers that need no words about them (the local model, the template).
    pub brief: Brief,
    /// Captions that are there already, for the same writers: one next to the same as one of these is of no use.
    pub seen: Vec<String>,
    /// Ask only this provider of a chain.
    pub provider: Option<ProviderName>,
    /// What it was worded with.
    pub templates: Templates,
}

/// About how many tokens a text of so many bytes has. Four bytes a token is usual for English; other scripts have more bytes a
/// character, and about as many a token.
pub const fn guessed_tokens(bytes: usize) -> u64 {
    bytes as u64 / 4
}

impl Prompt {
    /// What a call with it may cost in tokens, question and answer together: a guess that is seldom too low, for limits that
    /// count before the real figure is known.
    pub fn tokens(&self) -> u64 {
        self.input_tokens() + u64::from(self.max_tokens)
    }

    /// The part of the question in it.
    pub fn input_tokens(&self) -> u64 {
        let picture = if self.brief.image.is_some() { PICTURE_TOKENS } else { 0 };
        guessed_tokens(self.system.len() + self.user.len()) + picture
    }

    /// The code at the fence of the brief, which no answer has a reason to hold. The same in both wordings of a brief that is
    /// the same in both; `None` for a question without a fence.
    pub(crate) fn markers(&self) -> impl Iterator<Item = &str> {
        let users = std::iter::once(self.user.as_str()).chain(self.compact.iter().map(|compact| compact.user.as_str()));
        users.filter_map(|user| user.strip_prefix("BRIEF ")?.get(..MARKER_LENGTH))
    }

    /// The words for a provider: system, user, and the bound of the answer.
    pub fn words(&self, size: Size) -> (&str, &str, u32) {
        match &self.compact {
            Some(compact) if size == Size::Compact => (&compact.system, &compact.user, compact.max_tokens),
            _ => (&self.system, &self.user, self.max_tokens),
        }
    }

    /// The form of the answer in that wording.
    pub const fn shape(&self, size: Size) -> Shape {
        match size {
            Size::Compact if self.compact.is_some() => Shape::Compact,
            _ => Shape::Full,
        }
    }
}

/// Hex digits of the marker that fences a brief.
pub(crate) const MARKER_LENGTH: usize = 12;

/// What stands in the example of the form in place of a caption's parts. An answer that repeats one is no caption.
pub(crate) const PLACEHOLDERS: [&str; 4] = [
    "[first sentence]",
    "[the rest, may be empty]",
    "[call to action, or null]",
    "[what the picture shows, or null]",
];

/// Captions asked for beyond those wanted, to make up for bad and for like ones.
const RESERVE: usize = 2;
/// The most tokens that one answer may have; many models allow no more.
const MAX_TOKENS: usize = 8192;

/// A caption that the user wrote, picked or approved: an example of how they write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCaption {
    pub text: String,
}

/// All that a question for captions is made of.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub brief: &'a Brief,
    /// Of these and of the samples in the brief those nearest to it are shown as examples.
    pub own: &'a [OwnCaption],
    /// Names of angles that the user has seen for this post: others are asked for as long as there are any.
    pub used_angles: &'a [String],
    /// Captions that the user has seen for this post, newest first: their first words are not to come again.
    pub seen: &'a [String],
    pub format: Format,
    pub provider: Option<ProviderName>,
}

impl<'a> Question<'a> {
    /// A question of nothing but the brief.
    pub const fn new(brief: &'a Brief, format: Format) -> Self {
        Self {
            brief,
            own: &[],
            used_angles: &[],
            seen: &[],
            format,
            provider: None,
        }
    }
}

/// Renders the question for `brief` in the shipped words. Of the user's samples and `own` captions those nearest to it are shown.
pub fn render(brief: &Brief, own: &[OwnCaption], format: Format, provider: Option<ProviderName>) -> Prompt {
    Templates::default().render(&Question {
        own,
        provider,
        ..Question::new(brief, format)
    })
}

impl Templates {
    /// Renders the question in these words. The same question always gives the same words.
    pub fn render(&self, question: &Question<'_>) -> Prompt {
        let brief = question.brief;
        let wanted = match question.format {
            Format::Variants => usize::from(brief.variants.get()),
            Format::Plain => 1,
        };
        // Room for the caption in a language with many tokens a character, and for what stands beside it.
        let each = brief.target_chars.1 + 20 * brief.hashtag_count + 200;
        let beside = 10 * brief.hashtag_count + 200;
        let tokens =
            |count: usize, each: usize| u32::try_from((count * each).clamp(256, MAX_TOKENS)).unwrap_or(u32::MAX);
        let count = match question.format {
            Format::Plain => 1,
            // A long reserve must not cost the answer its end.
            Format::Variants => (wanted..=wanted + RESERVE)
                .rev()
                .find(|count| count * (each + beside) <= 2 * MAX_TOKENS)
                .unwrap_or(wanted),
        };
        let angles = angles::chosen(brief, question.used_angles, count);

        let mut data = Data::default();
        data.text("description", brief.description.as_str());
        let more = brief.required.iter().filter(|word| !brief.keywords.contains(word));
        data.texts("must_contain", brief.keywords.iter().chain(more).map(Keyword::as_str));
        data.texts("must_not_contain", brief.avoid.iter().map(Keyword::as_str));
        if let Some(voice) = &brief.brand_voice {
            data.text("brand_voice", voice.as_str());
        }
        if let Some(wishes) = &brief.instructions {
            data.text("wishes", wishes.as_str());
        }
        let short_data = data.fenced();
        if let Some(card) = &brief.style_card {
            let sentences = voice::sentences(card);
            data.texts("voice", sentences.iter().map(String::as_str));
        }
        data.texts("own_captions", examples::nearest(brief, question.own));
        data.texts(
            "openings_used_before",
            question.seen.iter().take(MAX_OPENINGS).map(|text| opening(text)),
        );

        let wishes = Wishes::of(brief);
        let user = self.user_message(question.format, Size::Full, &wishes, &data.fenced(), &angles);
        let small_angles = &angles[..wanted.min(angles.len())];
        let small = self.user_message(question.format, Size::Compact, &wishes, &short_data, small_angles);
        Prompt {
            task: Task::Write,
            system: self.text(Name::System).to_owned(),
            user,
            format: question.format,
            max_tokens: match question.format {
                Format::Plain => tokens(1, each),
                Format::Variants => tokens(count, each + beside),
            },
            compact: Some(Wording {
                system: self.text(Name::CompactSystem).to_owned(),
                user: small,
                max_tokens: tokens(wanted, each),
            }),
            temperature: brief
                .temperature
                .map_or(DEFAULT_TEMPERATURE, crate::request::Temperature::get),
            brief: brief.clone(),
            seen: question.seen.to_vec(),
            provider: question.provider.clone(),
            templates: self.clone(),
        }
    }

    fn user_message(&self, format: Format, size: Size, wishes: &Wishes, brief: &str, angles: &[&Angle]) -> String {
        let (name, shape) = match (format, size) {
            (Format::Variants, Size::Full) => (Name::Variants, Shape::Full),
            (Format::Variants, Size::Compact) => (Name::CompactVariants, Shape::Compact),
            (Format::Plain, Size::Full) => (Name::Plain, Shape::Full),
            (Format::Plain, Size::Compact) => (Name::CompactPlain, Shape::Compact),
        };
        let count = match angles.len() {
            1 => "1 caption".to_owned(),
            count => format!("{count} captions"),
        };
        let angles = listed(format, size, angles);
        let form = match format {
            Format::Variants => schema::form(shape),
            Format::Plain => String::new(),
        };
        self.fill(
            name,
            &[
                ("brief", brief),
                ("count", &count),
                ("angles", &angles),
                ("form", &form),
                ("platform", wishes.platform),
                ("content_type", wishes.content_type),
                ("language", wishes.language),
                ("tone", wishes.tone),
                ("style", wishes.style),
                ("audience", &wishes.audience),
                ("length", &wishes.length),
                ("emoji", wishes.emoji),
                ("call_to_action", wishes.call_to_action),
                ("disclosure", wishes.disclosure),
                ("hashtags", &wishes.hashtags),
            ],
        )
    }
}

/// The angles as each kind of question names them.
fn listed(format: Format, size: Size, angles: &[&Angle]) -> String {
    let mut list = String::new();
    match (format, size) {
        (Format::Plain, _) => {
            if let Some(angle) = angles.first() {
                list.push_str("Its angle: ");
                list.push_str(angle.how);
                list.push('.');
            }
        }
        (Format::Variants, Size::Full) => {
            for angle in angles {
                // Writing to a string cannot fail.
                let _ = write!(
                    list,
                    "{}- {}: {}",
                    if list.is_empty() { "" } else { "\n" },
                    angle.name,
                    angle.how
                );
            }
        }
        (Format::Variants, Size::Compact) => {
            list.push_str(if angles.len() == 1 {
                "Angle: "
            } else {
                "Angles, one each: "
            });
            for (index, angle) in angles.iter().enumerate() {
                list.push_str(if index == 0 { "" } else { ", " });
                list.push_str(angle.name);
            }
            list.push('.');
        }
    }
    list
}

/// The most openings that are not to come again, and the graphemes of each.
const MAX_OPENINGS: usize = 10;
const OPENING_SIGNS: usize = 40;

fn opening(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    line.grapheme_indices(true)
        .nth(OPENING_SIGNS)
        .map_or(line, |(end, _)| &line[..end])
}

/// What a brief asks for, in our own words: nothing here was written by a user.
struct Wishes {
    platform: &'static str,
    content_type: &'static str,
    language: &'static str,
    tone: &'static str,
    style: &'static str,
    audience: Cow<'static, str>,
    length: String,
    emoji: &'static str,
    call_to_action: &'static str,
    disclosure: &'static str,
    hashtags: String,
}

impl Wishes {
    fn of(brief: &Brief) -> Self {
        Self {
            platform: brief.platform.as_str(),
            content_type: brief.content_type.as_str(),
            language: brief.language.english_name(),
            tone: brief.tone.as_str(),
            style: brief.style.as_str(),
            audience: brief.audience.as_str().into(),
            length: length(brief),
            emoji: match brief.emoji {
                Emoji::None => "no emoji",
                Emoji::Few => "1 to 3 emoji, none of them first",
                Emoji::Many => "4 to 10 emoji, none of them first",
            },
            call_to_action: match brief.cta {
                Cta::None => "ends without a call to action",
                Cta::Question => "ends with one question about the reader's own experience",
                Cta::Save => "ends by inviting readers to save the post for later",
                Cta::Visit => "ends by inviting readers to visit",
                Cta::Comment => "ends by asking for an opinion in the comments",
            },
            disclosure: if brief.sponsored {
                "The post is paid for: the first line must say so in plain words, such as \"Ad:\" or \"Paid partnership\"."
            } else {
                ""
            },
            hashtags: match brief.hashtag_count {
                0 => "none, an empty list".to_owned(),
                count => format!("{count} specific ones from the brief, most relevant first, without #"),
            },
        }
    }
}

/// In characters and words. Models overshoot, so the end that they are told lies 15 % below the limit.
fn length(brief: &Brief) -> String {
    let (from, to) = brief.target_chars;
    let to = (to * 85 / 100).max(1);
    let from = from.min(to);
    // These write no spaces between words, so nobody counts words in them.
    if ["zh", "ja", "th", "lo", "km", "my", "yue", "bo", "dz"].contains(&brief.language.primary()) {
        return format!("{from} to {to} characters");
    }
    // Six characters a word, its space included, hold for most languages of Europe.
    format!(
        "{from} to {to} characters ({} to {} words)",
        (from / 6).max(1),
        (to / 6).max(3)
    )
}

/// The same question once more, with what was wrong with the last answer.
pub fn ask_again(prompt: &Prompt, violations: &[Violation]) -> Prompt {
    let mut again = prompt.clone();
    if violations.is_empty() {
        return again;
    }
    let mut problems = String::new();
    for violation in violations {
        problems.push_str(if problems.is_empty() { "- " } else { "\n- " });
        problems.push_str(&violation.rule);
        // Both may hold words of the user: quoted, so that they end where they end.
        problems.push_str(": has ");
        data::quote(&mut problems, &violation.value);
        problems.push_str(", allowed: ");
        data::quote(&mut problems, &violation.limit);
    }
    let addition = prompt.templates.fill(Name::Again, &[("problems", &problems)]);
    let users = [
        Some(&mut again.user),
        again.compact.as_mut().map(|compact| &mut compact.user),
    ];
    for user in users.into_iter().flatten() {
        user.push_str("\n\n");
        user.push_str(&addition);
    }
    if prompt.brief.temperature.is_none() {
        again.temperature = REPAIR_TEMPERATURE;
    }
    again
}

#[cfg(test)]
pub(crate) mod tests;
