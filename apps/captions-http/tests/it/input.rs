//! What a hostile or careless client sends. Whatever it is: a typed refusal, and the server lives on.

use std::time::{Duration, Instant};

use captions_http::Limits;
use rstest::rstest;
use serde_json::json;

use crate::{
    client::{Connection, get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn lives_on(server: &Server) {
    let body = json!({"content_description": "a cat", "store": false});
    assert_eq!(
        send_json(server.address, "POST", "/v1/captions", &body).await.status,
        200
    );
}

#[rstest]
#[case::empty(b"", 400, "invalid_json")]
#[case::blank(b" \n", 400, "invalid_json")]
#[case::text(b"a cat", 400, "invalid_json")]
#[case::cut_off(b"{\"content_description\": \"a c", 400, "invalid_json")]
#[case::two_values(b"{} {}", 400, "invalid_json")]
#[case::lone_surrogate(b"{\"content_description\": \"a \\ud800 cat\"}", 400, "invalid_json")]
#[case::lone_low_surrogate(b"{\"content_description\": \"a \\udc00 cat\"}", 400, "invalid_json")]
#[case::raw_nul(b"{\"content_description\": \"a \0 cat\"}", 400, "invalid_json")]
#[case::not_utf8(b"{\"content_description\": \"a \xff cat\"}", 400, "invalid_json")]
#[case::latin_1(b"{\"content_description\": \"caf\xe9\"}", 400, "invalid_json")]
#[case::overlong(b"{\"content_description\": \"a \xc0\x80 cat\"}", 400, "invalid_json")]
#[case::huge_number(b"{\"content_description\": \"a cat\", \"seed\": 1e999}", 400, "invalid_json")]
#[case::not_a_number(b"{\"content_description\": \"a cat\", \"temperature\": NaN}", 400, "invalid_json")]
#[case::escaped_nul(b"{\"content_description\": \"a \\u0000 cat\"}", 422, "invalid_request")]
#[case::list(b"[]", 422, "invalid_request")]
#[case::null(b"null", 422, "invalid_request")]
#[case::nothing(b"{}", 422, "invalid_request")]
#[tokio::test]
async fn a_body_that_is_wrong_is_refused(#[case] body: &[u8], #[case] status: u16, #[case] code: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    for path in ["/v1/captions", "/v1/captions/stream"] {
        let reply = send(server.address, "POST", path, &JSON, body).await;
        assert_eq!(reply.code(), (status, code.to_owned()), "{path}");
    }
    lives_on(&server).await;
}

#[rstest]
#[case::lists("[", "]")]
#[case::objects("{\"a\":", "}")]
#[tokio::test]
async fn a_deeply_nested_body_is_refused(#[case] open: &str, #[case] close: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let body = format!("{}1{}", open.repeat(40_000), close.repeat(40_000));
    let body = &body[..body.len().min(200 * 1024)];

    let reply = send(server.address, "POST", "/v1/captions", &JSON, body.as_bytes()).await;

    assert_eq!(reply.code(), (400, "invalid_json".into()));
    lives_on(&server).await;
}

#[tokio::test]
async fn all_broken_fields_are_told_at_once_with_pointers_and_nearest_values() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let body = json!({"content_description": "x", "tone": "freindly", "variants": 11, "hashtags": 3});
    let reply = send_json(server.address, "POST", "/v1/captions", &body).await;

    let problem = reply.problem();
    let told: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (&error["pointer"], &error["nearest"]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["/content_description", null],
            ["/tone", "friendly"],
            ["/variants", "10"],
            ["/hashtags", "hashtag_count"]
        ])
    );
}

#[rstest]
#[case::none(None)]
#[case::form(Some("application/x-www-form-urlencoded"))]
#[case::text(Some("text/plain"))]
#[case::patch_is_for_patches(Some("application/merge-patch+json"))]
#[case::charset(Some("application/json; charset=iso-8859-1"))]
#[case::rubbish(Some("\u{7f}"))]
#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused(#[case] kind: Option<&str>) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let headers: Vec<(&str, &str)> = kind.iter().map(|kind| ("content-type", *kind)).collect();

    let reply = send(
        server.address,
        "POST",
        "/v1/captions",
        &headers,
        b"{\"content_description\": \"a cat\"}",
    )
    .await;

    if kind == Some("\u{7f}") {
        // Not even a header: refused before it is a request.
        assert_eq!(reply.status, 400);
    } else {
        assert_eq!(reply.code(), (415, "unsupported_media_type".into()));
    }
    lives_on(&server).await;
}

#[rstest]
#[case("application/json")]
#[case("Application/JSON; charset=\"UTF-8\"")]
#[tokio::test]
async fn json_in_utf_8_is_accepted_however_it_is_spelled(#[case] kind: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send(
        server.address,
        "POST",
        "/v1/captions",
        &[("content-type", kind)],
        b"{\"content_description\": \"a cat\"}",
    )
    .await;

    assert_eq!(reply.status, 201);
}

fn padded(length: usize) -> Vec<u8> {
    let mut body = br#"{"content_description": "a cat"}"#.to_vec();
    body.resize(length, b' ');
    body
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_no_byte_more() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let most = send(server.address, "POST", "/v1/captions", &JSON, &padded(256 * 1024)).await;
    let more = send(server.address, "POST", "/v1/captions", &JSON, &padded(256 * 1024 + 1)).await;

    assert_eq!(most.status, 201);
    assert_eq!(more.code(), (413, "body_too_large".into()));
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_the_client_can_send_them_and_read_why() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;
    let body = padded(10 * 1024 * 1024);
    let head = format!(
        "POST /v1/captions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );

    let is_sent = connection.write(&[head.as_bytes(), &body].concat()).await;
    let reply = connection.reply().await;

    // Most clients give up when they cannot send, and never look at the answer.
    assert!(is_sent, "cut off while it was sending");
    assert_eq!(reply.code(), (413, "body_too_large".into()));
    lives_on(&server).await;
}

/// Of an address that takes no pictures, and of one that does.
#[rstest]
#[case("/v1/hashtags", 300_000)]
#[case("/v1/captions", 13_000_000)]
#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once(#[case] path: &str, #[case] length: usize) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;

    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;

    assert_eq!(connection.reply().await.code(), (413, "body_too_large".into()));
}

#[tokio::test]
async fn a_body_of_one_byte_now_and_then_is_cut_off() {
    let limits = Limits {
        body_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Say(TEXT)], limits).await;
    let mut connection = Connection::open(server.address).await;
    connection
        .write(b"POST /v1/captions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        .await;

    let begun = Instant::now();
    // A byte each 50 ms would take 50 s; the server must not wait for that.
    let reply = loop {
        tokio::select! {
            reply = connection.head() => break reply,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        connection.write(b" ").await;
    };

    assert_eq!(reply.status, 408);
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    lives_on(&server).await;
}

#[rstest]
#[case::silence(b"")]
#[case::half_a_line(b"POST /v1/capt")]
#[case::endless_headers(b"POST /v1/captions HTTP/1.1\r\nhost: test\r\nx-slow: ")]
#[case::between_requests(b"GET /livez HTTP/1.1\r\nhost: test\r\n\r\n")]
#[tokio::test]
async fn a_client_that_does_not_finish_its_headers_is_cut_off(#[case] bytes: &[u8]) {
    let limits = Limits {
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Say(TEXT)], limits).await;
    let mut connection = Connection::open(server.address).await;

    connection.write(bytes).await;

    connection.closed().await;
    lives_on(&server).await;
}

#[rstest]
#[case::rubbish(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec())]
#[case::not_http(b"HELLO\r\n\r\n".to_vec())]
#[case::huge_header([b"GET /livez HTTP/1.1\r\nx-huge: ".to_vec(), vec![b'x'; 200 * 1024], b"\r\n\r\n".to_vec()].concat())]
#[case::many_headers([b"GET /livez HTTP/1.1\r\n".to_vec(), b"x: y\r\n".repeat(200), b"\r\n".to_vec()].concat())]
#[case::two_lengths(b"POST /v1/captions HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_vec())]
#[tokio::test]
async fn what_is_not_http_is_refused(#[case] bytes: Vec<u8>) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;

    connection.write(&bytes).await;

    connection.closed().await;
    lives_on(&server).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    for _ in 0..20 {
        let mut connection = Connection::open(server.address).await;
        connection
            .write(b"POST /v1/captions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{")
            .await;
        drop(connection);
    }

    lives_on(&server).await;
    assert!(
        server.writer.prompts.lock().unwrap().len() == 1,
        "a broken body reached the writer"
    );
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let mut connection = Connection::open(server.address).await;

    for _ in 0..3 {
        assert_eq!(connection.get("/livez").await.status, 200);
        assert_eq!(connection.get("/v1/users/nobody").await.status, 404);
    }
    assert_eq!(get(server.address, "/livez").await.body, b"ok");
}

#[tokio::test]
async fn the_limit_of_a_body_is_a_setting() {
    let limits = Limits {
        body_limit: 100,
        ..Limits::default()
    };
    let server = Server::start_with([Turn::Say(TEXT)], limits).await;

    let most = send(server.address, "POST", "/v1/captions", &JSON, &padded(100)).await;
    let more = send(server.address, "POST", "/v1/captions", &JSON, &padded(101)).await;

    assert_eq!(most.status, 201);
    assert_eq!(more.problem()["detail"], "a body has at most 100 bytes");
}
