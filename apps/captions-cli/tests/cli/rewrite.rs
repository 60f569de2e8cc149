//! `captions rewrite`, `translate` and `adapt`.

use captions_api::rewrite::RewriteDocument;
use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;

use crate::support::Home;

const GIVEN: &str = "The loaves came out at six and the counter is full. It was a morning like any other here. \
    The rye costs €4 until Friday 🎉 #Bread #Lisbon #Rye";

#[tokio::test]
async fn without_a_model_a_caption_is_shortened_by_rules_and_that_is_said() {
    let run = Home::new()
        .call(&["rewrite", GIVEN, "--shorten", "100"])
        .await
        .ended_with(0);

    assert!(run.stdout.trim_end().chars().count() <= 100, "{run:?}");
    assert!(run.stdout.contains("€4"), "{run:?}");
    for words in ["by rules, without a model", "score ", "was ", "rules_fallback"] {
        assert!(run.stderr.contains(words), "no {words}: {run:?}");
    }
}

#[tokio::test]
async fn json_is_the_api_document_and_nothing_else() {
    let run = Home::new()
        .call(&["rewrite", GIVEN, "--fix", "--json"])
        .await
        .ended_with(0);

    let document: RewriteDocument = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        serde_json::to_value(&document).unwrap(),
        run.document(),
        "no field more, no field less"
    );
    assert_eq!((document.source.as_str(), document.attempts), ("rules", 0));
}

#[tokio::test]
async fn a_model_translates_and_the_pieces_come_through() {
    let server = FakeLlm::start().await;
    server.always(Turn::text(
        "Los panes salieron a las seis y el mostrador está lleno. El centeno cuesta €4 hasta el viernes ⟦1⟧",
    ));
    let home = Home::new().with_provider(&server.base_url());

    let run = home
        .call(&["translate", GIVEN, "--to", "es", "--json"])
        .await
        .ended_with(0);

    let document = run.document();
    assert_eq!(
        document["text"],
        "Los panes salieron a las seis y el mostrador está lleno. El centeno cuesta €4 hasta el viernes 🎉\n\n#Bread \
         #Lisbon #Rye"
    );
    assert_eq!(
        (&document["source"], &document["language"]),
        (&"provider".into(), &"es".into())
    );
    assert!(
        server
            .last()
            .user_text()
            .contains("Translate the caption into Spanish (es)")
    );
    assert!(!server.last().system_text().contains("loaves"));
}

#[tokio::test]
async fn a_caption_from_a_file_is_adapted() {
    let home = Home::new();
    home.file("caption.txt", GIVEN);

    let run = home
        .call(&["adapt", "@caption.txt", "--to", "threads"])
        .await
        .ended_with(0);

    assert_eq!(run.stdout.matches('#').count(), 1, "{run:?}");
}

#[rstest]
#[case::no_operation(&["rewrite", "text"], "required arguments were not provided")]
#[case::two_operations(&["rewrite", "text", "--fix", "--expand"], "cannot be used with")]
#[case::too_short(&["rewrite", "text", "--shorten", "5"], "target_chars is 20 to 10000")]
#[case::unknown_language(&["translate", "text", "--to", "xx"], "--to: a language is a BCP 47 tag")]
#[case::unknown_platform(&["adapt", "text", "--to", "instragram"], "did you mean 'instagram'?")]
#[case::unknown_tone(&["rewrite", "text", "--tone", "wram"], "did you mean 'warm'?")]
#[case::nothing_given(&["rewrite", "--fix"], "which caption?")]
#[tokio::test]
async fn what_cannot_be_done_is_wrong_usage(#[case] args: &[&str], #[case] words: &str) {
    let home = Home::new();

    let run = home.call(args).await.ended_with(2).said(words);

    assert_eq!(run.stdout, "");
    assert!(
        !home.path().join("data").exists(),
        "a refused request leaves nothing behind"
    );
}

#[tokio::test]
async fn without_a_model_there_is_no_translation() {
    let run = Home::new()
        .call(&["translate", GIVEN, "--to", "es"])
        .await
        .ended_with(2);

    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.contains("it takes a provider with a language model"),
        "{run:?}"
    );
}
