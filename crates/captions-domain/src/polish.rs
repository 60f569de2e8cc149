//! From the writer's draft to a text that keeps the rules: mended by rule where a rule can mend it, and told.

mod addresses;
mod label;
mod markup;

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

pub(crate) use self::addresses::{given_pieces, given_text};
use self::{addresses::without_untraced, label::without_label, markup::without_markup};
use crate::{
    address, alt, bait,
    brief::Brief,
    caption::Variant,
    check,
    choice::Emoji,
    context::{Notes, Part},
    given::Given,
    hashtags::{self, Ground},
    quality,
    reply::{self, Draft, language},
    request::Language,
    text,
};

/// The most hashtags of a writer that are looked at.
const MAX_PROPOSED: usize = 30;
/// The longest row of signs that is kept. Finding sentences takes time that grows with its square.
const MAX_SIGNS: usize = 80;

/// Checks, mends and scores a draft.
pub fn polish(draft: &Draft, brief: &Brief) -> Variant {
    let given = Given::of(brief);
    polish_given(draft, &given, &ground(&given), &Notes::default())
}

/// The same for all drafts of an answer, with notes of where the time went.
pub fn polish_all(drafts: &[Draft], brief: &Brief, notes: &Notes) -> Vec<Variant> {
    let given = Given::of(brief);
    let ground = ground(&given);
    drafts
        .iter()
        .map(|draft| polish_given(draft, &given, &ground, notes))
        .collect()
}

fn ground<'a>(given: &'a Given<'a>) -> Ground<'a> {
    Ground::of(given.brief, given.description, &given.words)
}

fn polish_given(draft: &Draft, given: &Given<'_>, ground: &Ground<'_>, notes: &Notes) -> Variant {
    let brief = given.brief;
    let mut repairs: Vec<String> = draft.repairs.iter().map(|repair| (*repair).to_owned()).collect();
    let mut proposed: Vec<String> = draft.hashtags.iter().map(|proposed| proposed.tag.clone()).collect();
    let mut caption = clean(&draft.text());
    let mut mend = |name: &str, before: &mut String, after: String| {
        if *before != after {
            *before = after;
            repairs.push(name.to_owned());
        }
    };

    let decoded = without_markup(&caption);
    mend("turned HTML or Markdown into text", &mut caption, decoded);
    let unwrapped = without_label_and_quotes(&caption, brief.description.as_str());
    mend("removed a label or quotes around the text", &mut caption, unwrapped);
    if let Some(disclosed) = disclosure_in_words(&caption, brief) {
        mend("put the disclosure first", &mut caption, disclosed);
    }
    let (untagged, tags) = without_hashtags(&caption);
    proposed.extend(tags);
    mend("moved hashtags out of the text", &mut caption, untagged);
    let traced = without_untraced(&caption, &given.text);
    mend(
        "removed a link, @mention, e-mail address or number that the brief does not name",
        &mut caption,
        traced,
    );
    let kept = without_switches(&caption, &brief.language, &given.text);
    mend(
        "removed a sentence in another language than asked for",
        &mut caption,
        kept,
    );
    let honest = without_bait(&caption, &brief.language);
    mend("removed a sentence that begs for reactions", &mut caption, honest);
    let fewer = with_emoji_at_most(
        &caption,
        match brief.emoji {
            Emoji::None => 0,
            Emoji::Few => 3,
            Emoji::Many => 10,
        },
        brief.language.primary(),
    );
    mend("removed emoji beyond the wish", &mut caption, fewer);
    if brief.sponsored
        && check::violations(&caption, brief)
            .iter()
            .any(|v| v.rule == "missing_disclosure")
    {
        let disclosed = format!("{} {caption}", disclosure(brief.language.primary()));
        mend("put the disclosure first", &mut caption, disclosed);
    }
    let fitted = within_bucket(
        &caption,
        draft.cta.as_deref().unwrap_or_default().trim(),
        brief.target_chars,
    );
    mend("dropped sentences beyond the wished length", &mut caption, fitted);

    proposed.truncate(MAX_PROPOSED);
    let mut details = notes.measure(Part::Hashtags, || hashtags::pick_from(ground, &caption, &proposed));
    let mut tags: Vec<String> = details.iter().map(|tag| tag.tag.clone()).collect();
    // A number such as "#1" in the text counts as a tag where platforms count.
    tags.truncate(
        brief
            .rules()
            .max_hashtags
            .saturating_sub(text::hashtags(&caption).len()),
    );
    let wanted_tags = tags.len();
    let (fitted, kept_tags) = within_limit(&caption, tags.len(), brief, |caption, count| {
        Variant::published(caption, &tags[..count])
    });
    mend("cut the text to the limit", &mut caption, fitted);
    tags.truncate(kept_tags);
    if kept_tags < wanted_tags {
        repairs.push("dropped hashtags to keep to the limit".to_owned());
    }

    details.truncate(tags.len());

    let alt_text = alt::alt_text(draft.alt_text.as_deref(), given, &caption, &mut repairs);

    let variant = notes.measure(Part::Score, || judged(caption, tags, given));
    Variant {
        angle: angle(&draft.angle, &given.text),
        repairs,
        report: match &alt_text {
            Some(alt) => variant.report.with_alt_text(&alt.text, &brief.rules()),
            None => variant.report,
        },
        alt_text,
        hashtag_details: details,
        ..variant
    }
}

/// A caption as it stands, checked and scored.
pub(crate) fn judged(caption: String, hashtags: Vec<String>, given: &Given<'_>) -> Variant {
    let text = Variant::published(&caption, &hashtags);
    judged_as(text, caption, hashtags, given)
}

/// The same for a text that is not laid out as captions are published.
pub(crate) fn judged_as(text: String, caption: String, hashtags: Vec<String>, given: &Given<'_>) -> Variant {
    let report = check::report(&text, given.brief);
    let violations = report.violations();
    let quality = quality::score_given(given, &caption, &text, &violations);
    Variant {
        angle: String::new(),
        publishable: report.publishable,
        report,
        caption,
        hashtags,
        text,
        quality,
        violations,
        repairs: Vec::new(),
        alt_text: None,
        hashtag_details: Vec::new(),
    }
}

/// Removes what nobody sees and what only layout made: zero-width spaces, soft hyphens, byte-order marks, control
/// characters, trailing spaces, more than one blank line. Joiners and direction marks stay: emoji and scripts need them.
pub(crate) fn clean(text: &str) -> String {
    let visible = if is_visible(text) { text } else { &visible(text) };
    let mut lines: Vec<&str> = Vec::new();
    for line in visible.lines().map(str::trim_end) {
        if line.is_empty() && lines.last().is_none_or(|last| last.is_empty()) {
            continue;
        }
        lines.push(line);
    }
    lines.join("\n").trim().to_owned()
}

/// True if each character of the text is a sign of its own that anybody sees, and no row of them is long: most texts.
fn is_visible(text: &str) -> bool {
    let mut signs = 0;
    text.chars().all(|c| {
        signs = if c.is_alphanumeric() { 0 } else { signs + 1 };
        // ASCII, the letters of western Europe, and the usual dashes, quotes and dots.
        let is_one =
            matches!(c, '\n' | ' '..='~' | '\u{A1}'..='\u{AC}' | '\u{AE}'..='\u{17F}' | '\u{2010}'..='\u{2026}' | '€');
        is_one && signs <= MAX_SIGNS
    })
}

/// Without what nobody sees, and with a space for each tab.
fn visible(text: &str) -> String {
    let mut signs = 0;
    let text = text::without_invisible(&text.replace("\r\n", "\n").replace('\t', " "));
    text::clusters(&text)
        .filter(|cluster| *cluster == "\n" || !cluster.starts_with(char::is_control))
        .filter(|cluster| {
            signs = match cluster.chars().count() {
                marked if cluster.starts_with(char::is_alphanumeric) => marked - 1,
                _ if text::is_emoji(cluster) => signs + 1,
                several => signs + several,
            };
            signs <= MAX_SIGNS
        })
        .collect()
}

/// True if no rule is broken but wishes of the request or the preferences, no address is there that nobody gave, and
/// nothing of the form of answers.
pub(crate) fn may_be_given(variant: &Variant, given: &str) -> bool {
    const WISHES: [&str; 3] = ["avoided_word", "missing_word", "emoji_not_wanted"];
    let is_wish = |rule: &str| WISHES.contains(&rule);
    !variant.caption.trim().is_empty()
        && variant.violations.iter().all(|violation| is_wish(&violation.rule))
        && address::untraced(&variant.text, given).is_empty()
        && !reply::holds_form(&variant.text)
}

/// True if who was shown this text saw nothing else than this caption: white space and what nobody sees aside, and
/// hashtags that stand behind the caption instead of in it.
pub(crate) fn reads_as(variant: &Variant, shown: &str) -> bool {
    let (shown, tags) = without_hashtags(shown);
    let shown = text::without_invisible(&shown);
    let is_kept = |tag: &String| {
        let kept = variant.hashtags.iter().map(|kept| kept.to_lowercase());
        let tag = tag.to_lowercase();
        kept.into_iter()
            .any(|kept| kept.trim_start_matches('#') == tag.trim_start_matches(['#', '＃']))
    };
    tags.iter().all(is_kept) && shown.split_whitespace().eq(variant.caption.split_whitespace())
}

/// Without what nobody sees and without markup.
pub(crate) fn plain(text: &str) -> String {
    clean(&without_markup(&clean(text)))
}

/// The approach in a word or two: one line, and no place for an address.
fn angle(written: &str, given: &str) -> String {
    if !address::untraced(written, given).is_empty() {
        return String::new();
    }
    written
        .trim()
        .graphemes(true)
        .filter(|cluster| !cluster.starts_with(char::is_control))
        .take(40)
        .collect()
}

/// Without a label before the text, unless `given` has it, and without quotes around it.
pub(crate) fn without_label_and_quotes(text: &str, given: &str) -> String {
    let plain = text.replace("**", "");
    let mut text = without_label(plain.trim(), given);
    for (open, close) in [('"', '"'), ('“', '”'), ('«', '»'), ('„', '“'), ('\'', '\'')] {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
            && !inner.is_empty()
            && !inner.contains([open, close])
        {
            text = inner.trim();
        }
    }
    text.to_owned()
}

/// The text without hashtags, and those that it had. A tag inside a sentence, or at its end, keeps its word; tags behind
/// the sentences go. `#1` is a number and stays.
fn without_hashtags(text: &str) -> (String, Vec<String>) {
    let is_tag = |tag: &str| text::is_tag_body(tag.trim_start_matches(['#', '＃']));
    let tags: Vec<String> = text::hashtags(text)
        .iter()
        .filter(|tag| is_tag(tag.text))
        .map(|tag| tag.text.to_owned())
        .collect();
    if tags.is_empty() {
        return (text.to_owned(), tags);
    }
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        while words
            .last()
            .is_some_and(|word| word.is_empty() || (word.starts_with(['#', '＃']) && is_tag(word)))
        {
            words.pop();
        }
        let words: Vec<String> = words
            .into_iter()
            .map(|word| {
                let has_tag = text::hashtags(word).iter().any(|tag| is_tag(tag.text));
                if has_tag {
                    without_hash_signs(word)
                } else {
                    word.to_owned()
                }
            })
            .collect();
        lines.push(words.join(" "));
    }
    (clean(&lines.join("\n")), tags)
}

/// Without `#`, but with the emoji of the key that has it.
fn without_hash_signs(word: &str) -> String {
    text::clusters(word)
        .map(|cluster| {
            if text::is_emoji(cluster) {
                cluster
            } else {
                cluster.trim_start_matches(['#', '＃'])
            }
        })
        .collect()
}

/// Without the sentences that platforms demote a post for; a text that is nothing else stays.
fn without_bait(text: &str, language: &Language) -> String {
    without(
        text,
        bait::find(text, language)
            .into_iter()
            .map(|place| place.start..place.end),
    )
}

/// Without the sentences that are plainly in another language than asked for and that nobody gave; a text that is nothing
/// else stays.
fn without_switches(text: &str, wanted: &Language, given: &str) -> String {
    let found = language::switches(text, wanted, given);
    without(text, found.into_iter().map(|span| span.start..span.end))
}

/// Without these places, which are in code points; a text that is nothing else stays.
fn without(text: &str, places: impl Iterator<Item = Range<usize>>) -> String {
    let places: Vec<Range<usize>> = places.collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .enumerate()
        .filter(|(at, _)| !places.iter().any(|place| place.contains(at)))
        .map(|(_, c)| c)
        .collect();
    let kept = clean(&kept.replace("  ", " "));
    if kept.chars().any(char::is_alphanumeric) {
        kept
    } else {
        text.to_owned()
    }
}

pub(crate) fn with_emoji_at_most(text: &str, most: usize, language: &str) -> String {
    let mut left = most;
    let mut removed = false;
    let kept: String = text::clusters(text)
        .filter(|cluster| {
            if !text::is_emoji(cluster) {
                return true;
            }
            let keep = left > 0;
            left = left.saturating_sub(1);
            removed |= !keep;
            keep
        })
        .collect();
    if !removed {
        return text.to_owned();
    }
    // The spaces around a removed emoji would stand double or before punctuation. French has one before "!" and "?".
    let marks: &[&str] = if language == "fr" {
        &[" .", " ,"]
    } else {
        &[" .", " ,", " !", " ?"]
    };
    let lines: Vec<String> = kept
        .lines()
        .map(|line| {
            let line = line
                .split(' ')
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            marks.iter().fold(line, |line, mark| line.replace(mark, &mark[1..]))
        })
        .collect();
    clean(&lines.join("\n"))
}

/// A plain disclosure in the caption's language.
pub(crate) fn disclosure(language: &str) -> &'static str {
    match language {
        "de" => "Anzeige:",
        "es" => "Publicidad:",
        "fr" => "Publicité :",
        "it" => "Pubblicità:",
        "pt" => "Publicidade:",
        _ => "Ad:",
    }
}

/// For a paid post that discloses by a hashtag at its head, which would lose its sign: the same in words.
fn disclosure_in_words(caption: &str, brief: &Brief) -> Option<String> {
    let (label, rest) = check::leading_tag(caption).filter(|_| brief.sponsored)?;
    let (first, others) = label.split_at(label.chars().next().map_or(0, char::len_utf8));
    let in_words = format!("{}{others}{rest}", first.to_uppercase());
    Some(if check::discloses(&in_words) {
        in_words
    } else {
        format!("{} {}", disclosure(brief.language.primary()), rest.trim_start())
    })
}

/// Drops last sentences that stand beyond the bucket's end, as long as what stays is not under its start. The call to
/// action was asked for, so it stays at the end.
fn within_bucket(caption: &str, cta: &str, (from, to): (usize, usize)) -> String {
    if caption.chars().count() <= to {
        return caption.to_owned();
    }
    let (body, end) = caption.strip_suffix(cta).map_or((caption, ""), |body| {
        (body.trim_end(), &caption[body.trim_end().len()..])
    });
    let whole = |text: &str| text.chars().count() + end.chars().count();
    match longest(body, &sentence_ends(body), |text| whole(text) <= to) {
        Some(text) if whole(text) >= from => format!("{text}{end}"),
        _ => caption.to_owned(),
    }
}

/// Makes the published text keep the limit: last sentences go first, then the least relevant tags, then words.
pub(crate) fn within_limit(
    caption: &str,
    tags: usize,
    brief: &Brief,
    published: impl Fn(&str, usize) -> String,
) -> (String, usize) {
    let rules = brief.rules();
    let fits = |caption: &str, tags: usize| {
        let text = published(caption, tags);
        rules.fits(&text)
            && text.encode_utf16().count() <= rules.max_chars.max(brief.max_chars)
            && text.chars().count() <= brief.max_chars
    };
    if fits(caption, tags) {
        return (caption.to_owned(), tags);
    }
    let sentences = sentence_ends(caption);
    if let Some(text) = longest(caption, &sentences, |text| fits(text, tags)) {
        return (text.to_owned(), tags);
    }
    let first = sentences.first().map_or(caption, |end| caption[..*end].trim_end());
    for fewer in (0..tags).rev() {
        if fits(first, fewer) {
            return (first.to_owned(), fewer);
        }
    }
    let cut = |text: &str| format!("{}…", text.trim_end_matches([',', ';', ':', '-', '–', ' ']));
    let words: Vec<usize> = first
        .grapheme_indices(true)
        .filter(|(_, cluster)| cluster.starts_with(char::is_whitespace))
        .map(|(at, _)| at)
        .collect();
    if let Some(text) = longest(first, &words, |text| fits(&cut(text), 0)) {
        return (cut(text), 0);
    }
    // One endless word: cut between graphemes.
    let clusters: Vec<usize> = first.grapheme_indices(true).map(|(at, _)| at).collect();
    (
        longest(first, &clusters, |text| fits(text, 0))
            .unwrap_or_default()
            .to_owned(),
        0,
    )
}

/// The longest beginning of `text` that ends at one of `ends` (ascending bytes) and fits. Longer ones never fit better.
pub(crate) fn longest<'a>(text: &'a str, ends: &[usize], fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    let fitting = ends.partition_point(|end| fits(text[..*end].trim_end()));
    let end = ends.get(fitting.checked_sub(1)?)?;
    Some(text[..*end].trim_end()).filter(|text| !text.is_empty())
}

/// Where the sentences end, without those that hold no word; the last end is the text's. None ends within a word, such as
/// behind the question mark of a link.
pub(crate) fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    let mut goes_on = false;
    for (at, sentence) in text.split_sentence_bound_indices() {
        let end = at + sentence.len();
        // A lone emoji or mark belongs to the sentence before it.
        match ends.last_mut() {
            Some(last) if goes_on || !sentence.chars().any(char::is_alphanumeric) => *last = end,
            _ => ends.push(end),
        }
        let (last, next) = (sentence.chars().next_back(), text[end..].chars().next());
        goes_on = last.is_some_and(|c| matches!(c, '.' | '!' | '?')) && next.is_some_and(|c| c.is_ascii_alphanumeric());
    }
    ends
}

#[cfg(test)]
mod tests;
