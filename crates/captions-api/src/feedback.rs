//! What became of a caption, on the wire.

use captions_domain::{
    caption::{Feedback, Verdict},
    request::{FinalText, Invalid, Rating, VariantIndex},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    schema::{one_of, or_null, text, whole},
};

/// What the user did with a caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackDocument {
    #[schema(schema_with = verdict_schema)]
    pub verdict: Verdict,
    /// 1 (bad) to 5 (good).
    #[schema(required)]
    pub rating: Option<u8>,
    /// The text that was published, where it was edited.
    #[schema(required)]
    pub final_text: Option<String>,
    /// The variant that it is about, by its place in `variants`, from 0; null is the best one, or all of them if they
    /// were rejected.
    #[schema(required)]
    pub variant: Option<u8>,
    #[serde(with = "time::serde::rfc3339")]
    pub given_at: OffsetDateTime,
}

impl From<&Feedback> for FeedbackDocument {
    fn from(feedback: &Feedback) -> Self {
        Self {
            verdict: feedback.verdict,
            rating: feedback.rating,
            final_text: feedback.final_text.clone(),
            variant: feedback.variant,
            given_at: feedback.given_at,
        }
    }
}

/// Reads the body that tells what became of a caption, `now`. `Err` names every broken rule.
pub fn parse(body: &serde_json::Value, now: OffsetDateTime) -> Result<Feedback, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let verdict = fields.text("verdict", str::parse::<Verdict>);
    let verdict = fields.require("verdict", verdict);
    let rating = fields.number("rating", Rating::new).value();
    let final_text = fields.text("final_text", FinalText::new).value();
    let variant = fields.number("variant", VariantIndex::new).value();
    if final_text.is_some() && verdict.is_some_and(|verdict| verdict != Verdict::Edited) {
        let rule = "final_text is the text of an edited caption; the verdict is another one";
        fields.refuse("final_text", Invalid::new("contradiction", rule));
    }
    fields.finish()?;
    let Some(verdict) = verdict else {
        return Err(vec![Invalid::new("required", "verdict is required").at("/verdict")]);
    };
    Ok(Feedback {
        verdict,
        rating: rating.and_then(|rating| u8::try_from(rating.get()).ok()),
        final_text: final_text.map(Into::into),
        variant: variant.and_then(|variant| u8::try_from(variant.get()).ok()),
        given_at: now,
    })
}

/// Whether the caption has the variant that the feedback is about.
pub fn check_variant(feedback: &Feedback, variants: usize) -> Result<(), Invalid> {
    match feedback.variant {
        Some(variant) if usize::from(variant) >= variants => {
            let last = variants.saturating_sub(1);
            let rule = format!("variant is 0 to {last}: the caption has no others");
            Err(Invalid::new("out_of_range", rule).nearest(last).at("/variant"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The body of the feedback, for the OpenAPI document; it is read by [`parse`].
pub enum FeedbackBody {}

impl PartialSchema for FeedbackBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("What the user did with a caption."))
            .property("verdict", one_of("What was done with it.", Verdict::NAMES.iter().copied()))
            .required("verdict")
            .property("rating", or_null(whole("1 (bad) to 5 (good).", Rating::RANGE)))
            .property(
                "final_text",
                or_null(text("The text that was published, of an edited caption.", 1, 63_206)),
            )
            .property(
                "variant",
                or_null(whole(
                    "The variant that it is about, by its place in `variants`, from 0; else the best one, or all of them if they were rejected.",
                    VariantIndex::RANGE,
                )),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for FeedbackBody {}

fn verdict_schema() -> RefOr<Schema> {
    one_of("What was done with it.", Verdict::NAMES.iter().copied()).into()
}

#[cfg(test)]
mod tests;
