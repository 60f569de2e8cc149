use proptest::{prelude::*, sample::Index};
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::*;

fn of(body: &str) -> Payload {
    Payload::of("application/json", "", body.as_bytes(), "user_id").0
}

#[rstest]
#[case::order_and_spaces(r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n \"a\" : 1 }")]
#[case::order_deep_inside(r#"[{"x":{"b":2,"a":1}}]"#, r#"[{"x":{"a":1,"b":2}}]"#)]
#[case::escapes(r#"{"a":"\u00e9\/"}"#, r#"{"a":"é/"}"#)]
#[case::whole_numbers(r#"{"a":[1,-0.0,20]}"#, r#"{"a":[1.0,0,2e1]}"#)]
#[case::fractions(r#"{"a":0.50}"#, r#"{"a":5e-1}"#)]
fn the_same_json_is_the_same_payload_however_it_is_spelled(#[case] one: &str, #[case] other: &str) {
    assert_eq!(of(one), of(other));
}

#[rstest]
#[case::another_value(r#"{"a":1}"#, r#"{"a":2}"#)]
#[case::another_kind(r#"{"a":1}"#, r#"{"a":"1"}"#)]
#[case::nothing_and_none(r#"{"a":null}"#, "{}")]
#[case::false_and_zero("[false]", "[0]")]
#[case::another_name(r#"{"a":1}"#, r#"{"b":1}"#)]
#[case::another_order_of_a_list("[1,2]", "[2,1]")]
#[case::another_nesting("[[1],2]", "[1,[2]]")]
#[case::a_field_twice(r#"{"a":1,"a":2}"#, r#"{"a":2}"#)]
#[case::a_field_twice_in_another_order(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#)]
#[case::names_and_values_change_places(r#"{"a":"b"}"#, r#"{"b":"a"}"#)]
#[case::large_numbers("[18446744073709551615]", "[18446744073709551614]")]
#[case::small_differences("[0.1]", "[0.10000000000000002]")]
#[case::spaces_in_texts(r#"{"a":"b c"}"#, r#"{"a":"b  c"}"#)]
fn other_json_is_another_payload(#[case] one: &str, #[case] other: &str) {
    assert_ne!(of(one), of(other));
}

#[test]
fn what_is_not_json_is_its_bytes() {
    let of = |kind: &str, query: &str, body: &str| Payload::of(kind, query, body.as_bytes(), "user_id").0;

    assert_eq!(of("text/csv", "", "a,b"), of("Text/CSV; charset=utf-8", "", "a,b"));
    assert_ne!(of("text/csv", "", "a,b"), of("text/csv", "", "a, b"));
    assert_ne!(of("text/csv", "", "{}"), of("application/json", "", "{}"));
    assert_ne!(of("application/jsonl", "", "{}"), of("application/json", "", "{}"));
    assert_eq!(
        of("application/json", "", "{\"a\":"),
        of("application/json", "", "{\"a\":")
    );
    assert_ne!(of("application/json", "", "{} x"), of("application/json", "", "{}"));
    assert_ne!(
        of("application/json", "dry_run=1", "{}"),
        of("application/json", "", "{}")
    );
    assert_ne!(of("application/json", "", ""), of("application/json", "", "null"));
}

#[test]
fn json_that_is_nested_too_deep_to_be_read_is_its_bytes() {
    let deep = |inside: &str| format!("{}{inside}{}", "[".repeat(100_000), "]".repeat(100_000));

    assert_eq!(of(&deep("1")), of(&deep("1")));
    assert_ne!(of(&deep("1")), of(&deep("2")));
}

#[rstest]
#[case::named(r#"{"a":{"user_id":"bob"},"user_id":"ann"}"#, Some("ann"))]
#[case::no_text(r#"{"user_id":7}"#, None)]
#[case::no_id(r#"{"user_id":"not an id"}"#, None)]
#[case::deeper(r#"{"a":{"user_id":"bob"}}"#, None)]
#[case::no_object(r#"["user_id"]"#, None)]
fn the_user_is_the_one_whom_the_body_names(#[case] body: &str, #[case] named: Option<&str>) {
    let (_, user) = Payload::of("application/json", "", body.as_bytes(), "user_id");

    assert_eq!(user.as_ref().map(UserId::as_str), named);
}

#[rstest]
#[case::one_character("k", true)]
#[case::a_uuid("8e03978e-40d5-43dd-bc93-6894a57f9324", true)]
#[case::signs_and_spaces("order 7; \"second\" \\ try~!", true)]
#[case::longest(&"k".repeat(255), true)]
#[case::empty("", false)]
#[case::too_long(&"k".repeat(256), false)]
#[case::space_before(" k", false)]
#[case::space_after("k ", false)]
#[case::control("k\tk", false)]
#[case::delete("k\u{7f}", false)]
#[case::not_ascii("schlüssel", false)]
fn a_key_is_1_to_255_visible_characters(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(Key::new(text).is_ok(), is_one);
}

#[test]
fn a_call_is_known_by_method_path_and_key_together() {
    let key = |text| Key::new(text).unwrap();
    let all = [
        CallId::new("POST", "/v1/captions", &key("k")),
        CallId::new("POST", "/v1/captions", &key("K")),
        CallId::new("POST", "/v1/captionsk", &key("k")),
        CallId::new("PUT", "/v1/captions", &key("k")),
        CallId::new("POST", "/v1/caption", &key("sk")),
    ];

    for (place, call) in all.iter().enumerate() {
        assert_eq!(all.iter().position(|other| other == call), Some(place));
    }
    assert_eq!(all[0], CallId::new("POST", "/v1/captions", &key("k")));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same value with the fields of every object in another order, as text.
fn shuffled(value: &Value, by: Index) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{} : {}", json!(name), shuffled(value, by)))
                .collect();
            if !fields.is_empty() {
                let middle = by.index(fields.len());
                fields.rotate_left(middle);
            }
            format!("{{{}}}", fields.join(" ,\n"))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shuffled(item, by)).collect();
            format!("[{}]", items.join(" , "))
        }
        leaf => leaf.to_string(),
    }
}

proptest! {
    #[test]
    fn two_values_have_one_payload_exactly_if_they_are_equal(
        one in any_json(), other in any_json(), by in any::<Index>()
    ) {
        prop_assert_eq!(of(&one.to_string()), of(&shuffled(&one, by)));
        prop_assert_eq!(of(&one.to_string()) == of(&other.to_string()), one == other);
        let inside = |value: &Value| Value::Object(Map::from_iter([("user_id".to_owned(), value.clone())]));
        prop_assert_eq!(of(&inside(&one).to_string()) == of(&inside(&other).to_string()), one == other);
    }
}
