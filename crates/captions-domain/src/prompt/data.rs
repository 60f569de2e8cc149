//! What users wrote, as a model gets it: JSON between two lines that nothing in it can imitate.

use super::MARKER_LENGTH;

/// The data of a question, one field a line.
#[derive(Debug, Default)]
pub(crate) struct Data {
    fields: String,
}

impl Data {
    /// Adds a text; nothing for an empty one.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            quote(&mut self.fields, text);
        }
    }

    /// Adds a list of texts; nothing for an empty one.
    pub(crate) fn texts<'a>(&mut self, name: &str, texts: impl IntoIterator<Item = &'a str>) {
        let mut is_first = true;
        for text in texts {
            if is_first {
                self.name(name);
                self.fields.push('[');
            } else {
                self.fields.push_str(", ");
            }
            quote(&mut self.fields, text);
            is_first = false;
        }
        if !is_first {
            self.fields.push(']');
        }
    }

    fn name(&mut self, name: &str) {
        self.fields
            .push_str(if self.fields.is_empty() { "\"" } else { ",\n\"" });
        self.fields.push_str(name);
        self.fields.push_str("\": ");
    }

    /// The data between its marker lines.
    ///
    /// The marker is made from the data's own hash, so no data can hold it, and a line of data is never a line of the
    /// fence, because line breaks in it are escaped. A random marker would be no safer and would make the same question
    /// differ from time to time.
    pub(crate) fn fenced(&self) -> String {
        let hash = blake3::hash(self.fields.as_bytes()).to_hex();
        let marker = &hash[..MARKER_LENGTH];
        let fields = &self.fields;
        format!("BRIEF {marker}\n{{\n{fields}\n}}\nEND {marker}")
    }
}

/// The most tag characters behind a black flag that make a flag of it, as in that of Wales.
const FLAG_TAGS: u8 = 6;

/// Writes `text` as a JSON string. Escaped beyond what JSON asks for is what a model or its server could take for more
/// than text: everything that may end a line, and the beginnings of the marks between roles (`<|im_start|>`, `[INST]`),
/// which some servers read wherever they stand. Tag characters, invisible and able to hide words, are left out unless they
/// belong to a flag.
pub(crate) fn quote(json: &mut String, text: &str) {
    json.push('"');
    let mut flag_tags = 0;
    for (at, c) in text.char_indices() {
        let mut after = text[at + c.len_utf8()..].chars();
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            '<' if after
                .next()
                .is_some_and(|next| !next.is_whitespace() && !next.is_numeric()) =>
            {
                json.push_str("\\u003c");
            }
            '[' if after
                .next()
                .is_some_and(|next| next == '/' || next.is_ascii_uppercase())
                && after.next().is_some_and(|next| next.is_ascii_uppercase()) =>
            {
                json.push_str("\\u005b");
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                escape(json, c);
            }
            '\u{E0020}'..='\u{E007F}' if flag_tags > 0 => json.push(c),
            '\u{E0000}'..='\u{E007F}' => {}
            c => json.push(c),
        }
        flag_tags = match c {
            '\u{1F3F4}' => FLAG_TAGS,
            '\u{E0020}'..='\u{E007E}' => flag_tags.saturating_sub(1),
            _ => 0,
        };
    }
    json.push('"');
}

/// Everything that is escaped has at most four digits.
fn escape(json: &mut String, c: char) {
    json.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        json.push(char::from_digit((u32::from(c) >> shift) & 0xf, 16).unwrap_or('0'));
    }
}
