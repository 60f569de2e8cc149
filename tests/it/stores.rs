//! The store wall: Postgres and Redis killed, paused, slow and flapping under a steady load, what is in the tables
//! afterwards, and the sockets that are used.

use std::{
    collections::BTreeSet,
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

use crate::support::{Service, Told, description, until};

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

/// Asks until an answer shows no trace of trouble any more. Returns all that were given until then.
async fn is_normal_again(what: &str, service: &Service, body: &Value) -> Vec<Told> {
    let begun = Instant::now();
    let mut answers = Vec::new();
    loop {
        let mut body = body.clone();
        body["content_description"] = asked()["content_description"].clone();
        let told = service.told(&body).await;
        answers.push(told);
        let told = &answers[answers.len() - 1];
        if told.end["degraded"] == json!([]) && !is_troubled(told) {
            return answers;
        }
        assert!(begun.elapsed() < RECOVERY, "{what}: still {told:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// True if a warning tells of the store; others tell of what the model writes.
fn is_troubled(told: &Told) -> bool {
    let warnings = told.end["warnings"].as_array().unwrap();
    warnings.iter().any(|warning| warning["code"] == "not_stored")
}

/// A server that a test can take away.
trait Victim {
    fn pause(&self);
    fn resume(&self);
    fn kill(&mut self);
    fn restart(&mut self);
}

macro_rules! victim {
    ($server:ty) => {
        impl Victim for $server {
            fn pause(&self) {
                self.pause();
            }
            fn resume(&self) {
                self.resume();
            }
            fn kill(&mut self) {
                self.kill();
            }
            fn restart(&mut self) {
                self.restart();
            }
        }
    };
}
victim!(redis::Server);
victim!(postgres::Server);

/// What a store does to its callers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Silent,
    Refusing,
    Resetting,
    Slow,
    Flapping,
    Paused,
    Killed,
}

impl Trouble {
    const ALL: [Self; 7] = [
        Self::Silent,
        Self::Refusing,
        Self::Resetting,
        Self::Slow,
        Self::Flapping,
        Self::Paused,
        Self::Killed,
    ];

    /// Begins it, lets it last, and ends it.
    async fn befalls(self, server: &mut impl Victim, proxy: &Chaos) {
        let way = match self {
            Self::Silent => Way::Blackhole,
            Self::Refusing => Way::Refuse,
            Self::Resetting => Way::Reset,
            Self::Slow => Way::Latency {
                delay: Duration::from_millis(500),
                jitter: Duration::from_millis(50),
            },
            Self::Flapping => {
                for _ in 0..5 {
                    proxy.set(Way::Refuse);
                    sleep(TROUBLE / 10).await;
                    proxy.set(Way::Pass);
                    sleep(TROUBLE / 10).await;
                }
                return;
            }
            Self::Paused => {
                server.pause();
                sleep(TROUBLE).await;
                server.resume();
                return;
            }
            Self::Killed => {
                server.kill();
                sleep(TROUBLE).await;
                return tokio::task::block_in_place(|| server.restart());
            }
        };
        proxy.set(way);
        sleep(TROUBLE).await;
        proxy.set(Way::Pass);
    }
}

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

    for trouble in Trouble::ALL {
        let what = format!("{trouble:?}");
        let answers = under_load(&service, &body, trouble.befalls(&mut server, &proxy)).await;
        all_were_answered(&what, &answers, limit);
        is_normal_again(&what, &service, &body).await;
    }
    Arc::into_inner(service).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_postgres_costs_neither_a_caption_nor_a_row_nor_the_preferences() {
    let llm = provider().await;
    let mut server = tokio::task::spawn_blocking(postgres::Server::start).await.unwrap();
    let database = server.new_database();
    let (proxy, url) = Chaos::before(&database);
    let service = Arc::new(
        Service::start(&[
            ("DATABASE_URL", &url),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
            ("CAPTIONS_DATABASE__CONNECT_TIMEOUT", "0.5"),
            ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "0.5"),
            ("CAPTIONS_DATABASE__STATEMENT_TIMEOUT", "1"),
            // Each request has to ask the store for the preferences.
            ("CAPTIONS_CACHE__PREFERENCES", "1"),
            ("CAPTIONS_CACHE__MEMORY_AGE", "0"),
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
    let mut written: Vec<Told> = is_normal_again("at the start", &service, &body).await;
    let asked_before = llm.count();
    let mut seen = BTreeSet::new();

    for trouble in Trouble::ALL {
        let what = format!("{trouble:?}");
        let answers = under_load(&service, &body, trouble.befalls(&mut server, &proxy)).await;
        all_were_answered(&what, &answers, limit);
        written.extend(answers.into_iter().map(|answer| answer.told));
        written.extend(is_normal_again(&what, &service, &body).await);
    }
    for told in &written {
        assert!(!is_troubled(told), "{told:?}");
        for how in told.end["degraded"].as_array().unwrap() {
            seen.insert(how.as_str().unwrap().to_owned());
        }
    }

    // Never the defaults: she is known, and what was known of her is used.
    assert_eq!(
        seen,
        BTreeSet::from(["history_delayed", "partial_analysis", "preferences_stale"].map(str::to_owned))
    );
    for request in llm.requests().iter().skip(asked_before) {
        let prompt = request.system_text() + &request.user_text();
        assert!(prompt.contains("playful"), "{prompt}");
    }
    until("nothing waits any more", async || {
        let (_, health) = service.get("/readyz?verbose").await;
        let parts = health["components"].as_array().unwrap();
        parts
            .iter()
            .any(|part| part["name"] == "spool" && part["status"] == "ok")
            .then_some(())
    })
    .await;
    Arc::into_inner(service).unwrap().stop().await;
    let rows = server.sql(database.rsplit('/').next().unwrap(), "SELECT id FROM captions");
    let rows: Vec<&str> = rows.lines().collect();
    let told = written.iter().map(|told| told.end["id"].as_str().unwrap());
    assert_eq!(rows.len(), written.len());
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), told.collect::<BTreeSet<_>>());
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

async fn counted(more: &[(&str, &str)]) -> Counted {
    let provider = provider().await;
    provider.always(Turn::caption(CAPTION).after(Duration::from_millis(20)));
    let database = postgres::fresh_database().await;
    let (llm, base_url) = Chaos::before(&provider.base_url());
    let (postgres, database) = Chaos::before(&database);
    let (redis, redis_url) = Chaos::before(&redis::shared().url());
    let few = [
        ("DATABASE_URL", database.as_str()),
        ("REDIS_URL", &redis_url),
        ("OPENAI_BASE_URL", &base_url),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_DATABASE__POOL_SIZE", "3"),
        ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "10"),
        ("CAPTIONS_REDIS__POOL_SIZE", "2"),
        ("CAPTIONS_REDIS__READ_TIMEOUT", "5"),
        ("CAPTIONS_REDIS__WRITE_TIMEOUT", "5"),
    ];
    let service = Service::start(&[&few, more].concat()).await;
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
    let all = counted(&[("CAPTIONS_API__MAX_PER_HOST", "4")]).await;

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
    let all = counted(&[("CAPTIONS_DATABASE__POOLING", "false")]).await;
    let before = all.postgres.total();

    at_once(&all.service, 20).await;

    // An append each, and what the process asks for itself once a second meanwhile, such as to put down what was used. With a
    // pool it would be three at most.
    let opened = all.postgres.total() - before;
    assert!((20..30).contains(&opened), "{opened} connections for 20 appends");
    Arc::into_inner(all.service).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_over_all_providers_holds_as_well() {
    let all = counted(&[("MAX_CONNECTIONS", "2")]).await;

    at_once(&all.service, 20).await;

    assert!(all.llm.peak() <= 2, "{} connections to the provider", all.llm.peak());
    Arc::into_inner(all.service).unwrap().stop().await;
}
