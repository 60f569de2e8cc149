//! The same adapter against llama.cpp's own server with a real, very small model.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    brief::Brief,
    ports::LlmProvider as _,
    prompt::{Format, Prompt, Size, Wording, render},
    reply,
    request::{CaptionRequest, Temperature},
    user::Preferences,
};
use captions_openai::{OpenAi, options::OpenAiOptions, profile::Profile};
use captions_testkit::{build, contract::llm::suite_on, llama};

use super::{context, install_tls, name, outcome, stream};

async fn options() -> OpenAiOptions {
    install_tls();
    let server = tokio::task::spawn_blocking(llama::server).await.unwrap();
    let mut options = OpenAiOptions {
        api_key: Some(llama::API_KEY.to_owned().into()),
        profile: Some(Profile::LlamaCpp),
        // The model thinks for seconds on a busy machine.
        read_timeout: Duration::from_secs(60),
        ..OpenAiOptions::new("llama", server.base_url(), "unknown")
    };
    options.model = OpenAi::models(&options).await.unwrap().remove(0);
    options
}

/// The same server, asked in the wording for small models.
async fn compact_options() -> OpenAiOptions {
    OpenAiOptions {
        prompt: Size::Compact,
        ..options().await
    }
}

/// Questions that a model of this size answers: greedily, in a few words, the same every time.
fn ask(format: Format, max_tokens: u32, user: &str) -> Prompt {
    let request = CaptionRequest {
        temperature: Some(Temperature::new(0.0).unwrap()),
        seed: Some(1),
        ..CaptionRequest::new(build::description("Fresh bread"))
    };
    Prompt {
        system: "You are a helpful assistant.".into(),
        user: user.into(),
        max_tokens,
        compact: Some(Wording {
            system: "You are a helpful assistant.".into(),
            user: user.into(),
            max_tokens,
        }),
        ..render(&Brief::resolve(&request, &Preferences::default()).0, &[], format, None)
    }
}

fn plain() -> Prompt {
    ask(Format::Plain, 64, "Say good morning.")
}

fn variants() -> Prompt {
    ask(
        Format::Variants,
        256,
        r#"Repeat: {"variants":[{"angle":"plain","body":"Fresh bread.","cta":null,"hashtags":["bread"],"hook":"Good morning!"}]}"#,
    )
}

#[tokio::test]
async fn it_upholds_the_contract_with_a_real_model() {
    let provider = OpenAi::new(&compact_options().await).unwrap();

    suite_on(Arc::new(provider), &variants(), &plain()).await;
}

#[tokio::test]
async fn a_real_server_keeps_to_the_schema_and_counts_tokens_in_both_forms() {
    let provider = OpenAi::new(&compact_options().await).unwrap();

    let completion = provider.complete(&context(1), &variants()).await.unwrap();
    let drafts = reply::parse(&completion.text, Format::Variants).unwrap();
    assert!(!drafts.is_empty());
    assert!(
        format!("{provider:?}").contains("learned: []"),
        "the schema was taken: {provider:?}"
    );

    let whole = provider.complete(&context(1), &plain()).await.unwrap();
    let streamed = stream(&provider, &context(1), &plain()).await;
    let end = streamed.end.unwrap();
    assert_eq!(streamed.text, whole.text, "greedy answers are the same in both forms");
    for credit in [&completion.credit, &whole.credit, &end] {
        let usage = credit.usage.unwrap();
        assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
        assert!(credit.provider_request_id.is_some());
    }
}

#[tokio::test]
async fn a_real_servers_refusals_are_understood() {
    let options = options().await;
    let provider = OpenAi::new(&options).unwrap();

    let too_long = ask(Format::Plain, 64, &"bread ".repeat(llama::CONTEXT_TOKENS as usize * 2));
    assert_eq!(outcome(&provider.complete(&context(3), &too_long).await), "too long");
    assert_eq!(
        name(&stream(&provider, &context(3), &too_long).await.end.unwrap_err()),
        "too long"
    );

    let cut = ask(Format::Plain, 2, "Count from one to one hundred.");
    assert_eq!(outcome(&provider.complete(&context(3), &cut).await), "unusable");
    assert_eq!(
        name(&stream(&provider, &context(3), &cut).await.end.unwrap_err()),
        "unusable"
    );

    let stranger = OpenAi::new(&OpenAiOptions {
        api_key: Some("another-key".to_owned().into()),
        ..options.clone()
    })
    .unwrap();
    assert_eq!(outcome(&stranger.complete(&context(3), &plain()).await), "auth");

    let lost = OpenAi::new(&OpenAiOptions {
        base_url: format!("{}/nowhere", options.base_url),
        ..options
    })
    .unwrap();
    assert_eq!(outcome(&lost.complete(&context(3), &plain()).await), "request");
}
