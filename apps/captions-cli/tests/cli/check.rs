use captions_api::check::CheckDocument;

use crate::support::Home;

#[tokio::test]
async fn a_text_that_keeps_the_rules_ends_with_0() {
    let run = Home::new()
        .call(&["check", "Golden hour at the cafe. #LisbonCafe"])
        .await
        .ended_with(0);

    assert!(
        run.stdout.starts_with("publishable on instagram (rules of 20"),
        "{run:?}"
    );
    assert!(
        run.stdout.contains("  | Golden hour at the cafe. #LisbonCafe\n"),
        "{run:?}"
    );
    assert!(run.stdout.contains("hashtags: 1 (allowed: 5)"), "{run:?}");
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn a_broken_rule_is_shown_and_ends_with_7() {
    let run = Home::new()
        .call(&["check", "Rain #a #b", "--platform", "threads"])
        .await
        .ended_with(7)
        .said("error[not_publishable]: not publishable: a rule is broken");

    assert!(run.stdout.starts_with("not publishable on threads"), "{run:?}");
    assert!(
        run.stdout.contains("broken hashtags: 2 (allowed: 1): #b [Meta, "),
        "{run:?}"
    );
}

#[tokio::test]
async fn json_is_the_api_document_also_of_a_broken_text() {
    let home = Home::new();
    let text = "one\ntwo\nthree\nfour #a #b #c #d #e #f\n";
    home.file("caption.txt", text);

    let run = home.call(&["check", "@caption.txt", "--json"]).await.ended_with(7);
    let piped = home
        .piped(&["check", "-", "--json"], text.as_bytes())
        .await
        .ended_with(7);

    let document: CheckDocument = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(serde_json::to_value(&document).unwrap(), run.document());
    assert_eq!(piped.document(), run.document());
    assert_eq!(document.fold.visible, "one\ntwo\nthree");
    assert_eq!(
        document.fold.hidden, "\nfour #a #b #c #d #e #f",
        "the last line end is not part of the text"
    );
}

#[tokio::test]
async fn neither_a_provider_nor_a_store_is_needed() {
    let home = Home::new()
        .without("CAPTIONS_LLM__PROVIDERS")
        .with("DATABASE_URL", "postgres://127.0.0.1:1/none");

    home.call(&["check", "Rain", "--profile", "legacy_30"])
        .await
        .ended_with(0);
}

#[tokio::test]
async fn what_cannot_be_judged_is_wrong_usage() {
    let home = Home::new();

    home.call(&["check"]).await.ended_with(2).said("which caption?");
    home.call(&["check", "Rain", "--platform", "x", "--profile", "legacy_30"])
        .await
        .ended_with(2)
        .said("x has no profile legacy_30");
}
