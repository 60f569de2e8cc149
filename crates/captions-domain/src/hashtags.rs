//! Hashtags.
