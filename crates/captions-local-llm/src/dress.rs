//! What rules add to the model's sentences: disclosure, emoji, a closing line.

use captions_domain::{
    brief::Brief,
    check,
    choice::{Cta, Emoji, Tone},
    reply::Draft,
    request::Keyword,
};

use crate::{lexicon, words, write::Candidate};

const DISCLOSURE: &str = "Ad: ";
/// Below this there is no room for a sentence and something must go.
const LEAST_ROOM: usize = 40;

/// What surrounds the model's sentences, decided before they are written so that their room is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    disclosure: &'static str,
    /// The closing lines that fit; each caption takes the next one.
    closings: Vec<&'static str>,
    /// The fewest and the most emoji.
    emoji: (usize, usize),
    /// Characters of the whole.
    limit: usize,
    /// Characters left for the sentences.
    pub(crate) room: usize,
}

impl Frame {
    /// The frame for `brief`; `seed` chooses the first of the closing lines of one kind. If room is short the emoji go first, then
    /// the closing line; the disclosure stays.
    pub(crate) fn of(brief: &Brief, seed: u64) -> Self {
        let disclosure = if brief.sponsored { DISCLOSURE } else { "" };
        let mut emoji = match brief.emoji {
            Emoji::None => (0, 0),
            Emoji::Few => (1, 2),
            Emoji::Many => (4, 6),
        };
        let mut closings = closings(brief, seed);
        let limit = brief
            .target_chars
            .1
            .min(brief.max_chars)
            .saturating_sub(disclosure.len());
        let room = |emoji: (usize, usize), closings: &[&str]| {
            // A space, then up to two code points per emoji; a blank line before the closing line.
            let emoji = if emoji.1 == 0 { 0 } else { 1 + 2 * emoji.1 };
            let closing = closings.iter().map(|line| line.len() + 2).max();
            limit.saturating_sub(emoji + closing.unwrap_or(0))
        };
        if room(emoji, &closings) < LEAST_ROOM {
            emoji = (0, 0);
        }
        if room(emoji, &closings) < LEAST_ROOM {
            closings.clear();
        }
        Self {
            disclosure,
            emoji,
            limit: limit + disclosure.len(),
            room: room(emoji, &closings),
            closings,
        }
    }

    /// The whole caption. `number` counts the captions of one answer from 0: each gets its own closing line and emoji.
    pub(crate) fn dress(&self, candidate: &Candidate, brief: &Brief, number: usize) -> Draft {
        let closing = number
            .checked_rem(self.closings.len())
            .map(|index| self.closings[index].to_owned());
        let draft = |second: &str, topics: &str| {
            let mut hook = format!("{}{}", self.disclosure, candidate.first);
            let mut body = second.to_owned();
            let emoji = self.emoji_for(&candidate.first, second, brief, number);
            for piece in [emoji.as_str(), topics].into_iter().filter(|piece| !piece.is_empty()) {
                let end = if body.is_empty() { &mut hook } else { &mut body };
                end.push(' ');
                end.push_str(piece);
            }
            Draft {
                angle: if candidate.topic.is_empty() {
                    "plain".to_owned()
                } else {
                    candidate.topic.clone()
                },
                hook,
                body,
                cta: closing.clone(),
                ..Draft::default()
            }
        };
        let plain = draft(&candidate.second, "");
        // Keywords that no sentence holds are named as what they are, if need be in place of the second sentence.
        let topics = missing_keywords(&plain.text(), brief);
        if topics.is_empty() {
            return plain;
        }
        let topics = format!("Topics: {}.", topics.join(", "));
        [draft(&candidate.second, &topics), draft("", &topics)]
            .into_iter()
            .find(|draft| {
                let text = draft.text();
                text.chars().count() <= self.limit && allowed(&text, brief)
            })
            .unwrap_or(plain)
    }

    /// Emoji for what the caption and then the description speak of, each once, filled up with general ones. Where good
    /// cheer may be out of place there are no general ones, and only the description's own words count.
    fn emoji_for(&self, first: &str, second: &str, brief: &Brief, number: usize) -> String {
        let (fewest, most) = self.emoji;
        let description = brief.description.as_str();
        let is_sad = lexicon::is_sad(description);
        let is_grave = is_sad || matches!(brief.tone, Tone::Respectful | Tone::Formal | Tone::Calm);
        let caption = if is_grave {
            String::new()
        } else {
            format!("{first} {second}")
        };
        let fits = |emoji: &str| {
            allowed(emoji, brief)
                && (!is_sad || QUIET_EMOJI.contains(&emoji))
                && (!is_grave || !CHEERFUL_EMOJI.contains(&emoji))
        };
        let mut chosen: Vec<&str> = Vec::new();
        for word in words::split(&caption).chain(words::split(description)) {
            let stem = lexicon::stem(word.text);
            let found = EMOJI
                .iter()
                .find(|(keys, _)| keys.split(' ').any(|key| key == stem))
                .map(|(_, emoji)| *emoji);
            chosen.extend(found.filter(|emoji| fits(emoji) && !chosen.contains(emoji)));
        }
        let mut general: Vec<_> = GENERAL_EMOJI.iter().copied().filter(|emoji| fits(emoji)).collect();
        if is_grave {
            general.clear();
        }
        let mut fewest = fewest;
        if number > 0 {
            // A further caption begins with another one, and where there are too few to choose from, ends with another.
            let turn = |list: &mut Vec<&str>| {
                let by = number.checked_rem(list.len()).unwrap_or(0);
                list.rotate_left(by);
            };
            turn(&mut chosen);
            turn(&mut general);
            if chosen.len() <= most {
                chosen.truncate(most.saturating_sub(1).max(1));
                fewest = fewest.max(chosen.len() + 1).min(most);
            }
        }
        for general in general {
            if chosen.len() < fewest && !chosen.contains(&general) {
                chosen.push(general);
            }
        }
        chosen.truncate(most);
        chosen.concat()
    }
}

/// The keywords that the text lacks and may hold.
fn missing_keywords<'a>(text: &str, brief: &'a Brief) -> Vec<&'a str> {
    let keywords = brief.keywords.iter().map(Keyword::as_str);
    keywords
        .filter(|word| !check::contains_phrase(text, word) && allowed(word, brief))
        .filter(|word| !words::split(word).any(|piece| lexicon::is_denied(&piece.text.to_lowercase())))
        .collect()
}

fn allowed(text: &str, brief: &Brief) -> bool {
    brief
        .avoid
        .iter()
        .all(|phrase| !check::contains_phrase(text, phrase.as_str()))
}

/// The closing lines that hold no avoided word.
fn closings(brief: &Brief, seed: u64) -> Vec<&'static str> {
    let lines: &[&str] = match brief.cta {
        Cta::None => &[],
        Cta::Question => &[
            "What does this make you think of?",
            "What would you add?",
            "How does this make you feel?",
        ],
        Cta::Save => &[
            "Save this for later.",
            "Keep this one: save the post.",
            "Save this post for another day.",
        ],
        Cta::Visit => &[
            "Come and see for yourself.",
            "Come by and visit.",
            "Stop by when you can.",
        ],
        Cta::Comment => &[
            "Tell us what you think in the comments.",
            "Leave your thoughts in the comments.",
            "Your opinion? Leave a comment.",
        ],
    };
    let mut usable: Vec<_> = lines.iter().copied().filter(|line| allowed(line, brief)).collect();
    let turn = u64::try_from(usable.len())
        .ok()
        .and_then(|count| seed.checked_rem(count));
    usable.rotate_left(turn.and_then(|turn| usize::try_from(turn).ok()).unwrap_or(0));
    usable
}

/// The only ones for something sad.
const QUIET_EMOJI: [&str; 11] = ["🕯️", "🌸", "🌹", "🌿", "🌳", "🍁", "⛪", "🕌", "🌅", "🌙", "☁️"];

/// Out of place where a calm, formal or respectful tone is asked for.
const CHEERFUL_EMOJI: [&str; 6] = ["🎉", "💃", "🙌", "❤️", "😁", "🎁"];

/// Where no keyword is found.
const GENERAL_EMOJI: &[&str] = &["✨", "😊", "💛", "🌟", "🙌", "💫"];

/// Stems, as [`lexicon::stem`] cuts them, and the emoji that they call for; the first line that holds a word counts.
const EMOJI: &[(&str, &str)] = &[
    ("puppy dog retriever terrier hound labrador", "🐶"),
    ("cat kitten tabby", "🐱"),
    ("horse pony stallion", "🐴"),
    ("bird parrot sparrow robin", "🐦"),
    ("fish aquarium", "🐟"),
    ("bee honey", "🐝"),
    ("butterfly", "🦋"),
    ("rabbit bunny", "🐰"),
    ("turtle tortoise", "🐢"),
    ("sunset dusk", "🌅"),
    ("sunrise dawn", "🌄"),
    ("sun sunshine sunny sunlit summer", "☀️"),
    ("beach island coast shore", "🏖️"),
    ("sea ocean wave surf surfer", "🌊"),
    ("boat sailboat sailing yacht", "⛵"),
    ("mountain ridge peak summit alp", "⛰️"),
    ("hike hiking trail hiker", "🥾"),
    ("cloud", "☁️"),
    ("rain rainy umbrella", "🌧️"),
    ("snow snowy winter ski snowman", "❄️"),
    ("rainbow", "🌈"),
    ("star starry", "⭐"),
    ("moon", "🌙"),
    ("night", "🌃"),
    ("fire campfire flame", "🔥"),
    ("tent camp camping", "⛺"),
    ("tree forest", "🌳"),
    ("autumn leaf maple", "🍁"),
    ("succulent cactus", "🌵"),
    ("plant herb fern garden", "🌿"),
    ("flower wildflower blossom bouquet bloom", "🌸"),
    ("rose", "🌹"),
    ("sunflower", "🌻"),
    ("coffee latte espresso cappuccino cafe café barista", "☕"),
    ("tea matcha", "🍵"),
    ("ramen noodle soup pho", "🍜"),
    ("sushi", "🍣"),
    ("pizza", "🍕"),
    ("burger", "🍔"),
    ("pasta spaghetti", "🍝"),
    ("salad vegetable", "🥗"),
    ("taco", "🌮"),
    ("bread sourdough loaf loave bakery baker", "🍞"),
    ("croissant pastry", "🥐"),
    ("pancake", "🥞"),
    ("egg", "🥚"),
    ("cake birthday", "🎂"),
    ("cookie", "🍪"),
    ("chocolate", "🍫"),
    ("gelato sundae", "🍦"),
    ("strawberry berry", "🍓"),
    ("apple", "🍎"),
    ("lemon", "🍋"),
    ("avocado", "🥑"),
    ("wine", "🍷"),
    ("beer pub", "🍺"),
    ("cocktail", "🍹"),
    ("sneaker shoe trainer boot", "👟"),
    ("dress gown", "👗"),
    ("shirt jacket coat", "👕"),
    ("jewelry necklace diamond", "💍"),
    ("wristwatch", "⌚"),
    ("bag handbag backpack", "👜"),
    ("makeup lipstick skincare", "💄"),
    ("phone smartphone", "📱"),
    ("laptop computer code", "💻"),
    ("camera photo photographer", "📷"),
    ("book notebook library reading novel", "📚"),
    ("pen write writing", "✍️"),
    ("paint painting artist art mural", "🎨"),
    ("clay pottery potter vase ceramic", "🏺"),
    ("music song concert band", "🎶"),
    ("guitar", "🎸"),
    ("piano", "🎹"),
    ("dance dancing dancer", "💃"),
    ("film movie cinema", "🎬"),
    ("bike bicycle cycling cyclist", "🚲"),
    ("car road", "🚗"),
    ("train station", "🚆"),
    ("plane flight airport travel", "✈️"),
    ("city skyline street downtown", "🏙️"),
    ("home house kitchen", "🏡"),
    ("gym workout fitness weight", "💪"),
    ("yoga meditation", "🧘"),
    ("run runner running marathon", "🏃"),
    ("football soccer", "⚽"),
    ("basketball", "🏀"),
    ("tennis", "🎾"),
    ("swim swimmer swimming pool", "🏊"),
    ("graduation graduate diploma", "🎓"),
    ("school student teacher", "🎒"),
    ("wedding bride groom", "💒"),
    ("baby newborn", "👶"),
    ("family", "👪"),
    ("friend friendship", "🤝"),
    ("team crew", "🙌"),
    ("couple love heart", "❤️"),
    ("gift present surprise", "🎁"),
    ("party celebrate celebration anniversary", "🎉"),
    ("christma", "🎄"),
    ("candle lamp", "🕯️"),
    ("shop store market sale", "🛍️"),
    ("dentist tooth smile", "😁"),
    ("mosque", "🕌"),
    ("church", "⛪"),
    ("museum gallery", "🏛️"),
];

#[cfg(test)]
mod tests;
