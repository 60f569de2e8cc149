//! What a caption says that can be checked word by word: numbers, prices, percentages, times, dates, web addresses,
//! @mentions and names. Each has to stand in what the user gave; what does not was invented.
//!
//! It is strict about amounts: a price or a percentage has to be given as such. It is lenient about form: "9 am" and
//! "9:00", "12.05." and "12 May", "three" and "3" are the same. What it does not see: "one" and "two", numbers in words of
//! other languages than six, names at the beginning of a sentence or in capitals throughout, names in German (every noun
//! has a capital) and in scripts without capitals, and claims without any of these ("free", "the best").

mod numbers;
mod words;

use std::collections::HashSet;

use foldhash::fast::FixedState;

use self::{
    numbers::{Given as Numbers, Number},
    words::{DICTIONARY, Force, Said},
};
use crate::{
    brief::Brief,
    lexicon::{Kind, Token, Tokens},
    phrases::is_unspaced,
    polish::given_text,
    request::Language,
    text::{self, Place, Span},
};

/// The places in `caption` that nothing in the brief vouches for, in order.
pub fn untraced(brief: &Brief, caption: &str) -> Vec<Place> {
    let given = Given::of(&given_text(brief));
    in_tokens(&Tokens::of(caption), caption, &given, &brief.language)
}

pub(crate) fn in_tokens(tokens: &Tokens<'_>, caption: &str, given: &Given, language: &Language) -> Vec<Place> {
    let mut found = Found {
        places: Vec::new(),
        taken: vec![false; caption.chars().count()],
    };
    strange_addresses(caption, given, &mut found);
    strange_numbers(tokens, caption, given, &mut found);
    strange_words(tokens, caption, given, language, &mut found);
    // German writes every noun with a capital, so capitals tell nothing about names there.
    if language.primary() != "de" {
        strange_names(tokens, given, language, &mut found);
    }
    found.places.sort_by_key(|place| place.start);
    found.places
}

/// What the user gave, in the forms in which it is looked up.
pub(crate) struct Given {
    numbers: Numbers,
    weekdays: HashSet<u64>,
    addresses: HashSet<String>,
    words: HashSet<String, FixedState>,
}

impl Given {
    pub(crate) fn of(text: &str) -> Self {
        let tokens = &Tokens::of(text);
        let mut numbers = Numbers::of(text);
        let mut weekdays = HashSet::new();
        for word in words::read(tokens, &DICTIONARY.all) {
            match word.said {
                Said::Number(number) => numbers.vouch(number, numbers::unit_after(text, word.to)),
                Said::Month(month) => numbers.vouch_for_month(month),
                Said::Weekday(day) => {
                    weekdays.insert(day);
                }
            }
        }
        Self {
            numbers,
            weekdays,
            addresses: addresses(text)
                .into_iter()
                .map(|address| canonical(address.text))
                .collect(),
            words: tokens
                .all
                .iter()
                .map(|token| without_genitive(&token.word).to_owned())
                .collect(),
        }
    }
}

/// What was found, and which code points are spoken for.
struct Found {
    places: Vec<Place>,
    taken: Vec<bool>,
}

impl Found {
    fn is_taken(&self, start: usize, end: usize) -> bool {
        self.taken[start..end].iter().any(|taken| *taken)
    }

    fn take(&mut self, start: usize, end: usize) {
        self.taken[start..end].fill(true);
    }

    fn add(&mut self, text: &str, start: usize, end: usize) {
        self.take(start, end);
        self.places.push(Place {
            text: text.to_owned(),
            start,
            end,
        });
    }
}

/// Web addresses, e-mail addresses and @mentions.
fn addresses(text: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    // The code point of the byte up to which they are counted.
    let (mut counted, mut index) = (0, 0);
    let mut at = 0;
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || is_unspaced(c)) {
        let from = at;
        at += piece.len();
        // No address is without one of these.
        if !piece.bytes().any(|byte| matches!(byte, b'@' | b'.' | b':')) {
            continue;
        }
        let word = piece.trim_end_matches(|c: char| c.is_whitespace() || is_unspaced(c));
        let bare = word.trim_start_matches(|c: char| !(c.is_alphanumeric() || c == '@'));
        let from = from + word.len() - bare.len();
        index += text[counted..from].chars().count();
        counted = from;
        let start = index;
        let bare = bare.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '/'));
        let is_mail = bare
            .split_once('@')
            .is_some_and(|(name, host)| name.ends_with(|c: char| c.is_alphanumeric()) && host.contains('.'));
        if is_mail || text::has_url(bare) {
            found.push(Span {
                text: bare,
                start,
                end: start + bare.chars().count(),
            });
        } else if bare.contains('@') {
            found.extend(text::mentions(bare).into_iter().map(|mention| Span {
                text: mention.text,
                start: start + mention.start,
                end: start + mention.end,
            }));
        }
    }
    found
}

/// The same address in one form.
fn canonical(address: &str) -> String {
    let lower = address.to_lowercase();
    let bare = lower.trim_start_matches("https://").trim_start_matches("http://");
    bare.trim_start_matches("www.").trim_end_matches('/').to_owned()
}

fn strange_addresses(caption: &str, given: &Given, found: &mut Found) {
    for address in addresses(caption) {
        if given.addresses.contains(&canonical(address.text)) {
            found.take(address.start, address.end);
        } else {
            found.add(address.text, address.start, address.end);
        }
    }
}

fn strange_numbers(tokens: &Tokens<'_>, caption: &str, given: &Given, found: &mut Found) {
    let all = numbers::read(caption);
    let is_given = |number: &Number| {
        given.numbers.vouches_for(number)
            // "B12" and "iPhone15" are words.
            || tokens
                .at(number.start)
                .is_some_and(|token| has_letters(token) && given.words.contains(token.word.as_str()))
            || is_given_day(tokens, number, given)
    };
    for (digits, from, to) in numbers::telephones(caption) {
        let inside: Vec<&Number> = all
            .iter()
            .filter(|number| from < number.to && number.from < to)
            .collect();
        if let ([first, .., last], false) = (inside.as_slice(), inside.iter().all(|number| is_given(number))) {
            if given.numbers.has_telephone(&digits) {
                found.take(first.start, last.end);
            } else if !found.is_taken(first.start, last.end) {
                found.add(&caption[first.from..last.to], first.start, last.end);
            }
        }
    }
    for number in &all {
        if !found.is_taken(number.start, number.end) && !is_given(number) {
            found.add(&caption[number.from..number.to], number.start, number.end);
        }
    }
}

/// "12 May" where "12/05" was given.
fn is_given_day(tokens: &Tokens<'_>, number: &Number, given: &Given) -> bool {
    let is_month = |at: usize| {
        let mut words = tokens
            .all
            .get(at..)
            .into_iter()
            .flat_map(|rest| DICTIONARY.all.at(rest));
        words.any(|(_, _, (said, _))| matches!(said, Said::Month(_)))
    };
    let at = tokens.all.partition_point(|token| token.end <= number.start);
    let is_part = number
        .values
        .iter()
        .any(|value| value.parse().is_ok_and(|day| given.numbers.has_part(day)));
    is_part && (is_month(at + 1) || at.checked_sub(1).is_some_and(is_month))
}

fn has_letters(token: &Token<'_>) -> bool {
    token.word.chars().any(char::is_alphabetic)
}

/// Numbers, months and days of the week in words of the caption's language.
fn strange_words(tokens: &Tokens<'_>, caption: &str, given: &Given, language: &Language, found: &mut Found) {
    let Some(dictionary) = DICTIONARY.of(language.primary()) else {
        return;
    };
    for word in words::read(tokens, dictionary) {
        let is_meant = match word.force {
            Force::Claims => true,
            Force::Vouches => false,
            Force::Guarded => is_date(tokens, &word),
        };
        let is_given = match word.said {
            Said::Number(number) => given
                .numbers
                .has(&number.to_string(), numbers::unit_after(caption, word.to)),
            Said::Month(month) => given.numbers.has_part(month),
            Said::Weekday(day) => given.weekdays.contains(&day),
        };
        if let Some(place) = tokens.place(&word.tokens).filter(|_| is_meant) {
            if is_given {
                found.take(place.start, place.end);
            } else if !found.is_taken(place.start, place.end) {
                found.add(&place.text, place.start, place.end);
            }
        }
    }
}

/// "In May", "May 12", but not "May I" and not "we may".
fn is_date(tokens: &Tokens<'_>, word: &words::Word) -> bool {
    let is_number = |at: Option<usize>| {
        at.and_then(|at| tokens.all.get(at))
            .is_some_and(|token| token.word.starts_with(char::is_numeric))
    };
    let (before, after) = (word.tokens.start.checked_sub(1), Some(word.tokens.end));
    is_number(before)
        || is_number(after)
        || (tokens.has_capital(word.tokens.start) && !begins(tokens, word.tokens.start))
}

/// True if a capital at this token tells nothing: what follows a full stop, a colon, a dash or an emoji has one.
fn begins(tokens: &Tokens<'_>, at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| tokens.all.get(before))
        .is_none_or(|before| {
            !matches!(before.kind, Kind::Word | Kind::Shout) && before.word != "," && before.word != "&"
        })
}

/// Languages that give names endings.
const INFLECTING: [&str; 19] = [
    "be", "bg", "bs", "cs", "el", "et", "fi", "hr", "hu", "lt", "lv", "pl", "ro", "ru", "sk", "sl", "sr", "tr", "uk",
];

/// Words with a capital inside a sentence. Neighbours make one name.
fn strange_names(tokens: &Tokens<'_>, given: &Given, language: &Language, found: &mut Found) {
    let inflects = INFLECTING.contains(&language.primary());
    let is_given = |at: usize, word: &str| {
        let bare = without_genitive(word);
        let singular = bare.strip_suffix('s').unwrap_or(bare);
        let neighbour = |at: usize| tokens.all.get(at).map_or("", |token| token.word.as_str());
        given.words.contains(bare)
            || given.words.contains(singular)
            // "Café Luna" of the brand tag "CaféLuna".
            || given.words.contains(format!("{bare}{}", neighbour(at + 1)).as_str())
            || at > 0 && given.words.contains(format!("{}{bare}", neighbour(at - 1)).as_str())
            || (inflects && given.words.iter().any(|given| is_inflected(given, bare)))
    };
    let mut last = None;
    for (at, token) in tokens.all.iter().enumerate() {
        let is_name = token.kind == Kind::Word
            && tokens.has_capital(at)
            && !begins(tokens, at)
            && !token.word.starts_with("i'")
            && token.word.chars().nth(1).is_some()
            && !is_in_title(tokens, at)
            && !found.is_taken(token.start, token.end)
            && !is_given(at, &token.word);
        if !is_name {
            continue;
        }
        let Some(place) = tokens.place(&(last.filter(|(_, to)| *to == at).map_or(at, |(from, _)| from)..at + 1)) else {
            continue;
        };
        let from = match last {
            Some((from, to)) if to == at => {
                found.places.pop();
                from
            }
            _ => at,
        };
        last = Some((from, at + 1));
        found.places.push(place);
    }
}

/// "New Bread, New Morning": all words that are long enough have a capital, so it tells nothing.
fn is_in_title(tokens: &Tokens<'_>, at: usize) -> bool {
    let is_end =
        |token: &Token<'_>| token.kind == Kind::Break || matches!(token.word.as_str(), "." | "!" | "?" | "…" | ":");
    let from = tokens.all[..at].iter().rposition(is_end).map_or(0, |end| end + 1);
    let to = tokens.all[at..]
        .iter()
        .position(is_end)
        .map_or(tokens.all.len(), |end| at + end);
    let long = (from..to).filter(|at| tokens.all[*at].kind == Kind::Word && tokens.all[*at].word.chars().count() > 3);
    let (mut words, mut capitals) = (0, 0);
    for at in long {
        words += 1;
        capitals += usize::from(tokens.has_capital(at));
    }
    words >= 4 && capitals * 100 >= words * 85
}

/// The same name with another ending.
fn is_inflected(given: &str, word: &str) -> bool {
    let shared = given.chars().zip(word.chars()).take_while(|(a, b)| a == b).count();
    let longer = given.chars().count().max(word.chars().count());
    shared >= 4 && shared + 3 >= longer
}

fn without_genitive(word: &str) -> &str {
    word.strip_suffix("'s")
        .or_else(|| word.strip_suffix('\''))
        .unwrap_or(word)
}

#[cfg(test)]
mod tests;
