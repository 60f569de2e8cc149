//! Alt text: what the picture shows, in words, for people who do not see it. Beside the caption and never the same.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    address,
    brief::Brief,
    choice::{ContentType, Platform},
    facts,
    given::Given,
    lexicon::Tokens,
    reply::language,
    text,
};

/// The most code points, whatever a platform allows beyond: what Instagram takes (Graph API `ig-user/media`, since
/// 2025-03-24). A screen reader cannot skim.
pub const MAX_CHARS: usize = 1000;

/// The most code points of one that is taken from the description: its first sentences, and no essay.
const FROM_DESCRIPTION: usize = 250;

/// Who says what the picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AltSource {
    /// The writer of the caption.
    Writer,
    /// Nobody wrote one: it is the beginning of the description, in the user's own words and language.
    Description,
}

impl AltSource {
    pub const ALL: [Self; 2] = [Self::Writer, Self::Description];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Description => "description",
        }
    }
}

/// An alt text that may be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AltText {
    pub text: String,
    pub source: AltSource,
}

/// The writer's alt text, checked and mended; where there is none left of it, the beginning of the description. `None`
/// where the platform takes none, or where it would only repeat the caption. `repairs` is told what was mended.
pub(crate) fn alt_text(
    proposed: Option<&str>,
    given: &Given<'_>,
    caption: &str,
    repairs: &mut Vec<String>,
) -> Option<AltText> {
    let limit = limit(given.brief)?;
    let tells_more = |text: &String| !text.is_empty() && !is_same_text(text, caption);
    let written = proposed.map(plain).filter(|text| !text.is_empty()).map(|written| {
        let traced = traced_sentences(&written, given);
        if traced != written {
            repairs.push("removed from the alt text what the brief does not say".to_owned());
        }
        let fitted = cut(&traced, limit);
        if fitted != traced {
            repairs.push("cut the alt text to the limit".to_owned());
        }
        fitted
    });
    let of = |source: AltSource| move |text: String| AltText { text, source };
    written.filter(tells_more).map(of(AltSource::Writer)).or_else(|| {
        let first = cut(&plain(given.description), limit.min(FROM_DESCRIPTION));
        Some(first).filter(tells_more).map(of(AltSource::Description))
    })
}

/// The most code points: what the platform's dated rules say, and never more than [`MAX_CHARS`]. `None` where nobody would
/// see it: Instagram takes it for pictures in a feed only, and what `TikTok` and `YouTube` show are videos.
fn limit(brief: &Brief) -> Option<usize> {
    let is_video = matches!(
        brief.content_type,
        ContentType::Reel | ContentType::Story | ContentType::Highlight
    );
    match brief.platform {
        Platform::Tiktok | Platform::Youtube => None,
        Platform::Instagram if is_video => None,
        _ => Some(brief.rules().alt_text.map_or(MAX_CHARS, |limit| limit.min(MAX_CHARS))),
    }
}

/// One line without what a screen reader stumbles over: a label, emoji, signs of hashtags, characters that nobody sees.
fn plain(text: &str) -> String {
    let visible: String = text::clusters(text)
        .filter(|cluster| !text::is_emoji(cluster))
        .flat_map(str::chars)
        .filter(|c| !matches!(c, '#' | '＃' | '*' | '\u{200B}' | '\u{FEFF}' | '\u{00AD}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let unlabelled = line.get(..8).filter(|label| label.to_lowercase() == "alt text");
    let line = unlabelled.map_or(line.as_str(), |label| {
        line[label.len()..].trim_start_matches([':', ' ', '-'])
    });
    line.trim_matches(['"', '“', '”']).trim().to_owned()
}

/// The sentences that name no number, address or name that the user did not give, and are in the language asked for. Of a picture that the writer looked at
/// it may name what stands in it, but no link and no account: text in a picture is anybody's.
fn traced_sentences(text: &str, given: &Given<'_>) -> String {
    let (brief, is_seen) = (given.brief, given.brief.image.is_some());
    let is_address = |piece: &str| text::has_url(piece) || piece.contains('@');
    let sentences = text::sentences(text).filter(|sentence| {
        if !address::untraced(sentence, &given.text).is_empty()
            || !language::switches(sentence, &brief.language, &given.text).is_empty()
        {
            return false;
        }
        let untraced = facts::in_tokens(&Tokens::of(sentence), sentence, &given.facts, &brief.language);
        untraced.iter().all(|piece| is_seen && !is_address(&piece.text))
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// The longest beginning of whole sentences within the limit; of a first sentence that is too long, its whole words and
/// an ellipsis; never a part of a grapheme.
fn cut(text: &str, limit: usize) -> String {
    let length = |text: &str| text.chars().count();
    if length(text) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for sentence in text::sentences(text) {
        let space = usize::from(!kept.is_empty());
        if length(&kept) + space + length(sentence) > limit {
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(sentence);
    }
    if !kept.is_empty() {
        return kept;
    }
    let mut room = limit.saturating_sub(1);
    let within: String = text
        .graphemes(true)
        .take_while(|cluster| {
            let fits = length(cluster) <= room;
            room = room.saturating_sub(length(cluster));
            fits
        })
        .collect();
    // A text without spaces is cut where the room ends.
    let words = within.rsplit_once(' ').map_or(within.as_str(), |(words, _)| words);
    format!("{}…", words.trim_end_matches([',', ';', ':', '-', '–', ' ']))
}

/// The same words in the same order, whatever case and signs.
fn is_same_text(a: &str, b: &str) -> bool {
    text::words(a)
        .map(str::to_lowercase)
        .eq(text::words(b).map(str::to_lowercase))
}

#[cfg(test)]
mod tests;
