//! The composition root: the only crate that names adapters.
//!
//! [`settings`] reads and checks what the operator wants; the apps drive what is assembled from it.

mod crypto;
pub mod settings;
pub mod telemetry;

pub use crypto::install_crypto;
