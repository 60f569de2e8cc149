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
        Some("-") => short(stdin.source, "stdin"),
        None if !stdin.is_terminal => short(stdin.source, "stdin"),
        None => Err(Failure::usage("what does the post show?")
            .next("captions generate \"golden hour at our Lisbon cafe\"")
            .next("captions generate --help shows more")),
        Some(text) => match text.strip_prefix('@') {
            Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
            Some(path) => {
                let (mut file, shown) =
                    open(&cwd.join(path)).map_err(|failure| failure.next("a text that begins with @ is written @@"))?;
                short(&mut file, &shown)
            }
            None => Ok(text.to_owned()),
        },
    }
}

/// The text of a file, or of stdin for `-`: at most `most` bytes.
pub(crate) fn whole(path: &Path, stdin: Stdin<'_>, cwd: &Path, most: u64) -> Result<String, Failure> {
    let too_much = format!("more than {} MiB", most / 1024 / 1024);
    let text = if path == Path::new("-") {
        read(stdin.source, "stdin", most, &too_much)?
    } else {
        let (mut file, shown) = open(&cwd.join(path))?;
        read(&mut file, &shown, most, &too_much)?
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{} is empty", path.display())));
    }
    Ok(text)
}

fn open(path: &Path) -> Result<(File, String), Failure> {
    let shown = path.display().to_string();
    let unreadable = |error: io::Error| Failure::usage(format!("the file {shown} cannot be read: {error}"));
    if path.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder, not a file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    Ok((file, shown))
}

/// A description.
fn short(source: &mut dyn Read, name: &str) -> Result<String, Failure> {
    let too_much = format!(
        "more than {} KiB; a description has at most 2000 characters",
        MAX_BYTES / 1024
    );
    let text = read(source, name, MAX_BYTES, &too_much)?;
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{name} is empty: what does the post show?")));
    }
    Ok(text)
}

fn read(source: &mut dyn Read, name: &str, most: u64, too_much: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(format!("{name} has {too_much}")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!(
            "{name} is not UTF-8: the byte at {place} cannot be read as text"
        ))
        .next("save it as UTF-8 and try again")
    })?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests;
