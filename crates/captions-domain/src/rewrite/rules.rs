//! What can be done to a caption without any model: worse than a good editor, always possible, never inventing anything.
//!
//! No step takes time that grows with the square of the text: nobody waits in between.

use std::collections::{HashMap, HashSet};

use super::{Operation, letters, parts::Parts, tokens};
use crate::{
    bait,
    brief::Brief,
    caption::Variant,
    check,
    choice::{Emoji, Platform},
    cliche::{self, Manner},
    phrases::Words,
    polish::{self, clean, disclosure, sentence_ends, with_emoji_at_most},
    text::{self, Place},
};

/// The share of a short text that its hashtags may take, as one part of so many.
const TAGS_PART: usize = 3;
/// What a hashtag weighs against sentences ([`weight`]).
const TAG_WEIGHT: usize = 5;
/// So many hashtags are weighed against sentences at most.
const MAX_TAGS: usize = 30;
/// So many pieces of a text are weighed against each other at most; of more sentences several are one piece.
const MAX_PIECES: usize = 200;

/// A caption in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub parts: Parts,
    /// What was done, in words.
    pub repairs: Vec<String>,
}

impl Work {
    pub const fn on(parts: Parts) -> Self {
        Self {
            parts,
            repairs: Vec::new(),
        }
    }

    pub fn published(&self) -> String {
        Variant::published(&self.parts.caption, &self.parts.tags)
    }

    fn caption(&mut self, name: &str, after: String) {
        if self.parts.caption != after {
            self.parts.caption = after;
            self.repairs.push(name.to_owned());
        }
    }

    fn tags(&mut self, name: &str, after: Vec<String>) {
        if self.parts.tags != after {
            self.parts.tags = after;
            self.repairs.push(name.to_owned());
        }
    }
}

/// Does the operation as far as rules can. `brief` holds its limits: the characters, the number of hashtags.
pub fn apply(operation: &Operation, work: &mut Work, brief: &Brief) {
    match operation {
        Operation::Shorten(_) => {}
        Operation::Fix => fix(work, brief),
        Operation::Adapt(_) => adapt(work, brief),
        Operation::DeCliche => de_cliche(work, brief),
        Operation::Expand(_) | Operation::Tone(_) | Operation::Translate(_) => return,
    }
    fit(work, brief);
}

/// Spaces, signs, letters, and every rule that can be kept without a word being written.
pub fn fix(work: &mut Work, brief: &Brief) {
    work.caption("wrote styled letters plainly", letters::plain(&work.parts.caption));
    let tidy = tidied(&work.parts.caption, brief.language.primary());
    work.caption("set spaces and punctuation right", tidy);
    let begging = bait::find(&work.parts.caption, &brief.language);
    let honest = without_sentences(&work.parts.caption, &begging);
    work.caption("left out sentences that beg for reactions", honest);
    keep_rules(work, brief);
}

/// What the brief's platform demands, apart from the length.
pub(crate) fn keep_rules(work: &mut Work, brief: &Brief) {
    if brief.emoji == Emoji::None {
        let plain = with_emoji_at_most(&work.parts.caption, 0, brief.language.primary());
        work.caption("removed emoji that are not wanted", plain);
    }
    let mut once: Vec<String> = Vec::new();
    for tag in &work.parts.tags {
        if !once.iter().any(|other| other.to_lowercase() == tag.to_lowercase()) {
            once.push(tag.clone());
        }
    }
    work.tags("left out repeated hashtags", once);
    let cap = brief.rules().max_hashtags;
    cap_tags(work, cap, brief);
    let misses_disclosure = |work: &Work| {
        let found = check::violations(&work.published(), brief);
        found.iter().any(|broken| broken.rule == "missing_disclosure")
    };
    if brief.sponsored && misses_disclosure(work) {
        let disclosed = format!("{} {}", disclosure(brief.language.primary()), work.parts.caption);
        work.caption("put the disclosure first", disclosed);
    }
}

/// At most so many hashtags: the weakest behind the text go, then the last ones within it become words.
fn cap_tags(work: &mut Work, cap: usize, brief: &Brief) {
    let inside = text::hashtags(&work.parts.caption).len();
    let kept = strongest(&work.parts.tags, cap.saturating_sub(inside), &work.parts.caption, brief);
    work.tags("dropped hashtags beyond the platform's number", kept);
    let words = with_tags_at_most(&work.parts.caption, cap);
    work.caption("made hashtags within the text into words", words);
}

/// For another platform: its number of hashtags, its rules; [`fit`] sees to the length.
pub(crate) fn adapt(work: &mut Work, brief: &Brief) {
    let kept = strongest(&work.parts.tags, brief.hashtag_count, &work.parts.caption, brief);
    work.tags("kept as many hashtags as are usual there", kept);
    keep_rules(work, brief);
}

/// Leaves out what only a machine would say, where the rest still says everything; sets dashes and shouting right.
fn de_cliche(work: &mut Work, brief: &Brief) {
    let exempt = brief.description.as_str();
    let empty = empty_sentences(&work.parts.caption, brief, exempt);
    let caption = without_sentences(&work.parts.caption, &empty);
    work.caption("left out sentences of worn phrases", caption);
    let has = |manner| {
        let markers = cliche::find(&work.parts.caption, &brief.language, exempt);
        markers.iter().any(|marker| marker.manner == manner)
    };
    let (shouts, dashes) = (has(Manner::Shouting), has(Manner::Dashes));
    if shouts {
        let calm = calmed(&work.parts.caption);
        work.caption("made exclamation marks into full stops", calm);
    }
    if dashes {
        let plain = without_dashes(&work.parts.caption);
        work.caption("made dashes into commas", plain);
    }
}

/// The sentences of worn phrases without which nothing is lost: no fact stands in them, and another sentence stays.
fn empty_sentences(caption: &str, brief: &Brief, exempt: &str) -> Vec<Place> {
    let markers: Vec<_> = cliche::find(caption, &brief.language, exempt)
        .into_iter()
        .filter(|marker| marker.weight >= 1.0 && is_of_words(marker.manner))
        .collect();
    if markers.is_empty() {
        return Vec::new();
    }
    let spans = crate::sentences::spans(caption);
    let words = Words::of(&brief.language);
    let known: HashSet<String> = words.stems(brief.description.as_str()).into_iter().collect();
    let stems: Vec<Vec<String>> = spans.iter().map(|span| words.stems(span.text)).collect();
    let mut times = times(&stems);
    let mut speaking = spans
        .iter()
        .filter(|span| text::words(span.text).next().is_some())
        .count();
    let mut empty = Vec::new();
    for (span, stems) in spans.into_iter().zip(&stems) {
        let place = Place::from(span);
        let is_worn = touching(&markers, place.start, place.end, |marker| &marker.place) > 0;
        let says_nothing = |stem: &String| !known.contains(stem) || times.get(stem).is_some_and(|times| *times > 1);
        if is_worn && speaking > 1 && stems.iter().all(says_nothing) && tokens::tokens(&place.text).is_empty() {
            for stem in stems {
                times.entry(stem.clone()).and_modify(|times| *times -= 1);
            }
            speaking -= 1;
            empty.push(place);
        }
    }
    empty
}

/// Whether such a sign is made of words, and not of rhythm or punctuation.
const fn is_of_words(manner: Manner) -> bool {
    matches!(
        manner,
        Manner::Phrase | Manner::Reveal | Manner::Contrast | Manner::Announcement
    )
}

/// How many of these, which are in order, touch the stretch of the text.
fn touching<T>(all: &[T], start: usize, end: usize, place: impl Fn(&T) -> &Place) -> usize {
    all.iter()
        .take_while(|one| place(one).start < end)
        .filter(|one| start < place(one).end)
        .count()
}

/// In how many of the pieces each stem stands.
fn times(pieces: &[Vec<String>]) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for stem in pieces.iter().flatten() {
        *times.entry(stem.clone()).or_insert(0) += 1;
    }
    times
}

/// Whether the published text keeps the brief's characters.
pub(crate) fn fits(caption: &str, tags: &[String], brief: &Brief) -> bool {
    let platform = brief.rules();
    let text = Variant::published(caption, tags);
    text.chars().count() <= brief.max_chars
        && text::length_in(platform.unit, &text) <= platform.max_chars
        && (platform.max_chars > brief.max_chars || text.encode_utf16().count() <= platform.max_chars)
}

/// Drops the weakest hashtags until they take a third of a short text at most, so that somebody can write the rest.
pub(crate) fn leave_room(work: &mut Work, brief: &Brief) {
    if fits(&work.parts.caption, &work.parts.tags, brief) {
        return;
    }
    let tags = &work.parts.tags;
    let order = ranked(tags, &work.parts.caption, brief);
    let mut taken = 0;
    let room = order.iter().take_while(|index| {
        taken += tags[**index].chars().count() + usize::from(taken > 0);
        taken * TAGS_PART <= brief.max_chars
    });
    let kept = first_of(&order, tags, room.count());
    work.tags("dropped hashtags to keep to the length", kept);
}

/// Makes the published text keep the brief's characters: the sentences and the hashtags that say least give way, and at last
/// the end of the first sentence.
pub fn fit(work: &mut Work, brief: &Brief) {
    let fits = |caption: &str, tags: &[String]| fits(caption, tags, brief);
    if fits(&work.parts.caption, &work.parts.tags) {
        return;
    }
    let cleaned = clean(&work.parts.caption);
    let sentences = Sentences::of(&cleaned, brief);
    let order = ranked(&work.parts.tags, &cleaned, brief);
    // What is worth most: sentences by what they say, a hashtag as much as a few words.
    let choice = (0..=order.len().min(MAX_TAGS)).map(|count| {
        let tags = first_of(&order, &work.parts.tags, count);
        let (kept, weight) = sentences.densest(Size::behind(&tags, brief), brief);
        (kept, weight + TAG_WEIGHT * count, tags)
    });
    let mut best: Option<(String, usize, Vec<String>)> = None;
    for (kept, weight, tags) in choice {
        // Of equals the one with more hashtags.
        if best.as_ref().is_none_or(|(_, most, _)| *most <= weight) {
            let caption = sentences.joined(&kept);
            if fits(&caption, &tags) {
                best = Some((caption, weight, tags));
            }
        }
    }
    let (caption, tags) = best.map_or_else(
        || {
            let first = sentences.joined(&sentences.densest(Size::default(), brief).0);
            let cut = polish::within_limit(&first, 0, brief, |caption, _| caption.to_owned()).0;
            (cut, Vec::new())
        },
        |(caption, _, tags)| (caption, tags),
    );
    work.tags("dropped hashtags to keep to the length", tags);
    work.caption("cut the text to the length", caption);
}

/// How long a text is, in each way that somebody counts.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    points: usize,
    units: usize,
    utf16: usize,
}

impl Size {
    fn of(text: &str, brief: &Brief) -> Self {
        Self {
            points: text.chars().count(),
            units: text::length_in(brief.rules().unit, text),
            utf16: text.encode_utf16().count(),
        }
    }

    /// What hashtags take behind a text.
    fn behind(tags: &[String], brief: &Brief) -> Self {
        if tags.is_empty() {
            Self::default()
        } else {
            Self::of(&format!("\n\n{}", tags.join(" ")), brief)
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            points: self.points + other.points,
            units: self.units + other.units,
            utf16: self.utf16 + other.utf16,
        }
    }

    fn fits(self, brief: &Brief) -> bool {
        let platform = brief.rules();
        self.points <= brief.max_chars
            && self.units <= platform.max_chars
            && (platform.max_chars > brief.max_chars || self.utf16 <= platform.max_chars)
    }
}

/// A sentence with the space behind it.
struct Piece<'a> {
    text: &'a str,
    gap: &'a str,
    size: Size,
    gap_size: Size,
    weight: usize,
}

/// A caption's sentences, each with its weight.
struct Sentences<'a> {
    pieces: Vec<Piece<'a>>,
}

impl<'a> Sentences<'a> {
    fn of(caption: &'a str, brief: &Brief) -> Self {
        let ends = sentence_ends(caption);
        let several = ends.len().div_ceil(MAX_PIECES).max(1);
        let mut texts: Vec<&str> = Vec::new();
        let mut start = 0;
        for end in ends.chunks(several).filter_map(|several| several.last()) {
            texts.push(&caption[start..*end]);
            start = *end;
        }
        let weights = weights(&texts, caption, brief);
        let pieces = texts
            .into_iter()
            .zip(weights)
            .map(|(text, weight)| {
                let (text, gap) = text.split_at(text.trim_end().len());
                Piece {
                    text,
                    gap,
                    size: Size::of(text, brief),
                    gap_size: Size::of(gap, brief),
                    weight,
                }
            })
            .collect();
        Self { pieces }
    }

    /// The sentences that say most, as many as fit with what else there is, and what they weigh; always the first one.
    fn densest(&self, more: Size, brief: &Brief) -> (Vec<bool>, usize) {
        let pieces = &self.pieces;
        let fits = |kept: &[bool]| self.size(kept).and(more).fits(brief);
        let mut kept = vec![true; pieces.len()];
        let mut order: Vec<usize> = (1..pieces.len()).collect();
        // Of equals the later one goes first.
        order.sort_by_key(|index| (pieces[*index].weight, std::cmp::Reverse(*index)));
        let mut gone = Vec::new();
        for index in order {
            if fits(&kept) {
                break;
            }
            kept[index] = false;
            gone.push(index);
        }
        // A long sentence may have made room for short ones that went before it.
        for index in gone.into_iter().rev() {
            kept[index] = true;
            kept[index] = fits(&kept);
        }
        let weight = pieces
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|(piece, _)| piece.weight)
            .sum();
        (kept, weight)
    }

    /// How long [`Self::joined`] is.
    fn size(&self, kept: &[bool]) -> Size {
        let (mut size, mut gap) = (Size::default(), Size::default());
        for (piece, kept) in self.pieces.iter().zip(kept) {
            if *kept {
                size = size.and(gap).and(piece.size);
                gap = piece.gap_size;
            } else if piece.gap.contains('\n') {
                gap = piece.gap_size;
            }
        }
        size
    }

    /// The kept pieces as one text. A paragraph that loses its last sentence still ends there.
    fn joined(&self, kept: &[bool]) -> String {
        let mut text = String::new();
        let mut gap = "";
        for (piece, kept) in self.pieces.iter().zip(kept) {
            if *kept {
                text.push_str(gap);
                text.push_str(piece.text);
                gap = piece.gap;
            } else if piece.gap.contains('\n') {
                gap = piece.gap;
            }
        }
        clean(&text)
    }
}

/// How much would be missing without each piece of the caption: its facts above all, then words that no other has.
fn weights(pieces: &[&str], caption: &str, brief: &Brief) -> Vec<usize> {
    let exempt = brief.description.as_str();
    let words = Words::of(&brief.language);
    let stems: Vec<Vec<String>> = pieces.iter().map(|piece| words.stems(piece)).collect();
    let known: HashSet<String> = words.stems(exempt).into_iter().collect();
    let times = times(&stems);
    let mut worn = cliche::find(caption, &brief.language, exempt);
    worn.retain(|marker| is_of_words(marker.manner));
    let begging = bait::find(caption, &brief.language);
    let mut start = 0;
    pieces
        .iter()
        .zip(&stems)
        .map(|(piece, stems)| {
            let end = start + piece.chars().count();
            let facts = tokens::tokens(piece).len();
            let told = stems.iter().filter(|stem| known.contains(*stem)).count();
            let own = stems.iter().filter(|stem| times.get(*stem) == Some(&1)).count();
            let empty =
                touching(&worn, start, end, |marker| &marker.place) + touching(&begging, start, end, |place| place);
            start = end;
            (12 * facts + 2 * told + own).saturating_sub(6 * empty)
        })
        .collect()
}

/// The text without these sentences, which are in order, unless nothing would be left of it.
fn without_sentences(text: &str, places: &[Place]) -> String {
    if places.is_empty() {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut gone = false;
    let mut places = places.iter().peekable();
    for (index, c) in text.chars().enumerate() {
        while places.next_if(|place| place.end <= index).is_some() {}
        let is_gone = places.peek().is_some_and(|place| place.start <= index);
        // The space behind a sentence goes with it; a line break does not.
        let is_its_space = gone && c == ' ';
        gone = is_gone || is_its_space;
        if !gone {
            kept.push(c);
        }
    }
    let kept = clean(&kept.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
    if kept.chars().any(char::is_alphanumeric) {
        kept
    } else {
        text.to_owned()
    }
}

/// The most telling tags, in their order: the brand's, then those about what is told, then the earlier ones.
fn strongest(tags: &[String], most: usize, caption: &str, brief: &Brief) -> Vec<String> {
    if tags.len() <= most {
        return tags.to_vec();
    }
    first_of(&ranked(tags, caption, brief), tags, most)
}

/// The first so many of an order of tags, as they stood.
fn first_of(order: &[usize], tags: &[String], most: usize) -> Vec<String> {
    let mut first: Vec<usize> = order.iter().copied().take(most).collect();
    first.sort_unstable();
    first.into_iter().map(|index| tags[index].clone()).collect()
}

/// The tags' places by what they tell, most first.
fn ranked(tags: &[String], caption: &str, brief: &Brief) -> Vec<usize> {
    let words = Words::of(&brief.language);
    let told = words.stems(&format!("{caption}\n{}", brief.description));
    let known: HashSet<&String> = told.iter().collect();
    let long: Vec<&String> = told.iter().filter(|stem| stem.chars().count() > 3).collect();
    let brands: Vec<String> = brief.brand_tags.iter().map(|own| own.as_str().to_lowercase()).collect();
    let worth = |tag: &str| {
        let body = tag.trim_start_matches(['#', '＃']);
        let joined = body.to_lowercase();
        if brands.contains(&joined) {
            return 2;
        }
        let is_told = words.stems(body).iter().any(|stem| known.contains(stem))
            || long.iter().any(|stem| joined.contains(stem.as_str()));
        usize::from(is_told)
    };
    let mut order: Vec<usize> = (0..tags.len()).collect();
    order.sort_by_cached_key(|index| (std::cmp::Reverse(worth(&tags[*index])), *index));
    order
}

/// The text with the hashtags beyond the first `most` as words.
fn with_tags_at_most(caption: &str, most: usize) -> String {
    let signs: Vec<usize> = text::hashtags(caption)
        .iter()
        .skip(most)
        // "#1" is a number, and says something else without its sign.
        .filter(|tag| text::is_tag_body(tag.text.trim_start_matches(['#', '＃'])))
        .map(|tag| tag.start)
        .collect();
    let mut plain = String::with_capacity(caption.len());
    for (index, c) in caption.chars().enumerate() {
        if !signs.contains(&index) {
            plain.push(c);
        } else if plain.ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            // What was glued to it stays apart.
            plain.push(' ');
        }
    }
    plain
}

/// One space between words, none before a full stop or comma, no more than one `!` or `?` of a row, three dots at most.
fn tidied(text: &str, language: &str) -> String {
    // French has a space there.
    let closing: &[char] = if language == "fr" {
        &['.', ',']
    } else {
        &['.', ',', '!', '?', ';', ':']
    };
    let lines: Vec<String> = clean(text)
        .lines()
        .map(|line| {
            let mut tidy = String::with_capacity(line.len());
            let mut chars = line.chars().peekable();
            while let Some(c) = chars.next() {
                let next_is_apart = chars
                    .peek()
                    .is_none_or(|next| next.is_whitespace() || closing.contains(next));
                if closing.contains(&c) && next_is_apart {
                    // ":)" and ".5" are none of these: what follows is no space.
                    tidy.truncate(tidy.trim_end_matches(' ').len());
                }
                let repeats = |most: usize| tidy.chars().rev().take(most).filter(|before| *before == c).count() == most;
                let is_too_much = match c {
                    ' ' => repeats(1) || tidy.is_empty(),
                    '!' | '?' | ',' => repeats(1),
                    '.' => repeats(3),
                    _ => false,
                };
                if !is_too_much {
                    tidy.push(c);
                }
            }
            tidy.trim_end().to_owned()
        })
        .collect();
    clean(&lines.join("\n"))
}

/// All but the first exclamation mark as full stops of the same width, without the signs that open what they end: "¡Pan!".
fn calmed(text: &str) -> String {
    const MARKS: [char; 2] = ['!', '！'];
    let mut seen = false;
    let mut calm = String::with_capacity(text.len());
    for c in text.chars() {
        if !MARKS.contains(&c) {
            calm.push(c);
        } else if !seen {
            seen = true;
            calm.push(c);
        } else if !calm.ends_with(MARKS) {
            let open = calm
                .rfind('¡')
                .filter(|open| !calm[*open..].contains(['!', '！', '\n']));
            if let Some(last) = open {
                let first = calm[..last].trim_end_matches('¡').len();
                calm.replace_range(first..last + '¡'.len_utf8(), "");
            }
            if !calm.ends_with(['?', '.', '？', '。']) {
                calm.push(if c == '！' { '。' } else { '.' });
            }
        }
    }
    calm
}

/// Long dashes as commas. One between numbers is a range, one at the edge of a line introduces or signs something.
fn without_dashes(text: &str) -> String {
    let has_digit = |word: &str| word.contains(char::is_numeric);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('—') {
        plain.push_str(before);
        let head = plain.trim_end_matches(' ');
        let tail = after.trim_start_matches([' ', '—']);
        let is_range = head.rsplit(char::is_whitespace).next().is_some_and(has_digit)
            && tail.split(char::is_whitespace).next().is_some_and(has_digit);
        let is_edge = head.is_empty() || head.ends_with('\n') || tail.is_empty() || tail.starts_with('\n');
        if is_range || is_edge {
            plain.push('—');
            rest = after;
        } else {
            plain.truncate(head.len());
            plain.push_str(", ");
            rest = tail;
        }
    }
    plain.push_str(rest);
    plain
}

/// What a platform does with a text that no rule forbids, as far as it concerns this one: a name and a sentence.
pub fn advice(platform: Platform, text: &str) -> Option<(&'static str, String)> {
    let has_link = tokens::tokens(text)
        .iter()
        .any(|token| token.kind == tokens::Kind::Link);
    (has_link && matches!(platform, Platform::Instagram | Platform::Tiktok)).then(|| {
        (
            "link_not_clickable",
            format!("links in captions cannot be clicked on {platform}"),
        )
    })
}

#[cfg(test)]
mod tests;
