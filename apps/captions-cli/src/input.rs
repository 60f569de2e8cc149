//! The text that a command is about: an argument, a file or stdin.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::failure::Failure;

/// What is read where no text is given.
pub(crate) struct Stdin<'a> {
    pub(crate) source: &'a mut (dyn Read + Send),
    /// Nothing is piped in; somebody would have to type.
    pub(crate) is_terminal: bool,
}

/// What a text is for, as messages say it.
struct Wanted<'a> {
    question: &'a str,
    /// How the command may be called.
    example: &'a str,
    help: &'a str,
    /// The most KiB that are read, and why more is no use.
    most_kib: u64,
    reason: &'a str,
}

/// Reads the description of a post.
pub(crate) fn description(text: Option<&str>, stdin: Stdin<'_>, cwd: &Path) -> Result<String, Failure> {
    let wanted = Wanted {
        question: "what does the post show?",
        example: "captions generate \"golden hour at our Lisbon cafe\"",
        help: "captions generate --help shows more",
        most_kib: 64,
        reason: "a description has at most 2000 characters",
    };
    pointed_at(text, stdin, cwd, &wanted)
}

/// Reads a caption that somebody has, for `command`. The line end that a file or a pipe ends with is not part of it.
pub(crate) fn caption(text: Option<&str>, stdin: Stdin<'_>, cwd: &Path, command: &str) -> Result<String, Failure> {
    let wanted = Wanted {
        question: "which caption?",
        example: &format!("captions {command} \"Golden hour at the cafe. #LisbonCafe\""),
        help: &format!("captions {command} --help shows more"),
        most_kib: 256,
        reason: "no platform takes such a text",
    };
    let text = pointed_at(text, stdin, cwd, &wanted)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Reads the posts of an import: a file, or stdin for `-`.
pub(crate) fn posts(path: &Path, stdin: Stdin<'_>, cwd: &Path) -> Result<String, Failure> {
    let wanted = Wanted {
        question: "which posts?",
        example: "captions results import ana export.csv",
        help: "captions results import --help shows more",
        most_kib: 8 * 1024,
        reason: "an import has at most 10000 posts",
    };
    if path == Path::new("-") {
        return read(stdin.source, "stdin", &wanted);
    }
    file(&cwd.join(path), &wanted)
}

/// Reads the items of a batch: a file, or stdin for `-`.
pub(crate) fn items(path: &Path, stdin: Stdin<'_>, cwd: &Path) -> Result<String, Failure> {
    let wanted = Wanted {
        question: "which items?",
        example: "captions batch run posts.csv -o out.jsonl",
        help: "captions batch --help shows more",
        most_kib: 64 * 1024,
        reason: "a batch has at most 10000 items",
    };
    if path == Path::new("-") {
        return read(stdin.source, "stdin", &wanted);
    }
    file(&cwd.join(path), &wanted)
}

/// Reads what `text` points at. A terminal is read only if `-` asks for it.
fn pointed_at(text: Option<&str>, stdin: Stdin<'_>, cwd: &Path, wanted: &Wanted<'_>) -> Result<String, Failure> {
    match text {
        Some("-") => read(stdin.source, "stdin", wanted),
        None if !stdin.is_terminal => read(stdin.source, "stdin", wanted),
        None => Err(Failure::usage(wanted.question).next(wanted.example).next(wanted.help)),
        Some(text) => match text.strip_prefix('@') {
            Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
            Some(path) => {
                file(&cwd.join(path), wanted).map_err(|failure| failure.next("a text that begins with @ is written @@"))
            }
            None => Ok(text.to_owned()),
        },
    }
}

fn file(path: &Path, wanted: &Wanted<'_>) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| Failure::usage(format!("the file {shown} cannot be read: {error}"));
    if path.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder, not a file")));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    read(&mut file, &shown, wanted)
}

fn read(source: &mut dyn Read, name: &str, wanted: &Wanted<'_>) -> Result<String, Failure> {
    let most = wanted.most_kib * 1024;
    let mut bytes = Vec::new();
    source
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(format!(
            "{name} has more than {} KiB; {}",
            wanted.most_kib, wanted.reason
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!(
            "{name} is not UTF-8: the byte at {place} cannot be read as text"
        ))
        .next("save it as UTF-8 and try again")
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{name} is empty: {}", wanted.question)));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
