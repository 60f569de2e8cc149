//! More variants of a stored caption: the body that asks for them, and how a caption tells where they came from.

use captions_domain::{
    caption::{Degraded, Source, Usage, Warning},
    more::{Addition, MoreRequest},
    request::{Invalid, ProviderName, Variants},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    schema::{flag, identifier, whole},
};

/// What a client sends. `None` (absent or `null` in JSON) is the default.
///
/// It may hold anything; [`MoreBody::check`] tells what of it breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MoreBody {
    pub count: Option<f64>,
    pub provider: Option<String>,
    pub allow_fallback: Option<bool>,
}

impl MoreBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<MoreRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// Reads a body. `Err` names every broken rule with a JSON pointer, unknown fields included; it is never empty.
pub fn parse(body: &Value) -> Result<MoreRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let count = fields.number("count", Variants::new).value();
    let provider = fields.text("provider", ProviderName::new).value();
    let allow_fallback = fields.flag("allow_fallback").value();
    fields.finish()?;
    let defaults = MoreRequest::default();
    Ok(MoreRequest {
        count: count.unwrap_or(defaults.count),
        provider,
        allow_fallback: allow_fallback.unwrap_or(defaults.allow_fallback),
    })
}

impl PartialSchema for MoreBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(
                "What is to be written in addition; everything else is as it was asked for with the caption.",
            ))
            .property(
                "count",
                whole(
                    "How many more. Default 3. As many as there is room for, if that is fewer: a caption has at most 30.",
                    Variants::RANGE,
                ),
            )
            .property("provider", identifier("Ask this provider of the chain and no other."))
            .property(
                "allow_fallback",
                flag("Accept a local or template answer when the providers fail.", true),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for MoreBody {}

/// Variants that were written later, by one request: the next `count` of `variants` behind those of before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdditionDocument {
    /// The place of the first of them in `variants`, from 0.
    pub first: usize,
    /// How many.
    pub count: u8,
    #[schema(schema_with = crate::schema::source)]
    pub source: Source,
    /// The provider that wrote them, by its configured name.
    pub provider: String,
    /// The model that wrote them, as the provider names it.
    pub model: String,
    #[schema(schema_with = crate::schema::grade)]
    pub grade: String,
    /// Provider calls begun for them.
    pub attempts: u32,
    #[schema(schema_with = crate::schema::degraded)]
    pub degraded: Vec<Degraded>,
    #[schema(schema_with = crate::schema::warnings)]
    pub warnings: Vec<Warning>,
    #[schema(schema_with = crate::schema::usage, required)]
    pub usage: Option<Usage>,
    /// When they were written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl AdditionDocument {
    /// Those of a caption with so many variants.
    pub fn all(additions: &[Addition], variants: usize) -> Vec<Self> {
        let added: usize = additions.iter().map(|addition| usize::from(addition.count)).sum();
        let mut first = variants.saturating_sub(added);
        let document = |addition: &Addition| {
            let document = Self {
                first,
                count: addition.count,
                source: addition.source,
                provider: addition.provider.clone(),
                model: addition.model.clone(),
                grade: addition.grade.clone(),
                attempts: addition.attempts,
                degraded: addition.degraded.clone(),
                warnings: addition.warnings.clone(),
                usage: addition.usage,
                created_at: addition.created_at,
            };
            first += usize::from(addition.count);
            document
        };
        additions.iter().map(document).collect()
    }
}
