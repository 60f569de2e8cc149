use std::time::Duration;

use captions_domain::fault::{Fault, FaultKind, LlmError};
use captions_http::Limits;
use captions_wiring::monitor::{OperationStats, Outcomes};
use serde_json::{Value, json};

use crate::{
    client::{Connection, get, send, send_json},
    ports::{Piece, Turn},
    server::{Server, TEXT},
};

fn away() -> Turn {
    Turn::Fail(LlmError::Fault(Fault::new(FaultKind::Unavailable)))
}

fn cat() -> Value {
    json!({"content_description": "a cat on a sill"})
}

async fn json_of(server: &Server, body: &Value) -> u16 {
    send_json(server.address, "POST", "/v1/captions", body).await.status
}

/// Waits for the answer to its end.
async fn stream_of(server: &Server, body: &Value) -> u16 {
    send_json(server.address, "POST", "/v1/captions/stream", body)
        .await
        .status
}

/// The operation's counts once that many have ended: one that a client has left ends when the server notices.
async fn ended(server: &Server, operation: &str, total: u64) -> OperationStats {
    let look = async {
        loop {
            let stats = server.monitor.summary().operations[operation].clone();
            if stats.total >= total {
                return stats;
            }
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look)
        .await
        .expect("never counted")
}

#[tokio::test]
async fn each_caption_is_counted_once_by_how_it_ended() {
    let server = Server::start([Turn::Say(TEXT), away(), Turn::Fail(LlmError::Refused)]).await;
    // Written, found in the cache, failed, refused by the provider, refused by the rules.
    assert_eq!(json_of(&server, &cat()).await, 201);
    assert_eq!(json_of(&server, &cat()).await, 200);
    let dog = json!({"content_description": "a dog in the rain"});
    assert_eq!(json_of(&server, &dog).await, 502);
    assert_eq!(json_of(&server, &dog).await, 422);
    assert_eq!(json_of(&server, &json!({"content_description": "x"})).await, 422);
    // A body that is no request is none.
    let no_json = [("content-type", "application/json")];
    send(server.address, "POST", "/v1/captions", &no_json, b"{").await;

    let stats = get(server.address, "/v1/stats").await;

    assert_eq!(stats.status, 200);
    let stats = stats.json();
    let operation = &stats["operations"]["caption_generation"];
    assert_eq!(
        operation["outcomes"],
        json!({
            "ok": 1, "hit": 1, "stale": 0, "coalesced": 0, "fallback": 0, "refused": 2, "failed": 1, "cancelled": 0
        })
    );
    assert_eq!(
        (&operation["total"], &operation["successful"], &operation["failed"]),
        (&json!(5), &json!(2), &json!(1))
    );
    assert_eq!(stats["total_operations"], 5);
    assert_eq!(stats["success_rate"], json!(2.0 / 3.0));
    let (average, total) = (
        stats["avg_duration"].as_f64().unwrap(),
        stats["total_duration"].as_f64().unwrap(),
    );
    assert!(total > 0.0 && (average - total / 5.0).abs() < 1e-9, "{average} {total}");
    assert!(operation["recent"]["p95"].as_f64() >= operation["recent"]["p50"].as_f64());
    for part in ["database", "cache", "api", "event_loop", "recent"] {
        assert!(stats[part].is_object(), "{part}");
    }
}

#[tokio::test]
async fn each_rewrite_is_counted_once_by_how_it_ended() {
    let server = Server::start([
        Turn::Say("The sill is warm, and so is the cat."),
        away(),
        away(),
        Turn::Fail(LlmError::Refused),
    ])
    .await;
    let tone = json!({"text": TEXT, "operation": "tone", "tone": "formal"});
    let shorter = json!({"text": TEXT.repeat(4), "operation": "shorten", "target_chars": 60});
    // Written, by rules, failed, refused by the provider, refused by the rules, and of no stored caption.
    for (body, status) in [
        (&tone, 200),
        (&shorter, 200),
        (&tone, 502),
        (&tone, 422),
        (&json!({"operation": "fix"}), 422),
    ] {
        assert_eq!(
            send_json(server.address, "POST", "/v1/rewrites", body).await.status,
            status,
            "{body}"
        );
    }
    let nobody = "/v1/captions/01890000-0000-7000-8000-000000000001/rewrites";
    assert_eq!(
        send_json(server.address, "POST", nobody, &json!({"operation": "fix"}))
            .await
            .status,
        404
    );

    let stats = get(server.address, "/v1/stats").await.json();

    assert_eq!(
        stats["operations"]["rewrite"]["outcomes"],
        json!({"ok": 1, "hit": 0, "stale": 0, "coalesced": 0, "fallback": 1, "refused": 3, "failed": 1, "cancelled": 0})
    );
    assert_eq!(stats["total_operations"], 6);
}

#[tokio::test]
async fn each_stream_is_counted_once_by_how_it_ended() {
    let broken = LlmError::Fault(Fault::new(FaultKind::Unavailable));
    let script = [
        Turn::Say(TEXT),
        away(),
        Turn::Pieces(vec![Piece::Text("The si"), Piece::Fail(broken)]),
        Turn::Pieces(vec![Piece::Text("The si"), Piece::Panic]),
    ];
    let server = Server::start(script).await;
    for about in ["a cat", "a dog", "a fox", "an owl"] {
        let body = json!({"content_description": format!("{about} in the rain"), "allow_fallback": false});
        stream_of(&server, &body).await;
    }
    assert_eq!(stream_of(&server, &json!({"content_description": "x"})).await, 422);

    let stats = ended(&server, "caption_stream", 5).await;

    assert_eq!(
        stats.outcomes,
        Outcomes {
            ok: 1,
            failed: 3,
            refused: 1,
            ..Outcomes::default()
        }
    );
    assert_eq!(stats.in_flight, 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_cancelled() {
    let server = Server::start([Turn::WaitThenSay(TEXT)]).await;
    for path in ["/v1/captions", "/v1/captions/stream"] {
        let body = cat().to_string();
        let mut connection = Connection::open(server.address).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write(head.as_bytes()).await;
        server.writer.is_busy_with(1).await;
        drop(connection);
        server.writer.is_busy_with(0).await;
    }

    for operation in ["caption_generation", "caption_stream"] {
        let stats = ended(&server, operation, 1).await;
        let expected = Outcomes {
            cancelled: 1,
            ..Outcomes::default()
        };
        assert_eq!((stats.outcomes, stats.success_rate), (expected, None), "{operation}");
    }
}

#[tokio::test]
async fn a_panic_and_a_caption_that_comes_too_late_are_failures() {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Panic, Turn::WaitThenSay(TEXT)], limits).await;

    assert_eq!(json_of(&server, &cat()).await, 500);
    assert_eq!(json_of(&server, &cat()).await, 504);

    let stats = ended(&server, "caption_generation", 2).await;
    assert_eq!((stats.total, stats.failed), (2, 2));
}
