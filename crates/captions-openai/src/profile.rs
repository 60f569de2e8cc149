//! How the known providers differ, as data. What a provider does not understand is learned later, see `dialect.rs`.

use std::{fmt, str::FromStr};

use captions_domain::choice::{Unknown, nearest};
use reqwest::Url;

/// A family of providers that speak alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    OpenAi,
    Azure,
    Gemini,
    Mistral,
    Groq,
    OpenRouter,
    Ollama,
    LlamaCpp,
    Vllm,
    LmStudio,
    /// Anything else that calls itself compatible.
    Generic,
}

/// The field that bounds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenLimit {
    MaxTokens,
    MaxCompletionTokens,
    Unsent,
}

impl TokenLimit {
    pub(crate) const fn field(self) -> Option<&'static str> {
        match self {
            Self::MaxTokens => Some("max_tokens"),
            Self::MaxCompletionTokens => Some("max_completion_tokens"),
            Self::Unsent => None,
        }
    }
}

/// The strongest way to ask for JSON, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    /// `response_format` with the schema, strict.
    Schema,
    /// `response_format` that promises some JSON object.
    Object,
    /// Only the words of the prompt.
    Prompt,
}

/// How a model is told not to think aloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThinkingSwitch {
    /// `reasoning_effort: "none"`
    Effort,
    /// `chat_template_kwargs: {enable_thinking: false}`
    TemplateArgument,
    /// `reasoning: {enabled: false}`
    Object,
    /// There is no way, or it was refused.
    Missing,
}

/// How the key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    Bearer,
    ApiKeyHeader,
}

/// What a provider understands before anything was learned of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(crate) struct Abilities {
    pub(crate) token_limit: TokenLimit,
    pub(crate) temperature: bool,
    /// The name of the seed field.
    pub(crate) seed: Option<&'static str>,
    pub(crate) structure: Structure,
    /// False where `json_object` is refused although a schema is taken.
    pub(crate) takes_json_object: bool,
    /// `stream_options: {include_usage: true}`
    pub(crate) stream_usage: bool,
    pub(crate) thinking_switch: ThinkingSwitch,
    /// The switch is thrown from the first call on.
    pub(crate) thinking_off: bool,
    /// The model thinks before it writes, and its thoughts count against the token limit.
    pub(crate) thinks: bool,
    /// `store: false`: the provider would keep the prompts otherwise.
    pub(crate) store_off: bool,
    pub(crate) auth: Auth,
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[
        Self::OpenAi,
        Self::Azure,
        Self::Gemini,
        Self::Mistral,
        Self::Groq,
        Self::OpenRouter,
        Self::Ollama,
        Self::LlamaCpp,
        Self::Vllm,
        Self::LmStudio,
        Self::Generic,
    ];
    /// Their names in settings, in the same order.
    pub const NAMES: &'static [&'static str] = &[
        "openai",
        "azure",
        "gemini",
        "mistral",
        "groq",
        "openrouter",
        "ollama",
        "llama_cpp",
        "vllm",
        "lm_studio",
        "generic",
    ];

    /// The name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Gemini => "gemini",
            Self::Mistral => "mistral",
            Self::Groq => "groq",
            Self::OpenRouter => "openrouter",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama_cpp",
            Self::Vllm => "vllm",
            Self::LmStudio => "lm_studio",
            Self::Generic => "generic",
        }
    }

    /// The likely profile of a base URL: by its host, else by the port that local servers use by default.
    pub fn guess(base_url: &str) -> Self {
        let Ok(url) = Url::parse(base_url) else {
            return Self::Generic;
        };
        let host = url.host_str().unwrap_or_default();
        let within = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let by_host = [
            ("openai.azure.com", Self::Azure),
            ("cognitiveservices.azure.com", Self::Azure),
            ("services.ai.azure.com", Self::Azure),
            ("openai.com", Self::OpenAi),
            ("generativelanguage.googleapis.com", Self::Gemini),
            ("mistral.ai", Self::Mistral),
            ("groq.com", Self::Groq),
            ("openrouter.ai", Self::OpenRouter),
        ];
        if let Some((_, profile)) = by_host.iter().find(|(domain, _)| within(domain)) {
            return *profile;
        }
        match (url.scheme(), url.port()) {
            ("http", Some(11434)) => Self::Ollama,
            ("http", Some(8080)) => Self::LlamaCpp,
            ("http", Some(8000)) => Self::Vllm,
            ("http", Some(1234)) => Self::LmStudio,
            _ => Self::Generic,
        }
    }

    /// What is known of `model` at this provider.
    pub(crate) fn abilities(self, model: &str) -> Abilities {
        let common = Abilities {
            token_limit: TokenLimit::MaxTokens,
            temperature: true,
            seed: Some("seed"),
            structure: Structure::Schema,
            takes_json_object: true,
            stream_usage: true,
            thinking_switch: ThinkingSwitch::Effort,
            thinking_off: false,
            thinks: false,
            store_off: false,
            auth: Auth::Bearer,
        };
        let of_provider = match self {
            Self::OpenAi => Abilities {
                token_limit: TokenLimit::MaxCompletionTokens,
                store_off: true,
                ..common
            },
            Self::Azure => Abilities {
                token_limit: TokenLimit::MaxCompletionTokens,
                auth: Auth::ApiKeyHeader,
                ..common
            },
            Self::Gemini => Abilities { seed: None, ..common },
            Self::Mistral => Abilities {
                seed: Some("random_seed"),
                // It sends the counts unasked and refuses fields that it does not know.
                stream_usage: false,
                thinking_switch: ThinkingSwitch::Missing,
                ..common
            },
            Self::Groq => Abilities {
                token_limit: TokenLimit::MaxCompletionTokens,
                structure: if model.contains("gpt-oss") {
                    Structure::Schema
                } else {
                    Structure::Object
                },
                ..common
            },
            Self::OpenRouter => Abilities {
                token_limit: TokenLimit::MaxCompletionTokens,
                thinking_switch: ThinkingSwitch::Object,
                ..common
            },
            Self::Ollama => Abilities {
                thinking_off: thinks_at_home(model),
                ..common
            },
            Self::LlamaCpp | Self::Vllm => Abilities {
                thinking_switch: ThinkingSwitch::TemplateArgument,
                ..common
            },
            Self::LmStudio => Abilities {
                takes_json_object: false,
                ..common
            },
            Self::Generic => common,
        };
        if is_reasoning_model(model) {
            return Abilities {
                token_limit: TokenLimit::MaxCompletionTokens,
                temperature: false,
                thinks: true,
                ..of_provider
            };
        }
        of_provider
    }
}

/// The name without a vendor's prefix, as in `openai/gpt-5-mini`.
fn base_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// The `OpenAI` models that take `max_completion_tokens` and the default temperature only, wherever they are served.
fn is_reasoning_model(model: &str) -> bool {
    let name = base_name(model);
    ["o1", "o3", "o4", "gpt-5"].iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', ':']))
    })
}

/// Families that put everything into their thoughts where they run at home.
fn thinks_at_home(model: &str) -> bool {
    let name = base_name(model).to_lowercase();
    ["qwen3", "deepseek-r1", "magistral", "qwq"]
        .iter()
        .any(|family| name.starts_with(family))
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Unknown;

    fn from_str(given: &str) -> Result<Self, Unknown> {
        let name = given.trim().to_lowercase().replace('-', "_");
        Self::ALL
            .iter()
            .copied()
            .find(|profile| profile.as_str() == name)
            .ok_or_else(|| Unknown {
                what: "profile",
                given: given.chars().take(40).collect(),
                nearest: nearest(&name, Self::NAMES.iter().copied()),
                allowed: Self::NAMES,
            })
    }
}

#[cfg(test)]
mod tests;
