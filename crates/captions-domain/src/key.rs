//! The cache key of a caption: a digest of everything that changes the answer, and of whom it is for.

use crate::{
    brief::Brief,
    context::TenantId,
    platform::RULES_AS_OF,
    ports::CacheKey,
    quality,
    request::{ProviderName, UserId},
    user::Preferences,
};

/// Changes with the form of the cached value.
const SCHEMA: u32 = 2;

/// The key for this brief, asked by this user of this tenant with these preferences, answered by this chain,
/// which is asked in this wording ([`Templates::edition`](crate::prompt::Templates::edition)).
///
/// `None` stands for a user who is not registered: what was written for one who has left is not found under the same id.
///
/// BLAKE3-256 over length-prefixed parts, so that no two lists of parts run into the same bytes.
pub fn caption_key(
    tenant: &TenantId,
    user: Option<&UserId>,
    preferences: Option<&Preferences>,
    brief: &Brief,
    provider: Option<&ProviderName>,
    chain_fingerprint: &str,
    wording: &str,
) -> CacheKey {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&SCHEMA.to_le_bytes());
    part(wording.as_bytes());
    part(RULES_AS_OF.as_bytes());
    // A caption that is found again is scored as one that is written now.
    part(quality::VERSION.as_bytes());
    part(tenant.as_str().as_bytes());
    // A user whose id is empty cannot exist, so "no user" and "some user" never meet.
    part(user.map_or("", UserId::as_str).as_bytes());
    part(provider.map_or("", ProviderName::as_str).as_bytes());
    part(chain_fingerprint.as_bytes());
    // Struct fields are written in declaration order and no map is involved: equal values give equal bytes. Neither
    // type can fail to serialise; if one ever did, the empty part would still be bound to tenant and user.
    let wishes = preferences.map(Preferences::wishes);
    part(&serde_json::to_vec(&wishes).unwrap_or_default());
    part(&serde_json::to_vec(brief).unwrap_or_default());
    CacheKey::new("caption", &hasher.finalize())
}

/// Whose captions: the key under which a cache keeps what their present edition is. Registered or not.
pub fn edition_key(tenant: &TenantId, user: &UserId) -> CacheKey {
    let mut hasher = blake3::Hasher::new();
    for part in [tenant.as_str(), user.as_str()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    CacheKey::new("edition", &hasher.finalize())
}

#[cfg(test)]
mod tests;
