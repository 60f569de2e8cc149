//! The writers: the chain of providers, and the rungs below it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use captions_domain::{
    caption::Source,
    engine::Rung,
    fault::{Fault, FaultKind},
    money::{Currency, Prices},
    ports::LlmProvider,
};
use captions_embedded::template::TemplateWriter;
use captions_openai::{
    OpenAi,
    options::{Listener, OpenAiOptions},
};
use captions_resilience::{
    failover::Failover,
    guarded::Guarded,
    monitor::{Dependency, LimiterStats, Monitor},
    policy::Policy,
    priced::{Ledger, Priced},
    rate::shared::SharedQuota,
    remembered::Remembered,
    slots::Slots,
    traced::Traced,
};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::{
    assemble::AssembleError,
    limits, policies,
    providers::{Known, Providers, Role},
    readiness::{Component, Probe},
    settings::{Api, Provider, ProviderKind, SecretUrl, Settings},
};

/// The name of the writers below the chain, as callers see it.
const LOCAL_RUNG: &str = "local-smollm2";
const TEMPLATE_RUNG: &str = "template";
/// Time for the local model to be loaded at the start.
#[cfg(feature = "local-llm")]
const WARM_LIMIT: Duration = Duration::from_secs(60);

#[cfg(feature = "local-llm")]
type Local = captions_local_llm::LocalLlm;
/// There is none in this build.
#[cfg(not(feature = "local-llm"))]
type Local = std::convert::Infallible;

/// A local model whose file is there, to be loaded before the first caption needs it.
#[derive(Clone)]
pub(crate) struct Cold(Arc<Local>);

impl Cold {
    /// Loads it. Dropping the future stops the waiting for it.
    #[cfg(feature = "local-llm")]
    pub(crate) async fn warm(&self) {
        let begun = std::time::Instant::now();
        match self.0.warm(begun + WARM_LIMIT).await {
            Ok(()) => tracing::info!(duration_ms = begun.elapsed().as_secs_f64() * 1e3, "local model loaded"),
            // The first caption tries again and is told.
            Err(error) => tracing::warn!(error = %crate::doctor::told(&error), "the local model cannot be loaded"),
        }
    }

    #[cfg(not(feature = "local-llm"))]
    #[expect(clippy::unused_async, reason = "the same form as with a local model")]
    pub(crate) async fn warm(&self) {
        match *self.0 {}
    }
}

struct Started {
    guarded: Arc<dyn LlmProvider>,
    cold: Option<Cold>,
}

pub(crate) struct Writers {
    pub(crate) chain: Arc<dyn LlmProvider>,
    pub(crate) rungs: Vec<Rung>,
    pub(crate) providers: Providers,
    pub(crate) components: Vec<Component>,
    /// Set where the chain of providers holds the local model.
    pub(crate) cold: Option<Cold>,
}

/// Starts the local model's thread if it is used, and asks a provider that names no model for its first one.
pub(crate) async fn writers(
    settings: &Settings,
    quota: &Arc<SharedQuota>,
    monitor: &Monitor,
    ledger: &Ledger,
) -> Result<Writers, AssembleError> {
    let listed = &settings.llm.providers;
    let mut members: Vec<Arc<dyn LlmProvider>> = Vec::new();
    let (mut components, mut known) = (Vec::new(), Vec::new());
    let mut cold = None;
    let mut targets: Vec<(Target, Policy)> = Vec::new();
    let hosts = shared_hosts(listed, &settings.api);
    for (position, provider) in listed.iter().enumerate() {
        let name = provider.name.as_str();
        // Of the template nothing can fail.
        let mut component = Component::new(name, None, Probe::None);
        let member: Arc<dyn LlmProvider> = match provider.kind {
            ProviderKind::Openai => {
                let policy = Policy::new(policies::provider(provider, &settings.api, position, listed.len()));
                let longest_wait = policy
                    .settings()
                    .retry
                    .map_or(policies::SHORT_WAIT, |retry| retry.longest_wait);
                let toward = limits::toward(provider, &settings.api, quota, longest_wait);
                let policy = match toward.rate {
                    Some(rate) => {
                        let (decisions, quota) = (Arc::clone(&rate.decisions), Arc::clone(quota));
                        monitor.limiter(name, move || LimiterStats {
                            alone: quota.alone(),
                            ..decisions.stats()
                        });
                        policy.limited(rate)
                    }
                    None => policy,
                };
                let openai = openai(provider, &settings.api, toward.listener).await?;
                let (host, port) = place(provider);
                let policy = match hosts.get(&(host.clone(), port)) {
                    Some(slots) => policy.within(Arc::clone(slots)),
                    None => policy,
                };
                let target = (host.clone(), port, openai.describe().model.clone());
                let policy = match targets.iter().find(|(known, _)| *known == target) {
                    Some((_, known)) => policy.toward_the_target_of(known),
                    None => policy,
                };
                let policy = monitor.watch(Dependency::Provider(name), policy);
                targets.push((target, policy.clone()));
                component = Component::new(name, Some(policy.clone()), Probe::None);
                components.push(component.clone());
                let traced = Traced::new(Arc::new(openai), host, port);
                let guarded: Arc<dyn LlmProvider> = Arc::new(Guarded::new(Arc::new(traced), policy));
                let prices = prices(provider, settings.budgets.currency);
                Arc::new(Priced::new(guarded, prices, ledger.clone()))
            }
            ProviderKind::Local => {
                component = Component::new(name, None, Probe::model(settings));
                components.push(component.clone());
                let local = local(settings, name, true, ledger)?;
                cold = local.cold;
                local.guarded
            }
            ProviderKind::Template => template(name, true),
        };
        let llm = Arc::new(Remembered::new(member));
        members.push(Arc::clone(&llm) as _);
        known.push(Known::new(Role::Chain, llm, component));
    }

    let mut rungs = Vec::new();
    if settings.fallback.local && !listed.iter().any(|provider| provider.kind == ProviderKind::Local) {
        let component = Component::new(LOCAL_RUNG, None, Probe::model(settings));
        components.push(component.clone());
        let llm = Arc::new(Remembered::new(local(settings, LOCAL_RUNG, false, ledger)?.guarded));
        rungs.push(Rung {
            source: Source::Local,
            llm: Arc::clone(&llm) as _,
        });
        known.push(Known::new(Role::Fallback, llm, component));
    }
    if settings.fallback.template {
        let llm = Arc::new(Remembered::new(template(TEMPLATE_RUNG, false)));
        rungs.push(Rung {
            source: Source::Template,
            llm: Arc::clone(&llm) as _,
        });
        let component = Component::new(TEMPLATE_RUNG, None, Probe::None);
        known.push(Known::new(Role::Fallback, llm, component));
    }

    let mut members = members.into_iter();
    // The settings put a provider into every list.
    let first = members.next().ok_or(AssembleError::NoProvider)?;
    let chain = Arc::new(Failover::new(first, members.collect()));
    // Its slots come before those of any provider, so that a crowd is mostly turned away here.
    let policy = monitor.watch(Dependency::Chain, Policy::new(policies::chain(&settings.api)));
    let chain = Arc::new(Guarded::new(chain, policy));
    Ok(Writers {
        chain,
        rungs,
        providers: Providers::new(known),
        components,
        cold,
    })
}

/// What is well or out as a whole: a host, a port and a model. Entries that differ in nothing else, such as two keys for the
/// same model, share a breaker.
type Target = (Option<String>, Option<u16>, String);

/// A host and a port.
pub(crate) type Place = (Option<String>, Option<u16>);

/// The slots of each host that several entries name: it gets no more calls at once for that. Where there is one entry, its
/// own slots are the host's.
pub(crate) fn shared_hosts(listed: &[Provider], api: &Api) -> HashMap<Place, Arc<Slots>> {
    let mut entries: HashMap<Place, usize> = HashMap::new();
    for provider in listed.iter().filter(|provider| provider.kind == ProviderKind::Openai) {
        *entries.entry(place(provider)).or_default() += 1;
    }
    entries.retain(|_, count| *count > 1);
    let slots = |(host, _): &Place| Slots::new(host.as_deref().unwrap_or_default().into(), policies::host(api));
    entries
        .into_keys()
        .map(|place| (place.clone(), Arc::new(slots(&place))))
        .collect()
}

/// The host and the port at which a provider is reached.
fn place(provider: &Provider) -> Place {
    let url = provider.base_url.as_ref().and_then(|url| url.expose().parse().ok());
    url.map_or((None, None), |url: url::Url| {
        (url.host_str().map(Into::into), url.port_or_known_default())
    })
}

/// What the provider asks, where the settings say it.
fn prices(provider: &Provider, currency: Currency) -> Option<Prices> {
    let (input, output) = provider.price_input.zip(provider.price_output)?;
    Some(Prices {
        input,
        output,
        currency,
    })
}

fn template(name: &str, is_member: bool) -> Arc<dyn LlmProvider> {
    let policy = Policy::new(policies::in_process(name, is_member));
    Arc::new(Guarded::new(Arc::new(TemplateWriter::new(name)), policy))
}

#[cfg(feature = "local-llm")]
fn local(settings: &Settings, name: &str, is_member: bool, ledger: &Ledger) -> Result<Started, AssembleError> {
    use captions_local_llm::{LocalLlm, LocalOptions};

    let files = crate::model::files(settings).ok_or(AssembleError::NoModelFolder)?;
    let local = LocalLlm::start(LocalOptions {
        name: name.to_owned(),
        queue: settings.local.queue,
        candidates: settings.local.candidates,
        ..LocalOptions::new(files)
    })
    .map_err(AssembleError::Local)?;
    let policy = Policy::new(policies::in_process(name, is_member));
    let local = Arc::new(local);
    let traced = Traced::new(Arc::clone(&local), None, None);
    Ok(Started {
        guarded: Arc::new(Priced::new(
            Arc::new(Guarded::new(Arc::new(traced), policy)),
            Some(Prices::free(settings.budgets.currency)),
            ledger.clone(),
        )),
        cold: crate::model::path(settings).map(|_| Cold(local)),
    })
}

#[cfg(not(feature = "local-llm"))]
fn local(_: &Settings, _: &str, _: bool, _: &Ledger) -> Result<Started, AssembleError> {
    Err(AssembleError::NoLocalModel)
}

/// The adapter's options for a provider. Without a model in the settings theirs is empty.
pub(crate) fn options(provider: &Provider, api: &Api) -> OpenAiOptions {
    let base_url = provider.base_url.as_ref().map(SecretUrl::expose).unwrap_or_default();
    let silence = [
        provider.timeout.unwrap_or(api.timeout),
        provider.first_byte_timeout.unwrap_or(api.first_byte_timeout),
        provider.idle_timeout.unwrap_or(api.idle_timeout),
    ];
    OpenAiOptions {
        api_key: provider.api_key.clone(),
        connect_timeout: api.connect_timeout,
        // The policy bounds each kind of wait; this is only to outlast them all.
        read_timeout: silence.into_iter().max().unwrap_or_default(),
        // The policy bounds the calls in flight, and with them the connections.
        max_idle: api.max_per_host,
        profile: provider.profile,
        prompt: provider.prompt,
        vision: provider.vision,
        ca_file: provider.ca_file.clone(),
        headers: provider
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect(),
        ..OpenAiOptions::new(&provider.name, base_url, provider.model.as_deref().unwrap_or_default())
    }
}

async fn openai(provider: &Provider, api: &Api, listener: Option<Listener>) -> Result<OpenAi, AssembleError> {
    let mut options = OpenAiOptions {
        listener,
        ..options(provider, api)
    };
    if provider.model.is_none() {
        options.model = first_model(&options, provider.timeout.unwrap_or(api.timeout)).await?;
    }
    OpenAi::new(&options).map_err(|fault| AssembleError::Provider {
        name: provider.name.clone(),
        fault,
    })
}

async fn first_model(options: &OpenAiOptions, limit: Duration) -> Result<String, AssembleError> {
    let name = options.name.clone();
    let listed = timeout(limit, OpenAi::models(options)).await;
    let listed = listed.unwrap_or_else(|_| Err(Fault::new(FaultKind::Timeout).into()));
    let models = listed.map_err(|error| AssembleError::NoModel {
        name: name.clone(),
        error,
    })?;
    let model = models.into_iter().next().ok_or(AssembleError::EmptyModelList(name))?;
    tracing::info!(
        provider = options.name,
        model,
        "no model is named; using the first that the provider lists"
    );
    Ok(model)
}
