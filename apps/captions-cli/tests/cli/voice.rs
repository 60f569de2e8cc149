use serde_json::{Value, json};

use crate::support::Home;

const CAPTIONS: &str = "we bake at 5 🥖\n\n#Bread\n---\nwe sleep at 9\n---\nwe open at 7\n";

/// The ids of six captions about six posts for Ana.
async fn six_captions(home: &Home) -> Vec<String> {
    let mut ids = Vec::new();
    for post in ["bread", "rolls", "cake", "rye", "pretzels", "buns"] {
        let text = format!("fresh {post} from our oven on Monday");
        let made = home
            .call(&["generate", &text, "--user", "ana", "--emoji", "few", "--json"])
            .await;
        ids.push(made.ended_with(0).document()["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn a_voice_is_learned_shown_and_forgotten() {
    let home = Home::new();
    home.file("captions.txt", CAPTIONS);
    home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);

    let learned = home
        .call(&["voice", "learn", "ana", "captions.txt", "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(
        learned["samples"],
        json!(["we bake at 5 🥖\n\n#Bread", "we sleep at 9", "we open at 7"])
    );
    assert_eq!(learned["style_card"]["hashtags"], json!({"mean": 0.33, "sd": 0.58}));
    assert_eq!(home.call(&["voice", "show", "ana", "--json"]).await.document(), learned);

    let shown = home.call(&["voice", "show", "ana"]).await.ended_with(0);
    for line in [
        "emoji: 0.33 ± 0.58",
        "first person: 100 %",
        "casing: lower",
        "\n---\nwe sleep at 9\n---\n",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }

    home.call(&["voice", "forget", "ana"])
        .await
        .ended_with(0)
        .said("forgot how ana writes");
    let forgotten = home.call(&["voice", "show", "ana", "--json"]).await.document();
    assert_eq!(forgotten, json!({"samples": [], "style_card": null}));
    assert_eq!(home.call(&["prefs", "get", "ana"]).await.stdout, "tone=warm\n");
}

#[tokio::test]
async fn a_voice_is_learned_from_json_lines_on_stdin_by_somebody_new() {
    let home = Home::new();

    let run = home
        .piped(&["voice", "learn", "bob", "-"], b"\"one\"\n{\"text\": \"two\"}\n")
        .await;

    let run = run
        .ended_with(0)
        .said("created the user bob")
        .said("from 3 captions on; there are 2");
    assert_eq!(run.stdout, "one\n---\ntwo\n");
}

#[tokio::test]
async fn samples_and_required_words_are_preferences_too() {
    let home = Home::new();
    home.file("captions.txt", CAPTIONS);

    let set = home
        .call(&[
            "prefs",
            "set",
            "ana",
            "samples=@captions.txt",
            "required=bread, rye",
            "--json",
        ])
        .await;

    let preferences = set.ended_with(0).document();
    assert_eq!(preferences["required"], json!(["bread", "rye"]));
    assert_eq!(preferences["samples"].as_array().unwrap().len(), 3);
    let voice = home.call(&["voice", "show", "ana", "--json"]).await.document();
    assert_eq!(voice["style_card"], preferences["style_card"]);
    let shown = home
        .call(&["prefs", "get", "ana"])
        .await
        .ended_with(0)
        .said("3 captions of their own");
    assert_eq!(shown.stdout, "required=bread,rye\n");
    home.call(&["prefs", "set", "ana", "avoid=rye"])
        .await
        .ended_with(2)
        .said("rye");
}

#[tokio::test]
async fn feedback_is_kept_with_its_caption() {
    let home = Home::new();
    let made = home
        .call(&["generate", "rain on the roof", "-n", "2", "--json"])
        .await
        .document();
    let id = made["id"].as_str().unwrap();
    home.file("published.txt", "Rain on our roof.\n");

    let args = [
        "feedback",
        id,
        "edited",
        "--rating",
        "4",
        "--text",
        "@published.txt",
        "--variant",
        "2",
        "--json",
    ];
    let told = home.call(&args).await.ended_with(0).document();

    assert_eq!(
        (&told["verdict"], &told["rating"], &told["final_text"], &told["variant"]),
        (&json!("edited"), &json!(4), &json!("Rain on our roof."), &json!(1))
    );
    let stored = home.call(&["history", "--id", id, "--json"]).await.document();
    assert_eq!(stored["feedback"], told);
    home.call(&["feedback", id, "used"])
        .await
        .ended_with(0)
        .said("noted: used");
}

#[tokio::test]
async fn wrong_feedback_is_told_and_not_kept() {
    let home = Home::new();
    let made = home.call(&["generate", "rain on the roof", "--json"]).await.document();
    let id = made["id"].as_str().unwrap();

    home.call(&["feedback", id, "usde"]).await.ended_with(2).said("used");
    home.call(&["feedback", id, "used", "--rating", "9"])
        .await
        .ended_with(2)
        .said("rating");
    home.call(&["feedback", id, "used", "--variant", "2"])
        .await
        .ended_with(2)
        .said("variant");
    home.call(&["feedback", id, "used", "--text", "Rain."])
        .await
        .ended_with(2)
        .said("final_text");
    let unknown = "01890000-0000-7000-8000-000000000001";
    home.call(&["feedback", unknown, "used"])
        .await
        .ended_with(1)
        .said("error[caption_not_found]");

    let stored = home.call(&["history", "--id", id, "--json"]).await.document();
    assert_eq!(stored.get("feedback"), None);
}

/// Six captions, from each of which Ana takes the emoji.
async fn without_emoji(home: &Home) {
    for id in six_captions(home).await {
        let stored = home.call(&["history", "--id", &id, "--json"]).await.document();
        let plain: String = stored["caption"]
            .as_str()
            .unwrap()
            .chars()
            .filter(|c| u32::from(*c) < 0x2190)
            .collect();
        home.call(&["feedback", &id, "edited", "--text", &plain])
            .await
            .ended_with(0);
    }
}

#[tokio::test]
async fn a_dismissed_suggestion_stays_away() {
    let home = Home::new();
    home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);
    without_emoji(&home).await;
    let has_it = |document: &Value| {
        let all = document["data"].as_array().unwrap();
        all.iter().any(|one| one["id"] == "emoji-none")
    };
    let before = home.call(&["voice", "suggestions", "ana", "--json"]).await.document();
    assert!(has_it(&before));

    let left = home
        .call(&["voice", "dismiss", "ana", "emoji-none", "--json"])
        .await
        .ended_with(0)
        .document();

    assert!(!has_it(&left), "{left}");
    assert_eq!(
        home.call(&["voice", "suggestions", "ana", "--json"]).await.document(),
        left
    );
    home.call(&["voice", "dismiss", "ana", "emoji-none"])
        .await
        .ended_with(1)
        .said("error[suggestion_not_found]");
}

#[tokio::test]
async fn what_the_feedback_suggests_is_shown_and_accepted() {
    let home = Home::new();
    home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);
    home.call(&["voice", "suggestions", "ana"])
        .await
        .ended_with(0)
        .said("nothing to suggest");
    without_emoji(&home).await;

    let shown = home.call(&["voice", "suggestions", "ana"]).await.ended_with(0);
    let first = shown
        .stdout
        .lines()
        .find(|line| line.starts_with("emoji-none"))
        .unwrap();
    assert!(
        first.starts_with("emoji-none  emoji=none: you removed all emoji in "),
        "{first}"
    );
    let all = home.call(&["voice", "suggestions", "ana", "--json"]).await.document();
    assert!(
        all["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["id"] == "emoji-none" && one["from"] == Value::Null)
    );

    let accepted = home
        .call(&["voice", "accept", "ana", "emoji-none", "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(
        (&accepted["emoji"], &accepted["tone"]),
        (&json!("none"), &json!("warm"))
    );
    home.call(&["voice", "accept", "ana", "emoji-none"])
        .await
        .ended_with(1)
        .said("error[suggestion_not_found]");
}

#[tokio::test]
async fn somebody_unknown_has_no_voice() {
    let home = Home::new();

    for args in [
        vec!["voice", "show", "bob"],
        vec!["voice", "forget", "bob"],
        vec!["voice", "suggestions", "bob"],
        vec!["voice", "accept", "bob", "emoji-none"],
        vec!["voice", "dismiss", "bob", "emoji-none"],
    ] {
        home.call(&args).await.ended_with(1).said("error[user_not_found]");
    }
}
