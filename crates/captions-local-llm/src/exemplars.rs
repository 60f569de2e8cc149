//! The few examples that the model reads before every description: they set form and tone.

use captions_domain::choice::Tone;

use crate::{
    lexicon::{self, Class},
    words,
};

/// A set of examples for some tones.
pub(crate) struct Exemplars {
    /// Photo and caption.
    pairs: &'static [(&'static str, &'static str)],
    /// A sentence may end in an exclamation mark.
    pub(crate) exclaim: bool,
}

/// How many sets there are.
pub(crate) const SETS: usize = 4;

static ALL: [Exemplars; SETS] = [
    Exemplars {
        pairs: &[
            (
                "an old woman reading a paperback in a rocking chair on the porch",
                "A rocking chair, a paperback, the porch. Nowhere else to be.",
            ),
            (
                "three kids building a snowman in the front yard",
                "Three kids and one snowman. The cold can hold on.",
            ),
            (
                "a blue fishing boat tied to a pier in the fog",
                "A blue fishing boat in the fog. It keeps a secret.",
            ),
            (
                "a plate of pancakes with berries and maple syrup",
                "Pancakes, berries, maple syrup. Nobody gets up hungry.",
            ),
            (
                "a barber trimming a beard in a vintage shop",
                "A trim in a vintage shop. Old school done kindly.",
            ),
        ],
        exclaim: false,
    },
    Exemplars {
        pairs: &[
            (
                "an architect reviewing drawings for a library at a large desk",
                "An architect, a desk, drawings for a library. Precision in progress.",
            ),
            (
                "a silver wristwatch with a leather strap on dark wood",
                "A silver wristwatch with a leather strap. Quality without noise.",
            ),
            (
                "volunteers packing boxes at a food bank",
                "Volunteers packing boxes at a food bank. Many hands, one purpose.",
            ),
            (
                "a glass office tower reflecting clouds",
                "A glass tower reflecting clouds. Built to last.",
            ),
            (
                "a violinist tuning before a concert",
                "A violinist tuning before a concert. Patience comes to the stage.",
            ),
        ],
        exclaim: false,
    },
    Exemplars {
        pairs: &[
            (
                "a skateboarder jumping off a concrete ramp",
                "A skateboarder off the ramp. Hang on tight!",
            ),
            (
                "a parrot stealing a fry from a picnic basket",
                "One parrot, one fry, zero regrets. Guard your basket!",
            ),
            (
                "a crowd cheering at a street basketball game",
                "A street basketball game and a cheering crowd. What a rush!",
            ),
            (
                "a giant ice cream cone with sprinkles",
                "A giant ice cream cone with sprinkles. Hold nothing back!",
            ),
            (
                "kids splashing in a fountain on a hot afternoon",
                "Kids splashing in a fountain. Heat, you lost!",
            ),
        ],
        exclaim: true,
    },
    Exemplars {
        pairs: &[
            (
                "a rowboat on a still lake at dawn",
                "A rowboat on a still lake. Dawn asks nothing of you.",
            ),
            (
                "snow falling on a wooden bridge in a forest",
                "Snow on a wooden bridge. The forest holds its breath.",
            ),
            (
                "a candle beside a cup of tea and a blanket",
                "A candle, a cup of tea, a blanket. Let the noise pass.",
            ),
            (
                "a lone runner on an empty road under a big moon",
                "A lone runner under a big moon. Strength grows in silence.",
            ),
            (
                "wildflowers in a meadow after the rain",
                "Wildflowers in a meadow after the rain. Patience turns to bloom.",
            ),
        ],
        exclaim: false,
    },
];

/// The number of the set for a tone, below [`SETS`].
pub(crate) const fn set_of(tone: Tone) -> usize {
    match tone {
        Tone::Friendly | Tone::Casual | Tone::Warm | Tone::Respectful => 0,
        Tone::Professional | Tone::Formal | Tone::Sophisticated => 1,
        Tone::Enthusiastic | Tone::Energetic | Tone::Playful | Tone::Funny => 2,
        Tone::Calm | Tone::Inspirational => 3,
    }
}

/// The set of a tone.
pub(crate) fn of(tone: Tone) -> &'static Exemplars {
    &ALL[set_of(tone)]
}

impl Exemplars {
    /// What stands before every description.
    pub(crate) fn prefix(&self) -> String {
        let mut text = String::new();
        for (photo, caption) in self.pairs {
            text.push_str("Photo: ");
            text.push_str(photo);
            text.push_str("\nCaption: ");
            text.push_str(caption);
            text.push_str("\n\n");
        }
        text.push_str("Photo:");
        text
    }

    /// True if a caption of the set uses this word as content. The model likes to repeat what it has just read, so such
    /// a word is only allowed where the description has it.
    pub(crate) fn holds(&self, word: &str) -> bool {
        matches!(lexicon::class(&word.to_lowercase()), Class::Content | Class::Loose)
            && self
                .pairs
                .iter()
                .any(|(_, caption)| words::split(caption).any(|piece| piece.text.eq_ignore_ascii_case(word)))
    }
}
