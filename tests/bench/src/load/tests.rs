use captions_wiring::install_crypto;
use rstest::rstest;

use super::*;
use crate::floor::{CAPTION_PART, Upstream};

const BOUNDS: Bounds = Bounds {
    connections: 3,
    requests: 10,
    time: Duration::from_secs(20),
};

fn call(url: String, status: u16, says: &'static str) -> Call {
    Call {
        url,
        body: Arc::new(|| b"{}".to_vec()),
        status,
        says,
    }
}

#[tokio::test]
async fn every_request_up_to_the_bound_is_sent_once_and_timed() {
    install_crypto();
    let upstream = Upstream::start().await.unwrap();
    let url = format!("{}/chat/completions", upstream.base);

    let measured = run(&call(url, 200, CAPTION_PART), BOUNDS).await.unwrap();

    assert_eq!(
        (measured.latencies.len(), measured.failed, measured.first_failure),
        (10, 0, None)
    );
    assert_eq!(measured.sent, 10 + 3 * WARM_UP);
    assert_eq!(upstream.calls(), measured.sent);
}

#[tokio::test]
async fn the_time_ends_a_run_before_its_number_of_requests() {
    install_crypto();
    let upstream = Upstream::start().await.unwrap();
    let url = format!("{}/chat/completions", upstream.base);
    let bounds = Bounds {
        time: Duration::ZERO,
        ..BOUNDS
    };

    let measured = run(&call(url, 200, CAPTION_PART), bounds).await.unwrap();

    assert_eq!((measured.latencies.len(), measured.sent), (0, 3 * WARM_UP));
}

#[rstest]
#[case::of_a_status("chat/completions", 201, CAPTION_PART, "200, not 201")]
#[case::of_a_text("chat/completions", 200, "something else", "200, not 200 with something else")]
#[case::of_an_address("nowhere", 200, CAPTION_PART, "404, not 200")]
#[tokio::test]
async fn a_wrong_answer_is_a_failure(
    #[case] path: &str,
    #[case] status: u16,
    #[case] says: &'static str,
    #[case] why: &str,
) {
    install_crypto();
    let upstream = Upstream::start().await.unwrap();
    let url = format!("{}/{path}", upstream.base);

    let measured = run(&call(url, status, says), BOUNDS).await.unwrap();

    assert_eq!((measured.latencies.len(), measured.failed), (0, measured.sent));
    let told = measured.first_failure.unwrap();
    assert!(told.starts_with(why), "{told}");
}

#[tokio::test]
async fn nobody_listening_is_a_failure() {
    install_crypto();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);

    let measured = run(&call(url, 200, ""), BOUNDS).await.unwrap();

    assert_eq!((measured.latencies.len(), measured.failed), (0, measured.sent));
    assert!(measured.first_failure.unwrap().contains("ConnectionRefused"));
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
