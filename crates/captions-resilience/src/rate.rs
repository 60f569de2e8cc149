//! How often a provider is called: our own limits toward it, and what it says of its.
//!
//! [`Rate`] is a step of a [`Policy`](crate::policy::Policy); the counting is done by a
//! [`Limiter`], over a quota that several processes may share
//! ([`shared::SharedQuota`]), and by a [`Headroom`] of this process alone.

mod headroom;
pub mod shared;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind},
    limiter::{Limiter, Pass},
    ports::QuotaKey,
    quota::Amount,
};
use tokio::time::Instant;

pub use self::headroom::Headroom;
use self::headroom::Inside;
use crate::monitor::LimiterStats;

/// The limits toward one provider.
#[derive(Debug, Clone)]
pub struct Rate {
    /// Our own limit and whose it is: those who are called at one host share a key. `None`: there is none.
    pub limit: Option<(Limiter, QuotaKey)>,
    /// What the provider tells of its own. `None`: it is not listened to.
    pub headroom: Option<Arc<Headroom>>,
    /// The longest that a call waits for its turn. Where it would have to wait longer, or for more than half of its time
    /// before the deadline, it is refused at once, so that somebody else can be asked: a call that is given up in the middle
    /// is paid for and serves nobody.
    pub longest_wait: Duration,
    /// What was decided, for whoever wants to know.
    pub decisions: Arc<Decisions>,
}

/// Counts what was decided since the start.
#[derive(Debug, Default)]
pub struct Decisions {
    allowed: AtomicU64,
    refused: AtomicU64,
    waited: AtomicU64,
}

impl Decisions {
    /// The figures, of which `alone` is not known here.
    pub fn stats(&self) -> LimiterStats {
        LimiterStats {
            allowed: self.allowed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            alone: 0,
        }
    }

    fn count(&self, leave: Result<&Leave, &Fault>) {
        let count = |figure: &AtomicU64| figure.fetch_add(1, Ordering::Relaxed);
        match leave {
            Err(_) => {
                count(&self.refused);
            }
            Ok(leave) => {
                count(&self.allowed);
                if !leave.wait.is_zero() {
                    count(&self.waited);
                }
            }
        }
    }
}

/// The leave to make one call.
#[derive(Debug)]
pub(crate) struct Leave {
    pass: Option<Pass>,
    /// Counted as a call under way until it is dropped.
    inside: Option<Inside>,
    /// How long to wait before the call.
    pub(crate) wait: Duration,
}

impl Leave {
    /// The call is being made. Without this a dropped leave gives back what it took.
    pub(crate) fn begin(&mut self) {
        if let Some(pass) = &mut self.pass {
            pass.begin();
        }
        if let Some(inside) = &mut self.inside {
            inside.begin();
        }
    }

    /// The call took so many tokens.
    pub(crate) fn used(self, tokens: u64) {
        if let Some(pass) = self.pass {
            pass.used(tokens);
        }
    }
}

impl Rate {
    /// Asks for leave for a call of about so many tokens; with `may_wait`, also for one that comes later. Does not wait
    /// itself. Those who wait are served in the order in which they asked.
    pub(crate) async fn ask(
        &self,
        cx: &Context,
        tokens: u64,
        deadline: Option<Instant>,
        may_wait: bool,
    ) -> Result<Leave, Fault> {
        let leave = self.decide(cx, tokens, deadline, may_wait).await;
        self.decisions.count(leave.as_ref());
        leave
    }

    async fn decide(
        &self,
        cx: &Context,
        tokens: u64,
        deadline: Option<Instant>,
        may_wait: bool,
    ) -> Result<Leave, Fault> {
        let patience = if may_wait {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            left.map_or(self.longest_wait, |left| self.longest_wait.min(left / 2))
        } else {
            Duration::ZERO
        };
        let amount = Amount::request(tokens);
        // The provider's word first: asking it costs nothing that would have to be given back.
        let inside = match &self.headroom {
            Some(headroom) => Some(headroom.enter(amount, patience).map_err(told_to_wait)?),
            None => None,
        };
        let pass = match &self.limit {
            Some((limiter, key)) => {
                let pass = limiter.take(cx, key, amount, patience).await;
                Some(pass.map_err(|refused| limited(refused.wait))?)
            }
            None => None,
        };
        let wait = pass.as_ref().map_or(Duration::ZERO, |pass| pass.wait);
        let wait = inside.as_ref().map_or(wait, |inside| inside.wait.max(wait));
        Ok(Leave { pass, inside, wait })
    }
}

fn told_to_wait(wait: Duration) -> Fault {
    let kind = FaultKind::RateLimited {
        retry_after: Some(wait),
    };
    Fault::because(kind, "the provider has said that it takes no calls now")
}

fn limited(wait: Duration) -> Fault {
    let kind = FaultKind::RateLimited {
        retry_after: Some(wait),
    };
    Fault::because(kind, "our own limit toward the provider is reached")
}
