//! The wording of questions: texts with named holes, shipped with the program, which an operator may replace one by one.
//!
//! A template is text with `{{name}}` in it. The names are a closed list for each template; a text that is not fit is
//! refused before anything starts. What users wrote comes in at one place only, the fenced `{{brief}}` of a template for
//! the user role.

use std::{fmt, sync::Arc};

use super::VERSION;
use crate::choice::nearest;

/// Whose words a template becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The rules. No hole at all: what users wrote, and what was made of it, stays out.
    System,
    /// The question, with the fenced data.
    User,
    /// More of the question, behind it.
    Addition,
}

/// One template there is.
#[derive(Debug)]
struct Slot {
    /// Its file's name.
    file: &'static str,
    shipped: &'static str,
    role: Role,
    /// Without these a question would not say what must be said.
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// In code points.
    max_chars: usize,
}

const MAX_CHARS: usize = 8000;
const MAX_COMPACT_CHARS: usize = 1200;

/// Holes of every template that asks for captions.
const WISHES: &[&str] = &[
    "platform",
    "content_type",
    "tone",
    "style",
    "audience",
    "length",
    "emoji",
    "call_to_action",
    "hashtags",
    "angles",
    "count",
];

/// Holes of every template that asks for a change of a given caption.
const REWRITES: &[&str] = &["platform", "tone", "length", "fold", "no_emoji"];

/// Declares the templates: their names in code and what they are.
macro_rules! templates {
    ($($(#[$doc:meta])* $name:ident = $slot:expr),+ $(,)?) => {
        /// A template's name in code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Name { $($(#[$doc])* $name),+ }

        /// In the order of [`Name`].
        const SLOTS: &[Slot] = &[$($slot),+];
    };
}

templates! {
    /// The rules.
    System = Slot {
        file: "system.txt",
        shipped: include_str!("../../data/prompts/system.txt"),
        role: Role::System,
        required: &[],
        optional: &[],
        max_chars: MAX_CHARS,
    },
    /// Asks for several captions as JSON.
    Variants = Slot {
        file: "variants.txt",
        shipped: include_str!("../../data/prompts/variants.txt"),
        role: Role::User,
        required: &["brief", "count", "language", "angles", "form", "disclosure"],
        optional: WISHES,
        max_chars: MAX_CHARS,
    },
    /// Asks for the text of one caption.
    Plain = Slot {
        file: "plain.txt",
        shipped: include_str!("../../data/prompts/plain.txt"),
        role: Role::User,
        required: &["brief", "language", "disclosure"],
        optional: WISHES,
        max_chars: MAX_CHARS,
    },
    /// The rules for a small model.
    CompactSystem = Slot {
        file: "compact_system.txt",
        shipped: include_str!("../../data/prompts/compact_system.txt"),
        role: Role::System,
        required: &[],
        optional: &[],
        max_chars: MAX_COMPACT_CHARS,
    },
    /// Asks a small model for captions as JSON.
    CompactVariants = Slot {
        file: "compact_variants.txt",
        shipped: include_str!("../../data/prompts/compact_variants.txt"),
        role: Role::User,
        required: &["brief", "count", "language", "form", "disclosure"],
        optional: WISHES,
        max_chars: MAX_COMPACT_CHARS,
    },
    /// Asks a small model for the text of one caption.
    CompactPlain = Slot {
        file: "compact_plain.txt",
        shipped: include_str!("../../data/prompts/compact_plain.txt"),
        role: Role::User,
        required: &["brief", "language", "disclosure"],
        optional: WISHES,
        max_chars: MAX_COMPACT_CHARS,
    },
    /// Asks once more, with what was wrong.
    Again = Slot {
        file: "again.txt",
        shipped: include_str!("../../data/prompts/again.txt"),
        role: Role::Addition,
        required: &["problems"],
        optional: &[],
        max_chars: MAX_COMPACT_CHARS,
    },
    /// The rules for who changes a given caption.
    RewriteSystem = Slot {
        file: "rewrite_system.txt",
        shipped: include_str!("../../data/prompts/rewrite_system.txt"),
        role: Role::System,
        required: &[],
        optional: &[],
        max_chars: MAX_CHARS,
    },
    /// Asks for a shorter text.
    RewriteShorten = Slot {
        file: "rewrite_shorten.txt",
        shipped: include_str!("../../data/prompts/rewrite_shorten.txt"),
        role: Role::User,
        required: &["brief", "length", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for a longer text.
    RewriteExpand = Slot {
        file: "rewrite_expand.txt",
        shipped: include_str!("../../data/prompts/rewrite_expand.txt"),
        role: Role::User,
        required: &["brief", "length", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for a correction.
    RewriteFix = Slot {
        file: "rewrite_fix.txt",
        shipped: include_str!("../../data/prompts/rewrite_fix.txt"),
        role: Role::User,
        required: &["brief", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for another tone.
    RewriteTone = Slot {
        file: "rewrite_tone.txt",
        shipped: include_str!("../../data/prompts/rewrite_tone.txt"),
        role: Role::User,
        required: &["brief", "tone", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for plain words.
    RewriteDeCliche = Slot {
        file: "rewrite_decliche.txt",
        shipped: include_str!("../../data/prompts/rewrite_decliche.txt"),
        role: Role::User,
        required: &["brief", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for a translation.
    RewriteTranslate = Slot {
        file: "rewrite_translate.txt",
        shipped: include_str!("../../data/prompts/rewrite_translate.txt"),
        role: Role::User,
        required: &["brief", "language", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for a text that another platform takes.
    RewriteAdapt = Slot {
        file: "rewrite_adapt.txt",
        shipped: include_str!("../../data/prompts/rewrite_adapt.txt"),
        role: Role::User,
        required: &["brief", "platform", "length", "written_in", "disclosure"],
        optional: REWRITES,
        max_chars: MAX_CHARS,
    },
    /// Asks for a changed caption once more, with what was wrong.
    RewriteAgain = Slot {
        file: "rewrite_again.txt",
        shipped: include_str!("../../data/prompts/rewrite_again.txt"),
        role: Role::Addition,
        required: &["problems"],
        optional: &[],
        max_chars: MAX_COMPACT_CHARS,
    },
}

/// Why a text cannot be a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {what}{}", nearest.as_ref().map_or_else(String::new, |near| format!("; the nearest known one is {near}")))]
pub struct Unfit {
    /// The name of the template's file.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub what: String,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

/// The wording in use. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Templates {
    /// By [`Name`]; `None` where the shipped text counts.
    overridden: Option<Arc<[Option<String>]>>,
    /// Of the overridden texts; empty without any.
    digest: String,
}

impl Templates {
    /// The shipped ones, with these texts in place of those of the same file name.
    pub fn overridden_by<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Unfit> {
        let mut all = vec![None; SLOTS.len()];
        let mut hasher = blake3::Hasher::new();
        let mut is_shipped = true;
        for (file, text) in texts {
            let Some(index) = SLOTS.iter().position(|slot| slot.file == file) else {
                return Err(Unfit {
                    file: file.to_owned(),
                    line: 1,
                    what: "no template has this name".to_owned(),
                    nearest: nearest(file, SLOTS.iter().map(|slot| slot.file)).map(Into::into),
                });
            };
            let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
            check(&SLOTS[index], &text)?;
            all[index] = Some(text);
        }
        for (index, text) in all.iter().enumerate() {
            if let Some(text) = text {
                is_shipped = false;
                hasher.update(&(index as u64).to_le_bytes());
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        if is_shipped {
            return Ok(Self::default());
        }
        Ok(Self {
            overridden: Some(all.into()),
            digest: hasher.finalize().to_hex()[..16].to_owned(),
        })
    }

    /// What of the wording belongs into cache keys: the version of the program's part and a digest of the operator's.
    pub fn edition(&self) -> String {
        format!(
            "{VERSION}{}{}",
            if self.digest.is_empty() { "" } else { "+" },
            self.digest
        )
    }

    /// The files whose texts are the operator's.
    pub fn overridden(&self) -> Vec<&'static str> {
        let texts = self.overridden.iter().flat_map(|texts| texts.iter());
        SLOTS
            .iter()
            .zip(texts)
            .filter_map(|(slot, text)| text.as_ref().map(|_| slot.file))
            .collect()
    }

    /// Every template's file and shipped text.
    pub fn shipped() -> impl Iterator<Item = (&'static str, &'static str)> {
        SLOTS.iter().map(|slot| (slot.file, slot.shipped))
    }

    /// A template's text.
    pub(crate) fn text(&self, name: Name) -> &str {
        let index = name as usize;
        let own = self.overridden.as_ref().and_then(|texts| texts.get(index)?.as_deref());
        own.unwrap_or(SLOTS[index].shipped).trim_end()
    }

    /// A template with its holes filled. A line of nothing but a hole that stays empty is left out. What is filled in is
    /// not looked at again, so a `{{name}}` that a user wrote stays as it is.
    pub(crate) fn fill(&self, name: Name, values: &[(&str, &str)]) -> String {
        let text = self.text(name);
        let size = text.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>();
        let mut filled = String::with_capacity(size);
        for line in text.split('\n') {
            let start = filled.len();
            let mut has_hole = false;
            let mut rest = line;
            while let Some((before, name, after)) = next_hole(rest) {
                filled.push_str(before);
                let value = values.iter().find(|(known, _)| *known == name);
                filled.push_str(value.map_or("", |(_, value)| value));
                has_hole = true;
                rest = after;
            }
            filled.push_str(rest);
            if has_hole && filled[start..].trim().is_empty() {
                filled.truncate(start);
            } else {
                filled.push('\n');
            }
        }
        filled.truncate(filled.trim_end().len());
        filled
    }
}

/// Names only.
impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("overridden", &self.overridden())
            .finish()
    }
}

/// What stands before the next hole of a line, the hole's name, and what stands after it.
fn next_hole(line: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = line.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name.trim(), after))
}

fn check(slot: &Slot, text: &str) -> Result<(), Unfit> {
    let unfit = |line: usize, what: String, nearest: Option<String>| {
        Err(Unfit {
            file: slot.file.to_owned(),
            line,
            what,
            nearest,
        })
    };
    if text.trim().is_empty() {
        return unfit(1, "it is empty".to_owned(), None);
    }
    let known = || slot.required.iter().chain(slot.optional).copied();
    let mut found: Vec<&str> = Vec::new();
    let mut chars = 0;
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        chars += line.chars().count() + 1;
        if chars > slot.max_chars + 1 {
            let what = format!("it is longer than {} characters", slot.max_chars);
            return unfit(number, what, None);
        }
        if let Some(control) = line.chars().find(|c| c.is_control() && *c != '\t') {
            let what = format!("it holds the control character U+{:04X}", u32::from(control));
            return unfit(number, what, None);
        }
        let mut rest = line;
        while let Some((_, name, after)) = next_hole(rest) {
            rest = after;
            if slot.role == Role::System {
                let what = format!(
                    "{{{{{name}}}}}: what users write never stands in the system role; it takes no placeholder"
                );
                return unfit(number, what, None);
            }
            if !known().any(|known| known == name) {
                let near = nearest(name, known()).map(|near| format!("{{{{{near}}}}}"));
                return unfit(number, format!("there is no placeholder {{{{{name}}}}} here"), near);
            }
            if name == "brief" && line.trim() != "{{brief}}" {
                return unfit(number, "{{brief}} must stand on a line of its own".to_owned(), None);
            }
            if name == "brief" && found.contains(&name) {
                return unfit(number, "{{brief}} stands here a second time".to_owned(), None);
            }
            found.push(name);
        }
        if rest.contains("{{") {
            return unfit(number, "a {{ has no }} on its line".to_owned(), None);
        }
    }
    if let Some(missing) = slot.required.iter().find(|name| !found.contains(name)) {
        let what = format!("the placeholder {{{{{missing}}}}} is missing");
        return unfit(text.trim_end().split('\n').count(), what, None);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
