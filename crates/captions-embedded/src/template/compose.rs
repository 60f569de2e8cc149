//! From a brief to one draft: a text from the description, and around it what fits and was asked for.

use std::borrow::Cow;

use captions_domain::{
    brief::Brief,
    check::{self, Searched, contains_phrase},
    choice::{Cta, Style, Tone},
    phrases::Words,
    platform::{PlatformRules, Unit},
    reply::Draft,
    request::Keyword,
    text,
};

use super::{
    angles::{Angle, Close, Lead, Shape},
    emoji, fronting, layout,
    lines::{Lines, line, seed_of, turned},
    phrases::{self, Phrases, Register, as_sentence},
    source::{self, Cut, fit, holds_avoided, sentence_ends},
    subject::Mood,
    topics::topics,
};

/// What stands where nothing else may: not a word in any language.
const NOTHING: &str = "…";

/// What must be left of a description that makes room for something else.
const ENOUGH_WORDS: usize = 3;

/// Characters beyond the limit that still tell where to cut: the word after a comma.
const BEYOND: usize = 64;

/// Captions that are to be longer than this have paragraphs.
const SHORT: usize = 100;

/// The most lines that are added to a short caption to come to its length.
const MOST_IN_SHORT: usize = 2;

/// The most emoji of ours in a row, where there is another place for them.
const MOST_IN_A_ROW: usize = 3;

/// All that the drafts of one brief share.
pub(super) struct Desk<'a> {
    brief: &'a Brief,
    rules: PlatformRules,
    /// The description, prepared; empty if all of it is to be avoided.
    source: String,
    /// Its first letter as it stands behind a colon.
    first_letter: Option<char>,
    /// Where its sentences end.
    ends: Vec<usize>,
    disclosure: String,
    leads: Vec<String>,
    style: Vec<String>,
    audience: Vec<String>,
    endings: Vec<String>,
    questions: Vec<String>,
    asks: Vec<String>,
    emoji: Vec<&'a str>,
    /// Whether lines may be added that nobody asked for, to come to the wished length.
    fills: bool,
}

/// What stands around the description.
#[derive(Clone, Default)]
struct Frame<'a> {
    lead: &'a str,
    /// A question that stands before everything else.
    question_first: &'a str,
    /// Words that the description lacks.
    keywords: &'a [&'a str],
    /// Sentences after it.
    after: Vec<&'a str>,
    ask: &'a str,
    lines: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn of(brief: &'a Brief) -> Self {
        let language = brief.language.primary();
        let register = Register::of(brief.tone, brief.style);
        let mood = Mood::of(brief);
        let (disclosure, about) = disclosure(brief);
        let prepared = source::prepare(about, brief);
        let mut source = prepared.text;
        let mut ends = sentence_ends(&source);
        // What a story mentions on its way is not what one asks about, nor what a short caption of it shows.
        let first = topics(&source[..ends.first().copied().unwrap_or(source.len())], language);
        let all = topics(brief.description.as_str(), language);
        let shown = if source.chars().count() > limit(brief) {
            &first
        } else {
            &all
        };
        let emoji = emoji::choose(brief, shown, register, mood, text::emoji(&source).count());
        let first_letter = small_first_letter(&source, prepared.first_letter, brief);
        // What stands far beyond the limit can never be used, and is not looked at again and again.
        if let Some((end, _)) = source.char_indices().nth(limit(brief) + BEYOND) {
            source.truncate(end);
            ends = sentence_ends(&source);
        }
        let phrases = Phrases::of(&brief.language);
        let lines = Lines {
            brief,
            phrases,
            register,
            turn: brief.seed.unwrap_or_else(|| seed_of(brief.description.as_str())),
        };
        let is_question = source.ends_with(['?', '？', '؟']);
        let sad = mood == Mood::Sad;
        let none = Vec::new;
        let questions = if is_question { none() } else { lines.questions(&first) };
        Self {
            rules: brief.rules(),
            disclosure,
            leads: match (sad, is_question) {
                (true, _) => none(),
                (_, true) => lines.of("lead", "question"),
                _ => lines.of("lead", register.name()),
            },
            style: if sad || is_question {
                none()
            } else {
                lines.of("style", brief.style.as_str())
            },
            audience: if sad {
                none()
            } else {
                lines.of("audience", brief.audience.as_str())
            },
            // The endings of the formal register thank, which is out of place before what calls for respect.
            endings: if sad || is_question || (mood == Mood::Grave && register == Register::Formal) {
                none()
            } else {
                lines.of("ending", register.name())
            },
            asks: match brief.cta {
                Cta::None => none(),
                Cta::Question => questions.clone(),
                Cta::Save => lines.address("save"),
                Cta::Visit => lines.address("visit"),
                Cta::Comment => lines.address("comment"),
            },
            // One call to action is enough, and what calls for respect is not asked about.
            questions: if brief.cta == Cta::None && !sad && brief.tone != Tone::Respectful {
                questions
            } else {
                none()
            },
            emoji,
            fills: (mood == Mood::Any || register == Register::Calm) && !sad && brief.style != Style::Minimalist,
            ends,
            first_letter,
            source,
            brief,
        }
    }

    /// How many sentences the description has.
    pub(super) fn sentences(&self) -> usize {
        self.ends.len()
    }

    /// The draft of this angle; `None` if the angle cannot be had: its phrases do not exist, are to be avoided, or do
    /// not fit.
    pub(super) fn compose(&self, angle: &Angle) -> Option<Draft> {
        let (lead, question_first) = match angle.lead {
            Lead::None => ("", ""),
            Lead::Tone(index) => (line(&self.leads, index)?, ""),
            Lead::Style(index) => (line(&self.style, index)?, ""),
            Lead::Audience(index) => (line(&self.audience, index)?, ""),
            Lead::Question(index) => ("", line(&self.questions, index)?),
        };
        // A statement is one without an ending, too; the other angles are nothing without what makes them.
        let close = match angle.close {
            Close::None => "",
            Close::Ending(index) if angle.is_statement() => line(&self.endings, index).unwrap_or_default(),
            Close::Ending(index) => line(&self.endings, index)?,
            Close::Question(index) => line(&self.questions, index)?,
        };
        let reordered;
        let source = match angle.shape {
            Shape::Lines if self.ends.len() < 2 => return None,
            Shape::Full | Shape::Lines => self.source.as_str(),
            Shape::Short => self.source[..self.ends.first().copied().unwrap_or_default()].trim_end(),
            Shape::PlaceFirst | Shape::DetailFirst => {
                reordered = self.reordered(angle.shape)?;
                reordered.as_str()
            }
        };
        if source.is_empty() {
            return None;
        }
        let plain = Frame {
            ask: turned(&self.asks, angle.turn).unwrap_or_default(),
            lines: angle.shape == Shape::Lines,
            ..Frame::default()
        };
        // The call to action was asked for: it stays unless hardly any room would be left for the description.
        let without_ask = Frame {
            ask: "",
            ..plain.clone()
        };
        let (kept, plain) = [plain, without_ask].into_iter().find_map(|frame| {
            let body = self.longest(source, Cut::Any, &frame)?;
            let enough = frame.ask.is_empty() || body == source || text::words(&body).count() >= ENOUGH_WORDS;
            enough.then_some((body, frame))
        })?;
        let (required, missing) = self.missing_words(&kept);
        let (kept, plain) = self.with_keywords(source, kept, plain, required, &missing);
        let framed = Frame {
            lead,
            question_first,
            after: Some(close).filter(|line| !line.is_empty()).into_iter().collect(),
            ..plain.clone()
        };
        let (body, frame) = if self.fits(&self.text(&kept, &framed), &framed) {
            (kept, framed)
        } else if angle.is_statement() {
            (kept, plain)
        } else {
            let shorter = self.longest(source, Cut::Clean, &framed)?;
            if text::words(&shorter).count() < ENOUGH_WORDS {
                return None;
            }
            (shorter, framed)
        };
        let frame = self.fill(&body, frame, angle);
        let text = self.text(&body, &frame);
        // Parts that are harmless alone may meet so that they are not.
        (!holds_avoided(&text, self.brief)).then(|| Draft {
            angle: self.name(angle),
            body: text,
            cta: (!frame.ask.is_empty()).then(|| frame.ask.to_owned()),
            ..Draft::default()
        })
    }

    fn name(&self, angle: &Angle) -> String {
        match angle.lead {
            Lead::Style(_) => format!("{} {}", self.brief.style, angle.name),
            Lead::Audience(_) => format!("{} {}", self.brief.audience.as_str().replace('_', " "), angle.name),
            _ => angle.name.to_owned(),
        }
    }

    /// The description with its parts in another order; `None` if that cannot be had.
    fn reordered(&self, shape: Shape) -> Option<String> {
        if self.ends.len() != 1 {
            return None;
        }
        let small = self.behind_colon(&self.source);
        let language = self.brief.language.primary();
        if shape == Shape::PlaceFirst {
            let (place, rest) = fronting::place_first(&small, language)?;
            let colon = if language == "fr" { " :" } else { ":" };
            return Some(format!("{}{colon} {rest}.", self.large(place)));
        }
        let (detail, rest) = fronting::detail_first(&small, language)?;
        Some(format!("{}. {}.", self.large(detail), self.large(rest)))
    }

    /// With a large first letter, unless this user writes none.
    fn large(&self, text: &str) -> String {
        let mut rest = text.chars();
        match rest.next() {
            Some(first) if !source::writes_small(self.brief) => first.to_uppercase().chain(rest).collect(),
            _ => text.to_owned(),
        }
    }

    /// The text as it stands behind a colon, if it begins as the description does.
    fn behind_colon(&self, body: &str) -> String {
        let mut rest = body.chars();
        match (rest.next(), self.first_letter) {
            (Some(first), Some(small)) if self.source.starts_with(first) => [small].into_iter().chain(rest).collect(),
            _ => body.to_owned(),
        }
    }

    /// Adds lines that state nothing until the text is as long as was wished for, or until there are no more. Endings stand
    /// before a question, which comes last.
    fn fill<'f>(&'f self, body: &str, mut frame: Frame<'f>, angle: &Angle) -> Frame<'f> {
        let from = self.brief.target_chars.0;
        let asks_already = !frame.question_first.is_empty() || matches!(angle.close, Close::Question(_));
        let question = if asks_already {
            None
        } else {
            turned(&self.questions, angle.turn)
        };
        let lead = [&self.style, &self.audience, &self.leads]
            .into_iter()
            .find_map(|leads| turned(leads, angle.turn));
        let steps = [
            (Part::Ending, turned(&self.endings, angle.turn)),
            (Part::Question, question),
            (Part::Lead, lead),
            (Part::Ending, turned(&self.endings, angle.turn + 1)),
        ];
        let mut left = if from > SHORT { steps.len() } else { MOST_IN_SHORT };
        for (part, line) in steps {
            if left == 0 {
                break;
            }
            let Some(line) = line.filter(|line| self.fills && !frame.after.contains(line)) else {
                continue;
            };
            if whole(&self.text(body, &frame), frame.ask).chars().count() >= from {
                break;
            }
            let mut longer = frame.clone();
            match part {
                Part::Ending => longer.after.insert(0, line),
                Part::Question => longer.after.push(line),
                Part::Lead if longer.lead.is_empty() && longer.question_first.is_empty() => longer.lead = line,
                Part::Lead => continue,
            }
            if self.fits(&self.text(body, &longer), &longer) {
                frame = longer;
                left -= 1;
            }
        }
        frame
    }

    /// Where the sentences of a text end. To find them takes longest of all, so those of the description's whole sentences are
    /// taken from what is known of it.
    fn ends_in(&self, body: &str) -> Cow<'_, [usize]> {
        let known = self.ends.partition_point(|end| *end <= body.len());
        let next = self.ends.get(known).copied().unwrap_or(body.len());
        let is_whole = self.source.starts_with(body) && self.source[body.len()..next].trim().is_empty();
        match &self.ends[..known] {
            ends if is_whole && ends.last() == Some(&body.len()) => Cow::Borrowed(ends),
            ends if is_whole => Cow::Owned(ends.iter().copied().chain([body.len()]).collect()),
            _ => Cow::Owned(sentence_ends(body)),
        }
    }

    /// The longest beginning of `source` that fits into the frame.
    fn longest(&self, source: &str, cut: Cut, frame: &Frame<'_>) -> Option<String> {
        fit(source, &self.ends_in(source), &self.brief.language, cut, |body| {
            self.fits(&self.text(body, frame), frame)
        })
    }

    /// Adds the missing words: all, even if whole sentences or clauses must go for them, or else as many as fit. For the
    /// first `required` of them words may go, too.
    fn with_keywords<'f>(
        &self,
        source: &str,
        kept: String,
        plain: Frame<'f>,
        required: usize,
        missing: &'f [&'f str],
    ) -> (String, Frame<'f>) {
        let with = |count: usize| Frame {
            keywords: &missing[..count],
            ..plain.clone()
        };
        let all = with(missing.len());
        if let Some(shorter) = self.longest(source, Cut::Clean, &all)
            && text::words(&shorter).count() >= ENOUGH_WORDS
        {
            return (shorter, all);
        }
        if required > 0 {
            let bare = with(required);
            let unasked = Frame {
                ask: "",
                ..bare.clone()
            };
            for frame in [bare, unasked] {
                if let Some(shorter) = self.longest(source, Cut::Any, &frame) {
                    return (shorter, frame);
                }
            }
        }
        let fitting = (0..=missing.len())
            .rev()
            .map(with)
            .find(|frame| self.fits(&self.text(&kept, frame), frame));
        (kept, fitting.unwrap_or(plain))
    }

    /// The words that the text should hold and does not; so many of them must.
    fn missing_words(&self, body: &str) -> (usize, Vec<&'a str>) {
        if self.brief.required.is_empty() && self.brief.keywords.is_empty() {
            return (0, Vec::new());
        }
        let body = Searched::of(body);
        let missing = |words: &'a [Keyword]| {
            words
                .iter()
                .map(Keyword::as_str)
                .filter(|word| !body.contains(word) && !holds_avoided(word, self.brief))
        };
        let mut all: Vec<&str> = missing(&self.brief.required).collect();
        let required = all.len();
        for word in missing(&self.brief.keywords) {
            if !all.iter().any(|other| contains_phrase(other, word)) {
                all.push(word);
            }
        }
        (required, all)
    }

    /// Everything but the call to action, which stands apart.
    fn text(&self, body: &str, frame: &Frame<'_>) -> String {
        let space = layout::between_sentences(&self.brief.language);
        // Short captions are one paragraph.
        let gap = if self.brief.target_chars.0 > SHORT {
            "\n\n"
        } else {
            space
        };
        let mut text = String::with_capacity(body.len() + 200);
        let mut add = |between: &str, piece: &str| {
            if !piece.is_empty() {
                if !text.is_empty() {
                    text.push_str(between);
                }
                text.push_str(piece);
            }
        };
        add(" ", &self.disclosure);
        add(" ", frame.question_first);
        let after_question = if frame.question_first.is_empty() { " " } else { "\n\n" };
        if frame.lines {
            add(" ", &as_sentence(frame.lead));
            add(
                if frame.lead.is_empty() { " " } else { "\n" },
                &layout::in_lines(body, &self.ends_in(body)),
            );
        } else if frame.lead.is_empty() {
            add(after_question, &self.laid_out(body));
        } else if self.disclosure.is_empty() && self.goes_behind_colon(body) {
            add(" ", frame.lead);
            // The wide colon has its space within.
            add(
                if frame.lead.ends_with('：') { "" } else { " " },
                &self.laid_out(&self.behind_colon(body)),
            );
        } else {
            add(" ", &as_sentence(frame.lead));
            add(space, &self.laid_out(body));
        }
        // A row of many emoji is parted: some where the description ends, the others at the end.
        let parted = self.emoji.len().min(if frame.after.is_empty() {
            usize::MAX
        } else {
            MOST_IN_A_ROW
        });
        let (first, last) = self.emoji.split_at(parted);
        add(" ", &first.concat());
        add(
            if self.emoji.is_empty() || !gap.is_empty() {
                gap
            } else {
                " "
            },
            &frame.after.join(space),
        );
        add(" ", &last.concat());
        add("\n\n", &frame.keywords.join(" · "));
        text
    }

    /// True for a text that begins with a word, and whose first sentence has no colon of its own.
    fn goes_behind_colon(&self, body: &str) -> bool {
        if !body.starts_with(char::is_alphanumeric) || !body.contains([':', '：', '\n']) {
            return body.starts_with(char::is_alphanumeric);
        }
        let first = self.ends_in(body).first().copied().unwrap_or(body.len());
        !body[..first].contains([':', '：', '\n'])
    }

    /// In paragraphs where it is long, and where a long caption was wished for.
    fn laid_out<'b>(&self, body: &'b str) -> Cow<'b, str> {
        if self.brief.target_chars.0 > SHORT {
            layout::in_paragraphs(body, &self.ends_in(body))
        } else {
            Cow::Borrowed(body)
        }
    }

    /// For a description of which nothing may be said.
    pub(super) fn without_description(&self) -> Draft {
        let line = self.asks.first().or(self.endings.first()).map_or("", String::as_str);
        let mut text = format!("{} {line}", self.disclosure).trim().to_owned();
        if text.is_empty() || !self.fits(&text, &Frame::default()) {
            NOTHING.clone_into(&mut text);
        }
        Draft {
            angle: "plain".to_owned(),
            ..Draft::plain(&text)
        }
    }

    /// True if text and call to action keep the wished length, the limit of the request, and the platform's.
    fn fits(&self, text: &str, frame: &Frame<'_>) -> bool {
        let limit = limit(self.brief);
        // No unit counts more than bytes, but for links where they have a fixed weight.
        let most = text.len() + frame.ask.len() + 2;
        if most <= limit.min(self.rules.max_chars) && self.rules.unit != Unit::Weighted {
            return true;
        }
        let text = whole(text, frame.ask);
        text.chars().count() <= limit
            && text.encode_utf16().count() <= self.rules.max_chars
            && text::length_in(self.rules.unit, &text) <= self.rules.max_chars
    }
}

/// What can be added to come to a length.
enum Part {
    Lead,
    Ending,
    Question,
}

/// Text and call to action as they are joined in the end.
fn whole<'t>(text: &'t str, ask: &str) -> Cow<'t, str> {
    if ask.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}\n\n{ask}"))
    }
}

/// The words at the head of a paid post that say so, and the description without such words of its own: the user's own
/// label where there is one that may stand, and no words where the beginning says so anyway.
fn disclosure(brief: &Brief) -> (String, &str) {
    let about = brief.description.as_str();
    if !brief.sponsored {
        return (String::new(), about);
    }
    let head = about.trim_start();
    let own = check::label_end(head).map(|end| head.split_at(end));
    if let Some((label, rest)) =
        own.filter(|(label, _)| !label.starts_with(['#', '＃']) && !holds_avoided(label, brief))
    {
        return (label.to_owned(), rest);
    }
    let rest = check::leading_tag(head).map(|(_, rest)| rest);
    let about = rest.or(own.map(|(_, rest)| rest)).unwrap_or(about);
    if check::discloses(text::fold(about, brief.rules().fold).0) {
        return (String::new(), about);
    }
    let all = phrases::disclosures(brief.language.primary());
    let allowed = all.into_iter().find(|words| !holds_avoided(words, brief));
    (allowed.unwrap_or_default().to_owned(), about)
}

/// The first letter as it stands behind a colon: as it was written, or a small one before a word that is no name.
fn small_first_letter(source: &str, written: Option<char>, brief: &Brief) -> Option<char> {
    let first = source.chars().next()?;
    if let Some(written) = written.filter(|written| written.is_lowercase()) {
        // A sentence may have gone since.
        return (written.to_uppercase().eq(first.to_uppercase())).then_some(written);
    }
    let word = text::words(source).next()?;
    let is_name = word == "I" || word.starts_with("I'") || word.starts_with("I’");
    let mut small = first.to_lowercase();
    let is_plain = !is_name && !word.chars().skip(1).any(char::is_uppercase);
    (is_plain && !Words::of(&brief.language).is_content(word) && small.len() == 1)
        .then(|| small.next())
        .flatten()
}

/// The most characters of a caption without its tags.
pub(super) fn limit(brief: &Brief) -> usize {
    brief.target_chars.1.min(brief.max_chars)
}
