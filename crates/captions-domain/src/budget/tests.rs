use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

use super::*;

#[rstest]
#[case::day(Period::Day, datetime!(2026-11-30 13:14:15.000001 UTC), datetime!(2026-11-30 0:00 UTC), datetime!(2026-12-01 0:00 UTC))]
#[case::first_instant(Period::Day, datetime!(2026-12-01 0:00 UTC), datetime!(2026-12-01 0:00 UTC), datetime!(2026-12-02 0:00 UTC))]
#[case::month(Period::Month, datetime!(2026-11-30 23:59:59.999999 UTC), datetime!(2026-11-01 0:00 UTC), datetime!(2026-12-01 0:00 UTC))]
#[case::year_end(Period::Month, datetime!(2026-12-31 12:00 UTC), datetime!(2026-12-01 0:00 UTC), datetime!(2027-01-01 0:00 UTC))]
#[case::leap_day(Period::Month, datetime!(2028-02-29 12:00 UTC), datetime!(2028-02-01 0:00 UTC), datetime!(2028-03-01 0:00 UTC))]
#[case::counted_in_utc(Period::Day, datetime!(2026-12-01 0:30 +1), datetime!(2026-11-30 0:00 UTC), datetime!(2026-12-01 0:00 UTC))]
fn a_period_is_one_of_the_calendar(
    #[case] period: Period,
    #[case] at: OffsetDateTime,
    #[case] start: OffsetDateTime,
    #[case] end: OffsetDateTime,
) {
    assert_eq!(period.start(at), start);
    assert_eq!(period.end(at), end);
}

proptest! {
    /// Every instant is in exactly one period, and the next begins where it ends.
    #[test]
    fn periods_follow_each_other(seconds in 0_i64..4_000_000_000, month in any::<bool>()) {
        let period = if month { Period::Month } else { Period::Day };
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let (start, end) = (period.start(at), period.end(at));
        prop_assert!(start <= at && at < end);
        prop_assert_eq!(period.start(end), end);
        prop_assert_eq!(period.start(end - Duration::MICROSECOND), start);
    }
}
