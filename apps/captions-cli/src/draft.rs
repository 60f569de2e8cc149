//! Text on stderr while it is written. It is a draft: the checked text comes on stdout, after the draft has gone.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::screen::{Mark, Screen, Sink, harmless};

/// The draft of one caption.
#[derive(Default)]
pub(crate) struct Draft {
    /// What stands on the terminal now and would have to be erased.
    shown: String,
    /// A status line stands there instead.
    status: bool,
}

impl Draft {
    /// More text.
    pub(crate) fn push(&mut self, screen: &mut Screen<'_>, text: &str) {
        let text = harmless(text);
        if self.status {
            self.clear(screen);
        }
        self.shown.push_str(&text);
        let painted = screen.paint(Mark::Dim, &text);
        screen.raw(&painted);
    }

    /// The text so far is void. On a terminal it goes away; elsewhere it cannot, so the reader is told.
    pub(crate) fn withdraw(&mut self, screen: &mut Screen<'_>, code: &str) {
        self.clear(screen);
        screen.note(&format!("the text so far is withdrawn ({code}); another one follows"));
    }

    /// The writer is at work on texts that it does not show.
    pub(crate) fn progress(&mut self, screen: &mut Screen<'_>, done: u32, of: u32) {
        self.status(screen, &format!("writing: {done} of {of} candidates"));
    }

    /// A line that stands there until something else comes; for terminals only.
    pub(crate) fn status(&mut self, screen: &mut Screen<'_>, line: &str) {
        if screen.quiet || !screen.stderr_sink.is_terminal() {
            return;
        }
        self.clear(screen);
        let painted = screen.paint(Mark::Dim, line);
        screen.raw(&painted);
        line.clone_into(&mut self.shown);
        self.status = true;
    }

    /// Makes room for what is final.
    pub(crate) fn clear(&mut self, screen: &mut Screen<'_>) {
        let shown = std::mem::take(&mut self.shown);
        self.status = false;
        if shown.is_empty() {
            return;
        }
        match rows_to_erase(&shown, screen.stderr_sink) {
            Some(0) => screen.raw("\r\x1b[J"),
            Some(up) => screen.raw(&format!("\r\x1b[{up}A\x1b[J")),
            None => screen.raw("\n"),
        }
    }
}

/// How many rows the cursor has to go up to where the text began; `None` if it cannot get there: no terminal, one of
/// unknown size, or the beginning has scrolled away.
fn rows_to_erase(text: &str, sink: Sink) -> Option<usize> {
    let Sink::Terminal {
        size: Some((rows, columns)),
    } = sink
    else {
        return None;
    };
    let columns = usize::from(columns.max(1));
    let (mut row, mut column) = (0, 0);
    for cluster in text.graphemes(true) {
        if cluster == "\n" {
            row += 1;
            column = 0;
            continue;
        }
        // A tab moves to the next stop, and never beyond the last column.
        let width = if cluster == "\t" {
            (8 - column % 8).min(columns.saturating_sub(column + 1))
        } else {
            cluster.width()
        };
        if column + width > columns {
            row += 1;
            column = 0;
        }
        column += width;
    }
    (row < usize::from(rows)).then_some(row)
}

#[cfg(test)]
mod tests;
