//! How the parts are, for readiness pages.

use std::{borrow::Cow, sync::Arc, time::Duration};

use captions_embedded::spool::SpooledCaptions;
use captions_redis::RedisCache;
use captions_resilience::{breaker::State, policy::Policy};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};

use crate::{settings::Settings, store::Store};

/// How long a part may take to show a sign of life.
const LIMIT: Duration = Duration::from_secs(1);
/// How long an answer is good for, so that nobody can load the parts by asking.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Asks the parts, all at once and at most once a second.
pub struct Readiness {
    components: Vec<Component>,
    last: Mutex<Option<(Instant, Vec<Status>)>>,
}

/// How one part is. A part that is not ok costs quality or speed; the service answers all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `store`, `spool`, `cache`, or a provider's name.
    pub name: String,
    pub ok: bool,
    /// Why it is not ok: short, without addresses and secrets.
    pub why: Option<Cow<'static, str>>,
    /// Its circuit breaker, if it has one: `closed`, `open`, `half_open`.
    pub breaker: Option<&'static str>,
}

impl Readiness {
    pub(crate) fn new(components: Vec<Component>) -> Self {
        Self {
            components,
            last: Mutex::default(),
        }
    }

    /// The state of every part, at most a second old. Takes at most a second.
    pub async fn check(&self) -> Vec<Status> {
        // Held while the parts are asked: whoever comes meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, statuses)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return statuses.clone();
        }
        let mut asked = tokio::task::JoinSet::new();
        for (place, component) in self.components.iter().cloned().enumerate() {
            asked.spawn(async move { (place, component.status().await) });
        }
        let mut statuses = asked.join_all().await;
        statuses.sort_by_key(|(place, _)| *place);
        let statuses: Vec<Status> = statuses.into_iter().map(|(_, status)| status).collect();
        *last = Some((Instant::now(), statuses.clone()));
        statuses
    }
}

/// A part, and how to find out about it.
#[derive(Clone)]
pub(crate) struct Component {
    name: Arc<str>,
    policy: Option<Policy>,
    probe: Probe,
}

#[derive(Clone)]
pub(crate) enum Probe {
    /// Only its breaker tells: asking would cost.
    None,
    Store {
        store: Store,
        tables_are_current: watch::Receiver<bool>,
    },
    /// Where captions wait for the store; `None` if there is no place for it.
    Spool(Option<Arc<SpooledCaptions>>),
    Redis(Arc<RedisCache>),
    #[cfg(feature = "local-llm")]
    Model(Arc<captions_local_llm::ModelFiles>),
}

impl Probe {
    /// The local model's file, wherever the settings place it.
    pub(crate) fn model(settings: &Settings) -> Self {
        #[cfg(feature = "local-llm")]
        if let Some(files) = crate::model::files(settings) {
            return Self::Model(Arc::new(files));
        }
        let _ = settings;
        Self::None
    }

    async fn ask(&self) -> Result<(), Cow<'static, str>> {
        match self {
            Self::None => Ok(()),
            Self::Store {
                store,
                tables_are_current,
            } => {
                store.ping().await.map_err(|_| "not reachable")?;
                if *tables_are_current.borrow() {
                    Ok(())
                } else {
                    Err("its tables are not up to date".into())
                }
            }
            Self::Spool(None) => Err("its file cannot be used".into()),
            Self::Spool(Some(spool)) => match spool.snapshot().await {
                Ok(found) if found.rows == 0 => Ok(()),
                Ok(found) => Err(format!("{} writes wait for the store", found.rows).into()),
                Err(_) => Err("its file cannot be read".into()),
            },
            Self::Redis(redis) => redis.ping().await.map_err(|_| "not reachable".into()),
            #[cfg(feature = "local-llm")]
            Self::Model(files) => match captions_local_llm::locate(files) {
                Some(_) => Ok(()),
                None => Err("its model file is missing: captions model pull".into()),
            },
        }
    }
}

impl Component {
    pub(crate) fn new(name: &str, policy: Option<Policy>, probe: Probe) -> Self {
        Self {
            name: name.into(),
            policy,
            probe,
        }
    }

    /// The Redis server and the policy of all calls to it, if that is what this part is.
    pub(crate) fn redis(&self) -> Option<(&Arc<RedisCache>, &Policy)> {
        match (&self.probe, &self.policy) {
            (Probe::Redis(redis), Some(policy)) => Some((redis, policy)),
            _ => None,
        }
    }

    /// Has it connect now, so that one that is away is in the log from the start.
    pub(crate) async fn greet(&self) {
        // The adapter logs it, and the start goes on either way.
        drop(timeout(LIMIT, self.probe.ask()).await);
    }

    pub(crate) async fn status(&self) -> Status {
        let state = self
            .policy
            .as_ref()
            .and_then(Policy::snapshot)
            .map(|snapshot| snapshot.state);
        let outcome = match state {
            // What keeps calls away from it keeps us away too.
            Some(State::Open | State::ForcedOpen) => Err("its circuit is open".into()),
            Some(State::HalfOpen) if matches!(self.probe, Probe::None) => Err("its circuit waits for a probe".into()),
            Some(State::HalfOpen | State::Closed | State::ForcedClosed) | None => timeout(LIMIT, self.probe.ask())
                .await
                .unwrap_or(Err("no answer in time".into())),
        };
        Status {
            name: self.name.to_string(),
            ok: outcome.is_ok(),
            why: outcome.err(),
            breaker: state.map(State::as_str),
        }
    }
}

#[cfg(test)]
mod tests;
