//! A text in the form that LinkedIn's API takes.

use super::{hashtags, urls};

/// What LinkedIn's API reads as its own signs (Microsoft Learn, "little text format", read on 2026-09-06). A post ends at
/// the first one that is not escaped.
const RESERVED: &str = "|{}@[]()<>#\\*_~";

/// `text` with reserved signs escaped; hashtags and web addresses stay, so that they are still found as such.
pub fn for_linkedin(text: &str) -> String {
    let mut is_kept = vec![false; text.chars().count()];
    for span in hashtags(text).into_iter().chain(urls(text)) {
        is_kept[span.start..span.end].fill(true);
    }
    let mut escaped = String::with_capacity(text.len());
    for (c, is_kept) in text.chars().zip(is_kept) {
        if RESERVED.contains(c) && !is_kept {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
