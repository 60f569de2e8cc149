use rstest::rstest;
use serde_json::json;

use crate::support::Home;

#[tokio::test]
async fn a_user_is_created_shown_and_deleted() {
    let home = Home::new();

    let made = home
        .call(&["user", "create", "ana", "--name", "Ana's cafe", "--json"])
        .await
        .ended_with(0)
        .document();
    let shown = home
        .call(&["user", "show", "ana", "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(made, shown);
    assert_eq!(
        (&shown["id"], &shown["display_name"], &shown["version"]),
        (&json!("ana"), &json!("Ana's cafe"), &json!(1))
    );

    home.call(&["generate", "rain on the roof", "--user", "ana"])
        .await
        .ended_with(0);
    let mut erased = home
        .call(&["user", "delete", "ana", "--json"])
        .await
        .ended_with(0)
        .document();
    let receipt = erased.as_object_mut().unwrap().remove("receipt").unwrap();
    assert_eq!(
        (&receipt["user_id"], &receipt["erased"]["captions"]),
        (&json!("ana"), &json!(1))
    );
    assert_eq!(
        erased,
        json!({ "id": "ana", "user_erased": true, "captions_erased": 1 })
    );
    home.call(&["user", "show", "ana"])
        .await
        .ended_with(1)
        .said("error[user_not_found]");
    assert_eq!(
        home.call(&["history", "ana", "--json"]).await.document()["data"],
        json!([])
    );
}

#[tokio::test]
async fn users_are_listed_by_id_and_a_long_list_goes_on_where_it_ended() {
    let home = Home::new();
    home.call(&["user", "list"]).await.ended_with(0).said("no users");
    for (id, name) in [("cleo", None), ("ana", Some("Ana's cafe")), ("ben", None)] {
        let name = name.map(|name| ["--name", name]);
        let args = [&["user", "create", id][..], name.as_ref().map_or(&[][..], |name| name)].concat();
        home.call(&args).await.ended_with(0);
    }

    let all = home.call(&["user", "list"]).await.ended_with(0);
    let first = home.call(&["user", "list", "--limit", "2"]).await.ended_with(0);
    let page = home.call(&["user", "list", "--limit", "2", "--json"]).await.document();
    let cursor = page["next_cursor"].as_str().unwrap();

    assert_eq!(all.stdout, "ana\tAna's cafe\nben\ncleo\n");
    assert_eq!(first.stdout, "ana\tAna's cafe\nben\n");
    first.said("more: captions user list --after ben");
    assert_eq!(
        (&page["data"][0]["id"], &page["has_more"]),
        (&json!("ana"), &json!(true))
    );
    for after in ["ben", cursor] {
        let rest = home
            .call(&["user", "list", "--after", after, "--json"])
            .await
            .ended_with(0)
            .document();
        assert_eq!(
            (&rest["data"][0]["id"], &rest["has_more"]),
            (&json!("cleo"), &json!(false)),
            "{after}"
        );
    }
    home.call(&["user", "list", "--limit", "0"]).await.ended_with(2);
    home.call(&["user", "list", "--after", "a b"]).await.ended_with(2);
}

#[tokio::test]
async fn people_read_plain_lines() {
    let home = Home::new();
    home.call(&["user", "create", "ana", "--name", "Ana"])
        .await
        .ended_with(0);
    home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);

    let run = home.call(&["user", "show", "ana"]).await.ended_with(0);

    assert!(
        run.stdout
            .starts_with("id=ana\ndisplay_name=Ana\ntone=warm\nversion=2\n"),
        "{run:?}"
    );
}

#[tokio::test]
async fn a_user_is_not_created_twice() {
    let home = Home::new();
    home.call(&["user", "create", "ana"]).await.ended_with(0);

    let run = home.call(&["user", "create", "ana"]).await.ended_with(1);

    run.said("error[user_exists]: the user ana exists already")
        .said("captions prefs set ana KEY=VALUE");
}

#[rstest]
#[case(&["user", "show", "bob"])]
#[case(&["user", "delete", "bob"])]
#[case(&["prefs", "get", "bob"])]
#[case(&["prefs", "set", "bob", "tone="])]
#[case(&["prefs", "reset", "bob"])]
#[tokio::test]
async fn an_unknown_user_is_told(#[case] args: &[&str]) {
    Home::new()
        .call(args)
        .await
        .ended_with(1)
        .said("error[user_not_found]: there is no user bob");
}

#[rstest]
#[case(&["user", "create", "ana maria"], "a user id is 1 to 100 characters")]
#[case(&["user", "create", "ana", "--name", ""], "a display name needs at least 1 character")]
#[case(&["history", "ana maria"], "a user id is 1 to 100 characters")]
#[case(&["history", "ana", "--before", "yesterday"], "neither a caption's id nor a next_cursor")]
#[case(&["history", "--id", "yesterday"], "a caption id is a UUID")]
#[case(&["prefs", "set", "ana", "tone=freindly"], "error: unknown tone 'freindly': did you mean 'friendly'?")]
#[case(&["prefs", "set", "ana", "tune=warm"], "error: there is no field 'tune': did you mean 'tone'?")]
#[case(&["prefs", "set", "ana", "hashtag_count=31"], "error: hashtag_count is 0 to 30; the nearest that is accepted is '30'")]
#[case(&["prefs", "set", "ana", "hashtag_count=few"], "hashtag_count is a number")]
#[tokio::test]
async fn wrong_values_are_refused_before_any_store_is_opened(#[case] args: &[&str], #[case] words: &str) {
    let home = Home::new();

    home.call(args).await.ended_with(2).said(words);

    assert!(!home.path().join("data").exists());
}

#[tokio::test]
async fn wishes_create_the_user_who_has_them() {
    let home = Home::new();

    let first = home.call(&["prefs", "set", "ana", "tone=warm"]).await.ended_with(0);
    let second = home.call(&["prefs", "set", "ana", "emoji=none"]).await.ended_with(0);

    assert_eq!(first.said("created the user ana").stdout, "tone=warm\n");
    assert!(!second.stderr.contains("created"), "{second:?}");
    assert_eq!(
        home.call(&["user", "show", "ana", "--json"]).await.document()["version"],
        2
    );
}

#[tokio::test]
async fn preferences_are_merged_removed_and_reset() {
    let home = Home::new();
    home.call(&["user", "create", "ana"]).await.ended_with(0);

    home.call(&[
        "prefs",
        "set",
        "ana",
        "tone=warm",
        "avoid=cheap, deal",
        "hashtag_count=3",
    ])
    .await
    .ended_with(0);
    let kept = home
        .call(&["prefs", "set", "ana", "language=pt-BR", "tone="])
        .await
        .ended_with(0);
    assert_eq!(
        sorted(&kept.stdout),
        ["avoid=cheap,deal", "hashtag_count=3", "language=pt-BR"]
    );

    let json = home
        .call(&["prefs", "get", "ana", "--json"])
        .await
        .ended_with(0)
        .document();
    assert_eq!(
        (&json["tone"], &json["avoid"]),
        (&json!(null), &json!(["cheap", "deal"]))
    );

    home.call(&["prefs", "reset", "ana"]).await.ended_with(0);
    let run = home.call(&["prefs", "get", "ana"]).await.ended_with(0);
    assert_eq!(run.said("no wishes").stdout, "");
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn the_history_is_paged_newest_first() {
    let home = Home::new();
    for post in ["first rain", "second rain", "third rain"] {
        home.call(&["generate", post, "--user", "ana"]).await.ended_with(0);
    }

    let page = home
        .call(&["history", "ana", "--limit", "2", "--json"])
        .await
        .ended_with(0)
        .document();
    let descriptions = |page: &serde_json::Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap();
        data.iter()
            .map(|caption| caption["content_description"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(descriptions(&page), ["third rain", "second rain"]);
    assert_eq!(page["has_more"], true);

    for before in [
        page["next_cursor"].as_str().unwrap(),
        page["data"][1]["id"].as_str().unwrap(),
    ] {
        let rest = home
            .call(&["history", "ana", "--before", before, "--json"])
            .await
            .ended_with(0)
            .document();
        assert_eq!(descriptions(&rest), ["first rain"]);
        assert_eq!(rest["has_more"], false);
    }

    let plain = home.call(&["history", "ana", "--limit", "2"]).await.ended_with(0);
    assert_eq!(plain.stdout.matches("score ").count(), 2, "{plain:?}");
    plain.said("older ones: captions history ana --before");
}

#[tokio::test]
async fn an_empty_history_is_an_empty_list() {
    let home = Home::new();

    let plain = home.call(&["history", "ana"]).await.ended_with(0);
    let json = home.call(&["history", "ana", "--json"]).await.ended_with(0).document();

    assert_eq!(plain.said("no captions are stored for ana").stdout, "");
    assert_eq!(json, json!({ "data": [], "has_more": false, "next_cursor": null }));
}

#[tokio::test]
async fn an_unknown_caption_is_told() {
    let id = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

    let run = Home::new().call(&["history", "--id", id]).await.ended_with(1);

    run.said(&format!("error[caption_not_found]: there is no caption {id}"));
}

#[tokio::test]
async fn the_history_needs_no_provider() {
    let home = Home::new().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");

    home.call(&["history", "ana"]).await.ended_with(0);
}
