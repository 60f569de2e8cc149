//! Several providers in order, as one provider.

mod turns;

use std::sync::Arc;

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::{Fault, LlmError, PortError as _},
    ports::{Chunk, ChunkStream, Completion, Description, LlmProvider},
    prompt::Prompt,
};
use futures_util::StreamExt;

use self::turns::{Opened, Turns, cut_off};

/// A chain of providers: the first that answers wins.
///
/// A prompt that names a provider goes to that one only; a member that cannot write the language, cannot rewrite, or
/// cannot look at the picture that the brief holds, is passed over. A refusal
/// of the content is an answer, so nobody else is asked to get round it; after any other error the next member is asked,
/// while there is time; a whole answer may take an equal share of it, the opening of a stream its own limit. A stream of
/// the last member that breaks off in the middle is begun once more. What an attempt may cost is each member's own policy:
/// members with a ledger share the request's.
pub struct Failover {
    members: Vec<Arc<dyn LlmProvider>>,
    description: Description,
}

impl Failover {
    /// A chain that begins with `first`.
    pub fn new(first: Arc<dyn LlmProvider>, others: Vec<Arc<dyn LlmProvider>>) -> Self {
        let description = describe(first.describe(), &others);
        let members = std::iter::once(first).chain(others).collect();
        Self { members, description }
    }
}

/// How often the member at `position` (from 0) of a chain may try, so that out of `total` attempts for a request at least
/// one is left for each member after it. A dead first provider would else use them all up and nobody would answer.
pub fn tries(total: u32, position: usize, members: usize) -> u32 {
    let after = u32::try_from(members.saturating_sub(position + 1)).unwrap_or(u32::MAX);
    total.saturating_sub(after).max(1)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl LlmProvider for Failover {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let mut turns = Turns::new(&self.members, cx, prompt);
        while let Some(turn) = turns.next() {
            let cx = cx.until(turns.share().into_std());
            match turn.member.complete(&cx, prompt).await {
                Ok(mut completion) => {
                    completion.credit.first_choice &= turn.first_choice;
                    return Ok(completion);
                }
                Err(error) => turns.failed(&turn, error)?,
            }
        }
        Err(turns.verdict())
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let mut turns = Turns::new(&self.members, cx, prompt);
        let mut opened = turns.open(cx, prompt).await?;
        let (cx, prompt) = (cx.clone(), prompt.clone());
        Ok(Box::pin(stream! {
            // Whether somebody has seen text of the member that is speaking.
            let mut shown = false;
            loop {
                let Opened { turn, first, mut rest } = opened;
                let mut next = Some(Ok(first));
                let error = loop {
                    match next.unwrap_or_else(|| Err(cut_off())) {
                        Ok(Chunk::End(mut credit)) => {
                            credit.first_choice &= turn.first_choice;
                            yield Ok(Chunk::End(credit));
                            return;
                        }
                        Ok(chunk) => {
                            match &chunk {
                                Chunk::Text(_) => shown = true,
                                Chunk::Withdrawn { .. } => shown = false,
                                Chunk::Progress { .. } | Chunk::End(_) => {}
                            }
                            yield Ok(chunk);
                        }
                        Err(error) => break error,
                    }
                    next = rest.next().await;
                };
                // Its call ends here, before anybody else is asked.
                drop(rest);
                let reason = error.code();
                if error.fault().is_some_and(Fault::is_transient) {
                    turns.begin_again(&turn);
                }
                opened = match turns.failed(&turn, error) {
                    Err(refused) => {
                        yield Err(refused);
                        return;
                    }
                    Ok(()) => match turns.open(&cx, &prompt).await {
                        Err(error) => {
                            yield Err(error);
                            return;
                        }
                        Ok(opened) => opened,
                    },
                };
                if shown {
                    shown = false;
                    yield Ok(Chunk::Withdrawn { code: reason });
                }
            }
        }))
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

fn describe(first: &Description, others: &[Arc<dyn LlmProvider>]) -> Description {
    if others.is_empty() {
        return first.clone();
    }
    let all = || std::iter::once(first).chain(others.iter().map(|member| member.describe()));
    Description {
        provider: "chain".to_owned(),
        model: all().map(|one| one.model.as_str()).collect::<Vec<_>>().join(","),
        grade: first.grade,
        members: all().flat_map(|one| one.members.iter().cloned()).collect(),
        languages: first
            .languages
            .filter(|_| all().all(|one| one.languages == first.languages)),
        seeing: all().flat_map(|one| one.seeing.iter().cloned()).collect(),
        rewrites: all().any(|one| one.rewrites),
        // Each with its length, so that no two chains run into the same text.
        fingerprint: all().fold(String::new(), |joined, one| {
            joined + &format!("{}:{}", one.fingerprint.len(), one.fingerprint)
        }),
    }
}

#[cfg(test)]
mod tests;
