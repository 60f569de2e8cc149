//! The arguments of `captions batch`.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand};

use super::{HELP, Output, key_value};

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Write the captions of a whole file here and now, or let a server write them
    #[command(help_template = HELP)]
    Run(RunArgs),
    /// Put a file into the queue; a server on the same store writes it, or captions batch wait
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch submit posts.jsonl
  captions batch submit - --json < posts.csv")]
    Submit {
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        output: Output,
    },
    /// Show how far a batch is, or the newest batches
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch status
  captions batch status 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 --json")]
    Status {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Wait for the end of a batch, and help to write it
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch wait 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Wait {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        output: Output,
    },
    /// Print the results of a batch, one JSON line an item
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch results 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 > out.jsonl")]
    Results {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: String,
        /// Also of a batch that is not over: up to the first item without an outcome
        #[arg(long)]
        partial: bool,
        /// Begin after the line of this index
        #[arg(long, value_name = "INDEX")]
        after: Option<u32>,
    },
    /// Try again what failed of a batch and may succeed later; a server on the same store does, or captions batch wait
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch retry 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Retry {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Begin nothing more of a batch
    #[command(help_template = HELP, before_help = "\
Examples:
  captions batch cancel 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Cancel {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions batch run posts.csv -o out.jsonl
  captions batch run posts.jsonl -o out.jsonl -j 8 --resume
  captions batch run export.csv -o out.jsonl --map text=content_description --map sku=custom_id")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Where the results go, one JSON line an item, in the order of the items
    #[arg(short, long, value_name = "OUT")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    /// Go on with an OUT that was begun before; begin it if there is none
    #[arg(long)]
    pub(crate) resume: bool,
    /// Go on, and try what has failed once more; OUT is written anew
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Begin no more items than this a minute, evenly, such as 30/min
    #[arg(long, value_name = "N/min", value_parser = rate)]
    pub(crate) rate: Option<NonZeroU32>,
    /// Stop when more items than this have failed
    #[arg(long, value_name = "N")]
    pub(crate) max_errors: Option<u32>,
    /// Only check the items; nothing is written or kept
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// The items.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// JSON Lines, or CSV whose header row names the fields of a request; - is stdin
    #[arg(value_name = "IN")]
    pub(crate) file: PathBuf,
    /// Take a column of the CSV for this field, such as text=content_description; may be repeated
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = key_value)]
    pub(crate) columns: Vec<(String, String)>,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/min").and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| "write it as in 30/min".to_owned())
}

/// How much is done at a time.
#[derive(Debug, Args)]
pub(crate) struct Jobs {
    /// Items at a time [default: batches.workers of the settings]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("30/min", Some(30))]
    #[case("30 /min", Some(30))]
    #[case("0/min", None)]
    #[case("30", None)]
    #[case("30/h", None)]
    fn a_rate_is_a_number_a_minute(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(rate(text).ok().map(NonZeroU32::get), expected);
    }
}
