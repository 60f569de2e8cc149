//! The flags of `captions hashtags`, and the body that they stand for.

use captions_api::hashtags::HashtagsBody;
use captions_domain::choice::{Platform, Profile};
use clap::Args;

use super::{
    Output,
    generate::{OneOf, number},
};

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions hashtags \"golden retriever on a sandy beach\"
  captions hashtags @post.txt --caption \"Wet paws.\" --count 3 --json
  echo \"sourdough from our oven\" | captions hashtags --brand-tag AnasCafe")]
pub(crate) struct HashtagsArgs {
    /// What the post shows; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The caption, as far as it is written
    #[arg(long, value_name = "TEXT")]
    caption: Option<String>,
    /// The language of the hashtags as a BCP 47 tag, such as en or pt-BR
    #[arg(short, long, value_name = "TAG")]
    language: Option<String>,
    /// Where the post is published
    #[arg(long, value_parser = OneOf(Platform::NAMES))]
    platform: Option<String>,
    /// Another set of the platform's rules: legacy_30 of instagram, premium of x
    #[arg(long, value_parser = OneOf(Profile::NAMES))]
    profile: Option<String>,
    /// How many: 0 to 30, lowered to what the platform allows
    #[arg(short = 'n', long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    count: Option<f64>,
    /// A word to be found by; may be repeated
    #[arg(long = "keyword", value_name = "WORD")]
    keywords: Vec<String>,
    /// A word that no hashtag may hold; may be repeated
    #[arg(long, value_name = "WORD")]
    avoid: Vec<String>,
    /// A hashtag of your own, put first and left as it is; may be repeated
    #[arg(long = "brand-tag", value_name = "TAG")]
    brand_tags: Vec<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl HashtagsArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, description: String) -> HashtagsBody {
        let list = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        HashtagsBody {
            content_description: Some(description),
            text: self.caption.clone(),
            language: self.language.clone(),
            platform: self.platform.clone(),
            profile: self.profile.clone(),
            hashtag_count: self.count,
            keywords: list(&self.keywords),
            avoid: list(&self.avoid),
            brand_tags: list(&self.brand_tags),
        }
    }

    /// The flag that fills a field of the body, for messages.
    pub(crate) fn flag_of(pointer: &str) -> Option<String> {
        let field = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
        Some(match field {
            "" | "content_description" => return None,
            "text" => "--caption".to_owned(),
            "hashtag_count" => "--count".to_owned(),
            "keywords" => "--keyword".to_owned(),
            "brand_tags" => "--brand-tag".to_owned(),
            other => format!("--{other}"),
        })
    }
}
