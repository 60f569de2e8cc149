//! The arguments of `captions variants`, and the body that they stand for.

use captions_api::more::MoreBody;
use clap::Args;

use super::{number, seconds};

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions variants 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21
  captions variants 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 -n 5 --json")]
pub(crate) struct VariantsArgs {
    /// The stored caption
    #[arg(value_name = "CAPTION")]
    pub(crate) id: String,
    /// How many more: 1 to 10, and at most 30 of one caption
    #[arg(short = 'n', long, value_name = "N", value_parser = number, allow_negative_numbers = true, default_value = "3")]
    count: f64,
    /// Ask this provider and no other
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Fail rather than take a local or template answer
    #[arg(long)]
    no_fallback: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<f64>,
    /// Print the caption with all of its variants, the same JSON document as the HTTP API, and nothing else, on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl VariantsArgs {
    pub(crate) fn body(&self) -> MoreBody {
        MoreBody {
            count: Some(self.count),
            provider: self.provider.clone(),
            allow_fallback: self.no_fallback.then_some(false),
        }
    }

    pub(crate) fn flag_of(field: &str) -> Option<String> {
        let flag = match field {
            "/count" => "-n",
            "/provider" => "--provider",
            "/allow_fallback" => "--no-fallback",
            _ => return None,
        };
        Some(flag.to_owned())
    }
}
