use captions_domain::keys::Secret;
use serde_json::{Value, json};

use crate::support::Home;

#[tokio::test]
async fn a_key_is_printed_once_and_alone() {
    let home = Home::new();

    let run = home
        .call(&["key", "create"])
        .await
        .ended_with(0)
        .said("it is shown this once");

    let secret = Secret::parse(run.stdout.trim_end()).unwrap();
    let listed = home.call(&["key", "list"]).await.ended_with(0);
    assert!(
        listed
            .stdout
            .contains(&format!("...{}  active  read,write", secret.last_four())),
        "{listed:?}"
    );
    let all = home.call(&["key", "list", "--json", "-vv"]).await.ended_with(0);
    let hidden = &run.stdout.trim_end()[9..52];
    assert!(!all.stdout.contains(hidden) && !all.stderr.contains(hidden));
}

#[tokio::test]
async fn everything_that_a_key_may_have_is_kept() {
    let home = Home::new();
    let args = [
        "key",
        "create",
        "--name",
        "ci",
        "--scopes",
        "read,admin",
        "--expires",
        "90d",
        "--tenant",
        "acme",
        "--requests-per-minute",
        "60",
        "--requests-per-hour",
        "0",
        "--tokens-per-minute",
        "5000",
        "--concurrent-requests",
        "4",
        "--budget",
        "25.5",
        "--budget-period",
        "day",
        "--json",
    ];

    let made = home.call(&args).await.ended_with(0).document();

    assert!(made["key"].as_str().unwrap().starts_with("captions_"));
    let mut listed = home
        .call(&["key", "list", "--tenant", "acme", "--json"])
        .await
        .document()["data"][0]
        .clone();
    listed["key"] = made["key"].clone();
    assert_eq!(listed, made);
    assert_eq!(
        (&made["tenant"], &made["name"], &made["scopes"]),
        (&json!("acme"), &json!("ci"), &json!(["read", "admin"]))
    );
    let limits = json!({
        "requests_per_minute": 60, "requests_per_hour": 0, "tokens_per_minute": 5000, "concurrent_requests": 4,
        "budget": "25.50", "budget_period": "day"
    });
    assert_eq!(made["limits"], limits);
    assert!(made["expires_at"].is_string());
    assert_eq!(
        home.call(&["key", "list", "--json"]).await.document()["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_key_is_rotated_and_revoked() {
    let home = Home::new();
    let old = home.call(&["key", "create", "--json"]).await.document();
    let id = old["id"].as_str().unwrap();

    let new = home
        .call(&["key", "rotate", id, "--grace", "12h", "--json"])
        .await
        .ended_with(0)
        .document();
    home.call(&["key", "rotate", id, "--grace", "0"])
        .await
        .ended_with(0)
        .said("ends after the grace of 0s");
    home.call(&["key", "rotate", id])
        .await
        .ended_with(1)
        .said("error[key_inactive]");
    let revoked = home
        .call(&["key", "revoke", new["id"].as_str().unwrap(), "--json"])
        .await
        .ended_with(0)
        .document();

    assert_eq!((&new["family"], &revoked["status"]), (&old["id"], &json!("revoked")));
    let page = home.call(&["key", "list", "--json"]).await.document();
    let states: Vec<&Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["status"])
        .collect();
    assert_eq!(states, ["active", "revoked", "expired"]);
}

#[tokio::test]
async fn the_budget_of_a_key_is_changed_for_its_family() {
    let home = Home::new();
    let old = home
        .call(&["key", "create", "--tenant", "acme", "--json"])
        .await
        .document();
    let id = old["id"].as_str().unwrap();
    let rotated = ["key", "rotate", id, "--tenant", "acme", "--json"];
    let new = home.call(&rotated).await.ended_with(0).document();
    let budget = |amount: &'static str| ["key", "budget", id, amount, "--tenant", "acme"];

    home.call(&budget("25.5")).await.ended_with(0).said("25.50 a month");
    home.call(&[&budget("2")[..], &["--period", "day"]].concat())
        .await
        .ended_with(0)
        .said("2.00 a day");
    let show = ["key", "show", new["id"].as_str().unwrap(), "--tenant", "acme", "--json"];
    let limits = home.call(&show).await.document()["limits"].clone();
    assert_eq!(
        (&limits["budget"], &limits["budget_period"]),
        (&json!("2.00"), &json!("day"))
    );

    let none = home
        .call(&[&budget("none")[..], &["--json"]].concat())
        .await
        .ended_with(0);
    assert_eq!(none.document()["limits"]["budget"], Value::Null);
    home.call(&[&budget("none")[..], &["--period", "day"]].concat())
        .await
        .ended_with(2)
        .said("a period says nothing without a budget");
    home.call(&["key", "budget", id, "5"])
        .await
        .ended_with(1)
        .said("error[key_not_found]");
    home.call(&budget("much")).await.ended_with(2);
}

#[tokio::test]
async fn what_cannot_be_says_why() {
    let home = Home::new();
    let nobody = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

    home.call(&["key", "revoke", nobody])
        .await
        .ended_with(1)
        .said("error[key_not_found]");
    home.call(&["key", "revoke", "1"])
        .await
        .ended_with(2)
        .said("a key id is a UUID");
    home.call(&["key", "create", "--scopes", "wirte"])
        .await
        .ended_with(2)
        .said("did you mean 'write'?");
    home.call(&["key", "create", "--expires", "2020-01-01"])
        .await
        .ended_with(2)
        .said("in the future");
    home.call(&["key", "create", "--expires", "soon"]).await.ended_with(2);
    home.call(&["key", "create", "--tenant", "a b"])
        .await
        .ended_with(2)
        .said("tenant");
}

#[tokio::test]
async fn a_long_list_goes_on_where_it_ended() {
    let home = Home::new();
    for _ in 0..3 {
        home.call(&["key", "create"]).await.ended_with(0);
    }

    let first = home.call(&["key", "list", "--limit", "2", "--json"]).await.document();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = home
        .call(&["key", "list", "--before", cursor, "--json"])
        .await
        .document();

    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    home.call(&["key", "list", "--before", "x"])
        .await
        .ended_with(2)
        .said("error[cursor_invalid]");
}
