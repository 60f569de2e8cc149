//! A stream of events on its way out, as one who asks again is given it: what was shown in one piece, and the end.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

/// More than this is no event of ours.
const LONGEST_EVENT: usize = 1 << 20;

/// What is noted of the events so far.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// The beginning of an event whose end has not come.
    rest: BytesMut,
    created: String,
    /// Of the text that was shown and not withdrawn: its candidate, the id of its last event, and all of it.
    candidate: Value,
    shown_id: Option<String>,
    shown: String,
    end: Option<End>,
}

/// How a stream has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a caption: the events for one who asks again.
    Completed(Bytes),
    /// Without one.
    Failed,
}

impl Tape {
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(length) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let event = self.rest.split_to(length + 2);
            self.take(&String::from_utf8_lossy(&event));
        }
        if self.rest.len() > LONGEST_EVENT {
            self.end = Some(End::Failed);
        }
    }

    /// `None` before the last event, and after it was told.
    pub(super) fn end(&mut self) -> Option<End> {
        self.end.take()
    }

    fn take(&mut self, event: &str) {
        let field = |name: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).next()
        };
        let data = || -> Value {
            field("data:")
                .and_then(|data| serde_json::from_str(data).ok())
                .unwrap_or_default()
        };
        match field("event:") {
            Some("caption.created") => event.clone_into(&mut self.created),
            Some("caption.delta") => {
                let mut data = data();
                self.candidate = data["candidate"].take();
                self.shown.push_str(data["text"].as_str().unwrap_or_default());
                self.shown_id = field("id:").map(str::to_owned);
            }
            Some("caption.withdrawn") => self.shown.clear(),
            Some("caption.completed") => self.end = Some(End::Completed(self.played(event))),
            Some("error") => self.end = Some(End::Failed),
            // Comments, and what only tells how the writing goes.
            _ => {}
        }
    }

    /// The last of these events: for who has seen some of them, all that is left to be told.
    pub(super) fn last_event(events: &Bytes) -> Bytes {
        let inside = events.len().saturating_sub(2);
        let before = events[..inside].windows(2).rposition(|pair| pair == b"\n\n");
        events.slice(before.map_or(0, |end| end + 2)..)
    }

    fn played(&self, completed: &str) -> Bytes {
        let mut all = self.created.clone();
        // Of a stream that was taken up in its middle nobody here has heard the whole text; its end has it.
        if !self.created.is_empty() && !self.shown.is_empty() {
            let data = json!({ "candidate": self.candidate, "text": self.shown });
            // The order of the lines is that of the stream itself.
            let id = self.shown_id.iter().map(|id| format!("id: {id}\n"));
            all.extend(["event: caption.delta\ndata: ", &data.to_string(), "\n"]);
            all.extend(id);
            all.push('\n');
        }
        all.push_str(completed);
        all.into()
    }
}
