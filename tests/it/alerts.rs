//! Alerts of a real service: a database that goes away and comes back, and a receiver that checks the signature by the code
//! of the documentation.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres,
    receiver::{Received, Receiver},
};
use serde_json::{Value, json};

use crate::support::{Service, description};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
/// Of 24 other bytes.
const OTHER_SECRET: &str = "whsec_MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const README: &str = include_str!("../../docs/alerts/README.md");
/// Far more than any of it takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const LATER: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// A service that tells of nothing but circuits that stay open, soon, to this receiver.
async fn service(llm: &FakeLlm, receiver: &Receiver, more: &[(&str, &str)]) -> Service {
    let (base_url, hook) = (llm.base_url(), receiver.url("/hook"));
    let settings = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_ALERTS__INTERVAL", "0.2"),
        ("CAPTIONS_ALERTS__BREAKER_OPEN", "0.5"),
        ("CAPTIONS_ALERTS__MIN_CALLS", "1000000"),
        ("CAPTIONS_ALERTS__MIN_LOOKUPS", "1000000"),
        ("CAPTIONS_ALERTS__OVERLOAD_REFUSED", "1000000"),
        ("CAPTIONS_ALERTS__SPOOL_ROWS", "1000000"),
        ("CAPTIONS_ALERTS__EVENT_LOOP_LAG", "60"),
        ("CAPTIONS_ALERTS__WEBHOOK_URL", &hook),
        ("CAPTIONS_ALERTS__WEBHOOK_SECRET_ENV", "HOOK_SECRET"),
        ("CAPTIONS_ALERTS__WEBHOOK_ALLOW_PRIVATE", "true"),
        ("HOOK_SECRET", SECRET),
    ];
    Service::start(&[&settings, more].concat()).await
}

/// Asks for captions, which need the store, until the receiver has got so many events.
async fn asked_until(services: &[&Service], receiver: &Receiver, count: usize) -> Vec<Received> {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while receiver.requests().len() < count {
            ticks.tick().await;
            for service in services {
                let body = json!({ "content_description": description("Bread on the counter"), "user_id": "ana" });
                let (status, told) = service.post("/v1/captions", &body).await;
                assert!(status == 200 || status == 201, "{status} {told}");
            }
        }
    };
    let what = format!("{count} events within {LIMIT:?}");
    let asked = tokio::time::timeout(LIMIT, asking).await;
    assert!(asked.is_ok(), "{what}");
    receiver.requests()
}

/// The block of this kind in the documentation.
fn block(kind: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// The names and kinds of all that an event has.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), shape(field)))
            .collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        other => other.clone(),
    }
}

/// What the function of the documentation makes of it.
fn verified(received: &Received, secret: &str) -> Result<Value, String> {
    let code = block("python");
    let main = "\nimport sys\ngiven = json.load(sys.stdin)\n\
                print(json.dumps(verify(given['secret'], given['headers'], given['body'].encode())))\n";
    let given = json!({
        "secret": secret,
        "headers": received.headers,
        "body": String::from_utf8(received.body.clone()).unwrap(),
    });
    let mut python = Command::new("python3")
        .args(["-c", &format!("{code}{main}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(given.to_string().as_bytes())
        .unwrap();
    let done = python.wait_with_output().unwrap();
    if done.status.success() {
        Ok(serde_json::from_slice(&done.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

/// The type, the alert and its subject.
fn what(event: &Value) -> (Option<&str>, Option<&str>, Option<&str>) {
    let data = &event["data"];
    (event["type"].as_str(), data["alert"].as_str(), data["subject"].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_is_told_once_signed_and_told_to_be_back_and_not_at_all_where_alerts_are_off() {
    let llm = FakeLlm::start().await;
    let mut server = postgres::Server::start();
    let database = server.new_database();
    // The first sending fails.
    let receiver = Receiver::scripted(&[LATER, TAKEN]).await;
    let nobody = Receiver::answering(TAKEN).await;
    let stored = ("DATABASE_URL", database.as_str());
    let on = service(&llm, &receiver, &[stored]).await;
    let off = service(&llm, &nobody, &[stored, ("CAPTIONS_ALERTS__ENABLED", "false")]).await;

    server.kill();
    asked_until(&[&on, &off], &receiver, 2).await;
    server.restart();
    let requests = asked_until(&[&on, &off], &receiver, 3).await;

    let events: Vec<Value> = requests
        .iter()
        .map(|request| verified(request, SECRET).unwrap())
        .collect();
    let told: Vec<_> = events.iter().map(what).collect();
    let firing = (Some("alert.firing"), Some("breaker_open"), Some("database"));
    let resolved = (Some("alert.resolved"), Some("breaker_open"), Some("database"));
    assert_eq!(
        told,
        [firing, firing, resolved],
        "once, though the store was away for many looks"
    );
    let header = |request: &Received, name: &str| request.headers[name].clone();
    let ids: Vec<String> = requests.iter().map(|request| header(request, "webhook-id")).collect();
    assert_eq!(
        (&ids[0], &requests[0].body),
        (&ids[1], &requests[1].body),
        "the same event, sent again"
    );
    assert_ne!(ids[1], ids[2]);
    let figure = &events[1]["data"]["figure"];
    assert_eq!(figure["threshold"], 0.5);
    assert!(figure["value"].as_f64().unwrap() > 0.5, "{figure}");
    assert_eq!(events[1]["data"]["runbook"], "docs/runbooks/breaker-open.md");
    assert!(requests[0].line.starts_with("POST /hook "));
    let shown: Value = serde_json::from_str(block("json")).unwrap();
    assert_eq!(shape(&shown), shape(&events[1]), "the event of the documentation");

    // Every way of being false is noticed.
    let refused = |change: fn(&mut Received)| {
        let mut request = requests[1].clone();
        change(&mut request);
        verified(&request, SECRET).unwrap_err()
    };
    let other_id = |request: &mut Received| drop(request.headers.insert("webhook-id".into(), "x".into()));
    let other_time = |request: &mut Received| drop(request.headers.insert("webhook-timestamp".into(), "1".into()));
    let other_secret = verified(&requests[1], OTHER_SECRET).unwrap_err();
    assert!(other_secret.contains("not signed with this secret"), "{other_secret}");
    assert!(refused(|request| request.body.push(b' ')).contains("not signed"));
    assert!(refused(other_id).contains("not signed"));
    assert!(refused(other_time).contains("too old"));

    assert_eq!(nobody.connections(), 0);
    let counted = on.get("/v1/stats").await.1["alerts"].clone();
    assert_eq!(
        (&counted["notices"], &counted["sink_failures"]),
        (&json!(2), &json!(1)),
        "{counted}"
    );
    assert_eq!(off.get("/v1/stats").await.1["alerts"], Value::Null);
    on.stop().await;
    off.stop().await;
    assert_eq!((receiver.requests().len(), nobody.connections()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_holds_up_neither_the_service_nor_its_end() {
    let llm = FakeLlm::start().await;
    let mut server = postgres::Server::start();
    let database = server.new_database();
    let receiver = Receiver::stalling_after("").await;
    let service = service(&llm, &receiver, &[("DATABASE_URL", &database)]).await;

    server.kill();
    asked_until(&[&service], &receiver, 1).await;

    tokio::time::timeout(LIMIT, service.stop()).await.unwrap();
}

/// Here the figures are those of a window: of times, with a least count.
#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_are_told_and_told_to_be_over_once_the_window_has_forgotten_them() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_millis(50)));
    let receiver = Receiver::answering(TAKEN).await;
    let slow = [
        ("CAPTIONS_MONITOR__WINDOW", "2"),
        ("CAPTIONS_ALERTS__API_RESPONSE", "0.02"),
        ("CAPTIONS_ALERTS__MIN_CALLS", "1"),
    ];
    let service = service(&llm, &receiver, &slow).await;

    asked_until(&[&service], &receiver, 1).await;
    let requests = receiver.until(2, LIMIT).await;

    let events: Vec<Value> = requests
        .iter()
        .map(|request| verified(request, SECRET).unwrap())
        .collect();
    let told: Vec<_> = events.iter().map(what).collect();
    let firing = (Some("alert.firing"), Some("api_slow"), None);
    let resolved = (Some("alert.resolved"), Some("api_slow"), None);
    assert_eq!(told, [firing, resolved]);
    assert_eq!(events[0]["data"]["figure"]["threshold"], 0.02);
    service.stop().await;
}
