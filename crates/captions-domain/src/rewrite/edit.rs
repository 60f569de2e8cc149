//! One caption being changed: what is asked, whether an answer is what was asked for, and what becomes of it.

use super::{
    By, Operation, RewriteRequest,
    ask::{self, Question},
    cover::{Covered, cover},
    diff::{self, Op},
    parts::Parts,
    preserved::{self, Care, Preserved},
    rules::{self, Work},
    tokens::{Kind, Token, tokens},
    wish::{self, Wish},
};
use crate::{
    caption::{Variant, Warning},
    cliche,
    fault::LlmError,
    given::Given,
    polish::{clean, judged, judged_as, without_label_and_quotes},
    ports::Grade,
    prompt::{Prompt, Templates, data},
    reply::{self, language},
    request::Language,
    text,
    user::Preferences,
};

/// What no model is trusted with, on first asking. Numbers stay in view then: their words have to agree with them.
const COVERED: &[Kind] = &[Kind::Link, Kind::Mention, Kind::Hashtag, Kind::Emoji];
/// What is covered once a number has come back changed.
const ALL_COVERED: &[Kind] = &[
    Kind::Link,
    Kind::Mention,
    Kind::Hashtag,
    Kind::Emoji,
    Kind::Number,
    Kind::Name,
];

/// A correction that leaves less than this share of the words, in percent, is no correction.
const FIX_KEEPS: usize = 50;

/// The change that was asked for.
pub(crate) struct Edit<'a> {
    request: &'a RewriteRequest,
    /// The caption as it was given.
    given: Parts,
    /// The same as far as it is known before anybody is asked what of it stays.
    start: Work,
    pub(crate) wish: Wish,
}

/// A changed caption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edited {
    work: Work,
    preserved: Preserved,
    /// What is wrong with it, in words for whoever is asked again.
    pub(crate) faults: Vec<String>,
    /// It is not what was asked for, and no rule makes it so.
    pub(crate) is_wrong: bool,
    /// A number was changed, or a name.
    lost_facts: bool,
}

impl<'a> Edit<'a> {
    pub(crate) fn new(request: &'a RewriteRequest, preferences: &Preferences) -> Self {
        let given = Parts::of(request.text.as_str());
        let wish = wish::resolve(request, &given, preferences);
        let mut start = Work::on(given.clone());
        match request.operation {
            Operation::Fix => rules::fix(&mut start, &wish.after),
            Operation::Shorten(_) => rules::leave_room(&mut start, &wish.after),
            Operation::Adapt(_) => rules::adapt(&mut start, &wish.after),
            Operation::Expand(_) | Operation::Tone(_) | Operation::DeCliche | Operation::Translate(_) => {}
        }
        Self {
            request,
            given,
            start,
            wish,
        }
    }

    /// Whether there is anything to ask a model for: words, and for a shorter text too many of them.
    pub(crate) fn needs_a_model(&self) -> bool {
        let has_words = tokens_out(&self.given.caption).chars().any(char::is_alphabetic);
        let is_short_enough = matches!(self.request.operation, Operation::Shorten(_))
            && rules::fits(&self.given.caption, &self.given.tags, &self.wish.after);
        has_words && !is_short_enough
    }

    /// What the model is shown. After an answer that changed numbers or names, they are covered as well.
    pub(crate) fn covered(&self, last: Option<&Edited>) -> Covered {
        let kinds = if last.is_some_and(|last| last.lost_facts) {
            ALL_COVERED
        } else {
            COVERED
        };
        cover(&self.start.parts.caption, kinds)
    }

    /// The question, with what was wrong with the last answer.
    pub(crate) fn question(&self, covered: &Covered, faults: &[String], templates: &Templates) -> Prompt {
        let tags = Variant::published("", &self.start.parts.tags).chars().count();
        // The blank line between the two.
        let taken = if tags == 0 { 0 } else { tags + 2 };
        let question = Question {
            operation: &self.request.operation,
            wish: &self.wish,
            covered,
            room: self.wish.after.max_chars.saturating_sub(taken),
            description: self.request.description.as_ref(),
            worn: self.worn(&self.given.caption),
            provider: self.request.provider.clone(),
            templates,
        };
        ask::render(&question, faults)
    }

    /// Worn phrases and figures, where it is about them.
    fn worn(&self, caption: &str) -> Vec<String> {
        if self.request.operation != Operation::DeCliche {
            return Vec::new();
        }
        cliche::find(
            caption,
            &self.wish.before.language,
            self.wish.after.description.as_str(),
        )
        .into_iter()
        .map(|marker| marker.place.text)
        .collect()
    }

    /// Reads an answer: repairs what rules can, and says what is wrong with the rest.
    pub(crate) fn read(
        &self,
        answer: &str,
        covered: &Covered,
        prompt: &Prompt,
        grade: Grade,
    ) -> Result<Edited, LlmError> {
        let mut checked = prompt.clone();
        if self.wish.language.is_none() {
            // Nobody knows what the caption is in, so no answer is in another language.
            checked.brief.language = language::of(answer).unwrap_or_default();
        }
        let draft = reply::read(answer, &checked, grade)?.into_iter().next();
        let text = draft.map(|draft| draft.text()).unwrap_or_default();
        let text = covered.uncover(&without_label_and_quotes(&clean(&text), &self.start.parts.caption));
        // The hashtags behind the text were not shown: whatever stands there was thought up.
        let Parts { caption, tags } = Parts::of(&text);
        let known = self.known();
        let care = Care {
            may_lose: self.request.operation.may_lose(),
            may_add_emoji: self.request.operation.may_add_emoji(),
        };
        let (caption, mut preserved) = preserved::repair(&self.start.parts.caption, &clean(&caption), &known, care);
        let invented = |tag: &String| !self.given.tags.contains(tag) && !known.contains(tag.as_str());
        preserved
            .invented
            .extend(tags.into_iter().filter(invented).map(|text| Token {
                kind: Kind::Hashtag,
                text,
            }));
        let mut work = self.start.clone();
        work.parts.caption = caption;
        if !preserved.repaired.is_empty() {
            work.repairs
                .push("put back what had been changed or left out".to_owned());
        }
        if preserved.invented.iter().any(|token| is_taken_out(token, care)) {
            work.repairs.push("took out what the caption does not name".to_owned());
        }
        if matches!(self.request.operation, Operation::Fix | Operation::Adapt(_)) {
            rules::keep_rules(&mut work, &self.wish.after);
        }
        if work.parts.caption.trim().is_empty() {
            return Err(LlmError::unusable("nothing is left of the answer after the rules"));
        }
        Ok(self.judged(work, preserved, care))
    }

    fn judged(&self, work: Work, preserved: Preserved, care: Care) -> Edited {
        let mut faults = Vec::new();
        let mut is_wrong = false;
        if let Some(fault) = self.undone(&work.parts.caption) {
            faults.push(fault);
            is_wrong = true;
        }
        if let Some(wanted) = &self.wish.language {
            let given = format!("{}\n{}", self.given.caption, self.known());
            if !language::switches(&work.parts.caption, wanted, &given).is_empty() {
                faults.push(format!("it has a sentence that is not in {}", wanted.english_name()));
                is_wrong = true;
            }
        }
        let is_fact = |token: &&Token| matches!(token.kind, Kind::Number | Kind::Name);
        let lost: Vec<&Token> = preserved
            .lost
            .iter()
            .filter(is_fact)
            .filter(|_| !care.may_lose)
            .collect();
        for token in &lost {
            faults.push(format!("it has lost {}", quoted(&token.text)));
            is_wrong |= token.kind == Kind::Number;
        }
        let invented: Vec<&Token> = preserved.invented.iter().filter(is_fact).collect();
        for token in invented.iter().filter(|token| token.kind == Kind::Number) {
            faults.push(format!(
                "it has {}, which the caption does not say",
                quoted(&token.text)
            ));
            // Better what rules make of it than a number that nobody gave.
            is_wrong |= self.request.operation.has_rules();
        }
        let lost_facts = !lost.is_empty() || invented.iter().any(|token| token.kind == Kind::Number);
        let variant = judged(
            work.parts.caption.clone(),
            work.parts.tags.clone(),
            &Given::of(&self.wish.after),
        );
        for broken in &variant.violations {
            faults.push(format!(
                "{}: it has {}, allowed: {}",
                broken.rule,
                quoted(&broken.value),
                broken.limit
            ));
        }
        Edited {
            work,
            preserved,
            faults,
            is_wrong,
            lost_facts,
        }
    }

    /// Why the operation is not done, if it is not. A tone cannot be measured, so nothing is said of it.
    fn undone(&self, caption: &str) -> Option<String> {
        let before = &self.given.caption;
        match &self.request.operation {
            Operation::Expand(_) => (caption.chars().count() <= before.chars().count())
                .then(|| "it is not longer than the caption was".to_owned()),
            Operation::Translate(to) => {
                let is_same = plain(caption) == plain(before) && text::words(&tokens_out(before)).count() > 1;
                let is_another = self.wish.before.language.primary() != to.primary();
                (is_same && is_another).then(|| format!("it is not translated into {}", to.english_name()))
            }
            Operation::Fix => {
                let kept: usize = diff::between(&self.start.parts.caption, caption)
                    .iter()
                    .filter(|change| change.op == Op::Equal)
                    .map(|change| text::words(&change.text).count())
                    .sum();
                let there = text::words(&self.start.parts.caption).count();
                // A word or two may all be wrong.
                (there > 4 && kept * 100 < there * FIX_KEEPS)
                    .then(|| "it changes more than spelling, grammar and punctuation".to_owned())
            }
            Operation::DeCliche => {
                let (old, new) = (self.worn(before), self.worn(caption));
                (!old.is_empty() && new.len() >= old.len())
                    .then(|| format!("it still has worn phrases: {}", quoted(&new.join(", "))))
            }
            Operation::Shorten(_) | Operation::Tone(_) | Operation::Adapt(_) => None,
        }
    }

    /// What else is true than what the caption says.
    fn known(&self) -> String {
        let description = self.request.description.as_ref();
        let mut known = description.map(|text| text.as_str().to_owned()).unwrap_or_default();
        for word in &self.wish.after.required {
            known.push('\n');
            known.push_str(word.as_str());
        }
        known
    }

    /// The same by rules alone.
    pub(crate) fn by_rules(&self) -> Edited {
        let mut work = self.start.clone();
        rules::apply(&self.request.operation, &mut work, &self.wish.after);
        Edited {
            work,
            preserved: Preserved::default(),
            faults: Vec::new(),
            is_wrong: false,
            lost_facts: false,
        }
    }

    /// The caption as it was given.
    pub(crate) fn untouched(&self) -> Edited {
        Edited {
            work: Work::on(self.given.clone()),
            preserved: Preserved::default(),
            faults: Vec::new(),
            is_wrong: false,
            lost_facts: false,
        }
    }

    /// The given caption, judged.
    pub(crate) fn before(&self) -> Variant {
        let Parts { caption, tags } = self.given.clone();
        let text = self.request.text.as_str().to_owned();
        judged_as(text, caption, tags, &Given::of(&self.wish.before))
    }

    /// The changed caption as it is answered, with what happened to its pieces.
    pub(crate) fn finished(&self, edited: Edited) -> (Variant, Preserved) {
        let Edited {
            mut work,
            mut preserved,
            ..
        } = edited;
        rules::fit(&mut work, &self.wish.after);
        let given = self.request.text.as_str();
        let mut text = work.published();
        if work.parts == self.given && text != given {
            // Its line breaks are the user's, unless there are too many.
            if rules::fits(given, &[], &self.wish.after) {
                given.clone_into(&mut text);
            } else {
                work.repairs.push("set the space around hashtags right".to_owned());
            }
        }
        let Work { parts, repairs } = work;
        let variant = Variant {
            repairs,
            ..judged_as(text, parts.caption, parts.tags, &Given::of(&self.wish.after))
        };
        let all = preserved::check(self.request.text.as_str(), &variant.text, &self.known());
        preserved.lost = all.lost;
        for token in all.invented {
            let may_be = token.kind == Kind::Emoji && self.request.operation.may_add_emoji();
            if !may_be && !preserved.invented.contains(&token) {
                preserved.invented.push(token);
            }
        }
        (variant, preserved)
    }

    /// What the caller should know of the answer.
    pub(crate) fn warnings(&self, by: By, after: &Variant, preserved: &Preserved) -> Vec<Warning> {
        let mut warnings = self.wish.warnings.clone();
        let mut warn = |code: &str, detail: String| warnings.push(Warning::new(code, detail));
        if after.text == self.request.text.as_str() {
            warn("unchanged", "the caption is as it was given".to_owned());
        }
        if by == By::Rules && self.request.operation == Operation::Fix && self.needs_a_model() {
            warn(
                "spelling_not_checked",
                "spelling and grammar take a model, and none answered".to_owned(),
            );
        }
        let facts = |tokens: &[Token], kind: Kind| tokens.iter().any(|token| token.kind == kind);
        if facts(&preserved.invented, Kind::Number) {
            warn(
                "invented",
                "the new text has a number that was not given: see preserved.invented".to_owned(),
            );
        }
        if !self.request.operation.may_lose()
            && (facts(&preserved.lost, Kind::Number) || facts(&preserved.lost, Kind::Name))
        {
            warn(
                "lost",
                "a number or a name did not come through: see preserved.lost".to_owned(),
            );
        }
        if let Operation::Adapt(platform) = self.request.operation
            && let Some((code, detail)) = rules::advice(platform, &after.text)
        {
            warn(code, detail);
        }
        warnings
    }

    pub(crate) const fn language(&self) -> &Language {
        &self.wish.after.language
    }
}

/// Whether [`preserved::repair`] took it out again.
fn is_taken_out(token: &Token, care: Care) -> bool {
    match token.kind {
        Kind::Link | Kind::Mention | Kind::Hashtag => true,
        Kind::Emoji => !care.may_add_emoji,
        Kind::Number | Kind::Name => false,
    }
}

/// Words of users end where they end.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    data::quote(&mut quoted, text);
    quoted
}

fn plain(text: &str) -> String {
    text::words(text).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The text without its pieces.
fn tokens_out(text: &str) -> String {
    let mut plain = text.to_owned();
    for token in tokens(text) {
        if token.kind != Kind::Name {
            plain = plain.replacen(&token.text, " ", 1);
        }
    }
    plain
}
