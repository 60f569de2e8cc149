use captions_api::caption::CaptionDocument;
use captions_testkit::llm::FakeLlm;
use rstest::rstest;

use crate::support::Home;

const POST: &str = "golden hour at our Lisbon cafe";

#[tokio::test]
async fn the_caption_is_on_stdout_and_everything_else_on_stderr() {
    let run = Home::new().call(&["generate", POST]).await.ended_with(0);

    assert!(run.stdout.contains('#'), "{run:?}");
    assert!(!run.stdout.contains("score"), "{run:?}");
    for word in ["score ", "written by template", "saved as "] {
        assert!(run.stderr.contains(word), "no {word}: {run:?}");
    }
}

#[tokio::test]
async fn quiet_leaves_only_the_caption() {
    let run = Home::new().call(&["generate", POST, "--quiet"]).await.ended_with(0);

    assert!(!run.stdout.is_empty());
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn json_is_the_api_document_and_nothing_else() {
    let run = Home::new().call(&["generate", POST, "--json"]).await.ended_with(0);

    let document: CaptionDocument = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        serde_json::to_value(&document).unwrap(),
        run.document(),
        "no field more, no field less"
    );
    assert_eq!(document.provider, "template");
    assert!(document.processing_time.is_some());
    assert!(document.request_id.starts_with("req_"), "{}", document.request_id);
}

#[tokio::test]
async fn a_stored_caption_is_in_the_history_and_an_unstored_one_is_not() {
    let home = Home::new();
    let made = home
        .call(&["generate", POST, "--user", "ana", "--json"])
        .await
        .ended_with(0)
        .document();
    let unstored = home
        .call(&["generate", POST, "--user", "ana", "--no-store", "--json"])
        .await
        .ended_with(0);

    let history = home.call(&["history", "ana", "--json"]).await.ended_with(0).document();
    let one = home
        .call(&["history", "--id", made["id"].as_str().unwrap(), "--json"])
        .await
        .ended_with(0)
        .document();

    assert!(unstored.document()["id"].is_null());
    assert_eq!(history["data"].as_array().unwrap().len(), 1);
    assert_eq!(history["data"][0], one);
    for field in [
        "id",
        "caption",
        "hashtags",
        "text",
        "quality_score",
        "parts",
        "variants",
        "provider",
        "model",
    ] {
        assert_eq!(one[field], made[field], "{field}");
    }
    assert_eq!(one["content_description"], POST);
}

#[rstest]
#[case::piped(&["generate", "--json"], POST.as_bytes())]
#[case::dash(&["generate", "-", "--json"], POST.as_bytes())]
#[case::file(&["generate", "@post.txt", "--json"], b"")]
#[tokio::test]
async fn the_description_comes_from(#[case] args: &[&str], #[case] stdin: &[u8]) {
    let home = Home::new();
    home.file("post.txt", POST);

    let made = home.piped(args, stdin).await.ended_with(0).document();

    let one = home
        .call(&["history", "--id", made["id"].as_str().unwrap(), "--json"])
        .await
        .document();
    assert_eq!(one["content_description"], POST);
}

#[rstest]
#[case::nothing_at_a_terminal(None, "what does the post show?")]
#[case::empty_stdin(Some(&b""[..]), "stdin is empty")]
#[case::not_utf8(Some(&b"caf\xE9 in the sun"[..]), "stdin is not UTF-8")]
#[case::a_nul(Some(&b"a cat\0asleep"[..]), "must not contain the control character U+0000")]
#[case::too_short(Some(&b"ab"[..]), "a description needs at least 3 characters, this has 2")]
#[tokio::test]
async fn a_description_is_refused_if_it_is(#[case] stdin: Option<&[u8]>, #[case] words: &str) {
    let home = Home::new();

    let run = match stdin {
        Some(stdin) => home.piped(&["generate"], stdin).await,
        None => home.call(&["generate"]).await,
    };

    assert_eq!(run.ended_with(2).said(words).stdout, "");
    assert!(
        !home.path().join("data").exists(),
        "a refused request leaves nothing behind"
    );
}

#[tokio::test]
async fn ten_megabytes_are_refused() {
    let run = Home::new().piped(&["generate"], &vec![b'a'; 10_000_000]).await;

    run.ended_with(2).said("stdin has more than 64 KiB");
}

#[tokio::test]
async fn a_slip_of_the_hand_is_answered_with_the_nearest_choice() {
    let run = Home::new()
        .call(&["generate", POST, "--tone", "freindly"])
        .await
        .ended_with(2);

    assert_eq!(run.stderr, "error: unknown tone 'freindly': did you mean 'friendly'?\n");
    assert_eq!(run.stdout, "");
}

#[rstest]
#[case(&["--hashtags", "31"], "error: --hashtags: hashtag_count is 0 to 30; the nearest that is accepted is '30'")]
#[case(&["--variants", "0"], "error: --variants: variants is 1 to 10; the nearest that is accepted is '1'")]
#[case(&["--temperature", "-1"], "temperature is 0 to 2")]
#[case(&["--language", "klingonish"], "a language is a BCP 47 tag")]
#[case(&["--keyword", ""], "--keyword: a keyword needs at least 1 character")]
#[case(&["--provider", "templat"], "no provider is named so; there is template: did you mean 'template'?")]
#[case(&["--timeout", "0"], "'--timeout <SECONDS>': a time is 0.1 to 600 seconds")]
#[case(&["--timeout", "-4"], "'--timeout <SECONDS>': a time is 0.1 to 600 seconds")]
#[case(&["--set", "api.timeot=5"], "`api.timeout`")]
#[tokio::test]
async fn a_bad_value_is_wrong_usage(#[case] flags: &[&str], #[case] words: &str) {
    let args: Vec<&str> = ["generate", POST].iter().chain(flags).copied().collect();

    let run = Home::new().call(&args).await.ended_with(2);

    // The engine's own refusal lists the choices behind a semicolon, which is cut where one is near.
    let words = words.replace("; there is template", "");
    assert_eq!(run.said(&words).stdout, "");
}

#[tokio::test]
async fn a_caption_below_the_wanted_score_is_printed_and_ends_with_seven() {
    let run = Home::new()
        .call(&["generate", POST, "--min-score", "100"])
        .await
        .ended_with(7);

    assert!(!run.stdout.is_empty());
    run.said("error[below_min_score]: the score");
}

#[tokio::test]
async fn a_wanted_score_that_is_met_changes_nothing() {
    Home::new()
        .call(&["generate", POST, "--min-score", "1"])
        .await
        .ended_with(0);
}

#[tokio::test]
async fn several_captions_are_set_apart() {
    let server = FakeLlm::start().await;
    let home = Home::new().with_provider(&server.base_url());

    let run = home
        .call(&["generate", POST, "--variants", "3", "--json"])
        .await
        .ended_with(0);
    let plain = home
        .call(&["generate", POST, "--variants", "3", "--quiet"])
        .await
        .ended_with(0);

    assert_eq!(run.document()["variants"].as_array().unwrap().len(), 3);
    assert_eq!(plain.stdout.matches("\n---\n").count(), 2, "{plain:?}");
}

#[tokio::test]
async fn fewer_captions_than_asked_for_end_with_six() {
    let server = FakeLlm::start().await;
    server.always(captions_testkit::llm::Turn::caption_json(&[
        "Golden hour at our Lisbon cafe, doors open.",
    ]));
    let home = Home::new().with_provider(&server.base_url());

    let run = home.call(&["generate", POST, "--variants", "3"]).await.ended_with(6);

    assert!(!run.stdout.is_empty());
    run.said("warning: 3 captions were asked for, 1 different");
}

#[tokio::test]
async fn preferences_and_flags_reach_the_writer() {
    let server = FakeLlm::start().await;
    let home = Home::new().with_provider(&server.base_url());
    home.call(&["user", "create", "ana"]).await.ended_with(0);
    home.call(&["prefs", "set", "ana", "brand_voice=dry wit", "tone=calm"])
        .await
        .ended_with(0);

    home.call(&["generate", POST, "--user", "ana", "--tone", "energetic"])
        .await
        .ended_with(0);

    let told = server.last().user_text() + &server.last().system_text();
    assert!(told.contains("dry wit"), "{told}");
    assert!(
        told.contains("energetic") && !told.contains("calm"),
        "the flag wins: {told}"
    );
}
