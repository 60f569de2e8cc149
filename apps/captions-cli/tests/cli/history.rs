use serde_json::{Value, json};

use crate::support::Home;

/// Three captions, the second of them Ben's, and their ids, newest first.
async fn with_three() -> (Home, Vec<String>) {
    let home = Home::new();
    for (post, user) in [("first rain", "ana"), ("second rain", "ben"), ("third Sun", "ana")] {
        home.call(&["generate", post, "--user", user, "--variants", "2"])
            .await
            .ended_with(0);
    }
    let all = home.call(&["history", "list", "--json"]).await.ended_with(0).document();
    let ids = all["data"].as_array().unwrap().iter();
    let ids = ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    (home, ids)
}

fn posts(page: &Value) -> Vec<&str> {
    let all = page["data"].as_array().unwrap().iter();
    all.map(|one| one["content_description"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn captions_of_all_users_are_listed_and_narrowed_down() {
    let (home, _) = with_three().await;
    for (args, expected) in [
        (&["list"][..], vec!["third Sun", "second rain", "first rain"]),
        (&["list", "--user", "ana"], vec!["third Sun", "first rain"]),
        (
            &["list", "--since", "1h", "--platform", "instagram"],
            vec!["third Sun", "second rain", "first rain"],
        ),
        (&["list", "--until", "1h"], vec![]),
        (&["list", "--language", "de"], vec![]),
        (&["search", "sun"], vec!["third Sun"]),
        (&["search", "RAIN", "--user", "ben"], vec!["second rain"]),
    ] {
        let args = [&["history"], args, &["--json"]].concat();
        let page = home.call(&args).await.ended_with(0).document();
        assert_eq!(posts(&page), expected, "{args:?}");
    }
    home.call(&["history", "list", "--since", "soon"])
        .await
        .ended_with(2)
        .said("RFC 3339");
    home.call(&["history", "search", "snow"])
        .await
        .ended_with(0)
        .said("no captions are stored that fit");
}

#[tokio::test]
async fn a_variant_is_picked_by_its_number() {
    let (home, ids) = with_three().await;
    let id = ids[0].as_str();

    let picked = home
        .call(&["history", "pick", id, "2", "--json"])
        .await
        .ended_with(0)
        .document();
    let shown = home
        .call(&["history", "show", id, "--json"])
        .await
        .ended_with(0)
        .document();

    assert_eq!((&picked["selected_variant"], &shown), (&json!(1), &picked));
    home.call(&["history", "pick", id, "3"])
        .await
        .ended_with(2)
        .said("has no others");
    home.call(&["history", "pick", id, "0"])
        .await
        .ended_with(0)
        .said("no variant is picked");
    let shown = home
        .call(&["history", "show", id, "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(shown.get("selected_variant"), None);
}

#[tokio::test]
async fn captions_are_exported_a_line_each_and_erased() {
    let (home, ids) = with_three().await;

    let lines = home.call(&["history", "export"]).await.ended_with(0);
    let csv = home
        .call(&["history", "export", "--user", "ana", "--format", "csv"])
        .await
        .ended_with(0);

    let exported: Vec<Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        exported
            .iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(
        (
            csv.stdout.starts_with("id,created_at,"),
            csv.stdout.matches(",ana,").count()
        ),
        (true, 2)
    );

    let gone = home
        .call(&["history", "rm", &ids[0], &ids[1], &ids[0], "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(gone, json!({"erased": 2}));
    let rest = home.call(&["history", "list", "--json"]).await.ended_with(0).document();
    assert_eq!(posts(&rest), ["first rain"]);
    home.call(&["history", "show", &ids[0]])
        .await
        .ended_with(1)
        .said("there is no caption");
}
