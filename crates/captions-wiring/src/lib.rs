//! The composition root: the only crate that names adapters.
//!
//! [`settings`] reads and checks what the operator wants; [`assemble()`] puts every port's adapter behind its policy and
//! hands the engine out; [`doctor()`] looks at each part on its own.

mod alerts;
mod assemble;
mod batches;
mod caches;
mod chain;
mod crypto;
mod doctor;
mod gauges;
mod keys;
mod limits;
#[cfg(test)]
mod machine;
#[cfg(feature = "local-llm")]
pub mod model;
mod old;
mod policies;
mod prompts;
mod providers;
mod readiness;
pub mod settings;
mod spool;
mod store;
pub mod telemetry;

pub use assemble::{AssembleError, Assembled, assemble};
pub use batches::Batches;
pub use caches::{Caches, Replays};
pub use captions_embedded::spool::Counts as SpoolCounts;
pub use captions_postgres::PoolSnapshot;
/// The counts, for those who count what only they can see: the operations that callers ask for.
pub use captions_resilience::monitor;
/// Where what runs beside the requests is started.
pub use captions_resilience::tasks::Tasks;
/// What callers use, on its way to the store, and the reports of it.
pub use captions_resilience::usage::UsageWriter;
pub use crypto::install_crypto;
pub use doctor::{Check, doctor};
pub use keys::fresh_secret;
pub use limits::caller as caller_key;
pub use prompts::{PromptError, templates};
pub use providers::{Probed, ProviderStatus, Providers, Role};
pub use readiness::{Readiness, Status};
