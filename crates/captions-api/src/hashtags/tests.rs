use rstest::rstest;
use serde_json::json;

use super::*;

fn document(body: &Value) -> HashtagsDocument {
    HashtagsDocument::of(&parse(body).unwrap())
}

#[test]
fn the_document_explains_every_hashtag() {
    let body = json!({
        "content_description": "A golden retriever on the beach", "text": "Wet paws, wet golden retriever.",
        "hashtag_count": 2, "brand_tags": ["#AcmePets"]
    });

    assert_eq!(
        serde_json::to_value(document(&body)).unwrap(),
        json!({
            "hashtags": ["#AcmePets", "#GoldenRetriever"],
            "details": [
                {
                    "tag": "#AcmePets", "tier": "branded", "tier_basis": "given", "relevance": 1.0,
                    "source": {"field": "brand_tags/0", "text": "AcmePets", "start": 0, "end": 8}
                },
                {
                    "tag": "#GoldenRetriever", "tier": "mid", "tier_basis": "proxy", "relevance": 0.891,
                    "source": {"field": "content_description", "text": "golden retriever", "start": 2, "end": 18}
                }
            ],
            "warnings": [], "denylist_as_of": denylist_as_of()
        })
    );
}

#[rstest]
#[case::fewer(json!({"content_description": "A latte", "hashtag_count": 5}), 1, &["fewer_hashtags"])]
#[case::lowered(json!({"content_description": "Golden retriever, sandy beach, blue kite, tall mast, old pier, wet sand", "hashtag_count": 9}), 5, &["hashtag_count_lowered"])]
#[case::none(json!({"content_description": "A latte", "hashtag_count": 0}), 0, &[])]
#[case::own_and_listed(json!({"content_description": "A latte", "hashtag_count": 2, "brand_tags": ["desk"]}), 2, &["hashtag_on_denylist"])]
#[case::platform(json!({"content_description": "Golden retriever, sandy beach", "platform": "threads"}), 1, &[])]
fn what_was_not_done_as_asked_is_told(#[case] body: Value, #[case] count: usize, #[case] warnings: &[&str]) {
    let document = document(&body);

    let codes: Vec<&str> = document.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!((document.hashtags.len(), codes.as_slice()), (count, warnings));
}

#[rstest]
#[case::nothing(json!({}), "/content_description", "required")]
#[case::model(json!({"content_description": "a cat", "provider": "x"}), "/provider", "unknown_field")]
#[case::long(json!({"content_description": "a cat", "text": "a".repeat(MAX_TEXT + 1)}), "/text", "too_long")]
#[case::tag(json!({"content_description": "a cat", "brand_tags": ["1"]}), "/brand_tags/0", "bad_format")]
#[case::language(json!({"content_description": "a cat", "language": "xx"}), "/language", "bad_format")]
fn what_is_wrong_is_named(#[case] body: Value, #[case] pointer: &str, #[case] code: &str) {
    let broken = parse(&body).unwrap_err();

    assert_eq!((broken[0].pointer.as_str(), broken[0].code), (pointer, code));
}

#[test]
fn a_body_from_arguments_is_checked_like_one_from_outside() {
    let body = HashtagsBody {
        content_description: Some("a cat".into()),
        hashtag_count: Some(31.0),
        ..HashtagsBody::default()
    };

    assert_eq!(body.check().unwrap_err()[0].pointer, "/hashtag_count");
}

#[test]
fn the_schema_names_every_field_that_is_read() {
    let schema = serde_json::to_value(HashtagsBody::schema()).unwrap();
    let all = serde_json::to_value(HashtagsBody::default()).unwrap();

    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&schema["properties"]), names(&all));
}
