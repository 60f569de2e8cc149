//! A secret as text: letters and digits, with a checksum at its end.

use std::fmt::Write as _;

/// What every key begins with, for people and for scanners that look for leaked secrets.
pub const PREFIX: &str = "captions_";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is the first power of 62 above 2^256.
const SECRET: usize = 43;
/// 62^6 is the first above 2^32.
const CHECKSUM: usize = 6;

/// A text that is no key of ours. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("a key is captions_ and 49 letters and digits")]
    Shape,
    #[error("the key is mistyped or cut off: its checksum does not fit")]
    Checksum,
}

pub(super) fn write(secret: &[u8; 32]) -> String {
    let mut text = format!("{PREFIX}{}", base62::<SECRET>(secret));
    let checksum = base62::<CHECKSUM>(&crc32fast::hash(text.as_bytes()).to_be_bytes());
    // Writing to a string cannot fail.
    let _ = write!(text, "{checksum}");
    text
}

pub(super) fn read(text: &str) -> Result<[u8; 32], NotAKey> {
    let digits = text.strip_prefix(PREFIX).ok_or(NotAKey::Shape)?;
    if digits.len() != SECRET + CHECKSUM || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return Err(NotAKey::Shape);
    }
    let (signed, checksum) = text.split_at(PREFIX.len() + SECRET);
    if base62::<CHECKSUM>(&crc32fast::hash(signed.as_bytes()).to_be_bytes()) != checksum {
        return Err(NotAKey::Checksum);
    }
    let mut secret = [0_u8; 32];
    for digit in digits.bytes().take(SECRET) {
        let value = DIGITS.iter().position(|known| *known == digit).ok_or(NotAKey::Shape)?;
        let mut carry = u32::try_from(value).map_err(|_| NotAKey::Shape)?;
        for byte in secret.iter_mut().rev() {
            let sum = u32::from(*byte) * 62 + carry;
            let [.., low] = sum.to_be_bytes();
            *byte = low;
            carry = sum >> 8;
        }
        if carry > 0 {
            // More than 256 bits: nothing that we wrote.
            return Err(NotAKey::Checksum);
        }
    }
    Ok(secret)
}

/// A number of big-endian bytes in `N` digits.
fn base62<const N: usize>(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            let [.., low] = (value / 62).to_be_bytes();
            *byte = low;
            rest = value % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}
