//! What the program says about its work: one log, to stderr, and traces where the settings name a collector.

mod traces;

use std::io::{self, IsTerminal};

use captions_resilience::traced::TARGET;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub use self::traces::{Traces, TracesError, adopt, answered};
use crate::settings::{Log, LogFormat, Telemetry};

/// Why nothing will be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`log.filter` holds no filter directives")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("the process logs already")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// Logs to stderr from now on. Once per process.
pub fn install(log: &Log) -> Result<(), TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    subscriber(log, &Traces::default(), is_terminal, io::stderr)?.try_init()?;
    Ok(())
}

/// The same, with traces of requests and model calls if the settings name a collector. They last until
/// [`Traces::shutdown`]. Needs [`install_crypto`](crate::install_crypto) before, also for a collector without TLS.
pub fn install_with_traces(log: &Log, telemetry: &Telemetry) -> Result<Traces, TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    let traces = Traces::new(telemetry)?;
    subscriber(log, &traces, is_terminal, io::stderr)?.try_init()?;
    Ok(traces)
}

/// What is installed, with another place to write to.
fn subscriber<W>(
    log: &Log,
    traces: &Traces,
    is_terminal: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&log.filter)?;
    // Spans that are only for traces would be made for nobody.
    let filter = filter.and(filter_fn(|metadata| metadata.target() != TARGET));
    let text = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match (text, is_terminal) {
        (false, _) => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .with_filter(filter),
        ),
        // The default looks at NO_COLOR.
        (true, true) => Box::new(lines.with_filter(filter)),
        (true, false) => Box::new(lines.with_ansi(false).with_filter(filter)),
    };
    let mut layers: Layers = vec![lines];
    layers.extend(traces.layer().map(|layer| Box::new(layer) as _));
    Ok(tracing_subscriber::registry().with(layers))
}

#[cfg(test)]
mod tests;
