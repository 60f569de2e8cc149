//! Limits of a request's head, requests that two servers may read in two ways, and what browsers are told.

use captions_http::Limits;
use rstest::rstest;
use serde_json::json;

use crate::{
    client::{Connection, Reply, get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn small() -> Limits {
    Limits {
        uri_limit: 300,
        header_limit: 1000,
        header_count: 12,
        json_depth: 6,
        ..Limits::default()
    }
}

#[tokio::test]
async fn an_address_has_a_limit_that_the_problem_names() {
    let server = Server::start_with([Turn::Say(TEXT)], small()).await;
    let path = |length: usize| format!("/v1/users/{}", "u".repeat(length - 10));

    let most = get(server.address, &path(300)).await;
    let more = get(server.address, &path(301)).await;

    assert_eq!(most.status, 400, "the address is read, and the id in it is too long");
    assert_eq!(more.code(), (414, "uri_too_long".into()));
    assert_eq!(more.problem()["detail"], "path and query have at most 300 bytes");
    assert_eq!(more.header("connection"), Some("close"));
    let by_default = Server::start([Turn::Say(TEXT)]).await;
    assert_eq!(get(by_default.address, &path(301)).await.status, 400);
    assert_eq!(get(by_default.address, &path(8193)).await.status, 414);
}

#[tokio::test]
async fn headers_have_limits_that_the_problem_names() {
    let server = Server::start_with([Turn::Say(TEXT)], small()).await;
    let many = [("x-a", "1"); 10];
    let long = "x".repeat(1000);

    let most = send(server.address, "GET", "/livez", &many, b"").await;
    let more = send(
        server.address,
        "GET",
        "/livez",
        &[&many[..], &[("x-b", "1")]].concat(),
        b"",
    )
    .await;
    let longer = send(server.address, "GET", "/livez", &[("x-a", long.as_str())], b"").await;

    assert_eq!(most.status, 200);
    assert_eq!(more.code(), (431, "headers_too_large".into()));
    assert_eq!(more.problem()["detail"], "a request has at most 12 headers");
    assert_eq!(longer.code(), (431, "headers_too_large".into()));
    assert_eq!(
        longer.problem()["detail"],
        "all headers together have at most 1000 bytes"
    );
    let by_default = Server::start([Turn::Say(TEXT)]).await;
    assert_eq!(
        send(by_default.address, "GET", "/livez", &[("x-a", long.as_str())], b"")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn far_beyond_its_limits_a_head_gets_the_bare_status() {
    let server = Server::start_with([Turn::Say(TEXT)], small()).await;
    let mut connection = Connection::open(server.address).await;

    connection.write(b"GET /livez HTTP/1.1\r\nx-huge: ").await;
    connection.write(&vec![b'x'; 40 * 1024]).await;
    connection.write(b"\r\n\r\n").await;

    assert_eq!(connection.head().await.status, 431);
    connection.closed().await;
}

#[rstest]
#[case::of_a_field(
    r#"{"content_description": "a cat", "tone": "calm", "tone": "warm"}"#,
    422,
    "invalid_request",
    "/tone"
)]
#[case::spelled_in_two_ways(
    r#"{"content_description": "a cat", "content\u005fdescription": "a dog"}"#,
    422,
    "invalid_request",
    "/content_description"
)]
#[case::too_deep(
    r#"{"content_description": [[[[[["x"]]]]]]}"#,
    400,
    "invalid_json",
    "/content_description/0/0/0/0/0"
)]
#[tokio::test]
async fn what_two_readers_may_read_in_two_ways_is_refused_and_pointed_at(
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
    #[case] pointer: &str,
) {
    let server = Server::start_with([Turn::Say(TEXT)], small()).await;

    for (method, path) in [
        ("POST", "/v1/captions"),
        ("POST", "/v1/captions/stream"),
        ("POST", "/v1/check"),
        ("PATCH", "/v1/users/ana"),
    ] {
        let reply = send(server.address, method, path, &JSON, body.as_bytes()).await;

        assert_eq!(reply.code(), (status, code.to_owned()), "{path}");
        assert_eq!(reply.problem()["errors"][0]["pointer"], pointer, "{path}");
    }
    assert!(server.writer.prompts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn numbers_without_end_are_refused_where_they_stand() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    for seed in ["1e400", "-1e400"] {
        let body = format!(r#"{{"content_description": "a cat", "seed": {seed}}}"#);
        let reply = send(server.address, "POST", "/v1/captions", &JSON, body.as_bytes()).await;
        assert_eq!(reply.code(), (400, "invalid_json".into()), "{seed}");
    }
    for (field, number) in [
        ("seed", "9".repeat(300)),
        ("variants", "123456789012345678901234567890".into()),
        ("variants", "1.5".into()),
        ("max_chars", "-0".into()),
    ] {
        let body = format!(r#"{{"content_description": "a cat", "{field}": {number}}}"#);
        let reply = send(server.address, "POST", "/v1/captions", &JSON, body.as_bytes()).await;
        assert_eq!(reply.code(), (422, "invalid_request".into()), "{body}");
        assert_eq!(reply.problem()["errors"][0]["pointer"], format!("/{field}"));
    }
}

/// Requests that a server on the way may end elsewhere than this one. Each is followed by another request on the same
/// connection, which no answer may be given to.
#[rstest]
#[case::two_lengths("content-length: 2\r\ncontent-length: 40")]
#[case::two_lengths_in_one("content-length: 2, 40")]
#[case::a_length_with_a_sign("content-length: +2")]
#[case::a_length_that_is_none("content-length: 0x2")]
#[case::a_space_before_the_colon("content-length : 2")]
#[case::a_folded_header("content-length: 2\r\nx-folded: a\r\n b")]
#[case::unknown_coding("transfer-encoding: xchunked")]
#[case::chunked_is_not_last("transfer-encoding: chunked, identity")]
#[case::coding_behind_a_tab("transfer-encoding:\x0bchunked")]
#[case::a_nul_in_a_header("content-length: 2\r\nx-nul: a\0b")]
#[case::a_lone_return("content-length: 2\r\nx-lone: a\rb")]
#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused_and_the_connection_closed(#[case] headers: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;
    let smuggled = "GET /livez HTTP/1.1\r\nhost: test\r\n\r\n";

    let head = format!("POST /v1/check HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{headers}\r\n\r\n");
    connection.write(format!("{head}{{}}{smuggled}").as_bytes()).await;

    let reply = connection.head().await;
    assert_eq!(reply.status, 400);
    connection.closed().await;
}

#[rstest]
#[case::no_number("zz\r\n{}\r\n0\r\n\r\n")]
#[case::a_negative_one("-2\r\n{}\r\n0\r\n\r\n")]
#[case::more_than_there_is_room_for("fffffffffffffffff\r\n{}\r\n0\r\n\r\n")]
#[case::a_bare_line_feed("2\n{}\r\n0\r\n\r\n")]
#[case::longer_than_told("2\r\n{}}\r\n0\r\n\r\n")]
#[tokio::test]
async fn a_body_in_broken_chunks_is_refused_and_the_connection_closed(#[case] chunks: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;

    let head =
        "POST /v1/check HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    connection
        .write(format!("{head}{chunks}GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
        .await;

    let reply = connection.reply().await;
    assert_eq!(reply.code(), (400, "invalid_json".into()));
    connection.closed().await;
}

/// By the standard the chunks count, and the connection must not be used again.
#[rstest]
#[case::length_first("content-length: 4\r\ntransfer-encoding: chunked")]
#[case::chunks_first("transfer-encoding: chunked\r\ncontent-length: 4")]
#[case::chunks_alone("transfer-encoding: chunked")]
#[tokio::test]
async fn what_comes_behind_a_body_in_chunks_is_never_read_as_a_request(#[case] headers: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;
    let body = r#"{"text": "Warm loaves."}"#;
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());

    let head = format!("POST /v1/check HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{headers}\r\n\r\n");
    let smuggled = "GET /livez HTTP/1.1\r\nhost: test\r\n\r\n";
    connection.write(format!("{head}{chunks}{smuggled}").as_bytes()).await;

    let reply = connection.reply().await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(reply.header("connection"), Some("close"));
    connection.closed().await;
}

/// Lines may end without a carriage return; then they end there for this server as well.
#[tokio::test]
async fn bare_line_feeds_end_a_line_and_hide_no_header() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;
    let body = r#"{"text": "Warm loaves."}"#;

    let head = format!(
        "POST /v1/check HTTP/1.1\nhost: test\ncontent-type: application/json\ncontent-length: {}\n\n",
        body.len()
    );
    connection.write(format!("{head}{body}").as_bytes()).await;
    let reply = connection.reply().await;

    assert_eq!(reply.status, 200);
    assert_eq!(connection.get("/livez").await.body, b"ok", "nothing was left over");
}

#[tokio::test]
async fn two_hosts_are_one_too_many() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send(server.address, "GET", "/livez", &[("host", "other")], b"").await;

    assert_eq!(reply.code(), (400, "invalid_parameter".into()));
}

fn is_covered(reply: &Reply) {
    let is = |name: &str| {
        reply
            .header(name)
            .unwrap_or_else(|| panic!("no {name} with {}", reply.status))
    };
    assert_eq!(is("x-content-type-options"), "nosniff");
    assert_eq!(is("referrer-policy"), "no-referrer");
    assert_eq!(is("x-frame-options"), "DENY");
    assert_eq!(is("cross-origin-resource-policy"), "same-origin");
    assert!(
        is("content-security-policy").starts_with("default-src 'none';"),
        "{}",
        is("content-security-policy")
    );
    assert!(is("content-security-policy").contains("frame-ancestors 'none'"));
    is("cache-control");
    assert_eq!(reply.header("access-control-allow-origin"), None, "CORS is off");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_leave_it_alone() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let cat = json!({"content_description": "a cat"});
    let origin = [("origin", "https://app.example"), ("accept", "text/html")];

    for path in [
        "/livez",
        "/readyz",
        "/openapi.json",
        "/v1/stats",
        "/errors/overloaded",
        "/v1/users/nobody",
        "/nowhere",
    ] {
        is_covered(&send(server.address, "GET", path, &origin, b"").await);
    }
    is_covered(&send_json(server.address, "POST", "/v1/captions", &cat).await);
    is_covered(&send_json(server.address, "POST", "/v1/captions/stream", &cat).await);
    is_covered(&send_json(server.address, "POST", "/v1/captions", &json!({})).await);
    is_covered(&send_json(server.address, "DELETE", "/v1/captions", &cat).await);
}

#[tokio::test]
async fn pages_of_the_origins_in_the_settings_may_read_answers_and_no_others() {
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.cors_origins = vec!["https://app.example".into(), "http://localhost:3000".into()];
        state
    })
    .await;
    let body = br#"{"content_description": "a cat"}"#;
    let from = |origin: &'static str| [("content-type", "application/json"), ("origin", origin)];

    for origin in ["https://app.example", "http://localhost:3000"] {
        let reply = send(server.address, "POST", "/v1/captions", &from(origin), body).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert!(reply.header("vary").unwrap().contains("origin"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        let shown = reply.header("access-control-expose-headers").unwrap();
        for ours in [
            "x-request-id",
            "captions-provider",
            "retry-after",
            "ratelimit",
            "etag",
            "location",
            "server-timing",
            "idempotency-kept",
            "idempotency-replayed",
        ] {
            assert!(shown.split(',').any(|name| name == ours), "{ours} is not among {shown}");
        }
    }
    // What is refused can be read too.
    let refused = send(
        server.address,
        "POST",
        "/v1/captions",
        &from("https://app.example"),
        b"{}",
    )
    .await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (422, Some("https://app.example"))
    );
    let other = send(
        server.address,
        "POST",
        "/v1/captions",
        &from("https://evil.example"),
        body,
    )
    .await;
    assert_eq!(other.header("access-control-allow-origin"), None);

    let asks = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,authorization,last-event-id",
        ),
    ];
    let preflight = send(server.address, "OPTIONS", "/v1/captions/stream", &asks, b"").await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    assert!(
        preflight
            .header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    for name in ["authorization", "content-type", "last-event-id", "idempotency-key"] {
        assert!(
            preflight.header("access-control-allow-headers").unwrap().contains(name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn any_origin_is_a_setting_too() {
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.cors_origins = vec!["*".into()];
        state
    })
    .await;

    let reply = send(
        server.address,
        "GET",
        "/livez",
        &[("origin", "https://any.example")],
        b"",
    )
    .await;

    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}
