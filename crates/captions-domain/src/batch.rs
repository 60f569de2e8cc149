//! Batches: many requests for captions that nobody waits for, kept on the store until each has its outcome.
//!
//! The life of an item: it is due, is leased to one worker, and is settled by it. A worker that is killed settles
//! nothing; its lease runs out, and the item goes to somebody else, marked as reclaimed.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    caption::{Answer, CaptionId, Record},
    context::TenantId,
    engine::GenerateError,
    keys::{Key, KeyLimits},
    request::{CaptionRequest, Invalid, UserId},
};

/// The most items of one batch.
pub const MAX_ITEMS: usize = 10_000;
/// The most characters of an item's name.
pub const MAX_CUSTOM_ID: usize = 128;

/// A batch: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub Uuid);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BatchId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Uuid::parse_str(text.trim())
            .map(Self)
            .map_err(|_| Invalid::new("bad_format", "a batch id is a UUID"))
    }
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Kept, and nothing of it begun.
    Queued,
    InProgress,
    /// Nothing more of it is begun; what was being written comes to its end.
    Cancelling,
    /// Every item has its outcome, and at least one succeeded.
    Completed,
    /// Every item failed.
    Failed,
    /// Cancelled before every item had been tried.
    Cancelled,
    /// Its time was up before every item had been tried.
    Expired,
}

impl BatchState {
    /// In the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::InProgress,
        Self::Cancelling,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of this name, as the stores keep it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// True if nothing of it changes by itself any more.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::InProgress | Self::Cancelling => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired => true,
        }
    }
}

/// How many items stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u32,
    pub succeeded: u32,
    pub failed: u32,
    /// Never tried: cancelled, or out of time.
    pub cancelled: u32,
}

impl Counts {
    /// Items that have an outcome.
    pub const fn over(&self) -> u32 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.cancelled)
    }

    /// Items that have none yet.
    pub const fn open(&self) -> u32 {
        self.total.saturating_sub(self.over())
    }
}

/// A batch as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub state: BatchState,
    pub counts: Counts,
    pub created_at: OffsetDateTime,
    /// When its first item was begun.
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
    /// Items that were not begun by then never are.
    pub expires_at: OffsetDateTime,
}

impl Batch {
    /// How long the rest takes at the pace so far; `None` as long as there is no pace.
    pub fn eta(&self, now: OffsetDateTime) -> Option<Duration> {
        if self.state.is_over() {
            return Some(Duration::ZERO);
        }
        let written = self.counts.succeeded.saturating_add(self.counts.failed);
        let begun: Duration = (now - self.started_at?).try_into().ok()?;
        (written > 0).then(|| begun.mul_f64(f64::from(self.counts.open()) / f64::from(written)))
    }
}

/// Who is told when a batch is over.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    /// May hold a key.
    pub url: String,
    /// `whsec_...`: what its events are signed with.
    pub secret: String,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// An item before it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// The caller's name for it, unique within the batch.
    pub custom_id: String,
    /// The id of its caption. Fixed here, so that whoever is the second to write it finds what the first one has stored.
    pub caption: CaptionId,
    /// Whom it is for, so that it can be erased with them.
    pub user: Option<UserId>,
    /// The request as it came over the wire. The queue does not look into it.
    pub request: String,
}

/// Whose limits the items of a batch count against. Without an active key in the family nothing more of it is begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payer {
    /// The family of the key that it was submitted with.
    pub family: String,
    /// As they were then; those that the family has now count.
    pub limits: KeyLimits,
}

/// A batch before it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBatch {
    pub id: BatchId,
    /// From [`Context::now`](crate::context::Context::now) on.
    pub lives_for: Duration,
    pub notify: Option<Receiver>,
    /// `None`: its tenant.
    pub payer: Option<Payer>,
    /// The most items without an outcome that its tenant may have with it, in all of its batches.
    pub most_open: Option<u64>,
    /// In input order: the place of an item is its index. Never empty.
    pub items: Vec<NewItem>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemStatus {
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

impl ItemStatus {
    /// In the order of the enum.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The status of this name, as the stores keep it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// The outcome of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub index: u32,
    pub custom_id: String,
    pub status: ItemStatus,
    /// What was settled: the document of a caption or of a problem. `None` for what was never tried, or was erased.
    pub document: Option<String>,
    /// A worker was lost over it, so its provider may have been called once more than was needed.
    pub reclaimed: bool,
}

/// A page of a batch's outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Outcomes after this index; `None`: from the first one.
    pub after: Option<u32>,
    /// At most so many.
    pub limit: u32,
}

impl Page {
    /// No outcomes at all.
    pub const NONE: Self = Self { after: None, limit: 0 };
}

/// The right to settle an item. A newer lease of the same item voids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub batch: BatchId,
    pub index: u32,
    pub lease: Uuid,
}

/// An item, leased.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub ticket: Ticket,
    pub tenant: TenantId,
    /// As of its batch.
    pub payer: Option<Payer>,
    pub caption: CaptionId,
    pub request: String,
    /// How often it was begun, this time included.
    pub tries: u32,
    /// An earlier lease of it ran out.
    pub reclaimed: bool,
}

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// At most so many items, all of one batch.
    pub items: u32,
    /// How long they are this worker's alone.
    pub lease: Duration,
    /// Only of this batch.
    pub only: Option<BatchId>,
    /// Not of these batches: whoever pays for them has asked for too much, or whom they need is not to be called.
    pub held: Vec<BatchId>,
    /// Whether to look after what is over, first.
    pub tidy: Option<Tidy>,
}

/// How to look after what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidy {
    /// Batches that have been over for so long are removed.
    pub retention: Duration,
    /// Whoever tells a receiver has so long before somebody else does.
    pub lease: Duration,
}

/// What a worker gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Taken {
    pub items: Vec<Claimed>,
    /// Whom to tell that a batch is over. Empty without [`Turn::tidy`].
    pub notices: Vec<Notice>,
    /// Only with [`Turn::tidy`].
    pub backlog: Option<Backlog>,
}

/// A batch that is over, and of which somebody is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub tenant: TenantId,
    pub batch: Batch,
    pub receiver: Receiver,
    /// How often it was tried, this time included.
    pub tries: u32,
}

/// All that waits, of every tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Batches that are not over.
    pub batches: u64,
    /// Their items without an outcome.
    pub items: u64,
    /// When the oldest of these batches came in.
    pub oldest: Option<OffsetDateTime>,
}

/// What a worker has to say of an item that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The document of its caption.
    Succeeded(String),
    Failed {
        /// Of its problem.
        document: String,
        /// The same request will not succeed later either: [`Change::RetryFailed`] leaves it alone.
        is_final: bool,
    },
    /// It is still being worked on: the lease lasts this long from now on.
    Keep(Duration),
    /// It is to be tried again, by anybody, this much later.
    Later {
        after: Duration,
        /// Whether this time counts among its tries: not if nothing was really tried.
        counts: bool,
    },
}

/// What is to be done to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Begin nothing more of it. Nothing happens to one that is over.
    Cancel,
    /// Nobody goes on submitting it: what there is of it takes no room any more. Nothing happens to one that is kept.
    Discard,
    /// Try again what failed and may succeed later; it is in progress then, and lives as long again at least. Nothing happens
    /// to one without any such item, or that was cancelled or has expired. Beyond `most_open` items without an outcome of the
    /// tenant, these included, it is a [`StoreError::Full`](crate::fault::StoreError::Full), and nothing is done.
    RetryFailed {
        /// Also what failed for good: whoever runs the provider may have changed it.
        all: bool,
        most_open: Option<u64>,
    },
    /// Its receiver was told, or never will be.
    Told,
    /// Its receiver is to be told this much later.
    TellLater(Duration),
}

/// How a worker reads requests, and the words that it puts outcomes into. The wire contract has them; the queue keeps
/// what they give as it is.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// A kept request, which was in order when it came in.
    pub request: fn(&str) -> Result<CaptionRequest, Invalid>,
    /// The document of an answer to the request of this name, and of the time that it took.
    pub answer: fn(&Answer, &str, Duration) -> String,
    /// The document of a caption that an earlier try has stored.
    pub record: fn(&Record) -> String,
    /// The document of the problem of the request of this name.
    pub failure: fn(&GenerateError, &str) -> String,
    /// The document of an item over which so many workers were lost.
    pub given_up: fn(u32, &str) -> String,
    /// The document of an item whose family of keys has no active one any more; with the newest, if there is any.
    pub key_ended: fn(&str, Option<&Key>, &str) -> String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(counts: Counts, state: BatchState) -> Batch {
        Batch {
            id: BatchId(Uuid::nil()),
            state,
            counts,
            created_at: OffsetDateTime::UNIX_EPOCH,
            started_at: Some(OffsetDateTime::UNIX_EPOCH),
            finished_at: None,
            expires_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_pace_so_far_says() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(30);
        let counts = Counts {
            total: 100,
            succeeded: 20,
            failed: 5,
            cancelled: 0,
        };

        assert_eq!(
            batch(counts, BatchState::InProgress).eta(now),
            Some(Duration::from_secs(90))
        );
    }

    #[test]
    fn without_a_pace_nobody_knows_and_after_the_end_nothing_is_left() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(30);
        let counts = Counts {
            total: 2,
            ..Counts::default()
        };

        assert_eq!(batch(counts, BatchState::InProgress).eta(now), None);
        assert_eq!(batch(counts, BatchState::Cancelled).eta(now), Some(Duration::ZERO));
    }

    #[test]
    fn every_name_is_read_back() {
        for state in BatchState::ALL {
            assert_eq!(BatchState::of_name(state.as_str()), Some(state));
        }
        for status in ItemStatus::ALL {
            assert_eq!(ItemStatus::of_name(status.as_str()), Some(status));
        }
    }

    #[test]
    fn a_receiver_is_not_printed() {
        let receiver = Receiver {
            url: "https://hooks.example/key".to_owned(),
            secret: "whsec_abc".to_owned(),
        };

        assert_eq!(format!("{receiver:?}"), "Receiver { .. }");
    }
}
