//! The two streams of a command: results on stdout, everything else on stderr.

use std::io::Write;

use crate::failure::Failure;

/// How a piece of text is set off on a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Dim,
    Red,
    Yellow,
    Green,
}

impl Mark {
    const fn sequence(self) -> &'static str {
        match self {
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[1;31m",
            Self::Yellow => "\x1b[33m",
            Self::Green => "\x1b[32m",
        }
    }
}

/// What stands at the other end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// A pipe, a file, a buffer.
    Plain,
    /// A terminal, with its columns and rows where they are known.
    Terminal { size: Option<(u16, u16)> },
}

impl Sink {
    pub(crate) const fn is_terminal(self) -> bool {
        matches!(self, Self::Terminal { .. })
    }
}

/// Where a command writes.
pub(crate) struct Screen<'a> {
    stdout: &'a mut (dyn Write + Send),
    stderr: &'a mut (dyn Write + Send),
    pub(crate) stdout_sink: Sink,
    pub(crate) stderr_sink: Sink,
    pub(crate) colour: bool,
    pub(crate) quiet: bool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(
        stdout: (&'a mut (dyn Write + Send), Sink),
        stderr: (&'a mut (dyn Write + Send), Sink),
        colour: bool,
    ) -> Self {
        Self {
            stdout: stdout.0,
            stderr: stderr.0,
            stdout_sink: stdout.1,
            stderr_sink: stderr.1,
            colour,
            quiet: false,
        }
    }

    /// A result, with a line end. It goes out at once, so that a full disk or a closed pipe is noticed here.
    pub(crate) fn result(&mut self, text: &str) -> Result<(), Failure> {
        if self.stdout_sink.is_terminal() {
            self.own_words(&harmless(text))
        } else {
            self.own_words(text)
        }
    }

    /// A result of our own words alone, colours included.
    pub(crate) fn own_words(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.stdout, "{text}")
            .and_then(|()| self.stdout.flush())
            .map_err(|error| Failure::of_output(&error))
    }

    /// A result with its first word set off, where stdout is a terminal.
    pub(crate) fn finding(&mut self, mark: Mark, first: &str, rest: &str) -> Result<(), Failure> {
        if self.stdout_sink.is_terminal() {
            let line = format!("{}{}", self.paint(mark, first), harmless(rest));
            self.own_words(&line)
        } else {
            self.own_words(&format!("{first}{rest}"))
        }
    }

    /// A JSON document, indented, and nothing else.
    pub(crate) fn document(&mut self, document: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(|error| {
            Failure::new(
                crate::exit::Exit::Failure,
                Some("internal"),
                format!("the document cannot be written: {error}"),
            )
        })?;
        self.result(&text)
    }

    /// A line on stderr that `--quiet` drops.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.tell(&harmless(text));
        }
    }

    /// A note with its first word set off.
    pub(crate) fn marked(&mut self, mark: Mark, first: &str, rest: &str) {
        if !self.quiet {
            let line = format!("{}{}", self.paint(mark, &harmless(first)), harmless(rest));
            self.tell(&line);
        }
    }

    /// Says why there is no result. Not dropped by `--quiet`.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let label = failure
            .code
            .as_deref()
            .map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"));
        for error in &failure.errors {
            let line = format!("{} {}", self.paint(Mark::Red, &format!("{label}:")), harmless(error));
            self.tell(&line);
        }
        for advice in &failure.advice {
            self.tell(&format!("  {}", harmless(advice)));
        }
    }

    /// Bytes for stderr as they are, for text that grows in place.
    pub(crate) fn raw(&mut self, text: &str) {
        // If stderr is gone, nobody is left to be told.
        drop(
            self.stderr
                .write_all(text.as_bytes())
                .and_then(|()| self.stderr.flush()),
        );
    }

    pub(crate) fn paint(&self, mark: Mark, text: &str) -> String {
        if self.colour {
            format!("{}{text}\x1b[0m", mark.sequence())
        } else {
            text.to_owned()
        }
    }

    fn tell(&mut self, line: &str) {
        self.raw(&format!("{line}\n"));
    }
}

/// Text from elsewhere must not steer the terminal: control characters other than line ends and tabs are left out.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\x07\u{9b}c\r\nd\te"), "a[2Jbc\nd\te");
    }

    #[test]
    fn a_pipe_gets_the_text_as_it_is() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::new((&mut out, Sink::Plain), (&mut err, Sink::Plain), false);

        screen.result("a\u{7}b").unwrap();

        assert_eq!(out, b"a\x07b\n");
    }

    #[test]
    fn quiet_drops_notes_and_keeps_errors() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::new((&mut out, Sink::Plain), (&mut err, Sink::Plain), false);
        screen.quiet = true;

        screen.note("written by somebody");
        screen.failure(&Failure::usage("wrong").next("do it right"));

        assert_eq!(String::from_utf8(err).unwrap(), "error: wrong\n  do it right\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ended = |kind| {
            let (mut out, mut err) = (Broken(kind), Vec::new());
            let mut screen = Screen::new((&mut out, Sink::Plain), (&mut err, Sink::Plain), false);
            screen.result("text").unwrap_err()
        };

        let gone = ended(io::ErrorKind::BrokenPipe);
        assert_eq!((gone.exit.code(), gone.errors.len()), (0, 0));
        let full = ended(io::ErrorKind::StorageFull);
        assert_eq!((full.exit.code(), full.errors.len()), (1, 1));
    }
}
