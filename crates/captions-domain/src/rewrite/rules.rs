//! What can be done to a caption without any model: worse than a good editor, always possible, never inventing anything.

use super::{Operation, letters, parts::Parts, tokens};
use crate::{
    bait,
    brief::Brief,
    caption::Variant,
    check,
    choice::{Emoji, Platform},
    cliche::{self, Manner},
    phrases::Words,
    platform::PlatformRules,
    polish::{self, clean, disclosure, sentence_ends, with_emoji_at_most},
    text::{self, Place},
};

/// The share of a short text that its hashtags may take, as one part of so many.
const TAGS_PART: usize = 3;
/// What a hashtag weighs against sentences ([`weight`]).
const TAG_WEIGHT: usize = 5;

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
    let cap = PlatformRules::of(brief.platform).max_hashtags;
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
    let mut caption = work.parts.caption.clone();
    // Each sentence that goes changes the places of the others, and what stands beside what.
    while let Some(empty) = empty_sentence(&caption, brief, exempt) {
        caption = without_sentences(&caption, &[empty]);
    }
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

/// The first sentence of worn phrases without which nothing is lost: no fact stands in it, and another sentence stays.
fn empty_sentence(caption: &str, brief: &Brief, exempt: &str) -> Option<Place> {
    let markers = cliche::find(caption, &brief.language, exempt);
    let worn = |place: &Place| {
        markers.iter().any(|marker| {
            marker.weight >= 1.0
                && matches!(
                    marker.manner,
                    Manner::Phrase | Manner::Reveal | Manner::Contrast | Manner::Announcement
                )
                && marker.place.start < place.end
                && place.start < marker.place.end
        })
    };
    let spans = crate::sentences::spans(caption);
    let words = Words::of(&brief.language);
    let known = words.stems(brief.description.as_str());
    spans.iter().map(|span| Place::from(span.clone())).find(|place| {
        let rest = without_sentences(caption, std::slice::from_ref(place));
        let said = words.stems(&rest);
        rest != caption
            && text::words(&rest).count() > 0
            && worn(place)
            && tokens::tokens(&place.text).is_empty()
            && words
                .stems(&place.text)
                .iter()
                .all(|stem| !known.contains(stem) || said.contains(stem))
    })
}

/// Whether the published text keeps the brief's characters.
pub(crate) fn fits(caption: &str, tags: &[String], brief: &Brief) -> bool {
    let platform = PlatformRules::of(brief.platform);
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
    let mut tags = work.parts.tags.clone();
    while !tags.is_empty() && Variant::published("", &tags).chars().count() * TAGS_PART > brief.max_chars {
        tags = strongest(&tags, tags.len() - 1, &work.parts.caption, brief);
    }
    work.tags("dropped hashtags to keep to the length", tags);
}

/// Makes the published text keep the brief's characters: the sentences and the hashtags that say least give way, and at last
/// the end of the first sentence.
pub fn fit(work: &mut Work, brief: &Brief) {
    let fits = |caption: &str, tags: &[String]| fits(caption, tags, brief);
    if fits(&work.parts.caption, &work.parts.tags) {
        return;
    }
    let sentences = Sentences::of(&work.parts.caption, brief);
    // What is worth most: sentences by what they say, a hashtag as much as a few words.
    let choice = (0..=work.parts.tags.len()).map(|count| {
        let tags = strongest(&work.parts.tags, count, &work.parts.caption, brief);
        let (caption, weight) = sentences.densest(|text| fits(text, &tags));
        (caption, weight + TAG_WEIGHT * count, tags)
    });
    let best = choice
        .filter(|(caption, _, tags)| fits(caption, tags))
        .max_by_key(|(_, weight, _)| *weight);
    let (caption, tags) = best.map_or_else(
        || {
            let first = sentences.densest(|text| fits(text, &[])).0;
            let cut = polish::within_limit(&first, 0, brief, |caption, _| caption.to_owned()).0;
            (cut, Vec::new())
        },
        |(caption, _, tags)| (caption, tags),
    );
    work.tags("dropped hashtags to keep to the length", tags);
    work.caption("cut the text to the length", caption);
}

/// A caption's sentences, each with its weight.
struct Sentences<'a> {
    pieces: Vec<&'a str>,
    weights: Vec<usize>,
}

impl<'a> Sentences<'a> {
    fn of(caption: &'a str, brief: &Brief) -> Self {
        let mut pieces: Vec<&str> = Vec::new();
        let mut start = 0;
        for end in sentence_ends(caption) {
            pieces.push(&caption[start..end]);
            start = end;
        }
        let words = Words::of(&brief.language);
        let stems: Vec<Vec<String>> = pieces.iter().map(|piece| words.stems(piece)).collect();
        let known = words.stems(brief.description.as_str());
        let weights = pieces
            .iter()
            .zip(&stems)
            .map(|(piece, own)| weight(piece, own, &stems, &known, brief))
            .collect();
        Self { pieces, weights }
    }

    /// The sentences that say most, in their order, as many as fit, and what they weigh; always the first one.
    fn densest(&self, fits: impl Fn(&str) -> bool) -> (String, usize) {
        let pieces = &self.pieces;
        let mut kept = vec![true; pieces.len()];
        let mut order: Vec<usize> = (1..pieces.len()).collect();
        // Of equals the later one goes first.
        order.sort_by_key(|index| (self.weights[*index], std::cmp::Reverse(*index)));
        let mut gone = Vec::new();
        for index in order {
            if fits(&joined(pieces, &kept)) {
                break;
            }
            kept[index] = false;
            gone.push(index);
        }
        // A long sentence may have made room for short ones that went before it.
        for index in gone.into_iter().rev() {
            kept[index] = true;
            kept[index] = fits(&joined(pieces, &kept));
        }
        let weight = self
            .weights
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|(weight, _)| weight)
            .sum();
        (joined(pieces, &kept), weight)
    }
}

/// How much would be missing without a sentence: its facts above all, then words that no other has.
fn weight(piece: &str, stems: &[String], all: &[Vec<String>], known: &[String], brief: &Brief) -> usize {
    let facts = tokens::tokens(piece).len();
    let told = stems.iter().filter(|stem| known.contains(stem)).count();
    let own = stems
        .iter()
        .filter(|stem| all.iter().filter(|other| other.contains(stem)).count() == 1)
        .count();
    let worn = cliche::find(piece, &brief.language, brief.description.as_str()).len();
    let begs = bait::find(piece, &brief.language).len();
    (12 * facts + 2 * told + own).saturating_sub(6 * (worn + begs))
}

/// The kept pieces as one text. A paragraph that loses its last sentence still ends there.
fn joined(pieces: &[&str], kept: &[bool]) -> String {
    let mut text = String::new();
    for (piece, kept) in pieces.iter().zip(kept) {
        let body = piece.trim_end();
        let gap = &piece[body.len()..];
        if *kept {
            text.push_str(piece);
        } else if gap.contains('\n') {
            text.truncate(text.trim_end().len());
            text.push_str(gap);
        }
    }
    clean(&text)
}

/// The text without these sentences, unless nothing would be left of it.
fn without_sentences(text: &str, places: &[Place]) -> String {
    if places.is_empty() {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut gone = false;
    for (index, c) in text.chars().enumerate() {
        let is_gone = places.iter().any(|place| (place.start..place.end).contains(&index));
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
    let words = Words::of(&brief.language);
    let told = words.stems(&format!("{caption}\n{}", brief.description));
    let worth = |tag: &str| {
        let body = tag.trim_start_matches(['#', '＃']);
        if brief
            .brand_tags
            .iter()
            .any(|own| own.as_str().to_lowercase() == body.to_lowercase())
        {
            return 2;
        }
        let joined = body.to_lowercase();
        let is_told = words.stems(body).iter().any(|stem| told.contains(stem))
            || told
                .iter()
                .any(|stem| stem.chars().count() > 3 && joined.contains(stem.as_str()));
        usize::from(is_told)
    };
    let mut order: Vec<usize> = (0..tags.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(worth(&tags[*index])), *index));
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|index| tags[index].clone()).collect()
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

/// All but the first exclamation mark as full stops.
fn calmed(text: &str) -> String {
    let mut seen = false;
    let mut calm = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '!' {
            calm.push(c);
        } else if !seen {
            seen = true;
            calm.push(c);
        } else if !calm.ends_with(['!', '?', '.']) {
            calm.push('.');
        }
    }
    calm
}

fn without_dashes(text: &str) -> String {
    text.replace(" — ", ", ").replace(" – ", ", ").replace('—', ", ")
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
