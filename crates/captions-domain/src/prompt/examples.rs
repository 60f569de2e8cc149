//! Which of a user's own captions are shown as examples: those nearest to the brief, in topic first and then in length.

use std::cmp::Reverse;

use super::OwnCaption;
use crate::{brief::Brief, phrases::Words, request::Sample};

/// The most examples; more teach a model little.
const MAX: usize = 6;
/// The most code points of one example, and of all.
const MAX_CHARS: usize = 600;
const MAX_ALL_CHARS: usize = 2400;
/// The most captions that are looked at, and how much of each.
const MAX_SEEN: usize = 50;
const MAX_COMPARED_BYTES: usize = 400;

/// The nearest captions, nearest first, without the hashtags at their ends, each text once.
pub(super) fn nearest<'a>(brief: &'a Brief, own: &'a [OwnCaption]) -> Vec<&'a str> {
    if brief.samples.is_empty() && own.is_empty() {
        return Vec::new();
    }
    let words = Words::of(&brief.language);
    let mut stems = words.stems(brief.description.as_str());
    stems.extend(brief.keywords.iter().flat_map(|keyword| words.stems(keyword.as_str())));
    stems.sort_unstable();
    stems.dedup();
    let topic: Vec<Topic> = stems.into_iter().map(Topic::new).collect();
    let wanted = usize::midpoint(brief.target_chars.0, brief.target_chars.1);

    let mut texts: Vec<&str> = Vec::new();
    let samples = brief.samples.iter().map(Sample::as_str);
    let all = samples.chain(own.iter().map(|own| own.text.as_str())).take(MAX_SEEN);
    for text in all.filter_map(shown) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let mut ranked: Vec<(u32, usize, &str)> = texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| (likeness(text, &topic, &words, wanted), index, text))
        .collect();
    ranked.sort_by_key(|(likeness, index, _)| (Reverse(*likeness), *index));
    let mut room = MAX_ALL_CHARS;
    let mut chosen = Vec::new();
    for (_, _, text) in ranked {
        let length = text.chars().count();
        if chosen.len() < MAX && length <= room {
            room -= length;
            chosen.push(text);
        }
    }
    chosen
}

/// A content word of the brief.
struct Topic {
    stem: String,
    begin: [Option<char>; 2],
}

impl Topic {
    fn new(stem: String) -> Self {
        let begin = begin(&stem);
        Self { stem, begin }
    }

    /// False for words that begin otherwise and so have another stem.
    fn may_be(&self, begin: [Option<char>; 2]) -> bool {
        self.begin[0] == begin[0] && (self.begin[1].is_none() || self.begin[1] == begin[1])
    }
}

/// The first two letters in lower case.
fn begin(word: &str) -> [Option<char>; 2] {
    // Most words are plain, and there are thousands of them.
    if let [first, second, ..] = word.as_bytes()
        && first.is_ascii()
        && second.is_ascii()
    {
        return [first, second].map(|byte| Some(char::from(byte.to_ascii_lowercase())));
    }
    let mut letters = word.chars().flat_map(char::to_lowercase);
    [letters.next(), letters.next()]
}

/// In thousandths: three parts topic, one part length. Whole numbers, so that it is the same everywhere.
fn likeness(text: &str, topic: &[Topic], words: &Words, wanted: usize) -> u32 {
    let length = text.chars().count();
    let (short, long) = (length.min(wanted), length.max(wanted).max(1));
    750 * shared(text, topic, words) / 1000 + thousandths(short, long) / 4
}

/// How much of the topic the caption speaks of, in thousandths.
///
/// A caption's words are taken apart only where they begin like a word of the topic: a stem keeps its word's first two
/// letters, and this is a small part of the work.
fn shared(text: &str, topic: &[Topic], words: &Words) -> u32 {
    if topic.is_empty() {
        return 0;
    }
    let end = text.floor_char_boundary(MAX_COMPARED_BYTES.min(text.len()));
    let mut met: Vec<usize> = Vec::new();
    for word in text[..end].split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’') {
        let begin = begin(word);
        if topic.iter().any(|topic| topic.may_be(begin)) {
            let stem = words.stem(word);
            if let Some(at) = topic.iter().position(|topic| topic.stem == stem)
                && !met.contains(&at)
            {
                met.push(at);
            }
        }
    }
    thousandths(met.len(), topic.len())
}

fn thousandths(part: usize, whole: usize) -> u32 {
    u32::try_from(part * 1000 / whole.max(1)).unwrap_or(1000)
}

/// What is shown of a caption; `None` if too little is left.
fn shown(text: &str) -> Option<&str> {
    let mut text = text.trim();
    while let Some(last) = text.split_whitespace().next_back()
        && last.starts_with(['#', '＃'])
    {
        text = text[..text.len() - last.len()].trim_end();
    }
    // Fewer bytes are fewer code points.
    if text.len() > MAX_CHARS
        && let Some((end, _)) = text.char_indices().nth(MAX_CHARS)
    {
        let cut = &text[..end];
        // At the end of a sentence, or else between words; in neither case within a grapheme.
        let at_sentence = cut.rfind(['.', '!', '?', '…', '\n', '。', '！', '？']);
        let cut_at = at_sentence.map(|at| at + cut[at..].chars().next().map_or(0, char::len_utf8));
        text = text[..cut_at.or_else(|| cut.rfind(char::is_whitespace))?].trim_end();
    }
    text.chars().filter(|c| c.is_alphanumeric()).nth(2).map(|_| text)
}
