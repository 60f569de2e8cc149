//! Alerts: what the monitor's figures mean for the rules, what the settings make of the rules, and who is told.

mod vitals;
mod webhook;

use std::sync::Arc;

use captions_domain::fault::Fault;
use captions_resilience::{
    alerts::{Alerts, Counts, LogSink, Pace, Sink, Source, Thresholds, run},
    monitor::Monitor,
    tasks::Tasks,
};

use self::{vitals::Figures, webhook::WebhookSink};
use crate::settings;

/// Looks from now on until the tasks are drained, and tells the log and the webhook; `None` where alerts are off.
///
/// The fault is that of a webhook that can never work: its secret is none, or its address is not allowed.
pub(crate) fn start(
    settings: &settings::Alerts,
    monitor: &Monitor,
    tasks: &Tasks,
) -> Result<Option<Arc<Counts>>, Fault> {
    if !settings.enabled {
        return Ok(None);
    }
    let counts = Arc::<Counts>::default();
    let looks = run(
        Alerts::new(thresholds(settings), pace(settings)),
        vec![source(monitor.clone())],
        sinks(settings)?,
        settings.interval,
        Arc::clone(&counts),
        // Its owner ends it.
        std::future::pending(),
    );
    let told = Arc::clone(&counts);
    monitor.alerts(move || told.read());
    tasks.spawn_endless("alerts", looks);
    Ok(Some(counts))
}

fn thresholds(settings: &settings::Alerts) -> Thresholds {
    Thresholds {
        database_error_rate: settings.database_error_rate,
        api_response: settings.api_response,
        breaker_open: settings.breaker_open,
        hit_rate_drop: settings.hit_rate_drop,
        pool_waiting: settings.pool_waiting,
        overload_refused: settings.overload_refused,
        event_loop_lag: settings.event_loop_lag,
        spool_rows: settings.spool_rows,
        min_calls: settings.min_calls,
        min_lookups: settings.min_lookups,
    }
}

fn pace(settings: &settings::Alerts) -> Pace {
    Pace {
        fire_after: settings.fire_after,
        resolve_after: settings.resolve_after,
        cool_down: settings.cool_down,
        repeat: settings.repeat,
    }
}

fn source(monitor: Monitor) -> Source {
    let mut figures = Figures::default();
    Source::new("monitor", move |vitals| {
        *vitals = figures.take(&monitor);
        Ok(())
    })
}

/// Who is told. Connects to nothing yet; the fault is that of [`start`].
pub(crate) fn sinks(settings: &settings::Alerts) -> Result<Vec<Arc<dyn Sink>>, Fault> {
    let mut sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(LogSink)];
    if let Some(url) = &settings.webhook_url {
        sinks.push(Arc::new(WebhookSink::new(url, settings)?));
    }
    Ok(sinks)
}

#[cfg(test)]
mod tests;
