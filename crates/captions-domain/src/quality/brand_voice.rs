//! Sounds like the user: the share of what is checked that holds, where a style card of their own captions is known. Emoji,
//! sentence length, first person and casing within one standard deviation of the samples, required and avoided words,
//! signature tags.

use super::{Finding, curve::number, reading::Reading};
use crate::{
    text::Place,
    voice::{Casing, Feature, StyleCard},
};

pub(super) fn find(reading: &Reading<'_>, card: &StyleCard) -> Finding {
    let brief = reading.brief;
    let mut checks: Vec<(bool, String)> = card
        .distance(reading.text, &brief.language)
        .into_iter()
        .filter_map(|deviation| {
            let more = deviation.value < deviation.usual;
            let fix = match deviation.feature {
                Feature::SentenceWords if more => "write longer sentences, as you do",
                Feature::SentenceWords => "write shorter sentences, as you do",
                Feature::Emoji if more => "use more emoji, as you do",
                Feature::Emoji => "use fewer emoji, as you do",
                Feature::FirstPerson if more => "say 'I' or 'we', as you do",
                Feature::FirstPerson => "leave out 'I' and 'we', as you do",
                Feature::LowerCaseStart if more => "begin with a small letter, as you do",
                Feature::LowerCaseStart => "begin with a capital, as you do",
                _ => return None,
            };
            Some((deviation.fits(), fix.to_owned()))
        })
        .collect();
    let casing = match card.casing {
        Casing::Usual => None,
        Casing::Lower => Some((
            !reading.caption.chars().any(char::is_uppercase),
            "write in small letters, as you do",
        )),
        Casing::Upper => Some((
            !reading.caption.chars().any(char::is_lowercase),
            "write in capitals, as you do",
        )),
    };
    checks.extend(casing.map(|(fits, fix)| (fits, fix.to_owned())));
    if !brief.required.is_empty() {
        let fits = !reading.has_violation("missing_word", None);
        checks.push((fits, "use the words that your captions have to have".to_owned()));
    }
    if !brief.avoid.is_empty() {
        let fits = !reading.has_violation("avoided_word", None);
        checks.push((fits, "leave out the words that you do not use".to_owned()));
    }
    let signature = brief.brand_tags.iter().take(brief.hashtag_count);
    for own in signature {
        let fits = reading
            .tags
            .iter()
            .any(|tag| tag.text.trim_start_matches(['#', '＃']).to_lowercase() == own.as_str().to_lowercase());
        checks.push((fits, format!("add your tag #{own}")));
    }
    let kept = checks.iter().filter(|(fits, _)| *fits).count();
    let value = number(kept) / number(checks.len().max(1));
    let fix = checks.into_iter().find(|(fits, _)| !fits).map(|(_, fix)| fix);
    let spans: Vec<Place> = Vec::new();
    Finding::new(if kept == 0 { 0.0 } else { value }, spans, fix)
}
