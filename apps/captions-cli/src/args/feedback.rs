//! The arguments of `captions feedback`.

use clap::Args;

use super::{Output, generate::number};

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions feedback 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 used --rating 5
  captions feedback 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 edited --text @published.txt
  captions feedback 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 rejected --variant 2")]
pub(crate) struct FeedbackArgs {
    /// The stored caption
    #[arg(value_name = "CAPTION")]
    pub(crate) id: String,
    /// What was done with it: used, edited or rejected
    #[arg(value_name = "VERDICT")]
    pub(crate) verdict: String,
    /// 1 (bad) to 5 (good)
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    pub(crate) rating: Option<f64>,
    /// The text as it was published, of an edited one; - reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
    /// Which of several, as they are shown: 1 is the first and best
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    pub(crate) variant: Option<f64>,
    #[command(flatten)]
    pub(crate) output: Output,
}
