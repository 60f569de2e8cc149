use rstest::rstest;
use time::macros::datetime;

use super::*;
use crate::caption::tests::record;

fn read_all(parameters: &[(&str, &str)]) -> Result<Search, Invalid> {
    let known = [FILTERS, &["limit", "cursor"]].concat();
    read(parameters.iter().copied(), &known, None)
}

#[test]
fn every_parameter_has_its_place() {
    let search = read_all(&[
        ("user_id", "ana"),
        ("since", "2026-11-24T09:00:00 01:00"),
        ("until", "2026-11-25T00:00:00.5Z"),
        ("language", "pt_br"),
        ("provider", "primary"),
        ("platform", "X"),
        ("min_score", "72.5"),
        ("q", " bread & butter "),
        ("limit", "100"),
        ("cursor", "c1"),
    ])
    .unwrap();

    assert_eq!(
        search,
        Search {
            filter: Filter {
                user: Some(UserId::new("ana").unwrap()),
                since: Some(datetime!(2026-11-24 08:00 UTC)),
                until: Some(datetime!(2026-11-25 00:00:00.5 UTC)),
                language: Some(Language::new("pt-BR").unwrap()),
                provider: Some("primary".into()),
                platform: Some(Platform::X),
                min_score: Some(72.5),
                text: Some("bread & butter".into()),
            },
            limit: 100,
            cursor: Some("c1".into()),
            format: None,
        }
    );
}

#[rstest]
#[case::unknown("limits", "1", "did you mean limit?")]
#[case::a_user("user_id", "no user", "user")]
#[case::a_date_alone("since", "2026-11-24", "RFC 3339")]
#[case::no_time("until", "yesterday", "RFC 3339")]
#[case::no_language("language", "klingon", "BCP 47")]
#[case::no_platform("platform", "myspace", "platform")]
#[case::too_good("min_score", "100.1", "0 to 100")]
#[case::no_number("min_score", "NaN", "0 to 100")]
#[case::nothing("q", "  ", "1 to 200")]
#[case::none("limit", "0", "1 to 100")]
#[case::too_many("limit", "101", "1 to 100")]
fn what_breaks_a_rule_is_told(#[case] name: &str, #[case] value: &str, #[case] told: &str) {
    let rule = read_all(&[(name, value)]).unwrap_err().rule;

    assert!(rule.contains(told), "{rule}");
}

#[test]
fn nothing_is_said_twice() {
    assert!(read_all(&[("q", "a"), ("q", "b")]).unwrap_err().rule.contains("twice"));
}

#[test]
fn a_cursor_is_read_by_the_list_that_gave_it_and_by_no_other() {
    let (ours, theirs) = (TenantId::local(), TenantId::new("theirs").unwrap());
    let filter = Filter {
        text: Some("bread".into()),
        ..Filter::default()
    };
    let id = CaptionId(Uuid::from_u128(7));

    let cursor = cursor_after(id, &ours, &filter);

    assert_eq!(read_cursor(&cursor, &ours, &filter), Some(id));
    assert_eq!(read_cursor(&cursor, &theirs, &filter), None);
    assert_eq!(read_cursor(&cursor, &ours, &Filter::default()), None);
    let mut forged = cursor.clone();
    forged.replace_range(5..6, "1");
    let long = format!("{cursor}0");
    for foreign in [
        "",
        "c",
        "x",
        &id.to_string(),
        &cursor[1..],
        &cursor[..48],
        &forged,
        &long,
        &cursor.to_uppercase(),
    ] {
        assert_eq!(read_cursor(foreign, &ours, &filter), None, "{foreign:?}");
    }
}

#[rstest]
#[case::formula("=1+1", "'=1+1")]
#[case::plus("+49 170", "'+49 170")]
#[case::minus("-1", "'-1")]
#[case::at("@SUM(A1)", "'@SUM(A1)")]
#[case::behind_a_space(" =cmd|' /C calc'!A0", "' =cmd|' /C calc'!A0")]
#[case::behind_a_tab("\t=1", "'\t=1")]
#[case::behind_nothing_seen("\u{0}=1", "'\u{0}=1")]
#[case::a_new_line("\nhello", "'\nhello")]
#[case::full_width("＝1", "'＝1")]
#[case::text("bread = love", "bread = love")]
#[case::a_tag("#bread", "#bread")]
fn no_spreadsheet_calculates_with_it(#[case] text: &str, #[case] written: &str) {
    assert_eq!(inert(text.to_owned()), written);
}

#[test]
fn a_page_says_whether_there_is_more_and_where_it_goes_on() {
    let records = vec![record(), record(), record()];
    let page = |limit, records: &[Record]| {
        let search = Search {
            limit,
            ..read_all(&[]).unwrap()
        };
        HistoryPage::of(records, &search, &TenantId::local())
    };

    let (first, last) = (page(2, &records), page(3, &records));

    assert_eq!((first.data.len(), first.has_more), (2, true));
    let place = read_cursor(
        first.next_cursor.as_deref().unwrap(),
        &TenantId::local(),
        &Filter::default(),
    );
    assert_eq!(place, Some(records[1].id));
    assert_eq!((last.data.len(), last.has_more, last.next_cursor), (3, false, None));
    let none = page(20, &[]);
    assert_eq!((none.data.len(), none.has_more, none.next_cursor), (0, false, None));
}

#[test]
fn a_line_of_csv_has_a_field_for_each_column() {
    let mut document = CaptionDocument::of_record(&record());
    document.text = "=HYPERLINK(\"http://x\")\n\n#a, #b".into();
    document.selected_variant = Some(1);
    let text = csv_head() + &csv_line(&document);

    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let row = reader.records().next().unwrap().unwrap();
    let column = |name: &str| &row[COLUMNS.iter().position(|column| *column == name).unwrap()];

    assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
    assert_eq!(column("text"), "'=HYPERLINK(\"http://x\")\n\n#a, #b");
    assert_eq!(
        (column("user_id"), column("platform"), column("selected_variant")),
        ("ana", "instagram", "1")
    );
    assert_eq!(column("id"), document.id.unwrap().to_string());
}
