//! Addresses in a text: links, @handles, e-mail addresses and telephone numbers, also where they are written so that only
//! people see them (`hxxp`, `evil[.]com`, `evil dot com`, full-width signs, spaces between letters).
//!
//! A model invents addresses, or is told by somebody's text to write them; a mention notifies a stranger, a link leads to
//! one. So a caption keeps only those that the user gave.

mod skeleton;

use std::ops::Range;

use self::skeleton::Skeleton;
use crate::text;

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Its place, in bytes.
    pub place: Range<usize>,
    /// The same address in its plain form: lower case, without scheme, `www.` and spaces.
    pub plain: String,
}

/// Ends of host names that are no words: with one of these, a name is an address wherever it stands.
const DOMAINS: &[&str] = &[
    "ai", "app", "art", "au", "biz", "blog", "br", "ca", "cc", "cf", "ch", "click", "cn", "co", "com", "cz", "dev",
    "dk", "edu", "eu", "example", "fi", "fm", "fr", "ga", "gg", "gov", "gq", "hu", "icu", "ie", "info", "invalid",
    "io", "jp", "kr", "link", "live", "ltd", "ly", "mil", "ml", "moe", "mov", "mx", "net", "nl", "nz", "onion",
    "online", "org", "page", "pl", "pro", "pt", "pw", "ro", "rs", "ru", "sh", "shop", "site", "sk", "space", "st",
    "store", "su", "tech", "test", "tk", "top", "tr", "tv", "tw", "ua", "uk", "vip", "website", "wiki", "win", "work",
    "ws", "xyz", "za", "zip",
];
/// Ends that are words, too: only where more of an address stands beside them.
const WORDS: &[&str] = &["at", "in", "is", "it", "me", "my", "no", "se", "so", "to", "us"];
/// Ends that are words in few languages.
const HALF_WORDS: &[&str] = &["be", "de", "es"];
/// Ends that are told aloud: after "dot", or after a full stop and a space.
const TOLD: &[&str] = &[
    "biz", "click", "com", "dev", "example", "io", "link", "net", "onion", "online", "org", "ru", "shop", "site",
    "store", "top", "xyz", "zip",
];
/// "Dot", as it is told.
const DOTS: &[&str] = &["dot", "punkt", "punto", "ponto", "point", "ドット", "点"];
/// What a dot or an at sign may stand in.
const BRACKETS: [char; 8] = ['[', ']', '(', ')', '{', '}', '<', '>'];
/// "At", where brackets make a sign of it.
const ATS: &[&str] = &["at", "arroba", "arobase"];
const SCHEMES: &[&str] = &[
    "http:",
    "https:",
    "hxxp:",
    "hxxps:",
    "h**p:",
    "ftp:",
    "javascript:",
    "data:",
    "mailto:",
    "tel:",
    "www.",
];
/// What stands before "dot com" and is no name.
const NO_NAMES: &[&str] = &["a", "an", "any", "every", "of", "our", "that", "the", "this"];
const DIGITS: &[&str] = &[
    "zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// Every address of a text, in order; none overlaps another.
pub fn find(text: &str) -> Vec<Address> {
    let skeleton = Skeleton::of(text);
    let mut found = Vec::new();
    let mut at = 0;
    let words = skeleton.words();
    while at < words.len() {
        let hit = spelled(&skeleton, &words[at..])
            .or_else(|| told(&skeleton, &words[at..]))
            .or_else(|| digits_in_words(&skeleton, &words[at..]))
            .or_else(|| telephone(&skeleton, &words[at..]))
            .or_else(|| in_one_word(&skeleton, &words[at]).map(|hit| (1, hit)));
        if let Some((count, plain)) = hit {
            found.push(Address {
                place: text::whole(text, skeleton.place(words[at].start..words[at + count - 1].end)),
                plain,
            });
            at += count;
        } else {
            at += 1;
        }
    }
    found
}

/// The addresses of `text` that `given` does not name.
pub fn untraced(text: &str, given: &str) -> Vec<Address> {
    let found = find(text);
    if found.is_empty() {
        return found;
    }
    let known: Vec<String> = find(given).into_iter().map(|address| address.plain).collect();
    found
        .into_iter()
        .filter(|address| !known.contains(&address.plain))
        .collect()
}

/// A link, a handle or an e-mail address that stands in one word.
fn in_one_word(skeleton: &Skeleton, word: &Range<usize>) -> Option<String> {
    let word = skeleton.text(word);
    // No scheme, host or handle is without one of these before its last letter.
    let letters = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
    if !letters.contains([':', '.', '@']) {
        return None;
    }
    let lower = word.to_lowercase();
    let scheme = SCHEMES.iter().find_map(|scheme| {
        let at = lower.find(scheme)?;
        let is_alone = lower[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let goes_on = lower[at + scheme.len()..].contains(char::is_alphanumeric);
        (is_alone && goes_on).then_some(at)
    });
    if let Some(at) = scheme {
        return Some(plain(&lower[at..]));
    }
    let pieces: Vec<&str> = word
        .split(|c: char| {
            !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '/' | '?' | '=' | '&' | '%' | ':' | '+' | '~'))
        })
        .collect();
    pieces.iter().find_map(|piece| {
        let piece = piece
            .trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '@' | '_' | '/')))
            .trim_start_matches('/');
        if let Some(at) = piece.find('@') {
            let (name, rest) = (&piece[..at], &piece[at + 1..]);
            let is_name = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            return is_name.then(|| {
                if name.is_empty() {
                    let handle: String = rest
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
                        .collect();
                    format!("@{}", handle.trim_end_matches('.').to_lowercase())
                } else {
                    plain(piece)
                }
            });
        }
        // "link:evil.com", "or/evil.com"
        let tails = piece.match_indices([':', '/']).map(|(at, _)| &piece[at + 1..]);
        let host = std::iter::once(piece).chain(tails).find(|piece| names_a_host(piece));
        host.map(plain)
    })
}

/// True if the piece begins with a host name.
fn names_a_host(piece: &str) -> bool {
    let (host, path) = piece.split_at(piece.find(['/', '?', ':']).unwrap_or(piece.len()));
    let Some((name, domain)) = host.rsplit_once('.') else {
        return false;
    };
    let has_name = name.chars().next_back().is_some_and(char::is_alphanumeric)
        && name.chars().any(char::is_alphabetic)
        && !name.contains("..");
    if !has_name {
        return false;
    }
    let lower = domain.to_lowercase();
    // "the day.Be happy" forgot a space.
    let is_sentence = domain.starts_with(char::is_uppercase) && !domain.chars().all(char::is_uppercase);
    let has_path = path.len() > 1 && path.starts_with('/') && (2..=10).contains(&lower.len());
    let is_one_of = |ends: &[&str]| ends.contains(&lower.as_str());
    is_one_of(DOMAINS)
        || (is_one_of(HALF_WORDS) && !is_sentence)
        || (is_one_of(WORDS) && !is_sentence && (name.contains(['-', '.']) || path.len() > 1))
        || (has_path && lower.chars().all(|c| c.is_ascii_alphabetic()))
}

/// `evil dot com`, `evil [.] com`, `evil . com`, `name (at) evil dot com`.
fn told(skeleton: &Skeleton, words: &[Range<usize>]) -> Option<(usize, String)> {
    const MOST: usize = 12;
    // Most words are followed by a word, and hold no brackets that may stand for something.
    let [first, next @ ..] = words else { return None };
    let may_follow = |next: &str| {
        let next = next.trim_start_matches(BRACKETS);
        let begins = |told: &&str| match next.get(..told.len()) {
            Some(start) if start.is_ascii() => start.eq_ignore_ascii_case(told),
            _ => next.to_lowercase().starts_with(told),
        };
        // What begins all that is in the two lists, and what may become such a letter.
        let may_begin = next
            .bytes()
            .next()
            .is_some_and(|first| matches!(first.to_ascii_lowercase(), b'a' | b'd' | b'p') || !first.is_ascii());
        next.starts_with(['.', '@']) || (may_begin && DOTS.iter().chain(ATS).any(begins))
    };
    let first = skeleton.text(first);
    let is_plain = !first.contains(BRACKETS) && !first.ends_with('.');
    if is_plain && !next.first().is_some_and(|next| may_follow(skeleton.text(next))) {
        return None;
    }
    let words: Vec<&str> = words.iter().take(MOST).map(|word| skeleton.text(word)).collect();
    let first = bare(words.first()?);
    if first.is_empty() || NO_NAMES.contains(&first.to_lowercase().as_str()) {
        return None;
    }
    let mut address = first.to_lowercase();
    let mut at = 1;
    let mut is_told = false;
    // What stands in the place of a dot or an at sign, and how many words it takes.
    while let Some(word) = words.get(at) {
        let ends_with_dot = words[at - 1].ends_with('.') && at == 1;
        let inner = word.trim_matches(BRACKETS).to_lowercase();
        let is_bracketed = inner.len() < word.len() && !inner.is_empty();
        let next = words.get(at + 1).map(|next| bare(next).to_lowercase());
        if (inner == "." || DOTS.contains(&inner.as_str())) && next.is_some() {
            let next = next?;
            let is_end = TOLD.contains(&next.split('/').next().unwrap_or_default());
            let goes_on = words
                .get(at + 2)
                .is_some_and(|word| DOTS.contains(&bare(word).to_lowercase().as_str()));
            if !(is_end || (is_bracketed && !next.is_empty()) || goes_on) {
                break;
            }
            address.push('.');
            address.push_str(&next);
            is_told |= is_end || is_bracketed;
            at += 2;
        } else if ATS.contains(&inner.as_str()) && is_bracketed && next.is_some()
            || (inner == "at"
                && words
                    .get(at + 2)
                    .is_some_and(|word| DOTS.contains(&bare(word).to_lowercase().as_str())))
            || inner == "@" && is_bracketed
        {
            address.push('@');
            address.push_str(&next.unwrap_or_default());
            at += 2;
        } else if (ends_with_dot && TOLD.contains(&bare(word).split('/').next().unwrap_or_default()))
            || (word.len() > 1
                && word.starts_with('.')
                && TOLD.contains(&bare(word).split('/').next().unwrap_or_default()))
        {
            address.push('.');
            address.push_str(bare(word));
            is_told = true;
            at += 1;
        } else {
            break;
        }
    }
    // `evil[.]com` and `evil(dot)com` stand in one word.
    if at == 1 {
        if !words[0].contains(BRACKETS) {
            return None;
        }
        let joined = [
            "[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}", "<dot>", "[punkt]", "(punkt)", "(punto)", "(point)",
        ]
        .iter()
        .fold(words[0].to_lowercase(), |word, dot| word.replace(dot, "."));
        let joined = ["[at]", "(at)", "{at}", "[@]", "(@)"]
            .iter()
            .fold(joined, |word, sign| word.replace(sign, "@"));
        return (joined.len() != words[0].to_lowercase().len() && joined.contains('.')).then(|| (1, plain(&joined)));
    }
    (is_told && at <= words.len()).then(|| (at, plain(&address)))
}

/// Letters with spaces between them: `e v i l . c o m`.
fn spelled(skeleton: &Skeleton, words: &[Range<usize>]) -> Option<(usize, String)> {
    const MOST: usize = 64;
    let letters: Vec<&str> = words
        .iter()
        .map(|word| skeleton.text(word))
        .take_while(|word| word.chars().count() == 1)
        .take(MOST)
        .collect();
    if letters.len() < 5 {
        return None;
    }
    let joined = letters.concat();
    let is_address = names_a_host(&joined)
        || joined.contains("://")
        || (joined.starts_with('@') && joined.len() > 4)
        || (joined.chars().all(|c| c.is_ascii_digit()) && joined.len() >= 7);
    is_address.then(|| (letters.len(), plain(&joined)))
}

/// A telephone number in digits, over as many words as it takes.
fn telephone(skeleton: &Skeleton, words: &[Range<usize>]) -> Option<(usize, String)> {
    const MOST: usize = 8;
    let is_part = |word: &str| {
        let word = word.trim_end_matches([',', ';', '!', '?', '.']);
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | '-' | '.' | '/'))
            && word.chars().any(|c| c.is_ascii_digit())
            && !is_date(word)
    };
    if !words.first().is_some_and(|word| is_part(skeleton.text(word))) {
        return None;
    }
    let mut number = String::new();
    let mut parts = 0;
    for word in words.iter().take(MOST) {
        let word = skeleton.text(word);
        if !is_part(word) || (parts > 0 && word.starts_with('+')) {
            break;
        }
        number.push_str(word);
        number.push(' ');
        parts += 1;
        if word.ends_with([',', ';', '!', '?', '.']) {
            break;
        }
    }
    let number = number.trim_end();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let is_parted = number.trim_end_matches('.').contains([' ', '-', '.', '/', '(']);
    let is_local = {
        let mut halves = number.trim_end_matches(['.', ',', '!', '?']).split('-').map(str::len);
        (halves.next(), halves.next(), halves.next()) == (Some(3), Some(4), None)
    };
    let is_year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    if number.split(' ').all(|part| is_year(part.trim_end_matches(['.', ',']))) {
        return None;
    }
    let is_one = match digits.len() {
        8..=15 if number.starts_with('+') => true,
        10..=17 if number.starts_with("00") => true,
        9..=15 => is_parted || digits.starts_with('0'),
        7 => is_local,
        _ => false,
    };
    is_one.then_some((parts, digits))
}

/// `2026-11-30`, `30.11.2026`, `2024/25`, and decimals.
fn is_date(word: &str) -> bool {
    let parts: Vec<usize> = word.split(['-', '.', '/']).map(str::len).collect();
    matches!(
        parts[..],
        [4 | 2, 2, 2] | [2, 2, 4] | [4, 2 | 4] | [1, 1 | 2, 2 | 4] | [2, 1, 2 | 4]
    ) && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | '/'))
}

/// `five five five one two three four`.
fn digits_in_words(skeleton: &Skeleton, words: &[Range<usize>]) -> Option<(usize, String)> {
    let count = words
        .iter()
        .take(15)
        .take_while(|word| {
            let word = bare(skeleton.text(word));
            DIGITS.iter().any(|digit| digit.eq_ignore_ascii_case(word))
        })
        .count();
    (count >= 7).then(|| {
        let told = words[..count]
            .iter()
            .map(|word| bare(skeleton.text(word)).to_lowercase());
        (count, told.collect::<Vec<_>>().join(" "))
    })
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '/')))
}

fn plain(address: &str) -> String {
    let lower = address.to_lowercase();
    let mut plain = lower.trim_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
    for scheme in ["https:", "http:", "hxxps:", "hxxp:", "mailto:", "tel:", "//", "www."] {
        plain = plain.strip_prefix(scheme).unwrap_or(plain).trim_start_matches('/');
    }
    plain.to_owned()
}

#[cfg(test)]
mod tests;
