//! The arguments of `captions usage`.

use clap::Args;

use super::Output;

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions usage
  captions usage --since 30d --by provider,model
  captions usage --since 24h --bucket 1h --json")]
pub(crate) struct UsageArgs {
    /// From then on: so long ago, such as 7d or 24h, or a time such as 2026-11-24T08:00:00Z [default: 7d]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before then, in the same forms [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// The length of a piece of time: 1h or 1d [default: 1d]
    #[arg(long, value_name = "LENGTH")]
    pub(crate) bucket: Option<String>,
    /// Tell these apart: provider, model, user, key, separated by commas
    #[arg(long, value_name = "NAMES")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}
