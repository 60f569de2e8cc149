//! `captions prompt`: the flags, and the body of the request that they stand for.

use std::path::PathBuf;

use captions_api::generate::GenerateBody;
use captions_domain::choice::{Cta, Emoji, Length, Platform, Style, Tone};
use clap::{Args, Subcommand};

use super::{HELP, Output, generate::OneOf};

#[derive(Debug, Subcommand)]
pub(crate) enum PromptCommand {
    /// Print what a model would be sent for a post; none is asked
    #[command(help_template = HELP)]
    Show(Box<ShowArgs>),
    /// List the templates in use, or write the shipped ones into a folder
    #[command(help_template = HELP, before_help = "\
Examples:
  captions prompt templates
  captions prompt templates --write prompts
  captions prompt show \"golden hour\" --set prompt.folder=prompts")]
    Templates {
        /// Make this folder and put every shipped template into it; nothing that is there is replaced
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions prompt show \"golden hour at our Lisbon cafe\"
  captions prompt show --compact \"golden hour at our Lisbon cafe\" --variants 3
  captions prompt show @post.txt --user ana --tone warm --json")]
pub(crate) struct ShowArgs {
    /// What the post shows; - or nothing reads stdin, @FILE reads a file, @@ stands for a leading @
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The wording for small models, as providers with prompt = "compact" are sent it
    #[arg(long)]
    pub(crate) compact: bool,
    /// The question for the text of one caption, as streams ask it
    #[arg(long)]
    pub(crate) plain: bool,

    /// Whose preferences fill what is not given here; the user's history is not looked at
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// How it feels
    #[arg(short, long, value_parser = OneOf(Tone::NAMES))]
    tone: Option<String>,
    /// How it is built
    #[arg(short, long, value_parser = OneOf(Style::NAMES))]
    style: Option<String>,
    /// Its language as a BCP 47 tag, such as en or pt-BR
    #[arg(short, long, value_name = "TAG")]
    language: Option<String>,
    /// Where it is published
    #[arg(long, value_parser = OneOf(Platform::NAMES))]
    platform: Option<String>,
    /// Target length
    #[arg(long, value_parser = OneOf(Length::NAMES))]
    length: Option<String>,
    /// How many emoji
    #[arg(long, value_parser = OneOf(Emoji::NAMES))]
    emoji: Option<String>,
    /// What the reader is asked to do
    #[arg(long, value_parser = OneOf(Cta::NAMES))]
    cta: Option<String>,
    /// Any other wish for this caption
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// How many different captions: 1 to 10
    #[arg(short = 'n', long, value_name = "N")]
    variants: Option<u16>,
    /// A paid post
    #[arg(long)]
    sponsored: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

impl ShowArgs {
    /// The body that an HTTP client would send for the same wishes.
    pub(crate) fn body(&self, description: String) -> GenerateBody {
        GenerateBody {
            content_description: Some(description),
            user_id: self.user.clone(),
            tone: self.tone.clone(),
            style: self.style.clone(),
            language: self.language.clone(),
            platform: self.platform.clone(),
            length: self.length.clone(),
            emoji: self.emoji.clone(),
            cta: self.cta.clone(),
            instructions: self.instructions.clone(),
            variants: self.variants.map(Into::into),
            sponsored: self.sponsored.then_some(true),
            ..GenerateBody::default()
        }
    }
}
