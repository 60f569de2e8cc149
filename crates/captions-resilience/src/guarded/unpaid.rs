//! What a call has cost that was cut off: nobody tells, so it is guessed and entered as a guess.

use std::sync::Arc;

use captions_domain::{
    context::{Attempts, Context},
    prompt::{Prompt, guessed_tokens},
};

use crate::{monitor::Recorder, policy::Policy};

/// The price of a call under way, as far as it can be guessed: its question, and what has come of the answer. Dropped before
/// the call has ended, because its caller left, its time was up or the answer broke off, it is entered as a guess with the
/// request and with the figures of the provider.
#[derive(Debug)]
pub(super) struct Unpaid {
    /// Taken when the call ends in another way.
    attempts: Option<Arc<Attempts>>,
    calls: Option<Arc<Recorder>>,
    input: u64,
    /// Bytes of text.
    output: usize,
}

impl Unpaid {
    /// The call begins now.
    pub(super) fn begin(policy: &Policy, cx: &Context, prompt: &Prompt) -> Self {
        Self {
            attempts: Some(Arc::clone(&cx.attempts)),
            calls: policy.calls().cloned(),
            input: prompt.input_tokens(),
            output: 0,
        }
    }

    /// More text has come.
    pub(super) const fn came(&mut self, text: &str) {
        self.output += text.len();
    }

    /// The call has ended by itself: its price was told, or it has none.
    pub(super) fn settle(mut self) {
        self.attempts = None;
    }
}

impl Drop for Unpaid {
    fn drop(&mut self) {
        let Some(attempts) = self.attempts.take() else {
            return;
        };
        let tokens = self.input + guessed_tokens(self.output);
        attempts.cut_off(tokens);
        if let Some(calls) = &self.calls {
            calls.cut_off(tokens);
        }
    }
}
