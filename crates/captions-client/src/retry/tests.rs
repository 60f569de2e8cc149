use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use captions_api::problem::Code;
use reqwest::header::{HeaderName, HeaderValue};
use rstest::rstest;
use tokio::time::Instant;

use super::*;

const PATIENCE: Patience = Patience {
    retries: 2,
    longest_wait: Duration::from_secs(60),
};

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// Attempts by script; says how it ended and when each attempt began, in milliseconds.
async fn attempts(script: impl IntoIterator<Item = Again>) -> (bool, Vec<u128>) {
    let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
    let began = Mutex::new(Vec::new());
    let start = Instant::now();
    let done = PATIENCE
        .persist(|_| {
            began.lock().unwrap().push(start.elapsed().as_millis());
            let next = script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            async move {
                match next {
                    None => Ok(()),
                    Some(again) => Err(Failed {
                        error: Error::Options(String::new()),
                        again,
                    }),
                }
            }
        })
        .await;
    (done.is_ok(), began.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_server_names_is_kept_to_the_millisecond() {
    let after = |millis| Again::After(Some(Duration::from_millis(millis)));

    let (is_done, began) = attempts([after(1500), after(20)]).await;

    assert_eq!((is_done, began), (true, vec![0, 1500, 1520]));
}

#[tokio::test(start_paused = true)]
async fn without_one_the_waits_double_from_half_a_second() {
    let (is_done, began) = attempts([Again::After(None); 2]).await;

    assert!(is_done);
    assert!((375..=501).contains(&began[1]), "{began:?}");
    assert!((750..=1001).contains(&(began[2] - began[1])), "{began:?}");
}

#[tokio::test(start_paused = true)]
async fn a_third_failure_is_the_callers() {
    let (is_done, began) = attempts([Again::After(Some(Duration::ZERO)); 3]).await;

    assert_eq!((is_done, began.len()), (false, 3));
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_again_and_what_would_take_too_long_are_told_at_once() {
    for again in [Again::Never, Again::After(Some(Duration::from_secs(61)))] {
        let (is_done, began) = attempts([again]).await;

        assert_eq!((is_done, began), (false, vec![0]), "{again:?}");
    }
}

#[test]
fn waits_have_a_most_and_chance_takes_a_quarter_at_most() {
    assert_eq!(backoff(0, 0.0), Duration::from_millis(500));
    assert_eq!(backoff(3, 0.0), Duration::from_secs(4));
    assert_eq!(backoff(40, 0.0), Duration::from_secs(8));
    assert_eq!(backoff(40, 1.0), Duration::from_secs(6));
}

#[rstest]
#[case::too_slow(408, true)]
#[case::in_flight(409, true)]
#[case::too_many(429, true)]
#[case::a_proxy_without_a_server(502, true)]
#[case::wrong(422, false)]
#[case::no_key(401, false)]
#[case::moved(301, false)]
fn the_status_decides_where_nobody_says_more(#[case] status: u16, #[case] is_worth_it: bool) {
    let told = advice(
        StatusCode::from_u16(status).unwrap(),
        &headers(&[]),
        None,
        SystemTime::now(),
    );

    assert_eq!(told != Again::Never, is_worth_it);
}

#[test]
fn the_problem_stands_over_the_status_and_the_header_over_both() {
    let exists = Problem::new(Code::UserExists, "there");
    let told = |given: &[(&'static str, &str)]| {
        advice(StatusCode::CONFLICT, &headers(given), Some(&exists), SystemTime::now())
    };

    assert_eq!(told(&[]), Again::Never);
    assert_eq!(told(&[("x-should-retry", "true")]), Again::After(None));
    let busy = Problem::new(Code::Overloaded, "busy");
    let no = headers(&[("x-should-retry", "false")]);
    assert_eq!(
        advice(StatusCode::SERVICE_UNAVAILABLE, &no, Some(&busy), SystemTime::now()),
        Again::Never
    );
}

#[rstest]
#[case::milliseconds(&[("retry-after-ms", "1250.5"), ("retry-after", "9")], Some(1250))]
#[case::seconds(&[("retry-after", "2")], Some(2000))]
#[case::fractions(&[("retry-after", " 0.5 ")], Some(500))]
#[case::a_date(&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")], Some(3000))]
#[case::a_date_that_has_passed(&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")], Some(0))]
#[case::nonsense(&[("retry-after", "soon")], None)]
#[case::below_nothing(&[("retry-after", "-3")], None)]
#[case::endless(&[("retry-after-ms", "inf")], None)]
#[case::nothing(&[], None)]
fn the_wait_is_read_from_both_headers(#[case] given: &[(&'static str, &str)], #[case] millis: Option<u128>) {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();

    let wait = asked_wait(&headers(given), now);

    assert_eq!(wait.map(|wait| wait.as_millis()), millis);
}
