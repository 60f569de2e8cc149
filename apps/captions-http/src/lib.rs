//! captions-http
