//! captions-wiring
