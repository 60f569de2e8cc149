//! Whole-system tests: the real apps over real stores, caches and models, and the rules of the source tree itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails should say where")]

mod alert_rules;
mod alerts;
mod architecture;
mod batches;
mod client;
mod clients;
mod coalescing;
mod contracts;
mod docs;
mod examples;
mod figures;
mod headers;
mod keys;
mod leaving;
mod limits;
mod models;
mod openapi;
mod outages;
mod overload;
mod parity;
mod providers;
mod proxies;
mod remote;
mod runbooks;
mod server_settings;
mod stack;
mod stores;
mod support;
mod tenants;
mod usage;
mod users;
mod wall;
mod warm_up;
