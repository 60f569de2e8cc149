//! The one crypto provider of the process.

/// Makes ring the provider of every TLS connection of this process. Call it first in `main` and in tests that use TLS;
/// calling it again changes nothing.
pub fn install_crypto() {
    // The error only says that one is installed already, and ring is the only one in the tree.
    drop(rustls::crypto::ring::default_provider().install_default());
}
