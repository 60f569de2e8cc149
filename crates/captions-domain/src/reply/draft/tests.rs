use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case("Hook.", "Hook. And more.", None, "Hook. And more.")]
#[case("Hook.", "", Some("Tell us?"), "Hook.\n\nTell us?")]
#[case("Hook.", "Ends. Tell us?", Some("Tell us?"), "Hook. Ends. Tell us?")]
#[case("", "Body.", Some("  "), "Body.")]
fn the_parts_become_one_text_without_repeats(
    #[case] hook: &str,
    #[case] body: &str,
    #[case] cta: Option<&str>,
    #[case] text: &str,
) {
    let draft = Draft {
        hook: hook.into(),
        body: body.into(),
        cta: cta.map(Into::into),
        ..Draft::default()
    };

    assert_eq!(draft.text(), text);
}

#[test]
fn tags_are_read_from_words_and_from_objects() {
    let draft: Draft = serde_json::from_value(json!({
        "body": "Warm bread.",
        "hashtags": [
            "Sourdough",
            {"tag": "RyeBread", "tier": "niche", "source": "rye bread"},
            {"tag": "Bakery", "tier": 3, "source": null},
            {"tier": "mid"},
            7,
        ],
    }))
    .unwrap();

    let rye = ProposedTag {
        tag: "RyeBread".into(),
        tier: Some("niche".into()),
        source: Some("rye bread".into()),
    };
    assert_eq!(draft.hashtags, ["Sourdough".into(), rye, "Bakery".into()]);
}

#[rstest]
#[case(json!({"body": "B.", "alt_text": null, "hashtags": null}))]
#[case(json!({"body": "B.", "alt_text": 4, "hashtags": "#a"}))]
#[case(json!({"body": "B.", "alt_text": "  ", "claims": [1, {"source": "none"}], "hashtags": {}}))]
#[case(json!({"body": "B."}))]
fn parts_beside_the_text_cost_no_caption(#[case] answer: Value) {
    assert_eq!(serde_json::from_value::<Draft>(answer).unwrap(), Draft::plain("B."));
}

#[test]
fn alt_text_is_read_and_what_nobody_asked_for_is_not() {
    let draft: Draft = serde_json::from_value(json!({
        "body": "Open at 7.",
        "alt_text": "A loaf on a table",
        "claims": [{"text": "opens at 7", "source": "description"}],
    }))
    .unwrap();

    let expected = Draft {
        alt_text: Some("A loaf on a table".into()),
        ..Draft::plain("Open at 7.")
    };
    assert_eq!(draft, expected);
}
