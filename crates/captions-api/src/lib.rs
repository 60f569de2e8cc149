//! captions-api
