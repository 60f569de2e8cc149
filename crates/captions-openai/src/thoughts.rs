//! Takes `<think>...</think>` off the front of a text that comes in pieces, and the white space before the text.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A text in the course of being written.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    state: State,
    /// What was held back: the start of a text that may be a mark, or the end of thoughts that may hold one.
    held: String,
    /// True once thoughts were seen.
    pub(crate) seen: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Thinking,
    Writing,
}

impl Thoughts {
    /// The part of the text so far that can be passed on.
    pub(crate) fn pass(&mut self, piece: &str) -> String {
        if self.state == State::Writing {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        loop {
            match self.state {
                State::Writing => return std::mem::take(&mut self.held),
                State::Thinking => {
                    let Some(end) = self.held.find(CLOSE) else {
                        // The mark may be cut in two; all before that is done with.
                        let keep = (1..CLOSE.len())
                            .rev()
                            .find(|&n| self.held.ends_with(&CLOSE[..n]))
                            .unwrap_or(0);
                        self.held.drain(..self.held.len() - keep);
                        return String::new();
                    };
                    self.held.drain(..end + CLOSE.len());
                    self.state = State::Before;
                }
                State::Before => {
                    self.held = self.held.trim_start().to_owned();
                    if self.held.starts_with(OPEN) {
                        self.held.drain(..OPEN.len());
                        self.seen = true;
                        self.state = State::Thinking;
                    } else if OPEN.starts_with(&self.held) {
                        return String::new();
                    } else {
                        self.state = State::Writing;
                    }
                }
            }
        }
    }

    /// The text is complete: what was held back and turned out to be text.
    pub(crate) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if self.state == State::Before {
            held
        } else {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests;
