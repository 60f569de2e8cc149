//! What a caption's stream of server-sent events carries.

use serde::Serialize;

use crate::{caption::CaptionDocument, problem::Problem};

/// One event. A stream starts with `Created` and ends with exactly one `Completed` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StreamEvent {
    /// The request was accepted.
    Created { request_id: String },
    /// More text of a candidate.
    Delta { candidate: u32, text: String },
    /// All text of this candidate is void; the next delta starts a new one.
    Withdrawn { candidate: u32, code: String },
    /// The whole document. Its text replaces what the deltas gave.
    Completed(Box<CaptionDocument>),
    /// There will be no caption.
    Failed(Box<Problem>),
}

impl StreamEvent {
    /// The event's name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "caption.created",
            Self::Delta { .. } => "caption.delta",
            Self::Withdrawn { .. } => "caption.withdrawn",
            Self::Completed(_) => "caption.completed",
            Self::Failed(_) => "error",
        }
    }

    /// The event's data on the wire: one line of JSON.
    pub fn data(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// True if nothing comes after it.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_))
    }
}

#[cfg(test)]
mod tests;
