//! [`PgStore`]: `UserStore`, `CaptionStore`, `KeyStore`, `BatchQueue` and `UsageStore` on Postgres.

mod batches;
mod budgets;
mod captions;
mod fault;
mod keys;
mod migrations;
mod once;
mod options;
mod pool;
mod store;
mod usage;
mod users;

pub use options::PgOptions;
pub use pool::PoolSnapshot;
pub use store::PgStore;
