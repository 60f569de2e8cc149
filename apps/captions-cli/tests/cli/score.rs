use captions_api::score::ScoreDocument;

use crate::support::Home;

const TEXT: &str = "Fresh sourdough for $49, warm from our oven. #FreshSourdough";
const ABOUT: &str = "Sourdough loaves fresh from the oven";

#[tokio::test]
async fn every_part_is_shown_with_what_would_raise_it() {
    let run = Home::new().call(&["score", TEXT, "-d", ABOUT]).await.ended_with(0);

    assert!(run.stdout.starts_with("score "), "{run:?}");
    let yardstick = "publishable on instagram; a yardstick (mean 83, sd 9) puts it above about ";
    assert!(run.stdout.contains(yardstick), "{run:?}");
    for line in [
        " x 0.2500 faithfulness: remove or confirm '$49': the description does not say it",
        " x 0.1300 brief adherence\n",
        "  nobody said: $49",
    ] {
        assert!(run.stdout.contains(line), "no '{line}': {run:?}");
    }
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn json_is_the_api_document_also_below_the_gate() {
    let home = Home::new();
    home.file("caption.txt", TEXT);
    home.file("post.txt", ABOUT);

    let run = home
        .call(&[
            "score",
            "@caption.txt",
            "-d",
            "@post.txt",
            "--min-score",
            "99",
            "--json",
        ])
        .await
        .ended_with(7)
        .said("is below --min-score 99");
    let piped = home
        .piped(&["score", "-", "-d", ABOUT, "--json"], TEXT.as_bytes())
        .await
        .ended_with(0);

    let document: ScoreDocument = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(serde_json::to_value(&document).unwrap(), run.document());
    assert_eq!(piped.document(), run.document());
}

#[tokio::test]
async fn a_user_is_scored_by_their_preferences() {
    let home = Home::new();
    home.call(&["prefs", "set", "ana", "avoid=sourdough"])
        .await
        .ended_with(0);

    let run = home
        .call(&["score", TEXT, "-d", ABOUT, "--user", "ana"])
        .await
        .ended_with(0);

    assert!(run.stdout.contains("breaks a rule: avoided word: sourdough"), "{run:?}");
}

#[tokio::test]
async fn neither_a_provider_nor_a_store_is_needed() {
    let home = Home::new()
        .without("CAPTIONS_LLM__PROVIDERS")
        .with("DATABASE_URL", "postgres://127.0.0.1:1/none");

    home.call(&["score", TEXT, "-d", ABOUT]).await.ended_with(0);
}

#[tokio::test]
async fn what_cannot_be_scored_is_wrong_usage() {
    let home = Home::new();

    home.call(&["score", TEXT]).await.ended_with(2).said("--description");
    home.call(&["score", "-d", ABOUT])
        .await
        .ended_with(2)
        .said("which caption?");
    home.call(&["score", TEXT, "-d", "x"])
        .await
        .ended_with(2)
        .said("at least 3 characters");
}
