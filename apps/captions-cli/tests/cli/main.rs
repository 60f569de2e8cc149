//! The command line as people and scripts see it: in this process with buffers, and as the real binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod batch;
mod binary;
mod check;
mod eval;
mod failures;
mod generate;
mod hashtags;
mod history;
mod key;
mod people;
mod prompt;
mod results;
mod rewrite;
mod score;
mod settings;
mod support;
mod terminal;
mod usage;
mod variants;
mod voice;
