//! Where the sentences of a text stand. In time that grows with the text and no faster, whatever signs it is made of.

use crate::{lexicon::is_sign, phrases::is_unspaced, text::Span};

/// Words that end with a full stop and no sentence does.
const ABBREVIATIONS: [&str; 20] = [
    "ca", "dr", "e.g", "etc", "i.e", "inkl", "mme", "mr", "mrs", "ms", "nr", "prof", "sr", "sra", "st", "str", "u.a",
    "usw", "vs", "z.b",
];

/// The sentences of a text without the white space around them, in order. A line break ends one, too, and so does an emoji
/// before a capital, or before a letter of a script that knows none and no spaces.
///
/// A full stop does not end one before a small letter, after an abbreviation or an initial, and after a number of one or
/// two digits ("3. Mai").
pub fn spans(text: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut from = Mark { byte: 0, index: 0 };
    let mut at = from;
    loop {
        // Letters, digits and spaces of ASCII, of which most texts are made, end nothing.
        let quiet = text.as_bytes()[at.byte..]
            .iter()
            .take_while(|byte| is_quiet(**byte))
            .count();
        at.byte += quiet;
        at.index += quiet;
        let Mark { byte, index } = at;
        let Some(c) = text[byte..].chars().next() else { break };
        at = at.after(c);
        if c == '\n' {
            push(&mut found, text, from, byte);
            from = at;
            continue;
        }
        if !is_terminator(c) {
            // Many end a sentence with an emoji and no full stop.
            let end = byte + c.len_utf8();
            let rest = text[end..].trim_start_matches([' ', '\u{FE0F}']);
            if is_sign(c)
                && text[end..].len() > rest.len()
                && rest.starts_with(|next: char| next.is_uppercase() || is_unspaced(next))
                && text[from.byte..byte].contains(char::is_alphanumeric)
            {
                let variation = text[end..].chars().take_while(|c| *c == '\u{FE0F}').count();
                let end = end + variation * '\u{FE0F}'.len_utf8();
                push(&mut found, text, from, end);
                from = Mark {
                    byte: end,
                    index: index + 1 + variation,
                };
            }
            continue;
        }
        let mut last = c;
        let goes_along = |c: &char| is_terminator(*c) || is_closing(*c) || matches!(*c, '\u{FE0F}');
        while let Some(c) = text[at.byte..].chars().next().filter(goes_along) {
            at = at.after(c);
            last = if is_terminator(c) { c } else { last };
        }
        let end = at;
        let rest = &text[end.byte..];
        let within = rest.starts_with(|next: char| next.is_alphanumeric())
            || (matches!(last, '.' | '…') && goes_on(&text[from.byte..byte], rest));
        let is_end = is_full_width(last) || !within;
        if is_end {
            push(&mut found, text, from, end.byte);
            from = end;
        }
    }
    push(&mut found, text, from, text.len());
    found
}

#[derive(Clone, Copy)]
struct Mark {
    byte: usize,
    index: usize,
}

impl Mark {
    fn after(self, c: char) -> Self {
        Self {
            byte: self.byte + c.len_utf8(),
            index: self.index + 1,
        }
    }
}

/// True for a sign of ASCII at which no sentence ends.
const fn is_quiet(byte: u8) -> bool {
    byte.is_ascii() && !matches!(byte, b'\n' | b'.' | b'!' | b'?')
}

fn push<'a>(found: &mut Vec<Span<'a>>, text: &'a str, from: Mark, end: usize) {
    let piece = &text[from.byte..end];
    let trimmed = piece.trim();
    if trimmed.is_empty() {
        return;
    }
    let lead = piece.len() - piece.trim_start().len();
    let start = from.index + piece[..lead].chars().count();
    found.push(Span {
        text: trimmed,
        start,
        end: start + trimmed.chars().count(),
    });
}

/// True if a full stop between `before` and `rest` stands within a sentence.
fn goes_on(before: &str, rest: &str) -> bool {
    if rest.trim_start_matches([' ', '\t']).starts_with(char::is_lowercase) {
        return true;
    }
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut chars = word.chars();
    match (chars.next(), chars.next(), chars.next()) {
        // An initial, or a number of one digit.
        (Some(only), None, _) => only.is_uppercase() || only.is_ascii_digit(),
        (Some(a), Some(b), None) if a.is_ascii_digit() && b.is_ascii_digit() => true,
        _ => word.len() <= 4 && ABBREVIATIONS.contains(&word.to_lowercase().as_str()),
    }
}

fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '؟' | '۔' | '।' | '॥' | '‽') || is_full_width(c)
}

const fn is_full_width(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡')
}

const fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | '“' | ')' | ']' | '」' | '』' | '】' | '）'
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"])]
    #[case("First line\nsecond line", &["First line", "second line"])]
    #[case("At 3.5 km, e.g. here... and on. Done", &["At 3.5 km, e.g. here... and on.", "Done"])]
    #[case("Ask Dr. Silva. She knows J. Smith.", &["Ask Dr. Silva.", "She knows J. Smith."])]
    #[case("Am 3. Mai geht es los. Kommt!", &["Am 3. Mai geht es los.", "Kommt!"])]
    #[case("焼きたてです。どうぞ！", &["焼きたてです。", "どうぞ！"])]
    #[case("He said \"Go!\" Then he went.", &["He said \"Go!\"", "Then he went."])]
    #[case("Wow!😍 Next", &["Wow!", "😍 Next"])]
    #[case("At sunset 🐶 He ran ❤️ 🐶 Home", &["At sunset 🐶", "He ran ❤️ 🐶", "Home"])]
    #[case("朝食です🍞 焼きたて", &["朝食です🍞", "焼きたて"])]
    #[case("🐶 Our dog 🐶 and his 👨‍👩‍👧 family", &["🐶 Our dog 🐶 and his 👨‍👩‍👧 family"])]
    #[case("¿Vienes? ¡Sí!", &["¿Vienes?", "¡Sí!"])]
    #[case("anna.cafe.com is open", &["anna.cafe.com is open"])]
    #[case("  \n ", &[])]
    fn sentences_end_where_people_end_them(#[case] text: &str, #[case] expected: &[&str]) {
        let found: Vec<&str> = spans(text).iter().map(|span| span.text).collect();
        assert_eq!(found, expected);
    }

    proptest::proptest! {
        #[test]
        fn a_sentence_stands_where_its_span_says(text in "[a-zA-Z0-9 .!?…。\n😍é\u{301}\"]{0,80}") {
            let chars: Vec<char> = text.chars().collect();
            let mut end = 0;
            for span in spans(&text) {
                proptest::prop_assert_eq!(chars[span.start..span.end].iter().collect::<String>(), span.text);
                proptest::prop_assert!(span.start >= end);
                end = span.end;
            }
        }
    }
}
