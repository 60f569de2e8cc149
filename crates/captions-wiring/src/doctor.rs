//! What `captions doctor` finds out: each part on its own, each within a bounded time, nothing changed.

use std::{error::Error, time::Duration};

use captions_domain::fault::{LlmError, Rejection};
use captions_embedded::spool::SpooledCaptions;
use captions_openai::OpenAi;
use tokio::time::timeout;

use crate::{
    assemble::redis,
    chain,
    settings::{Loaded, Migrate, Provider, ProviderKind, SecretUrl, Settings},
    spool::Spool,
    store::Store,
};

/// How long one part may take.
const LIMIT: Duration = Duration::from_secs(5);

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `settings`, `prompts`, `store`, `spool`, `cache`, `provider NAME`, `local model` or `alerts`.
    pub name: String,
    pub ok: bool,
    /// What was found; free of secrets.
    pub detail: String,
    /// What to do, if something is to be done.
    pub fix: Option<String>,
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            ok: true,
            detail: detail.into(),
            fix: None,
        }
    }

    fn broken(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            ok: false,
            detail: detail.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Looks at everything that the settings name. Settings that could not even be loaded never come here.
pub async fn doctor(loaded: &Loaded) -> Vec<Check> {
    let settings = &loaded.settings;
    let file = loaded
        .file
        .as_ref()
        .map_or("no file".to_owned(), |path| path.display().to_string());
    let mut checks = vec![Check::ok("settings", file)];
    checks.extend(prompts(settings));
    checks.push(bounded("store", store(settings)).await);
    if Spool::is_wanted(settings) {
        checks.push(bounded("spool", spool(settings)).await);
    }
    checks.push(bounded("cache", cache(settings)).await);
    for provider in &settings.llm.providers {
        let name = format!("provider {}", provider.name);
        checks.push(match provider.kind {
            ProviderKind::Openai => bounded(&name, openai(&name, provider, settings)).await,
            ProviderKind::Local => Check::ok(&name, "runs inside this program"),
            ProviderKind::Template => Check::ok(&name, "needs nothing"),
        });
    }
    #[cfg(feature = "local-llm")]
    if crate::model::is_used(settings) {
        checks.push(model(settings));
    }
    checks.extend(webhook(settings));
    checks
}

async fn bounded(name: &str, check: impl Future<Output = Check>) -> Check {
    timeout(LIMIT, check).await.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", LIMIT.as_secs());
        Check::broken(
            name,
            detail,
            "see that it runs and that nothing on the way swallows packets",
        )
    })
}

/// Whose words the models are asked in.
fn prompts(settings: &Settings) -> Option<Check> {
    const NAME: &str = "prompts";
    let folder = settings.prompt.folder.as_ref()?.display();
    Some(match crate::prompts::templates(settings) {
        Ok(templates) if templates.overridden().is_empty() => {
            Check::ok(NAME, format!("{folder} holds no template; the shipped ones are used"))
        }
        Ok(templates) => {
            let own = templates.overridden().join(", ");
            Check::ok(NAME, format!("{folder} replaces {own}"))
        }
        Err(error) => Check::broken(
            NAME,
            told(&error),
            "mend the file, or compare it with the shipped one: captions prompt templates",
        ),
    })
}

async fn store(settings: &Settings) -> Check {
    const NAME: &str = "store";
    let url = settings.database.url.redacted();
    let mend = "mend database.url (DATABASE_URL)";
    let store = match Store::open(&settings.database, 1) {
        Ok(store) => store,
        Err(error) => return Check::broken(NAME, told(&error), mend),
    };
    let check = match store.pending().await {
        Err(fault) if fault.is_transient() => {
            let fix = format!("start the database, or {mend}");
            Check::broken(NAME, format!("{url}: {}", told(&fault)), fix)
        }
        Err(fault) => Check::broken(NAME, format!("{url}: {}", told(&fault)), mend),
        Ok(pending) if pending.is_empty() => Check::ok(NAME, format!("{url}, its tables are up to date")),
        Ok(pending) => {
            let detail = format!("{url} lacks migrations: {}", pending.join(", "));
            match settings.database.migrate {
                Migrate::Auto => Check::ok(NAME, format!("{detail} (made at the next start)")),
                Migrate::Check | Migrate::Never => {
                    Check::broken(NAME, detail, "start once with CAPTIONS_DATABASE__MIGRATE=auto")
                }
            }
        }
    };
    store.close().await;
    check
}

/// What waits for the store on this machine.
async fn spool(settings: &Settings) -> Check {
    const NAME: &str = "spool";
    let mend = "name a file that can be written in spool.path (CAPTIONS_SPOOL__PATH)";
    let Some(path) = settings.spool.path.clone() else {
        return Check::broken(NAME, "there is no folder for it", format!("set HOME, or {mend}"));
    };
    let shown = path.display().to_string();
    match SpooledCaptions::look(path).await {
        Ok(None) => Check::ok(NAME, format!("{shown}, made at the next start")),
        Ok(Some(found)) if found.set_aside > 0 => Check::broken(
            NAME,
            format!(
                "{shown}: {} writes wait, {} of them were refused by the store for good",
                found.rows, found.set_aside
            ),
            "see the store's own log for why; each start tries them again",
        ),
        Ok(Some(found)) if found.rows > 0 => Check::ok(
            NAME,
            format!(
                "{shown}: {} writes wait, until the next start with the store in reach",
                found.rows
            ),
        ),
        Ok(Some(_)) => Check::ok(NAME, format!("{shown}, nothing waits")),
        Err(fault) => Check::broken(NAME, format!("{shown}: {}", told(&fault)), mend),
    }
}

async fn cache(settings: &Settings) -> Check {
    const NAME: &str = "cache";
    if !settings.cache.enabled {
        return Check::ok(NAME, "off (cache.enabled)");
    }
    let Some(url) = &settings.redis.url else {
        return Check::ok(NAME, "in memory");
    };
    let shown = url.redacted();
    let redis = match redis(url, &settings.redis, 1) {
        Ok(redis) => redis,
        Err(error) => return Check::broken(NAME, told(&error), "mend redis.url (REDIS_URL)"),
    };
    match redis.ping().await {
        Ok(()) => Check::ok(NAME, shown),
        Err(fault) => Check::broken(
            NAME,
            format!("{shown}: {}; captions are generated without it", told(&fault)),
            "start Redis, or mend redis.url (REDIS_URL)",
        ),
    }
}

/// Asks for the list of models, which costs nothing and needs the same key as a caption.
async fn openai(name: &str, provider: &Provider, settings: &Settings) -> Check {
    let url = provider.base_url.as_ref().map(SecretUrl::redacted).unwrap_or_default();
    let options = chain::options(provider, &settings.api);
    match OpenAi::models(&options).await {
        Ok(models) => match &provider.model {
            None if models.is_empty() => {
                Check::broken(name, format!("{url} lists no model"), "name one in the settings")
            }
            None => Check::ok(name, format!("{url}, {} (the first that it lists)", models.join(", "))),
            Some(model) if models.contains(model) => Check::ok(name, format!("{url}, {model}")),
            Some(model) => {
                let fix = format!("name one of: {}", models.join(", "));
                Check::broken(name, format!("{url} does not list the model {model}"), fix)
            }
        },
        Err(
            error @ LlmError::Rejected {
                kind: Rejection::Auth, ..
            },
        ) => {
            let fix = match &provider.api_key_env {
                Some(variable) => format!("put a valid key into {variable}"),
                None => "name a variable with a valid key in api_key_env".to_owned(),
            };
            Check::broken(name, format!("{url}: {}", told(&error)), fix)
        }
        Err(error) => Check::broken(
            name,
            format!("{url}: {}", told(&error)),
            "see that the server runs and that base_url is right",
        ),
    }
}

#[cfg(feature = "local-llm")]
fn model(settings: &Settings) -> Check {
    const NAME: &str = "local model";
    let Some(files) = crate::model::files(settings) else {
        return Check::broken(
            NAME,
            "there is no folder for its file",
            "set HOME, XDG_CACHE_HOME or local.model_path",
        );
    };
    match captions_local_llm::locate(&files) {
        Some(path) => Check::ok(NAME, path.display().to_string()),
        None if files.path.is_some() => Check::broken(
            NAME,
            format!("{} is not there or is another file", files.place().display()),
            "name the right file in local.model_path, or none and run: captions model pull",
        ),
        None => Check::broken(
            NAME,
            format!("no file at {}", files.place().display()),
            "captions model pull",
        ),
    }
}

/// Nothing is sent: a receiver would take it for an alert.
fn webhook(settings: &Settings) -> Option<Check> {
    const NAME: &str = "alerts";
    let alerts = &settings.alerts;
    if !alerts.enabled || alerts.webhook_url.is_none() {
        return None;
    }
    Some(match crate::alerts::sinks(alerts) {
        Ok(_) => Check::ok(NAME, "are posted to alerts.webhook_url; it was not called"),
        Err(fault) => Check::broken(
            NAME,
            format!("alerts.webhook_url: {}", told(&fault)),
            "mend alerts.webhook_url and the secret, or set alerts.webhook_allow_private",
        ),
    })
}

/// The error with its causes.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // A transparent error and its cause say the same.
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
