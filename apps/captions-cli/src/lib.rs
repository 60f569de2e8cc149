//! captions-cli
