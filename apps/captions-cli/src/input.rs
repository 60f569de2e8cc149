//! The description of a post: an argument, a file or stdin.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::failure::Failure;

/// The most bytes that are read; the longest description is far shorter.
const MAX_BYTES: u64 = 64 * 1024;

/// What is read where no text is given.
pub(crate) struct Stdin<'a> {
    pub(crate) source: &'a mut (dyn Read + Send),
    /// Nothing is piped in; somebody would have to type.
    pub(crate) is_terminal: bool,
}

/// Reads what `text` points at. A terminal is read only if `-` asks for it.
pub(crate) fn description(text: Option<&str>, stdin: Stdin<'_>, cwd: &Path) -> Result<String, Failure> {
    match text {
        Some("-") => read(stdin.source, "stdin"),
        None if !stdin.is_terminal => read(stdin.source, "stdin"),
        None => Err(Failure::usage("what does the post show?")
            .next("captions generate \"golden hour at our Lisbon cafe\"")
            .next("captions generate --help shows more")),
        Some(text) => match text.strip_prefix('@') {
            Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
            Some(path) => file(&cwd.join(path)),
            None => Ok(text.to_owned()),
        },
    }
}

/// Reads a caption in the same way.
pub(crate) fn caption(text: Option<&str>, stdin: Stdin<'_>, cwd: &Path) -> Result<String, Failure> {
    if text.is_none() && stdin.is_terminal {
        return Err(Failure::usage("which caption?")
            .next("give it as an argument, pipe it in, or name its file: @FILE")
            .next("--help shows more"));
    }
    description(text, stdin, cwd)
}

fn file(path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| {
        Failure::usage(format!("the file {shown} cannot be read: {error}"))
            .next("a text that begins with @ is written @@")
    };
    if path.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder, not a file")));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    read(&mut file, &shown)
}

fn read(source: &mut dyn Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::usage(format!(
            "{name} has more than {} KiB; a description has at most 2000 characters",
            MAX_BYTES / 1024
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
        return Err(Failure::usage(format!("{name} is empty: what does the post show?")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
