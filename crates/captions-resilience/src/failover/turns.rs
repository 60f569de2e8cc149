//! Whose turn it is, and what to tell if nobody answers.

use std::{collections::VecDeque, sync::Arc};

use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind, LlmError, Rejection},
    ports::{Chunk, ChunkStream, LlmProvider},
    prompt::{Prompt, Task},
};
use futures_util::StreamExt;
use tokio::time::Instant;

/// One member's turn.
#[derive(Clone)]
pub(super) struct Turn {
    pub(super) member: Arc<dyn LlmProvider>,
    /// Whether nobody stands before it.
    pub(super) first_choice: bool,
    /// Whether it has had a turn before.
    again: bool,
}

/// A stream whose first chunk is here.
pub(super) struct Opened {
    pub(super) turn: Turn,
    pub(super) first: Chunk,
    pub(super) rest: ChunkStream,
}

/// The members that may still be asked, and the most telling error so far.
pub(super) struct Turns {
    waiting: VecDeque<Turn>,
    deadline: Instant,
    /// What is told if nobody is asked.
    unasked: LlmError,
    told: Option<LlmError>,
}

impl Turns {
    pub(super) fn new(members: &[Arc<dyn LlmProvider>], cx: &Context, prompt: &Prompt) -> Self {
        let mut waiting = VecDeque::with_capacity(members.len());
        let mut named = false;
        let mut sees = false;
        for (position, member) in members.iter().enumerate() {
            let description = member.describe();
            if let Some(provider) = &prompt.provider {
                if !description.members.iter().any(|name| name == provider.as_str()) {
                    continue;
                }
                named = true;
            }
            let can_see = prompt.brief.image.is_none() || description.sees(None);
            sees |= can_see;
            if can_see && description.takes(prompt) {
                waiting.push_back(Turn {
                    member: Arc::clone(member),
                    // A provider that was asked for by name is what the caller chose.
                    first_choice: position == 0 || prompt.provider.is_some(),
                    again: false,
                });
            }
        }
        let unasked = if !waiting.is_empty() {
            Fault::because(FaultKind::Timeout, "the request's deadline had passed").into()
        } else if prompt.provider.is_some() && !named {
            rejected("no provider of the chain has this name")
        } else if !sees {
            rejected("no provider of the chain looks at pictures")
        } else if prompt.task == Task::Rewrite {
            rejected("no provider of the chain can change a given text in this language")
        } else {
            rejected("no provider of the chain writes this language")
        };
        Self {
            waiting,
            deadline: Instant::from_std(cx.deadline),
            unasked,
            told: None,
        }
    }

    /// When a whole answer of the member whose turn it is must be there: an equal share of the time left is kept for each
    /// member after it, so that a silent one does not use up the time of all.
    pub(super) fn share(&self) -> Instant {
        let now = Instant::now();
        let turns = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).saturating_add(1);
        now + self.deadline.saturating_duration_since(now) / turns
    }

    /// The next turn, while there is time for one.
    pub(super) fn next(&mut self) -> Option<Turn> {
        if Instant::now() >= self.deadline {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Takes note of a failure. `Err` if it is the answer to the request, so that nobody else is asked.
    pub(super) fn failed(&mut self, turn: &Turn, error: LlmError) -> Result<(), LlmError> {
        if error.is_final() {
            return Err(error);
        }
        let provider = turn.member.describe().provider.as_str();
        let left = self.waiting.len();
        // A fault has had its line where its policy gave up, an open circuit when it opened.
        if matches!(error, LlmError::Fault(_) | LlmError::Unpaid(_)) {
            tracing::debug!(provider, code = error.code(), left, "provider passed over");
        } else {
            tracing::warn!(provider, code = error.code(), %error, left, "provider gave no answer");
        }
        if self.told.as_ref().is_none_or(|told| weight(&error) > weight(told)) {
            self.told = Some(error);
        }
        Ok(())
    }

    /// Gives the last member, whose stream broke off after it had begun, one more turn: its policy tries nothing again once
    /// somebody may have seen a piece. Whether there is another call to be had, the policy and the ledger decide.
    pub(super) fn begin_again(&mut self, turn: &Turn) {
        if self.waiting.is_empty() && !turn.again {
            self.waiting.push_back(Turn {
                again: true,
                ..turn.clone()
            });
        }
    }

    /// The error that tells most about why nobody answered.
    pub(super) fn verdict(&mut self) -> LlmError {
        self.told.take().unwrap_or_else(|| self.unasked.clone())
    }

    /// Asks one after the other until one gives a first chunk.
    pub(super) async fn open(&mut self, cx: &Context, prompt: &Prompt) -> Result<Opened, LlmError> {
        while let Some(turn) = self.next() {
            let error = match turn.member.stream(cx, prompt).await {
                Ok(mut rest) => match rest.next().await.unwrap_or_else(|| Err(cut_off())) {
                    Ok(first) => return Ok(Opened { turn, first, rest }),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.failed(&turn, error)?;
        }
        Err(self.verdict())
    }
}

/// A stream without its end.
pub(super) fn cut_off() -> LlmError {
    Fault::because(FaultKind::Unavailable, "the stream ended without its last chunk").into()
}

fn rejected(detail: &str) -> LlmError {
    LlmError::Rejected {
        kind: Rejection::Request,
        detail: detail.to_owned(),
    }
}

/// How much an error tells the caller; among equals the earlier provider's stands.
///
/// Most of all what a provider did that may go better in a moment, then what the caller can change, then when to come back,
/// and last what only the operator can mend and that we did not ask at all.
fn weight(error: &LlmError) -> u8 {
    match error {
        LlmError::Refused | LlmError::Unpaid(_) => 4,
        LlmError::Unusable { .. } => 3,
        LlmError::TooLong => 2,
        LlmError::Rejected { .. } => 0,
        LlmError::Fault(fault) => match fault.kind {
            FaultKind::Timeout | FaultKind::Unavailable | FaultKind::RateLimited { .. } | FaultKind::Corrupt => 3,
            FaultKind::CircuitOpen { .. } => 1,
            FaultKind::Overloaded | FaultKind::Internal => 0,
        },
    }
}
