//! What is sent again with the same `Idempotency-Key` is answered again and done once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use captions_domain::{
    fault::{Fault, FaultKind, LlmError},
    keys::Scope,
    once::Step,
    ports::CaptionStore,
};
use captions_http::{Limits, Once};
use captions_wiring::Tasks;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    auth::{bearer, with_keys},
    client::{Connection, Reply, send},
    ports::{Piece, Turn},
    server::{Server, TEXT},
};

const CAPTIONS: &str = "/v1/captions";
const STREAM: &str = "/v1/captions/stream";

fn cat() -> Value {
    // Two keys are two calls: what is kept of captions has nothing to do with it.
    json!({ "content_description": "a cat on a sill", "cache": "bypass" })
}

async fn post(server: &Server, path: &str, key: &str, body: &Value) -> Reply {
    post_as(server, path, &[("idempotency-key", key)], &body.to_string()).await
}

async fn post_as(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers = [headers, &[("content-type", "application/json")]].concat();
    send(server.address, "POST", path, &headers, body.as_bytes()).await
}

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// How often the writer was asked.
fn written(server: &Server) -> usize {
    server.writer.prompts.lock().unwrap().len()
}

fn steps(server: &Server) -> Vec<Step> {
    let steps = server.store.steps.lock().unwrap();
    steps.iter().map(|(_, step)| step.clone()).collect()
}

/// Ends the lease of the claim that was made last, as time would.
async fn lease_ends(server: &Server) {
    let steps = server.store.steps.lock().unwrap().clone();
    let claims = steps.iter().rev().find_map(|(cx, step)| match step {
        Step::Claim(claim) => Some((cx, claim)),
        _ => None,
    });
    let (cx, claim) = claims.unwrap();
    server
        .store
        .once(cx, &Step::Release { call: claim.call })
        .await
        .unwrap();
}

fn away() -> LlmError {
    Fault::new(FaultKind::Unavailable).into()
}

#[tokio::test]
async fn a_caption_that_is_asked_for_again_is_the_same_answer_and_is_written_once() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let first = post(&server, CAPTIONS, "k", &cat()).await;
    let again = post(&server, CAPTIONS, "k", &cat()).await;

    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((is_replayed(&first), is_replayed(&again)), (false, true));
    assert_eq!(first.body, again.body);
    for same in [
        "location",
        "content-type",
        "captions-model",
        "captions-attempts",
        "cache-control",
    ] {
        assert!(first.header(same).is_some(), "{same}");
        assert_eq!(first.header(same), again.header(same), "{same}");
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    // Each tells its own time.
    assert_ne!(first.header("server-timing"), again.header("server-timing"));
    assert_eq!((written(&server), server.store.captions().len()), (1, 1));
}

#[tokio::test]
async fn keys_payloads_and_addresses_tell_calls_apart() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let asked = r#"{"content_description":"a cat on a sill","cache":"bypass","variants":1}"#;
    let spelled = "{ \"variants\": 1.0, \"cache\": \"bypass\",\n\"content_description\": \"a cat\\u0020on a sill\" }";
    let other = r#"{"content_description":"a dog on a sill","cache":"bypass","variants":1}"#;
    let bare = [("idempotency-key", "k 1")];
    let quoted = [("idempotency-key", "\"k 1\"")];
    let another = [("idempotency-key", "k 2")];

    let first = post_as(&server, CAPTIONS, &bare, asked).await;
    let same = post_as(&server, CAPTIONS, &quoted, spelled).await;
    let reused = post_as(&server, CAPTIONS, &bare, other).await;
    let query = post_as(&server, "/v1/captions?a=1", &bare, asked).await;
    let second = post_as(&server, CAPTIONS, &another, asked).await;
    let elsewhere = post_as(&server, "/v1/hashtags", &bare, r#"{"content_description":"a cat"}"#).await;

    assert!(is_replayed(&same) && same.body == first.body);
    for reused in [reused, query] {
        assert_eq!(reused.code(), (422, "idempotency_key_reused".to_owned()));
        assert_eq!(reused.problem()["retryable"], false);
    }
    assert_eq!((second.status, elsewhere.status), (201, 200));
    assert!(!is_replayed(&second) && !is_replayed(&elsewhere));
    assert_eq!(written(&server), 2);
}

#[rstest]
#[case::no_post("PUT", "/v1/users/ann/preferences")]
#[case::no_version("POST", "/nowhere")]
#[tokio::test]
async fn a_key_means_nothing_elsewhere(#[case] method: &str, #[case] path: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let headers = [
        ("idempotency-key", "\"broken"),
        ("content-type", "application/json"),
        ("if-match", "\"1\""),
    ];

    for _ in 0..2 {
        let reply = send(server.address, method, path, &headers, b"{}").await;
        assert_eq!(reply.status, 404);
        assert!(!is_replayed(&reply));
    }
    assert_eq!(steps(&server), []);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_before_anything_is_done() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    for key in ["\"open", "", &"k".repeat(256)] {
        let refused = post(&server, CAPTIONS, key, &cat()).await;
        assert_eq!(refused.code(), (400, "invalid_parameter".to_owned()), "{key}");
    }
    let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(post_as(&server, CAPTIONS, &two, "{}").await.status, 400);
    assert_eq!((written(&server), steps(&server)), (0, vec![]));
}

#[rstest]
#[case::a_broken_rule(json!({ "content_description": "" }), 422, "invalid_request")]
#[case::refused_content(cat(), 422, "content_refused")]
#[tokio::test]
async fn a_refusal_that_would_come_again_is_given_again(#[case] body: Value, #[case] status: u16, #[case] code: &str) {
    let server = Server::start([Turn::Fail(LlmError::Refused), Turn::Say(TEXT)]).await;

    let first = post(&server, CAPTIONS, "k", &body).await;
    let asked = written(&server);
    let again = post(&server, CAPTIONS, "k", &body).await;

    assert_eq!(first.code(), (status, code.to_owned()));
    assert_eq!((again.status, is_replayed(&again)), (status, true));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
    assert_eq!(again.body, first.body);
    assert_eq!(written(&server), asked);
}

#[rstest]
#[case::cannot_be_read("no tag", 400)]
#[case::is_not_met("\"old\"", 412)]
#[tokio::test]
async fn a_condition_is_no_part_of_what_was_asked(#[case] condition: &str, #[case] status: u16) {
    let other = "Nobody told the dog where the cat went this morning.";
    let server = Server::start([Turn::Say(TEXT), Turn::Say(other)]).await;
    let made = post(&server, CAPTIONS, "c", &cat()).await;
    let variants = format!("/v1/captions/{}/variants", made.json()["id"].as_str().unwrap());
    let conditional = [("idempotency-key", "k"), ("if-match", condition)];

    let refused = post_as(&server, &variants, &conditional, "{}").await;
    let without = post(&server, &variants, "k", &json!({})).await;

    assert_eq!(refused.status, status);
    assert!(without.status < 300 && !is_replayed(&without), "{}", without.status);
    let unreadable = [("idempotency-key", "k"), ("if-match", "no tag")];
    let late = post_as(&server, &variants, &unreadable, "{}").await;
    assert_eq!(late.status, 400, "a replay does not hide it");
}

#[tokio::test]
async fn what_failed_is_tried_again_with_the_same_id() {
    let server = Server::start([Turn::Fail(away()), Turn::Panic, Turn::Say(TEXT)]).await;

    let failed = post(&server, CAPTIONS, "k", &cat()).await;
    let panicked = post(&server, CAPTIONS, "k", &cat()).await;
    let reused = post(&server, CAPTIONS, "k", &json!({ "content_description": "a dog" })).await;
    let done = post(&server, CAPTIONS, "k", &cat()).await;
    let again = post(&server, CAPTIONS, "k", &cat()).await;

    assert_eq!((failed.status, panicked.status, done.status), (502, 500, 201));
    assert_eq!(reused.code(), (422, "idempotency_key_reused".to_owned()));
    assert!(is_replayed(&again) && again.body == done.body);
    let contexts = server.writer.contexts.lock().unwrap();
    let ids: Vec<_> = contexts.iter().map(|cx| cx.fresh_id).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(done.json()["id"], ids[0].to_string());
    assert_ne!(contexts[0].request_id, contexts[1].request_id);
}

#[tokio::test]
async fn of_fifty_at_once_one_is_written_and_all_get_it() {
    let server = Server::start([Turn::WaitThenSay(TEXT)]).await;
    let address = server.address;
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        crowd.spawn(async move {
            let headers = [("idempotency-key", "k"), ("content-type", "application/json")];
            send(address, "POST", CAPTIONS, &headers, cat().to_string().as_bytes()).await
        });
    }
    server.writer.is_busy_with(1).await;
    server.writer.let_go();

    let replies = crowd.join_all().await;

    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 201 && reply.body == replies[0].body)
    );
    assert_eq!(replies.iter().filter(|reply| is_replayed(reply)).count(), 49);
    assert_eq!((written(&server), server.store.captions().len()), (1, 1));
    // Who comes behind waits for the one ahead, or finds its answer in the store: nobody asks in a circle.
    assert!(steps(&server).len() <= 51, "{}", steps(&server).len());
}

#[tokio::test]
async fn who_is_behind_waits_for_two_seconds_and_then_comes_again() {
    let server = Arc::new(Server::start([Turn::WaitThenSay(TEXT)]).await);
    let ahead = tokio::spawn({
        let server = Arc::clone(&server);
        async move { post(&server, CAPTIONS, "k", &cat()).await }
    });
    server.writer.is_busy_with(1).await;

    let (cat, dog) = (cat(), json!({ "content_description": "a dog" }));
    let begun = Instant::now();
    let (told, other) = tokio::join!(post(&server, CAPTIONS, "k", &cat), post(&server, CAPTIONS, "k", &dog));
    let waited = begun.elapsed();
    let asked = steps(&server).len();
    server.writer.let_go();
    let done = ahead.await.unwrap();
    let again = post(&server, CAPTIONS, "k", &cat).await;

    assert_eq!(told.code(), (409, "idempotency_in_flight".to_owned()));
    assert_eq!(told.header("retry-after"), Some("1"));
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    assert_eq!(other.status, 422, "another request is not waited for");
    assert_eq!(asked, 2, "two claims, and no look beside");
    assert!(is_replayed(&again) && again.body == done.body);
    assert_eq!(written(&server), 1);
}

/// Another replica over the same ports.
async fn replica_of(server: &Server) -> Server {
    let engine = Arc::clone(&server.engine);
    Server::start_as([Turn::Panic], Limits::default(), |mut state| {
        state.engine = engine;
        state
    })
    .await
}

#[tokio::test]
async fn a_call_that_another_replica_works_on_is_waited_for_by_a_few_looks() {
    let one = Arc::new(Server::start([Turn::WaitThenSay(TEXT)]).await);
    let other = replica_of(&one).await;
    let ahead = tokio::spawn({
        let one = Arc::clone(&one);
        async move { post(&one, CAPTIONS, "k", &cat()).await }
    });
    one.writer.is_busy_with(1).await;

    let told = post(&other, CAPTIONS, "k", &cat()).await;
    let looks = steps(&one).len() - 1;
    one.writer.let_go();
    let done = ahead.await.unwrap();
    let again = post(&other, CAPTIONS, "k", &cat()).await;

    assert_eq!(told.code(), (409, "idempotency_in_flight".to_owned()));
    assert!((2..=6).contains(&looks), "{looks} looks");
    assert!(is_replayed(&again) && again.body == done.body);
    assert_eq!(written(&one), 1);
}

#[tokio::test]
async fn a_look_finds_the_answer_of_another_replica() {
    let one = Arc::new(Server::start([Turn::WaitThenSay(TEXT)]).await);
    let other = replica_of(&one).await;
    let ahead = tokio::spawn({
        let one = Arc::clone(&one);
        async move { post(&one, CAPTIONS, "k", &cat()).await }
    });
    one.writer.is_busy_with(1).await;
    let behind = tokio::spawn(async move { post(&other, CAPTIONS, "k", &cat()).await });
    while steps(&one).len() < 2 {
        tokio::task::yield_now().await;
    }

    one.writer.let_go();
    let (done, behind) = (ahead.await.unwrap(), behind.await.unwrap());

    assert!(is_replayed(&behind) && behind.body == done.body);
    assert_eq!(written(&one), 1);
}

/// Sends a request and leaves as soon as the writer has it.
async fn begin_and_leave(server: &Server, path: &str) {
    let body = cat().to_string();
    let mut connection = Connection::open(server.address).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nidempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write(head.as_bytes()).await;
    server.writer.is_busy_with(1).await;
    drop(connection);
    server.writer.is_busy_with(0).await;
}

#[rstest]
#[case::of_an_answer(CAPTIONS, 201)]
#[case::of_a_stream(STREAM, 200)]
#[tokio::test]
async fn who_leaves_gives_the_call_back(#[case] path: &str, #[case] status: u16) {
    let server = Server::start([Turn::WaitThenSay(TEXT), Turn::Say(TEXT)]).await;

    begin_and_leave(&server, path).await;
    let done = post(&server, path, "k", &cat()).await;

    assert_eq!((done.status, is_replayed(&done)), (status, false));
    assert_eq!((written(&server), server.store.captions().len()), (2, 1));
}

#[tokio::test]
async fn a_stream_is_given_again_in_one_piece() {
    let pieces = [
        Piece::Text("The sill is warm "),
        Piece::Text("and the cat knows it."),
        Piece::End,
    ];
    let server = Server::start([Turn::Pieces(pieces.to_vec()), Turn::Panic]).await;

    let first = post(&server, STREAM, "k", &cat()).await;
    let again = post(&server, STREAM, "k", &cat()).await;
    let seen = [("idempotency-key", "k"), ("last-event-id", "any")];
    let rest = post_as(&server, STREAM, &seen, &cat().to_string()).await;

    let events = |reply: &Reply| -> Vec<String> {
        let text = String::from_utf8(reply.body.clone()).unwrap();
        text.split_inclusive("\n\n").map(str::to_owned).collect()
    };
    let (told, played) = (events(&first), events(&again));
    assert_eq!((first.status, again.status, is_replayed(&again)), (200, 200, true));
    for same in ["content-type", "cache-control", "x-accel-buffering"] {
        assert_eq!(first.header(same), again.header(same), "{same}");
    }
    assert_eq!(played.len(), 3, "{played:?}");
    assert_eq!(
        events(&rest),
        [told[told.len() - 1].clone()],
        "who has seen some is told the end"
    );
    assert_eq!((&played[0], &played[2]), (&told[0], &told[told.len() - 1]));
    assert!(
        played[1].contains("event: caption.delta") && played[1].contains(TEXT),
        "{played:?}"
    );
    assert!(
        told.iter().filter(|event| event.contains("caption.delta")).count() >= 2,
        "{told:?}"
    );
    assert_eq!((written(&server), server.store.captions().len()), (1, 1));
}

#[tokio::test]
async fn who_left_a_stream_and_comes_back_with_key_and_event_is_told_all_of_one_that_completes() {
    let server = Server::start([Turn::WaitThenSay(TEXT), Turn::Say(TEXT), Turn::Panic]).await;
    begin_and_leave(&server, STREAM).await;
    let seen = [
        ("idempotency-key", "k"),
        ("last-event-id", "018f4c0e8d7b7a0c9b1e2f3a4b5c6d7e-2"),
    ];
    let come_back = async || post_as(&server, STREAM, &seen, &cat().to_string()).await;

    let (done, again) = (come_back().await, come_back().await);
    let other = post_as(&server, STREAM, &seen, r#"{"content_description": "a dog"}"#).await;

    let names = |reply: &Reply| -> Vec<String> {
        let text = String::from_utf8(reply.body.clone()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("event: "));
        names.map(str::to_owned).collect()
    };
    // The stream of that event is gone, so it begins anew and is told from its beginning.
    assert_eq!(names(&done), ["caption.created", "caption.delta", "caption.completed"]);
    assert_eq!(
        (names(&again), is_replayed(&again)),
        (vec!["caption.completed".into()], true)
    );
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    assert_eq!((written(&server), server.store.captions().len()), (2, 1));
}

#[tokio::test]
async fn a_stream_that_ended_in_an_error_is_tried_again() {
    let broken = [Piece::Text("The sill "), Piece::Wait, Piece::Fail(away())];
    let server = Server::start([Turn::Pieces(broken.to_vec()), Turn::Say(TEXT)]).await;
    server.writer.let_go();

    let first = post(&server, STREAM, "k", &cat()).await;
    let again = post(&server, STREAM, "k", &cat()).await;

    let text = |reply: &Reply| String::from_utf8(reply.body.clone()).unwrap();
    assert!(
        text(&first).contains("event: error") || first.status == 502,
        "{}",
        text(&first)
    );
    assert!(text(&again).contains("event: caption.completed"), "{}", text(&again));
    assert!(!is_replayed(&again));
}

#[rstest]
#[case::of_an_answer(CAPTIONS)]
#[case::of_a_stream(STREAM)]
#[tokio::test]
async fn a_caption_that_was_stored_before_its_process_died_is_found_and_not_written_again(#[case] path: &str) {
    let server = Server::start([Turn::Say(TEXT), Turn::Panic]).await;
    server.store.keeps_no_answers();
    let first = post(&server, path, "k", &cat()).await;
    let stored = server.store.captions();
    server.store.keeps_answers();
    lease_ends(&server).await;

    let found = post(&server, path, "k", &cat()).await;
    let again = post(&server, path, "k", &cat()).await;

    assert_eq!(
        (stored.len(), server.store.captions().len(), written(&server)),
        (1, 1, 1)
    );
    let id = stored[0].id.to_string();
    for reply in [&first, &found, &again] {
        let text = String::from_utf8(reply.body.clone()).unwrap();
        assert_eq!(reply.status, first.status, "{text}");
        assert!(text.contains(&id) && text.contains(TEXT), "{text}");
    }
    assert_eq!(first.header("location"), found.header("location"));
    assert_eq!((is_replayed(&found), is_replayed(&again)), (false, true));
    let text = |reply: &Reply| String::from_utf8(reply.body.clone()).unwrap();
    assert_eq!(text(&found), text(&again));
    assert_eq!(found.header("idempotency-kept"), None);
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_says_so_and_stays_claimed() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    server.store.keeps_no_answers();

    let first = post(&server, CAPTIONS, "k", &cat()).await;
    let told = post(&server, CAPTIONS, "k", &cat()).await;

    assert_eq!((first.status, first.header("idempotency-kept")), (201, Some("false")));
    assert_eq!(told.code(), (409, "idempotency_in_flight".to_owned()));
    assert_eq!(written(&server), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_kept_and_says_so() {
    let limits = Limits {
        body_limit: 1 << 20,
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Say(TEXT)], limits).await;
    let body = json!({ "text": "#ab ".repeat(100_000) });

    for _ in 0..2 {
        let reply = post(&server, "/v1/check", "k", &body).await;

        assert!(reply.body.len() > 1 << 20, "{} {}", reply.status, reply.body.len());
        assert_eq!((reply.status, reply.header("idempotency-kept")), (200, Some("false")));
        assert!(!is_replayed(&reply));
    }
}

#[rstest]
#[case::away(FaultKind::Unavailable)]
#[case::slow(FaultKind::Timeout)]
#[case::left_alone(FaultKind::CircuitOpen { retry_after: Duration::from_secs(3) })]
#[case::busy(FaultKind::Overloaded)]
#[tokio::test]
async fn with_the_store_away_nothing_is_done_that_could_be_done_twice(#[case] kind: FaultKind) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    server.store.breaks(Some(kind));

    let refused = post(&server, CAPTIONS, "k", &cat()).await;
    let without = post_as(&server, CAPTIONS, &[], &cat().to_string()).await;

    assert_eq!(refused.code(), (503, "store_unavailable".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert!(
        refused.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("nothing was done")
    );
    assert_eq!((without.status, written(&server)), (200, 1));
    server.store.breaks(None);
    assert_eq!(post(&server, CAPTIONS, "k", &cat()).await.status, 201);
}

#[tokio::test]
async fn a_user_that_was_made_before_its_process_died_is_found() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let ann = json!({ "id": "ann", "preferences": { "tone": "calm" } });
    server.store.keeps_no_answers();
    let first = post(&server, "/v1/users", "k", &ann).await;
    server.store.keeps_answers();
    lease_ends(&server).await;

    let found = post(&server, "/v1/users", "k", &ann).await;
    let exists = post(&server, "/v1/users", "k2", &ann).await;
    let again = post(&server, "/v1/users", "k2", &ann).await;

    assert_eq!((first.status, found.status), (201, 201));
    assert_eq!(first.json(), found.json());
    assert_eq!(exists.code(), (409, "user_exists".to_owned()));
    assert!(is_replayed(&again) && again.body == exists.body, "it would come again");
}

#[tokio::test]
async fn a_claim_names_whom_it_is_about_and_holds_a_little_longer_than_its_request() {
    let day = Duration::from_hours(7);
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.once = Once::new(day, Tasks::new(8));
        state
    })
    .await;
    let headers = [("idempotency-key", "k"), ("request-timeout-ms", "9000")];
    let body = json!({ "content_description": "a cat", "user_id": "ann" });

    post_as(&server, CAPTIONS, &headers, &body.to_string()).await;
    let id = server.store.captions()[0].id;
    post(&server, &format!("/v1/captions/{id}/rewrites"), "k", &json!({})).await;
    post(&server, "/v1/users/bob/suggestions/none/accept", "k", &json!({})).await;

    let steps = steps(&server);
    let claims: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Claim(claim) => Some(claim),
            _ => None,
        })
        .collect();
    assert_eq!(claims[0].user.as_ref().unwrap().as_str(), "ann");
    assert_eq!((claims[0].caption, claims[1].caption), (None, Some(id)));
    assert_eq!(claims[2].user.as_ref().unwrap().as_str(), "bob");
    let lease = claims[0].lease.as_secs_f64();
    assert!((9.0..=14.0).contains(&lease), "{lease}");
    assert!(claims.iter().all(|claim| claim.keep_for == day));
    let kept = steps
        .iter()
        .filter(|step| matches!(step, Step::Settle { keep_for, .. } if *keep_for == day));
    assert_eq!(kept.count(), 3);
}

#[tokio::test]
async fn tenants_with_the_same_key_never_meet() {
    let (server, rack) = with_keys(true).await;
    let ours = bearer(&rack.issue("ours", &[Scope::Write], |_| {}));
    let theirs = bearer(&rack.issue("theirs", &[Scope::Write], |_| {}));
    let ask = async |authorization: &str| {
        let headers = [("idempotency-key", "k"), ("authorization", authorization)];
        post_as(&server, CAPTIONS, &headers, &cat().to_string()).await
    };

    let (first, other) = (ask(&ours).await, ask(&theirs).await);
    let (again, other_again) = (ask(&ours).await, ask(&theirs).await);

    assert_eq!((first.status, other.status), (201, 201), "{}", first.json());
    assert!(!is_replayed(&first) && !is_replayed(&other));
    assert_ne!(first.json()["id"], other.json()["id"]);
    assert!(is_replayed(&again) && again.body == first.body);
    assert!(is_replayed(&other_again) && other_again.body == other.body);
    let strangers = ask("Bearer captions_nobodys").await;
    assert_eq!((strangers.status, is_replayed(&strangers)), (401, false));
}

#[tokio::test]
async fn a_large_body_is_taken_where_it_is_taken_without_a_key() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let picture = json!({ "content_description": "a cat", "image": { "data": "A".repeat(300 * 1024) } });
    let text = json!({ "content_description": "a".repeat(300 * 1024) });

    let plain = post_as(&server, CAPTIONS, &[], &picture.to_string()).await;
    let keyed = post(&server, CAPTIONS, "k", &picture).await;
    let too_large = post(&server, CAPTIONS, "k2", &text).await;

    assert_eq!(plain.code(), keyed.code());
    assert_ne!(plain.status, 413, "{}", plain.json());
    assert_eq!(too_large.code(), (413, "body_too_large".to_owned()));
}
