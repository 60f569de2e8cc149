use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Value, json};

use crate::support::Home;

const FIRST: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const SECOND: &str = "Six in the morning, and the oven door is already open.";
const THIRD: &str = "Lisbon wakes up slowly. Our rye does not.";

/// A home with one stored caption, and its id.
async fn with_caption(llm: &FakeLlm) -> (Home, String) {
    llm.reply(Turn::caption_json(&[FIRST]));
    let home = Home::new().with_provider(&llm.base_url());
    let made = home
        .call(&["generate", "bread on the counter", "--json"])
        .await
        .ended_with(0)
        .document();
    let id = made["id"].as_str().unwrap().to_owned();
    (home, id)
}

#[tokio::test]
async fn more_variants_are_printed_alone_and_can_be_picked() {
    let llm = FakeLlm::start().await;
    let (home, id) = with_caption(&llm).await;
    llm.reply(Turn::caption_json(&[SECOND, THIRD]));

    let run = home.call(&["variants", &id, "-n", "2"]).await.ended_with(0);

    assert!(run.stdout.contains(SECOND) && run.stdout.contains(THIRD), "{run:?}");
    assert!(!run.stdout.contains(FIRST), "{run:?}");
    run.said(&format!("pick one of 2 to 3: captions history pick {id} 2"));
    let picked = ["history", "pick", &id, "3", "--json"];
    let picked = home.call(&picked).await.ended_with(0).document();
    assert_eq!(picked["selected_variant"], 2);
    assert_eq!(llm.count(), 2);
}

#[tokio::test]
async fn the_document_is_the_caption_with_all_its_variants() {
    let llm = FakeLlm::start().await;
    let (home, id) = with_caption(&llm).await;
    llm.reply(Turn::caption_json(&[SECOND]));

    let grown = home.call(&["variants", &id, "-n", "1", "--json"]).await.ended_with(0);

    let stored = home.call(&["history", "show", &id, "--json"]).await.ended_with(0);
    assert_eq!(grown.document(), stored.document());
    let document = grown.document();
    let texts: Vec<&Value> = document["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["caption"])
        .collect();
    assert_eq!(texts, [FIRST, SECOND]);
    let addition = &document["additions"][0];
    assert_eq!(
        (&addition["first"], &addition["count"], &addition["provider"]),
        (&json!(1), &json!(1), &json!("primary"))
    );
}

#[tokio::test]
async fn fewer_than_asked_for_are_given_and_told() {
    let llm = FakeLlm::start().await;
    let (home, id) = with_caption(&llm).await;
    llm.always(Turn::caption_json(&[SECOND, SECOND]));

    let run = home.call(&["variants", &id, "-n", "2"]).await.ended_with(6);

    run.said("2 more were asked for; there are 1 that differ");
}

#[tokio::test]
async fn what_cannot_be_written_says_why() {
    let llm = FakeLlm::start().await;
    let (home, id) = with_caption(&llm).await;
    llm.always(Turn::bad_key());
    let nowhere = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

    home.call(&["variants", nowhere])
        .await
        .ended_with(1)
        .said("error[caption_not_found]");
    home.call(&["variants", "1"]).await.ended_with(2);
    home.call(&["variants", &id, "-n", "11"]).await.ended_with(2).said("-n");
    home.call(&["variants", &id, "--provider", "nobody"])
        .await
        .ended_with(2)
        .said("no provider is named so; there is primary");
    assert_eq!(llm.count(), 1, "nobody was asked");
    home.call(&["variants", &id, "--no-fallback"])
        .await
        .said("error[provider_auth]");
}
