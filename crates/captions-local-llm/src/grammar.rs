//! Which texts may come out: an automaton over bytes that accepts one or two plain sentences made of allowed words.
//!
//! Left to itself a model of this size invents names, places and handles in most of its texts. Here it only chooses
//! among words that are harmless everywhere and words that the description itself holds.

use std::collections::HashMap;

use captions_domain::brief::Brief;

use crate::{
    exemplars::Exemplars,
    lexicon::{self, Class, Role},
    words::{self, Source},
};

/// The most words of the first and of the second sentence.
const MAX_WORDS: [usize; 2] = [14, 9];
/// The fewest words of the first and of the second sentence.
const MIN_WORDS: [usize; 2] = [2, 3];
const MAX_COMMAS: u8 = 3;
/// Words of the description that the first sentence must name, if the description has as many.
const MUST_NAME: usize = 2;
/// Room for every word of a caption.
const MAX_SAID: usize = MAX_WORDS[0] + MAX_WORDS[1];

/// An allowed word.
#[derive(Debug)]
pub(crate) struct Word {
    /// As it stands inside a sentence.
    pub(crate) text: String,
    stem: u16,
    pub(crate) class: Class,
    role: Role,
    /// It stands in the description or among the keywords.
    pub(crate) given: bool,
    /// It belongs to the word after it: in the description a further content word always follows at once (`wooden` in
    /// "a wooden table"), or it is a modifier of the list. Such a word does not end a phrase that an article began.
    leans: bool,
}

/// One way to write a word: every word has one for the start of a sentence and one for the inside.
struct Form {
    bytes: Vec<u8>,
    word: u16,
}

/// The stems around a number where the user wrote it; none where there is punctuation, or nothing.
struct Neighbours {
    number: u16,
    before: Option<u16>,
    after: Option<u16>,
}

/// The rules for one brief.
pub(crate) struct Grammar {
    words: Vec<Word>,
    /// Sorted by bytes, so that all forms with one beginning are neighbours.
    opening: Vec<Form>,
    inner: Vec<Form>,
    /// Avoided phrases of several words, as stems. Avoided single words are simply not allowed.
    avoided: Vec<Vec<u16>>,
    /// The description as stems, to recognise copies.
    description: Vec<u16>,
    /// Where numbers may stand, as stems.
    numbers: Vec<Neighbours>,
    /// Stems that may come before a number without changing what it says.
    neutral: Vec<u16>,
    must_name: usize,
    given_stems: usize,
    max_chars: usize,
    sentences: u8,
    exclaim: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A space must come, then a word.
    Space,
    /// The next byte begins a word.
    Word,
    /// Inside a word whose beginning is shared by the forms `low..high`, `depth` bytes in.
    Inside {
        low: u16,
        high: u16,
        depth: u8,
    },
    /// After a full stop: a further sentence or the end.
    Stop,
    End,
}

/// A place in the automaton: the text so far, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    phase: Phase,
    said: [u16; MAX_SAID],
    count: u8,
    /// Words said before this sentence.
    sentence_start: u8,
    sentence: u8,
    commas: u8,
    bytes: u16,
}

impl State {
    fn said(&self) -> &[u16] {
        &self.said[..usize::from(self.count)]
    }

    /// True once nothing more may come.
    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::End
    }

    /// True if the text may stand as it is.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Stop | Phase::End)
    }

    /// True if at least one sentence is complete.
    pub(crate) fn has_sentence(&self) -> bool {
        self.sentence > 0
    }
}

impl Grammar {
    /// The rules for `brief`. `None` if the description holds no word that this model may write.
    ///
    /// `max_chars` bounds the text, in bytes, which for the words allowed here is nearly the same as in characters.
    pub(crate) fn new(brief: &Brief, exemplars: &Exemplars, max_chars: usize) -> Option<Self> {
        let avoid: Vec<Vec<String>> = brief
            .avoid
            .iter()
            .map(|phrase| {
                words::split(phrase.as_str())
                    .map(|word| word.text.to_lowercase())
                    .collect()
            })
            .filter(|phrase: &Vec<String>| !phrase.is_empty())
            .collect();
        let is_avoided = |lower: &str| {
            avoid.iter().any(|phrase| matches!(phrase.as_slice(), [word] if word == lower || lexicon::stem(word) == lexicon::stem(lower)))
        };

        let mut builder = Builder::default();
        let mut given = Vec::new();
        let mut numbers = Vec::new();
        let is_sad = lexicon::is_sad(brief.description.as_str());
        let mut sources = words::of(brief.description.as_str(), Source::Description);
        for keyword in &brief.keywords {
            sources.extend(words::of(keyword.as_str(), Source::Keyword));
        }
        for (at, word) in sources.iter().enumerate() {
            if words::is_number(&word.text) {
                let before = at
                    .checked_sub(1)
                    .map(|before| &sources[before])
                    .filter(|before| !before.ends_phrase && !word.starts_sentence && before.source == word.source);
                let after = sources
                    .get(at + 1)
                    .filter(|after| !word.ends_phrase && !after.starts_sentence && after.source == word.source);
                numbers.push(Neighbours {
                    number: builder.stem(&word.text),
                    before: before.map(|word| builder.stem(&word.text)),
                    after: after.map(|word| builder.stem(&word.text)),
                });
            }
            let lower = word.text.to_lowercase();
            let usable = !lexicon::is_denied(&lower) && !is_avoided(&lower);
            if word.source == Source::Description {
                given.push(builder.stem(&lower));
            }
            if usable {
                builder.add(&word.text, true, word.leans);
                if word.starts_sentence && !word.is_name {
                    builder.add(&lower, true, word.leans);
                }
            }
        }
        for word in lexicon::words(is_sad) {
            if !exemplars.holds(word) && !is_avoided(word) {
                builder.add(word, false, lexicon::is_modifier(word));
            }
        }
        let avoided = avoid
            .iter()
            .filter(|phrase| phrase.len() > 1)
            .map(|phrase| phrase.iter().map(|word| builder.stem(word)).collect())
            .collect();

        let mut given_stems: Vec<u16> = builder
            .words
            .iter()
            .filter(|word| word.given && word.class == Class::Content)
            .map(|word| word.stem)
            .collect();
        given_stems.sort_unstable();
        given_stems.dedup();
        if given_stems.is_empty() {
            return None;
        }
        let (opening, inner) = builder.forms();
        Some(Self {
            opening,
            inner,
            avoided,
            description: given,
            numbers,
            neutral: lexicon::NEUTRAL_BEFORE_NUMBERS
                .iter()
                .map(|word| builder.stem(word))
                .collect(),
            must_name: given_stems.len().min(MUST_NAME),
            given_stems: given_stems.len(),
            max_chars,
            sentences: if max_chars < 60 || is_sad { 1 } else { 2 },
            exclaim: exemplars.exclaim && !is_sad,
            words: builder.words,
        })
    }

    /// The place before the first byte, which must be a space.
    pub(crate) fn start() -> State {
        State {
            phase: Phase::Space,
            said: [0; MAX_SAID],
            count: 0,
            sentence_start: 0,
            sentence: 0,
            commas: 0,
            bytes: 0,
        }
    }

    /// Where the bytes of a token lead; `None` if they may not come here.
    pub(crate) fn step(&self, state: &State, bytes: &[u8]) -> Option<State> {
        if bytes.is_empty() {
            return None;
        }
        let mut state = state.clone();
        for byte in bytes {
            self.advance(&mut state, *byte)?;
        }
        Some(state)
    }

    fn advance(&self, state: &mut State, byte: u8) -> Option<()> {
        match state.phase {
            Phase::Space if byte == b' ' => state.phase = Phase::Word,
            Phase::Word => {
                let forms = self.forms(state);
                let whole = Phase::Inside {
                    low: 0,
                    high: u16::try_from(forms.len()).ok()?,
                    depth: 0,
                };
                state.phase = self.narrow(state, whole, byte)?;
            }
            Phase::Inside { .. } => match self.narrow(state, state.phase, byte) {
                Some(inside) => state.phase = inside,
                None => self.end_word(state, byte)?,
            },
            Phase::Stop if byte == b' ' => {
                state.phase = Phase::Word;
                state.sentence_start = state.count;
            }
            Phase::Stop | Phase::End if byte == b'\n' => state.phase = Phase::End,
            Phase::Space | Phase::Stop | Phase::End => return None,
        }
        state.bytes += 1;
        // The newline that ends a caption is no part of it; the room is for the full stop.
        (usize::from(state.bytes) <= self.max_chars + 1 || state.is_finished()).then_some(())
    }

    fn forms(&self, state: &State) -> &[Form] {
        if state.count == state.sentence_start {
            &self.opening
        } else {
            &self.inner
        }
    }

    /// One byte further into a word; `None` if no word that may be said now goes on like this.
    fn narrow(&self, state: &State, phase: Phase, byte: u8) -> Option<Phase> {
        let Phase::Inside { low, high, depth } = phase else {
            return None;
        };
        let forms = self.forms(state);
        let at = usize::from(depth);
        let shared = forms.get(usize::from(low)..usize::from(high))?;
        let next = |form: &Form| form.bytes.get(at).copied();
        let from = shared.partition_point(|form| next(form) < Some(byte));
        let to = shared.partition_point(|form| next(form) <= Some(byte));
        shared
            .get(from..to)?
            .iter()
            .any(|form| self.may_say(state, form.word))
            .then_some(())?;
        Some(Phase::Inside {
            low: low + u16::try_from(from).ok()?,
            high: low + u16::try_from(to).ok()?,
            depth: depth.checked_add(1)?,
        })
    }

    /// The word is over: is it one, and may this byte follow it?
    fn end_word(&self, state: &mut State, byte: u8) -> Option<()> {
        let Phase::Inside { low, high, depth } = state.phase else {
            return None;
        };
        let word = self
            .forms(state)
            .get(usize::from(low)..usize::from(high))?
            .iter()
            .take_while(|form| form.bytes.len() == usize::from(depth))
            .map(|form| form.word)
            .find(|word| self.may_say(state, *word))?;
        state.said[usize::from(state.count)] = word;
        state.count += 1;
        let may_end = self.may_end(state);
        let length = usize::from(state.count - state.sentence_start);
        let room = length < MAX_WORDS[usize::from(state.sentence)];
        match byte {
            b' ' if room => state.phase = Phase::Word,
            b',' if room && state.commas < MAX_COMMAS && may_end => {
                state.commas += 1;
                state.phase = Phase::Space;
            }
            b'.' | b'!' if byte == b'.' || self.exclaim => {
                if !may_end
                    || length < MIN_WORDS[usize::from(state.sentence)]
                    || (state.sentence == 0 && self.named(state.said()) < self.must_name)
                {
                    return None;
                }
                state.sentence += 1;
                state.phase = if state.sentence == self.sentences {
                    Phase::End
                } else {
                    Phase::Stop
                };
            }
            _ => return None,
        }
        Some(())
    }

    /// True if a phrase may end with the last word said.
    fn may_end(&self, state: &State) -> bool {
        let sentence = &state.said()[usize::from(state.sentence_start)..];
        sentence
            .split_last()
            .is_some_and(|(last, before)| self.ends_phrase(before, *last))
    }

    fn ends_phrase(&self, before: &[u16], word: u16) -> bool {
        let word = self.word(word);
        let last = before.last().map(|last| self.word(*last));
        let held = last.is_some_and(|last| last.class == Class::Article || last.leans);
        match word.role {
            Role::Preposition | Role::NeedsMore => return false,
            Role::Number => return self.places(before, word.stem).any(|place| place.after.is_none()),
            Role::NoObject | Role::CountNoun | Role::Copula | Role::Free => {}
        }
        // "It is small", "fresh and warm", but not "we small".
        let told = last.is_none_or(|last| {
            last.role == Role::Copula
                || last.class == Class::Loose
                || (last.class == Class::Link && last.role != Role::Preposition)
        });
        matches!(word.class, Class::Content | Class::Loose | Class::Plain)
            && !(word.leans && (held || !(word.given || told)))
    }

    /// The places of a number in what the user wrote that fit after these words.
    fn places(&self, before: &[u16], number: u16) -> impl Iterator<Item = &Neighbours> {
        let last = before.last().map(|word| self.word(*word).stem);
        let is_neutral = |stem: Option<u16>| stem.is_none_or(|stem| self.neutral.contains(&stem));
        self.numbers.iter().filter(move |place| {
            place.number == number && (place.before == last || (is_neutral(place.before) && is_neutral(last)))
        })
    }

    /// True if a number may come now: one of its places fits, and the word that must come after it still may.
    fn may_count(&self, said: &[u16], sentence: &[u16], number: u16) -> bool {
        self.places(sentence, number).any(|place| {
            place.after.is_none_or(|after| {
                self.words.iter().any(|word| word.stem == after)
                    && said.iter().all(|said| {
                        let said = self.word(*said);
                        said.stem != after || !matches!(said.class, Class::Content | Class::Loose)
                    })
            })
        })
    }

    /// True if the roles of two neighbours go together.
    fn roles_fit(&self, before: &[u16], last: &Word, next: &Word) -> bool {
        let lonely = next.role == Role::CountNoun && !next.given;
        // "The best made": an article and what tells how it is want a noun.
        let is_held = before
            .last()
            .is_some_and(|word| self.word(*word).class == Class::Article);
        if last.leans && is_held && next.class == Class::Loose {
            return false;
        }
        match last.role {
            Role::Number => self
                .places(before, last.stem)
                .any(|place| place.after == Some(next.stem)),
            Role::Preposition => next.class != Class::Link && next.role != Role::NoObject && !lonely,
            _ => !lonely || last.class == Class::Article || last.leans || (last.given && last.class == Class::Content),
        }
    }

    /// True if the rules of neighbourhood and repetition allow this word now.
    fn may_say(&self, state: &State, word: u16) -> bool {
        let next = self.word(word);
        let said = state.said();
        if matches!(next.class, Class::Content | Class::Loose)
            && said.iter().any(|word| self.word(*word).stem == next.stem)
        {
            return false;
        }
        let sentence = &said[usize::from(state.sentence_start)..];
        // The last word that there is room for must be able to end the sentence.
        if sentence.len() + 1 == MAX_WORDS[usize::from(state.sentence)] && !self.ends_phrase(sentence, word) {
            return false;
        }
        if next.role == Role::Number && !self.may_count(said, sentence, next.stem) {
            return false;
        }
        if sentence.is_empty() && next.role == Role::CountNoun && !next.given {
            return false;
        }
        if let Some((last, before)) = sentence.split_last() {
            let last = self.word(*last);
            if !self.roles_fit(before, last, next) {
                return false;
            }
            let fits = match (last.class, next.class) {
                (Class::Article, Class::Content) => article_fits(&last.text, &next.text),
                (Class::Article, Class::Article | Class::Link | Class::Plain | Class::Loose) => false,
                (Class::Link | Class::Plain, Class::Link | Class::Plain) => last.stem != next.stem,
                (Class::Link | Class::Plain, Class::Article | Class::Loose | Class::Content)
                | (Class::Loose | Class::Content, _) => true,
            };
            if !fits || (looks_plural(&next.text) && self.wants_singular(sentence)) {
                return false;
            }
        }
        !self.avoided.iter().any(|phrase| match phrase.split_last() {
            Some((end, start)) => {
                *end == next.stem
                    && said.len() >= start.len()
                    && said[said.len() - start.len()..]
                        .iter()
                        .map(|word| self.word(*word).stem)
                        .eq(start.iter().copied())
            }
            None => false,
        })
    }

    /// True if the noun to come belongs to an `a`, `an`, `this`, `every`, with nothing but modifiers between.
    fn wants_singular(&self, sentence: &[u16]) -> bool {
        let mut back = sentence
            .iter()
            .rev()
            .map(|word| self.word(*word))
            .skip_while(|word| word.leans);
        back.next().is_some_and(|word| {
            ["a", "an", "this", "that", "every", "each"]
                .iter()
                .any(|a| word.text.eq_ignore_ascii_case(a))
        })
    }

    /// Characters that there are for the text.
    pub(crate) fn room(&self) -> usize {
        self.max_chars
    }

    /// True if the text ends although the rules leave room for a further sentence.
    pub(crate) fn ends_early(&self, state: &State) -> bool {
        state.is_finished() && state.sentence < self.sentences
    }

    fn word(&self, word: u16) -> &Word {
        &self.words[usize::from(word)]
    }

    /// The words of a text so far.
    pub(crate) fn said(&self, state: &State) -> impl Iterator<Item = &Word> {
        state.said().to_vec().into_iter().map(|word| self.word(word))
    }

    /// How many words of the description or of the keywords were said.
    fn named(&self, said: &[u16]) -> usize {
        said.iter()
            .filter(|word| self.word(**word).given && self.word(**word).class == Class::Content)
            .count()
    }

    /// The share of the given words that the text names, from 0 to 1. Of a long description eight words count as all.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn coverage(&self, state: &State) -> f32 {
        (self.named(state.said()) as f32 / self.given_stems.min(8) as f32).min(1.0)
    }

    /// The longest run of words that stands in the description word for word.
    pub(crate) fn longest_copy(&self, state: &State) -> usize {
        let said: Vec<u16> = state.said().iter().map(|word| self.word(*word).stem).collect();
        let mut longest = 0;
        for start in 0..said.len() {
            for place in 0..self.description.len() {
                let run = said[start..]
                    .iter()
                    .zip(&self.description[place..])
                    .take_while(|(a, b)| a == b)
                    .count();
                longest = longest.max(run);
            }
        }
        longest
    }
}

/// `a` before a consonant, `an` before a vowel; anything after the other articles.
fn article_fits(article: &str, next: &str) -> bool {
    let next = next.to_lowercase();
    let consonant_sound = ["one", "once", "uni", "use", "usu", "eu"]
        .iter()
        .any(|start| next.starts_with(start));
    let silent_h = ["hour", "honest", "honor", "honour", "heir"]
        .iter()
        .any(|start| next.starts_with(start));
    let vowel = silent_h || (next.starts_with(['a', 'e', 'i', 'o', 'u', '8']) && !consonant_sound);
    match article.to_lowercase().as_str() {
        "a" => !vowel,
        "an" => vowel,
        _ => true,
    }
}

/// By its ending; a singular in `s` such as `lens` is held to be a plural, which only keeps it from following an `a`.
fn looks_plural(word: &str) -> bool {
    word.len() > 3 && word.ends_with('s') && !["ss", "us", "is", "'s", "’s"].iter().any(|end| word.ends_with(end))
}

#[derive(Default)]
struct Builder {
    words: Vec<Word>,
    by_text: HashMap<String, u16>,
    stems: HashMap<String, u16>,
}

impl Builder {
    fn stem(&mut self, word: &str) -> u16 {
        let next = u16::try_from(self.stems.len()).unwrap_or(u16::MAX);
        *self.stems.entry(lexicon::stem(word)).or_insert(next)
    }

    fn add(&mut self, text: &str, given: bool, leans: bool) {
        if let Some(known) = self.by_text.get(text) {
            let known = &mut self.words[usize::from(*known)];
            // One occurrence where it stands alone is enough.
            known.leans &= leans;
            return;
        }
        let Ok(index) = u16::try_from(self.words.len()) else {
            return;
        };
        let stem = self.stem(text);
        // A word of the list that the description has in another form counts as given too.
        let given = given || self.words.iter().any(|word| word.given && word.stem == stem);
        self.by_text.insert(text.to_owned(), index);
        self.words.push(Word {
            text: text.to_owned(),
            stem,
            class: lexicon::class(&text.to_lowercase()),
            role: lexicon::role(text),
            given,
            leans,
        });
    }

    fn forms(&self) -> (Vec<Form>, Vec<Form>) {
        let mut opening = Vec::with_capacity(self.words.len());
        let mut inner = Vec::with_capacity(self.words.len());
        for (index, word) in (0u16..).zip(&self.words) {
            opening.push(Form {
                bytes: words::capitalised(&word.text).into_bytes(),
                word: index,
            });
            inner.push(Form {
                bytes: word.text.clone().into_bytes(),
                word: index,
            });
        }
        opening.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        inner.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        (opening, inner)
    }
}

#[cfg(test)]
mod tests;
