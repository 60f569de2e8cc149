use captions_api::{caption::CaptionDocument, check::CheckDocument, user::PreferencesDocument};
use serde_json::json;

use super::*;

fn reply<T: DeserializeOwned>(value: &Value) -> Result<Reply<T>, Error> {
    read(StatusCode::OK, HeaderMap::new(), value.to_string().as_bytes())
}

fn caption() -> Value {
    serde_json::from_str(include_str!("../../tests/caption.json")).unwrap()
}

#[test]
fn a_field_that_is_not_known_does_no_harm() {
    let mut document = caption();
    document["mood"] = json!({ "joy": 0.9 });

    let reply = reply::<CaptionDocument>(&document).unwrap();

    assert_eq!(reply.document.text, "Warm bread.");
    assert_eq!(reply.unknown, Vec::<String>::new());
}

#[test]
fn a_word_that_is_not_known_is_left_out_of_its_list_and_told() {
    let mut document = caption();
    document["degraded"] = json!(["moon_phase", "cache_unavailable", "tide"]);
    document["alt_text_source"] = json!("a_camera");

    let reply = reply::<CaptionDocument>(&document).unwrap();

    let told: Vec<&str> = reply.document.degraded.iter().map(|one| one.as_str()).collect();
    assert_eq!(told, ["cache_unavailable"]);
    assert_eq!(reply.document.alt_text_source, None);
    let mut unknown = reply.unknown;
    unknown.sort();
    assert_eq!(unknown, ["/alt_text_source", "/degraded/0", "/degraded/1"]);
}

#[test]
fn an_element_that_cannot_do_without_goes_as_a_whole() {
    let rule = |name: &str, verdict: &str| {
        json!({ "rule": name, "value": "1", "limit": "2", "unit": "hashtags", "verdict": verdict, "hard": true,
                "spans": [], "source": "s", "as_of": null })
    };
    let document = json!({
        "platform": "instagram", "rules_as_of": "2026-11-23", "rules_profile": "default", "publishable": true,
        "violations": [], "counts": { "code_points": 1, "utf16": 1, "graphemes": 1, "bytes": 1, "words": 1 },
        "hashtags": [], "mentions": [], "fold": { "visible": "", "hidden": "" },
        "rules": [rule("one", "doubtful"), rule("two", "doubtful"), rule("three", "ok")]
    });

    let reply = reply::<CheckDocument>(&document).unwrap();

    let rules: Vec<&str> = reply.document.rules.iter().map(|rule| &*rule.rule).collect();
    assert_eq!(rules, ["three"]);
    assert!(
        reply.unknown.iter().all(|path| path == "/rules/0"),
        "{:?}",
        reply.unknown
    );
}

#[test]
fn a_wish_that_is_not_known_is_no_wish() {
    let mut wishes = serde_json::to_value(PreferencesDocument::default()).unwrap();
    wishes["tone"] = json!("sarcastic");
    wishes["hashtag_count"] = json!(3);

    let reply = reply::<PreferencesDocument>(&wishes).unwrap();

    assert_eq!(reply.document.0.tone, None);
    assert!(reply.document.0.hashtag_count.is_some());
    assert_eq!(reply.unknown, ["/tone"]);
}

#[test]
fn what_a_document_must_have_is_asked_for_and_the_whole_is_handed_over() {
    let mut document = caption();
    document["source"] = json!("a_poet");
    let mut without_text = caption();
    without_text.as_object_mut().unwrap().remove("text");

    for (given, word) in [(document, "source"), (without_text, "text")] {
        let error = reply::<CaptionDocument>(&given).unwrap_err();

        let Error::Unreadable { what, document, .. } = error else {
            panic!("{error}")
        };
        assert!(what.contains(word), "{what}");
        assert_eq!(document, Some(given));
    }
}

#[test]
fn what_is_wrong_otherwise_is_not_taken_out() {
    let mut document = caption();
    document["percentile"] = json!("high");

    let error = reply::<CaptionDocument>(&document).unwrap_err();

    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

#[test]
fn who_wants_nothing_is_content_with_nothing() {
    read::<()>(StatusCode::NO_CONTENT, HeaderMap::new(), b"").unwrap();
}
