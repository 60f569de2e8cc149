//! The store wall: Postgres and Redis killed, paused, slow and flapping under a steady load, and the sockets that are used.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use captions_testkit::{
    chaos::{Chaos, Way},
    llm::{FakeLlm, Turn},
    postgres, redis,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

use crate::support::{Service, Told, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// How soon everything is as it was once a store is back.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long each trouble lasts.
const TROUBLE: Duration = Duration::from_millis(1500);

async fn provider() -> FakeLlm {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    llm
}

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery") })
}

/// One answer of a load: how long it took and what it was.
struct Answered {
    took: Duration,
    told: Told,
}

/// Keeps asking, 20 times a second and in both forms by turns, until `trouble` is over. Each request is `body` with a
/// description of its own.
async fn under_load(service: &Arc<Service>, body: &Value, trouble: impl Future<Output = ()>) -> Vec<Answered> {
    let mut answers = JoinSet::new();
    let mut ticks = interval(Duration::from_millis(50));
    let mut by_events = false;
    tokio::pin!(trouble);
    loop {
        tokio::select! {
            biased;
            () = &mut trouble => break,
            _ = ticks.tick() => {
                by_events = !by_events;
                let service = Arc::clone(service);
                let mut body = body.clone();
                body["content_description"] = asked()["content_description"].clone();
                answers.spawn(async move {
                    let begun = Instant::now();
                    let told = if by_events {
                        service.told_by_events(&body).await
                    } else {
                        service.told(&body).await
                    };
                    Answered { took: begun.elapsed(), told }
                });
            }
        }
    }
    answers.join_all().await
}

/// Every request of the load got the provider's caption within `limit`.
fn all_were_answered(what: &str, answers: &[Answered], limit: Duration) {
    assert!(answers.len() >= 10, "{what}: {} requests", answers.len());
    for Answered { took, told } in answers {
        assert_eq!(
            (told.status, &told.end["caption"], &told.end["source"]),
            (200, &json!(CAPTION), &json!("provider")),
            "{what}: {told:?}"
        );
        assert!(*took <= limit, "{what}: an answer took {took:?}: {told:?}");
    }
}

/// Asks until an answer shows no trace of trouble any more.
async fn is_normal_again(what: &str, service: &Service, body: &Value) {
    let begun = Instant::now();
    loop {
        let mut body = body.clone();
        body["content_description"] = asked()["content_description"].clone();
        let told = service.told(&body).await;
        if told.end["degraded"] == json!([]) && told.end["warnings"] == json!([]) {
            return;
        }
        assert!(begun.elapsed() < RECOVERY, "{what}: still {told:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// On and off, ten times in all.
async fn flaps(proxy: &Chaos) {
    for _ in 0..5 {
        proxy.set(Way::Refuse);
        sleep(TROUBLE / 10).await;
        proxy.set(Way::Pass);
        sleep(TROUBLE / 10).await;
    }
}

async fn lasts(proxy: &Chaos, way: Way) {
    proxy.set(way);
    sleep(TROUBLE).await;
    proxy.set(Way::Pass);
}

const SLOW: Way = Way::Latency {
    delay: Duration::from_millis(500),
    jitter: Duration::from_millis(50),
};

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_redis_is_invisible() {
    let llm = provider().await;
    let mut server = tokio::task::spawn_blocking(redis::Server::start).await.unwrap();
    let (proxy, url) = Chaos::before(&server.url());
    let service = Arc::new(
        Service::start(&[
            ("REDIS_URL", &url),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
        ])
        .await,
    );
    let body = json!({});
    // A look-up, a put and, at worst, a connection; more than that nobody waits for a cache.
    let limit = Duration::from_secs(2);
    is_normal_again("at the start", &service, &body).await;

    for (what, way) in [
        ("silent", Way::Blackhole),
        ("refusing", Way::Refuse),
        ("resetting", Way::Reset),
        ("slow", SLOW),
    ] {
        let answers = under_load(&service, &body, lasts(&proxy, way)).await;
        all_were_answered(what, &answers, limit);
        is_normal_again(what, &service, &body).await;
    }
    let answers = under_load(&service, &body, flaps(&proxy)).await;
    all_were_answered("flapping", &answers, limit);
    is_normal_again("flapping", &service, &body).await;

    let answers = under_load(&service, &body, async {
        server.pause();
        sleep(TROUBLE).await;
        server.resume();
    })
    .await;
    all_were_answered("paused", &answers, limit);
    is_normal_again("paused", &service, &body).await;

    let answers = under_load(&service, &body, async {
        server.kill();
        sleep(TROUBLE).await;
    })
    .await;
    all_were_answered("killed", &answers, limit);
    tokio::task::block_in_place(|| server.restart());
    is_normal_again("killed", &service, &body).await;
    Arc::into_inner(service).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_captions_are_written_and_say_what_they_lack() {
    let llm = provider().await;
    let mut server = tokio::task::spawn_blocking(postgres::Server::start).await.unwrap();
    let (proxy, url) = Chaos::before(&server.new_database());
    let service = Arc::new(
        Service::start(&[
            ("DATABASE_URL", &url),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
            ("CAPTIONS_DATABASE__CONNECT_TIMEOUT", "0.5"),
            ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "0.5"),
            ("CAPTIONS_DATABASE__STATEMENT_TIMEOUT", "1"),
        ])
        .await,
    );
    let (status, made) = service
        .post(
            "/v1/users",
            &json!({ "id": "ana", "preferences": { "tone": "playful" } }),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let body = json!({ "user_id": "ana" });
    // Reading the preferences and appending to the history, each tried twice, each time as long as may be.
    let limit = Duration::from_secs(9);
    is_normal_again("at the start", &service, &body).await;

    for (what, way) in [
        ("silent", Way::Blackhole),
        ("refusing", Way::Refuse),
        ("resetting", Way::Reset),
        ("slow", SLOW),
    ] {
        let answers = under_load(&service, &body, lasts(&proxy, way)).await;
        all_were_answered(what, &answers, limit);
        assert!(
            what == "slow" || answers.iter().any(|answer| lacks_something(&answer.told)),
            "{what}"
        );
        is_normal_again(what, &service, &body).await;
    }
    let answers = under_load(&service, &body, flaps(&proxy)).await;
    all_were_answered("flapping", &answers, limit);
    is_normal_again("flapping", &service, &body).await;

    let answers = under_load(&service, &body, async {
        server.pause();
        sleep(TROUBLE).await;
        server.resume();
    })
    .await;
    all_were_answered("paused", &answers, limit);
    is_normal_again("paused", &service, &body).await;

    let answers = under_load(&service, &body, async {
        server.kill();
        sleep(TROUBLE).await;
    })
    .await;
    all_were_answered("killed", &answers, limit);
    assert!(answers.iter().any(|answer| lacks_something(&answer.told)));
    tokio::task::block_in_place(|| server.restart());
    is_normal_again("killed", &service, &body).await;
    Arc::into_inner(service).unwrap().stop().await;
}

fn lacks_something(told: &Told) -> bool {
    told.end["degraded"] != json!([]) || told.end["warnings"] != json!([])
}

/// Asks `count` times at once and waits for all answers.
async fn at_once(service: &Arc<Service>, count: usize) {
    let mut answers = JoinSet::new();
    for _ in 0..count {
        let service = Arc::clone(service);
        answers.spawn(async move { service.told(&asked()).await });
    }
    for told in answers.join_all().await {
        assert_eq!((told.status, &told.end["degraded"]), (200, &json!([])), "{told:?}");
        assert_eq!(told.end["warnings"], json!([]), "{told:?}");
    }
}

/// A service with few connections to everything, and a proxy before each.
struct Counted {
    service: Arc<Service>,
    llm: Chaos,
    postgres: Chaos,
    redis: Chaos,
    _provider: FakeLlm,
}

async fn counted(pooling: &str) -> Counted {
    let provider = provider().await;
    provider.always(Turn::caption(CAPTION).after(Duration::from_millis(20)));
    let database = postgres::fresh_database().await;
    let (llm, base_url) = Chaos::before(&provider.base_url());
    let (postgres, database) = Chaos::before(&database);
    let (redis, redis_url) = Chaos::before(&redis::shared().url());
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("REDIS_URL", &redis_url),
        ("OPENAI_BASE_URL", &base_url),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_DATABASE__POOL_SIZE", "3"),
        ("CAPTIONS_DATABASE__POOLING", pooling),
        ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "10"),
        ("CAPTIONS_REDIS__POOL_SIZE", "2"),
        ("CAPTIONS_REDIS__READ_TIMEOUT", "5"),
        ("CAPTIONS_REDIS__WRITE_TIMEOUT", "5"),
        ("CAPTIONS_API__MAX_PER_HOST", "4"),
    ])
    .await;
    Counted {
        service: Arc::new(service),
        llm,
        postgres,
        redis,
        _provider: provider,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_use_few_connections_and_keep_them() {
    let all = counted("true").await;

    at_once(&all.service, 40).await;
    let opened = [all.llm.total(), all.postgres.total(), all.redis.total()];
    at_once(&all.service, 40).await;

    assert!(all.llm.peak() <= 4, "{} connections to the provider", all.llm.peak());
    assert!(
        all.postgres.peak() <= 3,
        "{} connections to Postgres",
        all.postgres.peak()
    );
    // One each to talk, and one to listen.
    assert!(all.redis.peak() <= 3, "{} connections to Redis", all.redis.peak());
    assert!(opened[0] <= 4 && opened[2] <= 3, "{opened:?}");
    // Making the tables takes connections of its own, before the first request.
    assert!(opened[1] <= 3 + 2, "{opened:?}");
    assert_eq!(
        [all.llm.total(), all.postgres.total(), all.redis.total()],
        opened,
        "and no new ones"
    );
    Arc::into_inner(all.service).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pooling_each_query_has_its_own_connection() {
    let all = counted("false").await;
    let before = all.postgres.total();

    at_once(&all.service, 20).await;

    assert_eq!(all.postgres.total() - before, 20, "one append each");
    // One that was closed leaves the proxy a moment later, when the next one may be there.
    assert!(all.postgres.peak() <= 2 * 3, "{}", all.postgres.peak());
    Arc::into_inner(all.service).unwrap().stop().await;
}
