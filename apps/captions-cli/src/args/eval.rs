//! The flags of `captions eval`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::Output;

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions eval --provider template
  captions eval --provider local --language en --variants 1
  captions eval --fixtures briefs.toml --only cafe --texts
  captions eval --provider template --json --fail-under-valid 100")]
pub(crate) struct EvalArgs {
    /// Ask this writer alone: template, local, or a provider of the settings; else the whole chain
    #[arg(short, long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Read the briefs from this TOML file instead of the built-in ones
    #[arg(long, value_name = "FILE", help_heading = "The briefs")]
    pub(crate) fixtures: Option<PathBuf>,
    /// Only the brief of this id; may be repeated
    #[arg(long, value_name = "ID", action = ArgAction::Append, help_heading = "The briefs")]
    pub(crate) only: Vec<String>,
    /// Only briefs of this primary language, such as en
    #[arg(long, value_name = "TAG", help_heading = "The briefs")]
    pub(crate) language: Option<String>,
    /// Captions for every brief, whatever it asks for: 1 to 10
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=10),
        help_heading = "The briefs")]
    pub(crate) variants: Option<u8>,
    /// For briefs that name no seed of their own, so that a run can be repeated
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "The briefs")]
    pub(crate) seed: u64,
    /// Briefs at the same time: 1 to 64; more than one makes each look slower
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) concurrency: u8,
    /// The most time for one brief: engine.deadline for this run
    #[arg(long, value_name = "SECONDS", value_parser = super::generate::seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<f64>,

    /// Leave the first outputs, unrepaired, out of the report
    #[arg(long, help_heading = "Output")]
    pub(crate) no_baseline: bool,
    /// Print the captions of every brief, too
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    pub(crate) texts: bool,
    /// Exit with 7 if fewer briefs than this are valid, in percent of those asked
    #[arg(long, value_name = "PERCENT", value_parser = super::generate::score, allow_negative_numbers = true,
        help_heading = "Output")]
    pub(crate) fail_under_valid: Option<f64>,
    /// Exit with 7 if the mean quality score is below N (0 to 100)
    #[arg(long, value_name = "N", value_parser = super::generate::score, allow_negative_numbers = true,
        help_heading = "Output")]
    pub(crate) fail_under_score: Option<f64>,
    #[command(flatten)]
    pub(crate) output: Output,
}
