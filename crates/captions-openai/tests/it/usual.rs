//! Healthy answers: both forms, what is sent, who is credited.

use std::sync::Arc;

use captions_domain::{
    caption::Usage,
    image::Image,
    ports::{Grade, LlmProvider as _},
    reply,
};
use captions_openai::{OpenAi, options::OpenAiOptions, profile::Profile};
use captions_testkit::{
    build,
    contract::llm::{brief, suite},
    llm::{FakeLlm, Turn},
};

use super::{options, plain, provider, provider_as, stream, variants};

#[tokio::test]
async fn it_upholds_the_contract() {
    let fake = FakeLlm::start().await;

    suite(Arc::new(provider(&fake)), &brief()).await;
}

#[tokio::test]
async fn a_completion_carries_text_usage_and_the_providers_id() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::text("Good morning").header("x-request-id", "req-77"));

    let completion = provider(&fake).complete(&build::context(), &plain()).await.unwrap();

    assert_eq!(completion.text, "Good morning");
    let credit = completion.credit;
    assert_eq!(
        (credit.provider.as_str(), credit.model.as_str()),
        ("fake", "fake-model")
    );
    assert_eq!(credit.grade, Grade::Standard);
    assert_eq!(credit.usage.unwrap().output_tokens, 3);
    assert_eq!(credit.provider_request_id.as_deref(), Some("req-77"));
}

#[tokio::test]
async fn without_the_header_the_id_is_that_of_the_document() {
    let fake = FakeLlm::start().await;
    let provider = provider(&fake);

    let completion = provider.complete(&build::context(), &plain()).await.unwrap();
    let streamed = stream(&provider, &build::context(), &plain()).await;

    for credit in [completion.credit, streamed.end.unwrap()] {
        assert_eq!(credit.provider_request_id.as_deref(), Some("chatcmpl-scripted"));
    }
}

#[tokio::test]
async fn a_picture_is_handed_on_whole_and_unfetched() {
    const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0];
    let fake = FakeLlm::start().await;
    let provider = provider(&fake);
    let mut prompt = plain();

    // Nobody answers under this address: whoever asked for it would fail.
    prompt.brief.image = Some(Image::at("https://pictures.example.com/bread.jpg").unwrap());
    provider.complete(&build::context(), &prompt).await.unwrap();
    assert_eq!(fake.last().pictures(), ["https://pictures.example.com/bread.jpg"]);
    assert_eq!(fake.last().user_text(), prompt.user);

    prompt.brief.image = Some(Image::of(JPEG.into(), None).unwrap());
    stream(&provider, &build::context(), &prompt).await.end.unwrap();
    assert_eq!(fake.last().pictures(), ["data:image/jpeg;base64,/9j/4A=="]);
    assert_eq!(fake.last().user_text(), prompt.user);
}

#[test]
fn only_a_model_with_vision_says_that_it_sees() {
    super::install_tls();
    let described = |vision| {
        let options = OpenAiOptions {
            vision,
            ..OpenAiOptions::new("p", "http://a/v1", "m")
        };
        OpenAi::new(&options).unwrap().describe().clone()
    };

    let (seeing, blind) = (described(true), described(false));
    assert!(seeing.sees(None) && !blind.sees(None));
    assert_ne!(seeing.fingerprint, blind.fingerprint);
}

#[tokio::test]
async fn the_usage_of_a_stream_comes_in_its_last_chunk() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::text("Good morning, all"));

    let streamed = stream(&provider(&fake), &build::context(), &plain()).await;

    assert_eq!(streamed.text, "Good morning, all");
    let Usage {
        input_tokens,
        output_tokens,
        ..
    } = streamed.end.unwrap().usage.unwrap();
    assert!(input_tokens > 0);
    assert_eq!(output_tokens, 5);
    assert_eq!(fake.last().body["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn no_usage_is_no_error() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("Good morning").without_usage());
    let provider = provider(&fake);

    let completion = provider.complete(&build::context(), &plain()).await.unwrap();
    let streamed = stream(&provider, &build::context(), &plain()).await;

    assert_eq!(completion.credit.usage, None);
    assert_eq!(streamed.end.unwrap().usage, None);
}

#[tokio::test]
async fn variants_come_as_the_json_asked_for() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::caption_json(&["Warm bread. Come by."]));
    let prompt = variants();

    let completion = provider(&fake).complete(&build::context(), &prompt).await.unwrap();

    let drafts = reply::parse(&completion.text, prompt.format).unwrap();
    assert_eq!(drafts[0].text(), "Warm bread. Come by.");
}

#[tokio::test]
async fn the_prompt_arrives_word_for_word_in_its_two_roles() {
    let fake = FakeLlm::start().await;
    let prompt = plain();

    provider(&fake).complete(&build::context(), &prompt).await.unwrap();

    let request = fake.last();
    assert_eq!(request.system_text(), prompt.system);
    assert_eq!(request.user_text(), prompt.user);
    assert_eq!(request.model(), "fake-model");
    assert!(request.body.get("n").is_none(), "many providers refuse it");
    assert!(request.body.get("stream").is_none());
}

#[tokio::test]
async fn the_key_goes_into_the_header_of_the_profile_and_without_a_key_there_is_none() {
    let fake = FakeLlm::start().await;
    let with = |profile, key: Option<&str>| {
        OpenAi::new(&OpenAiOptions {
            profile: Some(profile),
            api_key: key.map(|key| key.to_owned().into()),
            headers: vec![("x-title".into(), "Captions".into())],
            ..options(&fake)
        })
        .unwrap()
    };
    let header = async |provider: OpenAi, name: &str| {
        provider.complete(&build::context(), &plain()).await.unwrap();
        fake.last().headers.get(name).cloned()
    };

    assert_eq!(
        header(with(Profile::OpenAi, Some("k")), "authorization")
            .await
            .as_deref(),
        Some("Bearer k")
    );
    assert_eq!(
        header(with(Profile::Azure, Some("k")), "api-key").await.as_deref(),
        Some("k")
    );
    assert_eq!(header(with(Profile::Azure, Some("k")), "authorization").await, None);
    assert_eq!(header(with(Profile::OpenAi, None), "authorization").await, None);
    assert_eq!(
        header(with(Profile::OpenAi, None), "x-title").await.as_deref(),
        Some("Captions")
    );
}

#[tokio::test]
async fn a_query_in_the_base_url_is_kept() {
    let fake = FakeLlm::start().await;
    let provider = OpenAi::new(&OpenAiOptions {
        base_url: format!("{}/deployments/d/?api-version=2024-10-21", fake.base_url()),
        ..options(&fake)
    })
    .unwrap();

    provider.complete(&build::context(), &plain()).await.unwrap();

    assert_eq!(
        fake.last().path,
        "/v1/deployments/d/chat/completions?api-version=2024-10-21"
    );
}

#[tokio::test]
async fn the_models_are_listed() {
    let fake = FakeLlm::start().await;
    fake.lists(&["small", "large"]);

    assert_eq!(OpenAi::models(&options(&fake)).await.unwrap(), ["small", "large"]);
}

#[tokio::test]
async fn a_list_of_models_can_fail_like_any_call() {
    let fake = FakeLlm::start().await;
    for (turn, expected) in [
        (Turn::bad_key(), "auth"),
        (Turn::unavailable(), "unavailable"),
        (Turn::raw(200, "text/html", "<html></html>"), "corrupt"),
        (Turn::error_in_200("overloaded"), "unavailable"),
        (Turn::silence(), "timeout"),
    ] {
        fake.models_answer(turn);
        assert_eq!(
            super::name(&OpenAi::models(&options(&fake)).await.unwrap_err()),
            expected
        );
    }
}

#[tokio::test]
async fn a_whole_document_in_place_of_a_stream_is_taken() {
    let fake = FakeLlm::start().await;
    let document = r#"{"id":"d","choices":[{"message":{"content":" Good morning"},"finish_reason":"stop"}]}"#;
    fake.reply(Turn::raw_stream([document]));
    fake.reply(Turn::raw(200, "application/json; charset=utf-8", document));
    let provider = provider_as(&fake, Profile::Generic);

    let not_even_json_by_type = stream(&provider, &build::context(), &plain()).await;
    let told_by_type = stream(&provider, &build::context(), &plain()).await;

    assert_eq!(super::name(&not_even_json_by_type.end.unwrap_err()), "corrupt");
    assert_eq!(told_by_type.text, "Good morning");
    assert!(told_by_type.end.is_ok());
}

#[test]
fn options_that_cannot_be_are_internal_faults_and_quote_no_secret() {
    super::install_tls();
    let good = OpenAiOptions::new("p", "http://127.0.0.1:9/v1", "m");
    let bad = [
        OpenAiOptions {
            base_url: "127.0.0.1:9".into(),
            ..good.clone()
        },
        OpenAiOptions {
            base_url: "ftp://127.0.0.1/v1".into(),
            ..good.clone()
        },
        OpenAiOptions {
            base_url: "http://me:very-secret@127.0.0.1/v1".into(),
            ..good.clone()
        },
        OpenAiOptions {
            model: " ".into(),
            ..good.clone()
        },
        OpenAiOptions {
            api_key: Some("very-secret\n".to_owned().into()),
            ..good.clone()
        },
        OpenAiOptions {
            headers: vec![("a b".into(), "very-secret".into())],
            ..good.clone()
        },
    ];

    assert!(OpenAi::new(&good).is_ok());
    for options in bad {
        let fault = OpenAi::new(&options).unwrap_err();
        assert_eq!(fault.kind.as_str(), "internal");
        assert!(!format!("{fault:?}").contains("very-secret"), "{fault:?}");
    }
}

#[test]
fn two_models_or_hosts_never_share_a_fingerprint_and_no_secret_is_in_it() {
    super::install_tls();
    let fingerprint = |base_url: &str, model: &str| {
        let provider = OpenAi::new(&OpenAiOptions::new("p", base_url, model)).unwrap();
        provider.describe().fingerprint.clone()
    };

    let one = fingerprint("http://a/v1?key=very-secret", "m");
    assert!(!one.contains("very-secret"));
    assert_ne!(one, fingerprint("http://b/v1", "m"));
    assert_ne!(one, fingerprint("http://a/v1", "n"));
}
