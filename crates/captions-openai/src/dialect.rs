//! How to speak to one model at one URL: the profile's abilities, and what its refusals have taught since.

use crate::profile::{Abilities, Structure, ThinkingSwitch, TokenLimit};

/// A parameter that an answer can do without, or that has a second name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    TokenLimit,
    Temperature,
    Seed,
    Structure,
    StreamUsage,
    Thinking,
    Store,
}

impl Parameter {
    pub(crate) const ALL: [Self; 7] = [
        Self::TokenLimit,
        Self::Temperature,
        Self::Seed,
        Self::Structure,
        Self::StreamUsage,
        Self::Thinking,
        Self::Store,
    ];

    /// The fields of a request by which it goes.
    pub(crate) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TokenLimit => &["max_tokens", "max_completion_tokens"],
            Self::Temperature => &["temperature"],
            Self::Seed => &["seed", "random_seed"],
            Self::Structure => &["response_format"],
            Self::StreamUsage => &["stream_options"],
            Self::Thinking => &["reasoning_effort", "chat_template_kwargs", "reasoning"],
            Self::Store => &["store"],
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::TokenLimit => "token limit",
            Self::Temperature => "temperature",
            Self::Seed => "seed",
            Self::Structure => "structured output",
            Self::StreamUsage => "usage in streams",
            Self::Thinking => "reasoning switch",
            Self::Store => "store",
        }
    }
}

/// What a provider has against a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) about: Parameter,
    /// The parameter itself is refused, whatever its value, so it will be refused in every call. Otherwise only the value
    /// of this one call is disliked, and others must not pay for it.
    pub(crate) for_good: bool,
}

/// What is sent, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) now: Abilities,
    /// What the profile says, to know which names were tried.
    profile: Abilities,
}

impl Dialect {
    pub(crate) const fn new(profile: Abilities) -> Self {
        Self { now: profile, profile }
    }

    /// Gives in for good to a complaint about a request that was worded as `sent` says: the parameter gets its other
    /// name, takes a step down, or is left away. Where somebody else's complaint already changed it, it stays as it is.
    /// The token limit is only renamed, and only once: a bound on the cost is not unlearned.
    pub(crate) fn yield_to(&mut self, about: Parameter, sent: &Self) {
        let (now, sent) = (&mut self.now, &sent.now);
        match about {
            Parameter::TokenLimit
                if now.token_limit == sent.token_limit && sent.token_limit == self.profile.token_limit =>
            {
                now.token_limit = match sent.token_limit {
                    TokenLimit::MaxTokens => TokenLimit::MaxCompletionTokens,
                    TokenLimit::MaxCompletionTokens => TokenLimit::MaxTokens,
                    TokenLimit::Unsent => TokenLimit::Unsent,
                };
            }
            Parameter::Temperature => now.temperature = false,
            Parameter::Seed => now.seed = None,
            Parameter::Structure if now.structure == sent.structure => {
                now.structure = match sent.structure {
                    Structure::Schema if now.takes_json_object => Structure::Object,
                    Structure::Schema | Structure::Object | Structure::Prompt => Structure::Prompt,
                };
            }
            Parameter::StreamUsage => now.stream_usage = false,
            Parameter::Thinking => {
                now.thinking_switch = ThinkingSwitch::Missing;
                now.thinking_off = false;
            }
            Parameter::Store => now.store_off = false,
            Parameter::TokenLimit | Parameter::Structure => {}
        }
    }

    /// The wording of one more try after these complaints about `sent`: what was not given in to for good, as `self`
    /// shows, is left away this once.
    #[must_use]
    pub(crate) fn for_one_call(mut self, complaints: &[Complaint], sent: &Self) -> Self {
        let now = &mut self.now;
        for complaint in complaints {
            match complaint.about {
                Parameter::TokenLimit if now.token_limit == sent.now.token_limit => {
                    now.token_limit = TokenLimit::Unsent;
                }
                Parameter::Temperature => now.temperature = false,
                Parameter::Seed => now.seed = None,
                _ => {}
            }
        }
        self
    }

    /// Tells the model to write without thinking first. `false` if that cannot be said, or was said already by `sent`.
    pub(crate) fn stop_thinking(&mut self, sent: &Self) -> bool {
        if self.now.thinking_switch == ThinkingSwitch::Missing || sent.now.thinking_off {
            return false;
        }
        self.now.thinking_off = true;
        true
    }

    /// What was learned, one sentence each.
    pub(crate) fn learned(&self) -> Vec<String> {
        let (now, was) = (&self.now, &self.profile);
        let mut learned = Vec::new();
        if now.token_limit != was.token_limit {
            let field = now.token_limit.field().unwrap_or_default();
            learned.push(format!("{}: sent as {field}", Parameter::TokenLimit.as_str()));
        }
        if now.structure != was.structure {
            let step = match now.structure {
                Structure::Schema => "JSON schema",
                Structure::Object => "JSON object",
                Structure::Prompt => "asked for in words only",
            };
            learned.push(format!("{}: {step}", Parameter::Structure.as_str()));
        }
        if now.thinking_off != was.thinking_off {
            let switch = if now.thinking_off {
                "thrown, the model thinks too much"
            } else {
                "not sent"
            };
            learned.push(format!("{}: {switch}", Parameter::Thinking.as_str()));
        } else if now.thinking_switch != was.thinking_switch {
            learned.push(format!("{}: not sent", Parameter::Thinking.as_str()));
        }
        let dropped = [
            (Parameter::Temperature, was.temperature && !now.temperature),
            (Parameter::Seed, was.seed.is_some() && now.seed.is_none()),
            (Parameter::StreamUsage, was.stream_usage && !now.stream_usage),
            (Parameter::Store, was.store_off && !now.store_off),
        ];
        for (parameter, dropped) in dropped {
            if dropped {
                learned.push(format!("{}: not sent", parameter.as_str()));
            }
        }
        learned
    }
}

#[cfg(test)]
mod tests;
