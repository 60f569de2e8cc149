//! [`Cache`](captions_domain::ports::Cache) and [`Quota`](captions_domain::ports::Quota) on Redis: lazy multiplexed
//! connections, a strict limit on every command, values that prove themselves intact, limits decided by one script.
//!
//! An absent Redis never delays anything: [`RedisCache::new`] connects to nothing, every command ends within its limit,
//! and the first command after the server is back finds it. For `rediss://` the process must have installed a rustls
//! crypto provider.

mod cache;
mod fault;
mod invalidation;
mod link;
mod options;
mod quota;
mod value;

pub use cache::RedisCache;
pub use options::RedisOptions;
pub use quota::RedisQuota;
