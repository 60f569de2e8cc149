//! captions-local-llm
