//! The variant that somebody picked, on the wire.

use captions_domain::request::{Invalid, VariantIndex};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::{Fields, Given},
    schema::{or_null, whole},
};

/// Reads the body that picks a variant by its place, or gives the choice up (`null`).
pub fn parse(body: &Value) -> Result<Option<u8>, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let given = fields.number("selected_variant", VariantIndex::new);
    fields.finish()?;
    match given {
        Given::Set(place) => Ok(u8::try_from(place.get()).ok()),
        Given::Null => Ok(None),
        Given::Absent | Given::Broken => {
            let rule = "selected_variant is required, and nothing else of a caption can be changed";
            Err(vec![Invalid::new("required", rule).at("/selected_variant")])
        }
    }
}

/// Whether the caption has the variant.
pub fn check(selected: Option<u8>, variants: usize) -> Result<(), Invalid> {
    match selected {
        Some(place) if usize::from(place) >= variants => {
            let last = variants.saturating_sub(1);
            let rule = format!("selected_variant is 0 to {last}: the caption has no others");
            Err(Invalid::new("out_of_range", rule).nearest(last).at("/selected_variant"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The body that picks a variant, for the OpenAPI document; it is read by [`parse`].
pub enum SelectionBody {}

impl PartialSchema for SelectionBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("What may be changed of a stored caption."))
            .property(
                "selected_variant",
                or_null(whole(
                    "The variant that was picked, by its place in `variants`, from 0; null: none.",
                    VariantIndex::RANGE,
                )),
            )
            .required("selected_variant")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for SelectionBody {}
