//! The arguments of `captions voice`.

use clap::Subcommand;

use super::{HELP, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum VoiceCommand {
    /// Learn how a user writes from captions of their own; replaces earlier ones, creates the user if there is none
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice learn ana captions.txt
  captions voice learn ana - < captions.jsonl")]
    Learn {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        /// Up to 20 captions with a line of --- between them, or one JSON string or object with a text a line; - reads stdin
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show what is usual in a user's own captions, and the captions
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice show ana
  captions voice show ana --json")]
    Show {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Forget a user's own captions and what was measured in them
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice forget ana")]
    Forget {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show which preferences the feedback on a user's captions speaks for
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice suggestions ana")]
    Suggestions {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Dismiss a suggestion: it stays away until the feedback says more
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice dismiss ana emoji-none")]
    Dismiss {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        /// The suggestion's id, the first word of its line
        #[arg(value_name = "SUGGESTION")]
        suggestion: String,
        #[command(flatten)]
        output: Output,
    },
    /// Make a suggested change of the preferences
    #[command(help_template = HELP, before_help = "\
Examples:
  captions voice accept ana emoji-none")]
    Accept {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        /// The suggestion's id, the first word of its line
        #[arg(value_name = "SUGGESTION")]
        suggestion: String,
        #[command(flatten)]
        output: Output,
    },
}
