//! Traces: the spans of requests and of model calls, sent to a collector by OTLP over HTTP.
//!
//! The exporter has a thread of its own and a queue of fixed length before it: with the collector away or slow, spans are
//! dropped and nobody waits. What goes out is decided here and in [`captions_resilience::traced`]: names, times, codes,
//! tokens; never what a user wrote.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use captions_resilience::traced::TARGET;
use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator,
    trace::{SpanKind, TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::settings::Telemetry;

/// Spans that wait for the exporter; one more is dropped.
const MOST_WAITING: usize = 2048;
/// Spans of one export.
const MOST_AT_ONCE: usize = 512;
/// Between two exports, unless there are [`MOST_AT_ONCE`] spans before.
const PAUSE: Duration = Duration::from_secs(2);
/// The most that one export may take.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// The most that the last export may hold up the end of the process.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// The name of the span that the HTTP server opens for each request.
const REQUEST: &str = "request";

/// Why there can be no traces: the settings are to be mended.
#[derive(Debug, thiserror::Error)]
#[error("`telemetry.otlp_endpoint` cannot be used")]
pub struct TracesError(#[from] opentelemetry_otlp::ExporterBuildError);

/// The traces of this process. Without an endpoint in the settings there are none, and no thread for them.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub(super) fn new(settings: &Telemetry) -> Result<Self, TracesError> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(Self(None));
        };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", endpoint.expose().trim_end_matches('/')))
            .with_timeout(EXPORT_LIMIT)
            .build()?;
        let exporter = Told {
            exporter,
            is_away: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(MOST_AT_ONCE)
            .with_scheduled_delay(PAUSE)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let share = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(
                Resource::builder()
                    .with_service_name(settings.service_name.clone())
                    .build(),
            )
            .build();
        Ok(Self(Some(provider)))
    }

    /// What makes traces of the spans of a subscriber.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.0.as_ref()?.tracer("captions");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        Some(layer.with_filter(filter_fn(is_traced)))
    }

    /// Delivers what waits, within 2 s, and ends the exporter.
    pub async fn shutdown(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces were not delivered");
        }
    }
}

/// No event is: what is logged may say more than a trace should hold.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && (metadata.target() == TARGET || is_request(metadata))
}

fn is_request(metadata: &Metadata<'_>) -> bool {
    metadata.name() == REQUEST && metadata.target().starts_with("captions_http")
}

/// Makes the span part of its caller's trace. The values are those of the headers of the same names; ones that cannot be read
/// are ignored. To be called before the span is entered.
pub fn adopt(span: &Span, traceparent: &str, tracestate: Option<&str>) {
    let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    carrier.extend(tracestate.map(|state| ("tracestate".to_owned(), state.to_owned())));
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() {
        // Only fails where there are no traces.
        drop(span.set_parent(context));
    }
}

/// Enters the status with which a request was answered into its span.
pub fn answered(span: &Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(opentelemetry::trace::Status::error(""));
    }
}

/// Says once that the collector is away and once that it is back, and writes the span of a request by the conventions:
/// in the log it has shorter names.
#[derive(Debug)]
struct Told<E> {
    exporter: E,
    is_away: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.retain(|span| !is_probe(span));
        if batch.is_empty() {
            return Ok(());
        }
        for span in batch.iter_mut().filter(|span| span.name == REQUEST) {
            conventional(span);
        }
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        let was_away = self.is_away.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_away => tracing::warn!(%error, spans, "traces cannot be delivered; they are dropped"),
            Ok(()) if was_away => tracing::info!("traces are delivered again"),
            Ok(()) | Err(_) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// True for a request of the machinery: it comes all the time and tells nothing.
fn is_probe(span: &SpanData) -> bool {
    const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];
    span.name == REQUEST
        && span
            .attributes
            .iter()
            .any(|said| said.key.as_str() == "route" && PROBES.contains(&&*said.value.as_str()))
}

/// The span of a request with the names of the HTTP conventions.
fn conventional(span: &mut SpanData) {
    let renamed = [
        ("method", "http.request.method"),
        ("route", "http.route"),
        ("request_id", "captions.request_id"),
    ];
    let mut words = ["", ""].map(String::from);
    for KeyValue { key, value, .. } in &mut span.attributes {
        let Some((_, conventional)) = renamed.iter().find(|(name, _)| *name == key.as_str()) else {
            continue;
        };
        match *conventional {
            "http.request.method" => words[0] = value.to_string(),
            "http.route" => words[1] = value.to_string(),
            _ => {}
        }
        *key = (*conventional).into();
    }
    span.name = words.join(" ").into();
    span.span_kind = SpanKind::Server;
}
