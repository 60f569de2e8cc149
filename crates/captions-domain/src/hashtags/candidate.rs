//! What could be a tag: the writer's proposals, the user's words, and the phrases of description and caption.

use super::{
    lists,
    source::{Origin, Sources},
    spelling,
};
use crate::{
    brief::Brief,
    phrases::{Phrase, Words, is_unspaced},
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
    pub(super) stems: Vec<String>,
    pub(super) tier: Tier,
    pub(super) relevance: f64,
    pub(super) source: Origin,
}

/// Collects candidates for one brief.
pub(super) struct Collector<'a> {
    pub(super) words: &'a Words,
    pub(super) brief: &'a Brief,
    pub(super) sources: &'a Sources<'a>,
    /// The stems of what the user gave.
    pub(super) known: Vec<String>,
    pub(super) shouts: bool,
}

impl Collector<'_> {
    /// The user's own tags, as they write them.
    pub(super) fn branded(&self) -> Vec<Candidate> {
        let tags = self.brief.brand_tags.iter().enumerate();
        tags.map(|(index, tag)| Candidate {
            body: tag.as_str().to_owned(),
            folded: self.folded(tag.as_str()),
            stems: self.words.stems(tag.as_str()),
            tier: Tier::Branded,
            relevance: 1.0,
            source: Origin::whole(format!("brand_tags/{index}"), tag.as_str()),
        })
        .collect()
    }

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
            let stems = self.words.stems(&pieces.join(" "));
            let letters = self.folded(&pieces.concat());
            let source = self.sources.trace(&stems, &letters)?;
            let holds =
                |stem: &&String| stems.contains(stem) || (stem.chars().count() > 3 && letters.contains(stem.as_str()));
            let shared = self.known.iter().filter(holds).count();
            #[expect(clippy::cast_precision_loss, reason = "ranks and counts are tiny")]
            let relevance = 0.8 + 0.1 * shared.min(2) as f64 - 0.02 * rank as f64;
            Some(self.candidate(&pieces, stems, relevance, source))
        })
        .collect()
    }

    /// The words that the user wants to be found by.
    pub(super) fn keywords(&self) -> Vec<Candidate> {
        let fields = self.sources.all().iter();
        fields
            .filter(|field| field.name.contains('/'))
            .map(|field| {
                let pieces = spelling::pieces(field.text);
                let source = Origin::whole(field.name.clone(), field.text);
                self.candidate(&pieces, self.words.stems(field.text), 0.9, source)
            })
            .collect()
    }

    /// Phrases of the description, and those of the caption that have a word in common with what the user gave.
    pub(super) fn phrases(&self) -> Vec<Candidate> {
        let fields = self.sources.all().iter();
        let mut candidates = Vec::new();
        for field in fields.filter(|field| !field.name.contains('/')) {
            let is_given = field.name != "text";
            for phrase in self.words.phrases(field.text) {
                candidates.extend(self.phrase(phrase, is_given));
            }
        }
        candidates
    }

    fn phrase(&self, phrase: Phrase, is_given: bool) -> Option<Candidate> {
        // Of what the user gave: said again in the caption. Of the caption: said by the user.
        let shared = phrase
            .stems
            .iter()
            .filter(|stem| self.sources.holds(!is_given, stem))
            .count();
        if !is_given && shared == 0 {
            return None;
        }
        let specific = match phrase.words.len() {
            // What somebody does ("puppy running") is no name that anybody looks for.
            _ if self.brief.language.primary() == "en" && phrase.words.iter().any(|word| word.ends_with("ing")) => 0.2,
            2 => 0.6,
            3 => 0.5,
            _ => 0.35,
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a phrase has at most three words, a text few thousand"
        )]
        let (shared, early) = (
            shared as f64 / phrase.stems.len() as f64,
            0.1 / (1.0 + phrase.position as f64 / 20.0),
        );
        let relevance = if is_given {
            specific + 0.2 * shared + early
        } else {
            0.8 * specific * shared
        };
        let letters = self.folded(&phrase.words.concat());
        let source = self.sources.trace(&phrase.stems, &letters)?;
        Some(self.candidate(&phrase.words, phrase.stems, relevance, source))
    }

    fn candidate(&self, pieces: &[String], stems: Vec<String>, relevance: f64, source: Origin) -> Candidate {
        let pieces: Vec<String> = pieces.iter().flat_map(|piece| spelling::pieces(piece)).collect();
        let body = spelling::joined(&pieces, self.brief.language.primary(), self.shouts);
        Candidate {
            folded: self.folded(&body),
            tier: Tier::of(&pieces),
            body,
            stems,
            // Three decimals, so that it reads the same everywhere.
            relevance: (relevance.clamp(0.0, 1.0) * 1000.0).round() / 1000.0,
            source,
        }
    }

    fn folded(&self, text: &str) -> String {
        spelling::lowered(text, self.brief.language.primary())
    }
}

impl Candidate {
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
            && !lists::is_generic(&self.body)
            && !lists::is_denied(&self.body)
            && !brief.avoid.iter().any(|word| is_avoided(word.as_str()))
    }

    /// The same tag to a reader: in another case, in the plural, or misspelt by a letter.
    pub(super) fn is_duplicate_of(&self, other: &Self) -> bool {
        self.folded == other.folded
            || (digits(&self.folded).eq(digits(&other.folded))
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

/// One slip in eight letters or more.
fn is_near(a: &str, b: &str) -> bool {
    const LEAST_LETTERS: usize = 8;
    let (long, other) = (a.chars().count(), b.chars().count());
    long.min(other) >= LEAST_LETTERS
        && long.abs_diff(other) <= 1
        && (a.chars().next() == b.chars().next() || a.chars().next_back() == b.chars().next_back())
        && strsim::osa_distance(a, b) <= 1
}
