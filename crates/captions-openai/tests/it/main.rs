//! The adapter against the scripted server, and against a real llama.cpp server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod http2;
mod ladder;
mod limits;
mod llama;
mod refusals;
mod sockets;
mod stream;
mod usual;

use std::{sync::Arc, time::Duration};

use captions_domain::{
    context::{Attempts, Class, Context},
    fault::{FaultKind, LlmError, Rejection},
    ports::{Chunk, Completion, Credit, LlmProvider},
    prompt::{Format, Prompt, render},
};
use captions_openai::{OpenAi, options::OpenAiOptions, profile::Profile};
use captions_testkit::{build, contract::llm::brief, llm::FakeLlm};
use futures_util::StreamExt as _;

/// The provider is process-wide; a second install by another test is refused and harmless.
fn install_tls() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

fn options(fake: &FakeLlm) -> OpenAiOptions {
    install_tls();
    OpenAiOptions {
        // More than a busy machine is silent, and little enough for the tests that wait for it.
        read_timeout: Duration::from_secs(1),
        ..OpenAiOptions::new("fake", fake.base_url(), "fake-model")
    }
}

fn provider(fake: &FakeLlm) -> OpenAi {
    OpenAi::new(&options(fake)).unwrap()
}

fn provider_as(fake: &FakeLlm, profile: Profile) -> OpenAi {
    OpenAi::new(&OpenAiOptions {
        profile: Some(profile),
        ..options(fake)
    })
    .unwrap()
}

fn plain() -> Prompt {
    render(&brief(), &[], Format::Plain, None)
}

fn variants() -> Prompt {
    render(&brief(), &[], Format::Variants, None)
}

/// A context whose first call is entered, as the policy does it, out of at most `limit`.
fn context(limit: u32) -> Context {
    let cx = Context {
        attempts: Arc::new(Attempts::up_to(limit)),
        class: Class::Interactive,
        notes: Arc::default(),
        ..build::context()
    };
    assert!(cx.attempts.begin());
    cx
}

/// All pieces of a stream, and how it ended.
struct Streamed {
    text: String,
    end: Result<Credit, LlmError>,
}

async fn stream(provider: &OpenAi, cx: &Context, prompt: &Prompt) -> Streamed {
    let mut text = String::new();
    let mut pieces = match provider.stream(cx, prompt).await {
        Ok(pieces) => pieces,
        Err(error) => return Streamed { text, end: Err(error) },
    };
    let mut end = None;
    while let Some(piece) = pieces.next().await {
        assert!(end.is_none(), "something came after the end: {piece:?}");
        match piece {
            Ok(Chunk::Text(piece)) => {
                assert!(!piece.is_empty());
                text.push_str(&piece);
            }
            Ok(Chunk::End(credit)) => end = Some(Ok(credit)),
            Ok(other) => panic!("not of this provider: {other:?}"),
            Err(error) => end = Some(Err(error)),
        }
    }
    Streamed {
        text,
        end: end.unwrap(),
    }
}

/// An outcome in a word or two.
fn name(error: &LlmError) -> &'static str {
    match error {
        LlmError::Refused => "refused",
        LlmError::TooLong => "too long",
        LlmError::Rejected {
            kind: Rejection::Auth, ..
        } => "auth",
        LlmError::Rejected {
            kind: Rejection::Billing,
            ..
        } => "billing",
        LlmError::Rejected {
            kind: Rejection::Request,
            ..
        } => "request",
        LlmError::Unusable { .. } => "unusable",
        LlmError::Unpaid(_) => "unpaid",
        LlmError::Fault(fault) => fault.kind.as_str(),
    }
}

fn outcome(answer: &Result<Completion, LlmError>) -> &'static str {
    answer.as_ref().map_or_else(name, |_| "answered")
}

fn kind(error: LlmError) -> FaultKind {
    match error {
        LlmError::Fault(fault) => fault.kind,
        other => panic!("not a fault: {other:?}"),
    }
}
