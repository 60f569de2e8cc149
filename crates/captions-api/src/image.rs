//! A picture on the wire: `{"url": "https://..."}` or `{"data": "<base64>", "media_type": "image/jpeg"}`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use captions_domain::{
    image::{Image, MAX_BYTES, MAX_URL, MediaType},
    request::Invalid,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{ObjectBuilder, Schema, schema::AdditionalProperties};

use crate::{
    fields::Fields,
    schema::{choice, string},
};

/// The most characters of `data`: [`MAX_BYTES`] in base64.
pub const MAX_DATA: usize = MAX_BYTES.div_ceil(3) * 4;

/// What a client sends.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ImageBody {
    pub url: Option<String>,
    pub data: Option<String>,
    pub media_type: Option<String>,
}

impl ImageBody {
    /// A picture under an address, which whoever looks at it fetches.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// A picture's bytes; what they are is seen by themselves.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            data: Some(STANDARD.encode(bytes)),
            ..Self::default()
        }
    }
}

/// Reads a picture that stands at the pointer `base`.
pub(crate) fn read(value: &Value, base: &str) -> Result<Image, Vec<Invalid>> {
    let mut fields = Fields::of(value, base).map_err(|broken| vec![broken])?;
    let url = fields.text("url", Image::at).value();
    let data = fields.text("data", decoded).value();
    let media_type = fields.text("media_type", str::parse::<MediaType>).value();
    let is_given = |name: &str| value.get(name).is_some_and(|value| !value.is_null());
    let given = (is_given("url"), is_given("data"));
    fields.finish()?;
    let contradiction = |rule: &str| Err(vec![Invalid::new("contradiction", rule).at(base)]);
    match (url, data) {
        (Some(_), None) if media_type.is_some() => {
            contradiction("media_type goes with data; what an address gives is seen there")
        }
        (Some(image), None) => Ok(image),
        (None, Some(bytes)) => {
            Image::of(bytes.into(), media_type).map_err(|broken| vec![broken.at(format!("{base}/data"))])
        }
        _ if given == (true, true) => contradiction("a picture has url or data, not both"),
        _ => Err(vec![Invalid::new("required", "a picture has url or data").at(base)]),
    }
}

fn decoded(data: &str) -> Result<Vec<u8>, Invalid> {
    if data.len() > MAX_DATA {
        return Err(Invalid::new(
            "too_large",
            format!("a picture has at most {MAX_BYTES} bytes"),
        ));
    }
    STANDARD
        .decode(data)
        .map_err(|_| Invalid::new("bad_format", "data is base64 with padding and without line breaks"))
}

/// True if what is wrong is that a picture has too many bytes.
pub fn is_too_large(broken: &Invalid) -> bool {
    broken.code == "too_large"
}

/// The schema of the field.
pub(crate) fn schema() -> Schema {
    ObjectBuilder::new()
        .description(Some("A picture of the post, for providers that look at pictures; url or data. It is handed on and never fetched, stored or logged."))
        .property(
            "url",
            Schema::from(
                string("A public https address. The provider fetches it; this server does not.")
                    .pattern(Some("^https://"))
                    .max_length(Some(MAX_URL)),
            ),
        )
        .property(
            "data",
            Schema::from(string("The bytes in base64, at most 8 MiB of them: JPEG, PNG, WebP or GIF.").max_length(Some(MAX_DATA))),
        )
        .property(
            "media_type",
            choice("What data is; left out, its first bytes tell.", &MediaType::NAMES, MediaType::Jpeg.as_str()),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const JPEG: &str = "/9j/4A==";

    #[rstest]
    #[case::url(json!({"url": "https://example.com/a.jpg"}))]
    #[case::data(json!({"data": JPEG}))]
    #[case::declared(json!({"data": JPEG, "media_type": "image/jpeg", "url": null}))]
    fn a_picture_is_an_address_or_bytes(#[case] value: Value) {
        assert!(read(&value, "/image").is_ok(), "{:?}", read(&value, "/image"));
    }

    #[rstest]
    #[case::neither(json!({}), "/image", "required")]
    #[case::both(json!({"url": "https://example.com/a.jpg", "data": JPEG}), "/image", "contradiction")]
    #[case::type_of_an_address(json!({"url": "https://example.com/a.jpg", "media_type": "image/png"}), "/image", "contradiction")]
    #[case::private(json!({"url": "https://10.0.0.1/a.jpg"}), "/image/url", "not_allowed")]
    #[case::http(json!({"url": "http://example.com/a.jpg"}), "/image/url", "bad_format")]
    #[case::no_base64(json!({"data": "???"}), "/image/data", "bad_format")]
    #[case::no_picture(json!({"data": "aGVsbG8="}), "/image/data", "bad_format")]
    #[case::other_type(json!({"data": JPEG, "media_type": "image/png"}), "/image/data", "bad_format")]
    #[case::unknown_type(json!({"data": JPEG, "media_type": "image/tiff"}), "/image/media_type", "unknown_choice")]
    #[case::unknown_field(json!({"data": JPEG, "width": 5}), "/image/width", "unknown_field")]
    #[case::text(json!("https://example.com/a.jpg"), "/image", "wrong_type")]
    fn anything_else_is_named(#[case] value: Value, #[case] pointer: &str, #[case] code: &str) {
        let broken = read(&value, "/image").unwrap_err();

        assert_eq!(
            (broken[0].pointer.as_str(), broken[0].code),
            (pointer, code),
            "{broken:?}"
        );
    }

    #[test]
    fn the_limit_is_that_of_the_bytes() {
        let of = |length: usize| {
            let mut bytes = vec![0_u8; length];
            bytes[..3].copy_from_slice(&[0xFF, 0xD8, 0xFF]);
            let body = serde_json::to_value(ImageBody::of(&bytes)).unwrap();
            read(&body, "/image")
        };

        assert!(of(MAX_BYTES).is_ok());
        for length in [MAX_BYTES + 1, MAX_BYTES + 1000] {
            let broken = of(length).unwrap_err();
            assert!(
                is_too_large(&broken[0]) && broken[0].pointer == "/image/data",
                "{broken:?}"
            );
        }
    }
}
