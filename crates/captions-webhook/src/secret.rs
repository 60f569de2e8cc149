//! Secrets, and the signature that they make.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the standard: fewer can be guessed, more say that it is something else.
const SIZE: std::ops::RangeInclusive<usize> = 24..=64;
/// Secrets are passed around with and without the filling signs at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One secret, ready to sign with.
pub(crate) struct Secret(Hmac<Sha256>);

impl Secret {
    /// Reads `whsec_<base64 of 24 to 64 bytes>`.
    pub(crate) fn read(text: &SecretString) -> Result<Self, &'static str> {
        let coded = text.expose_secret().trim().strip_prefix(PREFIX);
        let bytes = coded.and_then(|coded| BASE64.decode(coded).ok());
        bytes
            .filter(|bytes| SIZE.contains(&bytes.len()))
            .and_then(|bytes| Hmac::new_from_slice(&bytes).ok())
            .map(Self)
            .ok_or("a webhook's secret is whsec_ and the base64 of 24 to 64 bytes")
    }

    /// `v1,<base64>` over `id.timestamp.body`.
    pub(crate) fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let code = self.0.clone();
        let code = code
            .chain_update(id)
            .chain_update(".")
            .chain_update(timestamp)
            .chain_update(".")
            .chain_update(body)
            .finalize();
        format!("v1,{}", BASE64_STANDARD.encode(code.into_bytes()))
    }
}

#[cfg(test)]
mod tests;
