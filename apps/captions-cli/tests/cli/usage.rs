//! `captions usage`.

use serde_json::{Value, json};

use crate::support::Home;

async fn report(home: &Home, args: &[&str]) -> Value {
    let args = [&["usage", "--json"], args].concat();
    home.call(&args).await.ended_with(0).document()
}

/// A home in which one caption was written for Ana, in two variants, and found again.
async fn used() -> Home {
    let home = Home::new();
    for _ in 0..2 {
        let args = [
            "generate",
            "first rain",
            "--user",
            "ana",
            "--variants",
            "2",
            "--no-store",
        ];
        home.call(&args).await.ended_with(0);
    }
    home.call(&["rewrite", "Fix  this , please.", "--fix"])
        .await
        .ended_with(0);
    home
}

#[tokio::test]
async fn what_commands_have_used_is_told_as_the_http_api_tells_it() {
    let home = used().await;

    let report = report(&home, &["--by", "provider,user"]).await;

    let rows = report["data"].as_array().unwrap();
    let told: Vec<Value> = rows
        .iter()
        .map(|row| json!([row["user_id"], row["requests"]]))
        .collect();
    assert!(told.contains(&json!(["ana", 2])), "{report:#}");
    assert_eq!(report["group_by"], json!(["provider", "user"]));
    assert_eq!((&report["bucket"], &report["has_more"]), (&json!("1d"), &json!(false)));
}

#[tokio::test]
async fn people_get_a_table() {
    let home = used().await;

    let ran = home
        .call(&["usage", "--since", "1d", "--by", "user"])
        .await
        .ended_with(0);

    let table = ran.stdout;
    let mut lines = table.lines();
    let head = lines.next().unwrap();
    assert!(
        head.starts_with("since") && head.contains("user") && head.contains("requests"),
        "{table}"
    );
    assert!(lines.any(|line| line.contains("ana")), "{table}");
}

#[tokio::test]
async fn nothing_is_told_as_such_and_what_is_wrong_too() {
    let home = Home::new();
    home.call(&["usage"]).await.ended_with(0).said("nothing was used");
    for (args, words) in [
        (["--since", "soon"], "--since is a time such as"),
        (["--until", "soon"], "--until is a time such as"),
        (["--by", "modell"], "unknown name for --by 'modell'"),
        (["--by", "modell"], "did you mean 'model'"),
        (["--bucket", "1w"], "1h, 1d"),
        (["--since", "400d"], "366 days at most"),
    ] {
        let args = [&["usage"], &args[..]].concat();
        home.call(&args).await.ended_with(2).said(words);
    }
}
