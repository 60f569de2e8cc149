//! A guarded stream: the attempt reaches up to the first chunk, and what it holds is held until the last one.

use std::time::Duration;

use async_stream::stream;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind, LlmError, PortError},
    ports::{Chunk, ChunkStream, LlmProvider},
    prompt::Prompt,
};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{judge, unpaid::Unpaid};
use crate::{
    breaker::Verdict,
    policy::{Held, Policy, Repeat, Size, earlier},
};

/// Opens a stream. Until its first chunk nobody has seen anything of it, so up to there a failure is one of the attempt:
/// counted, and tried again.
pub(super) async fn open<P: LlmProvider + ?Sized>(
    policy: &Policy,
    inner: &P,
    cx: &Context,
    prompt: &Prompt,
) -> Result<ChunkStream, LlmError> {
    let size = Size {
        limit: policy.settings().first_chunk_timeout,
        tokens: prompt.tokens(),
    };
    let ((first, rest, unpaid), mut held) = policy
        .hold(cx, "llm.stream", Repeat::Safe, size, judge, || async {
            let unpaid = Unpaid::begin(policy, cx, prompt);
            let opened = async {
                let mut rest = inner.stream(cx, prompt).await?;
                let first = rest.next().await.unwrap_or_else(|| Err(cut_off()))?;
                Ok((first, rest))
            };
            match opened.await {
                Ok((first, rest)) => Ok((first, rest, unpaid)),
                Err(error) => {
                    unpaid.settle();
                    Err(error)
                }
            }
        })
        .await?;
    held.answered();
    Ok(relay(
        first,
        rest,
        held,
        unpaid,
        policy.settings().idle_timeout,
        policy.deadline(cx),
    ))
}

/// Hands the chunks on. The verdict is told, and the slot freed, before the last chunk goes out: who has it may never
/// come back for more. Both limits are kept while the stream is being read; one that nobody reads ends when it is dropped.
fn relay(
    first: Chunk,
    mut rest: ChunkStream,
    mut held: Held,
    mut unpaid: Unpaid,
    idle: Option<Duration>,
    deadline: Option<Instant>,
) -> ChunkStream {
    Box::pin(stream! {
        let mut next = first;
        loop {
            if let Chunk::End(credit) = &next {
                held.used(credit.usage);
                held.settle(Verdict::Healthy);
                unpaid.settle();
                drop(rest);
                yield Ok(next);
                return;
            }
            if let Chunk::Text(text) = &next {
                unpaid.came(text);
            }
            yield Ok(next);
            let silent_at = idle.and_then(|idle| Instant::now().checked_add(idle));
            let came = match earlier(silent_at, deadline) {
                None => Ok(rest.next().await),
                Some(until) => timeout_at(until, rest.next()).await,
            };
            let error = match came {
                Ok(Some(Ok(chunk))) => {
                    next = chunk;
                    continue;
                }
                Ok(Some(Err(error))) => {
                    held.fail(judge(&error), error.fault());
                    error
                }
                Ok(None) => {
                    held.settle(Verdict::Sick);
                    cut_off()
                }
                Err(_) => {
                    // A stream that flowed until the request ran out of time was slow at worst.
                    let fell_silent = silent_at.is_some_and(|at| Instant::now() >= at);
                    let verdict = if fell_silent { Verdict::Sick } else { Verdict::Neutral };
                    held.cut(verdict);
                    Fault::new(FaultKind::Timeout).into()
                }
            };
            // What has come of the answer until here is paid all the same.
            drop((rest, unpaid));
            yield Err(error);
            return;
        }
    })
}

/// A stream without its end.
fn cut_off() -> LlmError {
    Fault::because(FaultKind::Unavailable, "the stream ended without its last chunk").into()
}

#[cfg(test)]
mod tests;
