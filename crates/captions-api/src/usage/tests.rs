use captions_domain::{keys::KeyId, request::UserId, usage::Amounts};
use rstest::rstest;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-30 18:30 UTC);

fn tenant() -> TenantId {
    TenantId::local()
}

#[test]
fn what_is_left_out_is_the_last_seven_days_by_the_day() {
    let query = read([], &tenant(), NOW).unwrap().query;

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

    let query = read(given, &tenant(), NOW).unwrap().query;

    assert_eq!(query.start.start(), datetime!(2026-11-30 7:00 UTC));
    assert_eq!(query.end.start(), datetime!(2026-11-30 9:00 UTC));
    assert_eq!(query.bucket, Bucket::Hour);
    assert_eq!(query.by.names(), ["provider", "model"]);
}

#[rstest]
#[case::a_time(&[("start", "yesterday")], "start is a time such as 2026-11-24T08:00:00Z (RFC 3339)")]
#[case::a_piece(&[("bucket", "1w")], "1h, 1d")]
#[case::a_group(&[("group_by", "provider,modell")], "choose one of provider, model, user, key")]
#[case::half_a_list(&[("group_by", "model,")], "choose one of provider, model, user, key")]
#[case::a_name(&[("group", "model")], "did you mean group_by?")]
#[case::a_limit(&[("limit", "1001")], "limit is a whole number of 1 to 1000")]
#[case::twice(&[("bucket", "1h"), ("bucket", "1h")], "bucket is given twice")]
#[case::the_wrong_way_round(&[("start", "2027-01-01T00:00:00Z")], "start is not after end")]
#[case::too_long_by_the_day(&[("start", "2025-11-01T00:00:00Z")], "366 days at most")]
#[case::too_long_by_the_hour(&[("start", "2026-10-01T00:00:00Z"), ("bucket", "1h")], "31 days at most")]
fn what_is_wrong_is_told(#[case] given: &[(&str, &str)], #[case] words: &str) {
    let invalid = read(given.iter().copied(), &tenant(), NOW).unwrap_err();

    assert!(invalid.rule.contains(words), "{}", invalid.rule);
}

#[test]
fn pages_have_cursors_of_their_tenant_and_their_groups() {
    let group = |hour| Group {
        hour: Hour(hour),
        provider: Some("a provider".to_owned()),
        model: None,
        user: UserId::new("ana").ok(),
        key: Some(KeyId(Uuid::from_u128(7))),
        amounts: Amounts::default(),
    };
    let groups = [group(1), group(2), group(3)];
    let given = [("group_by", "user,key,provider"), ("limit", "2")];
    let asked = read(given, &tenant(), NOW).unwrap();

    let page = UsageReport::of(&asked, &groups, &tenant(), None, None);

    let last = UsageReport::of(&asked, &groups[1..], &tenant(), None, None);
    assert_eq!((last.data.len(), last.has_more, last.next_cursor), (2, false, None));
    assert_eq!((page.data.len(), page.has_more), (2, true));
    let cursor = page.next_cursor.unwrap();
    // Of whatever time: it has passed between two pages.
    let with = |cursor: &str, by: &str, tenant: &TenantId| {
        read([("cursor", cursor), ("group_by", by)], tenant, NOW + Duration::days(2)).map(|asked| asked.query.after)
    };
    assert_eq!(with(&cursor, "provider,user,key", &tenant()), Ok(Some(group(2).mark())));
    let other = TenantId::new("other").unwrap();
    let forged = Mark {
        provider: Some("a\0".to_owned()),
        ..group(2).mark()
    };
    let forged = cursor_after(&forged, &tenant(), &asked.query);
    assert_eq!(
        with(&forged, "provider,user,key", &tenant()).unwrap_err().code,
        "cursor_invalid"
    );
    let made_up = cursor.replace('g', "h");
    for wrong in [
        with(&cursor, "user", &tenant()),
        with(&cursor, "provider,user,key", &other),
        with(&cursor[..20], "provider,user,key", &tenant()),
        with(&made_up, "provider,user,key", &tenant()),
    ] {
        assert_eq!(wrong.unwrap_err().code, "cursor_invalid");
    }
}

#[test]
fn a_report_that_begins_before_what_is_kept_says_so() {
    let asked = read([], &tenant(), NOW).unwrap();
    let told =
        |oldest: Option<OffsetDateTime>| UsageReport::of(&asked, &[], &tenant(), None, oldest.map(Hour::of)).kept_since;

    let late = datetime!(2026-11-23 1:00 UTC);
    assert_eq!(told(Some(late)), Some(late));
    assert_eq!(told(Some(datetime!(2026-11-23 0:00 UTC))), None);
    assert_eq!(told(None), None, "all is kept");
}
