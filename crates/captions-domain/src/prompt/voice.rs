//! A measured style card in sentences, for the data of a question.

use crate::voice::{Casing, StyleCard};

/// What the card says that a writer can follow. Lengths are left out: the brief asks for one of its own.
pub(super) fn sentences(card: &StyleCard) -> Vec<String> {
    let mut told = vec![format!("measured on {} captions of the author", card.captions)];
    let mut tell = |sentence: String| told.push(sentence);
    if card.sentence_words.mean > 0.0 {
        tell(format!(
            "about {:.0} words in a sentence",
            card.sentence_words.mean.max(1.0)
        ));
    }
    tell(rate(card.emoji.mean, "emoji"));
    tell(rate(card.exclamation_marks.mean, "exclamation marks"));
    tell(rate(card.questions.mean, "questions"));
    tell(rate(card.line_breaks.mean, "line breaks"));
    match card.first_person {
        Some(share) if share >= 0.5 => tell("mostly speaks as I or we".to_owned()),
        Some(share) if share <= 0.1 => tell("hardly ever speaks as I or we".to_owned()),
        _ => {}
    }
    match card.casing {
        Casing::Lower => tell("mostly without any capital letter".to_owned()),
        Casing::Upper => tell("mostly all in capital letters".to_owned()),
        Casing::Usual if card.lower_case_starts >= 0.5 => tell("mostly begins with a small letter".to_owned()),
        Casing::Usual => {}
    }
    for (what, listed, joint) in [
        ("often begins with", &card.openers, " / "),
        ("often uses the words", &card.words, ", "),
        ("likes these emoji", &card.favourite_emoji, " "),
    ] {
        if !listed.is_empty() {
            tell(format!("{what}: {}", listed.join(joint)));
        }
    }
    told
}

/// How many a caption has on average, in words that a model understands better than a fraction.
fn rate(mean: f64, what: &str) -> String {
    if mean < 0.05 {
        format!("no {what}")
    } else if mean < 0.75 {
        format!("{what} in some captions only")
    } else {
        format!("about {mean:.0} {what} in a caption")
    }
}
