//! The compliance report: every rule that a text is judged by, with what it has, what is allowed, where, and since when.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::{Violation, contains_phrase, discloses, places::phrase_places};
use crate::{
    bait,
    brief::Brief,
    choice::{Emoji, Profile},
    platform::{About, DISCLOSURE, PlatformRules, Rule, Unit},
    request::{Keyword, Language},
    text::{self, Place, Span},
};

/// The most places that one rule shows.
const MAX_SPANS: usize = 100;

/// What a text is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub rules: PlatformRules,
    /// We write it ourselves, so it has to be safe under every reading of the limit. A user's own text need not be.
    pub strict: bool,
    /// The caller's own limit in code points, where it is below the platform's.
    pub max_chars: Option<usize>,
    pub avoid: &'a [Keyword],
    pub required: &'a [Keyword],
    pub without_emoji: bool,
    pub sponsored: bool,
    /// The language of the text, where it is known: what begs for a reaction is known by words.
    pub language: Option<&'a Language>,
}

impl<'a> Terms<'a> {
    /// The platform's rules alone.
    pub const fn of_platform(rules: PlatformRules) -> Self {
        Self {
            rules,
            strict: false,
            max_chars: None,
            avoid: &[],
            required: &[],
            without_emoji: false,
            sponsored: false,
            language: None,
        }
    }

    /// The platform's rules and the hard wishes of the brief.
    pub fn of_brief(brief: &'a Brief) -> Self {
        let rules = brief.rules();
        Self {
            rules,
            strict: true,
            max_chars: Some(brief.max_chars).filter(|max| *max < rules.max_chars),
            avoid: &brief.avoid,
            required: &brief.required,
            without_emoji: brief.emoji == Emoji::None,
            sponsored: brief.sponsored,
            language: Some(&brief.language),
        }
    }
}

/// How a text stands to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Ok,
    /// Within the limit, and within a twentieth of it.
    Near,
    /// A hard rule is broken: not publishable.
    Broken,
    /// Against advice; publishable all the same.
    Advice,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Near, Self::Broken, Self::Advice];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Near => "near",
            Self::Broken => "broken",
            Self::Advice => "advice",
        }
    }
}

/// One rule, and how the text stands to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Stable name: `not_empty`, `length`, `length_in_utf16`, `own_length`, `forbidden_characters`, `hashtags`,
    /// `mentions`, `links`, `engagement_bait`, `fold`, `alt_text`, `avoided_words`, `required_words`, `emoji`,
    /// `disclosure`.
    pub rule: Cow<'static, str>,
    /// What the text has.
    pub value: String,
    /// What is allowed.
    pub limit: String,
    /// What value and limit count.
    pub unit: Cow<'static, str>,
    pub verdict: Standing,
    /// False for advice.
    pub hard: bool,
    /// What breaks the rule, in the published text; the first 100 places.
    pub spans: Vec<Place>,
    /// Where the rule is from; `request` for a wish.
    pub source: Cow<'static, str>,
    /// The day of the source; a wish has none.
    pub as_of: Option<Cow<'static, str>>,
}

impl Verdict {
    /// The violation that this is, if it is one.
    fn violation(&self) -> Option<Violation> {
        let name = match &*self.rule {
            "not_empty" => "empty",
            "length" | "length_in_utf16" | "own_length" => "too_long",
            "forbidden_characters" => "forbidden_character",
            "hashtags" => "too_many_hashtags",
            "mentions" => "too_many_mentions",
            "links" => "too_many_links",
            "alt_text" => "alt_text_too_long",
            "avoided_words" => "avoided_word",
            "required_words" => "missing_word",
            "emoji" => "emoji_not_wanted",
            "disclosure" => "missing_disclosure",
            other => other,
        };
        (self.verdict == Standing::Broken).then(|| Violation::new(name, &self.value, &self.limit))
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which of the platform's sets of rules.
    pub profile: Profile,
    pub rules: Arc<[Verdict]>,
    /// True if no hard rule is broken.
    pub publishable: bool,
}

impl Report {
    /// The broken hard rules.
    pub fn violations(&self) -> Vec<Violation> {
        self.rules.iter().filter_map(Verdict::violation).collect()
    }

    /// With a verdict about the description of the picture, where the platform has a rule for it.
    #[must_use]
    pub fn with_alt_text(mut self, alt_text: &str, rules: &PlatformRules) -> Self {
        let rule = rules.rules.iter().find(|rule| rule.about == About::AltText);
        // Its excess stands in no place of the published text.
        let verdict = rule.map(|rule| of_rule("alt_text", rule, alt_text.chars().count(), Vec::new));
        self.rules = self.rules.iter().cloned().chain(verdict).collect();
        self.publishable = self.violations().is_empty();
        self
    }
}

/// Judges `text` as it would be published by the platform's limits and the hard wishes of the brief.
pub fn report(text: &str, brief: &Brief) -> Report {
    report_on(text, &Terms::of_brief(brief))
}

/// Judges `text` as it would be published.
pub fn report_on(text: &str, terms: &Terms<'_>) -> Report {
    let mut rules = vec![not_empty(text)];
    rules.extend(
        terms
            .rules
            .rules
            .iter()
            .filter_map(|rule| platform_rule(text, rule, terms)),
    );
    rules.extend(terms.max_chars.map(|most| own_length(text, most)));
    rules.extend(utf16(text, terms));
    rules.extend(avoided(text, terms.avoid));
    rules.extend(required(text, terms.required));
    if terms.without_emoji {
        rules.push(emoji(text));
    }
    if terms.sponsored {
        rules.push(disclosure(text, &terms.rules));
    }
    let mut report = Report {
        profile: terms.rules.profile,
        rules: rules.into(),
        publishable: false,
    };
    report.publishable = report.violations().is_empty();
    report
}

fn platform_rule(text: &str, rule: &Rule, terms: &Terms<'_>) -> Option<Verdict> {
    Some(match rule.about {
        About::Length => {
            let unit = rule.counts_in()?;
            let length = text::length_in(unit, text);
            of_rule("length", rule, length, || {
                beyond(text, |text| text::length_in(unit, text) <= rule.value)
            })
        }
        About::ForbiddenCharacters => {
            let found = text.char_indices().filter(|(_, c)| rule.signs.contains(*c));
            let count = found.clone().count();
            let signs: Vec<String> = rule.signs.chars().map(String::from).collect();
            Verdict {
                limit: format!("none of {}", signs.join(" ")),
                ..of_rule("forbidden_characters", rule, count, || {
                    places(found.map(|(at, c)| (at, c.len_utf8())), text)
                })
            }
        }
        About::Hashtags => counted("hashtags", rule, text::hashtags(text)),
        About::Mentions => counted("mentions", rule, text::mentions(text)),
        About::Links => counted("links", rule, text::urls(text)),
        About::EngagementBait => {
            let found = bait::find(text, terms.language?);
            of_rule("engagement_bait", rule, found.len(), || found)
        }
        About::Fold => {
            let (visible, hidden) = text::fold(text, terms.rules.fold);
            let lines = if rule.lines == usize::MAX {
                String::new()
            } else {
                format!(" in {} lines", rule.lines)
            };
            Verdict {
                limit: format!("{}{lines}", rule.value),
                // What is hidden is most of a long text: the check shows it beside the report, not in it.
                verdict: if hidden.trim().is_empty() {
                    Standing::Ok
                } else {
                    Standing::Advice
                },
                ..of_rule("fold", rule, text::length_in(Unit::Graphemes, visible), Vec::new)
            }
        }
        About::AltText => return None,
    })
}

/// A verdict by numbers. `spans` are asked for only where the limit is passed.
fn of_rule(name: &'static str, rule: &Rule, value: usize, spans: impl FnOnce() -> Vec<Place>) -> Verdict {
    let is_long = matches!(rule.about, About::Length | About::AltText);
    let (verdict, spans) = match (value > rule.value, rule.hard) {
        (true, true) => (Standing::Broken, spans()),
        (true, false) => (Standing::Advice, spans()),
        (false, _) if is_long && is_near(value, rule.value) => (Standing::Near, Vec::new()),
        (false, _) => (Standing::Ok, Vec::new()),
    };
    Verdict {
        rule: name.into(),
        value: value.to_string(),
        limit: rule.value.to_string(),
        unit: rule.unit.into(),
        verdict,
        hard: rule.hard,
        spans,
        source: rule.source.into(),
        as_of: Some(rule.as_of.into()),
    }
}

const fn is_near(value: usize, limit: usize) -> bool {
    value.saturating_mul(20) > limit.saturating_mul(19)
}

/// A rule about how many there may be: those beyond the limit are what breaks it.
fn counted(name: &'static str, rule: &Rule, found: Vec<Span<'_>>) -> Verdict {
    of_rule(name, rule, found.len(), || {
        found
            .iter()
            .skip(rule.value)
            .take(MAX_SPANS)
            .cloned()
            .map(Place::from)
            .collect()
    })
}

/// A verdict about a wish of the request.
fn wish(
    name: &'static str,
    value: impl ToString,
    limit: impl ToString,
    unit: &'static str,
    is_broken: bool,
) -> Verdict {
    Verdict {
        rule: name.into(),
        value: value.to_string(),
        limit: limit.to_string(),
        unit: unit.into(),
        verdict: if is_broken { Standing::Broken } else { Standing::Ok },
        hard: true,
        spans: Vec::new(),
        source: "request".into(),
        as_of: None,
    }
}

fn not_empty(text: &str) -> Verdict {
    Verdict {
        source: "a caption has something to say".into(),
        ..wish(
            "not_empty",
            text.trim().chars().count(),
            "at least 1 character",
            Unit::CodePoints.as_str(),
            text.trim().is_empty(),
        )
    }
}

fn own_length(text: &str, most: usize) -> Verdict {
    let length = text.chars().count();
    let mut verdict = wish("own_length", length, most, Unit::CodePoints.as_str(), length > most);
    if length > most {
        verdict.spans = beyond(text, |text| text.chars().count() <= most);
    } else if is_near(length, most) {
        verdict.verdict = Standing::Near;
    }
    verdict
}

/// Emoji outside the plane that UTF-16 holds in one unit count twice on some clients. What we write stays under both
/// readings; about a user's own text it is advice.
fn utf16(text: &str, terms: &Terms<'_>) -> Option<Verdict> {
    let rule = terms
        .rules
        .rules
        .iter()
        .find(|rule| rule.counts_in() == Some(Unit::CodePoints))?;
    let length = text.encode_utf16().count();
    if length <= rule.value || text.chars().count() > rule.value {
        return None;
    }
    let rule = Rule {
        unit: Unit::Utf16.as_str(),
        hard: terms.strict,
        source: "some clients count UTF-16 units; the platform does not tell",
        ..*rule
    };
    Some(of_rule("length_in_utf16", &rule, length, || {
        beyond(text, |text| text.encode_utf16().count() <= rule.value)
    }))
}

/// One verdict for all words if none of them stands there, else one for each that does.
fn avoided(text: &str, words: &[Keyword]) -> Vec<Verdict> {
    if words.is_empty() {
        return Vec::new();
    }
    let broken: Vec<Verdict> = words
        .iter()
        .filter(|word| contains_phrase(text, word.as_str()))
        .map(|word| Verdict {
            spans: phrase_places(text, word.as_str(), MAX_SPANS),
            ..wish("avoided_words", word, "must not occur", "words", true)
        })
        .collect();
    if broken.is_empty() {
        vec![wish("avoided_words", 0, "must not occur", "words", false)]
    } else {
        broken
    }
}

/// The same for words that have to stand there.
fn required(text: &str, words: &[Keyword]) -> Vec<Verdict> {
    if words.is_empty() {
        return Vec::new();
    }
    let missing: Vec<Verdict> = words
        .iter()
        .filter(|word| !contains_phrase(text, word.as_str()))
        .map(|word| wish("required_words", "missing", word, "words", true))
        .collect();
    if missing.is_empty() {
        vec![wish("required_words", words.len(), "must all occur", "words", false)]
    } else {
        missing
    }
}

fn emoji(text: &str) -> Verdict {
    let count = text::emoji(text).count();
    let clusters = text
        .grapheme_indices(true)
        .filter(|(_, cluster)| text::is_emoji(cluster));
    Verdict {
        spans: places(clusters.map(|(at, cluster)| (at, cluster.len())), text),
        ..wish("emoji", count, 0, "emoji", count > 0)
    }
}

fn disclosure(text: &str, rules: &PlatformRules) -> Verdict {
    let is_told = discloses(text::fold(text, rules.fold).0);
    Verdict {
        source: DISCLOSURE.0.into(),
        as_of: Some(DISCLOSURE.1.into()),
        ..wish(
            "disclosure",
            if is_told {
                "before the fold"
            } else {
                "none before the fold"
            },
            "a plain disclosure such as 'Ad:' or 'Paid partnership' before the fold (FTC, 2017)",
            "words",
            !is_told,
        )
    }
}

/// What stands behind the longest beginning that fits.
fn beyond(text: &str, fits: impl Fn(&str) -> bool) -> Vec<Place> {
    let kept = text::longest_fitting(text, fits);
    places([(kept.len(), text.len() - kept.len())].into_iter(), text)
}

/// Places from bytes: where each begins, ascending, and how long it is.
fn places(bytes: impl Iterator<Item = (usize, usize)>, text: &str) -> Vec<Place> {
    let (mut at, mut index) = (0, 0);
    bytes
        .filter(|(_, length)| *length > 0)
        .take(MAX_SPANS)
        .map(|(start, length)| {
            index += text[at..start].chars().count();
            at = start;
            let piece = &text[start..start + length];
            Place {
                text: piece.to_owned(),
                start: index,
                end: index + piece.chars().count(),
            }
        })
        .collect()
}
