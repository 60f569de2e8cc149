//! `captions hashtags`, and pictures given to `captions generate`.

use captions_testkit::llm::FakeLlm;
use rstest::rstest;
use serde_json::json;

use crate::support::Home;

#[tokio::test]
async fn hashtags_go_to_stdout_and_their_reasons_beside_it() {
    let home = Home::new();

    let run = home
        .call(&[
            "hashtags",
            "A golden retriever on the beach",
            "--count",
            "2",
            "--brand-tag",
            "#AcmePets",
        ])
        .await
        .ended_with(0)
        .said("content_description: \"golden retriever\"")
        .said("checked against the list of ");

    assert_eq!(run.stdout, "#AcmePets #GoldenRetriever\n");
}

#[tokio::test]
async fn the_json_is_the_document_of_the_api() {
    let home = Home::new();

    let run = home
        .piped(
            &["hashtags", "--json", "-n", "4", "--language", "tr"],
            "ılık simit".as_bytes(),
        )
        .await;

    let document = run.ended_with(0).document();
    assert_eq!(document["hashtags"], json!(["#IlıkSimit"]));
    assert_eq!(document["details"][0]["tier_basis"], "proxy");
    assert_eq!(document["warnings"][0]["code"], "fewer_hashtags");
}

#[rstest]
#[case::count(&["hashtags", "a cat", "--count", "31"], "--count")]
#[case::brand(&["hashtags", "a cat", "--brand-tag", "1"], "--brand-tag")]
#[case::nothing(&["hashtags"], "what does the post show?")]
#[tokio::test]
async fn wrong_hashtag_flags_are_named(#[case] args: &[&str], #[case] words: &str) {
    Home::new().call(args).await.ended_with(2).said(words);
}

#[tokio::test]
async fn a_picture_in_a_file_goes_to_a_provider_that_sees() {
    let fake = FakeLlm::start().await;
    let provider = format!(
        r#"[{{ name = "eye", kind = "openai", base_url = "{}", model = "m", vision = true }}]"#,
        fake.base_url()
    );
    let home = Home::new().with("CAPTIONS_LLM__PROVIDERS", &provider);
    home.file("bread.jpg", [0xFF, 0xD8, 0xFF, 0xE0]);

    let run = home
        .call(&["generate", "Fresh bread", "--image", "bread.jpg", "--json"])
        .await;

    assert_eq!(run.ended_with(0).document()["provider"], "eye");
    assert_eq!(fake.last().pictures(), ["data:image/jpeg;base64,/9j/4A=="]);
    home.call(&[
        "generate",
        "Fresh bread",
        "--image",
        "https://example.com/b.jpg",
        "--json",
    ])
    .await
    .ended_with(0);
    assert_eq!(fake.last().pictures(), ["https://example.com/b.jpg"]);
}

#[tokio::test]
async fn where_nobody_sees_the_template_says_that_it_wrote_from_the_description() {
    let fake = FakeLlm::start().await;
    let home = Home::new().with_provider(&fake.base_url());
    let picture = ["--image", "https://example.com/b.jpg"];

    let run = home
        .call(&[&["generate", "Fresh bread", "--json"][..], &picture].concat())
        .await;

    let document = run.ended_with(0).document();
    assert_eq!(
        (&document["source"], &document["degraded"]),
        (&json!("template"), &json!(["template_fallback"]))
    );
    let warnings = document["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|warning| warning["code"] == "image_not_seen"),
        "{warnings:?}"
    );

    let strict = home
        .call(&[&["generate", "Fresh bread", "--no-fallback"][..], &picture].concat())
        .await;
    strict.ended_with(2).said("--image").said("looks at pictures");
    assert_eq!(fake.count(), 0);
}

#[rstest]
#[case::missing("none.jpg", "none.jpg cannot be read")]
#[case::folder(".", "is a folder")]
#[case::no_picture("notes.txt", "none of image/jpeg")]
#[case::too_large("large.jpg", "more than 8 MiB")]
#[case::private("https://10.0.0.1/a.jpg", "not a public one")]
#[case::scheme("ftp://example.com/a.jpg", "https://")]
#[tokio::test]
async fn a_picture_that_cannot_be_is_wrong_usage(#[case] image: &str, #[case] words: &str) {
    let home = Home::new();
    home.file("notes.txt", "just words");
    home.file("large.jpg", vec![0xFF; 8 * 1024 * 1024 + 1]);

    home.call(&["generate", "Fresh bread", "--image", image])
        .await
        .ended_with(2)
        .said(words);
}
