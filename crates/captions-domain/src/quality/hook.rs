//! The first sentence: short enough to be seen, concrete, no cliché and no sign first.
//! 0.5 x fold + 0.3 x concrete + 0.2 x clean.

use std::{collections::HashSet, sync::LazyLock};

use foldhash::fast::FixedState;

use super::{
    Finding,
    curve::{interpolate, number},
    reading::{Reading, keys},
};
use crate::{
    lexicon::{self, Lexicon, Token, Tokens},
    text::{Place, Span},
};

static OPENERS: LazyLock<Lexicon<()>> =
    LazyLock::new(|| Lexicon::of(lexicon::lines(include_str!("../../data/openers.txt")).map(|line| (line, ()))));

/// A language and one of its words for the first person.
static FIRST_PERSON: LazyLock<HashSet<(&str, &str), FixedState>> = LazyLock::new(|| {
    lexicon::lines(include_str!("../../data/first_person.txt"))
        .filter_map(|line| line.split_once(' '))
        .collect()
});

/// By where the first sentence ends, in characters.
const FOLD: [(f64, f64); 7] = [
    (0.0, 0.3),
    (12.0, 0.8),
    (25.0, 1.0),
    (80.0, 1.0),
    (125.0, 0.6),
    (200.0, 0.3),
    (400.0, 0.1),
];

/// The feed shows three lines, so two line breaks.
const LINES: usize = 3;

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let Some(first) = reading.sentences.first() else {
        return Finding::new(
            0.0,
            Vec::new(),
            Some("begin with a sentence about what the post shows".into()),
        );
    };
    let range = reading.tokens.within(first.start, first.end);
    let words = &reading.tokens.all[range.clone()];
    // An emoji is one sign, of however many characters it is made.
    let joined: usize = reading
        .emoji
        .iter()
        .filter(|emoji| emoji.end <= first.end)
        .map(|emoji| emoji.end - emoji.start - 1)
        .sum();
    let length = first.end - joined;
    let ends_on = reading.caption.chars().take(first.end).filter(|c| *c == '\n').count() + 1;
    let fold = if ends_on > LINES {
        0.1
    } else {
        interpolate(number(length), &FOLD)
    };

    let names_it = keys(reading.words, first.text)
        .iter()
        .any(|key| reading.given.described.iter().any(|(described, _)| described == key));
    let signs = [
        first.text.chars().any(char::is_numeric),
        names_it,
        first.text.contains(['"', '“', '«', '„', '「']),
        first.text.contains(['?', '？', '؟', '¿']) || has_person(words, reading.brief.language.primary()),
    ];
    let concrete = match signs.iter().filter(|sign| **sign).count() {
        0 => 0.0,
        1 => 0.6,
        _ => 1.0,
    };

    let opener = opener(reading, words, range.start);
    let sign = sign_first(reading, first);
    let clean = if opener.is_none() && sign.is_none() { 1.0 } else { 0.0 };
    let (fold_gap, concrete_gap, clean_gap) = (0.5 - 0.5 * fold, 0.3 - 0.3 * concrete, 0.2 - 0.2 * clean);
    let worst = fold_gap.max(concrete_gap).max(clean_gap);
    let (spans, fix) = if worst <= clean_gap {
        match (opener, sign) {
            (Some(opener), _) => {
                let fix = format!("do not open with '{}'", opener.text);
                (vec![opener], fix)
            }
            (None, sign) => (sign.into_iter().collect(), "begin with a word".to_owned()),
        }
    } else if worst <= fold_gap {
        let fix = match (ends_on > LINES, length > 80) {
            (true, _) => "bring the first sentence into the first three lines",
            (_, true) => "make the first sentence shorter than 80 characters: the feed hides the rest",
            _ => "say more in the first sentence: 25 characters or more",
        };
        (vec![Place::from(first.clone())], fix.to_owned())
    } else {
        let fix = "make the first sentence concrete: name what is seen, a number, or ask the reader";
        (vec![Place::from(first.clone())], fix.to_owned())
    };
    Finding::new(0.5 * fold + 0.3 * concrete + 0.2 * clean, spans, Some(fix))
}

/// A cliché at the very beginning, unless the user speaks so.
fn opener(reading: &Reading<'_>, words: &[Token<'_>], from: usize) -> Option<Place> {
    if reading.brief.language.primary() != "en" {
        return None;
    }
    let (opener, length, ()) = OPENERS.at(words).max_by_key(|(_, length, ())| *length)?;
    let given = Tokens::of(&reading.given.text);
    let is_own = OPENERS.find(&given).iter().any(|(own, ..)| *own == opener);
    reading.tokens.place(&(from..from + length)).filter(|_| !is_own)
}

/// `#`, `@` or an emoji before the first word.
fn sign_first(reading: &Reading<'_>, first: &Span<'_>) -> Option<Place> {
    let (index, sign) = reading.caption.chars().enumerate().find(|(_, c)| !c.is_whitespace())?;
    if let Some(emoji) = reading.emoji.first().filter(|emoji| emoji.start <= first.start) {
        return Some(Place::from(emoji.clone()));
    }
    matches!(sign, '#' | '＃' | '@').then(|| Place {
        text: sign.to_string(),
        start: index,
        end: index + 1,
    })
}

/// True if the writer or the reader is named: "I", "we", "you".
fn has_person(words: &[Token<'_>], language: &str) -> bool {
    let second: &[&str] = match language {
        "en" => &[
            "you", "your", "yours", "you're", "you'll", "you've", "i'm", "i've", "we're", "we've", "we'll", "i'll",
        ],
        "es" => &[
            "tú", "tu", "tus", "te", "ti", "vosotros", "vuestro", "vuestra", "usted", "ustedes", "vos",
        ],
        "pt" => &["tu", "teu", "tua", "te", "ti", "você", "vocês", "vosso", "vossa"],
        "fr" => &["tu", "toi", "ton", "ta", "tes", "te", "vous", "votre", "vos"],
        "de" => &[
            "du", "dich", "dir", "dein", "deine", "deinen", "ihr", "euch", "euer", "eure", "sie",
        ],
        "it" => &["tu", "tuo", "tua", "te", "ti", "voi", "vostro", "vostra", "vi"],
        "nl" => &["je", "jij", "jouw", "jullie", "u", "uw"],
        _ => &[],
    };
    words.iter().any(|token| {
        let word = token.word.as_str();
        // "I'm" and "j'ai" hold the writer, too.
        second.contains(&word) || word.split('\'').any(|part| FIRST_PERSON.contains(&(language, part)))
    })
}
