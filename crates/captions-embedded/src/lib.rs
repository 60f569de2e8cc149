//! captions-embedded

pub mod memory;
pub mod spool;
pub mod sqlite;
pub mod template;
