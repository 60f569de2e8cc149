//! The last resort: the description itself as a sentence. A copy is better than nonsense.

use captions_domain::{brief::Brief, check, text};

use crate::{lexicon, words};

/// The beginning of the description as plain sentences of at most `room` characters, without tags and emoji and without
/// sentences that hold what must not come out. `None` if nothing is left.
pub(crate) fn sentences(brief: &Brief, room: usize) -> Option<String> {
    let emoji: Vec<&str> = text::emoji(brief.description.as_str()).collect();
    let bare = emoji.iter().fold(brief.description.as_str().to_owned(), |text, emoji| {
        text.replace(emoji, " ")
    });
    let lines: Vec<String> = bare
        .lines()
        .map(|line| {
            let kept = line.split_whitespace().filter(|word| text::hashtags(word).is_empty());
            kept.collect::<Vec<_>>().join(" ")
        })
        .filter(|line| line.chars().any(char::is_alphanumeric))
        .map(|line| words::capitalised(&closed(&line)))
        .collect();
    let whole = lines.join(" ");
    let allowed = |sentence: &str| {
        brief
            .avoid
            .iter()
            .all(|phrase| !check::contains_phrase(sentence, phrase.as_str()))
            && !words::split(sentence).any(|word| lexicon::is_denied(&word.text.to_lowercase()))
    };
    let mut copy = String::new();
    for sentence in text::sentences(&whole)
        .map(str::trim)
        .filter(|sentence| allowed(sentence))
    {
        if copy.chars().count() + 1 + sentence.chars().count() > room {
            if copy.is_empty() {
                copy = shortened(sentence, room)?;
            }
            break;
        }
        if !copy.is_empty() {
            copy.push(' ');
        }
        copy.push_str(&words::capitalised(sentence));
    }
    (!copy.is_empty() && allowed(&copy)).then_some(copy)
}

/// With a full stop unless it ends already.
fn closed(text: &str) -> String {
    let text = text.trim_end_matches([',', ';', ':', '-', '–', '—', ' ']);
    if text.ends_with(['.', '!', '?', '…']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// As many words as fit, with an ellipsis that shows the cut.
fn shortened(sentence: &str, room: usize) -> Option<String> {
    let sentence = words::capitalised(sentence);
    let ends = sentence.match_indices(' ').map(|(at, _)| at);
    let end = ends.take_while(|at| sentence[..*at].chars().count() < room).last()?;
    Some(format!(
        "{}…",
        sentence[..end].trim_end_matches([',', ';', ':', '-', '–', '—'])
    ))
}

#[cfg(test)]
mod tests;
