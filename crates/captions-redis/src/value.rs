//! How a value stands in Redis: a small header, then the bytes as they were put.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of this format: 1 |
//! | 8 | the TTL that it was put with, milliseconds, little endian |
//! | 8 | the first bytes of BLAKE3 over version, TTL, length of the key, key, value |
//!
//! The TTL gives the age without trusting two clocks to agree: age = TTL put - TTL left. The digest covers the key, so
//! that a value that was copied to another key does not pass for its own.

use std::time::Duration;

use bytes::Bytes;
use captions_domain::fault::{Fault, FaultKind};

const VERSION: u8 = 1;
/// Bytes before the value.
pub(crate) const HEADER: usize = 1 + 8 + 8;

/// The longest TTL that is passed on, 100 years: Redis refuses times that overflow its clock.
const MAX_TTL_MILLIS: u64 = 100 * 365 * 24 * 3600 * 1000;

/// A TTL in whole milliseconds, within what Redis takes; `None` for less than one.
pub(crate) fn millis(ttl: Duration) -> Option<u64> {
    match u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).min(MAX_TTL_MILLIS) {
        0 => None,
        millis => Some(millis),
    }
}

pub(crate) fn encode(key: &str, ttl_millis: u64, value: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(HEADER + value.len());
    encoded.push(VERSION);
    encoded.extend_from_slice(&ttl_millis.to_le_bytes());
    encoded.extend_from_slice(&digest(key, ttl_millis, value));
    encoded.extend_from_slice(value);
    encoded
}

/// The value and the TTL that it was put with, in milliseconds. Anything that [`encode`] did not make for this key is
/// [`FaultKind::Corrupt`].
pub(crate) fn decode(key: &str, encoded: &Bytes) -> Result<(Bytes, u64), Fault> {
    let corrupt = |what: &'static str| Fault::because(FaultKind::Corrupt, what);
    let Some((&[version, ref rest @ ..], _)) = encoded.split_first_chunk::<HEADER>() else {
        return Err(corrupt("a cached value without a header"));
    };
    if version != VERSION {
        return Err(corrupt("a cached value of another format"));
    }
    let (ttl, sum) = rest.split_at(8);
    let ttl_millis = ttl
        .iter()
        .rev()
        .fold(0, |millis, byte| (millis << 8) | u64::from(*byte));
    let value = encoded.slice(HEADER..);
    if sum != digest(key, ttl_millis, &value) {
        return Err(corrupt("a cached value that was damaged"));
    }
    Ok((value, ttl_millis))
}

fn digest(key: &str, ttl_millis: u64, value: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[VERSION]);
    hasher.update(&ttl_millis.to_le_bytes());
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(value);
    let mut digest = [0; 8];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

#[cfg(test)]
mod tests;
