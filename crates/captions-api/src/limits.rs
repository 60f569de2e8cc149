//! How the limits of a caller stand, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What whoever asks may still do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsStatus {
    pub tenant: String,
    /// The id of the key; null where none was presented.
    #[schema(required)]
    pub key: Option<String>,
    /// Empty where nothing is limited, or where it cannot be told at the moment.
    pub limits: Vec<LimitDocument>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitDocument {
    /// Its name in the `RateLimit` fields.
    pub name: String,
    /// requests, tokens, or concurrent-requests: those that are answered at the same moment.
    pub unit: String,
    pub limit: u64,
    /// Null for what is counted at the moment.
    #[schema(required)]
    pub window_seconds: Option<u64>,
    pub remaining: u64,
    /// Until all of it is there again; null for what is counted at the moment.
    #[schema(required)]
    pub resets_in_seconds: Option<u64>,
}
