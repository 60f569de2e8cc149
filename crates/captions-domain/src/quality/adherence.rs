//! The share of the brief's checkable wishes that hold: language, length, emoji, call to action, words to use and to avoid,
//! whom it may mention, where it discloses; engagement bait counts as one that does not.

use std::{collections::HashMap, sync::LazyLock};

use super::{Finding, curve::number, reading::Reading};
use crate::{
    bait,
    check::{contains_phrase, phrase_places},
    choice::{Cta, Emoji},
    lexicon::{self, Lexicon},
    reply::language,
    text::Place,
};

/// A wish: whether it holds, what breaks it, what to do.
type Wish = (bool, Vec<Place>, String);

/// So many places of an avoided word are shown.
const MOST_PLACES: usize = 20;

/// How captions call to save, visit and comment, by language.
static CALLS: LazyLock<HashMap<&'static str, Lexicon<&'static str>>> = LazyLock::new(|| {
    let mut lists: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for line in lexicon::lines(include_str!("../../data/calls.txt")) {
        let mut columns = line.split('\t');
        if let (Some(language), Some(call), Some(phrase)) = (columns.next(), columns.next(), columns.next()) {
            lists.entry(language).or_default().push((phrase, call));
        }
    }
    lists
        .into_iter()
        .map(|(language, phrases)| (language, Lexicon::of(phrases.into_iter())))
        .collect()
});

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let mut wishes = vec![language(reading)];
    wishes.extend(reading.wished.length.then(|| length(reading)));
    wishes.extend(reading.wished.emoji.then(|| emoji(reading)));
    wishes.extend(call(reading));
    words(reading, &mut wishes);
    wishes.extend(mentions(reading));
    if reading.brief.sponsored {
        wishes.push((
            !reading.has_violation("missing_disclosure", None),
            Vec::new(),
            "disclose the partnership at the very beginning, such as 'Ad:'".to_owned(),
        ));
    }
    let bait = bait::in_tokens(&reading.tokens, &reading.sentences, &reading.brief.language);
    if !bait.is_empty() {
        let fix = "ask an honest question instead of begging for reactions: platforms demote it";
        wishes.push((false, bait, fix.to_owned()));
    }
    let kept = wishes.iter().filter(|(kept, ..)| *kept).count();
    let value = number(kept) / number(wishes.len());
    let broken: Vec<Wish> = wishes.into_iter().filter(|(kept, ..)| !kept).collect();
    let fix = broken.first().map(|(.., fix)| fix.clone());
    Finding::new(value, broken.into_iter().flat_map(|(_, spans, _)| spans).collect(), fix)
}

fn language(reading: &Reading<'_>) -> Wish {
    let wanted = &reading.brief.language;
    let switches = language::switches(reading.caption, wanted, &reading.given.text);
    (
        switches.is_empty() && !language::is_another(reading.caption, wanted),
        switches.into_iter().map(Place::from).collect(),
        format!("write it in the language asked for: {wanted}"),
    )
}

fn length(reading: &Reading<'_>) -> Wish {
    let length = reading.caption.chars().count();
    let (from, to) = reading.brief.target_chars;
    (
        (from..=to).contains(&length),
        Vec::new(),
        format!("it has {length} characters; {from} to {to} were wished for"),
    )
}

fn emoji(reading: &Reading<'_>) -> Wish {
    let wish = reading.brief.emoji;
    let (least, most) = match wish {
        Emoji::None => (0, 0),
        Emoji::Few => (1, 3),
        Emoji::Many => (4, 10),
    };
    let count = reading.emoji.len();
    let beyond = reading.emoji.iter().skip(most).cloned().map(Place::from).collect();
    (
        (least..=most).contains(&count),
        beyond,
        format!("it has {count} emoji; the wish was '{wish}'"),
    )
}

/// The call to action. In a language whose calls are not known only a question can be told.
fn call(reading: &Reading<'_>) -> Option<Wish> {
    let wish = match reading.brief.cta {
        Cta::None => return None,
        Cta::Question => {
            let asks = reading.caption.contains(['?', '？', '؟']);
            return Some((asks, Vec::new(), "it lacks the question asked for".to_owned()));
        }
        Cta::Save => "save",
        Cta::Visit => "visit",
        Cta::Comment => "comment",
    };
    let calls = CALLS.get(reading.brief.language.primary())?;
    let has = calls.find(&reading.tokens).iter().any(|(.., call)| **call == wish);
    let fix = match reading.brief.cta {
        Cta::Save => "it does not invite to save the post",
        Cta::Visit => "it does not invite to visit",
        _ => "it does not ask for a comment",
    };
    Some((has, Vec::new(), fix.to_owned()))
}

/// Words to use and to avoid, each a wish. The hard ones were judged with the rules.
fn words(reading: &Reading<'_>, wishes: &mut Vec<Wish>) {
    for word in &reading.brief.keywords {
        let has = contains_phrase(reading.caption, word.as_str());
        wishes.push((has, Vec::new(), format!("it does not contain '{word}'")));
    }
    for word in &reading.brief.required {
        let is_missing =
            reading.has_violation("missing_word", Some(word.as_str())) && !contains_phrase(reading.text, word.as_str());
        wishes.push((!is_missing, Vec::new(), format!("it does not contain '{word}'")));
    }
    let strays = reading.has_violation("avoided_word", None);
    for word in &reading.brief.avoid {
        let places = if strays {
            phrase_places(reading.text, word.as_str(), MOST_PLACES)
        } else {
            Vec::new()
        };
        wishes.push((places.is_empty(), places, format!("it contains '{word}'")));
    }
}

/// It may mention only whom the user named.
fn mentions(reading: &Reading<'_>) -> Option<Wish> {
    let strangers: Vec<Place> = reading
        .untraced
        .iter()
        .filter(|place| place.text.starts_with('@'))
        .cloned()
        .collect();
    let has_any = !crate::text::mentions(reading.caption).is_empty();
    let fix = strangers.first().map_or_else(String::new, |place| {
        format!("do not mention {}: nobody named them", place.text)
    });
    has_any.then_some((strangers.is_empty(), strangers, fix))
}
