use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn value(node: &Node) -> Value {
    match node {
        Node::Nothing => Value::Null,
        Node::Truth(truth) => json!(truth),
        Node::Number(number) => serde_json::from_str(number).unwrap_or(json!(number)),
        Node::Text(text) => json!(text),
        Node::List(items) => items.iter().map(value).collect(),
        Node::Object { fields, .. } => fields.iter().map(|(name, node)| (name.clone(), value(node))).collect(),
    }
}

#[rstest]
#[case::strict(r#"{"a": [1, -2.5, true, null, "x\n\"y\" é 🐶 \ud83d\ude00"], "b": {}}"#)]
#[case::empty("[]")]
#[case::no_space(r#"{"a":{"b":[[],[{}]]}}"#)]
fn strict_json_is_read_as_it_is(#[case] text: &str) {
    let read = read(text).unwrap();

    assert_eq!(value(&read.node), serde_json::from_str::<Value>(text).unwrap());
    assert!(!read.is_mended && !read.is_cut && read.end == text.len(), "{read:?}");
}

#[rstest]
#[case::trailing_commas(r#"{"a": [1, 2,], }"#)]
#[case::doubled_commas(r#"{"a": [1,, 2],, }"#)]
#[case::missing_commas("{\"a\": [1 2]}")]
#[case::single_quotes("{'a': [1, 2]}")]
#[case::no_quotes("{a: [1, 2]}")]
#[case::smart_quotes("{“a”: [1, 2]}")]
#[case::full_width_signs("{\"a\"： [1, 2]}")]
#[case::comments("{ // first\n \"a\": [1, /* two */ 2] # end\n}")]
#[case::missing_bracket(r#"{"a": [1, 2}"#)]
fn what_is_meant_is_read(#[case] text: &str) {
    let read = read(text).unwrap();

    assert_eq!(value(&read.node), json!({ "a": [1, 2] }));
    assert!(!read.is_cut);
    assert!(matches!(read.node, Node::Object { is_whole: true, .. }));
}

#[rstest]
#[case::unescaped_quotes(r#"{"a": "A "big" day.", "b": 1}"#, "A \"big\" day.")]
#[case::a_quote_before_a_comma(r#"{"a": "He said "hi", then left.", "b": 1}"#, "He said \"hi\", then left.")]
#[case::quotes_between_commas(
    r#"{"a": "She said "hi", "bye" and left.", "b": 1}"#,
    "She said \"hi\", \"bye\" and left."
)]
#[case::apostrophes("{'a': 'It's warm', 'b': 1}", "It's warm")]
#[case::line_breaks("{\"a\": \"One.\nTwo.\", \"b\": 1}", "One.\nTwo.")]
#[case::a_forgotten_comma("{\"a\": \"One.\" \"b\": 1}", "One.")]
#[case::strange_escapes(r#"{"a": "It\'s \q\/ \u00e9", "b": 1}"#, "It's q/ é")]
#[case::half_a_sign(r#"{"a": "x \ud83d y", "b": 1}"#, "x \u{FFFD} y")]
#[case::smart_quotes_inside(r#"{"a": "The “old” oven", "b": 1}"#, "The “old” oven")]
#[case::python("{'a': \"It's\", 'b': True}", "It's")]
fn texts_are_read_to_their_own_end(#[case] text: &str, #[case] expected: &str) {
    let Node::Object { fields, is_whole } = read(text).unwrap().node else {
        panic!("no object")
    };

    assert_eq!(fields[0], ("a".into(), Node::Text(expected.into())));
    assert!(is_whole && fields[1].0 == "b");
}

#[rstest]
#[case::in_a_text(r#"[{"a": "One."}, {"a": "Tw"#)]
#[case::after_a_text(r#"[{"a": "One."}, {"a": "Two.""#)]
#[case::in_a_name(r#"[{"a": "One."}, {"a"#)]
#[case::after_a_name(r#"[{"a": "One."}, {"a":"#)]
#[case::in_an_escape(r#"[{"a": "One."}, {"a": "Tw\"#)]
#[case::in_a_number(r#"[{"a": "One."}, {"a": 12"#)]
#[case::after_a_comma(r#"[{"a": "One."}, {"a": "Two.","#)]
fn what_is_cut_off_is_known_to_be(#[case] text: &str) {
    let read = read(text).unwrap();

    let Node::List(items) = read.node else {
        panic!("no list")
    };
    assert!(read.is_cut);
    let whole: Vec<bool> = items
        .iter()
        .map(|item| matches!(item, Node::Object { is_whole: true, .. }))
        .collect();
    assert_eq!(whole, [true, false]);
}

#[rstest]
#[case(r#"{"a": 1, and so on}"#)]
#[case(r#"{"a" "b"}"#)]
#[case("{json}")]
#[case("[yes]")]
fn what_is_no_json_stops_the_reading(#[case] text: &str) {
    let read = read(text).unwrap();

    assert!(!read.is_cut && read.is_mended);
    assert!(!matches!(read.node, Node::Object { is_whole: true, .. }), "{read:?}");
}

#[rstest]
#[case(&"[".repeat(100_000))]
#[case(&"{\"a\":".repeat(100_000))]
#[case(&format!("[\"{}", "\" ".repeat(50_000)))]
#[case(&format!("[\"{}", "\", ".repeat(50_000)))]
#[case(&format!("{{\"a\": \"{}", "\", \"bcdefgh\" ".repeat(20_000)))]
#[case(&format!("[{}", "/*".repeat(50_000)))]
#[case(&format!("[{}]", ",".repeat(100_000)))]
#[case(&format!("[\"a\"{}\"b\"]", " ".repeat(100_000)))]
fn reading_takes_steps_in_proportion_to_the_text(#[case] text: &str) {
    let read = read(text).unwrap();

    assert!(read.steps <= 4 * text.len() + 200, "{} for {}", read.steps, text.len());
}
