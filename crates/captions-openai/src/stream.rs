//! An answer in pieces: from bytes to chunks, with exactly one end.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::Context,
    fault::LlmError,
    ports::{Chunk, ChunkStream},
    prompt::Prompt,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    Inner, Judged, Said,
    dialect::Dialect,
    failure::{Document, Failure},
    is_within_bounds,
    line::{Answer, corrupt},
    sse::Events,
    wire::{Finish, Piece},
};

/// How long to wait for the token counts after the text is complete: they are worth a moment, not an error.
const WAIT_FOR_USAGE: Duration = Duration::from_secs(1);
/// How long to wait for the end of the body after `[DONE]`, so that the connection can be used again.
const WAIT_FOR_END: Duration = Duration::from_millis(20);

/// The most that one event may have, in bytes: a hundred times what any has, and no bomb.
const MAX_EVENT: usize = 256 << 10;

const DONE: &[u8] = b"[DONE]";

/// The pieces of `first`; if the model only thinks in it, of a second answer.
pub(crate) fn pieces(
    inner: Arc<Inner>,
    cx: Context,
    prompt: Prompt,
    mut may_adapt: bool,
    first: (Answer, Dialect),
) -> ChunkStream {
    Box::pin(async_stream::stream! {
        let (mut answer, mut sent) = first;
        loop {
            let mut reading = Reading::new(answer);
            loop {
                match reading.next(&prompt).await {
                    Ok(Some(text)) => yield Ok(Chunk::Text(text)),
                    Ok(None) => break,
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                }
            }
            let next = match reading.said.judge(&reading.text, &prompt) {
                Ok(Judged::Usable) => {
                    reading.drain().await;
                    yield Ok(Chunk::End(reading.said.credit(&inner.description)));
                    return;
                }
                Ok(Judged::OnlyThoughts) => {
                    // Nothing was passed on yet, so the second answer may simply begin.
                    drop(reading);
                    match inner.without_thoughts(&cx, &sent, &mut may_adapt) {
                        Ok(()) => inner.ask(&cx, &prompt, true, &mut may_adapt).await,
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            };
            match next {
                Ok(again) => (answer, sent) = again,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
    })
}

/// One streamed answer in the course of being read.
struct Reading {
    answer: Answer,
    events: Option<Events>,
    /// Data of events that were read and not yet looked at.
    waiting: std::vec::IntoIter<Vec<u8>>,
    said: Said,
    /// All text that was passed on.
    text: String,
    characters: usize,
    any_event: bool,
    any_byte: bool,
    done: bool,
}

impl Reading {
    fn new(answer: Answer) -> Self {
        Self {
            said: Said::new(&answer),
            answer,
            events: Some(Events::default()),
            waiting: Vec::new().into_iter(),
            text: String::new(),
            characters: 0,
            any_event: false,
            any_byte: false,
            done: false,
        }
    }

    /// The next text, not empty; `None` once there is no more.
    async fn next(&mut self, prompt: &Prompt) -> Result<Option<String>, LlmError> {
        while !self.done {
            let text = if let Some(data) = self.waiting.next() {
                self.event(&data)?
            } else {
                self.read().await?
            };
            if !text.is_empty() {
                self.text.push_str(&text);
                self.characters += text.chars().count();
                is_within_bounds(self.characters, prompt)?;
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Reads on. Returns text only where an end sets some free.
    async fn read(&mut self) -> Result<String, LlmError> {
        if self.answer.is_document() {
            // Asked for a stream, it sent the whole: an error, or all of the text at once.
            self.done = true;
            let document = self.answer.document().await?;
            return self.said.document(&document, self.answer.wait());
        }
        let bytes = if self.said.finish.is_some() {
            // The text is complete. Whatever happens to the rest of the stream cannot make it worse.
            match timeout(WAIT_FOR_USAGE, self.answer.next()).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) | Err(_) => None,
            }
        } else {
            self.answer.next().await?
        };
        match (bytes, &mut self.events) {
            (Some(bytes), Some(events)) => {
                self.any_byte |= !bytes.is_empty();
                self.waiting = events.push(&bytes).into_iter();
                if events.held() > MAX_EVENT {
                    return Err(corrupt("an event is larger than 256 KiB"));
                }
                Ok(String::new())
            }
            _ => self.end(),
        }
    }

    fn end(&mut self) -> Result<String, LlmError> {
        let last = self.events.take().and_then(Events::finish);
        let mut text = match last {
            // Half an event is what a cut leaves behind; the missing end is found by the judge.
            Some(data) if is_whole(&data) => self.event(&data)?,
            Some(_) | None => String::new(),
        };
        self.done = true;
        if self.any_byte && !self.any_event {
            return Err(corrupt("the answer is no event stream"));
        }
        text.push_str(&self.said.thoughts.finish());
        Ok(text)
    }

    fn event(&mut self, data: &[u8]) -> Result<String, LlmError> {
        self.any_event = true;
        let data = data.trim_ascii();
        if data == DONE {
            self.waiting = Vec::new().into_iter();
            self.done = true;
            // An explicit end: a provider that gave no reason for it is believed here as it is in a document. Only a
            // stream that just stops was cut off.
            self.said.finish.get_or_insert(Finish::Stop);
            return Ok(self.said.thoughts.finish());
        }
        if data.is_empty() {
            return Ok(String::new());
        }
        let document: Value = serde_json::from_slice(data).map_err(|_| corrupt("an event is no JSON"))?;
        if let Some(told) = Document::within(&document) {
            return Err(Failure::told(told, None).error());
        }
        // Pings and other events of no meaning to us are no reason to give up.
        Ok(Piece::read(&document)
            .map(|piece| self.said.take(piece))
            .unwrap_or_default())
    }

    /// Reads what is left after the end, so that the connection goes back into the pool.
    async fn drain(&mut self) {
        let rest = async { while let Ok(Some(_)) = self.answer.next().await {} };
        let _late = timeout(WAIT_FOR_END, rest).await;
    }
}

fn is_whole(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    data == DONE || serde_json::from_slice::<Value>(data).is_ok()
}
