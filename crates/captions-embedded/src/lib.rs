//! captions-embedded

pub mod memory;
pub mod quota;
pub mod spool;
pub mod sqlite;
pub mod template;
