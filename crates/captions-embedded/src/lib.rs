//! captions-embedded

pub mod memory;
pub mod sqlite;
pub mod template;
