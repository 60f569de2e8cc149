//! captions-resilience
