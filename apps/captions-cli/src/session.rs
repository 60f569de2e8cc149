//! One command's hold on the engine: settings, what is assembled from them, the context of its calls.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::{Context, TenantId},
    engine::Engine,
    money::Currency,
    ports::{CaptionStore, KeyStore, UserStore},
    request::UserId,
    user::User,
};
use captions_wiring::{
    Assembled, Batches, Providers, UsageWriter, assemble,
    settings::{self, Loaded, LogFormat, Origin, ProviderKind, Settings, Sources},
    telemetry,
};
use uuid::Uuid;

use crate::{Surroundings, failure::Failure, screen::Screen};

/// Where the settings of this call come from; `flags` are those that stand for a setting, under `--set`.
pub(crate) fn sources(surroundings: &Surroundings, mut flags: Vec<(String, String)>) -> Sources {
    flags.extend(surroundings.global.settings.iter().cloned());
    Sources {
        flags,
        env: surroundings.env.clone(),
        config_flag: surroundings.global.config.clone(),
        cwd: surroundings.cwd.clone(),
    }
}

/// Loads the settings, and logs as they say from then on.
pub(crate) fn settings(
    surroundings: &Surroundings,
    flags: Vec<(String, String)>,
    screen: &mut Screen<'_>,
) -> Result<Loaded, Failure> {
    let loaded = settings::load(&sources(surroundings, flags))?;
    start_log(&loaded, surroundings, screen);
    Ok(loaded)
}

/// An assembled engine.
pub(crate) struct Session {
    assembled: Assembled,
}

impl Session {
    /// For commands about users and history: they need no writer, so none is started or asked for its models.
    pub(crate) async fn of_store(surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Self, Failure> {
        let mut settings = settings(surroundings, Vec::new(), screen)?.settings;
        settings.llm.providers.truncate(1);
        for provider in &mut settings.llm.providers {
            provider.kind = ProviderKind::Template;
        }
        settings.fallback.local = false;
        settings.prompt.folder = None;
        Self::open(&settings).await
    }

    pub(crate) async fn open(settings: &Settings) -> Result<Self, Failure> {
        let mut settings = settings.clone();
        // Nothing is written anew in the background: the command would end before it, having paid for it.
        settings.cache.early_refresh = false;
        settings.cache.revalidate = Duration::ZERO;
        let assembled = assemble(&settings).await?;
        Ok(Self { assembled })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.assembled.engine
    }

    pub(crate) fn batches(&self) -> &Batches {
        &self.assembled.batches
    }

    pub(crate) fn users(&self) -> &dyn UserStore {
        &*self.assembled.engine.users
    }

    pub(crate) fn captions(&self) -> &dyn CaptionStore {
        &*self.assembled.engine.captions
    }

    pub(crate) fn usage(&self) -> &UsageWriter {
        &self.assembled.usage
    }

    /// Of the prices.
    pub(crate) fn currency(&self) -> Currency {
        self.assembled.currency
    }

    pub(crate) fn providers(&self) -> &Providers {
        &self.assembled.providers
    }

    pub(crate) fn keys(&self) -> &dyn KeyStore {
        &*self.assembled.keys
    }

    /// The context of one call, whose time starts now.
    pub(crate) fn context(&self) -> Context {
        let request_id = format!("req_{}", Uuid::now_v7().simple());
        self.assembled.context(TenantId::local(), request_id.into(), None)
    }

    /// The user, who must be there.
    pub(crate) async fn user(&self, cx: &Context, id: &UserId) -> Result<User, Failure> {
        let user = self.users().read(cx, id).await?;
        user.ok_or_else(|| Failure::user_not_found(id.as_str()))
    }

    /// Ends background work and closes the store: to be called before anything that fails ends the command.
    pub(crate) async fn close(self) {
        self.assembled.shutdown().await;
    }
}

/// Logs go to stderr among the notes, so they are text, and only errors unless `--verbose` or the settings ask for more:
/// what else a person has to know is told by the command itself, once and in plain words.
fn start_log(loaded: &Loaded, surroundings: &Surroundings, screen: &mut Screen<'_>) {
    if !surroundings.log {
        return;
    }
    let mut log = loaded.settings.log.clone();
    let is_default = |key: &str| loaded.origins.get(key).is_none_or(|origin| *origin == Origin::Default);
    match (surroundings.global.quiet, surroundings.global.verbose) {
        (true, _) => "error".clone_into(&mut log.filter),
        (false, 0) if is_default("log.filter") => "error".clone_into(&mut log.filter),
        (false, 0) => {}
        (false, 1) => "info".clone_into(&mut log.filter),
        (false, _) => "debug".clone_into(&mut log.filter),
    }
    if is_default("log.format") {
        log.format = LogFormat::Text;
    }
    if let Err(error) = telemetry::install(&log) {
        screen.note(&format!("nothing will be logged: {error}"));
    }
}
