//! What could be a tag: the writer's proposals, the user's words, and the phrases of description and caption.

use std::sync::Arc;

use super::{
    lists,
    source::{self, Field, Origin, Sources},
    spelling,
};
use crate::{
    brief::Brief,
    phrases::{Part, Words, is_unspaced},
    text::is_tag_body,
};

/// How specific a tag is taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Three words or more.
    Niche,
    /// Two words, or one that is not common.
    Mid,
    /// One common word.
    Broad,
    /// The user's own.
    Branded,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::Niche, Self::Mid, Self::Broad, Self::Branded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Niche => "niche",
            Self::Mid => "mid",
            Self::Broad => "broad",
            Self::Branded => "branded",
        }
    }

    /// What it rests on. How often tags are used is not known here, so their words stand for it: `proxy`. `given` for the
    /// user's own.
    pub const fn basis(self) -> &'static str {
        match self {
            Self::Niche | Self::Mid | Self::Broad => "proxy",
            Self::Branded => "given",
        }
    }

    fn of(pieces: &[String]) -> Self {
        // A row of signs of a script without spaces holds more words the longer it is.
        let words = match pieces {
            [one] if one.chars().all(is_unspaced) => one.chars().count().div_ceil(3),
            pieces => pieces.len(),
        };
        match words {
            0 | 1 if pieces.iter().any(|piece| lists::is_common(piece)) => Self::Broad,
            0..=2 => Self::Mid,
            _ => Self::Niche,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) body: String,
    /// In small letters.
    pub(super) folded: String,
    pub(super) stems: Vec<Arc<str>>,
    pub(super) tier: Tier,
    pub(super) relevance: f64,
    pub(super) source: Origin,
}

/// One candidate as it is placed among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<'c> {
    pub(super) candidate: &'c Candidate,
    pub(super) relevance: f64,
}

/// A phrase of the description as a tag. What it is worth depends on the caption, too.
pub(super) struct Said {
    stems: Vec<Arc<str>>,
    specific: f64,
    early: f64,
    candidate: Candidate,
}

/// What makes tags of a brief, whatever the caption.
pub(crate) struct Ground<'a> {
    pub(super) brief: &'a Brief,
    pub(super) words: &'a Words,
    pub(super) fields: Vec<Field<'a>>,
    /// The stems of what the user gave.
    pub(super) known: Vec<Arc<str>>,
    pub(super) spelling: Spelling<'a>,
    /// The user's own tags, each once.
    pub(super) branded: Vec<Candidate>,
    /// The words that the user wants to be found by, as far as they make tags.
    pub(super) keywords: Vec<Candidate>,
    pub(super) phrases: Vec<Said>,
}

impl<'a> Ground<'a> {
    /// `description` is that of the brief as far as it speaks to readers.
    pub(crate) fn of(brief: &'a Brief, description: &'a str, words: &'a Words) -> Self {
        let fields = source::given(brief, description, words);
        let mut known = words.shared_stems(description);
        let wishes = brief.keywords.iter().chain(&brief.required);
        known.extend(wishes.flat_map(|keyword| words.shared_stems(keyword.as_str())));
        let spelling = Spelling {
            language: brief.language.primary(),
            shouts: spelling::shouts(brief.description.as_str()),
        };
        let mut branded: Vec<Candidate> = Vec::new();
        for (index, tag) in brief.brand_tags.iter().enumerate() {
            let folded = spelling.folded(tag.as_str());
            if !branded.iter().any(|other| folded == other.folded) {
                branded.push(Candidate {
                    body: tag.as_str().to_owned(),
                    folded,
                    stems: words.shared_stems(tag.as_str()),
                    tier: Tier::Branded,
                    relevance: 1.0,
                    source: Origin::whole(format!("brand_tags/{index}"), tag.as_str()),
                });
            }
        }
        let keyword = |field: &Field<'_>| {
            let pieces = spelling::pieces(field.text);
            let source = Origin::whole(field.name.clone(), field.text);
            spelling.candidate(&pieces, words.shared_stems(field.text), 0.9, source)
        };
        let keywords = fields.iter().skip(1).map(keyword);
        let keywords = keywords.filter(|candidate| candidate.is_usable(brief)).collect();
        let mut phrases = Vec::new();
        words.each_phrase(description, |phrase| {
            let (letters, stems) = (spelling.letters(phrase), stems(phrase));
            let Some(source) = source::trace(&fields, &stems, &letters) else {
                return;
            };
            let candidate = spelling.candidate(&texts(phrase), stems.clone(), 0.0, source);
            phrases.extend(candidate.is_usable(brief).then(|| Said {
                specific: specific(phrase, spelling.language),
                early: early(phrase),
                stems,
                candidate,
            }));
        });
        Self {
            brief,
            words,
            fields,
            known,
            spelling,
            branded,
            keywords,
            phrases,
        }
    }
}
/// Collects what a caption and its writer add.
pub(super) struct Collector<'a> {
    pub(super) words: &'a Words,
    pub(super) ground: &'a Ground<'a>,
    pub(super) sources: Sources<'a>,
    pub(super) spelling: Spelling<'a>,
}

impl Collector<'_> {
    /// The writer's, as far as they name something that is said: no tag may claim what nobody said.
    pub(super) fn proposed(&self, proposed: &[String]) -> Vec<Candidate> {
        let all = proposed.iter().enumerate();
        all.filter_map(|(rank, proposal)| {
            let mut pieces = spelling::pieces(proposal);
            // A tag in one small row may be several words that stand somewhere.
            if let [one] = pieces.as_slice()
                && let Some(apart) = self.sources.spelled(one)
            {
                pieces = apart;
            }
            let stems = self.words.shared_stems(&pieces.join(" "));
            let letters = self.spelling.folded(&pieces.concat());
            let source = self.sources.trace(&stems, &letters)?;
            let holds = |stem: &&Arc<str>| {
                stems.contains(stem) || (stem.chars().count() > 3 && letters.contains(stem.as_ref()))
            };
            let shared = self.ground.known.iter().filter(holds).count();
            #[expect(clippy::cast_precision_loss, reason = "ranks and counts are tiny")]
            let relevance = 0.8 + 0.1 * shared.min(2) as f64 - 0.02 * rank as f64;
            Some(self.spelling.candidate(&pieces, stems, relevance, source))
        })
        .collect()
    }

    /// The phrases of the description; those that the caption says again are worth more.
    pub(super) fn said(&self) -> impl Iterator<Item = Ranked<'_>> {
        self.ground.phrases.iter().map(|said| Ranked {
            candidate: &said.candidate,
            relevance: rounded(said.specific + 0.2 * self.shared(said.stems.iter(), false) + said.early),
        })
    }

    /// The phrases of the caption that have a word in common with what the user gave.
    pub(super) fn phrases(&self) -> Vec<Candidate> {
        let mut phrases = Vec::new();
        self.words.each_phrase(self.sources.caption().text, |phrase| {
            let shared = self.shared(phrase.iter().map(Part::stem), true);
            if shared == 0.0 {
                return;
            }
            let relevance = 0.8 * specific(phrase, self.spelling.language) * shared;
            let (letters, stems) = (self.spelling.letters(phrase), stems(phrase));
            if let Some(source) = self.sources.trace(&stems, &letters) {
                phrases.push(self.spelling.candidate(&texts(phrase), stems, relevance, source));
            }
        });
        phrases
    }

    /// The share of the stems that the user gave (`given`), or that the caption has, 0-1.
    fn shared<'s>(&self, stems: impl ExactSizeIterator<Item = &'s Arc<str>>, given: bool) -> f64 {
        let all = stems.len();
        let shared = stems.filter(|stem| self.sources.holds(given, stem)).count();
        #[expect(clippy::cast_precision_loss, reason = "a phrase has at most three words")]
        let share = shared as f64 / all as f64;
        share
    }
}

fn stems(phrase: &[Part<'_>]) -> Vec<Arc<str>> {
    phrase.iter().map(|part| Arc::clone(part.stem())).collect()
}

fn texts<'a>(phrase: &[Part<'a>]) -> Vec<&'a str> {
    phrase.iter().map(|part| part.word).collect()
}

/// How specific a phrase is by its words, 0-1.
fn specific(phrase: &[Part<'_>], language: &str) -> f64 {
    match phrase.len() {
        // What somebody does ("puppy running") is no name that anybody looks for.
        _ if language == "en" && phrase.iter().any(|part| part.word.ends_with("ing")) => 0.2,
        2 => 0.6,
        3 => 0.5,
        _ => 0.35,
    }
}

/// What is said first counts a little more.
fn early(phrase: &[Part<'_>]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a text has few thousand words")]
    let position = phrase[0].position() as f64;
    0.1 / (1.0 + position / 20.0)
}

/// 0-1 with three decimals, so that it reads the same everywhere.
fn rounded(relevance: f64) -> f64 {
    (relevance.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

/// How tags are written for a brief.
#[derive(Clone, Copy)]
pub(super) struct Spelling<'a> {
    pub(super) language: &'a str,
    /// The description is in capitals.
    pub(super) shouts: bool,
}

impl Spelling<'_> {
    /// The letters of a phrase in one row.
    fn letters(self, phrase: &[Part<'_>]) -> String {
        self.folded(&texts(phrase).concat())
    }

    fn candidate(self, pieces: &[impl AsRef<str>], stems: Vec<Arc<str>>, relevance: f64, source: Origin) -> Candidate {
        let pieces: Vec<String> = pieces
            .iter()
            .flat_map(|piece| spelling::pieces(piece.as_ref()))
            .collect();
        let body = spelling::joined(&pieces, self.language, self.shouts);
        Candidate {
            folded: self.folded(&body),
            tier: Tier::of(&pieces),
            body,
            stems,
            relevance: rounded(relevance),
            source,
        }
    }

    fn folded(self, text: &str) -> String {
        spelling::lowered(text, self.language)
    }
}

impl Candidate {
    pub(super) const fn ranked(&self) -> Ranked<'_> {
        Ranked {
            candidate: self,
            relevance: self.relevance,
        }
    }

    /// Within the grammar, on no list, and none of the words to avoid.
    pub(super) fn is_usable(&self, brief: &Brief) -> bool {
        let is_avoided = |word: &str| {
            let compact: String = word.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
            let plain = self.folded.replace('_', "");
            self.folded.contains(&compact)
                || plain.contains(&compact)
                || crate::check::contains_phrase(&format!("#{}", self.body), word)
        };
        (2..=30).contains(&self.body.chars().count())
            && is_tag_body(&self.body)
            && !lists::is_generic_or_denied(&self.body)
            && !brief.avoid.iter().any(|word| is_avoided(word.as_str()))
    }

    /// The same tag to a reader: in another case, in the plural, or misspelt by a letter.
    pub(super) fn is_duplicate_of(&self, other: &Self) -> bool {
        if self.folded == other.folded {
            return true;
        }
        // Nearly all tags are no more alike than this, and it is quickly seen.
        let may_be = (!self.stems.is_empty() && self.stems == other.stems) || may_be_near(&self.folded, &other.folded);
        may_be
            && (digits(&self.folded).eq(digits(&other.folded))
                && ((!self.stems.is_empty() && self.stems == other.stems) || is_near(&self.folded, &other.folded)))
    }

    /// Shared stems over those of the shorter tag, 0-1: what stands inside another tag says nothing new.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        let shared = self.stems.iter().filter(|stem| other.stems.contains(stem)).count();
        #[expect(clippy::cast_precision_loss, reason = "a tag has a handful of stems")]
        let likeness = shared as f64 / self.stems.len().min(other.stems.len()).max(1) as f64;
        likeness
    }
}

/// Other digits are another thing: no plural and no slip.
fn digits(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_numeric())
}

/// False if the lengths alone tell that [`is_near`] is: a slip takes or gives a letter of at most four bytes.
fn may_be_near(a: &str, b: &str) -> bool {
    a.len().abs_diff(b.len()) <= 4 && a.len().min(b.len()) >= 8
}

/// One slip in eight letters or more.
fn is_near(a: &str, b: &str) -> bool {
    const LEAST_LETTERS: usize = 8;
    let (long, other) = (a.chars().count(), b.chars().count());
    long.min(other) >= LEAST_LETTERS
        && long.abs_diff(other) <= 1
        && (a.chars().next() == b.chars().next() || a.chars().next_back() == b.chars().next_back())
        && strsim::osa_distance(a, b) <= 1
}
