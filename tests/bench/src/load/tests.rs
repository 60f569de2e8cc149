use std::sync::atomic::AtomicUsize;

use axum::{Router, http::StatusCode, routing::post};
use rstest::rstest;
use tokio::net::TcpListener;

use super::*;

const TIME: Duration = Duration::from_secs(20);

/// A server that says "right" to everybody, and how often it was asked.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let router = Router::new().route(
        "/",
        post(async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            "right"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

/// So many requests, and then no more.
fn call(address: SocketAddr, most: usize) -> Call {
    let left = AtomicUsize::new(most);
    let next = move || {
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        taken.ok().map(|_| Bytes::from_static(b"{}"))
    };
    Call {
        address,
        path: "/",
        ask: Ask::Post(Arc::new(next)),
        status: 200,
        says: "right",
    }
}

#[tokio::test]
async fn every_request_of_a_list_is_sent_once_and_counted_but_for_the_warm_up() {
    let (address, asked) = server().await;

    let measured = closed(&call(address, 40), 3, 2, TIME).await.unwrap();

    assert_eq!(asked.load(Ordering::SeqCst), 40);
    assert_eq!(
        (measured.answers.len(), measured.failed(), measured.first_failure),
        (34, 0, None)
    );
}

#[tokio::test]
async fn the_time_ends_a_run() {
    let (address, asked) = server().await;

    let measured = closed(&call(address, usize::MAX), 3, 2, Duration::ZERO).await.unwrap();

    assert_eq!((measured.answers.len(), asked.load(Ordering::SeqCst)), (0, 6));
}

#[tokio::test]
async fn in_a_burst_everybody_asks_once() {
    let (address, asked) = server().await;

    let measured = burst(&call(address, usize::MAX), 50).await.unwrap();

    assert_eq!(
        (measured.answers.len(), measured.failed(), asked.load(Ordering::SeqCst)),
        (50, 0, 50)
    );
}

/// A server that takes this long, one request at a time, is asked ten times as often as it can answer: the wait of those
/// that found the one connection busy is theirs too.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_open_loop_the_latency_counts_from_the_due_time() {
    let slow = Duration::from_millis(20);
    let router = Router::new().route(
        "/",
        post(move || async move {
            tokio::time::sleep(slow).await;
            "right"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let measured = open(&call(address, usize::MAX), 500, 1, Duration::from_millis(200))
        .await
        .unwrap();

    assert_eq!((measured.answers.len(), measured.failed()), (100, 0));
    // The last was due after 200 ms and came after 100 x 20 ms.
    assert!(measured.percentile(1.0) > 80 * slow, "{:?}", measured.percentile(1.0));
    assert!(
        measured
            .answers
            .iter()
            .all(|answer| answer.at <= Duration::from_millis(200))
    );
}

#[rstest]
#[case::of_a_status(201, "right", "200, not 201")]
#[case::of_a_text(200, "something else", "200, not 200 with something else")]
#[tokio::test]
async fn a_wrong_answer_is_a_failure(#[case] status: u16, #[case] says: &'static str, #[case] why: &str) {
    let (address, _) = server().await;
    let wrong = Call {
        status,
        says,
        ..call(address, 5)
    };

    let measured = closed(&wrong, 1, 0, TIME).await.unwrap();

    assert_eq!((measured.answers.len(), measured.failed()), (5, 5));
    assert!(measured.rate() < f64::EPSILON && measured.percentile(0.5) == Duration::ZERO);
    let told = measured.first_failure.unwrap();
    assert!(told.starts_with(why), "{told}");
}

#[tokio::test]
async fn nobody_listening_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let measured = closed(&call(address, 3), 1, 0, TIME).await.unwrap();

    assert_eq!((measured.answers.len(), measured.failed()), (3, 3));
    assert_eq!(measured.answers[0].status, 0);
}

#[test]
fn a_part_of_a_run_holds_what_was_asked_in_it() {
    let answer = |at| Answered {
        at: Duration::from_secs(at),
        latency: Duration::from_secs(9),
        status: StatusCode::OK.as_u16(),
        says: true,
        right: true,
    };
    let measured = Measured {
        answers: [1, 2, 3, 4].map(answer).into(),
        elapsed: Duration::from_secs(13),
        ..Measured::default()
    };

    let part = measured.between(Duration::from_secs(2), Duration::from_secs(4));

    assert_eq!(part.answers, [2, 3].map(answer));
    assert!((part.rate() - 1.0).abs() < 1e-9);
}

#[rstest]
#[case(0.5, 50)]
#[case(0.99, 99)]
#[case(1.0, 100)]
#[case(0.001, 1)]
fn a_percentile_is_the_nearest_rank(#[case] share: f64, #[case] milliseconds: u64) {
    let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();

    assert_eq!(percentile(&sorted, share), Duration::from_millis(milliseconds));
    assert_eq!(percentile(&[], share), Duration::ZERO);
}
