//! How a value stands in a cache: a header, then the value as JSON, compressed where that saves something.
//!
//! | bytes | content |
//! |---|---|
//! | 2 | `CV` |
//! | 1 | version of this format: 1 |
//! | 1 | flags: 1 the body is deflated, 2 closed: no value, and none is to be put |
//! | 4 | schema of the value |
//! | 8 | serial: which load gave it |
//! | 8 | epoch: how often memory had been dropped as a whole; 0 in the shared layer |
//! | 8 | age when it was put, milliseconds |
//! | 8 | how long it is fresh, milliseconds |
//! | 8 | how long it is kept, milliseconds |
//! | 16 | BLAKE3 over tenant, key, all of the above, and the body |
//!
//! Numbers are little endian. No time of day stands in it: the layer tells how long it has had the bytes, and the header
//! how old they were before, so that no two clocks have to agree. The digest covers tenant and key, so that a value that
//! was copied to another place does not pass for its own.

use std::{cell::RefCell, io::Read, time::Duration};

use bytes::Bytes;
use captions_domain::{context::TenantId, ports::CacheKey};
use flate2::{Compress, Compression, FlushCompress, Status, read::DeflateDecoder};

const MAGIC: [u8; 2] = *b"CV";
const VERSION: u8 = 1;
const DEFLATED: u8 = 1;
const CLOSED: u8 = 2;
const DIGEST: usize = 16;
/// Bytes before the body.
pub(super) const HEADER: usize = 2 + 1 + 1 + 4 + 5 * 8 + DIGEST;
/// Nothing is kept for longer: an entry that claims more was not written by us.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);
/// A body may unfold to this many times the largest entry, and no further.
const UNFOLD: usize = 16;

/// Whose key: where a value stands, and what its digest is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) tenant: TenantId,
    pub(super) key: CacheKey,
}

/// Bytes that are no entry for this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) serial: u64,
    pub(super) epoch: u64,
    /// When it was put.
    pub(super) age: Duration,
    pub(super) fresh_for: Duration,
    /// At least `fresh_for`.
    pub(super) kept_for: Duration,
    /// No value stands here, and none is to be put while this does.
    pub(super) is_closed: bool,
    is_deflated: bool,
    body: Bytes,
}

/// What an entry was checked by, which no other has: none of another place, time or value.
pub(super) type Digest = [u8; DIGEST];

impl Entry {
    /// A value just loaded; deflated if it is longer than `compress_over` bytes and that makes it shorter.
    pub(super) fn new(
        serial: u64,
        fresh_for: Duration,
        kept_for: Duration,
        json: Vec<u8>,
        compress_over: Option<usize>,
    ) -> Self {
        let deflated = compress_over
            .filter(|over| json.len() > *over)
            .and_then(|_| deflate(&json))
            .filter(|deflated| deflated.len() < json.len());
        Self {
            serial,
            epoch: 0,
            age: Duration::ZERO,
            fresh_for,
            kept_for: kept_for.max(fresh_for),
            is_closed: false,
            is_deflated: deflated.is_some(),
            body: deflated.unwrap_or(json).into(),
        }
    }

    /// No value: stands there for a while after a write, so that no load that had begun before it puts back what was.
    pub(super) fn closed(kept_for: Duration) -> Self {
        Self {
            serial: 0,
            epoch: 0,
            age: Duration::ZERO,
            fresh_for: Duration::ZERO,
            kept_for,
            is_closed: true,
            is_deflated: false,
            body: Bytes::new(),
        }
    }

    /// True for a value that says that there is nothing.
    pub(super) fn is_negative(&self) -> bool {
        !self.is_deflated && *self.body == *b"null"
    }

    /// The value as JSON; at most 16 times `largest` bytes long.
    pub(super) fn json(&self, largest: usize) -> Result<Bytes, Invalid> {
        if !self.is_deflated {
            return Ok(self.body.clone());
        }
        let limit = largest.saturating_mul(UNFOLD);
        let mut json = Vec::new();
        DeflateDecoder::new(&*self.body)
            .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
            .read_to_end(&mut json)
            .map_err(|_| Invalid)?;
        if json.len() > limit {
            Err(Invalid)
        } else {
            Ok(json.into())
        }
    }

    /// The digest in what [`Entry::decode`] has read; zero for what is shorter than that.
    pub(super) fn digest(encoded: &[u8]) -> Digest {
        let digest = encoded.get(HEADER - DIGEST..HEADER);
        digest.and_then(|digest| digest.try_into().ok()).unwrap_or_default()
    }

    pub(super) fn encode(&self, place: &Place, schema: u32) -> Bytes {
        let mut encoded = Vec::with_capacity(HEADER + self.body.len());
        encoded.extend_from_slice(&MAGIC);
        encoded.push(VERSION);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        encoded.push(flag(self.is_deflated, DEFLATED) | flag(self.is_closed, CLOSED));
        encoded.extend_from_slice(&schema.to_le_bytes());
        for number in [
            self.serial,
            self.epoch,
            millis(self.age),
            millis(self.fresh_for),
            millis(self.kept_for),
        ] {
            encoded.extend_from_slice(&number.to_le_bytes());
        }
        let digest = digest(place, &encoded, &self.body);
        encoded.extend_from_slice(&digest);
        encoded.extend_from_slice(&self.body);
        encoded.into()
    }

    /// Reads what [`Entry::encode`] made for this place and this schema; everything else is [`Invalid`].
    pub(super) fn decode(place: &Place, schema: u32, encoded: &Bytes) -> Result<Self, Invalid> {
        if encoded.len() < HEADER {
            return Err(Invalid);
        }
        let body = encoded.slice(HEADER..);
        let (header, sum) = encoded[..HEADER].split_at(HEADER - DIGEST);
        if header[..2] != MAGIC || header[2] != VERSION || sum != digest(place, header, &body) {
            return Err(Invalid);
        }
        let flags = header[3];
        let (own_schema, numbers) = header[4..].split_at(4);
        if own_schema != schema.to_le_bytes() || flags & !(DEFLATED | CLOSED) != 0 {
            return Err(Invalid);
        }
        let number = |index: usize| {
            let bytes = numbers[index * 8..].iter().take(8).rev();
            bytes.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
        };
        let time = |index: usize| Duration::from_millis(number(index));
        let entry = Self {
            serial: number(0),
            epoch: number(1),
            age: time(2),
            fresh_for: time(3),
            kept_for: time(4),
            is_closed: flags & CLOSED != 0,
            is_deflated: flags & DEFLATED != 0,
            body,
        };
        let is_sensible = entry.fresh_for <= entry.kept_for && entry.kept_for <= LONGEST && entry.age <= entry.kept_for;
        if is_sensible { Ok(entry) } else { Err(Invalid) }
    }
}

/// Whole milliseconds, within what an entry may say.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}

/// `None` if it would not become shorter.
fn deflate(json: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        // Its tables are a third of a megabyte, more work to make than to use: made once a thread.
        static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    }
    DEFLATE.with_borrow_mut(|compress| {
        compress.reset();
        let mut deflated = Vec::with_capacity(json.len());
        let status = compress.compress_vec(json, &mut deflated, FlushCompress::Finish);
        matches!(status, Ok(Status::StreamEnd)).then(|| {
            deflated.shrink_to_fit();
            deflated
        })
    })
}

fn digest(place: &Place, header: &[u8], body: &[u8]) -> [u8; DIGEST] {
    let mut hasher = blake3::Hasher::new();
    for part in [
        place.tenant.as_str().as_bytes(),
        place.key.as_str().as_bytes(),
        header,
        body,
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut digest = [0; DIGEST];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

#[cfg(test)]
mod tests;
