//! What is asked with a key and may be sent again: the record of such a call, and the steps that it goes through.
//!
//! A record is *claimed* while somebody works on it, until the lease ends; *open* when nobody does, because the work failed
//! or its process died; and *answered* once it holds the answer, which all who ask the same again are given. A claim of an
//! open record goes on with the id that the first claim brought: what the call creates has that id, however often it is
//! begun, and whoever begins it again finds what is there already.

mod payload;

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    caption::CaptionId,
    request::{Invalid, UserId},
};

pub use self::payload::Payload;

/// The name that a caller gives to one call: 1-255 visible ASCII characters, and spaces inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The most characters.
    const LONGEST: usize = 255;

    pub fn new(text: &str) -> Result<Self, Invalid> {
        let invalid = |rule: &str| Err(Invalid::new("invalid_key", rule.to_owned()));
        if text.is_empty() || text.len() > Self::LONGEST {
            return invalid("an idempotency key has 1 to 255 characters");
        }
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            return invalid("an idempotency key is of visible ASCII characters, without spaces around it");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Which call of its tenant it is: the digest of the method, the path and the key. Keys may name people, so they are not
/// kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId([u8; 32]);

impl CallId {
    pub fn new(method: &str, path: &str, key: &Key) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [method, path, &key.0] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An answer as it is kept and given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Those that belong to the content, in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Who wants to work on a call. The claimant is known by its [`fresh_id`](crate::context::Context::fresh_id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub call: CallId,
    pub payload: Payload,
    /// Whom the call is about: what is kept of it goes with what else is kept of the user.
    pub user: Option<UserId>,
    /// Which caption it is about, if not the one that it creates. The same counts.
    pub caption: Option<CaptionId>,
    /// From now on; then somebody else may have it.
    pub lease: Duration,
    /// How long what was asked is remembered, from now on.
    pub keep_for: Duration,
}

/// A change of one record, made at once or not at all, and one that may be repeated: a step that was made already and
/// whose outcome was lost is given its outcome again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wants the call; see [`Standing`] for what may come of it.
    Claim(Claim),
    /// The holder has the answer, which is kept for so long from now on.
    Settle {
        call: CallId,
        reply: Reply,
        keep_for: Duration,
    },
    /// The holder ends without an answer.
    Release { call: CallId },
    /// Removes records of any tenant whose time is over, so many at most. Those that are being worked on stay.
    Sweep { limit: u32 },
}

/// How a record stands after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The claimant works on the call now, and what it creates has this id: its own, or that of whoever began before.
    Held { id: Uuid },
    /// Somebody else works on it.
    Busy,
    /// It was answered before.
    Answered(Reply),
    /// The key stands for a call with another payload.
    Different,
    /// So many records are changed. None after [`Step::Settle`] or [`Step::Release`]: somebody else has it by now, or it is
    /// gone.
    Changed(u64),
}

#[cfg(test)]
mod tests;
