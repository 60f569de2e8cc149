//! The arguments of `captions results`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{HELP, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum ResultsCommand {
    /// Import posts with their likes, by which new captions are estimated
    #[command(help_template = HELP, before_help = "\
Examples:
  captions results import ana export.csv
  captions results import ana - --json < posts.json")]
    Import {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        /// CSV with a header row (posted_at, format, caption, likes, comments; also as Meta exports it), or JSON; - is stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Show what the imported posts tell, and how good estimates would have been
    #[command(help_template = HELP, before_help = "\
Examples:
  captions results show ana")]
    Show {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Forget what was imported
    #[command(help_template = HELP, before_help = "\
Examples:
  captions results forget ana")]
    Forget {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
    },
}
