//! Is the server alive, and does it take work?

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{AppState, Component, ComponentStatus};

/// What `/readyz` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    status: ReadyStatus,
    /// With `?verbose`: the parts that the service depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    components: Option<Vec<Component>>,
}

/// Whether work is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadyStatus {
    Ok,
    /// Work is taken; something is missing that the answers will name.
    Degraded,
    /// The server is being put together.
    Starting,
    /// The server stops.
    Draining,
}

/// Alive
///
/// 200 as long as the process answers at all.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "Alive", body = String, content_type = "text/plain")))]
pub(crate) async fn livez() -> &'static str {
    "ok"
}

/// Alive, under the name that it had elsewhere
///
/// For probes that know no other name. It will go; `/livez` stays.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "Alive", body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    livez().await
}

/// Ready
///
/// 503 only while the server starts or stops. An outage of a provider, the store or the cache makes it `degraded`, not unready:
/// another server would have the same outage.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    params(("verbose" = Option<String>, Query, description = "List the components: empty, true or 1.")),
    responses(
        (status = 200, description = "Takes work", body = Readiness),
        (status = 503, description = "Starts or stops: takes no work", body = Readiness),
    )
)]
pub(crate) async fn readyz(State(state): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let components = (state.components)().await;
    let degraded = components
        .iter()
        .any(|component| component.status == ComponentStatus::Degraded);
    let (code, status) = match (state.lifecycle.draining.is_cancelled(), degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, ReadyStatus::Draining),
        (false, true) => (StatusCode::OK, ReadyStatus::Degraded),
        (false, false) => (StatusCode::OK, ReadyStatus::Ok),
    };
    let is_verbose = query
        .as_deref()
        .unwrap_or_default()
        .split('&')
        .any(|item| matches!(item, "verbose" | "verbose=true" | "verbose=1"));
    let body = Readiness {
        status,
        components: is_verbose.then_some(components),
    };
    (code, Json(body)).into_response()
}

/// The same before there is anything to ask.
pub(crate) async fn starting() -> Response {
    let body = Readiness {
        status: ReadyStatus::Starting,
        components: None,
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}
