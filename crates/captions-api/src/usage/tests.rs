use captions_domain::usage::{Amounts, Hour};
use rstest::rstest;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-30 18:30 UTC);

#[test]
fn what_is_left_out_is_the_last_seven_days_by_the_day() {
    let query = read([], NOW).unwrap();

    assert_eq!(query.start.start(), datetime!(2026-11-23 0:00 UTC));
    assert_eq!(query.end.start(), datetime!(2026-12-01 0:00 UTC));
    assert_eq!((query.bucket, query.by), (Bucket::Day, Grouping::default()));
}

#[test]
fn what_is_said_is_meant() {
    let given = [
        ("start", "2026-11-30T08:10:00 01:00"),
        ("end", "2026-11-30T09:00:00Z"),
        ("bucket", "1h"),
        ("group_by", "model, provider"),
    ];

    let query = read(given, NOW).unwrap();

    assert_eq!(query.start.start(), datetime!(2026-11-30 7:00 UTC));
    assert_eq!(query.end.start(), datetime!(2026-11-30 9:00 UTC));
    assert_eq!(query.bucket, Bucket::Hour);
    assert_eq!(query.by.names(), ["provider", "model"]);
}

#[rstest]
#[case::a_time(&[("start", "yesterday")], "start is a time such as 2026-11-24T08:00:00Z (RFC 3339)")]
#[case::a_piece(&[("bucket", "1w")], "1h, 1d")]
#[case::a_group(&[("group_by", "provider,modell")], "choose one of provider, model, user, key")]
#[case::a_name(&[("group", "model")], "did you mean group_by?")]
#[case::twice(&[("bucket", "1h"), ("bucket", "1h")], "bucket is given twice")]
#[case::the_wrong_way_round(&[("start", "2027-01-01T00:00:00Z")], "start is not after end")]
#[case::too_long_by_the_day(&[("start", "2025-11-01T00:00:00Z")], "366 days at most")]
#[case::too_long_by_the_hour(&[("start", "2026-10-01T00:00:00Z"), ("bucket", "1h")], "31 days at most")]
fn what_is_wrong_is_told(#[case] given: &[(&str, &str)], #[case] words: &str) {
    let invalid = read(given.iter().copied(), NOW).unwrap_err();

    assert!(invalid.rule.contains(words), "{}", invalid.rule);
}

#[test]
fn more_groups_than_an_answer_tells_are_cut_off_and_that_is_told() {
    let query = read([], NOW).unwrap();
    let group = Group {
        hour: Hour::of(NOW),
        provider: None,
        model: None,
        user: None,
        key: None,
        amounts: Amounts::default(),
    };

    let told = |count| {
        let report = UsageReport::of(&query, &vec![group.clone(); count], None, None);
        (report.data.len(), report.truncated)
    };

    assert_eq!(told(1000), (1000, false));
    assert_eq!(told(1001), (1000, true));
}

#[test]
fn a_report_that_begins_before_what_is_kept_says_so() {
    let query = read([], NOW).unwrap();
    let told = |oldest: Option<OffsetDateTime>| UsageReport::of(&query, &[], None, oldest.map(Hour::of)).kept_since;

    let late = datetime!(2026-11-23 1:00 UTC);
    assert_eq!(told(Some(late)), Some(late));
    assert_eq!(told(Some(datetime!(2026-11-23 0:00 UTC))), None);
    assert_eq!(told(None), None, "all is kept");
}
