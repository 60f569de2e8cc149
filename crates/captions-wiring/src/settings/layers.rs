//! The layers, one over the other, each checked before it is laid down.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use captions_domain::money::Money;
use config::{Config, ConfigError, Map, Source};
use toml::{Table, Value};

use super::{
    Admin, Loaded, Origin, Origins, ProviderKind, Required, SecretUrl, Settings, SettingsError, Shown, Sources,
    defaults_toml, providers,
    rule::{self, KEYS, Rule, SHORT_NAMES},
};

/// What every variable of ours starts with.
const PREFIX: &str = "CAPTIONS_";
/// Names the settings file; not a setting itself.
const CONFIG_VARIABLE: &str = "CAPTIONS_CONFIG";
/// What the command line asks a server by; of no use to whoever answers.
const CLIENT_VARIABLES: [&str; 3] = ["CAPTIONS_URL", "CAPTIONS_API_KEY", "CAPTIONS_API_KEY_FILE"];

impl Sources {
    /// The environment and the folder of this process. A variable that is not UTF-8 is taken with its broken bytes
    /// replaced, so that its rule refuses it instead of nobody noticing.
    pub fn of_this_process(flags: Vec<(String, String)>, config_flag: Option<PathBuf>) -> io::Result<Self> {
        let env = std::env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .collect();
        let cwd = std::env::current_dir()?;
        Ok(Self {
            flags,
            env,
            config_flag,
            cwd,
        })
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `$<xdg>`, else `$HOME/<below_home>`. A relative XDG path is ignored, as the XDG rules say.
    fn folder(&self, xdg: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |name| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute(xdg).or_else(|| Some(absolute("HOME")?.join(below_home)))
    }

    /// The settings file, if there is one. A file that was asked for by name is read whether or not it exists.
    pub fn file(&self) -> Option<PathBuf> {
        let named = self.config_flag.clone();
        let named = named.or_else(|| self.variable(CONFIG_VARIABLE).map(PathBuf::from));
        if let Some(path) = named {
            return Some(self.cwd.join(path));
        }
        let here = self.cwd.join("captions.toml");
        let xdg = self
            .folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("captions/config.toml"));
        [Some(here), xdg].into_iter().flatten().find(|path| path.exists())
    }
}

/// Reads, checks and merges all layers.
pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
    let mut layers = vec![defaults()?];
    let path = sources.file();
    if let Some(path) = &path {
        layers.push(file(path.clone())?);
    }
    let (environment, unknown) = environment(sources)?;
    layers.push(environment);
    layers.push(flags(sources)?);

    let mut origins = Origins::new();
    let mut builder = Config::builder();
    for layer in layers {
        origins.extend(layer.0.iter().map(|(key, leaf)| (key.clone(), leaf.origin.clone())));
        builder = builder.add_source(layer);
    }
    let config = builder.build().map_err(|error| mismatch(&error))?;
    let mut settings: Settings = config.clone().try_deserialize().map_err(|error| mismatch(&error))?;

    let chain = providers::chain(&settings.llm.providers, sources, &mut origins)?;
    settings.llm.providers = chain.providers;
    settings.alerts.read_secrets(sources, &origins)?;
    let is_known =
        |name: &String| chain.variables.contains(name) || settings.alerts.webhook_secret_env.as_ref() == Some(name);
    if let Some((variable, key)) = unknown.into_iter().find(|(name, _)| !is_known(name)) {
        return Err(unknown_variable(variable, key));
    }

    settings.cache_folder = sources
        .folder("XDG_CACHE_HOME", ".cache")
        .map(|folder| folder.join("captions"));
    let data = sources
        .folder("XDG_DATA_HOME", ".local/share")
        .map(|folder| folder.join("captions"));
    settings.spool.path = match settings.spool.path {
        Some(path) => Some(sources.cwd.join(path)),
        None => data.as_ref().map(|data| data.join("spool.db")),
    };
    settings.prompt.folder = settings.prompt.folder.map(|folder| sources.cwd.join(folder));
    if settings.database.url.expose().is_empty() {
        let path = data.ok_or(SettingsError::NoDataFolder)?.join("captions.db");
        settings.database.url = SecretUrl::new(format!("sqlite:{}", path.display()));
    }

    check_admin(&settings.admin, &origins)?;
    check_auth(&settings, &origins)?;
    check_budget(&settings, &origins)?;

    let shown = show(&config, &settings, &origins, &chain.shown)?;
    Ok(Loaded {
        settings,
        origins,
        file: path,
        shown,
    })
}

/// Whoever reaches the admin listener may read everything and force breakers, so only an operator's word opens it to others.
fn check_admin(admin: &Admin, origins: &Origins) -> Result<(), SettingsError> {
    match admin.listen {
        Some(address) if !address.ip().is_loopback() && !admin.allow_remote => Err(SettingsError::Contradiction {
            key: "admin.listen".to_owned(),
            what: format!(
                "is {address}, which others can reach, and it asks nobody who they are; choose a loopback address, or set \
                 admin.allow_remote = true if only operators can reach it"
            ),
            origin: origins.get("admin.listen").cloned().unwrap_or(Origin::Default),
        }),
        _ => Ok(()),
    }
}

/// A server that others reach and that asks nobody for a key is what an operator has to mean.
fn check_auth(settings: &Settings, origins: &Origins) -> Result<(), SettingsError> {
    let (auth, listen) = (&settings.auth, settings.server.listen);
    if auth.required == Required::Never && !listen.ip().is_loopback() && !auth.allow_remote {
        return Err(SettingsError::Contradiction {
            key: "auth.required".to_owned(),
            what: format!(
                "is never, and server.listen is {listen}, which others can reach; leave it at auto and make keys with \
                 captions key create, or set auth.allow_remote = true if whoever reaches it may do everything"
            ),
            origin: origins.get("auth.required").cloned().unwrap_or(Origin::Default),
        });
    }
    Ok(())
}

/// What has no price cannot be counted.
fn check_budget(settings: &Settings, origins: &Origins) -> Result<(), SettingsError> {
    let providers = settings.llm.providers.iter();
    let mut priceless =
        providers.filter(|provider| provider.kind == ProviderKind::Openai && provider.price_input.is_none());
    match priceless.next() {
        Some(provider) if settings.budgets.limit > Money::ZERO => Err(SettingsError::Contradiction {
            key: "budgets.limit".to_owned(),
            what: format!(
                "is set, and the provider {} has no price_input and price_output, so nobody knows what is spent; 0 is the \
                 price of one that is free",
                provider.name
            ),
            origin: origins.get("budgets.limit").cloned().unwrap_or(Origin::Default),
        }),
        _ => Ok(()),
    }
}

struct Leaf {
    value: config::Value,
    origin: Origin,
}

/// Checked values by dotted key.
#[derive(Default)]
struct Layer(BTreeMap<String, Leaf>);

impl Layer {
    /// Takes one value after its rule has admitted it.
    fn set(&mut self, key: &str, value: &Value, rule: Rule, origin: &Origin) -> Result<(), SettingsError> {
        check(key, value, rule, origin)?;
        if let (Rule::Providers, Value::Array(entries)) = (rule, value) {
            providers::check_entries(entries, origin)?;
        }
        let leaf = Leaf {
            value: as_config(value, &origin.to_string()),
            origin: origin.clone(),
        };
        self.0.insert(key.to_owned(), leaf);
        Ok(())
    }

    /// Takes a whole document.
    fn set_all(&mut self, table: &Table, section: &str, origin: &Origin) -> Result<(), SettingsError> {
        for (name, value) in table {
            let key = if section.is_empty() {
                name.clone()
            } else {
                format!("{section}.{name}")
            };
            if let Some(rule) = rule::of(KEYS, &key) {
                self.set(&key, value, rule, origin)?;
                continue;
            }
            let is_section = KEYS.iter().any(|(known, _)| known.starts_with(&format!("{key}.")));
            match value {
                Value::Table(inner) if is_section => self.set_all(inner, &key, origin)?,
                _ if is_section => return Err(invalid(&key, "a section".to_owned(), kind_of(value), origin)),
                _ => return Err(unknown(first_leaf(&key, value), origin)),
            }
        }
        Ok(())
    }
}

/// Keys only: values may be secrets.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        let leaves = self.0.iter().map(|(key, leaf)| {
            let leaf = Leaf {
                value: leaf.value.clone(),
                origin: leaf.origin.clone(),
            };
            (key.clone(), leaf)
        });
        Box::new(Self(leaves.collect()))
    }

    fn collect(&self) -> Result<Map<String, config::Value>, ConfigError> {
        Ok(self
            .0
            .iter()
            .map(|(key, leaf)| (key.clone(), leaf.value.clone()))
            .collect())
    }
}

fn defaults() -> Result<Layer, SettingsError> {
    document(defaults_toml(), "defaults.toml".into(), &Origin::Default)
}

fn file(path: PathBuf) -> Result<Layer, SettingsError> {
    match fs::read_to_string(&path) {
        Ok(text) => document(&text, path.clone(), &Origin::File(path)),
        Err(source) => Err(SettingsError::File { path, source }),
    }
}

fn document(text: &str, path: PathBuf, origin: &Origin) -> Result<Layer, SettingsError> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        // The parser's own display quotes the line, and the line may hold a password.
        SettingsError::Syntax {
            path,
            line: before.matches('\n').count() + 1,
            message: error.message().to_owned(),
        }
    })?;
    let mut layer = Layer::default();
    layer.set_all(&table, "", origin)?;
    Ok(layer)
}

/// The layer, and the variables of ours that name no key, with the key that they would name.
fn environment(sources: &Sources) -> Result<(Layer, Vec<(String, String)>), SettingsError> {
    let mut layer = Layer::default();
    let mut unknown = Vec::new();
    for (name, key) in SHORT_NAMES {
        if let (Some(text), Some(rule)) = (sources.variable(name), rule::of(KEYS, key)) {
            layer.set(key, &rule.read(text), rule, &Origin::Environment((*name).to_owned()))?;
        }
    }
    for (name, text) in &sources.env {
        let is_setting = name != CONFIG_VARIABLE && !CLIENT_VARIABLES.contains(&name.as_str());
        let Some(path) = name.strip_prefix(PREFIX).filter(|_| is_setting) else {
            continue;
        };
        let key = path.replace("__", ".").to_ascii_lowercase();
        match rule::of(KEYS, &key) {
            Some(rule) => layer.set(&key, &rule.read(text), rule, &Origin::Environment(name.clone()))?,
            None => unknown.push((name.clone(), key)),
        }
    }
    Ok((layer, unknown))
}

fn flags(sources: &Sources) -> Result<Layer, SettingsError> {
    let mut layer = Layer::default();
    for (key, text) in &sources.flags {
        let rule = rule::of(KEYS, key).ok_or_else(|| unknown(key.clone(), &Origin::Flag))?;
        layer.set(key, &rule.read(text), rule, &Origin::Flag)?;
    }
    Ok(layer)
}

/// Refuses a value that does not meet its rule.
pub(super) fn check(key: &str, value: &Value, rule: Rule, origin: &Origin) -> Result<(), SettingsError> {
    if rule.admits(value) {
        return Ok(());
    }
    let found = match value {
        Value::String(text) if !rule.hides_its_value() => format!("{:?}", shortened(text)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
        _ => kind_of(value),
    };
    Err(invalid(key, rule.to_string(), found, origin))
}

fn invalid(key: &str, rule: String, found: String, origin: &Origin) -> SettingsError {
    SettingsError::Invalid {
        key: key.to_owned(),
        rule,
        found,
        origin: origin.clone(),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(_) => "text that does not fit".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Integer(_) | Value::Float(_) => "a number".to_owned(),
        Value::Boolean(_) => "true or false".to_owned(),
        Value::Datetime(_) => "a date".to_owned(),
    }
}

/// The first key below an unknown section, which says more than the section's name.
fn first_leaf(key: &str, value: &Value) -> String {
    match value {
        Value::Table(table) => table.iter().next().map_or_else(
            || key.to_owned(),
            |(name, inner)| first_leaf(&format!("{key}.{name}"), inner),
        ),
        _ => key.to_owned(),
    }
}

fn unknown(key: String, origin: &Origin) -> SettingsError {
    let nearest = nearest(&key, KEYS.iter().map(|(known, _)| *known)).map(Into::into);
    SettingsError::UnknownKey {
        key,
        nearest,
        origin: origin.clone(),
    }
}

fn unknown_variable(variable: String, key: String) -> SettingsError {
    let nearest = nearest(&key, KEYS.iter().map(|(known, _)| *known));
    SettingsError::UnknownKey {
        nearest: nearest.map(variable_of),
        key,
        origin: Origin::Environment(variable),
    }
}

/// The environment variable of a dotted key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// The known key that looks most like this one, if any looks like it. Half a key is often all that was typed.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.4;
    known
        .map(|known| (strsim::normalized_damerau_levenshtein(key, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

fn as_config(value: &Value, origin: &String) -> config::Value {
    let kind = match value {
        Value::String(text) => config::ValueKind::from(text.clone()),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(list) => list
            .iter()
            .map(|value| as_config(value, origin))
            .collect::<Vec<_>>()
            .into(),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), as_config(value, origin)));
            entries.collect::<Map<_, _>>().into()
        }
    };
    config::Value::new(Some(origin), kind)
}

/// Every key has passed its rule, so only a key without a field, or a field without a key, can be left. The message
/// of such an error names keys, but the error of a value would repeat the value.
fn mismatch(error: &ConfigError) -> SettingsError {
    SettingsError::Mismatch(match error {
        ConfigError::NotFound(key) => format!("`{key}` has no default"),
        ConfigError::Type { key, expected, .. } => {
            format!("`{}` is not {expected}", key.as_deref().unwrap_or("a key"))
        }
        ConfigError::At { key, .. } => format!("`{}` has no field for its value", key.as_deref().unwrap_or("a key")),
        ConfigError::Message(message) => message.clone(),
        _ => "the layers cannot be merged".to_owned(),
    })
}

fn show(
    config: &Config,
    settings: &Settings,
    origins: &Origins,
    providers: &[Shown],
) -> Result<Vec<Shown>, SettingsError> {
    let mut shown = Vec::new();
    for (key, rule) in KEYS {
        let text = || config.get_string(key).map_err(|error| mismatch(&error));
        let value = match rule {
            Rule::Providers => {
                shown.extend_from_slice(providers);
                continue;
            }
            Rule::SecretUrl if *key == "database.url" => quoted(&settings.database.url.redacted()),
            Rule::SecretUrl => quoted(&SecretUrl::new(text()?).redacted()),
            Rule::HookUrl => quoted(&only_host(&text()?)),
            Rule::Path if *key == "spool.path" => {
                let path = settings.spool.path.as_deref().unwrap_or(Path::new(""));
                quoted(&path.display().to_string())
            }
            Rule::Flag | Rule::Seconds(..) | Rule::Whole(..) => text()?,
            Rule::AutoOrWhole(..) => {
                let text = text()?;
                if text == "auto" { quoted(&text) } else { text }
            }
            _ => quoted(&text()?),
        };
        let origin = origins.get(*key).cloned().unwrap_or(Origin::Default);
        shown.push(Shown {
            key: (*key).to_owned(),
            value,
            origin,
        });
    }
    Ok(shown)
}

/// The URL of a receiver: what stands behind the host may be a key.
fn only_host(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let host = url::Url::parse(url).ok();
    host.map_or("***".to_owned(), |url| {
        format!("{}/***", url.origin().ascii_serialization())
    })
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
