//! A picture that the writer may look at: an address or bytes, checked here once. It is never fetched, kept or logged.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::request::Invalid;

mod address;

pub use address::MAX_URL;

/// The most bytes of a picture.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The kinds of picture that providers commonly read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    Jpeg,
    Png,
    Webp,
    Gif,
}

impl MediaType {
    pub const NAMES: [&'static str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// What the first bytes say, whatever a name or a header claims.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }
}

impl FromStr for MediaType {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        match name.trim().to_ascii_lowercase().as_str() {
            "image/jpeg" | "image/jpg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::Webp),
            "image/gif" => Ok(Self::Gif),
            _ => Err(Invalid::new(
                "unknown_choice",
                format!("a picture is one of {}", Self::NAMES.join(", ")),
            )),
        }
    }
}

/// A picture of the post. Copies share their bytes. Shown and written it is a digest, so that neither a log nor a cache
/// key can hold it.
#[derive(Clone, PartialEq, Eq)]
pub struct Image(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Address(Arc<str>),
    Bytes { media_type: MediaType, bytes: Bytes },
}

/// What a provider is handed.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// The provider fetches it itself.
    Address(&'a str),
    Bytes {
        media_type: MediaType,
        bytes: &'a [u8],
    },
}

impl Image {
    /// A picture at a public https address. Whoever hands it on fetches nothing; the address is judged by how it is
    /// written, because what a name resolves to is only known to whoever asks.
    pub fn at(url: &str) -> Result<Self, Invalid> {
        address::check(url).map(|url| Self(Source::Address(url.into())))
    }

    /// A picture's bytes. `declared` has to be what they are.
    pub fn of(bytes: Bytes, declared: Option<MediaType>) -> Result<Self, Invalid> {
        if bytes.len() > MAX_BYTES {
            return Err(Invalid::new(
                "too_large",
                format!("a picture has at most {MAX_BYTES} bytes, this has {}", bytes.len()),
            ));
        }
        let Some(media_type) = MediaType::of(&bytes) else {
            let kinds = MediaType::NAMES.join(", ");
            return Err(Invalid::new("bad_format", format!("the bytes are none of {kinds}")));
        };
        match declared {
            Some(declared) if declared != media_type => Err(Invalid::new(
                "bad_format",
                format!("the bytes are {}, not {}", media_type.as_str(), declared.as_str()),
            )
            .nearest(media_type.as_str())),
            _ => Ok(Self(Source::Bytes { media_type, bytes })),
        }
    }

    /// What a provider is handed.
    pub fn shown(&self) -> Shown<'_> {
        match &self.0 {
            Source::Address(url) => Shown::Address(url),
            Source::Bytes { media_type, bytes } => Shown::Bytes {
                media_type: *media_type,
                bytes,
            },
        }
    }

    /// Stands for the picture where it may not stand itself. An address and bytes never have the same.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        match &self.0 {
            Source::Address(url) => hasher.update(b"url\0").update(url.as_bytes()),
            Source::Bytes { media_type, bytes } => hasher
                .update(media_type.as_str().as_bytes())
                .update(b"\0")
                .update(bytes),
        };
        hasher.finalize()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Address(_) => f.write_str("Image(url)"),
            Source::Bytes { media_type, bytes } => write!(f, "Image({}, {} bytes)", media_type.as_str(), bytes.len()),
        }
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digest().to_hex().as_str())
    }
}

#[cfg(test)]
mod tests;
