//! The fixed order in which every call to a dependency goes through its safeguards.

mod held;

use std::{pin::pin, sync::Arc, time::Duration};

use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind, PortError},
};
use futures_util::future::select;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

pub(crate) use self::held::Held;
use crate::{
    breaker::{Breaker, BreakerSettings, Snapshot, Verdict},
    jitter::Jitter,
    monitor::Recorder,
    rate::Rate,
    retry::{Budget, BudgetSettings, Reserved, RetrySettings},
    slots::{Crowd, Slot, SlotSettings, Slots},
};

/// Which steps a policy has. `None` and `false` leave a step out.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySettings {
    /// The name of the dependency in logs.
    pub dependency: String,
    /// Whether the request's deadline holds. Off: [`Context::deadline`] is not looked at.
    pub deadline: bool,
    /// How often and when a failed call is made again.
    pub retry: Option<RetrySettings>,
    /// A read that has no answer after this long is made once more beside the first, and the first answer wins. Such a
    /// hedge is one of the tries above, if there are any.
    pub hedge_after: Option<Duration>,
    /// What further tries may cost over all calls, retries and hedges together; `None` = no bound.
    pub budget: Option<BudgetSettings>,
    /// When calls stop for a while.
    pub breaker: Option<BreakerSettings>,
    /// How many calls go at once.
    pub slots: Option<SlotSettings>,
    /// The longest that one attempt may take. Streams have their own two limits below instead.
    pub attempt_timeout: Option<Duration>,
    /// The longest from opening a stream to its first chunk.
    pub first_chunk_timeout: Option<Duration>,
    /// The longest silence between two chunks of a stream.
    pub idle_timeout: Option<Duration>,
    /// Whether each attempt is entered in [`Context::attempts`], and not made if that is full: on for providers.
    pub ledger: bool,
}

impl PolicySettings {
    /// No step at all.
    pub fn off(dependency: impl Into<String>) -> Self {
        Self {
            dependency: dependency.into(),
            deadline: false,
            retry: None,
            hedge_after: None,
            budget: None,
            breaker: None,
            slots: None,
            attempt_timeout: None,
            first_chunk_timeout: None,
            idle_timeout: None,
            ledger: false,
        }
    }

    /// Every step with its default, except for hedges and the ledger: attempts of 10 s, first chunk within 6 s, 10 s between chunks.
    pub fn standard(dependency: impl Into<String>) -> Self {
        Self {
            dependency: dependency.into(),
            deadline: true,
            retry: Some(RetrySettings::default()),
            hedge_after: None,
            budget: Some(BudgetSettings::default()),
            breaker: Some(BreakerSettings::default()),
            slots: Some(SlotSettings::default()),
            attempt_timeout: Some(Duration::from_secs(10)),
            first_chunk_timeout: Some(Duration::from_secs(6)),
            idle_timeout: Some(Duration::from_secs(10)),
            ledger: false,
        }
    }
}

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing on the other side, so that even two at once are as good as one.
    Read,
    /// Twice is as good as once, one after the other.
    Safe,
    /// A lost answer may stand for a done deed, so a failed call is not made again.
    Never,
}

/// The safeguards of one dependency. Clones share them: ports of the same server take clones of one policy.
#[derive(Debug, Clone)]
pub struct Policy {
    settings: Arc<PolicySettings>,
    jitter: Jitter,
    budget: Option<Arc<Budget>>,
    breaker: Option<Arc<Breaker>>,
    slots: Option<Arc<Slots>>,
    /// Of all policies together that go to the same place.
    shared_slots: Option<Arc<Slots>>,
    rate: Option<Arc<Rate>>,
    watch: Option<Arc<Recorder>>,
}

/// What one attempt may take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    /// Time; `None` is all that the request has.
    pub(crate) limit: Option<Duration>,
    /// Tokens, as far as can be guessed.
    pub(crate) tokens: u64,
}

/// What every attempt of one call goes by.
struct Bounds<'a, E> {
    cx: &'a Context,
    deadline: Option<Instant>,
    size: Size,
    judge: fn(&E) -> Verdict,
}

/// What an attempt does where there is no room for it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// It waits for its turn.
    Await,
    /// It is not made: nobody needs it.
    Take,
}

/// Why an attempt gave no value.
enum Miss<E> {
    /// No call was made.
    NotMade(Fault),
    /// The call was made and failed.
    Failed(E),
}

impl<E: PortError> Miss<E> {
    /// True if the other side said what it would say again.
    fn is_final(&self) -> bool {
        match self {
            Self::NotMade(_) => false,
            Self::Failed(error) => !error.fault().is_some_and(Fault::is_transient),
        }
    }
}

impl Policy {
    /// A policy with its own breaker, slots and budget.
    pub fn new(settings: PolicySettings) -> Self {
        Self::with_jitter(settings, Jitter::random())
    }

    /// The same with a chosen source of chance.
    pub fn with_jitter(settings: PolicySettings, jitter: Jitter) -> Self {
        let dependency: Arc<str> = settings.dependency.as_str().into();
        Self {
            budget: settings.budget.map(|budget| Arc::new(Budget::new(budget))),
            breaker: settings
                .breaker
                .map(|breaker| Arc::new(Breaker::new(Arc::clone(&dependency), breaker, jitter.clone()))),
            slots: settings
                .slots
                .map(|slots| Arc::new(Slots::new(Arc::clone(&dependency), slots))),
            shared_slots: None,
            settings: Arc::new(settings),
            jitter,
            rate: None,
            watch: None,
        }
    }

    /// The same, with limits on how often calls are made.
    #[must_use]
    pub fn limited(mut self, rate: Rate) -> Self {
        self.rate = Some(Arc::new(rate));
        self
    }

    /// The same, with the breaker of `other`: both call the same target, whose health is one.
    #[must_use]
    pub fn toward_the_target_of(mut self, other: &Self) -> Self {
        self.breaker.clone_from(&other.breaker);
        self
    }

    /// The same, within these slots too, which several policies share: each call has one of them beside one of its own.
    #[must_use]
    pub fn within(mut self, slots: Arc<Slots>) -> Self {
        self.shared_slots = Some(slots);
        self
    }

    /// The same, with every call counted there.
    pub(crate) fn watched(mut self, calls: Arc<Recorder>) -> Self {
        self.watch = Some(calls);
        self
    }

    /// Counts its calls, where they are counted.
    pub(crate) const fn calls(&self) -> Option<&Arc<Recorder>> {
        self.watch.as_ref()
    }

    /// What it was made of.
    pub fn settings(&self) -> &PolicySettings {
        &self.settings
    }

    /// The breaker, for operators; `None` if that step is off.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_deref()
    }

    /// Where the breaker stands; `None` if that step is off.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.breaker.as_ref().map(|breaker| breaker.snapshot())
    }

    /// How full the slots are; `None` if that step is off.
    pub fn crowd(&self) -> Option<Crowd> {
        self.slots.as_ref().map(|slots| slots.crowd())
    }

    /// Makes a call with all safeguards. `op` names it in logs, as in `cache.get`.
    ///
    /// Errors: the call's own last error; or, if no call was made at all, a [`FaultKind::Timeout`] (the deadline had
    /// passed), [`FaultKind::CircuitOpen`] or [`FaultKind::Overloaded`] (no slot, or the ledger is full) fault.
    /// Cancel-safe: dropping it frees everything and counts as neither success nor failure.
    pub async fn run<T, E, F>(
        &self,
        cx: &Context,
        op: &'static str,
        repeat: Repeat,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T, E>
    where
        T: Send,
        E: PortError + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        let size = Size {
            limit: self.settings.attempt_timeout,
            tokens: 0,
        };
        let (value, held) = self.hold(cx, op, repeat, size, Verdict::of, call).await?;
        held.settle(Verdict::Healthy);
        Ok(value)
    }

    /// Makes the call and hands out what it holds, for values that are not finished when they are returned. `size` is
    /// what one attempt may take, and `judge` says what an error means for the breaker.
    ///
    /// No `async fn`: each of those is a future inside a future, which is copied as a whole when it begins.
    pub(crate) fn hold<T, E, F>(
        &self,
        cx: &Context,
        op: &'static str,
        repeat: Repeat,
        size: Size,
        judge: fn(&E) -> Verdict,
        call: impl Fn() -> F + Send + Sync,
    ) -> impl Future<Output = Result<(T, Held), E>> + Send
    where
        T: Send,
        E: PortError + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        // A span that nobody listens to is not even made: this is on every call's way.
        let span = if tracing::span_enabled!(tracing::Level::DEBUG) {
            tracing::debug_span!("call", dependency = %self.settings.dependency, op)
        } else {
            tracing::Span::none()
        };
        async move {
            // 1. Deadline, outermost: it is the request's own promise, made before any of this began. One absolute
            //    instant bounds every wait below, so no wrapper cuts the call from outside and the breaker is told why an
            //    attempt ended.
            let deadline = self.deadline(cx);
            let bounds = Bounds {
                cx,
                deadline,
                size,
                judge,
            };
            let mut now = Instant::now();
            if let Some(budget) = &self.budget {
                budget.deposit(now);
            }
            let mut paid = None;
            let mut failed = 0;
            let mut last = None;
            // 2. Retry, outside the breaker: every attempt asks the breaker anew and is counted by it, and the pause
            //    between two attempts holds no slot.
            loop {
                let may_hedge = repeat == Repeat::Read && self.has_try_left(failed + 1);
                let (made, outcome) = self.attempts(&bounds, may_hedge, paid.take(), &call, now).await;
                let error = match outcome {
                    Ok(done) => return Ok(done),
                    // What the other side said tells more than why we did not ask again.
                    Err(Miss::NotMade(fault)) => {
                        if let Some(calls) = &self.watch {
                            calls.turned_away(&fault);
                        }
                        return Err(last.unwrap_or_else(|| fault.into()));
                    }
                    Err(Miss::Failed(error)) => error,
                };
                failed += made;
                let Some((pause, token)) = self.next_try(cx, repeat, failed, &error, deadline) else {
                    // The callers go on without it, so this is where its cause is told.
                    if let Some(fault) = error.fault() {
                        tracing::warn!(error = ?fault, failed, "call failed");
                    }
                    return Err(error);
                };
                tracing::debug!(
                    failed,
                    code = error.fault().map(|fault| fault.kind.as_str()),
                    pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    "call failed; trying again after a pause"
                );
                sleep(pause).await;
                now = Instant::now();
                paid = token;
                last = Some(error);
            }
        }
        .instrument(span)
    }

    /// The instant at which this request's calls end, if the step is on.
    pub(crate) fn deadline(&self, cx: &Context) -> Option<Instant> {
        self.settings.deadline.then(|| Instant::from_std(cx.deadline))
    }

    /// The pause before the next attempt and its token, or `None` if there is to be none. Everything that would stop the
    /// attempt is asked before the pause: nobody sleeps for nothing.
    fn next_try<E: PortError>(
        &self,
        cx: &Context,
        repeat: Repeat,
        failed: u32,
        error: &E,
        deadline: Option<Instant>,
    ) -> Option<(Duration, Option<Reserved<'_>>)> {
        let retry = self.settings.retry?;
        let fault = error.fault()?;
        if repeat == Repeat::Never || !fault.is_transient() || !self.has_try_left(failed) {
            return None;
        }
        if self.settings.ledger && cx.attempts.is_full() {
            return None;
        }
        let asked = fault.retry_after().unwrap_or_default();
        if asked > retry.longest_wait {
            return None;
        }
        let now = Instant::now();
        let ours = retry.pause(failed, self.jitter.unit());
        let pause = if asked.is_zero() {
            ours
        } else {
            // Never before the time that was asked for, and a while after it: others were told the same. Up to half of the
            // time that is then left, so that nobody fails by that who could have made it.
            let needed = now.checked_add(asked)?.checked_add(retry.least_time)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(needed));
            asked + left.map_or(ours, |left| ours.min(left / 2))
        };
        let needed = now.checked_add(pause)?.checked_add(retry.least_time)?;
        if deadline.is_some_and(|deadline| needed >= deadline) {
            return None;
        }
        if self
            .breaker
            .as_ref()
            .is_some_and(|breaker| breaker.refuses_after(pause))
        {
            return None;
        }
        match &self.budget {
            None => Some((pause, None)),
            Some(budget) => budget.reserve().map(|token| (pause, Some(token))),
        }
    }

    /// True if one more may follow `made` tries.
    fn has_try_left(&self, made: u32) -> bool {
        self.settings.retry.is_none_or(|retry| made < retry.max_attempts)
    }

    /// An attempt, and if it takes long perhaps another one beside it. Says how many were made; the first answer wins, and
    /// the other attempt is dropped, which says nothing about the other side.
    async fn attempts<T, E, F>(
        &self,
        bounds: &Bounds<'_, E>,
        may_hedge: bool,
        paid: Option<Reserved<'_>>,
        call: &(impl Fn() -> F + Send + Sync),
        now: Instant,
    ) -> (u32, Result<(T, Held), Miss<E>>)
    where
        T: Send,
        E: PortError + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        let mut first = pin!(self.attempt(bounds, paid, call, Room::Await, now));
        let Some(begins) = self.settings.hedge_after.filter(|_| may_hedge).and_then(|after| {
            let begins = now.checked_add(after)?;
            // Most answers come within that time, so that the second one needs as much again.
            let fits = bounds.deadline.is_none_or(|deadline| begins + after <= deadline);
            fits.then_some(begins)
        }) else {
            return (1, first.await);
        };
        if let Ok(outcome) = timeout_at(begins, &mut first).await {
            return (1, outcome);
        }
        let token = self.budget.as_ref().map(|budget| budget.reserve());
        if matches!(token, Some(None)) || (self.settings.ledger && bounds.cx.attempts.is_full()) {
            return (1, first.await);
        }
        tracing::debug!("no answer yet; asking once more beside the first");
        // Boxed, so that the many calls without a hedge do not carry the room for one.
        let mut second = Box::pin(self.attempt(bounds, token.flatten(), call, Room::Take, Instant::now()));
        let (outcome, other) = select(first, second.as_mut()).await.factor_first();
        match outcome {
            // Not an answer, so that the other one may still have it.
            Err(miss) if !miss.is_final() => match (miss, other.await) {
                (Miss::Failed(error), Err(Miss::NotMade(_))) => (1, Err(Miss::Failed(error))),
                (Miss::Failed(_), outcome) => (2, outcome),
                (Miss::NotMade(_), outcome) => (1, outcome),
            },
            outcome => (1, outcome),
        }
    }

    /// `now` has just been looked at.
    async fn attempt<T, E, F>(
        &self,
        bounds: &Bounds<'_, E>,
        paid: Option<Reserved<'_>>,
        call: &(impl Fn() -> F + Send + Sync),
        room: Room,
        now: Instant,
    ) -> Result<(T, Held), Miss<E>>
    where
        T: Send,
        E: PortError + Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        let Bounds {
            cx,
            deadline,
            size: Size { limit, tokens },
            judge,
        } = *bounds;
        let (mut held, mut begun) = self.enter(bounds, room, now).await?;
        // 5. Rate, so close to the call that only calls take from it, and every retry does. Its turn is given beforehand, so
        //    whoever has to wait for it keeps nobody from the slot meanwhile.
        if let Some(rate) = &self.rate {
            let leave = rate.ask(cx, tokens, deadline, room == Room::Await).await;
            let leave = leave.map_err(Miss::NotMade)?;
            if !leave.wait.is_zero() {
                drop(held);
                sleep(leave.wait).await;
                held = self.enter(bounds, room, Instant::now()).await?.0;
            }
            held.allow(leave);
            begun = Instant::now();
        }
        // The ledger counts calls and nothing else, so it is entered last. No other wait comes after it.
        if self.settings.ledger && !cx.attempts.begin() {
            let why = "this request has used up its attempts";
            return Err(Miss::NotMade(Fault::because(FaultKind::Overloaded, why)));
        }
        if let Some(token) = paid {
            token.spend();
        }
        // 6. Attempt timeout, innermost: it measures the other side alone, and no waiting of ours.
        held.begin(begun, self.watch.as_ref());
        let until = earlier(limit.and_then(|limit| begun.checked_add(limit)), deadline);
        let answer = match until {
            None => call().await,
            Some(until) => {
                let mut call = pin!(call());
                let mut answer = timeout_at(until, call.as_mut()).await;
                let mut verdict = slowness(limit, until - begun);
                if answer.is_err()
                    && let Some(more) = taken_by_us(until - begun, Instant::now() - until)
                {
                    let until = earlier(Instant::now().checked_add(more), deadline).unwrap_or(until);
                    answer = timeout_at(until, call).await;
                    verdict = Verdict::Neutral;
                }
                let Ok(answer) = answer else {
                    held.cut(verdict);
                    return Err(Miss::Failed(Fault::new(FaultKind::Timeout).into()));
                };
                answer
            }
        };
        match answer {
            Ok(value) => Ok((value, held)),
            Err(error) => {
                held.fail(judge(&error), error.fault());
                Err(Miss::Failed(error))
            }
        }
    }

    /// The breaker's permit and a slot, for a call that is to be made now, and when they were got.
    async fn enter<E: Send>(
        &self,
        bounds: &Bounds<'_, E>,
        room: Room,
        now: Instant,
    ) -> Result<(Held, Instant), Miss<E>> {
        let Bounds { cx, deadline, .. } = *bounds;
        // An answer to an expired request is for nobody, so nothing is taken for it.
        expired(deadline, now)?;
        // 3. Breaker, before the slot: while the dependency is out, callers are turned away at once instead of queueing.
        let mut permit = match &self.breaker {
            Some(breaker) => Some(breaker.admit_at(now).map_err(Miss::NotMade)?),
            None => None,
        };
        // 4. Slot, inside the breaker: only calls that will be made take one. A full queue is our own overload: the
        //    permit is dropped unsettled, because it says nothing about the other side.
        let take = async |slots: &Slots| match room {
            Room::Await => slots.take_at(cx.class, deadline, now).await,
            Room::Take => slots.try_take(),
        };
        let slot = match &self.slots {
            Some(slots) => Some(take(slots).await.map_err(Miss::NotMade)?),
            None => None,
        };
        // Boxed: few policies have one, and every call would carry the room for it.
        let shared = match &self.shared_slots {
            Some(slots) => Some(Box::new(Box::pin(take(slots)).await.map_err(Miss::NotMade)?)),
            None => None,
        };
        // The circuit may have opened while we stood in the queue; whoever comes out of it asks again.
        if let Some(breaker) = &self.breaker
            && permit.as_ref().is_some_and(|permit| !permit.is_current())
        {
            permit = Some(breaker.admit().map_err(Miss::NotMade)?);
        }
        // Only for the slot was anything waited.
        let got = slot.as_ref().map_or(now, Slot::given);
        let got = shared.as_ref().map_or(got, |slot| slot.given().max(got));
        expired(deadline, got)?;
        Ok((Held::new(permit, slot, shared), got))
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> Option<&Slots> {
        self.slots.as_deref()
    }
}

/// What an attempt that was cut off after `given` says about the other side. One that the deadline cut short of half its
/// own time says nothing: else a few requests with tiny deadlines would shut a healthy dependency for everybody.
fn slowness(limit: Option<Duration>, given: Duration) -> Verdict {
    match limit {
        Some(limit) if given.saturating_mul(2) >= limit => Verdict::Sick,
        Some(_) | None => Verdict::Neutral,
    }
}

/// The time that we have taken from an attempt ourselves, if it is much: its limit of `given` was noticed `late`, because this
/// process had no time to look. By then the answer may lie unread, so it gets that time back, at most once as much as it
/// had; and if none comes, that tells nothing of the other side. Else a machine that is busy would shut off all that is well.
fn taken_by_us(given: Duration, late: Duration) -> Option<Duration> {
    (late.saturating_mul(5) >= given).then(|| late.min(given))
}

fn expired<E>(deadline: Option<Instant>, now: Instant) -> Result<(), Miss<E>> {
    if deadline.is_some_and(|deadline| now >= deadline) {
        let why = "the request's deadline had passed";
        return Err(Miss::NotMade(Fault::because(FaultKind::Timeout, why)));
    }
    Ok(())
}

/// The earlier of two limits, where `None` is no limit.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
