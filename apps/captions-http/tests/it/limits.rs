//! How much a caller may ask.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind},
    limiter::Limiter,
    ports::{Quota, QuotaKey},
    quota::{Decision, Meter, Plan, Presence, Take, Unit, Window},
};
use captions_http::{Limits, Turns};
use captions_wiring::Tasks;
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{Reply, get, send, send_json},
    ports::{Piece, Turn},
    server::{Server, TEXT},
    stream::{cat, open_after},
};

/// Meters of this process, as a single server has them.
struct Meters {
    start: Instant,
    taken: Mutex<HashMap<QuotaKey, Meter>>,
    there: Mutex<HashMap<QuotaKey, HashSet<Uuid>>>,
}

impl Meters {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            taken: Mutex::default(),
            there: Mutex::default(),
        })
    }
}

/// Turns of this process.
pub(crate) fn turns() -> Turns {
    Turns::new(Meters::new(), Tasks::new(16))
}

#[async_trait]
impl Quota for Meters {
    async fn take(&self, _: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault> {
        let mut meters = self.taken.lock().unwrap();
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap();
        Ok(meters.entry(key.clone()).or_default().take(plan, take, now))
    }

    async fn attend(&self, _: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault> {
        let mut all = self.there.lock().unwrap();
        let there = all.entry(key.clone()).or_default();
        match *presence {
            Presence::Enter { id, limit, .. } => {
                let left = limit.checked_sub(there.len() as u64 + 1);
                there.extend(left.map(|_| id));
                Ok(left)
            }
            Presence::Leave { id } => {
                there.remove(&id);
                Ok(Some(0))
            }
        }
    }
}

/// One that cannot be asked.
struct Away;

#[async_trait]
impl Quota for Away {
    async fn take(&self, _: &Context, _: &QuotaKey, _: &Plan, _: &Take) -> Result<Decision, Fault> {
        Err(Fault::new(FaultKind::Unavailable))
    }

    async fn attend(&self, _: &Context, _: &QuotaKey, _: &Presence) -> Result<Option<u64>, Fault> {
        Err(Fault::new(FaultKind::Unavailable))
    }
}

/// Nothing comes back from it during a test.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// A server whose callers have these limits a month.
async fn limited(windows: &[(Unit, u64)], script: impl IntoIterator<Item = Turn>) -> Server {
    let plan = Plan::new(windows.iter().map(|(unit, limit)| Window::new(*unit, *limit, MONTH)));
    with(Limiter::new(Meters::new(), plan), script).await
}

/// So many requests an hour.
pub(crate) fn hourly(limit: u64) -> Limiter {
    Limiter::new(Meters::new(), Plan::per_minute_and_hour(0, limit, 0))
}

async fn with(limiter: Limiter, script: impl IntoIterator<Item = Turn>) -> Server {
    Server::start_as(script, Limits::default(), |mut state| {
        state.callers = Some(limiter);
        state
    })
    .await
}

async fn ask(server: &Server, path: &str) -> Reply {
    let body = json!({ "content_description": "A cat on a window sill", "cache": "bypass" });
    send_json(server.address, "POST", path, &body).await
}

async fn caption(server: &Server) -> Reply {
    ask(server, "/v1/captions").await
}

/// What is left, as the answer tells it.
fn left(reply: &Reply) -> u64 {
    let told = reply.header("ratelimit").unwrap();
    let (_, rest) = told.split_once(";r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn answers_tell_how_the_limits_stand() {
    let server = limited(&[(Unit::Requests, 3), (Unit::Tokens, 9000)], [Turn::Say(TEXT)]).await;

    let reply = caption(&server).await;

    assert_eq!(reply.status, 201);
    assert_eq!(
        reply.header("ratelimit-policy"),
        Some(r#""requests-2592000-seconds";q=3;w=2592000, "tokens-2592000-seconds";q=9000;w=2592000;qu="tokens""#)
    );
    let state = reply.header("ratelimit").unwrap();
    // A third of a month and two ninths of one, in seconds, if no second has gone by.
    let expected = r#""requests-2592000-seconds";r=2;t=864000, "tokens-2592000-seconds";r=7000;t=576000"#;
    assert_eq!(state, expected);
}

#[tokio::test]
async fn beyond_the_limit_it_is_429_with_the_time_to_come_back_and_nothing_is_done() {
    let server = limited(&[(Unit::Requests, 2), (Unit::Tokens, 90_000)], [Turn::Say(TEXT)]).await;
    caption(&server).await;
    caption(&server).await;

    for path in ["/v1/captions", "/v1/captions/stream", "/v1/captions"] {
        let refused = ask(&server, path).await;

        assert_eq!(refused.code(), (429, "rate_limited".to_owned()));
        let problem = refused.problem();
        assert_eq!(
            (&problem["retryable"], &problem["type"]),
            (
                &json!(true),
                &json!("https://iana.org/assignments/http-problem-types#quota-exceeded")
            )
        );
        assert_eq!(problem["violated-policies"], json!(["requests-2592000-seconds"]));
        let millis = problem["retry_after_ms"].as_u64().unwrap();
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        // One comes back in half a month.
        let half = MONTH.as_secs() / 2;
        assert!(
            (half - 60..=half).contains(&seconds) && millis.div_ceil(1000) == seconds,
            "{seconds} {millis}"
        );
        // Of the tokens there are enough, so nothing is told of them.
        let told = refused.header("ratelimit").unwrap();
        assert_eq!(told, format!(r#""requests-2592000-seconds";r=0;t={seconds}"#));
        assert_eq!(
            refused.header("ratelimit-policy"),
            Some(r#""requests-2592000-seconds";q=2;w=2592000"#)
        );
    }

    assert_eq!(server.writer.prompts.lock().unwrap().len(), 2);
    assert_eq!(get(server.address, "/v1/users/ana").await.status, 429);
}

#[tokio::test]
async fn who_is_turned_away_is_counted_and_so_is_what_was_asked_for() {
    let server = limited(&[(Unit::Requests, 1)], [Turn::Say(TEXT)]).await;
    assert_eq!(caption(&server).await.status, 201);
    for path in ["/v1/captions", "/v1/captions", "/v1/captions/stream"] {
        assert_eq!(ask(&server, path).await.status, 429);
    }
    assert_eq!(get(server.address, "/v1/users/ana").await.status, 429);

    // Its statistics are beyond the limit as well, so they are looked at from inside.
    let stats = serde_json::to_value(server.monitor.summary()).unwrap();

    assert_eq!(stats["callers"], json!({ "allowed": 1, "refused": 4 }));
    let outcomes = |operation: &str| {
        let outcomes = &stats["operations"][operation]["outcomes"];
        [outcomes["ok"].clone(), outcomes["refused"].clone()]
    };
    assert_eq!(outcomes("caption_generation"), [json!(1), json!(2)]);
    assert_eq!(outcomes("caption_stream"), [json!(0), json!(1)]);
    let page = server.monitor.summary().prometheus();
    assert!(
        page.contains("captions_caller_requests_total{decision=\"refused\"} 4\n"),
        "{page}"
    );
}

#[tokio::test]
async fn probes_and_documents_are_free_and_without_limits_nothing_is_told() {
    let server = limited(&[(Unit::Requests, 1)], [Turn::Say(TEXT)]).await;
    for path in ["/livez", "/readyz", "/openapi.json", "/errors/internal"] {
        let reply = get(server.address, path).await;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, None), "{path}");
    }
    assert_eq!(caption(&server).await.status, 201);

    let free = Server::start([Turn::Say(TEXT)]).await;
    let reply = caption(&free).await;
    assert_eq!(
        (
            reply.status,
            reply.header("ratelimit"),
            reply.header("ratelimit-policy")
        ),
        (201, None, None)
    );
}

/// The writer of these tests uses 150 tokens; 2000 are taken beforehand, also by the request that looks.
#[tokio::test]
async fn tokens_are_counted_as_they_were_used() {
    let server = limited(&[(Unit::Tokens, 20_000)], [Turn::Say(TEXT)]).await;

    assert_eq!(left(&caption(&server).await), 18_000);
    assert_eq!(left(&ask(&server, "/v1/captions/stream").await), 17_850);
    assert_eq!(left(&caption(&server).await), 17_700);
    // A read takes none.
    assert_eq!(left(&get(server.address, "/v1/users/ana").await), 19_550);
}

#[tokio::test]
async fn who_leaves_a_stream_pays_what_was_cut_off() {
    let pieces = vec![Piece::Cost(77), Piece::Text("The si"), Piece::Wait];
    let server = limited(&[(Unit::Tokens, 20_000)], [Turn::Pieces(pieces)]).await;
    let mut connection = open_after(&server, &cat(), "").await;
    connection.head().await;
    connection.chunk().await.unwrap();

    drop(connection);
    server.writer.is_busy_with(0).await;

    assert_eq!(left(&get(server.address, "/v1/users/ana").await), 19_923);
}

#[tokio::test]
async fn what_calls_no_provider_costs_a_request_and_no_tokens() {
    let server = limited(&[(Unit::Tokens, 20_000)], [Turn::Say(TEXT)]).await;
    let body = json!({ "content_description": "A cat on a window sill" });
    let cached = async || send_json(server.address, "POST", "/v1/captions", &body).await;
    cached().await;
    assert_eq!(left(&cached().await), 17_850, "2000 taken, 150 used before");

    for (content_type, body) in [
        ("application/json", "{"),
        ("text/plain", "{}"),
        ("application/json", "{}"),
    ] {
        let reply = send(
            server.address,
            "POST",
            "/v1/captions",
            &[("content-type", content_type)],
            body.as_bytes(),
        )
        .await;
        assert!((400..500).contains(&reply.status), "{}", reply.status);
    }

    assert_eq!(left(&get(server.address, "/v1/users/ana").await), 19_850);
}

#[tokio::test]
async fn a_caller_that_used_more_than_it_had_has_to_wait() {
    // Less than a caption takes beforehand: all of it is taken then.
    let server = limited(&[(Unit::Tokens, 100)], [Turn::Say(TEXT)]).await;

    assert_eq!(caption(&server).await.status, 201);
    let refused = get(server.address, "/v1/users/ana").await;

    assert_eq!(refused.code(), (429, "rate_limited".to_owned()));
    assert!(refused.problem()["detail"].as_str().unwrap().contains("100 tokens"));
}

#[tokio::test]
async fn limits_that_cannot_be_counted_stop_nobody() {
    let server = with(
        Limiter::new(Arc::new(Away), Plan::per_minute_and_hour(1, 0, 0)),
        [Turn::Say(TEXT)],
    )
    .await;

    for _ in 0..3 {
        let reply = caption(&server).await;
        assert_eq!((reply.status, reply.header("ratelimit")), (201, None));
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_told_before_anything_is_counted() {
    let server = limited(&[(Unit::Requests, 5)], [Turn::Say(TEXT)]).await;

    let reply = send(
        server.address,
        "GET",
        "/v1/users/ana",
        &[("request-timeout-ms", "soon")],
        b"",
    )
    .await;

    assert_eq!(reply.code(), (400, "invalid_parameter".to_owned()));
    assert_eq!(left(&get(server.address, "/v1/users/ana").await), 4);
}

#[tokio::test]
async fn a_changed_caption_costs_what_its_provider_used_and_by_rules_nothing() {
    let server = limited(
        &[(Unit::Tokens, 9000)],
        [Turn::Say("The sill is warm and the cat sleeps.")],
    )
    .await;
    let shortened = async |text: &str| {
        let body = json!({ "text": text, "operation": "shorten", "target_chars": 40 });
        let reply = send_json(server.address, "POST", "/v1/rewrites", &body).await;
        assert_eq!(reply.status, 200);
        left(&reply)
    };

    assert_eq!(
        shortened("The sill is warm and the cat knows it, all day long.").await,
        7000
    );
    // The provider counted 120 + 30.
    assert_eq!(shortened("Short enough.").await, 6850);
    assert_eq!(shortened("Short enough.").await, 6850);
}
