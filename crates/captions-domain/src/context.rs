//! What travels with one request besides its content: whose it is, how long it may take, what it has cost so far.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{budget::Payer, caption::Usage, request::Invalid, usage::Tab};

mod notes;

pub use notes::{LookUp, Notes, Part, Why};

/// Who owns the data: every stored row, every cache key and every limit belongs to exactly one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// 1-100 characters of `[A-Za-z0-9_-]`.
    pub fn new(id: &str) -> Result<Self, Invalid> {
        crate::request::identifier("tenant", id).map(|id| Self(id.into()))
    }

    /// The tenant of an installation that has only one.
    pub fn local() -> Self {
        Self("local".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The provider calls that one request has begun, over all providers, against the most that it may begin; and what they
/// have cost, whether anything came of them or not.
#[derive(Debug)]
pub struct Attempts {
    begun: AtomicU32,
    limit: u32,
    told: AtomicU64,
    cut_off: AtomicU64,
}

impl Attempts {
    /// A ledger that allows `limit` calls.
    pub const fn up_to(limit: u32) -> Self {
        Self {
            begun: AtomicU32::new(0),
            limit,
            told: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
        }
    }

    /// Enters the tokens of a call, as its provider has told them.
    pub fn told(&self, tokens: u64) {
        self.told.fetch_add(tokens, Ordering::Relaxed);
    }

    /// The tokens of all calls so far whose providers have told them.
    pub fn tokens_told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Enters the tokens, guessed, of a call that was cut off.
    pub fn cut_off(&self, tokens: u64) {
        self.cut_off.fetch_add(tokens, Ordering::Relaxed);
    }

    /// The tokens, guessed, of all calls that were cut off so far.
    pub fn tokens_cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// The tokens of all calls of the request: of those of which something came, as `usage` has it, of those of which nothing
    /// came, and of those that were cut off. None if it made no call.
    pub fn tokens(&self, usage: Option<Usage>) -> u64 {
        if self.begun() == 0 {
            return 0;
        }
        let usage = usage.map_or(0, |usage| usage.input_tokens.saturating_add(usage.output_tokens));
        usage.max(self.tokens_told()).saturating_add(self.tokens_cut_off())
    }

    /// Enters one call. `false` means that the limit is reached and the call must not be made.
    pub fn begin(&self) -> bool {
        self.begun
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |begun| {
                (begun < self.limit).then_some(begun + 1)
            })
            .is_ok()
    }

    /// True if no further call may be begun: whoever would wait before one need not.
    pub fn is_full(&self) -> bool {
        self.begun() >= self.limit
    }

    /// How many more may be begun.
    pub fn left(&self) -> u32 {
        self.limit.saturating_sub(self.begun())
    }

    /// Calls begun so far.
    pub fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Who waits for the outcome. Where there is not enough of something, those who wait come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// A person.
    #[default]
    Interactive,
    /// Nobody: batches, refreshes, warming up.
    Batch,
}

/// Handed to every port with every call. Clones share the attempt ledger and the notes.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whose data may be touched.
    pub tenant: TenantId,
    /// The name of this request in answers, logs and traces; already checked by the app.
    pub request_id: Arc<str>,
    /// A fresh UUID (version 7) for what this request creates. The domain makes no ids of its own.
    pub fresh_id: Uuid,
    /// The time of day at which the request came in, to the microsecond, which every store keeps. The domain has no clock.
    pub now: OffsetDateTime,
    /// Nothing may be begun for this request after this instant.
    pub deadline: Instant,
    /// The provider calls begun for this request.
    pub attempts: Arc<Attempts>,
    /// Who waits.
    pub class: Class,
    /// What went less well so far, and what is to be told of how it went.
    pub notes: Arc<Notes>,
    /// Whose budgets the calls of this request count against, every one of them; empty: nobody's.
    pub payers: Arc<[Payer]>,
    /// Where what it uses is put down, and to whom.
    pub tab: Tab,
}

impl Context {
    /// The same request with an earlier end for a part of it; a later `deadline` than its own changes nothing.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self {
            deadline: self.deadline.min(deadline),
            ..self.clone()
        }
    }
}
