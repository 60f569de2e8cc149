//! captions-postgres
