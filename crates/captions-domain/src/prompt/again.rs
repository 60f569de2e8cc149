//! The question that mends: the same once more, with the text that broke rules.

use super::{Prompt, ask_again};
use crate::check::Violation;

/// The longest text that is shown once more, in characters.
const MOST: usize = 2500;

/// The same question once more, with what was wrong with `text`, which answered it.
pub fn ask_to_mend(prompt: &Prompt, text: &str, violations: &[Violation]) -> Prompt {
    let shown = Violation {
        rule: "the caption that broke them".to_owned(),
        value: text.chars().take(MOST).collect(),
        limit: "the same in other words".to_owned(),
    };
    let listed: Vec<Violation> = violations.iter().cloned().chain([shown]).collect();
    ask_again(prompt, &listed)
}
