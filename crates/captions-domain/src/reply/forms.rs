//! From whatever JSON a model wrote to drafts: wrapped once more than asked for, under other names, with other types.
//!
//! Only an object that was read to its end is a draft: what is cut off in the middle may lack half of its text. Only
//! objects that have the text of a caption are drafts: the tags or claims of a broken answer are none.

use serde_json::{Map, Value};

use super::{
    draft::Draft,
    json::{self, Node},
};

/// The most drafts of one answer.
const MOST_DRAFTS: usize = 40;
/// So many places are looked at in vain; each costs a reading of the rest.
const MOST_IN_VAIN: usize = 12;
/// Wrappers around wrappers.
const DEEPEST: usize = 6;

/// Names, in lower case without signs, under which a part of a draft is found; the one asked for comes first.
const ANGLE: &[&str] = &["angle", "approach"];
const HOOK: &[&str] = &["hook", "headline", "opening", "firstline", "firstsentence"];
const BODY: &[&str] = &["body", "caption", "rest", "content"];
const CTA: &[&str] = &["cta", "calltoaction"];
const HASHTAGS: &[&str] = &["hashtags", "tags"];
const ALT_TEXT: &[&str] = &["alttext", "alt"];
/// Lists of captions: in one of these, a bare text is a caption.
const LISTS: &[&str] = &["variants", "captions", "drafts", "options", "posts"];

/// What stands in quotes in our form, or stood there once, and never in a caption.
const FORM: &[&str] = &[
    "variants", "angle", "hook", "body", "cta", "hashtags", "alt_text", "claims",
];

/// The drafts of an answer, in order; empty if it holds none.
pub(super) fn drafts(text: &str) -> Vec<Draft> {
    let found = search(text, 0);
    if !found.is_empty() {
        return found;
    }
    // Written as the text inside of something else: of a page, or of another JSON.
    if text.contains("&quot;") || text.contains("&#34;") {
        let found = search(&text.replace("&quot;", "\"").replace("&#34;", "\""), 0);
        if !found.is_empty() {
            return found;
        }
    }
    if text.contains("\\\"") {
        return search(
            &text
                .replace("\\\\", "\u{0}")
                .replace("\\\"", "\"")
                .replace('\u{0}', "\\"),
            0,
        );
    }
    Vec::new()
}

/// True if the text holds a piece of our form: then it is no caption.
pub(crate) fn holds_form(text: &str) -> bool {
    FORM.iter().any(|name| {
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = &text[at + name.len()..];
            before.is_some_and(is_quote)
                && after.starts_with(is_quote)
                && after
                    .trim_start_matches(|c| is_quote(c) || c == '\\' || c == ' ')
                    .starts_with([':', '：'])
        })
    })
}

/// False if the text holds no piece of our form, whatever its markup stands for: two quotes and a colon are wanted, or
/// entities that may be some.
pub(super) fn may_hold_form(text: &str) -> bool {
    text.contains('&') || (text.contains([':', '：']) && text.chars().filter(|c| is_quote(*c)).nth(1).is_some())
}

const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '`' | '\\' | '＂')
}

fn search(text: &str, depth: usize) -> Vec<Draft> {
    let mut found: Vec<Draft> = Vec::new();
    let (mut at, mut in_vain) = (0, 0);
    while found.len() < MOST_DRAFTS && in_vain < MOST_IN_VAIN {
        let Some(start) = text[at..].find(['{', '[']).map(|offset| at + offset) else {
            break;
        };
        let Some(read) = json::read(&text[start..]) else { break };
        let mut drafts = Vec::new();
        collect(read.node, false, depth, &mut drafts);
        if drafts.is_empty() {
            in_vain += 1;
            at = start + 1;
            // What stands inside of an answer that is cut off belongs to what is not whole.
            if read.is_cut {
                break;
            }
            continue;
        }
        at = start + read.end;
        let how = if read.is_cut {
            Some("kept the whole captions of an answer that was cut off")
        } else if read.is_mended {
            Some("read from an answer that was not quite JSON")
        } else {
            None
        };
        for draft in &mut drafts {
            draft.repairs.extend(how);
        }
        found.append(&mut drafts);
    }
    found.truncate(MOST_DRAFTS);
    found
}

/// `is_listed`: inside of a list of captions.
fn collect(node: Node, is_listed: bool, depth: usize, drafts: &mut Vec<Draft>) {
    if depth > DEEPEST || drafts.len() >= MOST_DRAFTS {
        return;
    }
    match node {
        Node::List(items) => {
            for item in items {
                collect(item, is_listed, depth + 1, drafts);
            }
        }
        Node::Object { fields, is_whole } => {
            let is_text = |node: &Node| matches!(node, Node::Text(_) | Node::List(_));
            let has = |names: &[&str]| {
                fields.iter().any(|(name, node)| {
                    names.contains(&plain(name).as_str())
                        && is_text(node)
                        && !matches!(node, Node::List(items) if items.iter().any(|item| !matches!(item, Node::Text(_))))
                })
            };
            // A turn of a conversation.
            if fields.iter().any(|(name, _)| plain(name) == "role") {
                return;
            }
            if has(HOOK) || has(BODY) || (is_listed && has(&["text"])) {
                if is_whole {
                    drafts.extend(draft(fields, is_listed));
                }
                return;
            }
            for (name, value) in fields {
                let is_list = LISTS.contains(&plain(&name).as_str());
                match value {
                    Node::Text(text) if is_list && text.trim_start().starts_with(['{', '[']) => {
                        drafts.append(&mut search(&text, depth + 1));
                    }
                    value @ (Node::List(_) | Node::Object { .. }) => collect(value, is_list, depth + 1, drafts),
                    _ => {}
                }
            }
        }
        // A list of captions without parts. One word is a tag.
        Node::Text(text) if is_listed && text.trim().contains(char::is_whitespace) => drafts.push(Draft::plain(&text)),
        Node::Text(_) | Node::Nothing | Node::Truth(_) | Node::Number(_) => {}
    }
}

fn draft(fields: Vec<(String, Node)>, is_listed: bool) -> Option<Draft> {
    // Of a name that occurs twice, the last that says something counts.
    let part = |names: &[&str]| {
        names.iter().find_map(|wanted| {
            let same = fields.iter().rev().filter(|(name, _)| plain(name) == *wanted);
            same.map(|(_, node)| node).find(|node| says_something(node))
        })
    };
    let body = part(BODY).or_else(|| part(&["text"]).filter(|_| is_listed));
    let mut canonical = Map::new();
    for (name, node) in [
        ("angle", part(ANGLE)),
        ("hook", part(HOOK)),
        ("body", body),
        ("cta", part(CTA)),
    ] {
        if let Some(text) = node.and_then(text_of) {
            canonical.insert(name.into(), text.into());
        }
    }
    if let Some(tags) = part(HASHTAGS) {
        canonical.insert("hashtags".into(), tags_of(tags));
    }
    if let Some(alt) = part(ALT_TEXT) {
        canonical.insert("alt_text".into(), value_of(alt));
    }
    let draft: Draft = serde_json::from_value(Value::Object(canonical)).ok()?;
    (!draft.text().is_empty()).then_some(draft)
}

/// A field's name without case and signs: `callToAction` and `call_to_action` are one.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn says_something(node: &Node) -> bool {
    match node {
        Node::Nothing => false,
        Node::Text(text) => !text.trim().is_empty() && !matches!(text.trim(), "null" | "None" | "N/A" | "n/a"),
        Node::List(items) => items.iter().any(says_something),
        Node::Truth(_) | Node::Number(_) | Node::Object { .. } => true,
    }
}

/// A text, a number as text, or the lines of a list.
fn text_of(node: &Node) -> Option<String> {
    match node {
        Node::Text(text) | Node::Number(text) => Some(text.clone()),
        Node::List(items) => Some(items.iter().filter_map(text_of).collect::<Vec<_>>().join("\n")),
        Node::Nothing | Node::Truth(_) | Node::Object { .. } => None,
    }
}

/// Tags as a list, also where they are one text.
fn tags_of(node: &Node) -> Value {
    let split = |text: &str| -> Vec<Value> {
        let marks = text.matches(['#', '＃']).count();
        if marks > 1 || text.contains(',') {
            text.split(|c: char| c == ',' || (marks > 1 && c.is_whitespace()))
                .map(str::trim)
                .filter(|tag| !tag.is_empty())
                .map(Value::from)
                .collect()
        } else {
            vec![text.into()]
        }
    };
    match node {
        Node::Text(text) => split(text).into(),
        Node::List(items) => items
            .iter()
            .flat_map(|item| match item {
                Node::Text(text) => split(text),
                Node::Number(number) => vec![number.as_str().into()],
                other => vec![value_of(other)],
            })
            .collect(),
        other => value_of(other),
    }
}

fn value_of(node: &Node) -> Value {
    match node {
        Node::Nothing => Value::Null,
        Node::Truth(truth) => (*truth).into(),
        Node::Number(text) | Node::Text(text) => text.as_str().into(),
        Node::List(items) => items.iter().map(value_of).collect(),
        Node::Object { fields, .. } => fields
            .iter()
            .map(|(name, node)| (name.clone(), value_of(node)))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
