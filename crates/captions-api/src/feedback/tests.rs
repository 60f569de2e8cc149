use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn pointers(broken: &[Invalid]) -> Vec<(&str, &str, Option<&str>)> {
    broken
        .iter()
        .map(|invalid| (invalid.pointer.as_str(), invalid.code, invalid.nearest.as_deref()))
        .collect()
}

#[rstest]
#[case::everything(
    json!({"verdict": "edited", "rating": 4, "final_text": " Warm bread. ", "variant": 2}),
    json!({"verdict": "edited", "rating": 4, "final_text": "Warm bread.", "variant": 2})
)]
#[case::the_least(
    json!({"verdict": "used", "rating": null}),
    json!({"verdict": "used", "rating": null, "final_text": null, "variant": null})
)]
#[case::rejected(
    json!({"verdict": "Rejected", "rating": 1}),
    json!({"verdict": "rejected", "rating": 1, "final_text": null, "variant": null})
)]
fn a_body_becomes_feedback_and_a_document(#[case] body: Value, #[case] mut document: Value) {
    let feedback = parse(&body, NOW).unwrap();

    document["given_at"] = json!("1970-01-01T00:00:00Z");
    assert_eq!(
        serde_json::to_value(FeedbackDocument::from(&feedback)).unwrap(),
        document
    );
}

#[rstest]
#[case::nothing(json!({}), &[("/verdict", "required", None)])]
#[case::no_object(json!("used"), &[("", "wrong_type", None)])]
#[case::every_mistake(
    json!({"verdict": "usde", "rating": 6, "final_text": "", "variant": 30, "note": "x"}),
    &[
        ("/verdict", "unknown_choice", Some("used")),
        ("/rating", "out_of_range", Some("5")),
        ("/final_text", "too_short", None),
        ("/variant", "out_of_range", Some("29")),
        ("/note", "unknown_field", None),
    ]
)]
#[case::half_a_star(json!({"verdict": "used", "rating": 3.5}), &[("/rating", "bad_format", Some("4"))])]
#[case::a_text_of_what_was_not_edited(
    json!({"verdict": "rejected", "final_text": "Warm bread."}),
    &[("/final_text", "contradiction", None)]
)]
fn what_is_wrong_is_told_with_its_place(#[case] body: Value, #[case] expected: &[(&str, &str, Option<&str>)]) {
    assert_eq!(pointers(&parse(&body, NOW).unwrap_err()), expected);
}

#[rstest]
#[case(None, 1, true)]
#[case(Some(0), 1, true)]
#[case(Some(1), 1, false)]
fn a_variant_has_to_be_there(#[case] variant: Option<u8>, #[case] variants: usize, #[case] is_there: bool) {
    let feedback = Feedback {
        variant,
        ..parse(&json!({"verdict": "used"}), NOW).unwrap()
    };

    let checked = check_variant(&feedback, variants);

    assert_eq!(checked.is_ok(), is_there);
    if let Err(invalid) = checked {
        assert_eq!(pointers(&[invalid]), [("/variant", "out_of_range", Some("0"))]);
    }
}
