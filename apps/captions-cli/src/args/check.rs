//! The flags of `captions check`, and the body that they stand for.

use captions_api::check::CheckBody;
use captions_domain::choice::{Platform, Profile};
use clap::Args;

use super::{
    Output,
    generate::{OneOf, number},
};

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions check \"Golden hour at the cafe. #LisbonCafe\"
  captions check @caption.txt --platform threads
  captions generate \"new menu\" | captions check --sponsored --json")]
pub(crate) struct CheckArgs {
    /// The text as it would be published; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Where it would be published
    #[arg(long, value_parser = OneOf(Platform::NAMES))]
    platform: Option<String>,
    /// Another set of the platform's rules: legacy_30 of instagram, premium of x
    #[arg(long, value_parser = OneOf(Profile::NAMES))]
    profile: Option<String>,
    /// A paid post: a plain disclosure has to stand before the fold
    #[arg(long)]
    sponsored: bool,
    /// The most characters, hashtags included, where that is below the platform's limit
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    max_chars: Option<f64>,
    /// A word that must not occur; may be repeated
    #[arg(long, value_name = "WORD")]
    avoid: Vec<String>,
    /// A word that must occur; may be repeated
    #[arg(long, value_name = "WORD")]
    required: Vec<String>,
    /// The description of the picture
    #[arg(long, value_name = "TEXT")]
    alt_text: Option<String>,
    /// The language of the text as a BCP 47 tag, such as en or pt-BR
    #[arg(short, long, value_name = "TAG")]
    language: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl CheckArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, text: String) -> CheckBody {
        let list = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        CheckBody {
            text: Some(text),
            platform: self.platform.clone(),
            profile: self.profile.clone(),
            sponsored: self.sponsored.then_some(true),
            max_chars: self.max_chars,
            avoid: list(&self.avoid),
            required: list(&self.required),
            alt_text: self.alt_text.clone(),
            language: self.language.clone(),
        }
    }
}
