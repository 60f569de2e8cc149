//! [`PgStore`]: `UserStore` and `CaptionStore` on Postgres.

mod captions;
mod fault;
mod migrations;
mod once;
mod options;
mod pool;
mod store;
mod users;

pub use options::PgOptions;
pub use pool::PoolSnapshot;
pub use store::PgStore;
