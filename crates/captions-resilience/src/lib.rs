//! One policy for every port.
//!
//! [`policy::Policy`] takes one call through deadline, retry, circuit breaker, concurrency slot, rate and attempt timeout, in
//! that order. [`guarded::Guarded`] puts a policy around any implementation of a port and is itself that port;
//! [`failover::Failover`] asks several providers in order. The steps are plain values with small verbs:
//! [`retry`], [`breaker`], [`slots`], [`rate`]. All time is tokio's, so that tests run on a paused clock, and all chance comes
//! from a [`jitter::Jitter`] that is passed in.
//!
//! [`monitor`] counts what is asked and what is called, and [`traced`] makes spans of the calls to language models;
//! [`priced`] tells what they cost.
//! [`alerts`] looks at the whole at intervals and tells what has gone wrong.
//!
//! [`readthrough`] is memory over a shared cache, with one load for everybody who asks; [`users`] reads profiles and
//! preferences through it. [`keys`] is what is known of API keys.
//!
//! Nothing else in the workspace retries, times a call out or counts failures.

#![warn(missing_docs)]

pub mod alerts;
pub mod breaker;
pub mod failover;
pub mod guarded;
pub mod jitter;
pub mod keys;
pub mod monitor;
pub mod policy;
pub mod priced;
pub mod rate;
pub mod readthrough;
pub mod remembered;
pub mod retry;
pub mod slots;
pub mod tasks;
pub mod traced;
pub mod usage;
pub mod users;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod simulation;
