use rstest::rstest;
use serde_json::json;

use super::*;

fn checked(body: Value) -> Value {
    serde_json::to_value(CheckDocument::of(&parse(&body).unwrap())).unwrap()
}

#[test]
fn a_text_becomes_exactly_this_document() {
    let document = checked(json!({"text": "Rain 👨‍👩‍👧‍👦 on me@x.org #a#b @ana", "platform": "threads"}));

    assert_eq!(document["platform"], "threads");
    assert_eq!(document["rules_as_of"], RULES_AS_OF);
    assert_eq!(document["rules_profile"], "default");
    assert_eq!(document["publishable"], false);
    assert_eq!(
        document["violations"],
        json!([{"rule": "too_many_hashtags", "value": "2", "limit": "1"}])
    );
    assert_eq!(
        document["counts"],
        json!({"code_points": 34, "utf16": 38, "graphemes": 28, "bytes": 52, "words": 7})
    );
    assert_eq!(document["hashtags"], json!(["#a", "#b"]));
    assert_eq!(document["mentions"], json!(["@ana"]));
    assert_eq!(document["fold"]["hidden"], "");
    let rules = document["rules"].as_array().unwrap();
    let hashtags = rules.iter().find(|rule| rule["rule"] == "hashtags").unwrap();
    assert_eq!(
        *hashtags,
        json!({
            "rule": "hashtags", "value": "2", "limit": "1", "unit": "hashtags", "verdict": "broken", "hard": true,
            "spans": [{"text": "#b", "start": 27, "end": 29}],
            "source": "Meta, Threads API reference: posts (one topic)", "as_of": "2026-04-14"
        })
    );
    assert!(document.get("escaped").is_none());
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let request = parse(&json!({"text": "a [b]", "platform": "linkedin", "alt_text": "c"})).unwrap();
    let document = CheckDocument::of(&request);

    let read: CheckDocument = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();

    assert_eq!(read, document);
    assert_eq!(read.escaped.as_deref(), Some("a \\[b\\]"));
}

#[rstest]
#[case::nothing_said(json!({"text": "rain"}), &[])]
#[case::an_empty_text(json!({"text": ""}), &["empty"])]
#[case::six_hashtags(json!({"text": "#a #b #c #d #e #f"}), &["too_many_hashtags"])]
#[case::six_by_the_older_cap(json!({"text": "#a #b #c #d #e #f", "profile": "legacy_30"}), &[])]
#[case::undisclosed(json!({"text": "rain", "sponsored": true}), &["missing_disclosure"])]
#[case::own_limit(json!({"text": "rain rain rain rain rain", "max_chars": 20}), &["too_long"])]
#[case::words(json!({"text": "cheap rain", "avoid": ["cheap"], "required": ["sun"]}), &["avoided_word", "missing_word"])]
#[case::alt_text(json!({"text": "rain", "alt_text": "a".repeat(1001)}), &["alt_text_too_long"])]
#[case::alt_text_at_the_limit(json!({"text": "rain", "alt_text": "a".repeat(1000)}), &[])]
#[case::emoji_count_once_in_a_users_own_text(json!({"text": "👨‍👩‍👧‍👦".repeat(314)}), &[])]
#[case::code_points_count(json!({"text": "👨‍👩‍👧‍👦".repeat(315)}), &["too_long"])]
fn the_wishes_that_are_rules_are_judged(#[case] body: Value, #[case] broken: &[&str]) {
    let document = checked(body);

    let rules: Vec<&str> = document["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, broken);
    assert_eq!(document["publishable"], broken.is_empty());
}

#[rstest]
#[case(json!({}), &["/text"])]
#[case(json!({"text": 3, "platform": "myspace"}), &["/text", "/platform"])]
#[case::of_another_platform(json!({"text": "a", "profile": "premium"}), &["/profile"])]
#[case(json!({"text": "a", "hashtags": 3}), &["/hashtags"])]
fn what_breaks_a_rule_is_told_with_its_pointer(#[case] body: Value, #[case] pointers: &[&str]) {
    let broken = parse(&body).unwrap_err();

    assert_eq!(
        broken
            .iter()
            .map(|invalid| invalid.pointer.as_str())
            .collect::<Vec<_>>(),
        pointers
    );
}

#[test]
fn schema_struct_and_reader_know_the_same_fields() {
    let body = CheckBody {
        text: Some("rain".into()),
        platform: Some("x".into()),
        profile: Some("premium".into()),
        sponsored: Some(true),
        max_chars: Some(100.0),
        avoid: Some(vec!["a".into()]),
        required: Some(vec!["b".into()]),
        alt_text: Some("c".into()),
        language: Some("de".into()),
    };
    let written = serde_json::to_value(&body).unwrap();
    let schema = serde_json::to_value(CheckBody::schema()).unwrap();

    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&schema["properties"]), names(&written));
    let request = body.check().unwrap();
    assert_eq!(request.language.as_str(), "de");
    assert_eq!((request.rules.max_chars, request.sponsored), (25_000, true));
    assert_eq!(
        (request.avoid.len(), request.required.len(), request.alt_text.as_deref()),
        (1, 1, Some("c"))
    );
}
