use captions_domain::voice::{Change, Support};
use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::nothing(json!({}), "/samples", "required")]
#[case::null(json!({"samples": null}), "/samples", "required")]
#[case::not_a_list(json!({"samples": "one"}), "/samples", "wrong_type")]
#[case::an_empty_one(json!({"samples": ["one", " "]}), "/samples/1", "too_short")]
#[case::too_long(json!({"samples": ["x".repeat(2201)]}), "/samples/0", "too_long")]
#[case::too_many(json!({"samples": vec!["one"; MAX_SAMPLES + 1]}), "/samples", "too_many")]
#[case::something_else(json!({"samples": [], "card": {}}), "/card", "unknown_field")]
fn what_is_wrong_is_told_with_its_place(#[case] body: Value, #[case] pointer: &str, #[case] code: &str) {
    let broken = parse(&body).unwrap_err();

    assert_eq!(
        broken
            .iter()
            .map(|one| (one.pointer.as_str(), one.code))
            .collect::<Vec<_>>(),
        [(pointer, code)]
    );
}

#[test]
fn as_many_and_as_long_samples_as_there_may_be_are_read() {
    let samples = vec!["x".repeat(2200); MAX_SAMPLES];

    assert_eq!(parse(&json!({ "samples": samples })).unwrap().len(), MAX_SAMPLES);
}

#[test]
fn a_voice_becomes_exactly_this_document() {
    let samples = parse(&json!({"samples": ["we bake at 5 🥖", "we sleep at 9 🥖", "we open at 7"]})).unwrap();
    let preferences = Preferences {
        samples,
        ..Preferences::default()
    }
    .measured();

    let document = serde_json::to_value(VoiceDocument::from(&preferences)).unwrap();

    assert_eq!(
        document,
        json!({
            "samples": ["we bake at 5 🥖", "we sleep at 9 🥖", "we open at 7"],
            "style_card": {
                "captions": 3, "language": "en", "characters": {"mean": 13.67, "sd": 1.53},
                "sentence_words": {"mean": 4.0, "sd": 0.0}, "emoji": {"mean": 0.67, "sd": 0.58},
                "hashtags": {"mean": 0.0, "sd": 0.0}, "exclamation_marks": {"mean": 0.0, "sd": 0.0},
                "questions": {"mean": 0.0, "sd": 0.0}, "line_breaks": {"mean": 0.0, "sd": 0.0},
                "first_person": 1.0, "lower_case_starts": 1.0, "casing": "lower",
                "openers": [], "words": [], "favourite_emoji": ["🥖"]
            }
        })
    );
}

#[test]
fn the_schema_of_the_card_knows_its_fields() {
    let card = serde_json::to_value(StyleCard::default()).unwrap();
    let schema = serde_json::to_value(style_card()).unwrap();
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };

    assert_eq!(names(&schema["properties"]), names(&card));
    assert_eq!(schema["required"].as_array().unwrap().len(), names(&card).len());
}

#[test]
fn a_suggestion_becomes_exactly_this_document() {
    let suggestion = Suggestion {
        change: Change::Emoji(captions_domain::choice::Emoji::None),
        because: "you removed all emoji in 6 of 7 captions".to_owned(),
        support: Support { agree: 6, of: 7 },
    };

    let document = SuggestionsDocument::of(&[suggestion], &Preferences::default());

    assert_eq!(
        serde_json::to_value(document).unwrap(),
        json!({"data": [{
            "id": "emoji-none", "field": "emoji", "value": "none", "from": null,
            "because": "you removed all emoji in 6 of 7 captions", "support": {"agree": 6, "of": 7}
        }]})
    );
}
