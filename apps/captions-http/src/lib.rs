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

use axum::{
    Router,
    handler::Handler,
    middleware,
    routing::{MethodRouter, get},
};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::{PathItemExt, router::OpenApiRouter, routes};

pub use admin::admin_router;
pub use once::Once;
pub use replay::{Keeping, Streams};
pub use serve::{serve, serve_admin, serve_starting};
pub use state::{AppState, Component, ComponentStatus, Concurrency, Keys, Lifecycle, Limits};
pub use turns::Turns;

/// Every address of the API.
pub fn router(state: AppState) -> Router {
    let router = addresses()
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

/// Hands every handler to `$made`, for what is made of them all on top of `$empty`.
macro_rules! every_handler {
    ($made:ident, $empty:expr) => {
        $made!(
            $empty,
            captions::create,
            stream::create,
            history::list,
            history::export,
            captions::read,
            captions::pick,
            captions::erase,
            more::create,
            history::of_user,
            hashtags::choose,
            rewrites::create,
            rewrites::of_stored,
            check::create,
            scores::create,
            feedback::replace,
            users::create,
            users::list,
            users::read,
            users::patch,
            users::erase,
            preferences::read,
            preferences::patch,
            preferences::replace,
            preferences::erase,
            results::read,
            results::import,
            results::forget,
            voice::read,
            voice::learn,
            voice::forget,
            voice::suggestions,
            voice::accept,
            keys::create,
            keys::list,
            keys::read,
            keys::patch,
            keys::revoke,
            keys::rotate,
            limits::read,
            usage::read,
            voice::dismiss,
            batches::create,
            batches::list,
            batches::read,
            batches::cancel,
            batches::retry,
            batches::results,
            stats::read,
            options::read,
            providers::models,
            providers::list,
            providers::probe,
            health::livez,
            health::readyz,
            health::healthz,
            pages::errors::list,
            pages::errors::explain,
            pages::reference::document,
            pages::reference::page,
        )
    };
}

/// The routes alone. The document of them all is ten megabytes while it is put together, which a server whose document
/// nobody reads would keep for good.
macro_rules! served {
    (@ $router:ident, [$($module:tt)*] $handler:ident) => {
        utoipa_axum::paste! { at($router, $($module)* [<__path_ $handler>], $($module)* $handler) }
    };
    (@ $router:ident, [$($module:tt)*] $next:ident :: $($rest:ident)::+) => {
        served!(@ $router, [$($module)* $next ::] $($rest)::+)
    };
    ($empty:expr, $($($part:ident)::+),+ $(,)?) => {{
        let router = $empty;
        $(let router = served!(@ router, [] $($part)::+);)+
        router
    }};
}

macro_rules! described {
    ($empty:expr, $($($part:ident)::+),+ $(,)?) => { $empty$(.routes(routes!($($part)::+)))+ };
}

/// `router` and one more handler, where its description says.
fn at<P: utoipa::Path, T: 'static>(
    router: Router<AppState>,
    _: P,
    handler: impl Handler<T, AppState>,
) -> Router<AppState> {
    let methods = P::methods();
    let served = methods.iter().fold(MethodRouter::new(), |served, method| {
        served.on(method.to_method_filter(), handler.clone())
    });
    router.route(&P::path(), served)
}

fn addresses() -> Router<AppState> {
    every_handler!(served, Router::new())
}

fn operations() -> OpenApiRouter<AppState> {
    let empty = OpenApiRouter::with_openapi(openapi::Document::openapi());
    let mut router = every_handler!(described, empty);
    openapi::tell_keys(router.get_openapi_mut());
    auth::describe(router.get_openapi_mut());
    deprecation::describe(router.get_openapi_mut());
    router
}
