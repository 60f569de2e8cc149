use rstest::rstest;
use time::macros::datetime;

use super::*;

fn place(model: &str) -> Place {
    Place {
        tenant: TenantId::local(),
        hour: Hour::of(datetime!(2026-11-30 18:59:59 UTC)),
        user: None,
        key: None,
        provider: Some("p".into()),
        model: Some(model.into()),
    }
}

fn tokens(input_tokens: u64) -> Amounts {
    Amounts {
        input_tokens,
        ..Amounts::default()
    }
}

#[test]
fn what_is_of_one_place_is_added_up_since_its_oldest_request() {
    let tally = Tally::up_to(10);
    let early = datetime!(2026-11-30 18:10:00.000_001 UTC);
    tally.enter(place("b"), early + Duration::SECOND, tokens(1));
    tally.enter(place("a"), early + Duration::SECOND, tokens(2));
    tally.enter(place("b"), early, tokens(4));

    let rows = tally.take(10);

    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.place.model.as_deref().unwrap(), row.amounts.input_tokens, row.since))
        .collect();
    let since = 1_796_062_200_000_001;
    assert_eq!(told, [("a", 2, since + 1_000_000), ("b", 5, since)]);
    assert_eq!((tally.waiting(), tally.take(10)), (0, Vec::new()));
}

#[test]
fn there_is_room_for_so_many_places_and_the_rest_is_counted() {
    let tally = Tally::up_to(2);
    for model in ["a", "b", "c", "a", "d"] {
        tally.enter(place(model), OffsetDateTime::UNIX_EPOCH, tokens(1));
    }

    assert_eq!((tally.waiting(), tally.dropped()), (2, 2));
    assert_eq!(tally.take(1).len(), 1);
    assert_eq!(tally.take(9).len(), 1);
}

#[test]
fn what_no_provider_can_have_counted_is_cut() {
    let tally = Tally::up_to(1);
    for _ in 0..3 {
        let cost = Money::from_micros(u64::MAX);
        let absurd = Amounts {
            cost,
            ..tokens(u64::MAX)
        };
        tally.enter(place("a"), OffsetDateTime::UNIX_EPOCH, absurd);
    }

    let sums = tally.take(1)[0].amounts;
    assert_eq!(sums.input_tokens, 3_000_000_000_000);
    assert_eq!(sums.cost, Money::from_micros(3 * Money::MAX.micros()));
}

#[test]
fn a_row_is_read_as_it_was_written_with_money_as_a_number() {
    let full = Place {
        user: Some(UserId::new("ann").unwrap()),
        key: Some(KeyId(Uuid::from_u128(7))),
        ..place("a")
    };
    for place in [full, place("b")] {
        let row = Row {
            place,
            since: 12,
            amounts: Amounts {
                cost: Money::from_micros(413),
                saved_cost: Money::from_micros(u64::MAX),
                ..tokens(3)
            },
        };
        let text = serde_json::to_string(&row).unwrap();
        assert!(text.contains("\"cost\":413"), "{text}");
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }
}

#[rstest]
#[case::whole_hours(Bucket::Hour, datetime!(2026-11-30 8:00 UTC), datetime!(2026-11-30 9:00 UTC), (datetime!(2026-11-30 8:00 UTC), datetime!(2026-11-30 9:00 UTC)))]
#[case::parts_of_hours(Bucket::Hour, datetime!(2026-11-30 8:59 UTC), datetime!(2026-11-30 9:00:00.000_000_001 UTC), (datetime!(2026-11-30 8:00 UTC), datetime!(2026-11-30 10:00 UTC)))]
#[case::parts_of_days(Bucket::Day, datetime!(2026-11-29 23:59 UTC), datetime!(2026-11-30 0:01 UTC), (datetime!(2026-11-29 0:00 UTC), datetime!(2026-12-01 0:00 UTC)))]
#[case::before_1970(Bucket::Day, datetime!(1969-12-31 23:00 UTC), datetime!(1969-12-31 23:30 UTC), (datetime!(1969-12-31 0:00 UTC), datetime!(1970-01-01 0:00 UTC)))]
fn a_question_is_widened_to_whole_pieces_of_time(
    #[case] bucket: Bucket,
    #[case] start: OffsetDateTime,
    #[case] end: OffsetDateTime,
    #[case] expected: (OffsetDateTime, OffsetDateTime),
) {
    let query = Query::new(start, end, bucket, Grouping::default()).unwrap();

    assert_eq!((query.start.start(), query.end.start()), expected);
}

#[rstest]
#[case::before_the_first_year(datetime!(0000-01-01 0:00 +1), datetime!(0000-01-01 12:00 UTC))]
#[case::after_the_last(datetime!(9999-12-31 0:00 UTC), datetime!(9999-12-31 23:30 UTC))]
fn a_question_beyond_the_calendar_is_refused(#[case] start: OffsetDateTime, #[case] end: OffsetDateTime) {
    let refused = Query::new(start, end, Bucket::Day, Grouping::default());

    assert_eq!(refused.unwrap_err().code, "out_of_range");
}
