//! captions-embedded
