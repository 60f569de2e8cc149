//! What may be typed. Values that a caption is made of stay text here: the wire contract's reader judges them, so that
//! the command line and the HTTP API hold the same rules and say the same about a broken one.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments are help texts here, which show backticks as they are"
)]

mod batch;
mod check;
mod eval;
mod feedback;
mod generate;
mod hashtags;
mod history;
mod key;
mod prompt;
mod results;
mod rewrite;
mod score;
mod usage;
mod variants;
mod voice;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use self::generate::{OneOf, number, seconds};
pub(crate) use self::{
    batch::{BatchCommand, Input, Jobs, RunArgs},
    check::CheckArgs,
    eval::EvalArgs,
    feedback::FeedbackArgs,
    generate::{GenerateArgs, flag_of},
    hashtags::HashtagsArgs,
    history::{FilterArgs, Format, HistoryArgs, HistoryCommand, PageArgs},
    key::{CreateArgs, End, KeyCommand, Tenant},
    prompt::{PromptCommand, ShowArgs},
    results::ResultsCommand,
    rewrite::{AdaptArgs, CallArgs, RewriteArgs, TranslateArgs},
    score::ScoreArgs,
    usage::UsageArgs,
    variants::VariantsArgs,
    voice::VoiceCommand,
};

/// Help leads with examples.
const HELP: &str = "\
{about}

{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXIT_CODES: &str = "\
Exit codes:
  0 done   1 failure   2 wrong usage   3 settings or store   4 key or account of a provider
  5 provider or network   6 fewer captions than asked for   7 not publishable, or below a limit of yours
  8 limited or overloaded, try later   130 stopped by Ctrl-C";

/// Writes Instagram captions that are ready to publish.
#[derive(Debug, Parser)]
#[command(
    name = "captions",
    version,
    help_template = HELP,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_subcommands = false,
    before_help = "\
Examples:
  captions generate \"golden hour at our Lisbon cafe\"
  captions generate @post.txt --tone warm --variants 3
  echo \"new trail shoes, first run in the rain\" | captions generate --json
  captions doctor",
    after_help = EXIT_CODES
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Global {
    /// Read this settings file instead of ./captions.toml or the one in the XDG folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Let a Captions server answer, such as https://captions.example.com; or CAPTIONS_URL. Its key: CAPTIONS_API_KEY, or
    /// CAPTIONS_API_KEY_FILE for a file that holds it
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Set any setting for this call, such as api.timeout=5; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) settings: Vec<(String, String)>,
    /// Say nothing but errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on stderr; -vv says even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colour on stderr; auto asks the terminal and NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// One file of this crate each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a caption for a post
    #[command(help_template = HELP)]
    Generate(Box<GenerateArgs>),
    /// Write more variants of a stored caption
    #[command(help_template = HELP)]
    Variants(VariantsArgs),
    /// Choose hashtags for a post, without any model
    #[command(help_template = HELP)]
    Hashtags(HashtagsArgs),
    /// Change a caption: shorten, expand, fix, another tone, without worn phrases
    #[command(help_template = HELP)]
    Rewrite(Box<RewriteArgs>),
    /// Translate a caption; hashtags, mentions, links, numbers and emoji stay as they are
    #[command(help_template = HELP)]
    Translate(Box<TranslateArgs>),
    /// Adapt a caption to another platform
    #[command(help_template = HELP)]
    Adapt(Box<AdaptArgs>),
    /// Judge a text by the rules of its platform, without any model
    #[command(help_template = HELP)]
    Check(CheckArgs),
    /// Score a text for what it is about, part by part, without any model
    #[command(help_template = HELP)]
    Score(Box<ScoreArgs>),
    /// Create, show, list and delete users
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions user create ana --name \"Ana's cafe\"
  captions user show ana --json")]
    User(UserCommand),
    /// Read and change what a user always wants
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions prefs set ana tone=warm avoid=cheap,deal
  captions prefs set ana tone=
  captions prefs get ana")]
    Prefs(PrefsCommand),
    /// Import what a user's posts have reached, for honest estimates
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions results import ana export.csv
  captions results show ana")]
    Results(ResultsCommand),
    /// Write many captions from a file, or put them into the queue
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions batch run posts.csv -o out.jsonl
  captions batch submit posts.jsonl
  captions batch status")]
    Batch(BatchCommand),
    /// List the captions that were written for a user
    #[command(help_template = HELP)]
    History(HistoryArgs),
    /// Tell what became of a caption
    #[command(help_template = HELP)]
    Feedback(FeedbackArgs),
    /// Show what was asked for, what that took, and what the cache has spared
    #[command(help_template = HELP)]
    Usage(UsageArgs),
    /// Learn how a user writes, from their own captions and their feedback
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions voice learn ana captions.txt
  captions voice suggestions ana
  captions voice accept ana emoji-none")]
    Voice(VoiceCommand),
    /// Create, list, rotate and revoke the API keys of a server
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions key create --name ci --scopes read
  captions key list
  captions key revoke 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Key(KeyCommand),
    /// Show how models are asked: what would be sent, and the templates that it is made from
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions prompt show \"golden hour at our Lisbon cafe\"
  captions prompt templates --write prompts")]
    Prompt(PromptCommand),
    /// Show what may be asked for: tones, styles, platforms with their limits, and the rest
    #[command(help_template = HELP, before_help = "\
Examples:
  captions options
  captions options --json | jq -r '.platforms[].name'")]
    Options(Output),
    /// Look after the providers
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions provider list
  captions provider test openai")]
    Provider(ProviderCommand),
    /// Fetch or find the language model that runs inside this program
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions model pull
  captions model path")]
    Model(ModelCommand),
    /// Check settings, store, cache, providers and the local model
    #[command(help_template = HELP, before_help = "\
Examples:
  captions doctor
  captions doctor --json")]
    Doctor(DoctorArgs),
    /// Measure what a writer does with many briefs
    #[command(help_template = HELP)]
    Eval(Box<EvalArgs>),
    /// Show the settings in effect
    #[command(subcommand, help_template = HELP, arg_required_else_help = true, before_help = "\
Examples:
  captions config show --origin
  captions config path")]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(help_template = HELP, before_help = "\
Examples:
  captions completions bash > ~/.local/share/bash-completion/completions/captions
  captions completions zsh > ~/.zfunc/_captions")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Create a user
    #[command(help_template = HELP, before_help = "\
Examples:
  captions user create ana --name \"Ana's cafe\"")]
    Create {
        /// The user's id: letters, digits, _ and -
        #[arg(value_name = "ID")]
        id: String,
        /// A name for people to recognise the user by
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show a user
    #[command(help_template = HELP, before_help = "\
Examples:
  captions user show ana")]
    Show {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// List the users, in the order of their ids
    #[command(help_template = HELP, before_help = "\
Examples:
  captions user list
  captions user list --limit 100 --json | jq -r '.data[].id'")]
    List {
        /// How many at most: 1 to 100
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// Only those behind this one: a user's id, or the next_cursor of the page before
        #[arg(long, value_name = "ID|CURSOR")]
        after: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Delete a user with all stored captions
    #[command(help_template = HELP, before_help = "\
Examples:
  captions user delete ana")]
    Delete {
        /// The user's id
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PrefsCommand {
    /// Show a user's preferences
    #[command(help_template = HELP, before_help = "\
Examples:
  captions prefs get ana")]
    Get {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change some of a user's preferences and keep the others; creates the user if there is none
    #[command(help_template = HELP, before_help = "\
Examples:
  captions prefs set ana tone=warm language=pt-BR hashtag_count=3
  captions prefs set ana avoid=cheap,deal required=sourdough brand_tags=anascafe
  captions prefs set ana samples=@captions.txt
  captions prefs set ana tone=             (removes it)")]
    Set {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        /// tone, style, audience, platform, language, length, emoji, cta, hashtag_count, keywords, avoid, required,
        /// brand_tags, brand_voice or samples; lists are separated by commas, samples stand in a @FILE with a line of ---
        /// between them, an empty value removes the wish
        #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_value)]
        wishes: Vec<(String, String)>,
        #[command(flatten)]
        output: Output,
    },
    /// Remove all of a user's preferences
    #[command(help_template = HELP, before_help = "\
Examples:
  captions prefs reset ana")]
    Reset {
        /// The user's id
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the providers in the order in which they are asked, and how they are
    #[command(help_template = HELP, before_help = "\
Examples:
  captions provider list
  captions provider list --json")]
    List(Output),
    /// Make one small real call to a provider
    #[command(help_template = HELP, before_help = "\
Examples:
  captions provider test openai
  captions provider test template --json")]
    Test {
        /// The provider's name
        name: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch the local model, once, and check it
    #[command(help_template = HELP, before_help = "\
Examples:
  captions model pull")]
    Pull,
    /// Print where the local model's file is, or will be
    #[command(help_template = HELP, before_help = "\
Examples:
  captions model path")]
    Path,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in effect; secrets are hidden
    #[command(help_template = HELP, before_help = "\
Examples:
  captions config show
  captions config show --origin")]
    Show {
        /// Say for each one where it was set
        #[arg(long)]
        origin: bool,
    },
    /// Print the settings file in effect, or where it may be put
    #[command(help_template = HELP, before_help = "\
Examples:
  captions config path")]
    Path,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print the same JSON document as the HTTP API, and nothing else, on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads the arguments, the program's name first.
pub(crate) fn read(args: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(with_settings_last(args))
}

/// Moves every `--set` behind the other arguments. An option that is known to every command keeps only the values that
/// stand behind the last command name, and a setting that is silently lost is worse than any error.
fn with_settings_last(args: Vec<OsString>) -> Vec<OsString> {
    let (mut others, mut settings) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            others.append(&mut settings);
            others.push(arg);
            others.extend(args.by_ref());
        } else if arg == "--set" {
            settings.push(arg);
            settings.extend(args.next());
        } else if arg.to_string_lossy().starts_with("--set=") {
            settings.push(arg);
        } else {
            others.push(arg);
        }
    }
    others.append(&mut settings);
    others
}

/// `KEY=VALUE`, split at the first `=`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests;
