//! What a call asks, as a digest: the same for the same JSON, however it is spelled.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::request::UserId;

/// Up to here every whole number of a JSON reader that knows one kind of number is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What was asked: the digest of the body and of what else changes its meaning.
///
/// Of JSON it is the content: neither the order of fields nor spaces nor the spelling of texts and numbers count. A field
/// that is given twice counts twice. Anything else is its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Payload([u8; 32]);

impl Payload {
    /// The payload, and the user whom a JSON body names in the field `user_field`. Takes as long as reading the JSON does, and
    /// little memory beside it.
    pub fn of(content_type: &str, query: &str, body: &[u8], user_field: &str) -> (Self, Option<UserId>) {
        let kind = content_type.split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let mut user = None;
        let content = if kind == "application/json" {
            json(body, user_field, &mut user).ok()
        } else {
            None
        };
        let mut hasher = blake3::Hasher::new();
        let form = if content.is_some() { "json" } else { "bytes" };
        let content = content.unwrap_or_else(|| *blake3::hash(body).as_bytes());
        for part in [form.as_bytes(), kind.as_bytes(), query.as_bytes(), &content] {
            update(&mut hasher, part);
        }
        (
            Self(*hasher.finalize().as_bytes()),
            user.and_then(|id| UserId::new(&id).ok()),
        )
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn json(body: &[u8], field: &str, user: &mut Option<String>) -> Result<[u8; 32], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let digest = Node {
        user: Some((field, user)),
    }
    .deserialize(&mut reader)?;
    reader.end()?;
    Ok(digest)
}

fn update(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

/// The digest of a kind of value and its parts.
fn digest<'a>(kind: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, kind.as_bytes());
    for part in parts {
        update(&mut hasher, part);
    }
    *hasher.finalize().as_bytes()
}

/// A value that becomes its digest while it is read. Of the outermost one it is noted whom it names.
struct Node<'a> {
    user: Option<(&'a str, &'a mut Option<String>)>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = [u8; 32];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<[u8; 32], D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<[u8; 32], E> {
        Ok(digest("null", []))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<[u8; 32], E> {
        Ok(digest("bool", [[u8::from(value)].as_slice()]))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<[u8; 32], E> {
        Ok(digest("whole", [value.to_string().as_bytes()]))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<[u8; 32], E> {
        Ok(digest("whole", [value.to_string().as_bytes()]))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<[u8; 32], E> {
        // 1.0 and 1e0 are 1.
        if value.fract() == 0.0 && value.abs() < EXACT {
            // Plus nothing: of the two zeros it makes one.
            return Ok(digest("whole", [format!("{:.0}", value + 0.0).as_bytes()]));
        }
        Ok(digest("number", [value.to_bits().to_le_bytes().as_slice()]))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<[u8; 32], E> {
        Ok(digest("text", [value.as_bytes()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<[u8; 32], A::Error> {
        let mut hasher = blake3::Hasher::new();
        update(&mut hasher, b"list");
        while let Some(item) = list.next_element_seed(Node { user: None })? {
            update(&mut hasher, &item);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<[u8; 32], A::Error> {
        let mut fields: Vec<(String, [u8; 32])> = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = match &mut self.user {
                Some((field, user)) if name == *field => {
                    let value: Value = object.next_value()?;
                    **user = value.as_str().map(str::to_owned);
                    Node { user: None }.deserialize(value).map_err(A::Error::custom)?
                }
                _ => object.next_value_seed(Node { user: None })?,
            };
            fields.push((name, value));
        }
        // Fields of the same name stay in their order: which of them counts is not for us to say.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let parts = fields
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]);
        Ok(digest("object", parts))
    }
}
