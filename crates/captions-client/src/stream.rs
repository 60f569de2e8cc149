//! A caption while it is written.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_stream::try_stream;
use bytes::Bytes;
use captions_api::{caption::CaptionDocument, problem::Problem, stream::StreamEvent};
use eventsource_stream::{Event as Frame, EventStreamError, Eventsource as _};
use futures_util::{Stream, StreamExt as _};
use reqwest::{Response, StatusCode, header::HeaderMap};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Error,
    call::{Ask, Line},
    error::{Cause, Refusal},
    reply,
    retry::Again,
};

/// The most of one connection's events that is read, in bytes; a caption with all its variants is a hundredth of it.
const MAX_STREAM: usize = 64 << 20;

/// The code of a stream that was taken up and that the server cannot go on with.
const CUT: &str = "stream_cut";

/// The code of a withdrawal that the client makes itself: the connection was lost, and the server tells all anew.
pub const STARTED_ANEW: &str = "started_anew";

/// The events of one caption: created, then deltas and withdrawals, and at last the completed document or the error.
///
/// A connection that breaks is taken up again where it was cut off, as often as the options say. Where the server cannot
/// go on from there, what was shown is withdrawn with the code [`STARTED_ANEW`]. Dropping the stream closes the
/// connection, and the server stops writing.
pub struct CaptionStream {
    events: Pin<Box<dyn Stream<Item = Result<StreamEvent, Error>> + Send>>,
    request_id: Option<String>,
}

impl CaptionStream {
    pub(crate) fn new(line: Arc<Line>, ask: Ask, response: Response) -> Self {
        let request_id = reply::request_id(response.headers());
        Self {
            events: Box::pin(follow(line, ask, response)),
            request_id,
        }
    }

    /// The request's name in the server's logs.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Passes over all that comes before the document.
    pub async fn completed(mut self) -> Result<CaptionDocument, Error> {
        while let Some(event) = self.next().await {
            if let StreamEvent::Completed(document) = event? {
                return Ok(*document);
            }
        }
        // The stream has given its one last event before, to whoever asked for it.
        Err(Error::Broken("the stream was read to its end before".into()))
    }
}

impl Stream for CaptionStream {
    type Item = Result<StreamEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for CaptionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptionStream")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

fn follow(line: Arc<Line>, ask: Ask, mut response: Response) -> impl Stream<Item = Result<StreamEvent, Error>> + Send {
    try_stream! {
        let mut last: Option<String> = None;
        let (mut has_begun, mut shown, mut breaks) = (false, None, 0);
        loop {
            let headers = response.headers().clone();
            let mut frames = Box::pin(bytes(response, line.silence).eventsource());
            let why = loop {
                let frame = match frames.next().await {
                    Some(Ok(frame)) => frame,
                    Some(Err(EventStreamError::Transport(why))) => break why.into(),
                    Some(Err(other)) => break Error::Broken(other.to_string().into()),
                    None => break Error::Broken("the events ended without a last one".into()),
                };
                if !frame.id.is_empty() {
                    last = Some(frame.id.clone());
                }
                let event = match read(&frame, &headers) {
                    Ok(Some(event)) => event,
                    Ok(None) => continue,
                    Err(error) if error.code() == Some(CUT) && last.is_some() => {
                        // Of no use any more: from here the server tells all anew.
                        last = None;
                        break error;
                    }
                    Err(error) => Err(error)?,
                };
                match &event {
                    StreamEvent::Created { .. } if has_begun => {
                        // Told anew from the start, so what was shown of a candidate comes once more.
                        if let Some(candidate) = shown.take() {
                            yield StreamEvent::Withdrawn { candidate, code: STARTED_ANEW.to_owned() };
                        }
                        continue;
                    }
                    StreamEvent::Created { .. } => has_begun = true,
                    StreamEvent::Delta { candidate, .. } => shown = Some(*candidate),
                    StreamEvent::Withdrawn { .. } => shown = None,
                    StreamEvent::Completed(_) | StreamEvent::Failed(_) => {}
                }
                let is_last = event.is_last();
                yield event;
                if is_last {
                    return;
                }
            };
            let Some(wait) = line.patience.wait(Again::After(None), breaks) else {
                Err(why)?;
                return;
            };
            drop(frames);
            tokio::time::sleep(wait).await;
            breaks += 1;
            response = line.events(&ask, last.as_deref()).await?;
        }
    }
}

/// Why bytes stopped coming.
#[derive(Debug)]
enum Cut {
    Silent(Duration),
    Broken(Cause),
}

impl From<Cut> for Error {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Silent(limit) => Self::TimedOut(limit),
            Cut::Broken(cause) => Self::Broken(cause),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no more bytes")
    }
}

impl std::error::Error for Cut {}

/// The bytes of an answer, signs of life included.
fn bytes(mut response: Response, silence: Duration) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
    try_stream! {
        let mut read = 0_usize;
        loop {
            match tokio::time::timeout(silence, response.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    read = read.saturating_add(piece.len());
                    if read > MAX_STREAM {
                        Err(Cut::Broken("the server sends without end".into()))?;
                    }
                    yield piece;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => Err(Cut::Broken(error.without_url().into()))?,
                Err(_) => Err(Cut::Silent(silence))?,
            }
        }
    }
}

#[derive(Deserialize)]
struct Created {
    request_id: String,
}

#[derive(Deserialize)]
struct Delta {
    candidate: u32,
    text: String,
}

#[derive(Deserialize)]
struct Withdrawn {
    candidate: u32,
    code: String,
}

/// The event that a frame stands for; none for kinds that this version does not know. The problem in which the writing
/// ended is an error, as it is without a stream.
fn read(frame: &Frame, headers: &HeaderMap) -> Result<Option<StreamEvent>, Error> {
    let event = match frame.event.as_str() {
        "caption.created" => {
            let Created { request_id } = data(frame, headers)?;
            StreamEvent::Created { request_id }
        }
        "caption.delta" => {
            let Delta { candidate, text } = data(frame, headers)?;
            StreamEvent::Delta { candidate, text }
        }
        "caption.withdrawn" => {
            let Withdrawn { candidate, code } = data(frame, headers)?;
            StreamEvent::Withdrawn { candidate, code }
        }
        "caption.completed" => StreamEvent::Completed(Box::new(data(frame, headers)?)),
        "error" => {
            let problem: Problem = data(frame, headers)?;
            return Err(Error::Refused(Box::new(Refusal {
                status: problem.status,
                request_id: problem.request_id.clone(),
                is_retryable: problem.retryable,
                retry_after: problem.retry_after(),
                problem: Some(problem),
            })));
        }
        _ => return Ok(None),
    };
    Ok(Some(event))
}

fn data<T: DeserializeOwned>(frame: &Frame, headers: &HeaderMap) -> Result<T, Error> {
    reply::read(StatusCode::OK, headers.clone(), frame.data.as_bytes()).map(|reply| reply.document)
}
