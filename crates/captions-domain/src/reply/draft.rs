//! One caption as a writer proposed it, and how its parts become one text.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One caption as the writer proposed it, unchecked.
///
/// The parts beside the text are read leniently: a tag or an alt text of the wrong type is left out, and costs no caption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The approach that sets it apart, in a word or two.
    #[serde(default)]
    pub angle: String,
    /// The first sentence.
    #[serde(default)]
    pub hook: String,
    /// The rest.
    #[serde(default)]
    pub body: String,
    /// The call to action.
    #[serde(default)]
    pub cta: Option<String>,
    /// Proposed tags, with or without `#`.
    #[serde(default, deserialize_with = "each_that_fits", skip_serializing_if = "Vec::is_empty")]
    pub hashtags: Vec<ProposedTag>,
    /// What the picture shows, for those who cannot see it.
    #[serde(default, deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub alt_text: Option<String>,
    /// What it took to read it, in words; not part of the answer.
    #[serde(skip)]
    pub repairs: Vec<&'static str>,
}

/// A hashtag as a writer proposes it: in JSON a string, or an object that says more of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TagForm")]
pub struct ProposedTag {
    /// With or without `#`.
    pub tag: String,
    /// How specific the writer takes it to be: `niche`, `mid` or `broad`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The words of the brief that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl From<&str> for ProposedTag {
    fn from(tag: &str) -> Self {
        Self {
            tag: tag.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TagForm {
    Text(String),
    Object {
        tag: String,
        #[serde(default, deserialize_with = "text_or_none")]
        tier: Option<String>,
        #[serde(default, deserialize_with = "text_or_none")]
        source: Option<String>,
    },
}

impl From<TagForm> for ProposedTag {
    fn from(form: TagForm) -> Self {
        match form {
            TagForm::Text(tag) => tag.as_str().into(),
            TagForm::Object { tag, tier, source } => Self { tag, tier, source },
        }
    }
}

fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    })
}

fn each_that_fits<'de, D: Deserializer<'de>, T: for<'a> Deserialize<'a>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(listed) => listed
            .into_iter()
            .filter_map(|one| serde_json::from_value(one).ok())
            .collect(),
        _ => Vec::new(),
    })
}

impl Draft {
    /// A draft of nothing but text.
    pub fn plain(text: &str) -> Self {
        Self {
            body: text.trim().to_owned(),
            ..Self::default()
        }
    }

    /// Hook, body and call to action as one text. A body that repeats the hook replaces it.
    pub fn text(&self) -> String {
        let (hook, body) = (self.hook.trim(), self.body.trim());
        let mut text = String::with_capacity(hook.len() + body.len() + 2);
        if !body.starts_with(hook) {
            text.push_str(hook);
        }
        if !text.is_empty() && !body.is_empty() {
            text.push_str(if body.chars().count() > 120 { "\n\n" } else { " " });
        }
        text.push_str(body);
        if let Some(cta) = self.cta.as_deref().map(str::trim)
            && !cta.is_empty()
            && !text.contains(cta)
        {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(cta);
        }
        text
    }
}

#[cfg(test)]
mod tests;
