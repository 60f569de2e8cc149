//! What a provider's answers cost, and who pays.
//!
//! A request with [payers](captions_domain::budget::Payer) has the upper bound of all calls that it may still make
//! reserved with each before the first of them, and settled afterwards:
//!
//! - An answer that tells its tokens counts with its cost; one that does not, with the upper bound of one call.
//! - A provider that turned the call down, or could not be reached, costs nothing. One that was silent until its time was
//!   over, broke off in the middle, or gave what cannot be used, may have been paid: the upper bound stands.
//! - So it does for each try before the last one, of which nobody knows the end here, and for a call that was dropped.
//! - Where no call was made, all of it is released.
//!
//! Whoever pays, or nobody: each call is entered in the [tab](captions_domain::usage::Tab) of its request, also one that failed or
//! was dropped.
//!
//! Settling is background work and delays no answer. It waits for a store that is away. If it comes to nothing, or the process
//! dies, the reservation is given back once it expires, and what the call cost is not counted.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    budget::{self, Payer, Spend, Spent, Step},
    caption::Usage,
    context::Context,
    fault::{Fault, FaultKind, LlmError, Rejection, StoreError, Unpaid},
    money::{Money, Prices},
    ports::{Chunk, ChunkStream, Completion, Credit, Description, KeyStore, LlmProvider},
    prompt::Prompt,
    usage::Calls,
};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::tasks::Tasks;

/// Time for one try of settling.
const SETTLING: Duration = Duration::from_secs(10);
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a store that is away is waited for.
const PATIENCE: Duration = Duration::from_mins(30);

/// Where budgets are counted.
#[derive(Clone)]
pub struct Ledger {
    /// Called as it is given, with its safeguards.
    pub keys: Arc<dyn KeyStore>,
    /// Where settling goes on.
    pub tasks: Tasks,
    /// A reservation outlives the deadline of its request by this, so that others do not spend what a slow settling still
    /// takes.
    pub lease: Duration,
}

/// A provider with a price. Goes around one provider, outside its policy and inside the chain.
pub struct Priced {
    inner: Arc<dyn LlmProvider>,
    /// `None`: not known. Then no cost is told, and whoever has a budget is turned down.
    prices: Option<Prices>,
    ledger: Ledger,
}

impl Priced {
    /// `inner`, which asks these prices.
    pub fn new(inner: Arc<dyn LlmProvider>, prices: Option<Prices>, ledger: Ledger) -> Self {
        Self { inner, prices, ledger }
    }

    /// Reserves what the request may still cost here. `None` where nobody counts it.
    async fn reserve(&self, cx: &Context, prompt: &Prompt) -> Result<Option<Reserved>, LlmError> {
        if cx.payers.is_empty() {
            return Ok(None);
        }
        let Some(prices) = &self.prices else {
            return Err(LlmError::Rejected {
                kind: Rejection::Request,
                detail: "it has no price in the settings, and the caller has a budget".to_owned(),
            });
        };
        let calls = cx.attempts.left();
        if prices.is_free() || calls == 0 {
            return Ok(None);
        }
        let bound = budget::bound(prompt, prices);
        let mut reserved = Reserved {
            ledger: self.ledger.clone(),
            cx: cx.clone(),
            bound,
            begun: cx.attempts.begun(),
            amount: None,
            open: Vec::new(),
        };
        let time = Instant::from_std(cx.deadline).saturating_duration_since(Instant::now());
        let expires_at = cx.now.saturating_add(signed(time + self.ledger.lease));
        let amount = bound.times(calls);
        for payer in &*cx.payers {
            let id = Uuid::now_v7();
            // Before it is asked for, so that what a dropped or lost answer may have reserved is released too.
            reserved.open.push((payer.clone(), id));
            let step = Step::Reserve { id, amount, expires_at };
            match self.ledger.keys.spend(cx, &payer.spend(cx.now, step)).await {
                Ok(Spent::Granted) => {}
                Ok(Spent::Refused) => {
                    reserved.open.pop();
                    let over = Unpaid::OverBudget {
                        account: payer.account.clone(),
                        ends_in: payer.left(cx.now),
                    };
                    return Err(over.into());
                }
                Ok(Spent::Settled | Spent::Unknown | Spent::Stands(_))
                | Err(StoreError::Conflict | StoreError::Full { .. }) => {
                    return Err(Unpaid::Uncounted(Fault::new(FaultKind::Corrupt)).into());
                }
                Err(StoreError::Fault(fault)) => return Err(Unpaid::Uncounted(fault).into()),
            }
        }
        Ok(Some(reserved))
    }
}

fn signed(span: Duration) -> time::Duration {
    time::Duration::try_from(span).unwrap_or(time::Duration::MAX)
}

/// What is reserved for one request with one provider. Settled when it is dropped.
struct Reserved {
    ledger: Ledger,
    cx: Context,
    /// Of one call.
    bound: Money,
    /// Calls of the request before.
    begun: u32,
    /// What it was in the end; `None` until that is known.
    amount: Option<Money>,
    /// The reservations, one for each who pays.
    open: Vec<(Payer, Uuid)>,
}

impl Reserved {
    fn calls(&self) -> u32 {
        self.cx.attempts.begun().saturating_sub(self.begun)
    }

    /// The last call ended so. `begun` is whether some of its answer was there.
    fn ended(&mut self, end: Result<&Credit, &LlmError>, begun: bool) {
        let last = match end {
            Ok(credit) => match credit.usage.and_then(|usage| usage.cost) {
                Some(cost) => cost.amount,
                None => self.bound,
            },
            Err(error) if self.calls() > 0 && (begun || may_have_cost(error)) => self.bound,
            Err(_) => Money::ZERO,
        };
        let earlier = self.bound.times(self.calls().saturating_sub(1));
        self.amount = Some(earlier.saturating_add(last));
    }
}

/// The calls that are made for one question, entered in the tab of the request when this is dropped: after the calls themselves,
/// which tell what was cut off.
struct Counted {
    cx: Context,
    provider: String,
    model: String,
    is_free: bool,
    begun: u32,
    cut_off: u64,
    usage: Option<Usage>,
    /// The last call is on nobody's bill.
    is_unpaid: bool,
}

impl Counted {
    fn begin(cx: &Context, description: &Description, prices: Option<&Prices>) -> Self {
        Self {
            cx: cx.clone(),
            provider: description.provider.clone(),
            model: description.model.clone(),
            is_free: prices.is_some_and(Prices::is_free),
            begun: cx.attempts.begun(),
            cut_off: cx.attempts.tokens_cut_off(),
            usage: None,
            is_unpaid: false,
        }
    }

    fn ended(&mut self, end: Result<&Credit, &LlmError>) {
        match end {
            Ok(credit) => {
                self.usage = credit.usage;
                // As the answer names them.
                self.provider.clone_from(&credit.provider);
                self.model.clone_from(&credit.model);
            }
            Err(error) => self.is_unpaid = !may_have_cost(error),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let begun = self.cx.attempts.begun().saturating_sub(self.begun);
        let is_known = self.is_unpaid || self.usage.is_some_and(|usage| usage.cost.is_some());
        let calls = Calls {
            begun,
            unpriced: if self.is_free {
                0
            } else {
                begun.saturating_sub(u32::from(is_known))
            },
            usage: self.usage,
            cut_off: self.cx.attempts.tokens_cut_off().saturating_sub(self.cut_off),
        };
        if let Some(usage) = self.usage {
            let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
            self.cx.attempts.told(tokens);
        }
        self.cx.called(&self.provider, &self.model, &calls);
    }
}

/// Whether a call that failed so may be on the provider's bill.
const fn may_have_cost(error: &LlmError) -> bool {
    match error {
        LlmError::Refused | LlmError::Unusable { .. } => true,
        LlmError::TooLong | LlmError::Rejected { .. } | LlmError::Unpaid(_) => false,
        LlmError::Fault(fault) => match fault.kind {
            FaultKind::Timeout | FaultKind::Corrupt | FaultKind::Internal => true,
            FaultKind::Unavailable
            | FaultKind::RateLimited { .. }
            | FaultKind::CircuitOpen { .. }
            | FaultKind::Overloaded => false,
        },
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let amount = self.amount.unwrap_or_else(|| self.bound.times(self.calls()));
        let now = self.cx.now;
        let open = self.open.drain(..);
        let spends: Vec<Spend> = open
            .map(|(payer, id)| payer.spend(now, Step::Settle { id, amount }))
            .collect();
        let cx = self.cx.clone();
        let Ledger { keys, tasks, .. } = self.ledger.clone();
        let work = async move {
            for spend in &spends {
                settle(&*keys, &tasks, cx.clone(), spend).await;
            }
        };
        if self.ledger.tasks.spawn("settling", work).is_err() {
            tracing::warn!(
                "a reservation is not settled, because too much is going on; what the call cost is not counted"
            );
        }
    }
}

/// Tries it until the store has heard of it.
async fn settle(keys: &dyn KeyStore, tasks: &Tasks, mut cx: Context, spend: &Spend) {
    let end = Instant::now() + PATIENCE;
    loop {
        cx.deadline = (Instant::now() + SETTLING).into_std();
        let Err(error) = keys.spend(&cx, spend).await else {
            return;
        };
        let is_over = Instant::now() >= end
            || tokio::select! {
                () = tasks.stopping() => true,
                () = sleep(PAUSE) => false,
            };
        if is_over {
            tracing::warn!(%error, "a reservation could not be settled; what the call cost is not counted");
            return;
        }
    }
}

/// No answer takes no tokens: a count of zero was not told, and what is not told is not guessed.
fn price(credit: &mut Credit, prices: Option<&Prices>) {
    if let (Some(usage), Some(prices)) = (&mut credit.usage, prices) {
        let is_whole = usage.input_tokens > 0 && usage.output_tokens > 0;
        usage.cost = (is_whole || prices.is_free()).then(|| prices.cost(usage.input_tokens, usage.output_tokens));
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl LlmProvider for Priced {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let mut reserved = self.reserve(cx, prompt).await?;
        let mut counted = Counted::begin(cx, self.inner.describe(), self.prices.as_ref());
        let mut result = self.inner.complete(cx, prompt).await;
        if let Ok(completion) = &mut result {
            price(&mut completion.credit, self.prices.as_ref());
        }
        counted.ended(result.as_ref().map(|completion| &completion.credit));
        if let Some(reserved) = &mut reserved {
            reserved.ended(result.as_ref().map(|completion| &completion.credit), false);
        }
        result
    }

    /// Settled with the end of the stream, or when its reader leaves.
    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let mut reserved = self.reserve(cx, prompt).await?;
        let mut counted = Counted::begin(cx, self.inner.describe(), self.prices.as_ref());
        let chunks = match self.inner.stream(cx, prompt).await {
            Ok(chunks) => chunks,
            Err(error) => {
                counted.ended(Err(&error));
                if let Some(reserved) = &mut reserved {
                    reserved.ended(Err(&error), false);
                }
                return Err(error);
            }
        };
        let prices = self.prices;
        Ok(Box::pin(stream! {
            let mut begun = false;
            // Declared in this order, so that the calls end first.
            let mut counted = counted;
            let mut chunks = chunks;
            while let Some(mut next) = chunks.next().await {
                if let Ok(Chunk::End(credit)) = &mut next {
                    price(credit, prices.as_ref());
                }
                match &next {
                    Ok(Chunk::End(credit)) => counted.ended(Ok(credit)),
                    Err(error) => counted.ended(Err(error)),
                    Ok(Chunk::Text(_) | Chunk::Withdrawn { .. } | Chunk::Progress { .. }) => {}
                }
                if let Some(reserved) = &mut reserved {
                    match &next {
                        Ok(Chunk::End(credit)) => reserved.ended(Ok(credit), begun),
                        Err(error) => reserved.ended(Err(error), begun),
                        Ok(Chunk::Text(_) | Chunk::Withdrawn { .. } | Chunk::Progress { .. }) => begun = true,
                    }
                }
                yield next;
            }
        }))
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
