use rstest::rstest;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

fn wishes() -> Value {
    let samples = ["we bake at 5", "we sleep at 9", "we open at 7"];
    let measured = samples.map(|text| Sample::new(text).unwrap());
    let card = captions_domain::voice::measure(&measured, &Language::new("de").unwrap());
    json!({
        "tone": "warm", "style": "luxury", "audience": "food", "platform": "bluesky", "language": "de",
        "length": "long", "emoji": "none", "cta": "save", "hashtag_count": 2, "keywords": ["bread"],
        "avoid": ["cheap", "deal"], "brand_tags": ["OurBakery"], "brand_voice": "plain and proud", "required": ["sourdough"], "samples": samples, "style_card": card
    })
}

fn pointers(broken: &[Invalid]) -> Vec<(&str, &str, Option<&str>)> {
    broken
        .iter()
        .map(|invalid| (invalid.pointer.as_str(), invalid.code, invalid.nearest.as_deref()))
        .collect()
}

#[test]
fn every_preference_is_read_and_written() {
    let preferences = parse_preferences(&wishes()).unwrap();

    assert_eq!(
        serde_json::to_value(PreferencesDocument(preferences)).unwrap(),
        wishes()
    );
}

#[test]
fn a_patch_keeps_what_it_does_not_name_and_removes_what_it_nulls() {
    let before = parse_preferences(&wishes()).unwrap();

    let after = merge(
        &before,
        &json!({"tone": null, "avoid": null, "emoji": "many", "keywords": ["rye"]}),
    )
    .unwrap();

    let mut expected = wishes();
    expected["tone"] = Value::Null;
    expected["avoid"] = json!([]);
    expected["emoji"] = json!("many");
    expected["keywords"] = json!(["rye"]);
    assert_eq!(serde_json::to_value(PreferencesDocument(after)).unwrap(), expected);
}

#[test]
fn an_empty_patch_changes_nothing_and_nulls_everywhere_leave_nothing() {
    let before = parse_preferences(&wishes()).unwrap();
    let nulls: Value = wishes()
        .as_object()
        .unwrap()
        .keys()
        .map(|key| (key.clone(), Value::Null))
        .collect();

    assert_eq!(merge(&before, &json!({})).unwrap(), before);
    assert_eq!(merge(&before, &nulls).unwrap(), Preferences::default());
}

#[test]
fn the_style_card_follows_the_samples_and_nothing_else() {
    let before = parse_preferences(&wishes()).unwrap();
    assert!(before.style_card.is_some());

    let sent = json!({"style_card": {"captions": 1000}});
    assert_eq!(merge(&before, &sent).unwrap(), before);
    assert_eq!(merge(&before, &json!({"samples": null})).unwrap().style_card, None);
    let after = merge(&before, &json!({"language": "en"})).unwrap();
    assert_eq!(after.style_card.unwrap().first_person, Some(1.0));
}

#[rstest]
#[case::said_at_once(json!({"required": ["rye", "Cheap"], "avoid": ["cheap"]}), "/required/1")]
#[case::against_what_is_stored(json!({"required": ["DEAL"]}), "/required/0")]
#[case::from_the_other_side(json!({"avoid": ["old", "Sourdough"]}), "/avoid/1")]
fn a_word_is_not_required_and_avoided(#[case] patch: Value, #[case] place: &str) {
    let before = parse_preferences(&wishes()).unwrap();

    let broken = merge(&before, &patch).unwrap_err();

    assert_eq!(pointers(&broken), [(place, "contradiction", None)]);
}

#[test]
fn a_patch_with_any_mistake_names_all_and_applies_none() {
    let before = parse_preferences(&wishes()).unwrap();

    let broken = merge(
        &before,
        &json!({"tone": "wram", "emojis": null, "brand_tags": ["ok", "1"]}),
    )
    .unwrap_err();

    assert_eq!(
        pointers(&broken),
        [
            ("/tone", "unknown_choice", Some("warm")),
            ("/brand_tags/1", "bad_format", None),
            ("/emojis", "unknown_field", Some("emoji")),
        ]
    );
}

#[test]
fn mistakes_inside_of_a_user_are_told_from_the_root() {
    let broken =
        parse_new(&json!({"id": "a b", "name": "Ana", "preferences": {"lenght": "long", "tone": 3}})).unwrap_err();

    assert_eq!(
        pointers(&broken),
        [
            ("/id", "bad_format", Some("ab")),
            ("/preferences/tone", "wrong_type", None),
            ("/preferences/lenght", "unknown_field", Some("length")),
            ("/name", "unknown_field", Some("display_name")),
        ]
    );
}

#[test]
fn a_new_user_needs_nothing_but_an_id() {
    let user = parse_new(&json!({"id": "ana"})).unwrap();

    assert_eq!(
        (user.id.as_str(), user.display_name, user.preferences),
        ("ana", None, Preferences::default())
    );
    assert_eq!(
        pointers(&parse_new(&json!({})).unwrap_err()),
        [("/id", "required", None)]
    );
    assert_eq!(pointers(&parse_new(&json!(7)).unwrap_err()), [("", "wrong_type", None)]);
}

#[test]
fn a_user_patch_reaches_name_and_preferences_alike() {
    let before = parse_preferences(&wishes()).unwrap();
    let patch = json!({"display_name": " Ana ", "preferences": {"tone": "calm"}});

    let (name, after) = merge_user(Some("old"), &before, &patch).unwrap();

    assert_eq!(name.as_deref(), Some("Ana"));
    assert_eq!((after.tone, after.style), (Some(Tone::Calm), before.style));
    assert_eq!(
        merge_user(Some("old"), &before, &json!({})).unwrap(),
        (Some("old".into()), before.clone())
    );
    assert_eq!(
        merge_user(
            Some("old"),
            &before,
            &json!({"display_name": null, "preferences": null})
        )
        .unwrap(),
        (None, Preferences::default())
    );
}

#[rstest]
#[case::empty("  ", "too_short", None)]
#[case::long(&"n".repeat(101), "too_long", Some("n".repeat(100)))]
#[case::two_lines("a\nb", "forbidden_character", Some("ab".into()))]
#[case::nul("a\u{0}b", "forbidden_character", Some("ab".into()))]
fn a_display_name_is_one_line_of_at_most_100_characters(
    #[case] name: &str,
    #[case] code: &str,
    #[case] nearest: Option<String>,
) {
    let broken = parse_new(&json!({"id": "ana", "display_name": name})).unwrap_err();

    assert_eq!(pointers(&broken), [("/display_name", code, nearest.as_deref())]);
}

#[test]
fn the_schemas_know_the_fields_of_the_domain() {
    let domain = serde_json::to_value(Preferences::default()).unwrap();
    let mut domain: Vec<&String> = domain.as_object().unwrap().keys().collect();
    // What posts have reached is no wish.
    domain.retain(|name| !matches!(name.as_str(), "results" | "dismissed"));
    domain.sort();

    for schema in [PreferencesBody::schema(), PreferencesDocument::schema()] {
        let schema = serde_json::to_value(schema).unwrap();
        let mut names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, domain);
        assert_eq!(schema["properties"]["tone"]["type"], json!(["string", "null"]));
        assert!(
            schema["properties"]["tone"]["enum"]
                .as_array()
                .unwrap()
                .contains(&Value::Null)
        );
    }
}

#[test]
fn a_user_becomes_exactly_this_document() {
    let user = User {
        id: UserId::new("ana").unwrap(),
        display_name: Some("Ana".into()),
        preferences: parse_preferences(&wishes()).unwrap(),
        version: 3,
        created_at: datetime!(2026-11-23 10:00:00 UTC),
        updated_at: datetime!(2026-11-23 11:30:00.5 UTC),
    };

    assert_eq!(
        serde_json::to_value(UserDocument::from(&user)).unwrap(),
        json!({
            "id": "ana", "display_name": "Ana", "preferences": wishes(), "version": 3,
            "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T11:30:00.5Z"
        })
    );
}
