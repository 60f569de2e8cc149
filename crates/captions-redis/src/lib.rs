//! captions-redis
