use rstest::rstest;

use super::*;
use crate::machine::Page;

/// What two lines of log look like.
fn logged(filter: &str, format: LogFormat, is_terminal: bool) -> String {
    let page = Page::default();
    let log = Log {
        filter: filter.to_owned(),
        format,
    };
    let writer = page.clone();
    let subscriber = subscriber(&log, &Traces::default(), is_terminal, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(port = "cache", "passed over");
        tracing::debug!("detail");
    });
    page.text()
}

#[rstest]
#[case::auto_without_a_terminal(LogFormat::Auto, false, true)]
#[case::auto_on_a_terminal(LogFormat::Auto, true, false)]
#[case::json_on_a_terminal(LogFormat::Json, true, true)]
#[case::text_without_a_terminal(LogFormat::Text, false, false)]
fn the_format_follows_the_setting_and_the_terminal(
    #[case] format: LogFormat,
    #[case] is_terminal: bool,
    #[case] is_json: bool,
) {
    let page = logged("info", format, is_terminal);

    assert!(page.contains("passed over"), "{page}");
    assert_eq!(
        page.starts_with('{') && page.contains("\"port\":\"cache\""),
        is_json,
        "{page}"
    );
}

#[test]
fn no_colour_goes_into_a_file() {
    assert!(!logged("info", LogFormat::Text, false).contains('\u{1b}'));
}

#[test]
fn the_filter_decides_what_is_written() {
    assert!(!logged("info", LogFormat::Json, false).contains("detail"));
    assert!(logged("warn,captions_wiring=debug", LogFormat::Json, false).contains("detail"));
    assert_eq!(logged("off", LogFormat::Json, false), "");
}
