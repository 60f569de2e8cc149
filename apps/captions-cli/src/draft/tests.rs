use rstest::rstest;

use super::*;

const SMALL: Sink = Sink::Terminal { size: Some((4, 10)) };

#[rstest]
#[case::one_row("ten chars!", Some(0))]
#[case::one_more_wraps("eleven char", Some(1))]
#[case::line_ends("a\nb\n", Some(2))]
#[case::wide_signs_take_two_columns("漢字漢字漢字", Some(1))]
#[case::a_family_is_one_sign_of_two("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", Some(0))]
#[case::a_wide_sign_does_not_straddle_the_edge("123456789漢", Some(1))]
#[case::scrolled_away("a\nb\nc\nd\ne", None)]
fn the_way_back_to_the_beginning(#[case] text: &str, #[case] rows: Option<usize>) {
    assert_eq!(rows_to_erase(text, SMALL), rows);
}

#[rstest]
#[case::no_terminal(Sink::Plain)]
#[case::unknown_size(Sink::Terminal { size: None })]
fn what_cannot_be_measured_is_not_erased(#[case] sink: Sink) {
    assert_eq!(rows_to_erase("text", sink), None);
}

fn drawn(sink: Sink, draw: impl FnOnce(&mut Draft, &mut Screen<'_>)) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::new((&mut out, Sink::Plain), (&mut err, sink), false);
    draw(&mut Draft::default(), &mut screen);
    assert!(out.is_empty());
    String::from_utf8(err).unwrap()
}

#[test]
fn a_withdrawn_text_is_erased_from_the_terminal() {
    let text = drawn(SMALL, |draft, screen| {
        draft.push(screen, "first try of");
        draft.withdraw(screen, "timeout");
        draft.push(screen, "second");
        draft.clear(screen);
    });

    assert_eq!(
        text,
        "first try of\r\x1b[1A\x1b[Jthe text so far is withdrawn (timeout); another one follows\nsecond\r\x1b[J"
    );
}

#[test]
fn where_nothing_can_be_erased_the_withdrawal_is_announced() {
    let text = drawn(Sink::Plain, |draft, screen| {
        draft.push(screen, "first");
        draft.withdraw(screen, "timeout");
        draft.push(screen, "second");
        draft.clear(screen);
    });

    assert_eq!(
        text,
        "first\nthe text so far is withdrawn (timeout); another one follows\nsecond\n"
    );
}

#[test]
fn progress_gives_way_to_text() {
    let text = drawn(Sink::Terminal { size: Some((24, 80)) }, |draft, screen| {
        draft.progress(screen, 1, 4);
        draft.progress(screen, 2, 4);
        draft.push(screen, "a\x1b[31mb");
    });

    assert_eq!(
        text,
        "writing: 1 of 4 candidates\r\x1b[Jwriting: 2 of 4 candidates\r\x1b[Ja[31mb"
    );
}

#[test]
fn progress_is_for_terminals_only() {
    assert_eq!(drawn(Sink::Plain, |draft, screen| draft.progress(screen, 1, 4)), "");
}

#[test]
fn quiet_shows_no_status() {
    let text = drawn(Sink::Terminal { size: Some((24, 80)) }, |draft, screen| {
        screen.quiet = true;
        draft.status(screen, "writing ...");
        draft.clear(screen);
    });

    assert_eq!(text, "");
}
