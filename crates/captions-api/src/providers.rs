//! Who writes captions here, and how they are.

use std::time::Duration;

use captions_domain::{fault::LlmError, ports::Description};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use crate::problem::Problem;

/// The providers, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProvidersDocument {
    pub data: Vec<ProviderDocument>,
}

/// One provider. Never its address or its key.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProviderDocument {
    /// Its configured name: what `provider` of a request takes, if it is one of the chain.
    pub id: String,
    /// `chain`: asked in order, and by name. `fallback`: asked when the whole chain has failed.
    pub role: &'static str,
    pub model: String,
    /// `standard`, `basic` or `template`.
    pub grade: &'static str,
    /// False if it is known that it would not answer now.
    pub healthy: bool,
    /// Why not, in words.
    pub detail: Option<String>,
    /// `closed`, `open`, `half_open`, or `null` where there is none.
    pub breaker: Option<&'static str>,
    pub capabilities: Capabilities,
    /// Of this process; `null` if nothing has failed yet.
    pub last_error: Option<LastError>,
}

impl ProviderDocument {
    /// A provider that is well, has no breaker and has not failed yet: what else is known is for the caller to set.
    pub fn of(description: &Description, role: &'static str) -> Self {
        Self {
            id: description.provider.clone(),
            role,
            model: description.model.clone(),
            grade: description.grade.as_str(),
            healthy: true,
            detail: None,
            breaker: None,
            capabilities: Capabilities {
                languages: description.languages.map(<[_]>::to_vec),
                vision: !description.seeing.is_empty(),
                rewrites: description.rewrites,
            },
            last_error: None,
        }
    }
}

impl LastError {
    /// A failure, and when its request came in.
    pub fn of(error: &LlmError, at: OffsetDateTime) -> Self {
        Self {
            code: Problem::from(error).code,
            at: at.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

/// What a provider can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Capabilities {
    /// Primary language subtags; `null`: any.
    pub languages: Option<Vec<&'static str>>,
    /// Looks at pictures.
    pub vision: bool,
    /// Changes a given text, and not only writes new ones.
    pub rewrites: bool,
}

/// What it last failed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastError {
    /// As in problems.
    pub code: String,
    /// When the request came in that it failed for (RFC 3339).
    pub at: String,
}

/// The models behind the providers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelsDocument {
    pub data: Vec<ModelDocument>,
}

/// One model, at one provider.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelDocument {
    /// As the provider names it.
    pub id: String,
    pub provider: String,
    pub grade: &'static str,
    pub healthy: bool,
    pub capabilities: Capabilities,
}

impl From<ProviderDocument> for ModelDocument {
    fn from(provider: ProviderDocument) -> Self {
        Self {
            id: provider.model,
            provider: provider.id,
            grade: provider.grade,
            healthy: provider.healthy,
            capabilities: provider.capabilities,
        }
    }
}

/// What came of one small call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProbeDocument {
    pub id: String,
    pub model: String,
    /// True if it answered with a text.
    pub ok: bool,
    pub duration_ms: f64,
    /// Calls begun; 0 if none was let through or none was needed.
    pub attempts: u32,
    /// What it would have been if it were a caption's.
    pub error: Option<Problem>,
}

impl ProbeDocument {
    /// What came of a call to `id`, which took so long.
    pub fn of(id: String, model: String, took: Duration, attempts: u32, outcome: &Result<(), LlmError>) -> Self {
        Self {
            id,
            model,
            ok: outcome.is_ok(),
            duration_ms: (took.as_secs_f64() * 1e4).round() / 10.0,
            attempts,
            error: outcome.as_ref().err().map(Problem::from),
        }
    }
}
