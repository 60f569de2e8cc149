//! Captions that are written ahead: a list of requests, answered once at the start, so that the first who asks finds them.

use std::{io, path::Path, sync::Arc};

use captions_api::generate;
use captions_domain::{
    caption::Source,
    context::{Class, Context},
    engine::Engine,
    request::CaptionRequest,
};

/// A larger list is not read, in bytes.
const LARGEST_LIST: u64 = 16 << 20;

/// Answers every line of the file, one after another, each with a context of its own by `context`, which is given the
/// request's name. Whatever goes wrong costs that line alone and is logged once.
///
/// Nobody has asked for these captions yet. So they wait behind those that somebody did ask for, nothing but the chain
/// writes them, and none of them enters a history before its first reader wants it there.
pub(crate) async fn run(engine: &Engine, context: impl Fn(Arc<str>) -> Context, list: &Path) {
    let text = match read(list).await {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(list = %list.display(), %error, "the warm-up list cannot be read; nothing is written ahead");
            return;
        }
    };
    let (mut written, mut found, mut failed) = (0, 0, 0);
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let Some(request) = request(line, number) else {
            failed += 1;
            continue;
        };
        let cx = Context {
            class: Class::Batch,
            ..context(format!("warm-up-{number}").into())
        };
        match engine.generate(&cx, &request).await {
            Ok(answer) if answer.source == Source::Cache => found += 1,
            Ok(_) => written += 1,
            Err(error) => {
                failed += 1;
                tracing::warn!(line = number, %error, "a caption of the warm-up list was not written");
            }
        }
    }
    tracing::info!(written, found, failed, "the warm-up list is done");
}

async fn read(list: &Path) -> io::Result<String> {
    let bytes = tokio::fs::metadata(list).await?.len();
    if bytes > LARGEST_LIST {
        return Err(io::Error::other(format!(
            "it has {bytes} bytes, more than {LARGEST_LIST}"
        )));
    }
    tokio::fs::read_to_string(list).await
}

/// The request of a line. What is logged of a broken one is where and why, not what it says.
fn request(line: &str, number: usize) -> Option<CaptionRequest> {
    let Ok(body) = serde_json::from_str(line) else {
        tracing::warn!(line = number, "a line of the warm-up list is not JSON");
        return None;
    };
    match generate::parse(&body) {
        Ok(request) => Some(CaptionRequest {
            store: false,
            allow_fallback: false,
            ..request
        }),
        Err(broken) => {
            let first = broken.first();
            tracing::warn!(
                line = number,
                pointer = first.map(|invalid| invalid.pointer.as_str()),
                code = first.map(|invalid| invalid.code),
                "a line of the warm-up list is not a caption request"
            );
            None
        }
    }
}
