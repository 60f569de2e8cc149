//! Key.
