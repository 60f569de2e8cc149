use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use captions_testkit::llm::{FakeLlm, Recorded, Turn};
use serde_json::{Value, json};

use crate::support::{Home, Run};

fn items(count: usize) -> String {
    let item = |index| {
        let item = json!({
            "custom_id": format!("post-{index}"),
            "content_description": format!("Loaf number {index} on the counter of a bakery"),
        });
        format!("{item}\n")
    };
    (0..count).map(item).collect::<Vec<_>>().concat()
}

fn lines(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path().join("out.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// With a queue that is looked at often, and short pauses.
fn home() -> Home {
    Home::new()
        .with("CAPTIONS_BATCHES__POLL", "0.05")
        .with("CAPTIONS_BATCHES__RETRY_DELAY", "0.01")
        .with("CAPTIONS_BATCHES__MAX_TRIES", "1")
        .with("CAPTIONS_API__BREAKER__ENABLED", "false")
}

async fn batch(home: &Home, args: &[&str]) -> Run {
    home.call(&[&["batch"], args].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_written_as_lines_in_its_order() {
    let home = home();
    home.file(
        "in.csv",
        "sku,text,tone\nb7,Bread on the counter of a bakery,warm\n,Rain on the roof of a cafe,\n",
    );
    let args = [
        "run",
        "in.csv",
        "-o",
        "out.jsonl",
        "--map",
        "sku=custom_id",
        "--map",
        "text=content_description",
    ];

    let run = batch(&home, &[&args[..], &["--json"]].concat()).await.ended_with(0);

    let document = run.document();
    assert_eq!(
        (&document["state"], &document["counts"]["succeeded"]),
        (&json!("completed"), &json!(2))
    );
    let lines = lines(&home);
    let ids: Vec<&Value> = lines.iter().map(|line| &line["custom_id"]).collect();
    assert_eq!(ids, ["b7", "3"]);
    assert!(lines.iter().all(|line| line["caption"]["text"].is_string()));
    // Once more is an accident.
    batch(&home, &args)
        .await
        .ended_with(2)
        .said("out.jsonl exists")
        .said("--resume");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_items_is_told_with_its_line_and_a_dry_run_stops_there() {
    let home = home();
    home.file("in.jsonl", format!("{}{{\"tone\":\"grim\"}}\n", items(1)));
    let broken = batch(&home, &["run", "in.jsonl", "-o", "out.jsonl"])
        .await
        .ended_with(2);
    home.file("in.jsonl", items(3));

    let dry = batch(&home, &["run", "in.jsonl", "-o", "out.jsonl", "--dry-run"])
        .await
        .ended_with(0);

    broken.said("line 2: ");
    dry.said("3 items are in order");
    assert!(!home.path().join("out.jsonl").exists());
    assert_eq!(batch(&home, &["status", "--json"]).await.document()["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_told_and_can_be_tried_again() {
    let llm = FakeLlm::start().await;
    let refuse = Turn::content_refused();
    llm.answer_with(move |request| {
        if request.user_text().contains("Loaf number 1 ") {
            refuse.clone()
        } else {
            Turn::fitting()
        }
    });
    let home = home().with_provider(&llm.base_url());
    home.file("in.jsonl", items(3));
    batch(&home, &["run", "in.jsonl", "-o", "out.jsonl"])
        .await
        .ended_with(6)
        .said("1 failed");
    assert_eq!(lines(&home)[1]["problem"]["code"], "content_refused");
    llm.answer_with(|_| Turn::fitting());

    batch(&home, &["run", "in.jsonl", "-o", "out.jsonl", "--retry-failed"])
        .await
        .ended_with(0);

    assert!(lines(&home).iter().all(|line| line["status"] == "succeeded"));
    assert_eq!(llm.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_succeed_later_is_tried_again_and_what_may_not_is_left() {
    let llm = FakeLlm::start().await;
    let answer = |wrong: Turn| {
        move |request: &Recorded| match request.user_text() {
            text if text.contains("Loaf number 0 ") => Turn::content_refused(),
            text if text.contains("Loaf number 1 ") => wrong.clone(),
            _ => Turn::fitting(),
        }
    };
    llm.answer_with(answer(Turn::bad_key()));
    let home = home()
        .with_provider(&llm.base_url())
        .with("CAPTIONS_FALLBACK__TEMPLATE", "false");
    home.file("in.jsonl", items(3));
    let submitted = batch(&home, &["submit", "in.jsonl"]).await.ended_with(0);
    let id = submitted.stdout.trim();
    batch(&home, &["wait", id]).await.ended_with(6);
    llm.answer_with(answer(Turn::fitting()));

    let again = batch(&home, &["retry", id, "--json"]).await.ended_with(0).document();
    batch(&home, &["wait", id]).await.ended_with(6);

    assert_eq!(
        (&again["state"], &again["counts"]["failed"]),
        (&json!("in_progress"), &json!(1))
    );
    assert_eq!(llm.count(), 4);
    batch(&home, &["retry", "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21"])
        .await
        .ended_with(1)
        .said("error[batch_not_found]");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_failures_stop_a_run_that_can_be_gone_on_with() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::content_refused());
    let home = home().with_provider(&llm.base_url());
    home.file("in.jsonl", items(200));

    let run = batch(
        &home,
        &["run", "in.jsonl", "-o", "out.jsonl", "-j", "1", "--max-errors", "2"],
    )
    .await;

    run.ended_with(6).said("more than 2 items have failed").said("--resume");
    assert!((3..200).contains(&llm.count()), "{}", llm.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_submitted_waited_for_read_and_cancelled() {
    let home = home();
    home.file("in.jsonl", items(3));
    let submitted = batch(&home, &["submit", "in.jsonl"]).await.ended_with(0);
    let id = submitted.stdout.trim();
    let status = batch(&home, &["status", id, "--json"]).await.ended_with(0);
    assert_eq!(status.document()["state"], "queued");
    batch(&home, &["results", id])
        .await
        .ended_with(1)
        .said("batch_not_ready");

    let over = batch(&home, &["wait", id, "--json"]).await.ended_with(0);
    let results = batch(&home, &["results", id]).await.ended_with(0);

    assert_eq!(over.document()["state"], "completed");
    assert_eq!(results.stdout.lines().count(), 3);
    let other = batch(&home, &["submit", "in.jsonl"]).await.ended_with(0);
    batch(&home, &["cancel", other.stdout.trim()]).await.ended_with(0);
    let listed = batch(&home, &["status"]).await.ended_with(0).stdout;
    assert!(listed.contains("cancelled") && listed.contains("completed"), "{listed}");
    let nowhere = "0192e4a0-0000-7000-8000-000000000000";
    batch(&home, &["status", nowhere])
        .await
        .ended_with(1)
        .said("batch_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_gone_on_with_and_nothing_is_lost_or_written_twice() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_millis(50)));
    let home = home()
        .with_provider(&llm.base_url())
        .with("CAPTIONS_BATCHES__LEASE", "1")
        .with("CAPTIONS_BATCHES__MAX_TRIES", "5");
    home.file("in.jsonl", items(40));
    let out = home.path().join("out.jsonl");
    let mut killed = Command::new(env!("CARGO_BIN_EXE_captions"))
        .args(["batch", "run", "in.jsonl", "-o", "out.jsonl", "-j", "4"])
        .env_clear()
        .envs(&home.env)
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    llm.until("half of the calls", |llm| llm.count() >= 20).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = fs::read(&out).unwrap();
    let whole = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |place| place + 1);

    let resumed = batch(
        &home,
        &["run", "in.jsonl", "-o", "out.jsonl", "-j", "4", "--resume", "--json"],
    )
    .await;

    let document = resumed.ended_with(0).document();
    let after = fs::read(&out).unwrap();
    assert!(after.starts_with(&before[..whole]), "what was written has changed");
    let lines = lines(&home);
    let ids: Vec<String> = lines
        .iter()
        .map(|line| line["custom_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..40).map(|index| format!("post-{index}")).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line["status"] == "succeeded"));
    // At most one for each of the four that were at work.
    assert!((40..=44).contains(&llm.count()), "{}", llm.count());
    let kept = batch(&home, &["results", document["id"].as_str().unwrap()])
        .await
        .ended_with(0);
    assert_eq!(kept.stdout.as_bytes(), after);
    batch(&home, &["run", "in.jsonl", "-o", "out.jsonl", "--resume"])
        .await
        .ended_with(0);
    assert_eq!(fs::read(&out).unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_batch_is_not_kept_any_more_is_not_paid_for_again() {
    let llm = FakeLlm::start().await;
    let home = home()
        .with_provider(&llm.base_url())
        .with("CAPTIONS_BATCHES__RETENTION", "1");
    home.file("in.jsonl", items(2));
    let run = ["run", "in.jsonl", "-o", "out.jsonl", "--resume", "--json"];
    let written = batch(&home, &run).await.ended_with(0).document();
    let id = written["id"].as_str().unwrap();
    // Whoever works removes what was over long ago.
    while batch(&home, &["wait", id]).await.code == 0 {}

    let resumed = batch(&home, &run).await;

    resumed.ended_with(1).said("is not kept any more");
    assert_eq!(llm.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_to_the_pace_that_it_is_given() {
    let llm = FakeLlm::start().await;
    let home = home().with_provider(&llm.base_url());
    home.file("in.jsonl", items(3));
    let begun = std::time::Instant::now();

    batch(&home, &["run", "in.jsonl", "-o", "out.jsonl", "--rate", "120/min"])
        .await
        .ended_with(0);

    assert_eq!(llm.count(), 3);
    assert!(begun.elapsed() >= Duration::from_secs(1), "two pauses of half a second");
    batch(&home, &["run", "in.jsonl", "-o", "other.jsonl", "--rate", "fast"])
        .await
        .ended_with(2);
}
