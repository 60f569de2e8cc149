//! Quality.
use serde::{Deserialize, Serialize};

/// An explained score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub score: f64,
    /// 100 x the sum of value x weight over the parts.
    pub raw_score: f64,
    /// The weights sum to 1.
    pub parts: Vec<Part>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// 0-1.
    pub value: f64,
    pub weight: f64,
    /// What would raise it most, in words; `None` if nothing would.
    pub fix: Option<String>,
}
