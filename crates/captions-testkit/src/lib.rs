//! captions-testkit

pub mod build;
pub mod contract;
pub mod llama;
pub mod llm;
pub mod model;
pub mod postgres;
pub mod redis;
mod watch;
