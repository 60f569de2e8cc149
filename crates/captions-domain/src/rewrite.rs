//! Captions that there are already, changed in one way: what may be asked for, and what comes of it.
//!
//! Everything here is pure. [`preserved`] sees to it that links, mentions, hashtags, numbers and emoji come through
//! unharmed, [`diff`] shows what changed, [`rules`] does what can be done without a model, and [`cover`] keeps pieces out
//! of a model's reach. The engine ties them together ([`Engine::rewrite`](crate::engine::Engine::rewrite)).

pub(crate) mod ask;
pub mod cover;
pub mod diff;
pub(crate) mod edit;
mod letters;
pub mod parts;
pub mod preserved;
pub mod rules;
pub mod tokens;
pub mod wish;

use time::OffsetDateTime;

use self::{diff::Change, preserved::Preserved};
use crate::{
    caption::{Degraded, Usage, Variant, Warning},
    choice::{Platform, Profile, Rewriting, Tone},
    request::{CaptionText, Description, Invalid, Language, ProviderName, TargetChars, UserId},
};

/// One operation with its parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// The same in at most so many characters.
    Shorten(TargetChars),
    /// More of the same: longer than it was, at most so long.
    Expand(Option<TargetChars>),
    /// Spelling, punctuation, and the rules that it breaks.
    Fix,
    Tone(Tone),
    /// Without worn phrases.
    DeCliche,
    /// Into this language.
    Translate(Language),
    /// For another platform, by its rules and habits.
    Adapt(Platform),
}

/// The parameters as they were given; which of them belong there depends on the operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    pub target_chars: Option<TargetChars>,
    pub tone: Option<Tone>,
    /// For a translation the language to translate into; else the one that the caption is in.
    pub language: Option<Language>,
    /// The language of a caption that is to be translated.
    pub source_language: Option<Language>,
    /// For an adaptation the platform to adapt to; else where the caption is published.
    pub platform: Option<Platform>,
}

impl Operation {
    /// The operation of this name with its parameter. `Err` names each parameter that is missing or that it does not have.
    pub fn of(name: Rewriting, given: &Parameters) -> Result<Self, Vec<Invalid>> {
        let mut broken = Vec::new();
        let has_target = matches!(name, Rewriting::Shorten | Rewriting::Expand);
        for (field, is_given, belongs) in [
            ("target_chars", given.target_chars.is_some(), has_target),
            ("tone", given.tone.is_some(), name == Rewriting::Tone),
            (
                "source_language",
                given.source_language.is_some(),
                name == Rewriting::Translate,
            ),
        ] {
            if is_given && !belongs {
                let rule = format!("the operation {name} has no {field}");
                broken.push(Invalid::new("unknown_field", rule).at(format!("/{field}")));
            }
        }
        let mut missing = |field: &str| {
            let rule = format!("the operation {name} needs {field}");
            broken.push(Invalid::new("required", rule).at(format!("/{field}")));
            None
        };
        let operation = match name {
            Rewriting::Shorten => given
                .target_chars
                .map(Self::Shorten)
                .or_else(|| missing("target_chars")),
            Rewriting::Expand => Some(Self::Expand(given.target_chars)),
            Rewriting::Fix => Some(Self::Fix),
            Rewriting::Tone => given.tone.map(Self::Tone).or_else(|| missing("tone")),
            Rewriting::DeCliche => Some(Self::DeCliche),
            Rewriting::Translate => given
                .language
                .clone()
                .map(Self::Translate)
                .or_else(|| missing("language")),
            Rewriting::Adapt => given.platform.map(Self::Adapt).or_else(|| missing("platform")),
        };
        operation.filter(|_| broken.is_empty()).ok_or(broken)
    }

    pub const fn name(&self) -> Rewriting {
        match self {
            Self::Shorten(_) => Rewriting::Shorten,
            Self::Expand(_) => Rewriting::Expand,
            Self::Fix => Rewriting::Fix,
            Self::Tone(_) => Rewriting::Tone,
            Self::DeCliche => Rewriting::DeCliche,
            Self::Translate(_) => Rewriting::Translate,
            Self::Adapt(_) => Rewriting::Adapt,
        }
    }

    /// Whether rules can do it, worse, where no model does.
    pub const fn has_rules(&self) -> bool {
        matches!(self, Self::Shorten(_) | Self::Fix | Self::DeCliche | Self::Adapt(_))
    }

    /// Whether it may leave out some of what the caption says.
    pub const fn may_lose(&self) -> bool {
        matches!(self, Self::Shorten(_) | Self::Adapt(_))
    }

    /// Whether it may put in emoji that were not there.
    pub const fn may_add_emoji(&self) -> bool {
        matches!(self, Self::Expand(_) | Self::Tone(_))
    }
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct RewriteRequest {
    /// The caption as it would be published, its hashtags included.
    pub text: CaptionText,
    pub operation: Operation,
    /// What the post shows, as far as the caption may say more than it does.
    pub description: Option<Description>,
    /// Whose standing wishes count.
    pub user: Option<UserId>,
    /// What the caption is in; `None`: what its words say, else the user's preference, else the default.
    pub language: Option<Language>,
    /// Where it is published now; without effect for an adaptation.
    pub platform: Option<Platform>,
    /// Which of the platform's sets of rules counts; of an adaptation the new platform's.
    pub profile: Option<Profile>,
    /// A paid post: the caption must disclose it before the fold.
    pub sponsored: bool,
    /// Ask this provider of the chain and no other.
    pub provider: Option<ProviderName>,
    /// Accept what rules can do when no model answers.
    pub allow_fallback: bool,
    pub seed: Option<u64>,
}

impl RewriteRequest {
    /// A request that leaves everything else to preferences and defaults.
    pub const fn new(text: CaptionText, operation: Operation) -> Self {
        Self {
            text,
            operation,
            description: None,
            user: None,
            language: None,
            platform: None,
            profile: None,
            sponsored: false,
            provider: None,
            allow_fallback: true,
            seed: None,
        }
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A provider of the configured chain.
    Provider,
    /// Rules alone, without a model.
    Rules,
}

impl By {
    pub const ALL: [Self; 2] = [Self::Provider, Self::Rules];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Rules => "rules",
        }
    }
}

/// A changed caption beside the one that was given. It is neither cached nor put into the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    pub operation: Operation,
    /// The caption that was given, judged by the same rules as the new one; one that was translated by those of its own
    /// language.
    pub before: Variant,
    pub after: Variant,
    /// From the text that was given to the text that came of it.
    pub diff: Vec<Change>,
    pub preserved: Preserved,
    pub by: By,
    /// The provider's configured name; `rules` where none wrote it.
    pub provider: String,
    pub model: String,
    /// The provider's own id of the call.
    pub provider_request_id: Option<String>,
    pub usage: Option<Usage>,
    /// Provider calls begun for it.
    pub attempts: u32,
    pub degraded: Vec<Degraded>,
    pub warnings: Vec<Warning>,
    pub platform: Platform,
    /// What the new text is in.
    pub language: Language,
    /// The date of the platform rules that both were checked against.
    pub rules_as_of: String,
    pub created_at: OffsetDateTime,
}

#[cfg(test)]
mod tests;
