//! The arguments of `captions history`.

use clap::{Args, Subcommand, ValueEnum};

use super::{HELP, Output};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "\
Examples:
  captions history ana
  captions history list --since 7d --min-score 70 --json
  captions history search \"golden hour\" --user ana
  captions history show 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21
  captions history export --format csv > captions.csv"
)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    /// The user's id
    #[arg(value_name = "USER", required_unless_present = "id")]
    pub(crate) user: Option<String>,
    /// Show this one caption, whoever it is for
    #[arg(long, value_name = "CAPTION", conflicts_with_all = ["user", "limit", "before"])]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// List captions of all users, newest first
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history list --user ana --language pt --since 2026-11-01T00:00:00Z")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// List captions in which a text occurs
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history search \"golden hour\" --user ana --json")]
    Search {
        /// Looked for in the description and in all variants, in whatever case
        #[arg(value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Show one caption
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history show 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 --json")]
    Show {
        /// The caption's id
        #[arg(value_name = "CAPTION")]
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Pick a variant of a caption, as people count them, from 1
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history pick 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 2
  captions history pick 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 0    (none any more)")]
    Pick {
        /// The caption's id
        #[arg(value_name = "CAPTION")]
        id: String,
        /// The variant, from 1; 0 gives the choice up
        #[arg(value_name = "N", value_parser = clap::value_parser!(u8).range(0..=10))]
        variant: u8,
        #[command(flatten)]
        output: Output,
    },
    /// Write all captions to stdout, newest first, one a line
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history export > captions.jsonl
  captions history export --user ana --format csv > ana.csv")]
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// How
        #[arg(long, value_enum, default_value_t = Format::Jsonl, value_name = "FORMAT")]
        format: Format,
    },
    /// Erase captions for good
    #[command(help_template = HELP, before_help = "\
Examples:
  captions history rm 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Rm {
        /// The ids of the captions
        #[arg(value_name = "CAPTION", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A document a line
    Jsonl,
    /// A row of names, then a row for each caption
    Csv,
}

/// What captions are narrowed down by.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Written for this user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Written then or later: a time, or how long ago, such as 90m, 12h, 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Written before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// In this language or a variety of it
    #[arg(long, value_name = "TAG")]
    pub(crate) language: Option<String>,
    /// By the provider of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// For this platform
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// With a quality score of at least this
    #[arg(long, value_name = "0-100")]
    pub(crate) min_score: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// How many, newest first: 1 to 100
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
    /// Only older ones than this caption, by its id or the next_cursor of the page before
    #[arg(long, value_name = "CAPTION")]
    pub(crate) before: Option<String>,
}
