use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn with(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[rstest]
#[case::in_quotes(r#""k-1""#, "k-1")]
#[case::bare("k-1", "k-1")]
#[case::spaces_around("  k-1 ", "k-1")]
#[case::escaped_in_quotes(r#""a \"b\" \\ c""#, r#"a "b" \ c"#)]
#[case::a_backslash_that_is_bare(r"a\b", r"a\b")]
#[case::a_quotation_mark_inside(r#"a"b"#, r#"a"b"#)]
fn a_key_is_read_bare_and_in_quotes(#[case] value: &str, #[case] text: &str) {
    let read = key(&with(&[value])).unwrap();

    assert_eq!(read, Key::new(text).unwrap());
}

#[rstest]
#[case::empty(&[""])]
#[case::empty_in_quotes(&[r#""""#])]
#[case::only_a_quotation_mark(&["\""])]
#[case::unclosed(&[r#""k"#])]
#[case::closed_by_an_escaped_mark(&[r#""k\""#])]
#[case::more_after_it(&[r#""k" "#, "x"])]
#[case::a_parameter(&[r#""k";a=1"#])]
#[case::an_unknown_escape(&[r#""k\n""#])]
#[case::spaces_within_the_quotes(&[r#"" k""#])]
#[case::not_ascii(&["schlüssel"])]
#[case::not_ascii_in_quotes(&["\"schlüssel\""])]
#[case::two(&["a", "a"])]
fn other_keys_are_refused(#[case] values: &[&str]) {
    let Failure(problem) = key(&with(values)).unwrap_err();

    assert_eq!(problem.code(), Code::InvalidParameter);
    assert!(problem.detail.starts_with("Idempotency-Key: "), "{}", problem.detail);
}

#[test]
fn a_key_has_at_most_255_characters_besides_its_quotes() {
    let long = |length: usize| "k".repeat(length);

    assert!(key(&with(&[&format!("\"{}\"", long(255))])).is_ok());
    assert!(key(&with(&[&long(256)])).is_err());
    assert!(key(&with(&[&format!("\"{}\"", long(256))])).is_err());
}

#[rstest]
#[case(200, true)]
#[case(201, true)]
#[case(202, true)]
#[case(400, false)]
#[case(404, true)]
#[case(422, true)]
#[case(408, false)]
#[case(409, false)]
#[case(412, false)]
#[case(425, false)]
#[case(429, false)]
#[case(500, false)]
#[case(503, false)]
#[case(304, false)]
fn an_answer_stands_if_it_would_come_again(#[case] status: u16, #[case] expected: bool) {
    assert_eq!(stands(StatusCode::from_u16(status).unwrap()), expected);
}

#[test]
fn headers_of_the_one_time_are_not_kept() {
    let told = [
        ("location", "/v1/captions/1"),
        ("captions-model", "m"),
        ("etag", "\"1\""),
        ("ratelimit", "x"),
        ("x-request-id", "r"),
        ("server-timing", "total;dur=1"),
        ("date", "now"),
        ("content-length", "3"),
    ];
    let headers = told
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();

    let mut kept: Vec<String> = content_headers(&headers).into_iter().map(|(name, _)| name).collect();
    kept.sort();
    assert_eq!(kept, ["captions-model", "etag", "location"]);
}

fn event(name: &str, id: Option<u32>, data: &Value) -> String {
    let id = id.map(|id| format!("id: r-{id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}

fn delta(id: u32, candidate: u32, text: &str) -> String {
    event(
        "caption.delta",
        Some(id),
        &json!({ "candidate": candidate, "text": text }),
    )
}

/// How these events end, heard in pieces of so many bytes.
fn played(events: &str, piece: usize) -> Option<End> {
    let mut tape = Tape::default();
    let mut ends = Vec::new();
    for bytes in events.as_bytes().chunks(piece) {
        tape.hear(bytes);
        ends.extend(tape.end());
    }
    assert!(ends.len() <= 1);
    ends.pop()
}

#[rstest]
#[case::byte_by_byte(1)]
#[case::in_odd_pieces(7)]
#[case::all_at_once(10_000)]
fn a_stream_is_played_again_as_its_beginning_one_delta_and_its_end(#[case] piece: usize) {
    let created = event("caption.created", Some(0), &json!({ "request_id": "r" }));
    let completed = event(
        "caption.completed",
        Some(6),
        &json!({ "caption": "Ünter\n\nzwei", "id": 7 }),
    );
    let events = [
        &created,
        &delta(1, 1, "Gone"),
        ": keep-alive\n\n",
        &event(
            "caption.withdrawn",
            Some(2),
            &json!({ "candidate": 1, "code": "mended" }),
        ),
        &delta(3, 2, "Ünter\n\n"),
        &delta(4, 2, "zw"),
        &event("caption.progress", None, &json!({ "done": 1 })),
        &delta(5, 2, "ei"),
        &completed,
    ]
    .map(String::from)
    .concat();

    let Some(End::Completed(again)) = played(&events, piece) else {
        panic!("no caption");
    };
    let again = std::str::from_utf8(&again).unwrap();

    let (first, rest) = again.split_at(created.len());
    assert_eq!(first, created);
    let (middle, last) = rest.split_at(rest.len() - completed.len());
    assert_eq!(last, completed);
    let mut lines: Vec<&str> = middle.trim_end().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{middle}");
    assert_eq!((lines[1], lines[2]), ("event: caption.delta", "id: r-5"));
    let data: Value = serde_json::from_str(lines[0].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data, json!({ "candidate": 2, "text": "Ünter\n\nzwei" }));
}

#[test]
fn a_stream_without_a_caption_is_not_played_again() {
    let created = event("caption.created", None, &json!({ "request_id": "r" }));
    let failed = event("error", None, &json!({ "code": "provider_timeout" }));

    assert_eq!(played(&format!("{created}{failed}"), 5), Some(End::Failed));
    assert_eq!(played(&format!("{created}{}", delta(1, 1, "Half a sen")), 5), None);
}

#[test]
fn who_takes_a_stream_up_is_told_its_end_alone() {
    let created = event("caption.created", Some(0), &json!({ "request_id": "r" }));
    let completed = event("caption.completed", Some(2), &json!({ "caption": "a" }));
    let taken_up = [delta(1, 1, "a"), completed.clone()].concat();
    let whole = [created, taken_up.clone()].concat();

    let Some(End::Completed(again)) = played(&whole, 64) else {
        panic!("no caption");
    };
    assert_eq!(Tape::last_event(&again), completed);
    assert_eq!(Tape::last_event(&completed.clone().into()), completed);
    // Nobody has heard the beginning of its text.
    assert_eq!(played(&taken_up, 64), Some(End::Completed(completed.into())));
}

#[test]
fn what_is_no_stream_of_events_is_not_held_in_memory_for_ever() {
    assert_eq!(played(&"x".repeat((1 << 20) + 1), 4096), Some(End::Failed));
}
