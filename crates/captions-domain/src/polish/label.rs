//! What a writer puts before its caption: "Caption:", "Sure! Here is a caption for your post:".

/// The most characters of a label.
const MAX_LABEL: usize = 80;
const OPENINGS: &[&str] = &[
    "sure",
    "sure thing",
    "certainly",
    "of course",
    "absolutely",
    "okay",
    "ok",
    "great",
    "gladly",
];
const HERE: &[&str] = &[
    "here is",
    "here's",
    "heres",
    "here are",
    "hier ist",
    "hier sind",
    "hier is",
    "voici",
    "aquí tienes",
    "aquí está",
    "aqui está",
    "ecco",
];
/// What may stand before "caption" in a label without "here is".
const BEFORE: &[&str] = &[
    "your",
    "the",
    "my",
    "a",
    "an",
    "new",
    "final",
    "short",
    "long",
    "revised",
    "rewritten",
    "updated",
    "edited",
    "improved",
    "translated",
    "shortened",
    "suggested",
    "proposed",
    "alternative",
    "instagram",
    "insta",
    "ig",
    "facebook",
    "tiktok",
    "linkedin",
    "threads",
    "bluesky",
    "mastodon",
    "pinterest",
    "youtube",
    "twitter",
    "x",
    "social",
    "media",
    "post",
    "photo",
    "picture",
    "image",
    "reel",
    "story",
    "carousel",
    "video",
    "english",
    "german",
    "french",
    "spanish",
    "italian",
    "dutch",
    "portuguese",
];
/// What may stand behind it there.
const BEHIND: &[&str] = &["option", "idea", "version", "variant", "text", "suggestion"];
/// What may follow it in a label with "here is".
const ABOUT: &[&str] = &[
    "for",
    "in",
    "with",
    "without",
    "based",
    "that",
    "which",
    "about",
    "under",
    "within",
    "using",
    "of",
    "as",
    "to",
    "you",
    "option",
    "options",
    "idea",
    "ideas",
    "suggestion",
    "suggestions",
    "für",
    "mit",
    "auf",
    "zu",
    "voor",
    "pour",
    "para",
    "per",
    "avec",
    "con",
    "com",
];

/// The text behind a label of a known form. What `given` has before a colon is no label.
pub(super) fn without_label<'t>(text: &'t str, given: &str) -> &'t str {
    match text.split_once(':') {
        Some((label, rest))
            if label.chars().count() <= MAX_LABEL
                && !rest.trim().is_empty()
                && is_label(&plain(label))
                && !stands_before_a_colon(&plain(label), given) =>
        {
            rest.trim_start()
        }
        _ => text,
    }
}

fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace('’', "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stands_before_a_colon(label: &str, given: &str) -> bool {
    let given = plain(given);
    given.match_indices(label).any(|(at, found)| {
        !given[..at].ends_with(char::is_alphanumeric) && given[at + found.len()..].trim_start().starts_with(':')
    })
}

fn is_label(label: &str) -> bool {
    let label = without_opening(label);
    let here = HERE
        .iter()
        .find_map(|here| label.strip_prefix(here).filter(|rest| rest.starts_with(' ')));
    let label = here.unwrap_or(label);
    // "(English)" tells of the caption in any label.
    let label = label.split_once('(').map_or(label, |(label, _)| label);
    let label = label.replace(['#', '.', ','], " ");
    // "Instagram-Caption", as Germans write.
    let label = match label.split_once("-caption") {
        Some((before, behind)) if !behind.starts_with('-') => format!("{before} caption{behind}"),
        _ => label,
    };
    let words: Vec<&str> = label.split_whitespace().collect();
    let Some(place) = words.iter().position(|word| matches!(*word, "caption" | "captions")) else {
        return false;
    };
    let (before, behind) = (&words[..place], &words[place + 1..]);
    if here.is_some() {
        return behind
            .first()
            .is_none_or(|word| ABOUT.contains(word) || is_number(word));
    }
    before.iter().all(|word| BEFORE.contains(word))
        && behind.iter().all(|word| BEHIND.contains(word) || is_number(word))
}

/// Without "Sure!" and the like.
fn without_opening(label: &str) -> &str {
    label
        .split_once(['!', ',', '.'])
        .filter(|(opening, _)| OPENINGS.contains(opening))
        .map_or(label, |(_, rest)| rest.trim_start())
}

fn is_number(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit()) || matches!(word, "a" | "b" | "c" | "one" | "two" | "three")
}
