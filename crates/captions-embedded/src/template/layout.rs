//! Where lines and paragraphs end.

use std::borrow::Cow;

use captions_domain::request::Language;

/// A text up to so many characters is one paragraph, and no paragraph begins anew before it has so many.
const ONE_PARAGRAPH: usize = 320;
const LEAST_IN_A_PARAGRAPH: usize = 140;

/// What stands between two sentences.
pub(super) fn between_sentences(language: &Language) -> &'static str {
    match language.primary() {
        "ja" | "zh" | "yue" => "",
        _ => " ",
    }
}

/// Each sentence on its own line; `ends` is where they end.
pub(super) fn in_lines(body: &str, ends: &[usize]) -> String {
    sentences(body, ends).collect::<Vec<_>>().join("\n")
}

/// A long text in paragraphs of a few sentences; a short one as it is.
pub(super) fn in_paragraphs<'b>(body: &'b str, ends: &[usize]) -> Cow<'b, str> {
    if body.chars().nth(ONE_PARAGRAPH).is_none() {
        return Cow::Borrowed(body);
    }
    let mut text = String::with_capacity(body.len() + 32);
    let mut in_this = 0;
    for sentence in sentences(body, ends) {
        if in_this >= LEAST_IN_A_PARAGRAPH {
            text.push_str("\n\n");
            in_this = 0;
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(sentence);
        in_this += sentence.chars().count() + 1;
    }
    Cow::Owned(text)
}

fn sentences<'b>(body: &'b str, ends: &[usize]) -> impl Iterator<Item = &'b str> {
    let mut from = 0;
    ends.iter()
        .map(move |end| body[std::mem::replace(&mut from, *end)..*end].trim())
}

#[cfg(test)]
mod tests {
    use super::{super::source::sentence_ends, *};

    #[test]
    fn a_long_text_gets_paragraphs_and_loses_nothing() {
        let sentence = "The mill runs day and night for three weeks in November. ";
        let text = sentence.repeat(12);

        let laid_out = in_paragraphs(text.trim(), &sentence_ends(text.trim()));

        assert_eq!(laid_out.matches("\n\n").count(), 3, "{laid_out}");
        assert_eq!(laid_out.replace("\n\n", " "), text.trim());
        assert_eq!(in_paragraphs(sentence, &sentence_ends(sentence)), sentence);
    }
}
