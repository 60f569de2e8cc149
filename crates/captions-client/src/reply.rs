//! An answer, read so that a newer server does no harm: fields that this version does not know are passed over, and
//! values of its lists of words that it does not know are left out and told.

use reqwest::{StatusCode, header::HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::Error;

/// The most values that are left out of one document.
const MOST_UNKNOWN: usize = 100;

/// A document and what came with it.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    pub document: T,
    /// Such as 201 for a caption that was written for this call.
    pub status: u16,
    /// JSON pointers to values that a newer server knows and this client does not. They are not in the document; places in
    /// a list count without those that were left out before.
    pub unknown: Vec<String>,
    pub(crate) headers: HeaderMap,
}

impl<T> Reply<T> {
    /// The request's name in the server's logs.
    pub fn request_id(&self) -> Option<&str> {
        self.header("x-request-id")
    }

    /// The version of what was read, for `If-Match`.
    pub fn etag(&self) -> Option<&str> {
        self.header("etag")
    }

    /// Any header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Reads a document of status 2xx.
pub(crate) fn read<T: DeserializeOwned>(
    status: StatusCode,
    headers: HeaderMap,
    body: &[u8],
) -> Result<Reply<T>, Error> {
    let unreadable = |what: String, document: Option<Value>| Error::Unreadable {
        status: status.as_u16(),
        request_id: request_id(&headers),
        what,
        document,
    };
    let given = match body {
        // 204, for those who want nothing.
        [] => Value::Null,
        body => serde_json::from_slice(body).map_err(|error| unreadable(format!("it is no JSON: {error}"), None))?,
    };
    let mut value = given.clone();
    let mut unknown: Vec<Vec<String>> = Vec::new();
    let document = loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(document) => break document,
            Err(error) => error,
        };
        let words = error.inner().to_string();
        let removed = if unknown.len() == MOST_UNKNOWN {
            None
        } else {
            remove(&mut value, error.path(), &words, &unknown)
        };
        match removed {
            Some(path) => {
                unknown.retain(|gone| !gone.starts_with(&path));
                unknown.push(path);
            }
            None => return Err(unreadable(format!("{}: {words}", error.path()), Some(given))),
        }
    };
    Ok(Reply {
        document,
        status: status.as_u16(),
        unknown: unknown.iter().map(|path| pointer(path)).collect(),
        headers,
    })
}

/// Takes out what could not be read: a word that this version does not know; or, if what held it cannot do without, the
/// element of the list that it stood in. `None` if it is something else that is wrong.
fn remove(value: &mut Value, path: &Path, words: &str, unknown: &[Vec<String>]) -> Option<Vec<String>> {
    let mut path = names(path)?;
    if words.starts_with("missing field") {
        // Only where we took it out ourselves.
        let is_ours = |gone: &Vec<String>| gone.len() > path.len() && gone.starts_with(&path);
        unknown.iter().any(is_ours).then_some(())?;
        while !path.last()?.bytes().all(|byte| byte.is_ascii_digit()) {
            path.pop();
        }
    } else if !words.starts_with("unknown") {
        return None;
    }
    let (last, parents) = path.split_last()?;
    match value.pointer_mut(&pointer(parents))? {
        Value::Object(fields) => fields.remove(last).map(drop),
        Value::Array(items) => {
            let index: usize = last.parse().ok()?;
            (index < items.len()).then(|| drop(items.remove(index)))
        }
        _ => None,
    }?;
    Some(path)
}

fn pointer(path: &[String]) -> String {
    path.iter().fold(String::new(), |pointer, name| {
        pointer + "/" + &name.replace('~', "~0").replace('/', "~1")
    })
}

fn names(path: &Path) -> Option<Vec<String>> {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("x-request-id")?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests;
