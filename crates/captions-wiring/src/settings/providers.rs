//! The list of providers: its entries, what the environment adds to it, and the keys that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use captions_domain::{money::Money, prompt::Size};
use captions_openai::profile::Profile;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Value;

use super::{
    Origin, Origins, SecretUrl, SettingsError, Shown, Sources,
    layers::{check, nearest, quoted},
    rule::{self, PROVIDER_KEYS, Rule},
};

const LIST: &str = "llm.providers";
/// The provider that `OPENAI_*` define.
const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
const OPENAI_MODEL: &str = "OPENAI_MODEL";
/// The provider of an installation that configures none.
const LOCAL: &str = "local-smollm2";

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    Openai,
    Local,
    Template,
}

impl ProviderKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Local => "local",
            Self::Template => "template",
        }
    }
}

/// One entry of the list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub name: String,
    pub kind: ProviderKind,
    /// Always there for [`ProviderKind::Openai`].
    #[serde(default)]
    pub base_url: Option<SecretUrl>,
    /// `None` for the first model that the provider lists.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub api_key_env: Option<String>,
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
    /// `None`: the system's authorities.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// `None`: guessed from the base URL.
    #[serde(default, deserialize_with = "profile")]
    pub profile: Option<Profile>,
    /// The wording that it is sent.
    #[serde(default, deserialize_with = "size")]
    pub prompt: Size,
    /// The model looks at pictures.
    #[serde(default)]
    pub vision: bool,
    /// Sent with every request. The values may be keys.
    #[serde(default, deserialize_with = "headers")]
    pub headers: BTreeMap<String, SecretString>,
    /// This and the next three stand over `[api]`.
    #[serde(default, deserialize_with = "seconds")]
    pub timeout: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    pub first_byte_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    pub idle_timeout: Option<Duration>,
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Of a million tokens of the prompt. Both prices or none.
    #[serde(default)]
    pub price_input: Option<Money>,
    /// The same of the answer.
    #[serde(default)]
    pub price_output: Option<Money>,
    /// What the variable or the file holds; never in the list itself.
    #[serde(skip)]
    pub api_key: Option<SecretString>,
}

impl Provider {
    fn new(name: &str, kind: ProviderKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            base_url: None,
            model: None,
            api_key_env: None,
            api_key_file: None,
            ca_file: None,
            profile: None,
            prompt: Size::Full,
            vision: false,
            headers: BTreeMap::new(),
            timeout: None,
            first_byte_timeout: None,
            idle_timeout: None,
            max_attempts: None,
            price_input: None,
            price_output: None,
            api_key: None,
        }
    }

    fn shown_headers(&self) -> Option<String> {
        let headers = self.headers.keys().map(|name| format!("{} = \"***\"", quoted(name)));
        let headers: Vec<String> = headers.collect();
        (!headers.is_empty()).then(|| format!("{{ {} }}", headers.join(", ")))
    }

    /// Every key that is set, as it would stand in a settings file.
    fn entries(&self) -> Vec<(&'static str, String)> {
        let text = |text: &Option<String>| text.as_deref().map(quoted);
        let seconds = |time: &Option<Duration>| time.map(|time| time.as_secs_f64().to_string());
        let all = [
            ("name", Some(quoted(&self.name))),
            ("kind", Some(quoted(self.kind.as_str()))),
            ("base_url", self.base_url.as_ref().map(|url| quoted(&url.redacted()))),
            ("model", text(&self.model)),
            ("api_key_env", text(&self.api_key_env)),
            (
                "api_key_file",
                self.api_key_file.as_ref().map(|path| quoted(&path.to_string_lossy())),
            ),
            (
                "ca_file",
                self.ca_file.as_ref().map(|path| quoted(&path.to_string_lossy())),
            ),
            ("profile", self.profile.map(|profile| quoted(profile.as_str()))),
            ("prompt", (self.prompt == Size::Compact).then(|| quoted("compact"))),
            ("vision", self.vision.then(|| "true".to_owned())),
            ("headers", self.shown_headers()),
            ("timeout", seconds(&self.timeout)),
            ("first_byte_timeout", seconds(&self.first_byte_timeout)),
            ("idle_timeout", seconds(&self.idle_timeout)),
            ("max_attempts", self.max_attempts.map(|attempts| attempts.to_string())),
            ("price_input", self.price_input.map(|price| price.to_string())),
            ("price_output", self.price_output.map(|price| price.to_string())),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// The providers in the order in which they are tried.
pub(super) struct Chain {
    pub(super) providers: Vec<Provider>,
    /// The variables that hold their keys.
    pub(super) variables: BTreeSet<String>,
    pub(super) shown: Vec<Shown>,
}

/// Refuses unknown keys and values of entries before they are merged.
pub(super) fn check_entries(entries: &[Value], origin: &Origin) -> Result<(), SettingsError> {
    for (index, entry) in entries.iter().enumerate() {
        let Value::Table(entry) = entry else {
            return Err(SettingsError::Invalid {
                key: format!("{LIST}[{index}]"),
                rule: "a table".to_owned(),
                found: "something else".to_owned(),
                origin: origin.clone(),
            });
        };
        let rules: Vec<(&str, Rule)> = PROVIDER_KEYS.iter().map(|(key, rule, _)| (*key, *rule)).collect();
        for (key, value) in entry {
            let full = format!("{LIST}[{index}].{key}");
            let Some(rule) = rule::of(&rules, key) else {
                let nearest = nearest(key, rules.iter().map(|(known, _)| *known));
                return Err(SettingsError::UnknownKey {
                    key: full,
                    nearest: nearest.map(|nearest| format!("{LIST}[{index}].{nearest}")),
                    origin: origin.clone(),
                });
            };
            check(&full, value, rule, origin)?;
        }
        for required in ["name", "kind"] {
            if !entry.contains_key(required) {
                return Err(contradiction(
                    &format!("{LIST}[{index}].{required}"),
                    "is missing",
                    origin,
                ));
            }
        }
    }
    Ok(())
}

/// The whole chain: the listed providers, what the environment adds, the local model where there is nothing else;
/// checked against each other, with their keys.
pub(super) fn chain(listed: &[Provider], sources: &Sources, origins: &mut Origins) -> Result<Chain, SettingsError> {
    let origin = origins.get(LIST).cloned().unwrap_or(Origin::Default);
    check_together(listed, &origin)?;
    let from_environment = openai(listed, sources)?;
    let defined = from_environment.is_some();
    if defined {
        origins.insert(
            LIST.to_owned(),
            Origin::Environment(openai_variable(sources).to_owned()),
        );
    }
    let mut providers: Vec<Provider> = from_environment.into_iter().chain(listed.iter().cloned()).collect();
    if providers.is_empty() {
        if cfg!(not(feature = "local-llm")) {
            return Err(contradiction(
                LIST,
                "is empty and this build has no local model",
                &origin,
            ));
        }
        providers.push(Provider::new(LOCAL, ProviderKind::Local));
    }

    let mut shown = Vec::new();
    for (index, provider) in providers.iter_mut().enumerate() {
        let is_openai = defined && index == 0;
        let origin_of = |key: &str| {
            if is_openai {
                openai_origin(key, sources)
            } else {
                origin.clone()
            }
        };
        let prefix = format!("{LIST}[{index}]");
        provider.api_key = api_key(provider, &prefix, sources, &origin_of("api_key_env"))?;
        shown.extend(provider.entries().into_iter().map(|(key, value)| Shown {
            key: format!("{prefix}.{key}"),
            value,
            origin: origin_of(key),
        }));
    }
    let variables = providers
        .iter()
        .filter_map(|provider| provider.api_key_env.clone())
        .collect();
    Ok(Chain {
        providers,
        variables,
        shown,
    })
}

fn check_together(listed: &[Provider], origin: &Origin) -> Result<(), SettingsError> {
    let mut names = BTreeSet::new();
    let mut locals = 0;
    for (index, provider) in listed.iter().enumerate() {
        let fail = |key: &str, what: &str| Err(contradiction(&format!("{LIST}[{index}].{key}"), what, origin));
        if !names.insert(&provider.name) {
            return fail("name", "is the name of an earlier provider too");
        }
        if provider.kind == ProviderKind::Openai {
            if provider.base_url.is_none() {
                return fail("base_url", "is missing: kind openai needs it");
            }
            if provider.api_key_env.is_some() && provider.api_key_file.is_some() {
                return fail("api_key_file", "cannot stand beside api_key_env: one place for the key");
            }
            match (provider.price_input, provider.price_output) {
                (Some(_), None) => return fail("price_output", "is missing: price_input alone prices no answer"),
                (None, Some(_)) => return fail("price_input", "is missing: price_output alone prices no answer"),
                (Some(_), Some(_)) | (None, None) => {}
            }
            continue;
        }
        if let Some((key, _)) = provider
            .entries()
            .iter()
            .find(|(key, _)| !matches!(*key, "name" | "kind"))
        {
            return fail(key, &format!("has no effect on kind {}", provider.kind.as_str()));
        }
        if provider.kind == ProviderKind::Local {
            locals += 1;
            if cfg!(not(feature = "local-llm")) {
                return fail("kind", "is local and this build has no local model");
            }
        }
        if locals > 1 {
            return fail("kind", "is local a second time; the program holds one local model");
        }
    }
    Ok(())
}

/// The provider of the `OPENAI_*` variables, unless one of that name is listed.
fn openai(listed: &[Provider], sources: &Sources) -> Result<Option<Provider>, SettingsError> {
    if listed.iter().any(|provider| provider.name == OPENAI) {
        return Ok(None);
    }
    let (key, base_url) = (sources.variable(OPENAI_API_KEY), sources.variable(OPENAI_BASE_URL));
    let model = sources.variable(OPENAI_MODEL);
    if key.is_none() && base_url.is_none() {
        return match model {
            Some(_) => Err(contradiction(
                "model",
                "has no effect without OPENAI_API_KEY or OPENAI_BASE_URL",
                &Origin::Environment(OPENAI_MODEL.to_owned()),
            )),
            None => Ok(None),
        };
    }
    for (field, rule, variable) in [
        ("base_url", Rule::BaseUrl, OPENAI_BASE_URL),
        ("model", Rule::Text, OPENAI_MODEL),
    ] {
        if let Some(text) = sources.variable(variable) {
            let origin = Origin::Environment(variable.to_owned());
            check(
                &format!("{LIST}[0].{field}"),
                &Value::String(text.to_owned()),
                rule,
                &origin,
            )?;
        }
    }
    Ok(Some(Provider {
        base_url: Some(SecretUrl::new(base_url.unwrap_or(OPENAI_URL))),
        model: model.map(str::to_owned),
        api_key_env: key.map(|_| OPENAI_API_KEY.to_owned()),
        ..Provider::new(OPENAI, ProviderKind::Openai)
    }))
}

/// The variable because of which the provider exists.
fn openai_variable(sources: &Sources) -> &'static str {
    if sources.variable(OPENAI_BASE_URL).is_some() {
        OPENAI_BASE_URL
    } else {
        OPENAI_API_KEY
    }
}

fn openai_origin(key: &str, sources: &Sources) -> Origin {
    let variable = match key {
        "base_url" if sources.variable(OPENAI_BASE_URL).is_none() => return Origin::Default,
        "base_url" => OPENAI_BASE_URL,
        "model" => OPENAI_MODEL,
        "api_key_env" => OPENAI_API_KEY,
        _ => openai_variable(sources),
    };
    Origin::Environment(variable.to_owned())
}

fn api_key(
    provider: &Provider,
    prefix: &str,
    sources: &Sources,
    origin: &Origin,
) -> Result<Option<SecretString>, SettingsError> {
    let (key, text) = if let Some(variable) = &provider.api_key_env {
        let key = format!("{prefix}.api_key_env");
        let Some(text) = sources.variable(variable) else {
            return Err(SettingsError::VariableUnset {
                key,
                variable: variable.clone(),
                origin: origin.clone(),
            });
        };
        (key, text.to_owned())
    } else if let Some(file) = &provider.api_key_file {
        let key = format!("{prefix}.api_key_file");
        let path = sources.cwd.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => (key, text),
            Err(source) => {
                return Err(SettingsError::KeyFile {
                    key,
                    path,
                    origin: origin.clone(),
                    source,
                });
            }
        }
    } else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(SettingsError::UnusableKey {
            key,
            origin: origin.clone(),
        });
    }
    Ok(Some(SecretString::from(text)))
}

pub(super) fn contradiction(key: &str, what: &str, origin: &Origin) -> SettingsError {
    SettingsError::Contradiction {
        key: key.to_owned(),
        what: what.to_owned(),
        origin: origin.clone(),
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    super::seconds(deserializer).map(Some)
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Profile>, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map(Some).map_err(D::Error::custom)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
    // The rule of the key admits these two words only.
    Ok(match String::deserialize(deserializer)?.as_str() {
        "compact" => Size::Compact,
        _ => Size::Full,
    })
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, SecretString>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(headers.into_iter().map(|(name, value)| (name, value.into())).collect())
}
