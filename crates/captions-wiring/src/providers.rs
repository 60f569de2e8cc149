//! The providers one by one, for those who look after them.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use captions_domain::{
    brief::Brief,
    context::{Attempts, Context},
    fault::{Fault, FaultKind, LlmError},
    ports::{Completion, Description, LlmProvider},
    prompt::{self, Format},
    request::{CaptionRequest, Description as Subject, Invalid},
    user::Preferences,
};
use captions_resilience::remembered::{LastFailure, Remembered};
use tokio::time::timeout;

use crate::readiness::Component;

/// What a probe may take.
const PROBE: Duration = Duration::from_secs(10);
/// What a probe asks for a caption about.
const SUBJECT: &str = "A cup of coffee on a table";

/// Whether a provider is asked first or last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In its order, or by its name.
    Chain,
    /// Only when the whole chain has failed.
    Fallback,
}

impl Role {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Fallback => "fallback",
        }
    }
}

/// All providers of this process, in the order in which they are asked. Clones are the same.
#[derive(Clone, Default)]
pub struct Providers(Arc<[Known]>);

/// One of them.
pub(crate) struct Known {
    role: Role,
    llm: Arc<Remembered>,
    component: Component,
}

impl Known {
    pub(crate) const fn new(role: Role, llm: Arc<Remembered>, component: Component) -> Self {
        Self { role, llm, component }
    }
}

/// How a provider is.
#[derive(Debug, Clone)]
pub struct ProviderStatus {
    pub role: Role,
    pub description: Description,
    pub ok: bool,
    /// Why it is not ok: short, without addresses and secrets.
    pub why: Option<Cow<'static, str>>,
    /// `closed`, `open` or `half_open`, if it has a breaker.
    pub breaker: Option<&'static str>,
    pub last_failure: LastFailure,
}

/// What came of a probe.
#[derive(Debug)]
pub struct Probed {
    pub model: String,
    pub took: Duration,
    pub attempts: u32,
    pub outcome: Result<(), LlmError>,
}

impl Providers {
    pub(crate) fn new(known: Vec<Known>) -> Self {
        Self(known.into())
    }

    /// How each of them is, as far as that is known without a call.
    pub async fn check(&self) -> Vec<ProviderStatus> {
        let mut all = Vec::with_capacity(self.0.len());
        for known in self.0.iter() {
            let status = known.component.status().await;
            all.push(ProviderStatus {
                role: known.role,
                description: known.llm.describe().clone(),
                ok: status.ok,
                why: status.why,
                breaker: status.breaker,
                last_failure: known.llm.last_failure(),
            });
        }
        all
    }

    /// Asks one of them for a short caption, through its policy and once: at most 10 s. `None` if there is none of this name.
    pub async fn probe(&self, cx: &Context, name: &str) -> Option<Probed> {
        let known = self.0.iter().find(|known| known.llm.describe().provider == name)?;
        let begun = Instant::now();
        let attempts = Arc::new(Attempts::up_to(1));
        let cx = Context {
            attempts: Arc::clone(&attempts),
            ..cx.until(begun + PROBE)
        };
        let outcome = match question() {
            Ok(prompt) => timeout(PROBE, known.llm.complete(&cx, &prompt))
                .await
                .unwrap_or_else(|_| Err(Fault::new(FaultKind::Timeout).into())),
            Err(_) => Err(Fault::new(FaultKind::Internal).into()),
        };
        Some(Probed {
            model: known.llm.describe().model.clone(),
            took: begun.elapsed(),
            attempts: attempts.begun(),
            outcome: outcome.and_then(|answer: Completion| {
                if answer.text.trim().is_empty() {
                    return Err(LlmError::unusable("the answer is empty"));
                }
                Ok(())
            }),
        })
    }
}

fn question() -> Result<prompt::Prompt, Invalid> {
    let request = CaptionRequest::new(Subject::new(SUBJECT)?);
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    Ok(prompt::render(&brief, &[], Format::Plain, None))
}
