//! What a handler knows of its request beside the content: name, tenant, deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::{FromRequestParts, Path};
use captions_api::problem::{Code, Problem};
use captions_domain::{
    batch::BatchId,
    caption::CaptionId,
    context::{Attempts, Class, Context, Notes},
    keys::KeyId,
    request::UserId,
    usage::Tab,
};
use http::request::Parts;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    auth::Caller,
    callers::{Admission, Standing},
    failure::Failure,
    state::AppState,
    turns::Turn,
};

/// The header by which a caller asks for an earlier answer, in milliseconds.
pub(crate) const TIMEOUT_HEADER: &str = "request-timeout-ms";

/// Ports keep the deadline by themselves. Only if one does not, the server answers for it, this much later.
const GRACE: Duration = Duration::from_millis(250);

/// The name of a request, put into its extensions by the request layer.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// A request on its way through the server.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) cx: Context,
    pub(crate) started: Instant,
    /// Empty where nothing is limited.
    pub(crate) admission: Admission,
    /// The request was begun before, with the same `Idempotency-Key`, and not brought to its end.
    pub(crate) again: bool,
    pub(crate) caller: Caller,
    /// How the caller's limits stand with it.
    pub(crate) standing: Arc<Standing>,
    /// Where only so many are answered at once: held as long as anything of the call lives.
    pub(crate) turn: Option<Arc<Turn>>,
}

impl FromRequestParts<AppState> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        // The one that was admitted, where limits are kept.
        match parts.extensions.get::<Self>() {
            Some(call) => Ok(call.clone()),
            None => Self::from_parts(parts, state),
        }
    }
}

impl Call {
    /// A call that begins now.
    pub(crate) fn from_parts(parts: &Parts, state: &AppState) -> Result<Self, Failure> {
        let started = Instant::now();
        let allowed = match parts.headers.get(TIMEOUT_HEADER) {
            None => state.limits.deadline,
            Some(value) => {
                let millis = value
                    .to_str()
                    .ok()
                    .and_then(|text| text.trim().parse::<u64>().ok())
                    .filter(|n| *n > 0);
                let Some(millis) = millis else {
                    let detail = "Request-Timeout-Ms is a whole number of milliseconds, at least 1";
                    return Err(Failure::new(Code::InvalidParameter, detail));
                };
                state.limits.deadline.min(Duration::from_millis(millis))
            }
        };
        let fresh_id = Uuid::now_v7();
        let request_id = match parts.extensions.get::<RequestId>() {
            Some(RequestId(id)) => Arc::clone(id),
            None => fresh_id.to_string().into(),
        };
        // Only what is free comes here without one, and touches nobody's data.
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_else(Caller::local);
        Ok(Self {
            cx: Context {
                tenant: caller.tenant.clone(),
                request_id,
                fresh_id,
                now: OffsetDateTime::now_utc().truncate_to_microsecond(),
                deadline: started + allowed,
                attempts: Arc::new(Attempts::up_to(state.limits.max_attempts)),
                class: Class::Interactive,
                notes: Arc::new(Notes::timed(Instant::now)),
                payers: caller.payers(state.budget),
                tab: Tab {
                    tally: state.usage.as_ref().map(|usage| Arc::clone(usage.tally())),
                    user: None,
                    key: caller.key.as_ref().map(|key| key.family),
                },
            },
            started,
            admission: Admission::default(),
            again: false,
            caller,
            standing: Arc::default(),
            turn: None,
        })
    }

    /// The instant at which the server answers even if nobody else does.
    pub(crate) fn latest(&self) -> tokio::time::Instant {
        (self.cx.deadline + GRACE).into()
    }

    /// Waits for `work`, but neither past the deadline (then the answer is `late`) nor past the end of the server.
    pub(crate) fn within<T>(
        &self,
        state: &AppState,
        late: Code,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<T, Failure>> + Send {
        // Else there would be room for it in this future twice, and once more in that of each caller.
        let mut work = Box::pin(work);
        async move {
            tokio::select! {
                biased;
                done = &mut work => Ok(done),
                () = state.lifecycle.closing.cancelled() => Err(self.cut_off(Code::ShuttingDown).into()),
                () = tokio::time::sleep_until(self.latest()) => Err(self.cut_off(late).into()),
            }
        }
    }

    /// The problem of work that was not waited for.
    pub(crate) fn cut_off(&self, code: Code) -> Problem {
        let detail = if code == Code::ShuttingDown {
            "the server stopped before the work was done"
        } else {
            "the work was not done before the deadline"
        };
        Problem::new(code, detail).after(self.cx.attempts.begun())
    }
}

/// The user in the path.
pub(crate) struct UserPath(pub(crate) UserId);

impl FromRequestParts<AppState> for UserPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let id = segment(parts, state).await?;
        UserId::new(&id)
            .map(Self)
            .map_err(|invalid| Failure::new(Code::InvalidParameter, invalid.rule))
    }
}

/// The user in the path, and the name of a suggestion for them.
pub(crate) struct SuggestionPath(pub(crate) UserId, pub(crate) String);

impl FromRequestParts<AppState> for SuggestionPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let Path((id, suggestion)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| not_utf8())?;
        let user = UserId::new(&id).map_err(|invalid| Failure::new(Code::InvalidParameter, invalid.rule))?;
        Ok(Self(user, suggestion))
    }
}

/// The batch in the path.
pub(crate) struct BatchPath(pub(crate) BatchId);

impl FromRequestParts<AppState> for BatchPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let id = segment(parts, state).await?;
        id.parse()
            .map(Self)
            .map_err(|invalid: captions_domain::request::Invalid| Failure::new(Code::InvalidParameter, invalid.rule))
    }
}

/// The caption in the path.
pub(crate) struct CaptionPath(pub(crate) CaptionId);

impl FromRequestParts<AppState> for CaptionPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let id = segment(parts, state).await?;
        id.parse()
            .map(Self)
            .map_err(|invalid: captions_domain::request::Invalid| Failure::new(Code::InvalidParameter, invalid.rule))
    }
}

/// The key in the path.
pub(crate) struct KeyPath(pub(crate) KeyId);

impl FromRequestParts<AppState> for KeyPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let id = segment(parts, state).await?;
        id.parse()
            .map(Self)
            .map_err(|invalid: captions_domain::request::Invalid| Failure::new(Code::InvalidParameter, invalid.rule))
    }
}

async fn segment(parts: &mut Parts, state: &AppState) -> Result<String, Failure> {
    Path::<String>::from_request_parts(parts, state)
        .await
        .map(|Path(id)| id)
        .map_err(|_| not_utf8())
}

fn not_utf8() -> Failure {
    Failure::new(Code::InvalidParameter, "the address is not percent-encoded UTF-8")
}
