//! Who asks the same at the same time: one call is made, and everybody is answered by it. What is found in Redis is what
//! was put there, or nothing.

use std::{collections::HashSet, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres,
    redis::Server,
};
use futures_util::StreamExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::support::{Service, description, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const OTHER: &str = "Warm bread is on the counter of the bakery, and the door stands open.";
/// How long the provider takes: all have asked long before. Who asks later finds the caption, which is no call either.
const THINKS: Duration = Duration::from_secs(3);
/// How many ask at once.
const CROWD: usize = 1000;

/// Time enough for servers that are slow because the machine is: a Redis that is taken for away can tell of nobody's call,
/// and a store that is taken for away has no caption to show. And for a provider that thinks.
const PATIENT: [(&str, &str); 9] = [
    ("CAPTIONS_DATABASE__ACQUIRE_TIMEOUT", "60"),
    ("CAPTIONS_DATABASE__STATEMENT_TIMEOUT", "60"),
    ("CAPTIONS_API__TIMEOUT", "60"),
    ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "60"),
    ("CAPTIONS_REDIS__BREAKER__ENABLED", "false"),
    ("CAPTIONS_REDIS__CONNECT_TIMEOUT", "20"),
    ("CAPTIONS_REDIS__READ_TIMEOUT", "20"),
    ("CAPTIONS_REDIS__WRITE_TIMEOUT", "20"),
    ("CAPTIONS_ENGINE__DEADLINE", "120"),
];

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery") })
}

/// One replica of a service over these servers.
async fn replica(llm: &FakeLlm, more: &[(&str, &str)]) -> Service {
    let base_url = llm.base_url();
    let mut env = vec![("OPENAI_BASE_URL", base_url.as_str()), ("OPENAI_MODEL", "m")];
    env.extend(PATIENT);
    env.extend(more);
    Service::start(&env).await
}

/// Asks through the whole HTTP app, but for the socket: a thousand of those are more than some machines allow.
async fn ask(app: Router, body: Value) -> (u16, Value) {
    let request = http::Request::post("/v1/captions")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let reply = app.oneshot(request).await.unwrap();
    let status = reply.status().as_u16();
    let bytes = to_bytes(reply.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[rstest]
#[case::one_replica(1, false)]
#[case::one_replica_with_redis(1, true)]
#[case::three_replicas_that_share_redis(3, true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_ask_the_same_at_once_cost_one_call(#[case] replicas: usize, #[case] has_redis: bool) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(THINKS));
    let (redis, database) = tokio::task::spawn_blocking(|| (Server::start(), postgres::shared().new_database()))
        .await
        .unwrap();
    let url = redis.url();
    let mut env = vec![("DATABASE_URL", database.as_str())];
    if has_redis {
        env.push(("REDIS_URL", &url));
    }
    let mut services = Vec::new();
    for _ in 0..replicas {
        services.push(replica(&llm, &env).await);
    }
    let body = asked();

    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        crowd.spawn(ask(services[number % replicas].app.clone(), body.clone()));
    }
    let answers = crowd.join_all().await;

    assert_eq!(llm.count(), 1, "calls of the provider");
    let mut ids = HashSet::new();
    for (status, answer) in &answers {
        assert!([200, 201].contains(status), "{answer}");
        assert_eq!(answer["caption"], CAPTION, "{answer}");
        ids.insert(answer["id"].as_str().unwrap());
    }
    assert_eq!(answers.len(), CROWD);
    assert_eq!(ids.len(), 1, "it is one caption: {ids:?}");
    let created = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(created, 1, "it was written for one");
    for service in services {
        service.stop().await;
    }
}

/// A stream of events that is open: the server has begun to wait for the caption.
async fn opened(service: &Service, body: &Value) -> reqwest::Response {
    let request = service.client.post(format!("{}/v1/captions/stream", service.base));
    let reply = request.json(body).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    reply
}

#[rstest]
#[case::of_an_answer("/v1/captions")]
#[case::of_a_stream("/v1/captions/stream")]
#[tokio::test(flavor = "multi_thread")]
async fn when_the_first_who_asked_leaves_the_call_goes_on_for_the_others(#[case] path: &str) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(2 * THINKS));
    let service = replica(&llm, &[]).await;
    let body = asked();

    let first = service.client.post(format!("{}{path}", service.base)).json(&body);
    let first = tokio::spawn(async move {
        let reply = first.send().await.unwrap();
        reply.bytes_stream().collect::<Vec<_>>().await
    });
    llm.until("the provider has the call", |llm| llm.count() == 1).await;
    // A stream of which nothing is known is opened after a while: these two are waiting by then.
    let (second, third) = tokio::join!(opened(&service, &body), opened(&service, &body));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    for reply in [second, third] {
        let events = reply.text().await.unwrap();
        assert!(events.contains("event: caption.completed"), "{events}");
        assert!(events.contains(CAPTION), "{events}");
    }
    assert_eq!(llm.count(), 1);
    assert_eq!(llm.last().left_early(), None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_who_asks_the_same_at_the_same_time_has_a_call_of_their_own() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(THINKS));
    let service = replica(&llm, &[]).await;
    let mut crowd = JoinSet::new();
    let body = asked();

    for user in [None, Some("ana"), Some("ben")] {
        let mut body = body.clone();
        if let Some(user) = user {
            body["user_id"] = json!(user);
        }
        for _ in 0..5 {
            crowd.spawn(ask(service.app.clone(), body.clone()));
        }
    }
    let answers = crowd.join_all().await;

    let ids: HashSet<_> = answers
        .iter()
        .map(|(_, answer)| answer["id"].as_str().unwrap())
        .collect();
    assert_eq!((answers.len(), ids.len(), llm.count()), (15, 3, 3));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_shared_call_fails_everybody_falls_back_by_their_own_wish_and_nobody_calls_again() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::unavailable().after(THINKS));
    let service = replica(&llm, &[("CAPTIONS_API__MAX_ATTEMPTS", "1")]).await;
    let body = asked();
    let mut strict = body.clone();
    strict["allow_fallback"] = json!(false);

    let mut crowd = JoinSet::new();
    for number in 0..20 {
        let body = if number % 2 == 0 { &body } else { &strict };
        crowd.spawn(ask(service.app.clone(), body.clone()));
    }
    let answers = crowd.join_all().await;

    assert_eq!(llm.count(), 1);
    let (written, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 201);
    assert_eq!((written.len(), refused.len()), (10, 10));
    for (_, answer) in written {
        assert_eq!(
            (&answer["source"], &answer["attempts"]),
            (&json!("template"), &json!(1))
        );
    }
    for (status, problem) in refused {
        assert_eq!((*status, &problem["code"]), (502, &json!("provider_unavailable")));
        assert_eq!(problem["attempts"], 1, "{problem}");
    }
    service.stop().await;
}

/// Status, source and caption.
fn shown((status, answer): &(u16, Value)) -> (u16, &str, &str) {
    let text = |field: &str| answer[field].as_str().unwrap();
    (*status, text("source"), text("caption"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_what_is_kept_and_a_bypass_leaves_it_alone() {
    let llm = FakeLlm::start().await;
    let service = replica(&llm, &[]).await;
    let body = asked();
    let with = |cache: &str| {
        let mut body = body.clone();
        body["cache"] = json!(cache);
        body
    };

    llm.always(Turn::caption(CAPTION));
    let first = service.post("/v1/captions", &with("use")).await;
    let hit = service.post("/v1/captions", &body).await;
    llm.always(Turn::caption(OTHER));
    let bypass = service.post("/v1/captions", &with("bypass")).await;
    let still = service.post("/v1/captions", &body).await;
    let refreshed = service.post("/v1/captions", &with("refresh")).await;
    let anew = service.post("/v1/captions", &body).await;

    assert_eq!(shown(&first), (201, "provider", CAPTION));
    assert_eq!(shown(&hit), (200, "cache", CAPTION));
    assert_eq!(shown(&bypass), (201, "provider", OTHER));
    assert_eq!(shown(&still), (200, "cache", CAPTION));
    assert_eq!(shown(&refreshed), (201, "provider", OTHER));
    assert_eq!(shown(&anew), (200, "cache", OTHER));
    assert_eq!((&hit.1["id"], &hit.1["attempts"]), (&first.1["id"], &json!(0)));
    assert_eq!(anew.1["id"], refreshed.1["id"]);
    assert_eq!(llm.count(), 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_bypasses_the_cache_shares_no_call_either() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(THINKS));
    let service = replica(&llm, &[]).await;
    let mut body = asked();
    body["cache"] = json!("bypass");

    let mut crowd = JoinSet::new();
    for _ in 0..4 {
        crowd.spawn(ask(service.app.clone(), body.clone()));
    }
    let answers = crowd.join_all().await;

    for answer in &answers {
        assert_eq!(shown(answer), (201, "provider", CAPTION), "{}", answer.1);
    }
    assert_eq!(llm.count(), 4);
    service.stop().await;
}

/// What somebody who can write into Redis makes of a value; `other` is that of another caption.
type Poison = fn(value: &[u8], other: &[u8]) -> Vec<u8>;

const POISONS: [(&str, Poison); 8] = [
    ("a bit of the text is flipped", |value, _| {
        let mut value = value.to_vec();
        let last = value.len() - 5;
        value[last] ^= 1;
        value
    }),
    ("a bit of the head is flipped", |value, _| {
        let mut value = value.to_vec();
        value[3] ^= 1;
        value
    }),
    ("the second half is missing", |value, _| {
        value[..value.len() / 2].to_vec()
    }),
    ("nothing is left", |_, _| Vec::new()),
    ("something is added", |value, _| [value, b"more"].concat()),
    ("it is noise", |_, _| (0..=255).cycle().step_by(7).take(2000).collect()),
    ("it is what an early version kept", |_, _| {
        br#"{"id":null,"fresh_for":3600,"caption":{"variants":[{"caption":"An early version wrote this."}]}}"#.to_vec()
    }),
    ("it belongs to another caption", |_, other| other.to_vec()),
];

/// The captions that stand in Redis, by key.
fn kept(redis: &mut redis::Connection) -> Vec<(String, Vec<u8>)> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:captions:caption:*").query(redis).unwrap();
    keys.into_iter()
        .map(|key| {
            let value = redis::cmd("GET").arg(&key).query(redis).unwrap();
            (key, value)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tampered_with_in_redis_is_written_anew_and_never_served() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let url = server.url();
    let env = [("REDIS_URL", url.as_str())];
    let mut redis = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
    let writing = replica(&llm, &env).await;

    let mut poisoned = Vec::new();
    let mut known: Vec<(String, Vec<u8>)> = Vec::new();
    for _ in 0..=POISONS.len() {
        let body = asked();
        assert_eq!(
            shown(&writing.post("/v1/captions", &body).await),
            (201, "provider", CAPTION)
        );
        // It is put there behind the answer.
        let new = until("the caption is in Redis", async || {
            kept(&mut redis)
                .into_iter()
                .find(|(key, _)| known.iter().all(|(known, _)| known != key))
        })
        .await;
        known.push(new);
        poisoned.push(body);
    }
    writing.stop().await;
    let (good, other) = (poisoned.pop().unwrap(), known.pop().unwrap());
    for ((key, value), (_, poison)) in known.iter().zip(POISONS) {
        let poison = poison(value, &other.1);
        assert_ne!(*value, poison);
        let _: () = redis::cmd("SET")
            .arg(key)
            .arg(poison)
            .arg("KEEPTTL")
            .query(&mut redis)
            .unwrap();
    }

    llm.always(Turn::caption(OTHER));
    let calls = llm.count();
    let reading = replica(&llm, &env).await;
    let corrupt = || reading.caches.counts()["captions"].corrupt;
    for (body, (what, _)) in poisoned.iter().zip(POISONS) {
        let before = corrupt();
        let anew = reading.post("/v1/captions", body).await;
        assert_eq!(shown(&anew), (201, "provider", OTHER), "{what}");
        assert_eq!(anew.1["degraded"], json!([]), "{what}: the cache is not away");
        assert!(corrupt() > before, "{what}: it is counted");
    }
    assert_eq!(llm.count(), calls + POISONS.len());
    assert_eq!(
        shown(&reading.post("/v1/captions", &good).await),
        (200, "cache", CAPTION)
    );
    reading.stop().await;

    // What was written anew stands in its place.
    let later = replica(&llm, &env).await;
    for (body, (what, _)) in poisoned.iter().zip(POISONS) {
        assert_eq!(
            shown(&later.post("/v1/captions", body).await),
            (200, "cache", OTHER),
            "{what}"
        );
    }
    later.stop().await;
}
