use std::{sync::Arc, time::Duration};

use captions_http::{Component, ComponentStatus, Limits};
use serde_json::{Value, json};

use crate::{
    client::{Connection, get, send_json},
    ports::{Piece, Turn},
    server::{Server, TEXT},
};

async fn post(server: &Server, path: &str) -> Connection {
    let body = json!({"content_description": "a cat on a sill"}).to_string();
    let mut connection = Connection::open(server.address).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write(format!("{head}{body}").as_bytes()).await;
    connection
}

fn quick() -> Limits {
    Limits {
        drain: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// Waits until the server has noticed that it is to stop.
async fn drains(server: &Server) {
    for _ in 0..1000 {
        if get(server.address, "/readyz").await.status == 503 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("does not drain");
}

#[tokio::test]
async fn a_server_without_work_stops_at_once() {
    let mut server = Server::start([Turn::Say(TEXT)]).await;
    let mut idle = Connection::open(server.address).await;
    idle.get("/livez").await;

    server.stop();

    server.ended().await;
    idle.closed().await;
}

#[tokio::test]
async fn what_has_begun_is_finished_and_new_work_is_turned_away() {
    let mut server = Server::start([Turn::WaitThenSay(TEXT)]).await;
    let mut begun = post(&server, "/v1/captions").await;
    let mut streaming = post(&server, "/v1/captions/stream").await;
    server.writer.is_busy_with(2).await;
    streaming.head().await;

    server.stop();
    drains(&server).await;
    let turned_away = send_json(
        server.address,
        "POST",
        "/v1/captions",
        &json!({"content_description": "a dog"}),
    )
    .await;
    let ready = get(server.address, "/readyz").await;
    let live = get(server.address, "/livez").await;
    server.writer.let_go();
    let finished = begun.reply().await;
    let mut events = String::new();
    while let Some(chunk) = streaming.chunk().await {
        events.push_str(std::str::from_utf8(&chunk).unwrap());
    }

    assert_eq!(turned_away.code(), (503, "shutting_down".into()));
    assert_eq!(turned_away.header("retry-after"), Some("1"));
    assert_eq!((ready.status, ready.json()), (503, json!({"status": "draining"})));
    assert_eq!(live.status, 200);
    assert_eq!((finished.status, &finished.json()["caption"]), (201, &json!(TEXT)));
    assert!(events.contains("event: caption.completed"), "{events}");
    server.ended().await;
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_told_that_the_server_stops() {
    let mut server = Server::start_with(
        [
            Turn::Pieces(vec![Piece::Text("The si"), Piece::Wait]),
            Turn::WaitThenSay(TEXT),
        ],
        quick(),
    )
    .await;
    let mut streaming = post(&server, "/v1/captions/stream").await;
    streaming.head().await;
    server.writer.is_busy_with(1).await;
    let mut waiting = post(&server, "/v1/captions").await;
    server.writer.is_busy_with(2).await;

    server.stop();
    let cut = waiting.reply().await;
    let mut events = String::new();
    while let Some(chunk) = streaming.chunk().await {
        events.push_str(std::str::from_utf8(&chunk).unwrap());
    }

    assert_eq!(cut.code(), (503, "shutting_down".into()));
    assert_eq!(
        (cut.header("retry-after"), &cut.problem()["attempts"]),
        (Some("1"), &json!(1))
    );
    let events = crate::stream::read(events.as_bytes());
    let last = events.last().unwrap();
    assert_eq!(last.name, "error", "{events:?}");
    let problem: &Value = &last.data;
    assert_eq!(
        (&problem["code"], &problem["retryable"]),
        (&json!("shutting_down"), &json!(true))
    );
    server.writer.is_busy_with(0).await;
    server.ended().await;
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_hold_the_server() {
    let mut server = Server::start_with([Turn::Say(TEXT)], quick()).await;
    let mut stuck = Connection::open(server.address).await;
    stuck.write(b"POST /v1/captions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{").await;

    server.stop();

    server.ended().await;
}

#[tokio::test]
async fn readiness_names_what_is_degraded_and_stays_ready() {
    let component = Component {
        name: "cache".into(),
        status: ComponentStatus::Degraded,
        detail: Some("not reachable".into()),
    };
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.components = Arc::new(move || {
            let component = component.clone();
            Box::pin(async { vec![component] })
        });
        state
    })
    .await;

    let short = get(server.address, "/readyz").await;
    let long = get(server.address, "/readyz?verbose").await;

    assert_eq!((short.status, short.json()), (200, json!({"status": "degraded"})));
    assert_eq!(
        long.json(),
        json!({"status": "degraded", "components": [{"name": "cache", "status": "degraded", "detail": "not reachable"}]})
    );
}

#[tokio::test]
async fn readiness_is_ok_when_nothing_is_wrong() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    assert_eq!(
        get(server.address, "/readyz?verbose").await.json(),
        json!({"status": "ok", "components": []})
    );
}
