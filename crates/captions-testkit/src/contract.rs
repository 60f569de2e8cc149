//! The contract suites: one per port, run on every implementation.

pub mod batches;
pub mod budgets;
pub mod cache;
pub mod captions;
pub mod cut;
pub mod keys;
pub mod llm;
pub mod once;
pub mod quota;
pub mod usage;
pub mod users;
