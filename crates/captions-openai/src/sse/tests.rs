use rstest::rstest;

use super::Events;

fn read(stream: &[u8], step: usize) -> Vec<String> {
    let mut events = Events::default();
    let mut read: Vec<_> = stream.chunks(step).flat_map(|bytes| events.push(bytes)).collect();
    read.extend(events.finish());
    read.into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
}

#[rstest]
#[case::line_feeds("data: a\n\ndata: b\n\n", &["a", "b"])]
#[case::crlf("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"])]
#[case::carriage_returns("data: a\r\rdata: b\r\r", &["a", "b"])]
#[case::no_space("data:a\n\n", &["a"])]
#[case::only_the_first_space_goes("data:  a\n\n", &[" a"])]
#[case::comments(": PROCESSING\n\ndata: a\n: ping\n\n", &["a"])]
#[case::other_fields("event: message\nid: 7\nretry: 100\ndata: a\n\n", &["a"])]
#[case::many_lines("data: {\ndata: \"a\": 1}\n\n", &["{\n\"a\": 1}"])]
#[case::an_event_without_data("event: ping\n\ndata: a\n\n", &["a"])]
#[case::no_blank_line_at_the_end("data: a\n\ndata: [DONE]", &["a", "[DONE]"])]
#[case::a_byte_order_mark("\u{feff}data: a\n\n", &["a"])]
#[case::split_characters("data: pão 👩🏽‍🍳\n\n", &["pão 👩🏽‍🍳"])]
#[case::nothing("", &[])]
fn events_are_read_wherever_the_reads_end(#[case] stream: &str, #[case] expected: &[&str]) {
    for step in 1..=stream.len().max(1) {
        assert_eq!(read(stream.as_bytes(), step), expected, "in reads of {step} bytes");
    }
}
