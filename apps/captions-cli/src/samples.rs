//! A user's own captions, from a file or stdin.

use std::{fs::File, io::Read, path::Path};

use serde_json::Value;

use crate::{failure::Failure, input::Stdin, report::BETWEEN};

/// The most bytes that are read: the most and longest samples are half as many.
const MAX_BYTES: u64 = 512 * 1024;

/// The captions in the file, or in what is piped in where `-` stands for it.
pub(crate) fn read(from: &str, stdin: Option<Stdin<'_>>, cwd: &Path) -> Result<Vec<String>, Failure> {
    let cannot = |error: std::io::Error| Failure::usage(format!("{from} cannot be read: {error}"));
    let mut bytes = Vec::new();
    match (from, stdin) {
        ("-", Some(stdin)) => stdin.source.take(MAX_BYTES + 1).read_to_end(&mut bytes),
        _ => File::open(cwd.join(from))
            .map_err(cannot)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes),
    }
    .map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        let rule = format!("{from} has more than {} KiB: 20 captions are enough", MAX_BYTES / 1024);
        return Err(Failure::usage(rule));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{from} is not UTF-8")).next("save it as UTF-8 and try again"))?;
    let captions = split(text.strip_prefix('\u{FEFF}').unwrap_or(&text));
    if captions.is_empty() {
        return Err(Failure::usage(format!("{from} holds no caption"))
            .next("put a line of --- between captions, or write one JSON string a line"));
    }
    Ok(captions)
}

/// Captions one a line, if every line is a JSON string or an object with a `text`; else what lines of `---` part, as
/// `captions generate` prints several. Blank lines are part of a caption.
fn split(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if let Some(captions) = lines.map(of_json).collect::<Option<Vec<_>>>() {
        return captions;
    }
    let mut captions = vec![String::new()];
    for line in text.lines() {
        if line.trim() == BETWEEN.trim() {
            captions.push(String::new());
        } else if let Some(caption) = captions.last_mut() {
            caption.push_str(line);
            caption.push('\n');
        }
    }
    let captions = captions
        .iter()
        .map(|caption| caption.trim())
        .filter(|caption| !caption.is_empty());
    captions.map(Into::into).collect()
}

fn of_json(line: &str) -> Option<String> {
    match serde_json::from_str(line).ok()? {
        Value::String(text) => Some(text),
        Value::Object(object) => object.get("text").and_then(Value::as_str).map(Into::into),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::parted_by_lines("one\n\nstill one\n---\ntwo\n\n---\n", &["one\n\nstill one", "two"])]
    #[case::as_windows_writes("one\r\n---\r\ntwo", &["one", "two"])]
    #[case::alone("just one\n", &["just one"])]
    #[case::more_hyphens_are_text("one\n----\nstill one", &["one\n----\nstill one"])]
    #[case::json_lines("\"one\\nstill one\"\n\n{\"text\": \"two\", \"likes\": 3}\n", &["one\nstill one", "two"])]
    #[case::a_caption_that_begins_as_json("\"Bread\" is what we call it", &["\"Bread\" is what we call it"])]
    #[case::an_object_without_text("{\"likes\": 3}", &["{\"likes\": 3}"])]
    #[case::a_byte_order_mark("\u{FEFF}one", &["one"])]
    fn captions_are_told_apart(#[case] text: &str, #[case] captions: &[&str]) {
        let stdin = Stdin {
            source: &mut Cursor::new(text.as_bytes().to_vec()),
            is_terminal: false,
        };

        assert_eq!(read("-", Some(stdin), Path::new("/")).unwrap(), captions);
    }

    #[rstest]
    #[case::nothing(b"\n---\n", "holds no caption")]
    #[case::not_utf8(b"\xFF", "not UTF-8")]
    #[case::too_much(&vec![b'x'; 512 * 1024 + 1], "more than 512 KiB")]
    fn what_holds_no_captions_is_wrong_usage(#[case] bytes: &[u8], #[case] words: &str) {
        let stdin = Stdin {
            source: &mut Cursor::new(bytes.to_vec()),
            is_terminal: false,
        };

        let failure = read("-", Some(stdin), Path::new("/")).unwrap_err();

        assert_eq!(failure.exit.code(), 2);
        assert!(failure.errors.concat().contains(words), "{:?}", failure.errors);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = read("nowhere.txt", None, Path::new("/")).unwrap_err();

        assert!(failure.errors.concat().starts_with("nowhere.txt cannot be read"));
    }
}
