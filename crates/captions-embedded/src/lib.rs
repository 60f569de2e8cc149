//! captions-embedded

pub mod memory;
