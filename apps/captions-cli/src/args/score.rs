//! The flags of `captions score`, and the body that they stand for.

use captions_api::score::ScoreBody;
use captions_domain::choice::{Cta, Emoji, Length, Platform, Profile};
use clap::Args;

use super::{
    Output,
    generate::{OneOf, number, score},
};

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions score \"Warm loaves, straight from our oven\" --description \"sourdough bread from our bakery\"
  captions score @caption.txt --description @post.txt --user ana --min-score 80
  captions score \"Nur heute: Roggenbrot\" -d \"Roggenbrot vom Hof\" -l de --json")]
pub(crate) struct ScoreArgs {
    /// The text as it would be published; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// What the post shows, or @FILE: what the text says beyond it is untraced
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) description: String,
    /// Whose preferences and voice count
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The language that it is to be in, as a BCP 47 tag
    #[arg(short, long, value_name = "TAG")]
    language: Option<String>,
    /// Where it would be published
    #[arg(long, value_parser = OneOf(Platform::NAMES))]
    platform: Option<String>,
    /// Another set of the platform's rules: legacy_30 of instagram, premium of x
    #[arg(long, value_parser = OneOf(Profile::NAMES))]
    profile: Option<String>,
    /// The length that was wished for; without it no length is
    #[arg(long, value_parser = OneOf(Length::NAMES))]
    length: Option<String>,
    /// The most characters, hashtags included
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    max_chars: Option<f64>,
    /// How many hashtags were wished for; 0 makes none the best
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    hashtags: Option<f64>,
    /// How many emoji were wished for; without it no number is
    #[arg(long, value_parser = OneOf(Emoji::NAMES))]
    emoji: Option<String>,
    /// What the reader is to be asked to do
    #[arg(long, value_parser = OneOf(Cta::NAMES))]
    cta: Option<String>,
    /// A word that it should contain; may be repeated
    #[arg(long = "keyword", value_name = "WORD")]
    keywords: Vec<String>,
    /// A word that it must not contain; may be repeated
    #[arg(long, value_name = "WORD")]
    avoid: Vec<String>,
    /// How the brand speaks; what stands here is not untraced
    #[arg(long, value_name = "TEXT")]
    brand_voice: Option<String>,
    /// Further facts and wishes; what stands here is not untraced
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// A paid post: it must disclose it before the fold
    #[arg(long)]
    sponsored: bool,
    /// Exit with 7 if the score is below N (0 to 100); it is printed all the same
    #[arg(long, value_name = "N", value_parser = score, allow_negative_numbers = true)]
    pub(crate) min_score: Option<f64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl ScoreArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, text: String, description: String) -> ScoreBody {
        let list = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        ScoreBody {
            text: Some(text),
            content_description: Some(description),
            user_id: self.user.clone(),
            language: self.language.clone(),
            platform: self.platform.clone(),
            profile: self.profile.clone(),
            length: self.length.clone(),
            max_chars: self.max_chars,
            hashtag_count: self.hashtags,
            emoji: self.emoji.clone(),
            cta: self.cta.clone(),
            keywords: list(&self.keywords),
            avoid: list(&self.avoid),
            brand_voice: self.brand_voice.clone(),
            instructions: self.instructions.clone(),
            sponsored: self.sponsored.then_some(true),
        }
    }
}
