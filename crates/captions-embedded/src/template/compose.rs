//! From a brief to drafts: a sentence from the description, and around it what fits and was asked for.

use std::collections::HashSet;

use captions_domain::{
    brief::Brief, check::contains_phrase, choice::Cta, platform::PlatformRules, reply::Draft, request::Keyword, text,
};

use super::{
    emoji,
    phrases::{self, Phrases, Register},
    source::{self, Cut, fit, holds_avoided, sentence_ends},
    subject::Mood,
};

/// What stands where nothing else may: not a word in any language.
const NOTHING: &str = "…";

/// The angle that is never given up.
const STATEMENT: &str = "statement";

/// What must be left of a description that makes room for something else.
const ENOUGH_WORDS: usize = 3;

/// Characters beyond the limit that still tell where to cut: the word after a comma.
const BEYOND: usize = 64;

/// One way to put a caption together.
#[derive(Clone, Copy)]
struct Angle {
    name: &'static str,
    shape: Shape,
    /// Which opener, ending or question stands around the description, and which call to action below it.
    opener: Option<usize>,
    ending: Option<usize>,
    question: Option<usize>,
    ask: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// As much of the description as fits.
    Full,
    /// Its first sentence alone.
    Short,
    /// Each sentence on its own line; only where there are several.
    Lines,
}

const fn angle(name: &'static str, shape: Shape, ask: usize) -> Angle {
    Angle {
        name,
        shape,
        opener: None,
        ending: None,
        question: None,
        ask,
    }
}

/// The angles in the order in which they are used.
#[rustfmt::skip]
const ANGLES: [Angle; 20] = [
    Angle { ending: Some(0), ..angle(STATEMENT, Shape::Full, 0) },
    Angle { question: Some(0), ..angle("question", Shape::Full, 0) },
    angle("short", Shape::Short, 1),
    Angle { opener: Some(0), ..angle("opener first", Shape::Full, 0) },
    angle("plain", Shape::Full, 0),
    Angle { ending: Some(1), ..angle("line by line", Shape::Lines, 1) },
    Angle { ending: Some(1), ..angle("another ending", Shape::Full, 1) },
    Angle { question: Some(1), ..angle("another question", Shape::Full, 0) },
    Angle { opener: Some(1), ..angle("another opener", Shape::Full, 1) },
    Angle { opener: Some(0), ending: Some(0), ..angle("opener and ending", Shape::Full, 1) },
    Angle { opener: Some(1), ending: Some(1), ..angle("framed", Shape::Full, 0) },
    Angle { opener: Some(0), question: Some(0), ..angle("opener and question", Shape::Full, 0) },
    Angle { opener: Some(1), question: Some(1), ..angle("opening, then a question", Shape::Full, 0) },
    angle("plain, another call", Shape::Full, 1),
    angle("short, another call", Shape::Short, 0),
    Angle { ending: Some(0), ..angle("short with an ending", Shape::Short, 0) },
    Angle { ending: Some(1), ..angle("short with another ending", Shape::Short, 1) },
    Angle { opener: Some(0), ..angle("short with an opener", Shape::Short, 1) },
    Angle { opener: Some(1), ..angle("short with another opener", Shape::Short, 0) },
    angle("lines alone", Shape::Lines, 0),
];

/// Up to `count` drafts, no two with the same text; at least one. Those of a later `turn` begin that many drafts later.
pub(super) fn drafts(brief: &Brief, count: usize, turn: usize) -> Vec<Draft> {
    let desk = Desk::of(brief);
    let mut seen = HashSet::new();
    let mut all = ANGLES
        .iter()
        .filter_map(|angle| desk.compose(angle))
        .filter(|draft| seen.insert(draft.text()));
    let mut drafts: Vec<Draft> = if turn == 0 {
        all.take(count).collect()
    } else {
        let mut drafts: Vec<Draft> = all.by_ref().collect();
        let by = turn.checked_rem(drafts.len()).unwrap_or(0);
        drafts.rotate_left(by);
        drafts.truncate(count);
        drafts
    };
    if drafts.is_empty() {
        drafts.push(desk.without_description());
    }
    drafts
}

/// All that the drafts of one brief share.
struct Desk<'a> {
    brief: &'a Brief,
    rules: PlatformRules,
    /// The description, prepared; empty if all of it is to be avoided.
    source: String,
    /// Where its sentences end.
    ends: Vec<usize>,
    disclosure: &'static str,
    openers: Vec<&'static str>,
    endings: Vec<&'static str>,
    questions: Vec<&'static str>,
    asks: Vec<&'static str>,
    emoji: String,
    topics: &'static str,
}

/// What stands around the description.
#[derive(Clone, Copy, Default)]
struct Frame<'a> {
    opener: &'a str,
    /// Keywords that the description lacks.
    topics: &'a [&'a str],
    after: &'a str,
    ask: &'a str,
    lines: bool,
}

impl<'a> Desk<'a> {
    fn of(brief: &'a Brief) -> Self {
        let register = Register::of(brief.tone);
        let mut source = source::prepare(brief);
        let mood = Mood::of(brief);
        let emoji = emoji::choose(brief, register, mood, text::emoji(&source).count());
        // What stands far beyond the limit can never be used, and is not looked at again and again.
        if let Some((end, _)) = source.char_indices().nth(limit(brief) + BEYOND) {
            source.truncate(end);
        }
        let seed = brief.seed.unwrap_or_else(|| seed_of(brief.description.as_str()));
        let allowed = |lines: [&'static str; 2]| {
            let mut lines: Vec<&'static str> = lines.into_iter().filter(|line| !holds_avoided(line, brief)).collect();
            if seed % 2 == 1 {
                lines.reverse();
            }
            lines
        };
        let phrases = Phrases::of(brief.language.primary());
        let of = |choose: fn(&Phrases, Register) -> [&'static str; 2]| {
            phrases
                .map(|phrases| allowed(choose(phrases, register)))
                .unwrap_or_default()
        };
        let asks = match brief.cta {
            Cta::None => Vec::new(),
            Cta::Question => of(Phrases::questions),
            Cta::Save => of(Phrases::save),
            Cta::Visit => of(Phrases::visit),
            Cta::Comment => of(Phrases::comment),
        };
        let disclosures = phrases::disclosures(brief.language.primary());
        let disclosed = disclosures.iter().any(|words| source.starts_with(words));
        Self {
            rules: PlatformRules::of(brief.platform),
            disclosure: if brief.sponsored && !disclosed {
                disclosures
                    .into_iter()
                    .find(|words| !holds_avoided(words, brief))
                    .unwrap_or_default()
            } else {
                ""
            },
            openers: if mood == Mood::Sad {
                Vec::new()
            } else {
                of(Phrases::openers)
            },
            // The endings of the formal register thank, which is out of place before what calls for respect.
            endings: if mood == Mood::Sad || (mood == Mood::Grave && register == Register::Formal) {
                Vec::new()
            } else {
                of(Phrases::endings)
            },
            // One call to action is enough.
            questions: if brief.cta == Cta::None && mood != Mood::Sad {
                of(Phrases::questions)
            } else {
                Vec::new()
            },
            asks,
            emoji,
            topics: phrases.map_or("", |phrases| phrases.topics),
            ends: sentence_ends(&source),
            source,
            brief,
        }
    }

    /// The draft of this angle; `None` if the angle cannot be had: its phrases do not exist, are to be avoided, or do
    /// not fit.
    fn compose(&self, angle: &Angle) -> Option<Draft> {
        let opener = wanted(&self.openers, angle.opener)?;
        let question = wanted(&self.questions, angle.question)?;
        // A statement is one without an ending, too; the other angles are nothing without what makes them.
        let is_statement = angle.name == STATEMENT;
        let ending = wanted(&self.endings, angle.ending).or(is_statement.then_some(""))?;
        let source = match angle.shape {
            Shape::Lines if self.ends.len() < 2 => return None,
            Shape::Full | Shape::Lines => self.source.as_str(),
            Shape::Short => self.source[..self.ends.first().copied().unwrap_or_default()].trim_end(),
        };
        if source.is_empty() {
            return None;
        }
        let plain = Frame {
            ask: self
                .asks
                .get(angle.ask)
                .or(self.asks.first())
                .copied()
                .unwrap_or_default(),
            lines: angle.shape == Shape::Lines,
            ..Frame::default()
        };
        // The call to action was asked for: it stays unless hardly any room would be left for the description.
        let (kept, plain) = [plain, Frame { ask: "", ..plain }].into_iter().find_map(|frame| {
            let body = self.longest(source, Cut::Any, frame)?;
            let enough = frame.ask.is_empty() || body == source || text::words(&body).count() >= ENOUGH_WORDS;
            enough.then_some((body, frame))
        })?;
        let missing = self.missing_keywords(&kept);
        let (kept, plain) = self.with_topics(source, kept, plain, &missing);
        let framed = Frame {
            opener,
            after: if ending.is_empty() { question } else { ending },
            ..plain
        };
        let (body, frame) = if self.fits(&self.text(&kept, framed), framed) {
            (kept, framed)
        } else if is_statement {
            (kept, plain)
        } else {
            (self.longest(source, Cut::Clean, framed)?, framed)
        };
        let text = self.text(&body, frame);
        // Parts that are harmless alone may meet so that they are not.
        (!holds_avoided(&text, self.brief)).then(|| Draft {
            angle: angle.name.to_owned(),
            body: text,
            cta: (!frame.ask.is_empty()).then(|| frame.ask.to_owned()),
            ..Draft::default()
        })
    }

    /// The longest beginning of `source` that fits into the frame.
    fn longest(&self, source: &str, cut: Cut, frame: Frame<'_>) -> Option<String> {
        fit(source, &self.brief.language, cut, |body| {
            self.fits(&self.text(body, frame), frame)
        })
    }

    /// Adds the missing keywords: all, even if whole sentences or clauses must go for them, or else as many as fit.
    fn with_topics<'b>(
        &self,
        source: &str,
        kept: String,
        plain: Frame<'b>,
        missing: &'b [&'b str],
    ) -> (String, Frame<'b>) {
        let all = Frame {
            topics: missing,
            ..plain
        };
        if let Some(shorter) = self.longest(source, Cut::Clean, all)
            && text::words(&shorter).count() >= ENOUGH_WORDS
        {
            return (shorter, all);
        }
        let fitting = (0..=missing.len()).rev().map(|count| Frame {
            topics: &missing[..count],
            ..plain
        });
        let frame = fitting
            .into_iter()
            .find(|frame| self.fits(&self.text(&kept, *frame), *frame))
            .unwrap_or(plain);
        (kept, frame)
    }

    fn missing_keywords(&self, body: &str) -> Vec<&'a str> {
        let words = self.brief.keywords.iter().map(Keyword::as_str);
        words
            .filter(|word| !contains_phrase(body, word) && !holds_avoided(word, self.brief))
            .collect()
    }

    /// Everything but the call to action, which stands apart.
    fn text(&self, body: &str, frame: Frame<'_>) -> String {
        let mut text = String::with_capacity(body.len() + 200);
        let mut add = |piece: &str| {
            if !piece.is_empty() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(piece);
            }
        };
        add(self.disclosure);
        add(frame.opener);
        if frame.lines {
            let mut from = 0;
            let lines = sentence_ends(body)
                .into_iter()
                .map(|end| body[std::mem::replace(&mut from, end)..end].trim());
            add(&lines.collect::<Vec<_>>().join("\n"));
        } else {
            add(body);
        }
        add(&self.emoji);
        match (frame.topics, self.topics) {
            ([], _) => {}
            // Where there is no word for it, or none that may be used: the keywords alone.
            (words, "") => add(&words.join(" · ")),
            (words, label) => add(&format!("{label} {}.", words.join(", "))),
        }
        add(frame.after);
        text
    }

    /// For a description of which nothing may be said.
    fn without_description(&self) -> Draft {
        let line = self.asks.first().or(self.endings.first()).copied().unwrap_or_default();
        let mut text = format!("{} {line}", self.disclosure).trim().to_owned();
        if text.is_empty() || !self.fits(&text, Frame::default()) {
            NOTHING.clone_into(&mut text);
        }
        Draft {
            angle: "plain".to_owned(),
            ..Draft::plain(&text)
        }
    }

    /// True if text and call to action keep the wished length, the limit of the request, and the platform's.
    fn fits(&self, text: &str, frame: Frame<'_>) -> bool {
        let joined;
        // As Draft::text joins them.
        let text = if frame.ask.is_empty() {
            text
        } else {
            joined = format!("{text}\n\n{}", frame.ask);
            &joined
        };
        text.chars().count() <= limit(self.brief)
            && text.encode_utf16().count() <= self.rules.max_chars
            && text::length_in(self.rules.unit, text) <= self.rules.max_chars
    }
}

/// The most characters of a caption without its tags.
fn limit(brief: &Brief) -> usize {
    brief.target_chars.1.min(brief.max_chars)
}

/// The wanted line, or an empty one if none is wanted; `None` if it is wanted and not there.
fn wanted(lines: &[&'static str], index: Option<usize>) -> Option<&'static str> {
    index.map_or(Some(""), |index| lines.get(index).copied())
}

/// Not the library's hasher: its result may change with the compiler, and the same brief gives the same bytes.
fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
