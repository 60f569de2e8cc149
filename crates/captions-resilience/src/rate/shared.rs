//! Limits that several processes count together, and each alone while what they share is away.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use captions_domain::{
    caption::Degraded,
    context::Context,
    fault::Fault,
    ports::{Quota, QuotaKey},
    quota::{Decision, Plan, Presence, Take},
};

/// A quota that is shared with other processes, or counted here where it cannot be reached.
///
/// Alone, this process allows its share of the limit, one of `replicas`; a decision made so is counted, and noted as
/// [`Degraded::LimitsLocal`]. Without a quota to share all are made so, and none is noted: that is how it was set up.
pub struct SharedQuota {
    shared: Option<Arc<dyn Quota>>,
    local: Arc<dyn Quota>,
    replicas: u32,
    alone: AtomicU64,
    /// For the log, which tells only of changes.
    is_alone: AtomicBool,
}

impl SharedQuota {
    /// `shared` is expected to be guarded, so that a breaker keeps an outage from costing every decision its time-out.
    pub fn new(shared: Option<Arc<dyn Quota>>, local: Arc<dyn Quota>, replicas: u32) -> Self {
        Self {
            shared,
            local,
            replicas: replicas.max(1),
            alone: AtomicU64::new(0),
            is_alone: AtomicBool::new(false),
        }
    }

    /// Decisions made alone because the shared quota was away.
    pub fn alone(&self) -> u64 {
        self.alone.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for SharedQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedQuota")
            .field("is_shared", &self.shared.is_some())
            .field("replicas", &self.replicas)
            .field("alone", &self.alone())
            .finish_non_exhaustive()
    }
}

impl SharedQuota {
    /// What all count together, if that could be asked; tells when that changes.
    fn together<T>(&self, cx: &Context, asked: Result<T, Fault>) -> Option<T> {
        match asked {
            Ok(answer) => {
                if self.is_alone.swap(false, Ordering::Relaxed) {
                    tracing::info!("limits are counted together again");
                }
                Some(answer)
            }
            // The policy around it has told why.
            Err(fault) => {
                if !self.is_alone.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        code = fault.kind.as_str(),
                        replicas = self.replicas,
                        "limits are counted by this process alone"
                    );
                }
                self.alone.fetch_add(1, Ordering::Relaxed);
                cx.notes.add(Degraded::LimitsLocal);
                None
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Quota for SharedQuota {
    async fn take(&self, cx: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        if let Some(shared) = &self.shared
            && let Some(decision) = self.together(cx, shared.take(cx, key, plan, take).await)
        {
            return Ok(decision);
        }
        self.local.take(cx, key, &plan.divided(self.replicas), take).await
    }

    async fn attend(&self, cx: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
        let Presence::Enter { id, limit, lease } = *presence else {
            // Wherever it came in.
            let left = self.local.attend(cx, key, presence).await;
            return match &self.shared {
                Some(shared) => shared.attend(cx, key, presence).await,
                None => left,
            };
        };
        if let Some(shared) = &self.shared
            && let Some(left) = self.together(cx, shared.attend(cx, key, presence).await)
        {
            if left.is_some() {
                // So that this process knows its own if it is alone from now on.
                let known = Presence::Enter {
                    id,
                    limit: u64::MAX,
                    lease,
                };
                self.local.attend(cx, key, &known).await?;
            }
            return Ok(left);
        }
        let share = Presence::Enter {
            id,
            limit: (limit / u64::from(self.replicas)).max(1),
            lease,
        };
        self.local.attend(cx, key, &share).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use captions_domain::{
        fault::FaultKind,
        ports::MockQuota,
        quota::{Amount, Unit, Window},
    };

    use super::*;
    use crate::samples::{Lines, relaxed};

    fn plan() -> Plan {
        Plan::new([Window::new(Unit::Requests, 90, Duration::from_mins(1))])
    }

    fn answer(plan: &Plan, is_taken: bool) -> Decision {
        plan.decision(&plan.costs(&Take::default()), is_taken, 0, &[0])
    }

    /// One that tells by its room which plan it was asked with.
    fn local() -> Arc<dyn Quota> {
        let mut local = MockQuota::new();
        local.expect_take().returning(|_, _, plan, _| Ok(answer(plan, true)));
        Arc::new(local)
    }

    async fn ask(quota: &SharedQuota, cx: &Context) -> Decision {
        let take = Take {
            amount: Amount::request(0),
            ..Take::default()
        };
        let key = QuotaKey::new("test", "a");
        quota.take(cx, &key, &plan(), &take).await.unwrap()
    }

    #[tokio::test]
    async fn the_shared_quota_decides_while_it_answers() {
        let mut shared = MockQuota::new();
        shared.expect_take().returning(|_, _, plan, _| Ok(answer(plan, false)));
        let (quota, cx) = (SharedQuota::new(Some(Arc::new(shared)), local(), 3), relaxed());

        assert!(!ask(&quota, &cx).await.is_taken);
        assert_eq!((quota.alone(), cx.notes.all()), (0, vec![]));
    }

    #[tokio::test]
    async fn alone_it_gives_its_share_and_says_so() {
        let mut shared = MockQuota::new();
        shared
            .expect_take()
            .returning(|_, _, _, _| Err(Fault::new(FaultKind::Unavailable)));
        let (quota, cx) = (SharedQuota::new(Some(Arc::new(shared)), local(), 3), relaxed());

        assert_eq!(ask(&quota, &cx).await.room()[0].left, 30);
        assert_eq!((quota.alone(), cx.notes.all()), (1, vec![Degraded::LimitsLocal]));
    }

    #[tokio::test]
    async fn to_be_alone_is_told_once_and_so_is_its_end() {
        let lines = Lines::of("message");
        let _guard = tracing::subscriber::set_default(lines.clone());
        let mut shared = MockQuota::new();
        let mut asked = 0;
        shared.expect_take().returning(move |_, _, plan, _| {
            asked += 1;
            if (2..=4).contains(&asked) {
                Err(Fault::new(FaultKind::Unavailable))
            } else {
                Ok(answer(plan, true))
            }
        });
        let quota = SharedQuota::new(Some(Arc::new(shared)), local(), 3);

        for _ in 0..6 {
            ask(&quota, &relaxed()).await;
        }

        let told = [
            "limits are counted by this process alone",
            "limits are counted together again",
        ];
        assert_eq!(lines.all(), told);
    }

    /// One that answers with the limit it was asked with, and says who left.
    fn door(left: Arc<AtomicU64>) -> Arc<dyn Quota> {
        let mut door = MockQuota::new();
        door.expect_attend().returning(move |_, _, presence| match presence {
            Presence::Enter { limit, .. } => Ok(Some(*limit)),
            Presence::Leave { .. } => {
                left.fetch_add(1, Ordering::Relaxed);
                Ok(Some(0))
            }
        });
        Arc::new(door)
    }

    #[tokio::test]
    async fn who_is_there_is_counted_together_and_alone_by_the_share() {
        let (left, key) = (Arc::<AtomicU64>::default(), QuotaKey::new("test", "a"));
        let id = uuid::Uuid::from_u128(7);
        let enter = Presence::Enter {
            id,
            limit: 10,
            lease: Duration::from_secs(30),
        };
        let mut away = MockQuota::new();
        away.expect_attend()
            .returning(|_, _, _| Err(Fault::new(FaultKind::Unavailable)));
        for (shared, expected, notes) in [
            (Some(door(Arc::clone(&left))), 10, vec![]),
            (None, 3, vec![]),
            (Some(Arc::new(away) as Arc<dyn Quota>), 3, vec![Degraded::LimitsLocal]),
        ] {
            let (quota, cx) = (SharedQuota::new(shared, door(Arc::clone(&left)), 3), relaxed());
            assert_eq!(quota.attend(&cx, &key, &enter).await.unwrap(), Some(expected));
            assert_eq!(cx.notes.all(), notes);
            drop(quota.attend(&cx, &key, &Presence::Leave { id }).await);
        }
        // Of the shared one, and each time here.
        assert_eq!(left.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn with_nothing_to_share_it_is_no_news() {
        let (quota, cx) = (SharedQuota::new(None, local(), 2), relaxed());

        assert_eq!(ask(&quota, &cx).await.room()[0].left, 45);
        assert_eq!((quota.alone(), cx.notes.all()), (0, vec![]));
    }
}
