//! What the program says about its work: one subscriber, to stderr.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt};

use crate::settings::{Log, LogFormat};

/// Why nothing will be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`log.filter` holds no filter directives")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("the process logs already")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Logs to stderr from now on. Once per process.
pub fn install(log: &Log) -> Result<(), TelemetryError> {
    let is_terminal = io::stderr().is_terminal();
    subscriber(log, is_terminal, io::stderr)?.try_init()?;
    Ok(())
}

/// What [`install`] installs, with another place to write to.
fn subscriber<W>(log: &Log, is_terminal: bool, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let text = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match (text, is_terminal) {
        (false, _) => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
        // The default looks at NO_COLOR.
        (true, true) => Box::new(builder.finish()),
        (true, false) => Box::new(builder.with_ansi(false).finish()),
    })
}

#[cfg(test)]
mod tests;
