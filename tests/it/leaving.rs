//! Callers that leave, and providers that are all away and come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::interval};

use crate::support::{Service, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// How soon the provider must see that nobody waits for its answer.
const SOON: Duration = Duration::from_millis(100);

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery") })
}

async fn before(llm: &FakeLlm) -> Service {
    Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await
}

/// Begins a request and leaves once the provider has it; returns how much later the provider saw that.
async fn leave(service: &Service, llm: &FakeLlm, path: &str) -> Duration {
    let known = llm.count();
    let request = service.client.post(format!("{}{path}", service.base)).json(&asked());
    let listens = async {
        let mut pieces = request.send().await.unwrap().bytes_stream();
        while pieces.next().await.is_some() {}
    };
    tokio::select! {
        () = listens => panic!("nobody answers"),
        () = llm.until("the provider has the call", |llm| llm.count() > known) => {}
    }
    let left = Instant::now();
    llm.until("the provider sees it", |llm| llm.last().left_early().is_some())
        .await;
    llm.last().left_early().unwrap().saturating_duration_since(left)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_the_call_to_the_provider_and_nothing_else() {
    let llm = FakeLlm::start().await;
    let service = before(&llm).await;

    for path in ["/v1/captions", "/v1/captions/stream"] {
        for turn in [Turn::silence(), Turn::text(CAPTION).stall_after(3)] {
            llm.reply(turn);
            let late = leave(&service, &llm, path).await;
            assert!(late < SOON, "{path}: {late:?}");
        }
    }

    llm.always(Turn::caption(CAPTION));
    for told in [service.told(&asked()).await, service.told_by_events(&asked()).await] {
        assert_eq!((told.status, &told.end["caption"]), (200, &json!(CAPTION)), "{told:?}");
        assert_eq!(told.end["attempts"], 1);
    }
    service.stop().await;
}

/// How often somebody asks.
const EVERY: Duration = Duration::from_millis(50);

/// What became of a steady row of requests.
struct Row {
    asked: u32,
    /// Provider calls that the answers tell of.
    attempts: u64,
    /// Who wrote each, in order of their answers: `template` or a provider's name.
    writers: Vec<(Instant, String)>,
}

/// Asks at a steady rate until it is told to stop, in both forms by turns.
async fn steadily(service: &Arc<Service>, stop: impl Future<Output = ()>) -> Row {
    let mut answers = JoinSet::new();
    let mut ticks = interval(EVERY);
    let mut asked_so_far = 0;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = ticks.tick() => {
                asked_so_far += 1;
                let (service, by_events) = (Arc::clone(service), asked_so_far % 2 == 0);
                answers.spawn(async move {
                    let mut body = asked();
                    body["store"] = json!(false);
                    let told = if by_events {
                        service.told_by_events(&body).await
                    } else {
                        service.told(&body).await
                    };
                    assert_eq!(told.status, 200, "everybody is answered: {told:?}");
                    let attempts = told.end["attempts"].as_u64().unwrap();
                    assert!(attempts <= 3, "{told:?}");
                    let writer = match told.end["source"].as_str().unwrap() {
                        "provider" => told.end["provider"].as_str().unwrap().to_owned(),
                        other => other.to_owned(),
                    };
                    (Instant::now(), writer, attempts)
                });
            }
        }
    }
    let answers = answers.join_all().await;
    Row {
        asked: asked_so_far,
        attempts: answers.iter().map(|(_, _, attempts)| attempts).sum(),
        writers: answers.into_iter().map(|(at, writer, _)| (at, writer)).collect(),
    }
}

/// A service before a chain of providers, `p0` first, and its files.
async fn before_all(providers: &[FakeLlm]) -> (Arc<Service>, TempDir) {
    let one = |(index, llm): (usize, &FakeLlm)| {
        let url = llm.base_url();
        format!("[[llm.providers]]\nname = \"p{index}\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{url}\"\n")
    };
    let listed = providers.iter().enumerate().map(one).collect::<Vec<_>>().concat();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("chain.toml");
    std::fs::write(&config, listed).unwrap();
    let service = Arc::new(Service::start(&[("CAPTIONS_CONFIG", &config.display().to_string())]).await);
    (service, home)
}

/// Keeps the providers down for so long under a steady row of requests, then brings them back. Returns requests and
/// provider calls while they were out, and the time from their return to the first fresh answer.
async fn outage(providers: &[FakeLlm], lasts: Duration) -> (u32, usize, Duration) {
    for llm in providers {
        llm.always(Turn::unavailable());
    }
    let (service, _files) = before_all(providers).await;

    let out = steadily(&service, tokio::time::sleep(lasts)).await;
    let calls: usize = providers.iter().map(FakeLlm::count).sum();
    assert!(out.writers.iter().all(|(_, writer)| writer == "template"));
    assert_eq!(out.writers.len(), usize::try_from(out.asked).unwrap());

    for llm in providers {
        llm.always(Turn::caption(CAPTION));
    }
    let back = Instant::now();
    // Two seconds show what comes within one.
    let after = steadily(&service, tokio::time::sleep(Duration::from_secs(2))).await;
    let fresh = after.writers.iter().filter(|(_, writer)| writer.starts_with('p'));
    let first = fresh.map(|(at, _)| at.saturating_duration_since(back)).min().unwrap();
    Arc::into_inner(service).unwrap().stop().await;
    (out.asked, calls, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_providers_are_out_everybody_is_answered_and_hardly_anybody_calls_them() {
    let providers = [FakeLlm::start().await, FakeLlm::start().await];

    let (asked, calls, first) = outage(&providers, Duration::from_secs(5)).await;

    assert!(asked >= 80, "{asked} requests");
    // At most 1.2 for each request.
    assert!(
        calls * 5 <= usize::try_from(asked).unwrap() * 6,
        "{calls} calls for {asked} requests"
    );
    assert!(
        first <= Duration::from_secs(1),
        "the first fresh answer came after {first:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_out_for_ten_seconds_is_left_alone_and_used_at_once_when_it_is_back() {
    let (asked, calls, first) = outage(&[FakeLlm::start().await], Duration::from_secs(10)).await;

    assert!(asked >= 160, "{asked} requests");
    assert!(calls <= 20, "{calls} calls");
    assert!(
        first <= Duration::from_secs(1),
        "the first fresh answer came after {first:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_provider_that_comes_and_goes_costs_nobody_an_answer_and_is_used_again_once_it_stays() {
    let providers = [FakeLlm::start().await, FakeLlm::start().await];
    let (first, second) = (&providers[0], &providers[1]);
    second.always(Turn::caption(CAPTION));
    let (service, _files) = before_all(&providers).await;
    let flapping = async {
        for _ in 0..5 {
            for turn in [Turn::unavailable(), Turn::caption(CAPTION)] {
                first.always(turn);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    };

    let row = steadily(&service, flapping).await;

    let by = |name: &str| row.writers.iter().filter(|(_, writer)| writer == name).count();
    assert_eq!(
        by("p0") + by("p1"),
        row.writers.len(),
        "nobody needs less than a provider"
    );
    assert!(by("p1") > 0, "the second one helps out");
    let calls = first.count() + second.count();
    assert_eq!(
        row.attempts,
        u64::try_from(calls).unwrap(),
        "the answers tell of what the providers saw"
    );

    let (back, mut ticks) = (Instant::now(), interval(EVERY));
    while service.told(&asked()).await.end["provider"] != "p0" {
        assert!(
            back.elapsed() < Duration::from_secs(20),
            "the first one is not used again"
        );
        ticks.tick().await;
    }
    Arc::into_inner(service).unwrap().stop().await;
}
