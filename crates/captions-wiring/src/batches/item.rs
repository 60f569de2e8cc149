//! Work on one item.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use captions_domain::{
    batch::{Claimed, Forms, Payer, Settlement, Ticket},
    budget::{self, Budget},
    caption::{Answer, Source},
    context::{Attempts, Context},
    engine::GenerateError,
    fault::{Fault, FaultKind, LlmError, PortError, Rejection, Unpaid},
    keys::{By, Standing},
    limiter::Pass,
    ports::QuotaKey,
    quota::Amount,
    request::CaptionRequest,
    usage::Tab,
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::Inner;
use crate::limits;

/// What an item takes of its tenant's tokens until it is known what it used.
const TOKENS: u64 = 2000;
/// How long an item waits for its tenant's limits with its lease in hand. Beyond it the item is given back, and other
/// tenants come first.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest that a batch is left out without being asked for again.
const LONGEST_HOLD: Duration = Duration::from_mins(1);
/// The longest between two tries.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The longest wait of a provider that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// What is not told by whoever turned the call away.
const UNTOLD: Duration = Duration::from_secs(1);

impl Inner {
    /// Works on it and settles it, unless its lease is lost or the process ends first.
    pub(super) async fn work_on(&self, forms: Forms, item: Claimed) {
        if item.reclaimed {
            self.counts.reclaimed.fetch_add(1, Ordering::Relaxed);
        }
        let settlement = tokio::select! {
            biased;
            settlement = Box::pin(self.outcome(forms, &item)) => settlement,
            () = self.keep(&item.ticket) => {
                tracing::warn!(batch = %item.ticket.batch, index = item.ticket.index, "the lease of an item was lost");
                return;
            }
            () = self.left() => self.unfinished(&item, forms).await,
        };
        self.settle(&item.ticket, &settlement).await;
    }

    /// Keeps the lease for as long as this is waited for. Returns when it is lost.
    async fn keep(&self, ticket: &Ticket) {
        let lease = self.settings.lease;
        let mut held_until = Instant::now() + lease;
        loop {
            sleep(lease / 3).await;
            let asked = Instant::now();
            let keep = Settlement::Keep(lease);
            match self.queue.settle(&self.context("batches"), ticket, &keep).await {
                Ok(true) => held_until = asked + lease,
                // The store may be back in time.
                Err(_) if Instant::now() < held_until => {}
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Returns when the process ends and what is under way has had its time.
    async fn left(&self) {
        self.tasks.stopping().await;
        sleep(self.leaving).await;
    }

    /// What to do with an item that the process has no time for any more. It may have got as far as storing the caption, and
    /// nobody else would look for that: the item is not lost, but given back.
    async fn unfinished(&self, item: &Claimed, forms: Forms) -> Settlement {
        let cx = Context {
            tenant: item.tenant.clone(),
            ..self.context("batches")
        };
        match self.engine.captions.read(&cx, item.caption).await {
            Ok(Some(record)) => Settlement::Succeeded((forms.record)(&record)),
            Ok(None) | Err(_) => Settlement::Later {
                after: Duration::ZERO,
                counts: false,
            },
        }
    }

    pub(super) async fn settle(&self, ticket: &Ticket, settlement: &Settlement) {
        let counter = match settlement {
            Settlement::Succeeded(_) => &self.counts.succeeded,
            Settlement::Failed { .. } => &self.counts.failed,
            Settlement::Later { .. } | Settlement::Keep(_) => &self.counts.retried,
        };
        let until = Instant::now() + self.settings.lease;
        loop {
            match self.queue.settle(&self.context("batches"), ticket, settlement).await {
                Ok(is_held) => {
                    if is_held {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
                Err(error) if Instant::now() >= until => {
                    // Whoever gets it next finds its caption in the history, if it was to be stored.
                    tracing::warn!(
                        %error,
                        batch = %ticket.batch,
                        index = ticket.index,
                        "the outcome of an item could not be kept; it is worked on again"
                    );
                    return;
                }
                Err(_) => sleep(self.settings.poll).await,
            }
        }
    }

    async fn outcome(&self, forms: Forms, item: &Claimed) -> Settlement {
        let name: Arc<str> = format!("batch_{}_{}", item.ticket.batch.0.simple(), item.ticket.index).into();
        if item.reclaimed {
            // Whoever was lost over it may have got as far as storing the caption.
            let cx = self.context_of(item, &name);
            match self.engine.captions.read(&cx, item.caption).await {
                Ok(Some(record)) => return Settlement::Succeeded((forms.record)(&record)),
                Ok(None) => {}
                Err(_) => return self.later(item, None, false),
            }
        }
        if item.tries > self.settings.max_tries {
            return Settlement::Failed {
                document: (forms.given_up)(item.tries - 1, &name),
                is_final: false,
            };
        }
        let payer = match self.payer(forms, item, &name).await {
            Ok(payer) => payer,
            Err(settlement) => return settlement,
        };
        let item = &Claimed { payer, ..item.clone() };
        let request = match (forms.request)(&item.request) {
            Ok(request) => request,
            Err(invalid) => {
                return Settlement::Failed {
                    document: (forms.failure)(&GenerateError::Invalid(invalid), &name),
                    is_final: true,
                };
            }
        };
        let pass = match self.admitted(item, &name).await {
            Ok(pass) => pass,
            Err(settlement) => return settlement,
        };
        let cx = self.context_of(item, &name);
        let begun = Instant::now();
        let generated = self.generate(&cx, item, &request).await;
        account(pass, &cx, generated.as_ref().ok());
        match generated {
            Ok(answer) => Settlement::Succeeded((forms.answer)(&answer, &name, begun.elapsed())),
            Err(error) => self.failed(forms, item, &request, &cx, &error),
        }
    }

    /// Who pays for it, by the limits that the family has now. `Err`: what to do with the item instead, where nobody does.
    async fn payer(&self, forms: Forms, item: &Claimed, name: &Arc<str>) -> Result<Option<Payer>, Settlement> {
        let Some(Payer { family, .. }) = &item.payer else {
            return Ok(None);
        };
        let cx = self.context_of(item, name);
        let found = match family.parse() {
            Ok(id) => self.keys.find(&cx, By::Family(id)).await,
            Err(_) => Ok(None),
        };
        match found {
            Ok(Some(key)) if key.standing(cx.now) == Standing::Active => Ok(Some(Payer {
                family: family.clone(),
                limits: key.limits,
            })),
            Ok(newest) => Err(Settlement::Failed {
                document: (forms.key_ended)(family, newest.as_ref(), name),
                is_final: true,
            }),
            // Nothing is paid for by a key that may have been revoked.
            Err(_) => Err(self.later(item, None, false)),
        }
    }

    /// Nobody waits for a batch: what stands below the providers is for the last try.
    async fn generate(&self, cx: &Context, item: &Claimed, request: &CaptionRequest) -> Result<Answer, GenerateError> {
        if !request.allow_fallback || item.tries >= self.settings.max_tries {
            return self.engine.generate(cx, request).await;
        }
        let strict = CaptionRequest {
            allow_fallback: false,
            ..request.clone()
        };
        match self.engine.generate(cx, &strict).await {
            // Another try would be told the same. A refusal of the content is final, and is not gone round.
            Err(GenerateError::Provider {
                error:
                    LlmError::TooLong
                    | LlmError::Rejected {
                        kind: Rejection::Request,
                        ..
                    },
                ..
            }) => self.engine.generate(cx, request).await,
            generated => generated,
        }
    }

    fn failed(
        &self,
        forms: Forms,
        item: &Claimed,
        request: &CaptionRequest,
        cx: &Context,
        error: &GenerateError,
    ) -> Settlement {
        let was_tried = cx.attempts.begun() > 0;
        let is_last = item.tries >= self.settings.max_tries;
        if !is_worth_another_try(error) || (was_tried && is_last) {
            return Settlement::Failed {
                document: (forms.failure)(error, &cx.request_id),
                is_final: is_final(error),
            };
        }
        let wait = match error {
            GenerateError::Provider { error, .. } => error.fault().and_then(Fault::retry_after),
            GenerateError::Invalid(_) => None,
        };
        if !was_tried {
            let wait = wait.unwrap_or(UNTOLD);
            match request.provider {
                // Others can do without the provider that this one names.
                Some(_) => self.hold(item.ticket.batch, wait.min(LONGEST_HOLD)),
                None => self.pause(wait),
            }
        }
        self.later(item, wait, was_tried)
    }

    fn later(&self, item: &Claimed, wait: Option<Duration>, counts: bool) -> Settlement {
        let doubled = self.settings.retry_delay * 4_u32.saturating_pow(item.tries.saturating_sub(1).min(8));
        let backoff = if counts { doubled } else { self.settings.retry_delay };
        // From one half to all of it, so that what failed together is not tried together.
        let backoff = backoff
            .min(LONGEST_BACKOFF)
            .mul_f64(self.jitter.unit().mul_add(0.5, 0.5));
        Settlement::Later {
            after: backoff.max(wait.unwrap_or_default().min(LONGEST_WAIT)),
            counts,
        }
    }

    /// Leave by the tenant's own limits, waited for if it comes soon. `Err`: what to do with the item instead.
    async fn admitted(&self, item: &Claimed, name: &Arc<str>) -> Result<Option<Pass>, Settlement> {
        let (callers, key) = match &item.payer {
            Some(payer) if !payer.limits.is_default() => (
                self.callers.with_plan(payer.limits.plan(self.callers.plan())),
                QuotaKey::new("key", &payer.family),
            ),
            Some(_) | None => (self.callers.clone(), limits::caller(&item.tenant)),
        };
        if callers.plan().is_unlimited() {
            return Ok(None);
        }
        let cx = self.context_of(item, name);
        match callers.take(&cx, &key, Amount::request(TOKENS), PATIENCE).await {
            Ok(mut pass) => {
                sleep(pass.wait).await;
                pass.begin();
                Ok(Some(pass))
            }
            Err(refused) => {
                let wait = refused.wait.clamp(Duration::from_millis(10), LONGEST_HOLD);
                self.hold(item.ticket.batch, wait);
                Err(Settlement::Later {
                    after: Duration::ZERO,
                    counts: false,
                })
            }
        }
    }

    fn context_of(&self, item: &Claimed, name: &Arc<str>) -> Context {
        Context {
            tenant: item.tenant.clone(),
            request_id: Arc::clone(name),
            // The caption has this id whoever writes it.
            fresh_id: item.caption.0,
            now: OffsetDateTime::now_utc().truncate_to_microsecond(),
            deadline: (Instant::now() + self.settings.item_deadline).into_std(),
            attempts: Arc::new(Attempts::up_to(self.max_attempts)),
            payers: payers(item, self.budget),
            tab: Tab {
                tally: Some(Arc::clone(&self.tally)),
                user: None,
                key: item.payer.as_ref().and_then(|payer| payer.family.parse().ok()),
            },
            ..self.context(name)
        }
    }
}

/// Who pays for it.
fn payers(item: &Claimed, usual: Option<Budget>) -> Arc<[budget::Payer]> {
    let own = item.payer.as_ref().and_then(|payer| {
        let budget = payer.limits.budget?;
        Some((payer.family.clone(), budget))
    });
    budget::Payer::all(own, usual)
}

/// Settles the tenant's account. What others have paid for costs nothing; where a provider does not tell what it used, the
/// guess stands.
fn account(pass: Option<Pass>, cx: &Context, answer: Option<&Answer>) {
    let Some(pass) = pass else { return };
    let was_called = cx.attempts.begun() > 0;
    match answer {
        Some(answer) => {
            let usage = answer.caption.usage.filter(|_| answer.source == Source::Provider);
            if answer.source != Source::Provider || usage.is_some() || !was_called {
                pass.used(cx.attempts.tokens(usage));
            }
        }
        None if !was_called => pass.used(0),
        None => {}
    }
}

/// True if no later try of the same request can succeed as the service is set up now, whatever its providers do meanwhile.
const fn is_final(error: &GenerateError) -> bool {
    matches!(
        error,
        GenerateError::Invalid(_)
            | GenerateError::Provider {
                error: LlmError::Refused | LlmError::TooLong,
                ..
            }
    )
}

/// True if the same request may well succeed later, when whoever failed is well again.
fn is_worth_another_try(error: &GenerateError) -> bool {
    let GenerateError::Provider { error, .. } = error else {
        return false;
    };
    match error {
        LlmError::Unusable { .. } | LlmError::Unpaid(Unpaid::Uncounted(_)) => true,
        LlmError::Rejected { kind, .. } => matches!(kind, Rejection::Auth | Rejection::Billing),
        LlmError::Refused | LlmError::TooLong | LlmError::Unpaid(Unpaid::OverBudget { .. }) => false,
        LlmError::Fault(fault) => match fault.kind {
            FaultKind::Timeout
            | FaultKind::Unavailable
            | FaultKind::RateLimited { .. }
            | FaultKind::CircuitOpen { .. }
            | FaultKind::Overloaded
            | FaultKind::Corrupt => true,
            FaultKind::Internal => false,
        },
    }
}
