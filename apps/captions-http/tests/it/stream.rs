use std::time::{Duration, Instant};

use axum::body::Body;
use captions_domain::fault::{Fault, FaultKind, LlmError};
use captions_http::{Limits, router};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    client::{Connection, send_json},
    ports::{Piece, Turn},
    server::{self, Server, TEXT},
};

/// Opens a stream; the head is not yet read.
async fn open(server: &Server, body: &Value) -> Connection {
    open_after(server, body, "").await
}

/// The same by somebody who has the event of this id.
pub(crate) async fn open_after(server: &Server, body: &Value, last: &str) -> Connection {
    let body = body.to_string();
    let mut connection = Connection::open(server.address).await;
    let last = if last.is_empty() {
        String::new()
    } else {
        format!("last-event-id: {last}\r\n")
    };
    let head = format!(
        "POST /v1/captions/stream HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{last}content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write(format!("{head}{body}").as_bytes()).await;
    connection
}

/// The events to the end of the stream.
pub(crate) async fn events(connection: &mut Connection) -> Vec<(String, Value)> {
    frames(connection)
        .await
        .into_iter()
        .map(|frame| (frame.name, frame.data))
        .collect()
}

/// The same with their ids.
pub(crate) async fn frames(connection: &mut Connection) -> Vec<Frame> {
    let mut text = Vec::new();
    while let Some(chunk) = connection.chunk().await {
        text.extend(chunk);
    }
    read(&text)
}

/// One event as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) id: String,
}

pub(crate) fn read(text: &[u8]) -> Vec<Frame> {
    let text = std::str::from_utf8(text).unwrap();
    let frames = text
        .split("\n\n")
        .filter(|frame| !frame.is_empty() && !frame.starts_with(':'));
    frames
        .map(|frame| {
            let field = |name: &str| {
                let line = frame.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("{name}{frame:?}"))
            };
            Frame {
                name: field("event: ").to_owned(),
                data: serde_json::from_str(field("data: ")).unwrap(),
                id: field("id: ").to_owned(),
            }
        })
        .collect()
}

fn parse(text: &[u8]) -> Vec<(String, Value)> {
    read(text).into_iter().map(|frame| (frame.name, frame.data)).collect()
}

pub(crate) fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

pub(crate) fn cat() -> Value {
    json!({"content_description": "a cat on a sill"})
}

#[tokio::test]
async fn a_stream_tells_the_text_as_it_is_written_and_ends_with_the_document() {
    let server = Server::start([Turn::Pieces(vec![
        Piece::Text("The sill is warm "),
        Piece::Progress,
        Piece::Text("and the cat knows it."),
        Piece::End,
    ])])
    .await;

    let mut connection = open(&server, &cat()).await;
    let head = connection.head().await;
    let events = events(&mut connection).await;

    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(
        names(&events),
        ["caption.created", "caption.delta", "caption.delta", "caption.completed"]
    );
    assert_eq!(events[0].1, json!({"request_id": head.header("x-request-id")}));
    assert_eq!(events[1].1, json!({"candidate": 1, "text": "The sill is warm "}));
    let document = &events[3].1;
    assert_eq!(document["caption"], TEXT);
    assert_eq!(document["request_id"].as_str(), head.header("x-request-id"));
    let stored = crate::client::get(
        server.address,
        &format!("/v1/captions/{}", document["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(stored.json()["variants"], document["variants"]);
}

#[tokio::test]
async fn text_that_is_void_is_withdrawn_before_the_next_begins() {
    let server = Server::start([Turn::Pieces(vec![
        Piece::Text("The si"),
        Piece::Withdrawn("timeout"),
        Piece::Text(TEXT),
        Piece::End,
    ])])
    .await;

    let mut connection = open(&server, &cat()).await;
    connection.head().await;
    let events = events(&mut connection).await;

    assert_eq!(
        names(&events),
        [
            "caption.created",
            "caption.delta",
            "caption.withdrawn",
            "caption.delta",
            "caption.completed"
        ]
    );
    assert_eq!(events[2].1, json!({"candidate": 1, "code": "timeout"}));
    assert_eq!(events[3].1, json!({"candidate": 2, "text": TEXT}));
}

#[tokio::test]
async fn a_failure_before_the_first_event_is_an_ordinary_problem() {
    let server = Server::start([Turn::Fail(LlmError::Refused)]).await;

    let reply = send_json(server.address, "POST", "/v1/captions/stream", &cat()).await;
    assert_eq!(reply.code(), (422, "content_refused".into()));

    let reply = send_json(server.address, "POST", "/v1/captions/stream", &json!({"tone": "calm"})).await;
    assert_eq!(reply.code(), (422, "invalid_request".into()));
}

#[tokio::test]
async fn a_failure_after_the_first_event_is_the_last_event() {
    let broken = LlmError::Fault(Fault::new(FaultKind::Unavailable));
    let pieces = vec![Piece::Text("The si"), Piece::Wait, Piece::Fail(broken)];
    let server = Server::start([Turn::Pieces(pieces)]).await;

    let mut connection = open(&server, &cat()).await;
    let head = connection.head().await;
    server.writer.let_go();
    let events = events(&mut connection).await;

    assert_eq!(
        names(&events),
        ["caption.created", "caption.delta", "caption.withdrawn", "error"]
    );
    let problem = &events[3].1;
    assert_eq!(
        (&problem["code"], &problem["status"]),
        (&json!("provider_unavailable"), &json!(502))
    );
    assert_eq!(problem["request_id"].as_str(), head.header("x-request-id"));
    assert_eq!(
        (&problem["instance"], &problem["attempts"]),
        (&json!("/v1/captions/stream"), &json!(1))
    );
}

#[tokio::test]
async fn a_slow_writer_gets_its_stream_opened_before_the_first_word() {
    let server = Server::start([Turn::WaitThenSay(TEXT)]).await;

    let mut connection = open(&server, &cat()).await;
    let head = connection.head().await;
    let first = connection.chunk().await.unwrap();

    assert_eq!(head.status, 200);
    assert_eq!(names(&parse(&first)), ["caption.created"]);
    server.writer.let_go();
    assert_eq!(
        names(&events(&mut connection).await),
        ["caption.delta", "caption.completed"]
    );
}

#[tokio::test]
async fn a_stream_that_nobody_feeds_ends_with_an_error_at_its_deadline() {
    let limits = Limits {
        deadline: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Pieces(vec![Piece::Text("The si"), Piece::Wait])], limits).await;

    let mut connection = open(&server, &cat()).await;
    connection.head().await;
    let events = events(&mut connection).await;

    assert_eq!(names(&events), ["caption.created", "caption.delta", "error"]);
    assert_eq!(events[2].1["code"], "provider_timeout");
    server.writer.is_busy_with(0).await;
}

#[tokio::test]
async fn closing_the_connection_stops_the_writing() {
    let server = Server::start([Turn::Pieces(vec![Piece::Text("The si"), Piece::Wait])]).await;
    let mut connection = open(&server, &cat()).await;
    connection.head().await;
    connection.chunk().await.unwrap();
    server.writer.is_busy_with(1).await;

    let left = Instant::now();
    drop(connection);
    server.writer.is_busy_with(0).await;

    assert!(left.elapsed() < Duration::from_secs(10), "{:?}", left.elapsed());
}

#[tokio::test]
async fn a_stored_caption_streams_too() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    send_json(server.address, "POST", "/v1/captions", &cat()).await;

    let mut connection = open(&server, &cat()).await;
    connection.head().await;
    let events = events(&mut connection).await;

    assert_eq!(
        names(&events),
        ["caption.created", "caption.delta", "caption.completed"]
    );
    assert_eq!(events[2].1["source"], "cache");
}

#[tokio::test]
async fn further_variants_come_with_the_document() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let mut connection = open(
        &server,
        &json!({"content_description": "a cat on a sill", "variants": 3}),
    )
    .await;
    connection.head().await;
    let events = events(&mut connection).await;

    let document = &events.last().unwrap().1;
    assert_eq!(
        names(&events),
        ["caption.created", "caption.delta", "caption.completed"]
    );
    assert!(document["variants"].as_array().unwrap().len() >= 2, "{document}");
}

#[tokio::test]
async fn a_stream_whose_time_is_up_before_its_first_event_is_an_ordinary_problem() {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start_with([Turn::WaitThenSay(TEXT)], limits).await;

    let begun = Instant::now();
    let reply = send_json(server.address, "POST", "/v1/captions/stream", &cat()).await;

    assert_eq!(reply.code(), (504, "provider_timeout".into()));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_panic_in_the_middle_is_the_last_event() {
    let pieces = vec![Piece::Text("The si"), Piece::Wait, Piece::Panic];
    let server = Server::start([Turn::Pieces(pieces), Turn::Say(TEXT)]).await;

    let mut connection = open(&server, &cat()).await;
    connection.head().await;
    server.writer.let_go();
    let events = events(&mut connection).await;

    assert_eq!(names(&events), ["caption.created", "caption.delta", "error"]);
    assert_eq!(events[2].1["code"], "internal");
    assert!(!events[2].1.to_string().contains("secret"));
    assert_eq!(
        send_json(server.address, "POST", "/v1/captions", &cat()).await.status,
        201
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_moves_is_kept_open_by_comments() {
    let limits = Limits {
        deadline: Duration::from_secs(40),
        ..Limits::default()
    };
    let (state, ..) = server::state([Turn::WaitThenSay(TEXT)], limits);
    let request = Request::post("/v1/captions/stream").header("content-type", "application/json");
    let request = request.body(Body::from(cat().to_string())).unwrap();

    let begun = tokio::time::Instant::now();
    let mut body = router(state).oneshot(request).await.unwrap().into_body();
    let mut told = Vec::new();
    while let Some(frame) = body.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        told.push((begun.elapsed().as_secs(), text.lines().next().unwrap().to_owned()));
    }

    // The deadline is one of the machine's own clock, which a busy machine lets run on.
    let (end, _) = told.pop().unwrap();
    assert!((40..45).contains(&end), "{end}");
    assert_eq!(
        told,
        [
            (1, "event: caption.created".into()),
            (16, ": keep-alive".into()),
            (31, ": keep-alive".into()),
        ]
    );
}
