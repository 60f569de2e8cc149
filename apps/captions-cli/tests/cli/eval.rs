//! `captions eval` on the template writer.

use std::collections::HashSet;

use captions_testkit::llm::FakeLlm;

use crate::support::Home;

#[tokio::test]
async fn every_built_in_brief_gets_a_valid_caption_without_a_model() {
    let home = Home::new();

    let run = home
        .call(&["eval", "--provider", "template", "--json", "--fail-under-valid", "100"])
        .await
        .ended_with(0);

    let report = run.document();
    let outcomes = report["outcomes"].as_array().unwrap();
    let ids: HashSet<&str> = outcomes.iter().map(|outcome| outcome["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 60 && ids.len() == outcomes.len(), "{}", ids.len());
    let (summary, published) = (&report["summary"], &report["summary"]["published"]);
    assert_eq!(published["valid_percent"], 100.0, "{published}");
    assert_eq!(published["untraced"], 0, "{published}");
    assert_eq!(summary["asked"], outcomes.len());
    assert_eq!(summary["baseline"]["answered"], outcomes.len());
    for part in ["faithfulness", "hook"] {
        assert!(published["parts"].as_array().unwrap().iter().any(|p| p["name"] == part));
    }
    // A run can be repeated: all but the times is the same.
    let again = home
        .call(&["eval", "--provider", "template", "--json", "--concurrency", "4"])
        .await
        .document();
    let texts = |report: &serde_json::Value| {
        let outcomes = report["outcomes"].as_array().unwrap().iter();
        outcomes.map(|outcome| outcome["variants"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&report), texts(&again));
}

#[tokio::test]
async fn people_get_a_line_for_each_brief_and_the_figures() {
    let home = Home::new();

    let run = home
        .call(&["eval", "--provider", "template", "--only", "en-bakery", "--texts"])
        .await
        .ended_with(0);

    for words in [
        "writer: template",
        "en-bakery",
        "1 of 1",
        "ourdough loaves on a wooden shelf",
        "briefs valid",
        "first output, unrepaired",
        "time of a brief, median",
    ] {
        assert!(run.stdout.contains(words), "no {words:?} in {}", run.stdout);
    }
}

#[tokio::test]
async fn a_gate_that_is_not_met_ends_with_seven_and_the_report_is_there() {
    let home = Home::new();

    let run = home
        .call(&[
            "eval",
            "--provider",
            "template",
            "--only",
            "en-bakery",
            "--fail-under-score",
            "100",
        ])
        .await
        .ended_with(7)
        .said("is below --fail-under-score 100");

    assert!(run.stdout.contains("briefs valid"));
}

#[tokio::test]
async fn failures_are_typed_and_the_first_output_stands_beside_what_was_made_of_it() {
    let llm = FakeLlm::start().await;
    let home = Home::new().with_provider(&llm.base_url());
    home.file(
        "mine.toml",
        "[[brief]]\nid = 'quay'\npurpose = 'a test'\n[brief.request]\ncontent_description = 'Boats at the quay'\n\
         emoji = 'none'\n",
    );
    llm.always(captions_testkit::llm::Turn::text("no JSON at all"));

    let run = home
        .call(&["eval", "--fixtures", "mine.toml", "--json", "--fail-under-valid", "1"])
        .await
        .ended_with(7);

    let report = run.document();
    assert_eq!(report["outcomes"][0]["error"], "provider_bad_output");
    assert_eq!(
        report["summary"]["published"]["errors"][0]["name"],
        "provider_bad_output"
    );
    assert_eq!(report["outcomes"][0]["baseline"]["error"], "unusable");
}

#[tokio::test]
async fn what_is_not_there_is_wrong_usage_with_the_nearest() {
    let home = Home::new();

    home.call(&["eval", "--provider", "templat"])
        .await
        .ended_with(2)
        .said("did you mean template?");
    home.call(&["eval", "--only", "en-bakry"])
        .await
        .ended_with(2)
        .said("did you mean en-bakery?");
    home.call(&["eval", "--fixtures", "absent.toml"])
        .await
        .ended_with(2)
        .said("absent.toml cannot be read");
}
