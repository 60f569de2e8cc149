//! captions-openai
