//! Says what the description says, and nothing that nobody said: 0.6 x min(1, coverage / 0.6) + 0.4 x exp(-untraced).

use std::collections::HashSet;

use super::{
    Finding,
    curve::{decay, number},
    reading::Reading,
};
/// Long descriptions hold more than a caption should repeat: so much weight is enough.
const ENOUGH: usize = 12;

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let (coverage, missing) = if reading.given.is_foreign {
        // The words of another language cannot be found again in this one, and it is not the caption's fault.
        (1.0, Vec::new())
    } else {
        coverage(reading)
    };
    let invented: HashSet<String> = reading.untraced.iter().map(|place| place.text.to_lowercase()).collect();
    let value = 0.6 * (coverage / 0.6).min(1.0) + 0.4 * decay(invented.len());
    let fix = if let Some(first) = reading.untraced.first() {
        Some(format!(
            "remove or confirm '{}': the description does not say it",
            first.text
        ))
    } else if missing.is_empty() {
        Some("say more of what the post shows".to_owned())
    } else {
        Some(format!(
            "name more of what the post shows, such as {}",
            missing.join(", ")
        ))
    };
    Finding::new(value, reading.untraced.clone(), fix)
}

/// The share of the description's content words that the caption takes up, names twice, and up to three that it leaves
/// out. Hashtags at its end take up nothing: anybody can list words.
fn coverage(reading: &Reading<'_>) -> (f64, Vec<String>) {
    let (mut all, mut covered) = (0, 0);
    for (key, weight) in &reading.given.described {
        all += weight;
        covered += if reading.said.contains(key) { *weight } else { 0 };
    }
    let unsaid = reading
        .given
        .content
        .iter()
        .filter(|(_, stem)| !reading.said.contains(stem));
    let missing = unsaid.take(3).map(|(word, _)| (*word).to_owned()).collect();
    if all == 0 {
        return (1.0, Vec::new());
    }
    (number(covered) / number(all.min(ENOUGH)), missing)
}
