//! Asking a [`Quota`] for leave, and telling it afterwards what was really used.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;

use crate::{
    context::Context,
    ports::{Quota, QuotaKey},
    quota::{Amount, Correction, Decision, Plan, Room, Take},
};

/// The most keys whose corrections are kept for later.
const MOST_PENDING: usize = 10_000;

/// One plan over a quota. Clones are the same limiter.
///
/// What a take turns out to have been too much or too little is put right together with the next take of the same key:
/// it costs no call of its own, can be told from anywhere, and is in time for whoever comes next in this process. What is
/// still to be put right when the process ends is lost, and heals as the windows fill. A take whose answer nobody waits for
/// any more counts as made, with what it puts right: it has nearly always been sent by then, and what is told twice would
/// let through more than the limit.
///
/// A quota that fails lets everything pass: a limit is there to protect, and a limiter that is out of order must not be
/// what stops the service.
#[derive(Clone)]
pub struct Limiter {
    inner: Arc<Inner>,
    plan: Arc<Plan>,
}

struct Inner {
    quota: Arc<dyn Quota>,
    /// Nobody can choose keys that meet: they are digests.
    pending: Mutex<HashMap<QuotaKey, Correction, RandomState>>,
}

/// Why nothing was taken, and when to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Exactly until there is room, if nobody else comes first.
    pub wait: Duration,
    /// For each window of the plan.
    pub room: Vec<Room>,
}

impl Limiter {
    pub fn new(quota: Arc<dyn Quota>, plan: Plan) -> Self {
        let inner = Inner {
            quota,
            pending: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
            plan: Arc::new(plan),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same quota, and what is still to be put right there, with another plan: for keys with limits of their own.
    #[must_use]
    pub fn with_plan(&self, plan: Plan) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            plan: Arc::new(plan),
        }
    }

    /// Takes the amount, if it is there within `patience`. Never waits itself, but for the quota's answer.
    pub async fn take(
        &self,
        cx: &Context,
        key: &QuotaKey,
        amount: Amount,
        patience: Duration,
    ) -> Result<Pass, Refused> {
        let plan = &*self.plan;
        let taken = plan.fitting(amount);
        let take = Take {
            amount: taken,
            patience,
            correction: self.pending().remove(key).unwrap_or_default(),
        };
        let decision = match self.inner.quota.take(cx, key, plan, &take).await {
            Ok(decision) if decision.is_taken => Some(decision),
            Ok(decision) => {
                return Err(Refused {
                    wait: decision.wait,
                    room: decision.room(),
                });
            }
            Err(_) => None,
        };
        Ok(Pass {
            limiter: self.clone(),
            taken,
            begun: false,
            wait: decision.as_ref().map_or(Duration::ZERO, |decision| decision.wait),
            of: Box::new((key.clone(), decision)),
        })
    }

    fn put_right(&self, key: &QuotaKey, correction: Correction) {
        if correction.is_nothing() {
            return;
        }
        let mut pending = self.pending();
        if pending.len() >= MOST_PENDING && !pending.contains_key(key) {
            // So many that came once and not again: by now most of their windows are full.
            pending.clear();
        }
        let all = pending.entry(key.clone()).or_default();
        *all = all.and(correction);
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<QuotaKey, Correction, RandomState>> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// The leave to do something once. Dropped before [`Pass::begin`], all of it is given back.
#[derive(Debug)]
#[must_use = "dropped at once, it is given back"]
pub struct Pass {
    limiter: Limiter,
    /// Who has it, and what the quota said, if it could be asked. Boxed, because every call has room for a pass, also where
    /// nothing is limited, and that room is moved about.
    of: Box<(QuotaKey, Option<Decision>)>,
    taken: Amount,
    begun: bool,
    /// How long to wait before it may be used.
    pub wait: Duration,
}

impl Pass {
    /// How the windows of the plan stand since; empty if the quota could not be asked.
    pub fn room(&self) -> Vec<Room> {
        let (_, decision) = &*self.of;
        decision.as_ref().map(Decision::room).unwrap_or_default()
    }

    /// It is being used: from now on the request counts whatever becomes of it, and the tokens as they were guessed until
    /// [`Pass::used`] tells better.
    pub const fn begin(&mut self) {
        self.begun = true;
    }

    /// So many tokens it was in the end.
    pub fn used(mut self, tokens: u64) {
        self.begun = true;
        let used = Amount { tokens, ..self.taken };
        self.limiter.put_right(&self.of.0, Correction::of(self.taken, used));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.begun {
            let all = Correction::of(self.taken, Amount::default());
            self.limiter.put_right(&self.of.0, all);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        context::{Attempts, Class, TenantId},
        fault::{Fault, FaultKind},
        ports::MockQuota,
        quota::Meter,
    };

    fn cx() -> Context {
        Context {
            tenant: TenantId::local(),
            request_id: "r-1".into(),
            fresh_id: Uuid::nil(),
            now: OffsetDateTime::UNIX_EPOCH,
            deadline: std::time::Instant::now() + Duration::from_secs(60),
            attempts: Arc::new(Attempts::up_to(3)),
            class: Class::Interactive,
            notes: Arc::default(),
            payers: Arc::default(),
            tab: crate::usage::Tab::default(),
        }
    }

    /// A limiter over meters whose time stands still.
    fn limiter(plan: Plan) -> Limiter {
        let meters = Mutex::new(HashMap::<QuotaKey, Meter>::new());
        let mut quota = MockQuota::new();
        quota.expect_take().returning(move |_, key, plan, take| {
            Ok(meters
                .lock()
                .unwrap()
                .entry(key.clone())
                .or_default()
                .take(plan, take, 1))
        });
        Limiter::new(Arc::new(quota), plan)
    }

    fn left(pass: &Pass) -> Vec<u64> {
        pass.room().iter().map(|room| room.left).collect()
    }

    async fn take(limiter: &Limiter, owner: &str, tokens: u64) -> Result<Pass, Refused> {
        let key = QuotaKey::new("test", owner);
        limiter.take(&cx(), &key, Amount::request(tokens), Duration::ZERO).await
    }

    #[tokio::test]
    async fn a_pass_that_is_not_used_is_given_back() {
        let limiter = limiter(Plan::per_minute_and_hour(2, 0, 100));
        let first = take(&limiter, "ana", 100).await.unwrap();
        assert_eq!(left(&first), [1, 0]);
        drop(first);

        let mut second = take(&limiter, "ana", 60).await.unwrap();
        assert_eq!(left(&second), [1, 40]);
        second.begin();
        drop(second);

        let third = take(&limiter, "ana", 40).await.unwrap();
        assert_eq!(left(&third), [0, 0]);
    }

    #[tokio::test]
    async fn the_real_use_is_put_right_with_the_next_take_of_the_same_key() {
        let limiter = limiter(Plan::per_minute_and_hour(0, 0, 100));
        let mut pass = take(&limiter, "ana", 80).await.unwrap();
        pass.begin();
        pass.used(30);
        take(&limiter, "ben", 80).await.unwrap().used(95);

        assert_eq!(left(&take(&limiter, "ana", 0).await.unwrap()), [70]);
        assert_eq!(left(&take(&limiter, "ben", 0).await.unwrap()), [5]);
    }

    #[tokio::test]
    async fn with_another_plan_it_is_the_same_limiter() {
        let limiter = limiter(Plan::per_minute_and_hour(0, 0, 100));
        let larger = limiter.with_plan(Plan::per_minute_and_hour(0, 0, 500));

        take(&larger, "ana", 400).await.unwrap().used(450);

        assert_eq!(left(&take(&larger, "ana", 0).await.unwrap()), [50]);
        assert_eq!(larger.plan(), &Plan::per_minute_and_hour(0, 0, 500));
    }

    #[tokio::test]
    async fn a_refusal_and_a_pass_tell_the_wait() {
        let limiter = limiter(Plan::per_minute_and_hour(1, 0, 0));
        take(&limiter, "ana", 0).await.unwrap().used(0);

        let refused = take(&limiter, "ana", 0).await.unwrap_err();
        let key = QuotaKey::new("test", "ana");
        let hour = Duration::from_hours(1);
        let waiting = limiter.take(&cx(), &key, Amount::request(0), hour).await.unwrap();

        assert_eq!(
            (refused.wait, waiting.wait),
            (Duration::from_mins(1), Duration::from_mins(1))
        );
    }

    #[tokio::test]
    async fn a_quota_that_fails_lets_pass() {
        let mut quota = MockQuota::new();
        quota
            .expect_take()
            .returning(|_, _, _, _| Err(Fault::new(FaultKind::Unavailable)));
        let limiter = Limiter::new(Arc::new(quota), Plan::per_minute_and_hour(1, 0, 0));

        for _ in 0..3 {
            let mut pass = take(&limiter, "ana", 0).await.unwrap();
            pass.begin();
            assert_eq!((pass.wait, pass.room().len()), (Duration::ZERO, 0));
        }
    }

    #[tokio::test]
    async fn corrections_of_ever_new_keys_are_bounded() {
        let mut quota = MockQuota::new();
        quota.expect_take().returning(|_, _, plan, take| {
            let costs = plan.costs(take);
            let ahead = vec![0; costs.len()];
            Ok::<Decision, Fault>(plan.decision(&costs, true, 0, &ahead))
        });
        let limiter = Limiter::new(Arc::new(quota), Plan::per_minute_and_hour(1, 0, 0));

        for caller in 0..2 * MOST_PENDING {
            drop(take(&limiter, &caller.to_string(), 0).await);
        }

        assert!(limiter.pending().len() <= MOST_PENDING);
    }
}
