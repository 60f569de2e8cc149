//! The flags of `captions rewrite`, `translate` and `adapt`, and the body that they stand for.

use captions_api::rewrite::RewriteBody;
use captions_domain::choice::{Platform, Profile, Rewriting, Tone};
use clap::{ArgGroup, Args};

use super::{OneOf, number, seconds};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("operation").required(true),
    before_help = "\
Examples:
  captions rewrite \"a long caption ...\" --shorten 125
  captions rewrite @caption.txt --fix
  captions rewrite @caption.txt --tone warm --json | jq -r .text"
)]
pub(crate) struct RewriteArgs {
    /// The caption as it would be published; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Say the same in at most N characters, hashtags included
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true, group = "operation",
        help_heading = "What to do")]
    shorten: Option<f64>,
    /// Say more of the same
    #[arg(long, group = "operation", help_heading = "What to do")]
    expand: bool,
    /// Correct spelling and punctuation, and keep the platform's rules
    #[arg(long, group = "operation", help_heading = "What to do")]
    fix: bool,
    /// Say the same in this tone
    #[arg(short, long, value_parser = OneOf(Tone::NAMES), group = "operation", help_heading = "What to do")]
    tone: Option<String>,
    /// Say it without worn phrases
    #[arg(long, group = "operation", help_heading = "What to do")]
    de_cliche: bool,
    /// With --expand: at most N characters
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true, requires = "expand",
        conflicts_with_all = ["shorten", "fix", "tone", "de_cliche"], help_heading = "What to do")]
    max_chars: Option<f64>,

    /// What the caption is in, where its words leave doubt
    #[arg(short, long, value_name = "TAG", help_heading = "The caption")]
    language: Option<String>,
    /// Where it is published
    #[arg(long, value_parser = OneOf(Platform::NAMES), help_heading = "The caption")]
    platform: Option<String>,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions translate \"Fresh bread! #lisbon\" --to es
  captions translate @caption.txt --to pt-BR --json")]
pub(crate) struct TranslateArgs {
    /// The caption as it would be published; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The language to translate into, as a BCP 47 tag such as es or pt-BR
    #[arg(long, value_name = "TAG")]
    to: String,
    /// The language that it is in, where its words leave doubt
    #[arg(long, value_name = "TAG")]
    from: Option<String>,
    /// Where it is published
    #[arg(long, value_parser = OneOf(Platform::NAMES), help_heading = "The caption")]
    platform: Option<String>,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions adapt \"a caption from Instagram ... #a #b #c\" --to x
  captions adapt @caption.txt --to linkedin --json")]
pub(crate) struct AdaptArgs {
    /// The caption as it would be published; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The platform to adapt it to
    #[arg(long, value_parser = OneOf(Platform::NAMES))]
    to: String,
    /// What the caption is in, where its words leave doubt
    #[arg(short, long, value_name = "TAG", help_heading = "The caption")]
    language: Option<String>,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

/// What all three have.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// What the post shows, where the caption may say more than it does
    #[arg(long, value_name = "TEXT", help_heading = "The caption")]
    about: Option<String>,
    /// Whose preferences count
    #[arg(long, value_name = "ID", help_heading = "The caption")]
    user: Option<String>,
    /// Which of the platform's sets of rules counts
    #[arg(long, value_parser = OneOf(Profile::NAMES), help_heading = "The caption")]
    profile: Option<String>,
    /// A paid post: disclose it before the fold
    #[arg(long, help_heading = "The caption")]
    sponsored: bool,
    /// Ask this provider of the chain and no other
    #[arg(short, long, value_name = "NAME", help_heading = "The call")]
    provider: Option<String>,
    /// Fail rather than take what rules can do when no model answers
    #[arg(long, help_heading = "The call")]
    no_fallback: bool,
    /// For providers that can repeat themselves
    #[arg(long, value_name = "N", help_heading = "The call")]
    seed: Option<u64>,
    /// The most time for everything after the start, 0.1 to 600: engine.deadline for this call
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true,
        help_heading = "The call")]
    pub(crate) timeout: Option<f64>,
    /// Print the same JSON document as the HTTP API, and nothing else, on stdout
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl CallArgs {
    fn body(&self, text: String, operation: Rewriting) -> RewriteBody {
        RewriteBody {
            text: Some(text),
            operation: Some(operation.as_str().to_owned()),
            content_description: self.about.clone(),
            user_id: self.user.clone(),
            profile: self.profile.clone(),
            sponsored: self.sponsored.then_some(true),
            provider: self.provider.clone(),
            allow_fallback: self.no_fallback.then_some(false),
            seed: self.seed,
            ..RewriteBody::default()
        }
    }
}

impl RewriteArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, text: String) -> RewriteBody {
        let operation = if self.shorten.is_some() {
            Rewriting::Shorten
        } else if self.expand {
            Rewriting::Expand
        } else if self.tone.is_some() {
            Rewriting::Tone
        } else if self.de_cliche {
            Rewriting::DeCliche
        } else {
            Rewriting::Fix
        };
        RewriteBody {
            target_chars: self.shorten.or(self.max_chars),
            tone: self.tone.clone(),
            language: self.language.clone(),
            platform: self.platform.clone(),
            ..self.call.body(text, operation)
        }
    }

    /// The flag that fills a field of the body, for messages.
    pub(crate) fn flag_of(pointer: &str) -> Option<String> {
        match pointer {
            // Both flags fill it.
            "/target_chars" => None,
            other => common_flag_of(other),
        }
    }
}

impl TranslateArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, text: String) -> RewriteBody {
        RewriteBody {
            language: Some(self.to.clone()),
            source_language: self.from.clone(),
            platform: self.platform.clone(),
            ..self.call.body(text, Rewriting::Translate)
        }
    }

    /// The flag that fills a field of the body, for messages.
    pub(crate) fn flag_of(pointer: &str) -> Option<String> {
        match pointer {
            "/language" => Some("--to".to_owned()),
            "/source_language" => Some("--from".to_owned()),
            other => common_flag_of(other),
        }
    }
}

impl AdaptArgs {
    /// The body that an HTTP client would send for the same.
    pub(crate) fn body(&self, text: String) -> RewriteBody {
        RewriteBody {
            platform: Some(self.to.clone()),
            language: self.language.clone(),
            ..self.call.body(text, Rewriting::Adapt)
        }
    }

    /// The flag that fills a field of the body, for messages.
    pub(crate) fn flag_of(pointer: &str) -> Option<String> {
        match pointer {
            "/platform" => Some("--to".to_owned()),
            other => common_flag_of(other),
        }
    }
}

fn common_flag_of(pointer: &str) -> Option<String> {
    let field = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    Some(match field {
        // The operation is the command.
        "" | "text" | "operation" => return None,
        "content_description" => "--about".to_owned(),
        "user_id" => "--user".to_owned(),
        "allow_fallback" => "--no-fallback".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    })
}
