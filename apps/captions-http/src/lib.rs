//! The HTTP API: [`router`] for the addresses, [`serve()`] for the connections. Knows the engine and no adapter; of the
//! composition root it knows the counts, and only [`start`] the rest.
//!
//! A handler turns a body into a checked request, asks the engine or a store, and turns the answer into a document of
//! `captions-api`. Whatever goes wrong becomes a problem document in one place, the request layer.

mod admin;
mod auth;
mod batches;
mod body;
mod call;
mod callers;
mod captions;
mod check;
mod deprecation;
mod failure;
mod feedback;
mod guard;
mod hashtags;
mod health;
mod history;
mod keys;
mod layers;
mod limits;
mod more;
mod once;
mod openapi;
mod options;
mod pages;
mod preferences;
mod providers;
mod replay;
mod results;
mod rewrites;
mod scores;
mod serve;
pub mod start;
mod state;
mod stats;
mod stream;
mod tags;
mod told;
mod turns;
mod usage;
mod users;
mod voice;
mod warm_up;

use axum::{Router, middleware, routing::get};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use admin::admin_router;
pub use once::Once;
pub use replay::{Keeping, Streams};
pub use serve::{serve, serve_admin, serve_starting};
pub use state::{AppState, Component, ComponentStatus, Concurrency, Keys, Lifecycle, Limits};
pub use turns::Turns;

/// Every address of the API.
pub fn router(state: AppState) -> Router {
    let (router, _) = operations().split_for_parts();
    let router = router
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::not_allowed)
        // Within the limits: an answer that is given again is a request like any other, and costs no tokens.
        .layer(middleware::from_fn_with_state(state.clone(), once::once))
        .layer(middleware::from_fn_with_state(state.clone(), callers::admit))
        // Before the limits, which belong to a caller.
        .layer(middleware::from_fn_with_state(state.clone(), auth::require))
        // Inside the request layer, which writes the problem that it leaves.
        .layer(CatchPanicLayer::custom(layers::after_panic))
        .layer(middleware::from_fn_with_state(state.limits, guard::heads));
    // Outside of all that refuses, so that a page can read why.
    let router = match guard::cors(&state.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(middleware::from_fn(deprecation::tell))
        .layer(middleware::from_fn_with_state(state.lifecycle.clone(), layers::request))
        .with_state(state)
}

/// What answers until the engine is there: alive, not ready, nothing else yet.
pub fn starting_router() -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::starting))
        .fallback(layers::starting)
        .layer(middleware::from_fn_with_state(Lifecycle::default(), layers::request))
}

/// The OpenAPI 3.1 document of a server that asks for keys.
pub fn openapi() -> serde_json::Value {
    openapi::complete(&operations().into_openapi())
}

/// The same of a server that answers without a key, too.
fn openapi_without_keys() -> serde_json::Value {
    let mut document = openapi();
    auth::make_optional(&mut document);
    document
}

fn operations() -> OpenApiRouter<AppState> {
    let mut router = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(captions::create))
        .routes(routes!(stream::create))
        .routes(routes!(history::list))
        .routes(routes!(history::export))
        .routes(routes!(captions::read, captions::pick, captions::erase))
        .routes(routes!(more::create))
        .routes(routes!(history::of_user))
        .routes(routes!(hashtags::choose))
        .routes(routes!(rewrites::create))
        .routes(routes!(rewrites::of_stored))
        .routes(routes!(check::create))
        .routes(routes!(scores::create))
        .routes(routes!(feedback::replace))
        .routes(routes!(users::create, users::list))
        .routes(routes!(users::read, users::patch, users::erase))
        .routes(routes!(
            preferences::read,
            preferences::patch,
            preferences::replace,
            preferences::erase
        ))
        .routes(routes!(results::read, results::import, results::forget))
        .routes(routes!(voice::read, voice::learn, voice::forget))
        .routes(routes!(voice::suggestions))
        .routes(routes!(voice::accept))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::read, keys::patch, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(limits::read))
        .routes(routes!(usage::read))
        .routes(routes!(voice::dismiss))
        .routes(routes!(batches::create, batches::list))
        .routes(routes!(batches::read))
        .routes(routes!(batches::cancel))
        .routes(routes!(batches::retry))
        .routes(routes!(batches::results))
        .routes(routes!(stats::read))
        .routes(routes!(options::read))
        .routes(routes!(providers::models))
        .routes(routes!(providers::list))
        .routes(routes!(providers::probe))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz))
        .routes(routes!(pages::errors::list))
        .routes(routes!(pages::errors::explain))
        .routes(routes!(pages::reference::document))
        .routes(routes!(pages::reference::page));
    openapi::tell_keys(router.get_openapi_mut());
    auth::describe(router.get_openapi_mut());
    deprecation::describe(router.get_openapi_mut());
    router
}
