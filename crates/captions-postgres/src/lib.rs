//! [`PgStore`]: `UserStore`, `CaptionStore` and `KeyStore` on Postgres.

mod captions;
mod fault;
mod keys;
mod migrations;
mod options;
mod pool;
mod store;
mod users;

pub use options::PgOptions;
pub use pool::PoolSnapshot;
pub use store::PgStore;
