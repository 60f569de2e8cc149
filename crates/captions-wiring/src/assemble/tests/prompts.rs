use captions_testkit::llm::FakeLlm;

use super::*;

const OWN: &str =
    "{{brief}}\nWrite {{count}} in {{language}} as our house style asks.\n{{angles}}{{disclosure}}\n{{form}}\n";

async fn machine(extra: &str) -> (Machine, FakeLlm) {
    crate::install_crypto();
    let server = FakeLlm::start().await;
    let entry = format!(
        "[{{name = 'p', kind = 'openai', model = 'm', base_url = '{}'{extra}}}]",
        server.base_url()
    );
    (Machine::new().env("CAPTIONS_LLM__PROVIDERS", &entry), server)
}

/// What the provider was sent.
async fn sent(machine: &Machine, server: &FakeLlm) -> serde_json::Value {
    let assembled = assembled(machine).await;
    generate(&assembled, "golden hour at our cafe in Lisbon").await.unwrap();
    server.last().body.clone()
}

#[tokio::test]
async fn a_provider_of_a_small_model_is_sent_the_compact_wording_and_the_smaller_form() {
    let (full, full_server) = machine("").await;
    let (compact, compact_server) = machine(", prompt = 'compact'").await;

    let full = sent(&full, &full_server).await;
    let compact = sent(&compact, &compact_server).await;

    let words = |body: &serde_json::Value| body["messages"].to_string();
    assert!(words(&full).contains("Write 3 captions") && words(&compact).contains("Write 1 caption "));
    assert!(2 * words(&compact).len() < words(&full).len());
    let fields = |body: &serde_json::Value| {
        let item = "/response_format/json_schema/schema/properties/variants/items/required";
        body.pointer(item).unwrap().as_array().unwrap().len()
    };
    assert_eq!((fields(&full), fields(&compact)), (6, 5));
}

#[tokio::test]
async fn the_words_of_the_operator_are_sent_and_are_another_question_to_the_cache() {
    let (machine, server) = machine("").await;
    let shipped = assembled(&machine).await;
    let own = assembled(
        &machine
            .flag("prompt.folder", "words")
            .file("here/words/variants.txt", OWN),
    )
    .await;

    assert!(!shipped.engine.options.templates.overridden().contains(&"variants.txt"));
    generate(&own, "golden hour at our cafe in Lisbon").await.unwrap();

    assert_ne!(
        shipped.engine.options.templates.edition(),
        own.engine.options.templates.edition()
    );
    let user = server.last().user_text();
    assert!(
        user.contains("Write 3 captions in English as our house style asks."),
        "{user}"
    );
}

#[tokio::test]
async fn words_that_are_unfit_stop_the_start() {
    let (machine, _) = machine("").await;

    let message = refused(
        &machine
            .flag("prompt.folder", "words")
            .file("here/words/system.txt", "{{brief}}"),
    )
    .await;

    assert!(
        message.contains("words/system.txt, line 1: {{brief}}: what users write never stands"),
        "{message}"
    );
}
