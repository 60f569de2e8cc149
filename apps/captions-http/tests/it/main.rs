//! The HTTP API over a real listener, with ports that the tests play.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets the unexpected stops"
)]

mod auth;
mod budgets;
mod captions;
mod check;
mod client;
mod feedback;
mod guard;
mod hashtags;
mod history;
mod input;
mod keys;
mod limits;
mod more;
mod once;
mod openapi;
mod pictures;
mod ports;
mod problems;
mod processes;
mod replay;
mod replicas;
mod results;
mod rewrites;
mod scores;
mod secrets;
mod server;
mod shutdown;
mod starting;
mod stats;
mod stream;
mod traces;
mod users;
mod voice;
