//! Capital letters, as the scripts and the languages have them.

/// `word` with a capital first letter, for a word inside a `PascalCase` hashtag or at the head of a sentence.
///
/// Turkish and Azerbaijani write `i` with a dot above in capitals too; in Dutch `ij` is one letter. Georgian has no
/// capitals inside a text, though Unicode has them for whole words; and what would become two letters stays (`ß`).
pub fn capitalised(word: &str, language: &str) -> String {
    let mut chars = word.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let rest = chars.as_str();
    if matches!(first, '\u{10D0}'..='\u{10FF}') {
        return word.to_owned();
    }
    if first == 'i' && matches!(language, "tr" | "az") {
        // A dot of its own that follows already is the one above.
        let capital = if rest.starts_with('\u{307}') { 'I' } else { 'İ' };
        return format!("{capital}{rest}");
    }
    if language == "nl"
        && let Some(rest) = word.strip_prefix("ij")
    {
        return format!("IJ{rest}");
    }
    let mut capital = first.to_uppercase();
    match (capital.next(), capital.next()) {
        (Some(capital), None) => {
            let mut word = String::with_capacity(word.len() + 2);
            word.push(capital);
            word.push_str(rest);
            word
        }
        _ => word.to_owned(),
    }
}
