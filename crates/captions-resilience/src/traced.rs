//! Calls to language models as OpenTelemetry sees them: one span for each, named and described by the `GenAI` conventions.
//!
//! The names are here and nowhere else; the conventions are still under development. Prompts and captions never go in. The
//! spans have a target of their own, [`TARGET`]: the log leaves them out, and without an exporter nobody makes them.

use std::sync::Arc;

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::{FaultKind, LlmError, Rejection},
    ports::{Chunk, ChunkStream, Completion, Credit, Description, LlmProvider},
    prompt::Prompt,
};
use futures_util::StreamExt;
use tracing::{Instrument, Span, field::Empty};

/// The target of spans that are for traces and not for the log.
pub const TARGET: &str = "captions::trace";

/// A provider whose calls are traced. Goes inside the policy, where one call is one attempt.
#[derive(Debug)]
pub struct Traced<P: ?Sized> {
    inner: Arc<P>,
    host: Option<String>,
    port: Option<u16>,
}

impl<P: LlmProvider + ?Sized> Traced<P> {
    /// Traces calls to `inner`, which reaches its model at this host and port.
    pub const fn new(inner: Arc<P>, host: Option<String>, port: Option<u16>) -> Self {
        Self { inner, host, port }
    }

    fn span(&self) -> Span {
        let Description { provider, model, .. } = self.inner.describe();
        tracing::info_span!(
            target: TARGET,
            "chat",
            otel.name = format!("chat {model}"),
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
            gen_ai.response.model = Empty,
            gen_ai.response.id = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            server.address = self.host,
            server.port = self.port.map(i64::from),
            error.r#type = Empty,
        )
    }
}

fn succeeded(span: &Span, credit: &Credit) {
    span.record("gen_ai.response.model", credit.model.as_str());
    if let Some(id) = &credit.provider_request_id {
        span.record("gen_ai.response.id", id.as_str());
    }
    if let Some(usage) = credit.usage {
        span.record("gen_ai.usage.input_tokens", signed(usage.input_tokens));
        span.record("gen_ai.usage.output_tokens", signed(usage.output_tokens));
    }
}

/// OpenTelemetry has no unsigned numbers, and takes them for text.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn failed(span: &Span, error: &LlmError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type(error));
}

/// Few and fixed: what an error says in words may repeat what was asked.
const fn error_type(error: &LlmError) -> &'static str {
    match error {
        LlmError::Rejected { kind, .. } => match kind {
            Rejection::Auth => "rejected_auth",
            Rejection::Billing => "rejected_billing",
            Rejection::Request => "rejected_request",
        },
        LlmError::Refused => "refused",
        LlmError::TooLong => "too_long",
        LlmError::Unusable { .. } => "unusable",
        LlmError::Unpaid(_) => "unpaid",
        LlmError::Fault(fault) => match fault.kind {
            FaultKind::Timeout => "timeout",
            kind => kind.as_str(),
        },
    }
}

/// Tells of a call that was dropped before it ended.
struct Ending<'a> {
    span: &'a Span,
    told: bool,
}

impl Ending<'_> {
    fn tell(&mut self, result: Result<&Credit, &LlmError>) {
        self.told = true;
        match result {
            Ok(credit) => succeeded(self.span, credit),
            Err(error) => failed(self.span, error),
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", "cancelled");
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<P: LlmProvider + ?Sized> LlmProvider for Traced<P> {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let span = self.span();
        let mut ending = Ending {
            span: &span,
            told: false,
        };
        let result = self.inner.complete(cx, prompt).instrument(span.clone()).await;
        ending.tell(result.as_ref().map(|completion| &completion.credit));
        result
    }

    /// The span ends with the stream.
    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let span = self.span();
        let opened = {
            let mut ending = Ending {
                span: &span,
                told: false,
            };
            let opened = self.inner.stream(cx, prompt).instrument(span.clone()).await;
            match &opened {
                // To be told by the stream.
                Ok(_) => ending.told = true,
                Err(error) => ending.tell(Err(error)),
            }
            opened
        };
        let mut chunks = opened?;
        Ok(Box::pin(stream! {
            let mut ending = Ending { span: &span, told: false };
            while let Some(next) = chunks.next().instrument(span.clone()).await {
                match &next {
                    Ok(Chunk::End(credit)) => ending.tell(Ok(credit)),
                    Err(error) => ending.tell(Err(error)),
                    Ok(Chunk::Text(_) | Chunk::Withdrawn { .. } | Chunk::Progress { .. }) => {}
                }
                yield next;
            }
        }))
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
