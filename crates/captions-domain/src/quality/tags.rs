//! Hashtags: as many as fit, about the post, not generic, readable aloud. Count x relevance x (1 - generic share) x
//! (0.8 + 0.2 x share of tags whose words have capitals); 0 with one that is on the list of denied ones.

use super::{
    Finding,
    curve::number,
    reading::{Reading, keys},
};
use crate::{
    hashtags,
    text::{Place, Span},
};

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let brief = reading.brief;
    let tags: Vec<String> = reading.tags.iter().map(|tag| tag.text.replace('＃', "#")).collect();
    // Somebody who asked for none gets what was asked for.
    if brief.hashtag_count == 0 && tags.is_empty() {
        return Finding::new(1.0, Vec::new(), None);
    }
    let most = brief.rules().max_hashtags;
    let count_fit = match tags.len() {
        0 => 0.7,
        count if count > most => 0.0,
        1..=2 if most > 2 => 0.9,
        1..=5 => 1.0,
        // More than are found best, and allowed.
        _ => 0.9,
    };
    if tags.is_empty() {
        return Finding::new(
            count_fit,
            Vec::new(),
            Some("add two or three specific hashtags".to_owned()),
        );
    }
    let given = &reading.given.keys;
    let is_relevant = |tag: &String| {
        let lower = tag.to_lowercase();
        keys(reading.words, tag).iter().any(|key| given.contains(key))
            || given
                .iter()
                .any(|key| key.chars().count() > 3 && lower.contains(key.as_ref()))
            || brief
                .brand_tags
                .iter()
                .any(|own| tag.trim_start_matches('#') == own.as_str())
    };
    let relevant: Vec<bool> = tags.iter().map(is_relevant).collect();
    let relevance = number(relevant.iter().filter(|is| **is).count()) / number(tags.len());
    let readable = tags
        .iter()
        .filter(|tag| !tag.chars().any(char::is_lowercase) || tag.chars().any(char::is_uppercase))
        .count();
    let generic = hashtags::generic_share(&tags);
    let denied = || {
        let is_denied = |tag: &&Span<'_>| hashtags::is_denied(tag.text.trim_start_matches(['#', '＃']));
        reading.tags.iter().filter(is_denied)
    };
    let is_clean = number(usize::from(denied().next().is_none()));
    let value =
        count_fit * relevance * (1.0 - generic) * is_clean * (0.8 + 0.2 * number(readable) / number(tags.len()));
    let strays = || reading.tags.iter().zip(&relevant).filter(|(_, is)| !**is);
    let beyond = || reading.tags.iter().skip(most);
    let (spans, fix) = if tags.len() > most {
        let fix = format!("keep the best {most}: more are not allowed");
        (beyond().cloned().map(Place::from).collect(), fix)
    } else if is_clean < 1.0 {
        let fix = format!(
            "leave out the hashtag that is on the list of {} of those reported as blocked",
            hashtags::denylist_as_of()
        );
        (denied().cloned().map(Place::from).collect(), fix)
    } else if relevance < 1.0 {
        let fix = "replace the hashtags that name nothing in the description".to_owned();
        (strays().map(|(tag, _)| Place::from(tag.clone())).collect(), fix)
    } else if generic > 0.0 {
        (Vec::new(), "replace the hashtags that everybody uses".to_owned())
    } else if count_fit < 1.0 {
        (Vec::new(), "three to five hashtags are found best".to_owned())
    } else {
        (
            Vec::new(),
            "begin each word of a hashtag with a capital: #NewShoes is read aloud as two words".to_owned(),
        )
    };
    Finding::new(value, spans, Some(fix))
}
