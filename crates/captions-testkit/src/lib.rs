//! captions-testkit
