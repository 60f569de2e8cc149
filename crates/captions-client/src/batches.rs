//! Batches: many captions in one order, written when there is room.

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use captions_api::batch::{BatchDocument, BatchPage, ResultLine};
use futures_util::{Stream, TryStreamExt as _};
use reqwest::Method;
use serde::Serialize;
use uuid::Uuid;

use crate::{Client, Error, Reply, reply, retry::Again};

/// The longest wait for the end of a batch in one call, in seconds: less than the usual time for an attempt.
const MOST_WAIT: u64 = 45;
/// The longest line of results, in bytes, with what came in one piece with it.
const MAX_LINE: usize = 16 << 20;

/// A line of results.
#[derive(Debug, Clone)]
pub struct BatchLine {
    pub result: ResultLine,
    /// As the server wrote it, without its end.
    pub text: String,
}

impl Client {
    /// Orders a batch: `{"items": [{"custom_id": "monday", "content_description": "..."}]}`, and a `webhook` if wanted.
    pub async fn submit_batch(&self, body: &(impl Serialize + Sync)) -> Result<Reply<BatchDocument>, Error> {
        self.post(&["v1", "batches"], body).await
    }

    /// The same under a key of the caller's own: whoever sends it again, also in another process, gets the batch of the first
    /// time, for as long as the server remembers it (a day).
    pub async fn submit_batch_once(
        &self,
        body: &(impl Serialize + Sync),
        key: &str,
    ) -> Result<Reply<BatchDocument>, Error> {
        let ask = self.line.ask(Method::POST, &["v1", "batches"]).with(body)?;
        self.line.document(&ask.once(key)).await
    }

    /// How far a batch is. The server answers as soon as it is over, or after `wait` (45 s at most).
    pub async fn batch(&self, id: Uuid, wait: Duration) -> Result<Reply<BatchDocument>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "batches", &id.to_string()]);
        let ask = match wait.as_secs().min(MOST_WAIT) {
            0 => ask,
            seconds => ask.query("wait", &seconds.to_string()),
        };
        self.line.document(&ask).await
    }

    /// One page of batches, newest first; `cursor` is the `next_cursor` of the page before.
    pub async fn batches_page(&self, limit: u32, cursor: Option<&str>) -> Result<Reply<BatchPage>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "batches"]).page(limit, cursor);
        self.line.document(&ask).await
    }

    /// Stops a batch; items that are being written are written to their end.
    pub async fn cancel_batch(&self, id: Uuid) -> Result<Reply<BatchDocument>, Error> {
        let ask = self
            .line
            .ask(Method::POST, &["v1", "batches", &id.to_string(), "cancel"]);
        self.line.document(&ask).await
    }

    /// Has tried again what failed of a batch and may succeed later; what succeeded stays.
    pub async fn retry_batch(&self, id: Uuid) -> Result<Reply<BatchDocument>, Error> {
        let ask = self
            .line
            .ask(Method::POST, &["v1", "batches", &id.to_string(), "retry"]);
        self.line.document(&ask).await
    }

    /// The results of a batch that is over, in the order of its items. A connection that breaks is taken up again behind
    /// the last line; the first other failure is the last item.
    pub fn batch_results(&self, id: Uuid) -> impl Stream<Item = Result<ResultLine, Error>> + Send + use<> {
        self.batch_lines(id, None, false).map_ok(|line| line.result)
    }

    /// The same, line by line as the server wrote them, behind the line of index `after`. With `partial` also of a batch that
    /// is not over, up to the first item without an outcome; where there is nothing yet, that is `batch_not_ready`.
    pub fn batch_lines(
        &self,
        id: Uuid,
        after: Option<u32>,
        partial: bool,
    ) -> impl Stream<Item = Result<BatchLine, Error>> + Send + use<> {
        let line = Arc::clone(&self.line);
        try_stream! {
            let id = id.to_string();
            let (mut last, mut breaks): (Option<u32>, u32) = (after, 0);
            loop {
                let mut ask = line.ask(Method::GET, &["v1", "batches", &id, "results"]);
                if partial {
                    ask = ask.query("partial", "true");
                }
                if let Some(last) = last {
                    ask = ask.query("after", &last.to_string());
                }
                let mut response = line.lines(&ask).await?;
                let (status, headers) = (response.status(), response.headers().clone());
                let mut held = Vec::new();
                let why = loop {
                    let piece = match tokio::time::timeout(line.silence, response.chunk()).await {
                        Ok(Ok(Some(piece))) => piece,
                        Ok(Ok(None)) if held.iter().all(u8::is_ascii_whitespace) => return,
                        Ok(Ok(None)) => break Error::Broken("the lines ended in the middle of one".into()),
                        Ok(Err(error)) => break Error::Broken(error.without_url().into()),
                        Err(_) => break Error::TimedOut(line.silence),
                    };
                    held.extend_from_slice(&piece);
                    if held.len() > MAX_LINE {
                        Err(Error::Broken("the server sends a line without end".into()))?;
                    }
                    while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                        let whole: Vec<u8> = held.drain(..=end).collect();
                        let result: ResultLine = reply::read(status, headers.clone(), &whole)?.document;
                        last = Some(result.index);
                        let text = String::from_utf8_lossy(&whole).trim_end().to_owned();
                        yield BatchLine { result, text };
                    }
                };
                let Some(wait) = line.patience.wait(Again::After(None), breaks) else {
                    Err(why)?;
                    return;
                };
                tokio::time::sleep(wait).await;
                breaks += 1;
            }
        }
    }
}
