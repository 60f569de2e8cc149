//! What rules add to the model's sentences: disclosure, emoji, a closing line.

use captions_domain::{
    brief::Brief,
    check,
    choice::{Cta, Emoji},
    reply::Draft,
};

use crate::{lexicon, words, write::Candidate};

const DISCLOSURE: &str = "Ad: ";
/// Below this there is no room for a sentence and something must go.
const LEAST_ROOM: usize = 40;

/// What surrounds the model's sentences, decided before they are written so that their room is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    disclosure: &'static str,
    closing: Option<&'static str>,
    /// The fewest and the most emoji.
    emoji: (usize, usize),
    /// Characters left for the sentences.
    pub(crate) room: usize,
}

impl Frame {
    /// The frame for `brief`; `seed` chooses among closing lines of one kind. If room is short the emoji go first, then
    /// the closing line; the disclosure stays.
    pub(crate) fn of(brief: &Brief, seed: u64) -> Self {
        let disclosure = if brief.sponsored { DISCLOSURE } else { "" };
        let mut emoji = match brief.emoji {
            Emoji::None => (0, 0),
            Emoji::Few => (1, 2),
            Emoji::Many => (4, 6),
        };
        let mut closing = closing(brief, seed);
        let limit = brief
            .target_chars
            .1
            .min(brief.max_chars)
            .saturating_sub(disclosure.len());
        let room = |emoji: (usize, usize), closing: Option<&str>| {
            // A space, then up to two code points per emoji; a blank line before the closing line.
            let emoji = if emoji.1 == 0 { 0 } else { 1 + 2 * emoji.1 };
            limit.saturating_sub(emoji + closing.map_or(0, |line| line.len() + 2))
        };
        if room(emoji, closing) < LEAST_ROOM {
            emoji = (0, 0);
        }
        if room(emoji, closing) < LEAST_ROOM {
            closing = None;
        }
        Self {
            disclosure,
            closing,
            emoji,
            room: room(emoji, closing),
        }
    }

    /// The whole caption.
    pub(crate) fn dress(&self, candidate: &Candidate, brief: &Brief) -> Draft {
        let mut hook = format!("{}{}", self.disclosure, candidate.first);
        let mut body = candidate.second.clone();
        let emoji = self.emoji_for(candidate, brief);
        if !emoji.is_empty() {
            let end = if body.is_empty() { &mut hook } else { &mut body };
            end.push(' ');
            end.push_str(&emoji);
        }
        Draft {
            angle: if candidate.topic.is_empty() {
                "plain".to_owned()
            } else {
                candidate.topic.clone()
            },
            hook,
            body,
            cta: self.closing.map(str::to_owned),
            hashtags: Vec::new(),
        }
    }

    /// Emoji for what the caption and then the description speak of, each once, filled up with general ones.
    fn emoji_for(&self, candidate: &Candidate, brief: &Brief) -> String {
        let (fewest, most) = self.emoji;
        let caption = format!("{} {}", candidate.first, candidate.second);
        let mut chosen: Vec<&str> = Vec::new();
        for word in words::split(&caption).chain(words::split(brief.description.as_str())) {
            let stem = lexicon::stem(word.text);
            let found = EMOJI
                .iter()
                .find(|(keys, _)| keys.split(' ').any(|key| key == stem))
                .map(|(_, emoji)| *emoji);
            chosen.extend(found.filter(|emoji| allowed(emoji, brief) && !chosen.contains(emoji)));
        }
        for general in GENERAL_EMOJI {
            if chosen.len() < fewest && allowed(general, brief) && !chosen.contains(general) {
                chosen.push(general);
            }
        }
        chosen.truncate(most);
        chosen.concat()
    }
}

fn allowed(text: &str, brief: &Brief) -> bool {
    brief
        .avoid
        .iter()
        .all(|phrase| !check::contains_phrase(text, phrase.as_str()))
}

/// A closing line that holds no avoided word, if there is one.
fn closing(brief: &Brief, seed: u64) -> Option<&'static str> {
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
    let usable: Vec<_> = lines.iter().copied().filter(|line| allowed(line, brief)).collect();
    let count = u64::try_from(usable.len()).ok().filter(|count| *count > 0)?;
    usable.get(usize::try_from(seed % count).ok()?).copied()
}

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
