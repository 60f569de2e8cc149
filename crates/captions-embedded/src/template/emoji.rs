//! Which emoji go with a description.

use captions_domain::{brief::Brief, choice::Emoji};

use super::{phrases::Register, source::holds_avoided, subject::Mood, topics::Topic};

/// The only ones for something sad.
const QUIET: [&str; 3] = ["🌸", "🌿", "🌅"];

/// The emoji to add to a text that holds `present` already: 1-2 in all for few, 4-6 for many; none to be avoided. Those
/// that the description calls for come first, then those that the user's own captions are full of, then those of the
/// tone. Where cheer may be out of place only the first.
pub(super) fn choose<'a>(
    brief: &'a Brief,
    topics: &[Topic],
    register: Register,
    mood: Mood,
    present: usize,
) -> Vec<&'a str> {
    let (least, most) = match brief.emoji {
        Emoji::None => return Vec::new(),
        Emoji::Few => (1_usize, 2_usize),
        Emoji::Many => (4, 6),
    };
    let fitting = |emoji: &&str| !brief.description.as_str().contains(*emoji) && !holds_avoided(emoji, brief);
    let mut chosen: Vec<&str> = Vec::new();
    let described = topics.iter().map(|topic| topic.emoji).filter(|emoji| fitting(emoji));
    for emoji in described.filter(|emoji| mood != Mood::Sad || QUIET.contains(emoji)) {
        if present + chosen.len() >= most {
            break;
        }
        if !chosen.contains(&emoji) {
            chosen.push(emoji);
        }
    }
    let own = brief.style_card.iter().flat_map(|card| &card.favourite_emoji);
    let general = own.map(String::as_str).chain(register.emoji());
    for emoji in general.filter(|emoji| fitting(emoji)) {
        if mood != Mood::Any || present + chosen.len() >= least {
            break;
        }
        if !chosen.contains(&emoji) {
            chosen.push(emoji);
        }
    }
    chosen
}
