//! The description, made ready: one line of sentences, without what must not come out, and cut where it may be cut.

use captions_domain::{
    brief::Brief,
    check::{Searched, contains_phrase},
    choice::Emoji,
    phrases::Words,
    request::Language,
    text,
    voice::Casing,
};
use unicode_segmentation::UnicodeSegmentation as _;

use super::picture;

/// Marks that end a sentence.
const END_MARKS: [char; 12] = ['.', '!', '?', '…', '。', '！', '？', '।', '؟', '۔', '։', '።'];

/// Marks after which a clause may be dropped.
const CLAUSE_MARKS: [char; 9] = [',', ';', ':', '，', '、', '；', '،', '—', '–'];

/// Words that narrow what stands before them: "open on Sunday, except in May" must not become "open on Sunday".
#[rustfmt::skip]
const NARROWING: [&str; 53] = [
    "after", "before", "but", "except", "excluding", "if", "not", "only", "unless", "until", "when", "while", "without",
    "excepto", "hasta", "no", "pero", "salvo", "si", "sin", "solo", "sólo", "cuando",
    "mais", "jusqu", "pas", "quand", "sans", "sauf", "seulement", "sinon",
    "aber", "außer", "bis", "falls", "nicht", "nur", "ohne", "sondern", "wenn",
    "eccetto", "fino", "ma", "non", "se", "senza", "tranne", "quando",
    "até", "exceto", "mas", "sem", "só",
];

/// How far a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Only whole sentences or clauses may go.
    Clean,
    /// Words may go, too, and where there are none, characters; an ellipsis shows it.
    Any,
}

/// The description, ready to be used.
pub(super) struct Prepared {
    /// Its sentences; empty if nothing is left of them.
    pub(super) text: String,
    /// The first letter as it was written; the text's own may be larger.
    pub(super) first_letter: Option<char>,
}

/// The description as sentences: white space, bullets, markup and "a photo of" gone, hashtags made words, the first letter
/// large, an end mark at the end, nothing of what is to be avoided. `about` is the description, or the rest of it.
pub(super) fn prepare(about: &str, brief: &Brief) -> Prepared {
    let bare = without_code(&without_markup(about));
    let lines: Vec<String> = picture::named(&bare, brief.language.primary())
        .lines()
        .map(|line| clean_line(line, brief.emoji))
        .filter(|line| line.chars().any(|c| !c.is_whitespace()))
        .collect();
    let last = lines.len().saturating_sub(1);
    let text = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if index < last {
                ended(line, &brief.language)
            } else {
                line.clone()
            }
        })
        .collect::<Vec<_>>()
        .join(" ");
    let text = without_avoided(text.trim(), brief);
    if !text
        .chars()
        .any(|c| c.is_alphanumeric() || text::is_emoji(c.encode_utf8(&mut [0; 4])))
    {
        return Prepared {
            text: String::new(),
            first_letter: None,
        };
    }
    let mut from = 0;
    let sentences = sentence_ends(&text)
        .into_iter()
        .map(|end| &text[std::mem::replace(&mut from, end)..end]);
    let capitalised: String = sentences
        .map(|sentence| {
            if writes_small(brief) {
                sentence.to_owned()
            } else {
                capitalised(sentence, &brief.language)
            }
        })
        .collect();
    Prepared {
        first_letter: text.chars().next(),
        text: ended(&capitalised, &brief.language),
    }
}

/// True for somebody whose own captions have no capital letters.
pub(super) fn writes_small(brief: &Brief) -> bool {
    brief
        .style_card
        .as_ref()
        .is_some_and(|card| card.casing == Casing::Lower)
}

/// Without tags such as `<b>` and `</p>`; `a < b` and `<3` stay.
fn without_markup(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let inner = rest[at + 1..].trim_start_matches('/');
        let is_tag = inner.starts_with(|c: char| c.is_ascii_alphabetic());
        let end = rest[at + 1..]
            .find(['<', '>', '\n'])
            .map(|end| at + 1 + end)
            .filter(|end| is_tag && rest[*end..].starts_with('>') && end - at <= LONGEST);
        let step = end.map_or(at + 1, |end| end + 1);
        kept.push_str(&rest[..if end.is_some() { at } else { step }]);
        rest = &rest[step..];
    }
    kept.push_str(rest);
    kept
}

/// Quotation marks that may be code's.
const QUOTES: [char; 7] = ['"', '“', '”', '„', '`', '＂', '\\'];

/// Without the quotation marks where one stands before a colon: a name in JSON, which readers of answers take for a piece
/// of one.
fn without_code(text: &str) -> String {
    let is_single = |c: char| matches!(c, '\'' | '‘' | '’');
    let before_colon = text.char_indices().any(|(at, c)| {
        (QUOTES.contains(&c) || is_single(c))
            && text[at..]
                .trim_start_matches(|c| QUOTES.contains(&c) || is_single(c) || c == ' ')
                .starts_with([':', '：'])
    });
    if !before_colon {
        return text.to_owned();
    }
    let in_word = |at: usize, c: char| {
        text[..at].ends_with(char::is_alphanumeric) && text[at + c.len_utf8()..].starts_with(char::is_alphanumeric)
    };
    text.char_indices()
        .filter(|(at, c)| !QUOTES.contains(c) && (!is_single(*c) || in_word(*at, *c)))
        .map(|(_, c)| c)
        .collect()
}

fn clean_line(line: &str, emoji: Emoji) -> String {
    let line = line.trim().trim_start_matches(['-', '•', '*', '–']);
    let mut words: Vec<&str> = line.split_whitespace().collect();
    // A row of tags at the end is no sentence; hashtags are made from the description anyway. A single one may be its
    // last word, and so may the first of a row after a short word: "from our #Oven #yum".
    let row = words.iter().rev().take_while(|word| is_tag(word)).count();
    let before = words.len() - row;
    let joins = before
        .checked_sub(1)
        .is_some_and(|last| words[last].chars().count() <= 3);
    if row > 1 {
        words.truncate(before + usize::from(joins || before == 0));
    }
    let line = words
        .into_iter()
        .map(|word| {
            if is_tag(word) {
                word.trim_start_matches(['#', '＃'])
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ");
    if emoji != Emoji::None || text::emoji(&line).next().is_none() {
        return line;
    }
    let kept: String = line
        .graphemes(true)
        .filter(|cluster| !text::is_emoji(cluster))
        .collect();
    tidy(&kept)
}

fn is_tag(word: &str) -> bool {
    word.starts_with(['#', '＃']) && !text::hashtags(word).is_empty()
}

/// Single spaces, and none before a mark.
fn tidy(text: &str) -> String {
    let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let closed = [" .", " ,", " ;"]
        .iter()
        .fold(spaced, |text, mark| text.replace(mark, &mark[1..]));
    closed.trim_matches([',', ';', ' ']).to_owned()
}

fn capitalised(text: &str, language: &Language) -> String {
    let first_word = text.split_whitespace().next().unwrap_or_default();
    // iPhone, 3D, example.org, @somebody: as they are.
    let special = first_word
        .chars()
        .skip(1)
        .any(|c| c.is_uppercase() || matches!(c, '.' | '@' | '/') && !first_word.ends_with(c));
    if special {
        text.to_owned()
    } else {
        text::capitalised(text, language.primary())
    }
}

/// With an end mark as the language writes it, unless it ends with one, with an emoji, or needs none.
fn ended(text: &str, language: &Language) -> String {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || CLAUSE_MARKS.contains(&c) || c == '-');
    let closed = text.trim_end_matches(['"', '”', '»', '’', '\'', ')', ']', '」', '』']);
    let last_is_emoji = text.graphemes(true).next_back().is_some_and(text::is_emoji);
    if closed.ends_with(END_MARKS) || last_is_emoji || text.is_empty() {
        return text.to_owned();
    }
    let mark = match language.primary() {
        "zh" | "ja" | "yue" => "。",
        "hi" | "ne" | "bn" | "pa" | "as" | "or" | "sa" => "।",
        "ur" => "۔",
        "hy" => "։",
        "am" | "ti" => "።",
        // Scripts whose sentences end with a space.
        "th" | "lo" | "km" | "my" => "",
        _ => ".",
    };
    format!("{text}{mark}")
}

/// Drops the sentences that hold something to be avoided; if none is left, the clauses; if none is left, the words.
fn without_avoided(text: &str, brief: &Brief) -> String {
    let bad = |piece: &str| holds_avoided(piece, brief);
    if !bad(text) {
        return text.to_owned();
    }
    for ends in [sentence_ends(text), clause_ends(text)] {
        let mut from = 0;
        let mut kept = Vec::new();
        for end in ends.into_iter().chain([text.len()]) {
            let piece =
                text[from..end.max(from)].trim_matches(|c: char| c.is_whitespace() || CLAUSE_MARKS.contains(&c));
            if !piece.is_empty() && !bad(piece) {
                kept.push(ended(&capitalised(piece, &brief.language), &brief.language));
            }
            from = end.max(from);
        }
        let kept = kept.join(" ");
        if kept.chars().any(char::is_alphanumeric) && !bad(&kept) {
            return kept;
        }
    }
    // Each sentence alone: of some only a word has to go.
    let mut from = 0;
    let kept: Vec<String> = sentence_ends(text)
        .into_iter()
        .filter_map(|end| without_words(text[std::mem::replace(&mut from, end)..end].trim(), brief))
        .map(|sentence| ended(&capitalised(&sentence, &brief.language), &brief.language))
        .collect();
    let kept = kept.join(" ");
    if kept.is_empty() || bad(&kept) {
        parts_without(text, &bad)
    } else {
        kept
    }
}

/// The sentence without the words to be avoided; `None` if one of them is what it is about.
fn without_words(sentence: &str, brief: &Brief) -> Option<String> {
    let mut left = sentence.to_owned();
    // Each round removes at least one character.
    while let Some(word) = brief.avoid.iter().find(|word| contains_phrase(&left, word.as_str())) {
        if !only_describes(&left, word.as_str()) {
            return None;
        }
        let shorter = tidy(&without_phrase(&left, word.as_str()));
        if shorter.len() >= left.len() {
            return None;
        }
        left = shorter;
    }
    left.chars().any(char::is_alphanumeric).then_some(left)
}

/// Words that show, after a word, that it was what a sentence speaks of and not a word about the next one.
#[rustfmt::skip]
const AFTER_NOUNS: [&str; 62] = [
    "a", "an", "the", "and", "or", "at", "in", "on", "of", "with", "for", "from", "to", "by", "into", "over", "under", "near",
    "is", "are", "was", "were", "has", "have", "had", "will", "can", "who", "that", "which",
    "en", "con", "de", "del", "es", "son", "y", "por", "para",
    "dans", "avec", "sur", "est", "sont", "et",
    "im", "am", "mit", "auf", "ist", "sind", "und", "vor",
    "nel", "nella", "sono", "di", "e", "no", "na", "com", "em",
];

/// True if the phrase only tells how the word after it is, wherever it stands: then it can go alone. A plural, a word
/// before a verb or a preposition, and the last word are what the clause is about.
fn only_describes(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (text.to_lowercase(), phrase.to_lowercase());
    let is_plural = phrase.len() > 3 && phrase.ends_with('s') && !phrase.ends_with("ss") && !phrase.ends_with("ous");
    text.match_indices(&phrase).all(|(at, found)| {
        let after = &text[at + found.len()..];
        let is_phrase = !text[..at].ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        let next = text::words(after).next().unwrap_or_default();
        !is_phrase
            || (!is_plural
                && after.starts_with(' ')
                && !next.is_empty()
                && !AFTER_NOUNS.contains(&next)
                && !next.ends_with("ing")
                && !next.ends_with("ed"))
    })
}

/// The parts of a sentence that stand for themselves, where the others must go: "at the pond".
fn parts_without(text: &str, bad: &impl Fn(&str) -> bool) -> String {
    const STARTS: [&str; 12] = [
        "at", "in", "on", "with", "near", "from", "under", "over", "by", "during", "before", "after",
    ];
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_start = |word: &str| STARTS.contains(&word.to_lowercase().as_str());
    let mut parts: Vec<Vec<&str>> = Vec::new();
    for word in words {
        match parts.last_mut() {
            Some(part) if !is_start(word) => part.push(word),
            _ => parts.push(vec![word]),
        }
    }
    let kept: Vec<String> = parts
        .into_iter()
        .filter(|part| part.len() > 1)
        .map(|part| part.join(" "))
        .filter(|part| !bad(part))
        .collect();
    let kept = tidy(&kept.join(" "));
    if bad(&kept) { String::new() } else { kept }
}

/// True if something that the brief avoids stands in the text.
pub(super) fn holds_avoided(text: &str, brief: &Brief) -> bool {
    if brief.avoid.is_empty() {
        return false;
    }
    let text = Searched::of(text);
    brief.avoid.iter().any(|word| text.contains(word.as_str()))
}

/// The text without the phrase wherever it stands as whole words, whatever the case.
fn without_phrase(text: &str, phrase: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let phrase = phrase.to_lowercase();
    let mut kept = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // As many characters as it takes to be the phrase in small letters.
        let mut lower = String::new();
        let length = rest.char_indices().find_map(|(at, c)| {
            lower.extend(c.to_lowercase());
            (lower.len() >= phrase.len()).then_some(at + c.len_utf8())
        });
        let found = length.filter(|length| {
            lower == phrase && !before.is_some_and(is_word) && !rest[*length..].chars().next().is_some_and(is_word)
        });
        let step = found.unwrap_or(first.len_utf8());
        if found.is_none() {
            kept.push(first);
        }
        before = rest[..step].chars().next_back();
        rest = &rest[step..];
    }
    kept
}

/// The longest beginning of a prepared text that `fits`; `sentences` is where its sentences end. Longer ones never fit better. Whole sentences if possible, then
/// the clauses of the first one, then its words or characters.
pub(super) fn fit(
    text: &str,
    sentences: &[usize],
    language: &Language,
    cut: Cut,
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    if fits(text) {
        return Some(text.to_owned());
    }
    let whole = |end: &usize| text[..*end].trim_end().to_owned();
    if let Some(found) = longest(sentences, whole, &fits) {
        return Some(found);
    }
    let first = &text[..sentences.first().copied().unwrap_or(text.len())];
    let closed = |end: &usize| ended(&first[..*end], language);
    if let Some(found) = longest(&clause_ends(first), closed, &fits) {
        return Some(found);
    }
    if cut == Cut::Clean {
        return None;
    }
    let opened = |end: &usize| {
        let kept = first[..*end]
            .trim_end_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || CLAUSE_MARKS.contains(&c));
        format!("{kept}…")
    };
    // Not behind a word that wants another one: "with…".
    let known = Words::of(language);
    let ends_well = |at: &usize| {
        first[..*at]
            .split_whitespace()
            .next_back()
            .is_some_and(|word| known.is_content(word))
    };
    let words: Vec<usize> = first
        .match_indices(char::is_whitespace)
        .map(|(at, _)| at)
        .filter(|at| *at > 0 && ends_well(at))
        .collect();
    let clusters = || {
        first
            .grapheme_indices(true)
            .map(|(at, _)| at)
            .filter(|at| *at > 0)
            .collect::<Vec<_>>()
    };
    longest(&words, opened, &fits).or_else(|| longest(&clusters(), opened, &fits))
}

fn longest(ends: &[usize], made: impl Fn(&usize) -> String, fits: &impl Fn(&str) -> bool) -> Option<String> {
    let fitting = ends.partition_point(|end| fits(&made(end)));
    Some(made(ends.get(fitting.checked_sub(1)?)?))
}

/// Where the sentences end. What holds fewer than two words ("Dr.", a lone emoji) is no sentence of its own.
pub(super) fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut words = 0;
    for (at, sentence) in text.split_sentence_bound_indices() {
        for piece in at_loose_ends(sentence) {
            words += text::words(piece.1).take(2).count();
            if words >= 2 {
                ends.push(at + piece.0 + piece.1.len());
                words = 0;
            }
        }
    }
    if words > 0 || ends.is_empty() {
        match ends.last_mut() {
            Some(last) => *last = text.len(),
            None => ends.push(text.len()),
        }
    }
    ends
}

/// Divides what Unicode takes for one sentence where a small letter follows the mark, as people write in a hurry: after
/// words of at least four letters, because shorter ones may be abbreviations.
fn at_loose_ends(sentence: &str) -> Vec<(usize, &str)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, mark) in sentence.match_indices(['.', '!', '?']) {
        let end = at + mark.len();
        let letters = sentence[from..at]
            .chars()
            .rev()
            .take_while(|c| c.is_alphabetic())
            .count();
        if letters >= 4 && sentence[end..].starts_with(' ') && end + 1 < sentence.len() {
            pieces.push((from, &sentence[from..=end]));
            from = end + 1;
        }
    }
    pieces.push((from, &sentence[from..]));
    pieces
}

/// Where a clause ends and the rest may be dropped without making the beginning false or leaving a bracket open.
pub(super) fn clause_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let (mut open, mut quoted) = (0_i32, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '“' | '«' | '「' => open += 1,
            ')' | ']' | '”' | '»' | '」' => open -= 1,
            '"' => quoted = !quoted,
            _ => {}
        }
        let after = &text[at + c.len_utf8()..];
        let spaced = after.starts_with(char::is_whitespace);
        let breaks = match c {
            ',' | ';' | ':' => spaced,
            '-' => spaced && text[..at].ends_with(' '),
            _ => CLAUSE_MARKS.contains(&c),
        };
        if !breaks || open != 0 || quoted || at == 0 {
            continue;
        }
        let next = text::words(after).next().unwrap_or_default().to_lowercase();
        if !NARROWING.contains(&next.as_str()) {
            ends.push(at);
        }
    }
    ends
}
