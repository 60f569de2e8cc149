//! Hashtags, mentions and web addresses as platforms find them in a text.

use unicode_segmentation::UnicodeSegmentation;

use super::{clusters, is_emoji};

/// A piece of a text with its place in code points, end exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
}

/// True if `body` (without `#`) can be a hashtag: letters and marks of any script, digits and `_`, at least one letter.
pub fn is_tag_body(body: &str) -> bool {
    body.chars().any(char::is_alphabetic) && clusters(body).all(is_tag_cluster)
}

/// What of `text` can stand in a hashtag, whole graphemes only. Marks that stand alone are left out: what they came after is
/// gone, and they would make something else of the letter before.
pub fn tag_text(text: &str) -> String {
    clusters(text)
        .filter(|cluster| is_tag_cluster(cluster) && !cluster.starts_with(is_mark))
        .collect()
}

/// A letter, digit or `_` with all its marks and joiners, or marks alone; not a digit that is an emoji by its marks.
fn is_tag_cluster(cluster: &str) -> bool {
    cluster.chars().all(is_tag_char) && !is_emoji(cluster)
}

/// Letters, digits and `_`, the marks of any script, and the joiners that scripts need inside words.
pub fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_mark(c)
}

/// True for what never stands alone but joins the letter before it: Rust knows no marks, but where graphemes end it can
/// be told. Skin tones and tag characters join emoji, not letters.
fn is_mark(c: char) -> bool {
    if c < '\u{300}' || matches!(c, '\u{1F3FB}'..='\u{1F3FF}' | '\u{E0000}'..='\u{E007F}') {
        return false;
    }
    let mut pair = [b'a', 0, 0, 0, 0];
    let length = 1 + c.encode_utf8(&mut pair[1..]).len();
    std::str::from_utf8(&pair[..length]).is_ok_and(|pair| pair.graphemes(true).count() == 1)
}

/// Every hashtag as platforms count it: `#` or `＃` and a tag body or emoji, also glued ones (`#a#b` are two), but not
/// after `&` (an HTML entity), and not the sign on a key (`#️⃣`). Digits-only tags are counted too: better one too many
/// than a refused post.
pub fn hashtags(text: &str) -> Vec<Span<'_>> {
    tokens(
        text,
        |c| c == '#' || c == '＃',
        |before| before != Some('&'),
        |rest| {
            if rest.starts_with(['\u{FE0F}', '\u{20E3}']) {
                return 0;
            }
            let mut end = 0;
            for cluster in clusters(rest) {
                if !(is_tag_cluster(cluster) || (is_emoji(cluster) && !cluster.starts_with('#'))) {
                    break;
                }
                end += cluster.len();
            }
            end
        },
    )
}

/// Every @mention: `@` and 1-30 of `[A-Za-z0-9_.]`, no dot at either end and no two in a row, not after a word character
/// (an e-mail).
pub fn mentions(text: &str) -> Vec<Span<'_>> {
    tokens(
        text,
        |c| c == '@',
        |before| !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.'),
        |rest| {
            let end = rest
                .char_indices()
                .take(30)
                .take_while(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
                .last()
                .map_or(0, |(at, _)| at + 1);
            let name = &rest[..end];
            if name.starts_with('.') {
                return 0;
            }
            let name = name.find("..").map_or(name, |at| &name[..at]);
            name.trim_end_matches('.').len()
        },
    )
}

fn tokens(
    text: &str,
    is_sign: impl Fn(char) -> bool,
    may_follow: impl Fn(Option<char>) -> bool,
    body_length: impl Fn(&str) -> usize,
) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut before = None;
    let mut skip_to = 0;
    for (index, (at, c)) in text.char_indices().enumerate() {
        if at >= skip_to && is_sign(c) && may_follow(before) {
            let body_at = at + c.len_utf8();
            let length = body_length(&text[body_at..]);
            if length > 0 {
                let whole = &text[at..body_at + length];
                found.push(Span {
                    text: whole,
                    start: index,
                    end: index + whole.chars().count(),
                });
                skip_to = body_at + length;
            }
        }
        before = Some(c);
    }
    found
}

/// Every web address that a platform makes a link of: with a scheme, or a host name with a common ending. An e-mail
/// address is none.
pub fn urls(text: &str) -> Vec<Span<'_>> {
    let mut index = 0;
    let mut at = 0;
    url_bytes(text)
        .into_iter()
        .map(|(start, end)| {
            index += text[at..start].chars().count();
            at = start;
            let whole = &text[start..end];
            Span {
                text: whole,
                start: index,
                end: index + whole.chars().count(),
            }
        })
        .collect()
}

/// The same in bytes. An address ends where its piece ends, so each piece has at most one.
pub(super) fn url_bytes(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut base = 0;
    for piece in text.split_inclusive(ends_address) {
        let address = if may_hold_address(piece) {
            piece.trim_end_matches(ends_address)
        } else {
            ""
        };
        if let Some(start) = address_start(address) {
            // The punctuation that closes the sentence around it is no part of it.
            let end = address
                .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*'])
                .len();
            found.push((base + start, base + end));
        }
        base += piece.len();
    }
    found
}

fn ends_address(c: char) -> bool {
    if c.is_ascii() {
        matches!(c, ' ' | '\t'..='\r' | '"' | '<' | '>')
    } else {
        c.is_whitespace() || !c.is_alphanumeric()
    }
}

/// Where an address begins: at its scheme, or at a host name that no scheme stands before.
fn address_start(piece: &str) -> Option<usize> {
    if !may_hold_address(piece) {
        return None;
    }
    let lower = piece.to_ascii_lowercase();
    let schemes = ["https://", "http://"];
    let scheme = schemes
        .iter()
        .filter_map(|scheme| Some((lower.find(scheme)?, scheme.len())))
        .min()
        .filter(|(at, length)| lower.len() > at + length);
    let mut at = 0;
    let mut host = None;
    for part in lower.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))) {
        let name = part.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        if names_a_host(name) {
            host = Some(at);
            break;
        }
        at += part.len();
    }
    let start = scheme.map(|(at, _)| at).into_iter().chain(host).min()?;
    (!lower[..start].ends_with('@')).then_some(start)
}

/// True for a word that opens a web page: with a scheme, or starting with `www.`.
pub fn is_url(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("www.")
}

/// True if a web address stands anywhere in the word, also glued to other signs or without a scheme (`anna-bakery.com`).
pub fn has_url(word: &str) -> bool {
    if !may_hold_address(word) {
        return false;
    }
    let lower = word.to_lowercase();
    ["http://", "https://", "www."]
        .iter()
        .any(|start| lower.contains(start))
        || lower
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
            .any(names_a_host)
}

/// False for what has no sign of an address in it, as nearly all words have not. The full stop of a sentence is none.
fn may_hold_address(word: &str) -> bool {
    let bytes = word.as_bytes();
    let inside = bytes.split_last().map_or(bytes, |(_, inside)| inside);
    inside.iter().any(|byte| matches!(byte, b'.' | b':')) || bytes.ends_with(b"w.") || bytes.ends_with(b"W.")
}

/// True for a name such as `anna-bakery.com`, in lower case.
fn names_a_host(name: &str) -> bool {
    const DOMAINS: [&str; 20] = [
        "app", "be", "biz", "ch", "co", "com", "de", "dev", "es", "eu", "fr", "info", "io", "link", "ly", "net", "nl",
        "org", "shop", "uk",
    ];
    name.rsplit_once('.').is_some_and(|(host, domain)| {
        DOMAINS.contains(&domain) && host.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric())
    })
}
