use serde_json::{Value, json};

use crate::support::Home;

const CSV: &str = "posted_at,caption,likes\n2026-10-01,a,100\n2026-10-02,b,100\n2026-10-03,c,100\n2026-10-04,d,100\n\
                   2026-10-05,e,100\n2026-10-06,f,100\n";

#[tokio::test]
async fn posts_are_imported_shown_used_and_forgotten() {
    let home = Home::new();
    home.file("export.csv", CSV);

    let imported = home
        .call(&["results", "import", "ana", "export.csv", "--json"])
        .await
        .ended_with(0);
    let imported = imported.said("created the user ana").document();
    assert_eq!(imported["imported"]["formats"][0]["likes"]["median"], 100.0);
    assert_eq!(
        home.call(&["results", "show", "ana", "--json"]).await.document(),
        imported
    );
    let people = home.call(&["results", "show", "ana"]).await.ended_with(0);
    assert!(people.stdout.contains("post: 100 likes"), "{people:?}");
    assert!(people.stdout.contains("the median estimate was 0 % off"), "{people:?}");

    let estimate = || async {
        let args = ["generate", "rain on the roof", "--user", "ana", "--json"];
        home.call(&args).await.ended_with(0).document()["estimated_engagement"].clone()
    };
    assert_eq!(estimate().await["median"], 100.0);
    home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);
    home.call(&["prefs", "reset", "ana"]).await.ended_with(0);
    assert_eq!(estimate().await["median"], 100.0);

    home.call(&["results", "forget", "ana"]).await.ended_with(0);
    assert_eq!(estimate().await, Value::Null);
}

#[tokio::test]
async fn json_from_stdin_is_read_and_what_is_wrong_is_told() {
    let home = Home::new();
    let posts = json!({ "posts": [{ "posted_at": "2026-10-01", "likes": 3 }] }).to_string();

    let read = home
        .piped(&["results", "import", "ana", "-", "--json"], posts.as_bytes())
        .await;
    assert_eq!(read.ended_with(0).document()["imported"]["posts"], 1);

    home.piped(&["results", "import", "ana", "-"], b"posted_at,likes\n2026-10-01,x\n")
        .await
        .ended_with(2)
        .said("post 1: likes is a number");
    home.call(&["results", "import", "ana", "nowhere.csv"])
        .await
        .ended_with(2)
        .said("nowhere.csv");
}
