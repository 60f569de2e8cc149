//! What operators ask on a listener of their own: metrics, and a hand on the circuit breakers.
//!
//! Nobody is asked who they are; the settings keep the listener on loopback unless an operator says otherwise. A change needs
//! a body that is declared as JSON, which no web page can send here without being asked first.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Path, State, rejection::PathRejection},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use captions_api::problem::Code;
use captions_wiring::monitor::{BreakerStats, Monitor};
use http::header;
use serde::{Deserialize, Serialize};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    body::JsonBody,
    failure::Failure,
    health, layers,
    state::{AppState, Lifecycle},
};

/// The media type of Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every address for operators.
pub fn admin_router(state: AppState) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/metrics", get(metrics))
        .route("/breakers", get(breakers))
        .route("/breakers/{name}", post(force))
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::not_allowed)
        .layer(CatchPanicLayer::custom(layers::after_panic))
        // With a life of its own: a server that drains is looked at too.
        .layer(middleware::from_fn_with_state(Lifecycle::default(), layers::request))
        .with_state(state)
}

async fn metrics(State(state): State<AppState>) -> Response {
    ([(header::CONTENT_TYPE, METRICS)], state.monitor.summary().prometheus()).into_response()
}

/// Every breaker by its name: `database`, `cache`, and `api.NAME` for a provider.
#[derive(Debug, Serialize)]
struct Breakers {
    breakers: BTreeMap<String, BreakerStats>,
}

async fn breakers(State(state): State<AppState>) -> Json<Breakers> {
    Json(Breakers {
        breakers: state.monitor.breakers().into_iter().collect(),
    })
}

/// What an operator wants of a breaker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: Forced,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Forced {
    /// No call is made.
    Open,
    /// Every call is made.
    Closed,
    /// The calls decide again.
    Auto,
}

/// Answers how the breaker is then.
async fn force(
    State(state): State<AppState>,
    name: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Json<BreakerStats>, Failure> {
    let wish: Wish = serde_json::from_value(body).map_err(|_| {
        let detail = "the body is {\"state\": \"open\"}, or the same with \"closed\" or \"auto\"";
        Failure::new(Code::InvalidParameter, detail)
    })?;
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let changed = state.monitor.with_breaker(&name, |breaker| match wish.state {
        Forced::Open => breaker.force_open(),
        Forced::Closed => breaker.force_closed(),
        Forced::Auto => breaker.automatic(),
    });
    changed.map(Json).ok_or_else(|| unknown(&state.monitor))
}

fn unknown(monitor: &Monitor) -> Failure {
    let known: Vec<String> = monitor.breakers().into_iter().map(|(name, _)| name).collect();
    let detail = if known.is_empty() {
        "there is no breaker at all".to_owned()
    } else {
        format!("there is no such breaker; there are: {}", known.join(", "))
    };
    Failure::new(Code::RouteNotFound, detail)
}
