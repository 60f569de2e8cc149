//! More callers than the service may serve at once: what is too much is told so at once, and says when to come back.

use std::time::{Duration, Instant};

use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Service, description, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// Far less than a place in the queue would take here, and far more than an answer does on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

fn asked(about: &str, allow_fallback: bool) -> Value {
    json!({ "content_description": description(about), "allow_fallback": allow_fallback })
}

/// One call may be in flight, nobody may wait, and the provider says nothing to the first caller.
#[rstest]
#[case::over_all_providers("MAX_CONNECTIONS")]
#[case::to_one_provider("CAPTIONS_API__MAX_PER_HOST")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_at_once_with_a_time_to_come_back(#[case] bound: &str) {
    let llm = FakeLlm::start().await;
    let service = Service::start(&[
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
        ("API_TIMEOUT", "60"),
        (bound, "1"),
        ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "60"),
        ("CAPTIONS_API__QUEUE_LENGTH", "0"),
        ("CAPTIONS_API__QUEUE_WAIT", "60"),
        ("CAPTIONS_ENGINE__DEADLINE", "60"),
    ])
    .await;
    llm.reply(Turn::silence()).always(Turn::caption(CAPTION));
    let url = format!("{}/v1/captions", service.base);
    let first = service.client.post(&url).json(&asked("A slow morning", false)).send();
    let first = tokio::spawn(first);
    llm.until("the first call is under way", |llm| llm.count() == 1).await;

    let begun = Instant::now();
    let refused = service.client.post(&url).json(&asked("A quick coffee", false));
    let refused = refused.send().await.unwrap();
    let told_after = begun.elapsed();
    let streamed = service.told_by_events(&asked("A quick coffee", false)).await;
    let below = service.told(&asked("A quick coffee", true)).await;

    assert!(told_after < AT_ONCE, "{told_after:?}");
    assert_eq!(refused.status().as_u16(), 503);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(
        (&problem["code"], &problem["attempts"]),
        (&json!("overloaded"), &json!(0))
    );
    assert_eq!(problem["retryable"], true);
    assert_eq!((streamed.status, &streamed.end["code"]), (503, &json!("overloaded")));
    assert_eq!((below.status, &below.end["source"]), (200, &json!("template")));
    assert_eq!(llm.count(), 1, "nobody else was asked");
    // Wherever they were turned away, operators see it, and so does the alert.
    let (_, stats) = service.get("/v1/stats").await;
    let calls = &stats["api"]["calls"];
    assert_eq!(
        (&calls["overloaded"], &calls["total"], &calls["in_flight"]),
        (&json!(3), &json!(0), &json!(1)),
        "{calls}"
    );

    // The first caller leaves, and its place is free.
    first.abort();
    llm.until("the first call has ended", |llm| llm.last().left_early().is_some())
        .await;
    let served = until("the place is free", async || {
        let told = service.told(&asked("A quick coffee", false)).await;
        (told.status != 503).then_some(told)
    })
    .await;
    assert_eq!((served.status, &served.end["caption"]), (200, &json!(CAPTION)));
    service.stop().await;
}
