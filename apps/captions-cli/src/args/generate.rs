//! The flags of `captions generate`, and the body that they stand for.

use captions_api::{generate::GenerateBody, image::ImageBody};
use captions_domain::choice::{Audience, CacheUse, ContentType, Cta, Emoji, Length, Platform, Profile, Style, Tone};
use clap::{
    Arg, Args, Command, Error,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is there or not")]
#[command(before_help = "\
Examples:
  captions generate \"golden hour at our Lisbon cafe\"
  captions generate @post.txt --user ana --variants 3
  captions generate \"new menu\" --tone playful --hashtags 3 --keyword brunch --avoid cheap
  echo \"new trail shoes\" | captions generate --json | jq -r .text")]
pub(crate) struct GenerateArgs {
    /// What the post shows; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Whom it is for; their preferences fill what is not given here
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Your own grouping, kept with the stored caption
    #[arg(long, value_name = "ID")]
    campaign: Option<String>,

    /// How it feels
    #[arg(short, long, value_parser = OneOf(Tone::NAMES), help_heading = "The caption")]
    tone: Option<String>,
    /// How it is built
    #[arg(short, long, value_parser = OneOf(Style::NAMES), help_heading = "The caption")]
    style: Option<String>,
    /// Who is to read it
    #[arg(short, long, value_parser = OneOf(Audience::NAMES), help_heading = "The caption")]
    audience: Option<String>,
    /// Its language as a BCP 47 tag, such as en or pt-BR
    #[arg(short, long, value_name = "TAG", help_heading = "The caption")]
    language: Option<String>,
    /// Where it is published
    #[arg(long, value_parser = OneOf(Platform::NAMES), help_heading = "The caption")]
    platform: Option<String>,
    /// Another set of the platform's rules: legacy_30 of instagram, premium of x
    #[arg(long, value_parser = OneOf(Profile::NAMES), help_heading = "The caption")]
    profile: Option<String>,
    /// What is posted
    #[arg(long, value_parser = OneOf(ContentType::NAMES), help_heading = "The caption")]
    content_type: Option<String>,
    /// Target length without hashtags: short 40-125 characters, medium 126-400, long 401-1200, max the platform's limit
    #[arg(long, value_parser = OneOf(Length::NAMES), help_heading = "The caption")]
    length: Option<String>,
    /// The most characters of the published text, hashtags included
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true, help_heading = "The caption")]
    max_chars: Option<f64>,
    /// How many hashtags: 0 to 30, lowered to what the platform allows
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true, help_heading = "The caption")]
    hashtags: Option<f64>,
    /// How many emoji: none 0, few 1-3, many 4-10
    #[arg(long, value_parser = OneOf(Emoji::NAMES), help_heading = "The caption")]
    emoji: Option<String>,
    /// What the reader is asked to do
    #[arg(long, value_parser = OneOf(Cta::NAMES), help_heading = "The caption")]
    cta: Option<String>,
    /// A word that it should contain; may be repeated
    #[arg(long = "keyword", value_name = "WORD", help_heading = "The caption")]
    keywords: Vec<String>,
    /// A word that it must not contain; may be repeated
    #[arg(long, value_name = "WORD", help_heading = "The caption")]
    avoid: Vec<String>,
    /// How many different captions: 1 to 10
    #[arg(short = 'n', long, value_name = "N", value_parser = number, allow_negative_numbers = true,
        help_heading = "The caption")]
    variants: Option<f64>,
    /// A paid post: disclose it before the fold
    #[arg(long, help_heading = "The caption")]
    sponsored: bool,
    /// A picture of the post, for providers that look at pictures: a file, or a public https address
    #[arg(long, value_name = "FILE|URL", help_heading = "The caption")]
    pub(crate) image: Option<String>,
    /// How the brand speaks
    #[arg(long, value_name = "TEXT", help_heading = "The caption")]
    brand_voice: Option<String>,
    /// Any other wish for this caption
    #[arg(long, value_name = "TEXT", help_heading = "The caption")]
    instructions: Option<String>,

    /// Ask this provider of the chain and no other
    #[arg(short, long, value_name = "NAME", help_heading = "The call")]
    provider: Option<String>,
    /// What to do with an earlier caption for the same request
    #[arg(long, value_parser = OneOf(CacheUse::NAMES), help_heading = "The call")]
    cache: Option<String>,
    /// Write a new caption although there is an earlier one: --cache refresh
    #[arg(long, conflicts_with = "cache", help_heading = "The call")]
    refresh: bool,
    /// Write another one than those that this user, or the cache, has already seen
    #[arg(long, help_heading = "The call")]
    regenerate: bool,
    /// Do not keep the caption in the history
    #[arg(long, help_heading = "The call")]
    no_store: bool,
    /// Fail rather than take an old caption or a lower writer when the providers fail
    #[arg(long, help_heading = "The call")]
    no_fallback: bool,
    /// For providers that can repeat themselves
    #[arg(long, value_name = "N", help_heading = "The call")]
    seed: Option<u64>,
    /// Sampling temperature: 0 to 2
    #[arg(long, value_name = "X", value_parser = number, allow_negative_numbers = true, help_heading = "The call")]
    temperature: Option<f64>,
    /// The most time for everything after the start, 0.1 to 600: engine.deadline for this call
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true,
        help_heading = "The call")]
    pub(crate) timeout: Option<f64>,

    /// Show the text on stderr while it is written (the default on a terminal for one caption)
    #[arg(long, overrides_with = "no_stream", help_heading = "Output")]
    pub(crate) stream: bool,
    /// Show nothing before the text is finished and checked
    #[arg(long, overrides_with = "stream", help_heading = "Output")]
    pub(crate) no_stream: bool,
    /// Exit with 7 if the quality score is below N (0 to 100); the caption is printed all the same
    #[arg(long, value_name = "N", value_parser = score, allow_negative_numbers = true, help_heading = "Output")]
    pub(crate) min_score: Option<f64>,
    /// Print the same JSON document as the HTTP API, and nothing else, on stdout
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl GenerateArgs {
    /// The body that an HTTP client would send for the same wishes.
    pub(crate) fn body(&self, description: String, image: Option<ImageBody>) -> GenerateBody {
        let list = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        let cache = if self.refresh {
            Some(CacheUse::Refresh.as_str().to_owned())
        } else {
            self.cache.clone()
        };
        GenerateBody {
            content_description: Some(description),
            user_id: self.user.clone(),
            campaign_id: self.campaign.clone(),
            language: self.language.clone(),
            tone: self.tone.clone(),
            style: self.style.clone(),
            audience: self.audience.clone(),
            content_type: self.content_type.clone(),
            platform: self.platform.clone(),
            profile: self.profile.clone(),
            length: self.length.clone(),
            max_chars: self.max_chars,
            hashtag_count: self.hashtags,
            emoji: self.emoji.clone(),
            cta: self.cta.clone(),
            keywords: list(&self.keywords),
            avoid: list(&self.avoid),
            variants: self.variants,
            brand_voice: self.brand_voice.clone(),
            instructions: self.instructions.clone(),
            sponsored: self.sponsored.then_some(true),
            image,
            cache,
            provider: self.provider.clone(),
            store: self.no_store.then_some(false),
            allow_fallback: self.no_fallback.then_some(false),
            seed: self.seed,
            temperature: self.temperature,
            regenerate: self.regenerate.then_some(true),
        }
    }

    /// The provider that was asked for by name.
    #[cfg(feature = "local-llm")]
    pub(crate) fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }
}

/// The flag that fills a field of the body, for messages: `/hashtag_count` is `--hashtags`.
pub(crate) fn flag_of(pointer: &str) -> Option<String> {
    let field = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    Some(match field {
        "" | "content_description" | "text" => return None,
        "user_id" => "--user".to_owned(),
        "campaign_id" => "--campaign".to_owned(),
        "hashtag_count" => "--hashtags".to_owned(),
        "keywords" => "--keyword".to_owned(),
        "store" => "--no-store".to_owned(),
        "allow_fallback" => "--no-fallback".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    })
}

/// Names that help and completion offer. Any text passes: the reader of the body knows aliases and near misses.
#[derive(Clone)]
pub(super) struct OneOf(pub(super) &'static [&'static str]);

impl TypedValueParser for OneOf {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &std::ffi::OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().copied().map(PossibleValue::new)))
    }
}

/// Any finite number; its range is judged with the body.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "not a number".to_owned())
}

/// The rule of `engine.deadline`, told under the name of the flag.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = number(text)?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("a time is 0.1 to 600 seconds".to_owned())
    }
}

pub(super) fn score(text: &str) -> Result<f64, String> {
    let score = number(text)?;
    if (0.0..=100.0).contains(&score) {
        Ok(score)
    } else {
        Err("a score is 0 to 100".to_owned())
    }
}
