//! For tests only: a contract suite for each port, a scripted model server, a proxy that spoils connections, real servers
//! of their own (Postgres, Redis, llama.cpp) and builders of domain values. Nothing here is shipped.

pub mod build;
pub mod chaos;
pub mod contract;
pub mod llama;
pub mod llm;
pub mod model;
pub mod once;
pub mod postgres;
pub mod receiver;
pub mod redis;
pub mod tls;
mod watch;
