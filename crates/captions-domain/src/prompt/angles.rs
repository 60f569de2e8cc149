//! The named angles from which the captions of one answer are written, so that they differ.

use std::{cmp::Reverse, sync::LazyLock};

use crate::brief::Brief;

/// One approach to a caption.
#[derive(Debug, PartialEq, Eq)]
pub struct Angle {
    /// As answers name it.
    pub name: &'static str,
    /// What a writer is told to do.
    pub how: &'static str,
    /// Wishes that it suits, as in `style=funny`.
    suits: &'static str,
}

static ANGLES: LazyLock<Vec<Angle>> = LazyLock::new(|| {
    let lines = include_str!("../../data/angles.txt").lines();
    lines.filter_map(angle).collect()
});

/// Every angle. Their names are a closed list, so that the schema of answers is always the same.
pub fn all() -> &'static [Angle] {
    &ANGLES
}

fn angle(line: &'static str) -> Option<Angle> {
    let mut parts = line.split('|').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    Some(Angle {
        name,
        suits: parts.next()?,
        how: parts.next()?,
    })
}

impl Angle {
    pub(super) fn suits(&self) -> impl Iterator<Item = &'static str> {
        self.suits.split_whitespace()
    }

    /// How well it suits the brief's wishes. What a caption is to do and how it is built say more than how it feels.
    fn fit(&self, brief: &Brief) -> u32 {
        let points = |suit: &str| match suit.split_once('=') {
            Some(("cta", cta)) if cta == brief.cta.as_str() => 3,
            Some(("style", style)) if style == brief.style.as_str() => 3,
            Some(("content", content)) if content == brief.content_type.as_str() => 2,
            Some(("tone", tone)) if tone == brief.tone.as_str() => 2,
            Some(("length", length)) if length == brief.length.as_str() => 1,
            _ => 0,
        };
        self.suits().map(points).sum()
    }
}

/// The angles for so many captions of this brief: those that suit it best, each once, the `used` ones only where no other
/// is left. Among equals the description decides, so that not every post of a user opens the same way; the same brief
/// always gets the same ones.
pub(super) fn chosen(brief: &Brief, used: &[String], count: usize) -> Vec<&'static Angle> {
    let angles = all();
    let first = usize::from(blake3::hash(brief.description.as_str().as_bytes()).as_bytes()[0]);
    let mut order: Vec<_> = angles
        .iter()
        .enumerate()
        .map(|(index, angle)| {
            let is_used = used.iter().any(|used| used == angle.name);
            let turn = (index + first) % angles.len();
            (is_used, Reverse(angle.fit(brief)), turn, angle)
        })
        .collect();
    order.sort_by_key(|(is_used, fit, turn, _)| (*is_used, *fit, *turn));
    order.into_iter().take(count).map(|(_, _, _, angle)| angle).collect()
}
