//! The ways to put a caption together, and which of them a brief gets.

use std::collections::HashSet;

use captions_domain::{brief::Brief, likeness::Likeness, reply::Draft, text};

use super::{compose::Desk, lines::seed_of};

/// One way to put a caption together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Angle {
    pub(super) name: &'static str,
    pub(super) lead: Lead,
    pub(super) shape: Shape,
    pub(super) close: Close,
    /// Which of several lines is taken where any will do, so that angles differ in those, too.
    pub(super) turn: usize,
}

/// What stands before the description. The numbers say which of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    None,
    /// A line that goes with the tone, the style or the audience.
    Tone(usize),
    Style(usize),
    Audience(usize),
    /// A question to the reader, in a line of its own.
    Question(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As much of the description as fits.
    Full,
    /// Its first sentence alone.
    Short,
    /// Each sentence on its own line; only where there are several.
    Lines,
    /// "On a wooden shelf: fresh loaves."
    PlaceFirst,
    /// "A gift from the roastery. Oat drink in my flat white."
    DetailFirst,
}

/// What stands after the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    None,
    Ending(usize),
    Question(usize),
}

impl Angle {
    const fn new(name: &'static str, lead: Lead, shape: Shape, close: Close, turn: usize) -> Self {
        Self {
            name,
            lead,
            shape,
            close,
            turn,
        }
    }

    /// The angle that is never given up.
    pub(super) fn is_statement(&self) -> bool {
        self.name == STATEMENT
    }
}

const STATEMENT: &str = "statement";

/// The angles in the order in which they are thought of. The first four may begin.
const ANGLES: [Angle; 30] = [
    Angle::new(STATEMENT, Lead::None, Shape::Full, Close::Ending(0), 0),
    Angle::new("closing question", Lead::None, Shape::Full, Close::Question(0), 1),
    Angle::new("opening", Lead::Style(0), Shape::Full, Close::None, 2),
    Angle::new("readers first", Lead::Audience(0), Shape::Full, Close::None, 3),
    Angle::new("place first", Lead::None, Shape::PlaceFirst, Close::None, 1),
    Angle::new("detail first", Lead::None, Shape::DetailFirst, Close::None, 2),
    Angle::new("question first", Lead::Question(0), Shape::Full, Close::None, 0),
    Angle::new("opening line", Lead::Tone(0), Shape::Full, Close::None, 1),
    Angle::new("short", Lead::None, Shape::Short, Close::None, 2),
    Angle::new("line by line", Lead::None, Shape::Lines, Close::Ending(1), 1),
    Angle::new("another opening line", Lead::Tone(1), Shape::Full, Close::Ending(1), 0),
    Angle::new("opening, in lines", Lead::Style(1), Shape::Lines, Close::None, 0),
    Angle::new("another opening", Lead::Style(1), Shape::Full, Close::Ending(1), 3),
    Angle::new(
        "readers and a question",
        Lead::Audience(1),
        Shape::Full,
        Close::Question(0),
        2,
    ),
    Angle::new("another question first", Lead::Question(1), Shape::Full, Close::None, 2),
    Angle::new("line and question", Lead::Tone(2), Shape::Full, Close::Question(1), 2),
    Angle::new("a third opening line", Lead::Tone(3), Shape::Full, Close::Ending(2), 0),
    Angle::new(
        "short, with an opening line",
        Lead::Tone(1),
        Shape::Short,
        Close::None,
        3,
    ),
    Angle::new(
        "short, question first",
        Lead::Question(0),
        Shape::Short,
        Close::Ending(2),
        1,
    ),
    Angle::new("short, with an ending", Lead::None, Shape::Short, Close::Ending(2), 0),
    Angle::new("place and ending", Lead::None, Shape::PlaceFirst, Close::Ending(0), 0),
    Angle::new(
        "another closing question",
        Lead::None,
        Shape::Full,
        Close::Question(1),
        3,
    ),
    Angle::new("another ending", Lead::None, Shape::Full, Close::Ending(1), 1),
    Angle::new("plain", Lead::None, Shape::Full, Close::None, 1),
    Angle::new("a fourth opening line", Lead::Tone(2), Shape::Full, Close::None, 3),
    Angle::new("last opening line", Lead::Tone(3), Shape::Full, Close::None, 2),
    Angle::new(
        "opening line and ending",
        Lead::Tone(0),
        Shape::Full,
        Close::Ending(1),
        2,
    ),
    Angle::new("plain, another call", Lead::None, Shape::Full, Close::None, 0),
    Angle::new("lines alone", Lead::None, Shape::Lines, Close::None, 0),
    Angle::new("short, another call", Lead::None, Shape::Short, Close::None, 1),
];
const FIRST: usize = 4;

/// Sentences from which on comparing drafts takes longer than writing them: they are then taken in their order.
const MANY_SENTENCES: usize = 12;

/// Up to `count` drafts, no two with the same text; at least one. Those of a later `turn` are other ones first, and those that
/// are next to the same as one of the `known` are only taken where there are no others.
pub(super) fn drafts(brief: &Brief, count: usize, turn: usize, known: &[String]) -> Vec<Draft> {
    if known.is_empty() {
        return any_drafts(brief, count, turn);
    }
    let known: Vec<Likeness> = known.iter().map(|text| Likeness::of(text)).collect();
    let is_new = |draft: &Draft| {
        let likeness = Likeness::of(&draft.text());
        !known.iter().any(|other| other.is_near(&likeness))
    };
    let mut all = any_drafts(brief, ANGLES.len(), turn);
    if all.iter().any(is_new) {
        all.retain(is_new);
    }
    all.truncate(count);
    all
}

fn any_drafts(brief: &Brief, count: usize, turn: usize) -> Vec<Draft> {
    let desk = Desk::of(brief);
    let mut seen = HashSet::new();
    let mut all = order(brief)
        .into_iter()
        .filter_map(|angle| desk.compose(&angle))
        .filter(|draft| seen.insert(draft.text()));
    let in_order = count == 1 || desk.sentences() >= MANY_SENTENCES;
    let mut drafts: Vec<Draft> = if turn == 0 && in_order {
        all.by_ref().take(count).collect()
    } else {
        all.collect()
    };
    if let Some(by) = turn.checked_rem(drafts.len()) {
        drafts.rotate_left(by);
    }
    if !in_order {
        drafts = unlike(drafts, count);
    }
    drafts.truncate(count);
    if drafts.is_empty() {
        drafts.push(desk.without_description());
    }
    drafts
}

/// All angles; which of the first ones begins depends on the seed, so that not every post is built alike.
fn order(brief: &Brief) -> Vec<Angle> {
    let seed = brief.seed.unwrap_or_else(|| seed_of(brief.description.as_str()));
    let mut angles = ANGLES.to_vec();
    let by = usize::try_from(seed / 7 % FIRST as u64).unwrap_or(0);
    angles[..FIRST].rotate_left(by);
    angles
}

/// `count` of the drafts: first those that begin in different words, in their order, then each as unlike those that were
/// taken as can be.
fn unlike(drafts: Vec<Draft>, count: usize) -> Vec<Draft> {
    let mut beginnings = HashSet::new();
    let (mut taken, rest): (Vec<Draft>, Vec<Draft>) = drafts
        .into_iter()
        .partition(|draft| beginnings.insert(beginning(draft)));
    if taken.len() >= count || rest.is_empty() {
        return taken;
    }
    let likeness = |draft: &Draft| Likeness::of(&draft.text());
    let known: Vec<Likeness> = taken.iter().map(likeness).collect();
    let worst = |one: &Likeness| known.iter().map(|other| one.shared(other)).fold(0.0, f64::max);
    let mut rest: Vec<(Draft, Likeness, f64)> = rest
        .into_iter()
        .map(|draft| {
            let own = likeness(&draft);
            let worst = worst(&own);
            (draft, own, worst)
        })
        .collect();
    while taken.len() < count && !rest.is_empty() {
        let mut best = 0;
        for index in 1..rest.len() {
            if rest[index].2 < rest[best].2 {
                best = index;
            }
        }
        let (draft, likeness, _) = rest.remove(best);
        for (_, other, worst) in &mut rest {
            *worst = worst.max(other.shared(&likeness));
        }
        taken.push(draft);
    }
    taken
}

/// The first three words.
fn beginning(draft: &Draft) -> String {
    let text = draft.text().to_lowercase();
    text::words(&text).take(3).collect::<Vec<_>>().join(" ")
}
