//! Writing candidates under the grammar and ranking them.

use std::collections::HashSet;

use captions_domain::{brief::Brief, caption::Usage, check, choice::Tone};

use crate::{
    copy,
    exemplars::{self, SETS},
    grammar::{Grammar, State},
    infer::{InferError, Loaded, Reading},
    sampler::{self, Random},
    words,
};

/// How many of the most likely tokens are looked at for allowed ones.
const LOOKED_AT: usize = 1500;
/// How many of the allowed ones take part in the draw.
const DRAWN_FROM: usize = 8;
/// A token takes no part if it is this many times less likely than the best allowed one, as a logarithm.
const FAR_BEHIND: f32 = 3.0;
/// A sentence whose tokens the unconstrained model finds less likely than this on average, as a natural logarithm, is
/// not used; for the first and the second one. Read off some sixty candidates for half a dozen descriptions: sensible
/// first ones lay above -2.0 and second ones above -3.0, broken ones mostly below.
const LEAST_LIKELY: [f32; 2] = [-2.2, -3.0];
/// What a candidate gains by holding all keywords: more than all other parts of a score differ by.
const KEYWORDS_WEIGH: f32 = 10.0;
/// A word of which the tokenizer makes a token for every two letters, or more, is none that the model knows.
const LETTERS_PER_TOKEN: usize = 2;
/// Of a description longer than this the model reads only the beginning, in bytes; its words are allowed all the same.
const READ_LIMIT: usize = 400;

/// One caption as the model wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) first: String,
    /// Empty if there is only one sentence.
    pub(crate) second: String,
    /// The first word of the description that it names, for the angle.
    pub(crate) topic: String,
    pub(crate) score: f32,
}

/// What a call may cost.
pub(crate) struct Limits<'a> {
    pub(crate) candidates: u32,
    /// Per candidate.
    pub(crate) max_tokens: u32,
    pub(crate) temperature: f32,
    pub(crate) seed: u64,
    /// True once the work is to end.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Written {
    /// Best first, all different; empty if it was stopped too early or the model found no sentence.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) usage: Usage,
}

/// A loaded model and the examples that it has read already.
pub(crate) struct Writer {
    loaded: Loaded,
    /// One reading per set of examples, made when first needed: about 9 MB and two seconds each.
    prefixes: [Option<(Reading, usize)>; SETS],
}

impl Writer {
    pub(crate) const fn new(loaded: Loaded) -> Self {
        Self {
            loaded,
            prefixes: [const { None }; SETS],
        }
    }

    /// The examples for `tone`, read. Not stopped when the caller leaves: the next caller needs it as well.
    pub(crate) fn prefix(&mut self, tone: Tone) -> Result<(Reading, usize), InferError> {
        let set = exemplars::set_of(tone);
        if let Some(known) = &self.prefixes[set] {
            return Ok(known.clone());
        }
        let tokens = self.loaded.tokens.encode(&exemplars::of(tone).prefix())?;
        let mut reading = self.loaded.begin();
        reading.read(&tokens, &|| false)?;
        let known = (reading, tokens.len());
        self.prefixes[set] = Some(known.clone());
        Ok(known)
    }

    /// Writes candidates and tells `finished` how many are done. Ends early when told to stop.
    pub(crate) fn write(
        &mut self,
        brief: &Brief,
        grammar: &Grammar,
        limits: &Limits<'_>,
        finished: &mut dyn FnMut(u32),
    ) -> Result<Written, InferError> {
        let (mut reading, prefix_length) = self.prefix(brief.tone)?;
        let description = words::one_line(brief.description.as_str(), READ_LIMIT);
        let prompt = self.loaded.tokens.encode(&format!(" {description}\nCaption:"))?;
        let mut written = Written {
            candidates: Vec::new(),
            usage: Usage {
                input_tokens: (prefix_length + prompt.len()) as u64,
                output_tokens: 0,
                cost: None,
            },
        };
        if !self.knows(&description)? {
            written.candidates.extend(copied(brief, grammar));
            return Ok(written);
        }
        if !reading.read(&prompt, limits.stop)? {
            return Ok(written);
        }
        let mut seen = HashSet::new();
        for number in 0..limits.candidates.saturating_mul(2) {
            // Beyond the number asked for only as long as there is nothing at all.
            if number >= limits.candidates && !written.candidates.is_empty() {
                break;
            }
            // At temperature 0 the first candidate is the most likely one, and the others are what else there is.
            let temperature = if number == 0 {
                limits.temperature
            } else {
                limits.temperature.max(0.4)
            };
            let mut random = Random::new(limits.seed, number.into());
            let (candidate, spent) = self.candidate(&reading, grammar, temperature, &mut random, limits)?;
            written.usage.output_tokens += u64::from(spent);
            if let Some(mut candidate) = candidate
                && seen.insert((candidate.first.to_lowercase(), candidate.second.to_lowercase()))
            {
                candidate.score += KEYWORDS_WEIGH * keywords_held(&candidate, brief);
                written.candidates.push(candidate);
            }
            if (limits.stop)() {
                break;
            }
            if number < limits.candidates {
                finished(number + 1);
            }
        }
        written.candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        if written.candidates.is_empty() && !(limits.stop)() {
            written.candidates.extend(copied(brief, grammar));
        }
        Ok(written)
    }

    /// True if the model knows at least half of the description's words. What it does not know it can only surround with
    /// words that mean nothing.
    fn knows(&self, description: &str) -> Result<bool, InferError> {
        let (mut known, mut unknown) = (0, 0);
        for word in words::split(description).filter(|word| !words::is_number(word.text) && word.text.len() > 3) {
            let tokens = self.loaded.tokens.encode(&format!(" {}", word.text.to_lowercase()))?;
            if tokens.len() * LETTERS_PER_TOKEN >= word.text.chars().count() {
                unknown += 1;
            } else {
                known += 1;
            }
        }
        Ok(unknown == 0 || unknown < known)
    }

    /// One candidate and the tokens spent on it. None if no sentence came to an end.
    fn candidate(
        &self,
        reading: &Reading,
        grammar: &Grammar,
        temperature: f32,
        random: &mut Random,
        limits: &Limits<'_>,
    ) -> Result<(Option<Candidate>, u32), InferError> {
        let mut reading = reading.clone();
        let mut state = Grammar::start();
        let mut text = Text::default();
        // The text as it stood after each sentence: the first one remains if the second one leads nowhere.
        let mut kept: Vec<(Text, State)> = Vec::new();
        let mut spent = 0;
        while spent < limits.max_tokens {
            let choices = self.allowed(&reading.logits, grammar, &state);
            let Some(drawn) = sampler::draw(&choices, temperature, random) else {
                break;
            };
            let (logit, (token, next)) = &choices[drawn];
            text.push(
                self.loaded.tokens.piece(*token),
                logit - sampler::log_total(&reading.logits),
                &state,
            );
            state = next.clone();
            spent += 1;
            if state.is_complete() {
                kept.push((text.clone(), state.clone()));
            }
            if state.is_finished() || !reading.read(&[*token], limits.stop)? {
                break;
            }
        }
        let best = kept.iter().rev().find(|(text, _)| text.is_likely());
        Ok((best.map(|(text, state)| text.candidate(grammar, state)), spent))
    }

    /// The allowed tokens among the most likely ones, most likely first, each with where it leads.
    fn allowed(&self, logits: &[f32], grammar: &Grammar, state: &State) -> Vec<(f32, (u32, State))> {
        let choices = sampler::top(logits, LOOKED_AT).into_iter().filter_map(|token| {
            let next = grammar.step(state, self.loaded.tokens.piece(token))?;
            Some((logits[token as usize], (token, next)))
        });
        // Ending after one sentence is the last resort.
        let (end, mut choices): (Vec<_>, Vec<_>) = choices
            .take(DRAWN_FROM + 1)
            .partition(|(_, (_, next))| grammar.ends_early(next));
        if choices.is_empty() {
            return end;
        }
        let best = choices[0].0;
        choices.truncate(DRAWN_FROM);
        choices.retain(|(logit, _)| *logit > best - FAR_BEHIND);
        choices
    }
}

/// A candidate in the making.
#[derive(Debug, Clone, Default)]
struct Text {
    first: Vec<u8>,
    second: Vec<u8>,
    /// The sum of the log-probabilities that the unconstrained model gave, and the number of tokens, per sentence.
    likelihood: [(f32, f32); 2],
}

impl Text {
    fn push(&mut self, piece: &[u8], log_probability: f32, before: &State) {
        let (sentence, (sum, tokens)) = if before.has_sentence() {
            (&mut self.second, &mut self.likelihood[1])
        } else {
            (&mut self.first, &mut self.likelihood[0])
        };
        sentence.extend_from_slice(piece);
        *sum += log_probability;
        *tokens += 1.0;
    }

    /// True if no sentence is too odd for the model.
    fn is_likely(&self) -> bool {
        let pairs = self.likelihood.iter().zip(LEAST_LIKELY);
        pairs
            .filter(|((_, tokens), _)| *tokens > 0.0)
            .all(|((sum, tokens), least)| sum / tokens >= least)
    }

    fn candidate(&self, grammar: &Grammar, state: &State) -> Candidate {
        let trimmed = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (first, second) = (trimmed(&self.first), trimmed(&self.second));
        // How natural the text is to the model, how much of the description it names, how far it is a mere copy. Each
        // sentence counts by itself: a copied first one is so likely that it would hide any oddity of the second.
        let mean = |(sum, tokens): (f32, f32)| sum / tokens.max(1.0);
        let natural = if second.is_empty() {
            mean(self.likelihood[0]) - 1.0
        } else {
            f32::midpoint(mean(self.likelihood[0]), mean(self.likelihood[1]))
        };
        let copied = u16::try_from(grammar.longest_copy(state)).unwrap_or(u16::MAX);
        let score = natural + 1.2 * grammar.coverage(state).min(0.6) - 0.12 * f32::from(copied.saturating_sub(4));
        let topic = grammar
            .said(state)
            .find(|word| word.given && word.class == crate::lexicon::Class::Content);
        Candidate {
            topic: topic.map_or_else(String::new, |word| word.text.to_lowercase()),
            first,
            second,
            score,
        }
    }
}

/// The share of the keywords that the sentences hold; 0 if there are none.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn keywords_held(candidate: &Candidate, brief: &Brief) -> f32 {
    let text = format!("{} {}", candidate.first, candidate.second);
    let held = brief
        .keywords
        .iter()
        .filter(|word| check::contains_phrase(&text, word.as_str()));
    held.count() as f32 / brief.keywords.len().max(1) as f32
}

/// The description itself as the only candidate.
fn copied(brief: &Brief, grammar: &Grammar) -> Option<Candidate> {
    Some(Candidate {
        first: copy::sentences(brief, grammar.room())?,
        second: String::new(),
        topic: String::new(),
        score: 0.0,
    })
}

#[cfg(test)]
mod tests;
