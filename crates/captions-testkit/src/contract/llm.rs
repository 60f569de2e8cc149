//! What every [`LlmProvider`] does, whatever writes its text. Each behaviour is one function; [`suite`] runs them all.
//!
//! How an answer can fail is not part of it: that depends on what stands behind the provider.
#![expect(clippy::expect_used, reason = "a broken contract must fail the test loudly")]

use std::sync::Arc;

use captions_domain::{
    brief::Brief,
    ports::{Chunk, Credit, LlmProvider},
    prompt::{Format, Prompt, render},
    reply,
    request::CaptionRequest,
    user::Preferences,
};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::build::{context, description};

/// A plain brief: one short English caption for Instagram.
pub fn brief() -> Brief {
    let description = description("Fresh sourdough loaves on a wooden shelf in our bakery this morning");
    Brief::resolve(&CaptionRequest::new(description), &Preferences::default()).0
}

/// Every behaviour, one after the other, on both questions about this brief.
pub async fn suite(provider: Arc<dyn LlmProvider>, brief: &Brief) {
    let (variants, plain) = (
        render(brief, &[], Format::Variants, None),
        render(brief, &[], Format::Plain, None),
    );
    suite_on(provider, &variants, &plain).await;
}

/// The same on questions of one's own, one of each form: for models too small for real ones.
pub async fn suite_on(provider: Arc<dyn LlmProvider>, variants: &Prompt, plain: &Prompt) {
    let provider = provider.as_ref();
    its_description_is_complete_and_stable(provider);
    a_completion_is_usable(provider, variants).await;
    a_completion_is_usable(provider, plain).await;
    a_stream_is_pieces_and_one_end(provider, plain).await;
    a_dropped_call_is_harmless(provider, plain).await;
    a_dropped_stream_is_harmless(provider, plain).await;
    a_call_counts_no_attempt_that_was_not_made(provider, plain).await;
}

fn its_description_is_complete_and_stable(provider: &dyn LlmProvider) {
    let description = provider.describe().clone();

    assert_eq!(
        &description,
        provider.describe(),
        "describe() changed between two calls"
    );
    assert!(!description.provider.is_empty(), "a provider has a name");
    assert!(!description.model.is_empty(), "a provider names its model");
    assert!(
        !description.fingerprint.is_empty(),
        "without a fingerprint its answers cannot be cached"
    );
    assert!(!description.members.is_empty(), "a provider is at least its own member");
}

fn is_credited(credit: &Credit, provider: &dyn LlmProvider) {
    let description = provider.describe();
    assert_eq!(credit.provider, description.provider);
    assert_eq!(credit.model, description.model);
    assert_eq!(credit.grade, description.grade);
    assert!(credit.first_choice, "a healthy provider is the first choice");
}

async fn a_completion_is_usable(provider: &dyn LlmProvider, prompt: &Prompt) {
    let completion = provider.complete(&context(), prompt).await.expect("a completion");

    let drafts = reply::parse(&completion.text, prompt.format).expect("an answer in the form asked for");
    assert!(drafts.iter().all(|draft| !draft.text().is_empty()), "an empty draft");
    is_credited(&completion.credit, provider);
}

async fn a_stream_is_pieces_and_one_end(provider: &dyn LlmProvider, prompt: &Prompt) {
    let mut stream = provider.stream(&context(), prompt).await.expect("a stream");

    let mut text = String::new();
    let mut credit = None;
    while let Some(chunk) = stream.next().await {
        assert!(credit.is_none(), "something came after the end: {chunk:?}");
        match chunk.expect("a piece") {
            Chunk::Text(piece) => text.push_str(&piece),
            Chunk::Withdrawn { .. } => text.clear(),
            Chunk::Progress { done, of } => assert!(done <= of, "progress {done} of {of}"),
            Chunk::End(end) => credit = Some(end),
        }
    }

    assert!(!text.trim().is_empty(), "the stream held no text");
    is_credited(&credit.expect("a stream that is not cut off ends with End"), provider);
}

async fn a_dropped_call_is_harmless(provider: &dyn LlmProvider, prompt: &Prompt) {
    let cx = context();
    for _ in 0..3 {
        let polled_once = provider.complete(&cx, prompt).now_or_never();
        drop(polled_once);
    }

    a_completion_is_usable(provider, prompt).await;
}

async fn a_dropped_stream_is_harmless(provider: &dyn LlmProvider, prompt: &Prompt) {
    for pieces in 0..4 {
        let mut stream = provider.stream(&context(), prompt).await.expect("a stream");
        for _ in 0..pieces {
            let _piece = stream.next().await;
        }
        drop(stream);
    }

    a_stream_is_pieces_and_one_end(provider, prompt).await;
}

/// The first call is entered by who makes it; a provider enters only further ones of its own.
async fn a_call_counts_no_attempt_that_was_not_made(provider: &dyn LlmProvider, prompt: &Prompt) {
    let cx = context();
    assert!(cx.attempts.begin(), "a fresh ledger has room");

    let completion = provider.complete(&cx, prompt).await;

    completion.expect("a completion");
    assert_eq!(cx.attempts.begun(), 1, "a healthy call is one attempt");
}
