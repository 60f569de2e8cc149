use std::time::Duration;

use captions_domain::fault::{Fault, FaultKind, LlmError, Rejection};
use rstest::rstest;
use serde_json::json;

use crate::{
    client::{get, send, send_json},
    ports::Turn,
    server::{Server, TEXT},
};

fn fault(kind: FaultKind) -> LlmError {
    LlmError::Fault(Fault::new(kind))
}

fn rejected(kind: Rejection) -> LlmError {
    LlmError::Rejected {
        kind,
        detail: "model not found".into(),
    }
}

#[rstest]
#[case::refused(LlmError::Refused, 422, "content_refused", None)]
#[case::too_long(LlmError::TooLong, 422, "prompt_too_long", None)]
#[case::auth(rejected(Rejection::Auth), 502, "provider_auth", None)]
#[case::billing(rejected(Rejection::Billing), 502, "provider_billing", None)]
#[case::request(rejected(Rejection::Request), 502, "provider_rejected", None)]
#[case::unusable(LlmError::unusable("empty"), 502, "provider_bad_output", None)]
#[case::timeout(fault(FaultKind::Timeout), 504, "provider_timeout", None)]
#[case::away(fault(FaultKind::Unavailable), 502, "provider_unavailable", Some("1"))]
#[case::limited(fault(FaultKind::RateLimited { retry_after: Some(Duration::from_millis(2100)) }), 503, "provider_rate_limited", Some("3"))]
#[case::open(fault(FaultKind::CircuitOpen { retry_after: Duration::from_millis(400) }), 503, "provider_circuit_open", Some("1"))]
#[case::overloaded(fault(FaultKind::Overloaded), 503, "overloaded", Some("1"))]
#[case::internal(fault(FaultKind::Internal), 500, "internal", None)]
#[tokio::test]
async fn what_the_provider_did_is_told_as_it_is(
    #[case] error: LlmError,
    #[case] status: u16,
    #[case] code: &str,
    #[case] retry_after: Option<&str>,
) {
    let server = Server::start([Turn::Fail(error)]).await;

    let reply = send_json(
        server.address,
        "POST",
        "/v1/captions",
        &json!({"content_description": "a cat"}),
    )
    .await;

    assert_eq!(reply.code(), (status, code.to_owned()));
    assert_eq!(reply.header("retry-after"), retry_after);
    assert_eq!(reply.problem()["instance"], "/v1/captions");
    assert!(reply.problem()["attempts"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_the_callers_to_correct() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let body = json!({"content_description": "a cat", "provider": "secnd"});
    let reply = send_json(server.address, "POST", "/v1/captions", &body).await;

    let problem = reply.problem();
    assert_eq!(
        (reply.status, &problem["errors"][0]["pointer"]),
        (422, &json!("/provider"))
    );
    assert_eq!(problem["errors"][0]["nearest"], "second");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_server_lives_on() {
    let server = Server::start([Turn::Panic, Turn::Say(TEXT)]).await;
    let body = json!({"content_description": "a cat"});

    let reply = send_json(server.address, "POST", "/v1/captions", &body).await;

    assert_eq!(reply.code(), (500, "internal".into()));
    assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
    assert_eq!(
        send_json(server.address, "POST", "/v1/captions", &body).await.status,
        201
    );
}

#[rstest]
#[case::corrupt(FaultKind::Corrupt, 500, "store_corrupt")]
#[case::internal(FaultKind::Internal, 500, "internal")]
#[case::overloaded(FaultKind::Overloaded, 503, "overloaded")]
#[tokio::test]
async fn what_the_store_did_is_told_as_it_is(#[case] kind: FaultKind, #[case] status: u16, #[case] code: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;
    server.store.breaks(Some(kind));

    assert_eq!(
        get(server.address, "/v1/users/ana").await.code(),
        (status, code.to_owned())
    );
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_waited_for() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    server.store.hangs();

    let reply = send(
        server.address,
        "GET",
        "/v1/users/ana",
        &[("request-timeout-ms", "20")],
        b"",
    )
    .await;

    assert_eq!(reply.code(), (503, "store_unavailable".into()));
}

#[rstest]
#[case::root("GET", "/", 404, "route_not_found", None)]
#[case::old("POST", "/v1/caption", 404, "route_not_found", None)]
#[case::method("PUT", "/v1/captions", 405, "method_not_allowed", Some("GET,HEAD,POST"))]
#[case::methods("POST", "/v1/users/ana", 405, "method_not_allowed", Some("DELETE,GET,HEAD,PATCH"))]
#[case::caption_id("GET", "/v1/captions/12", 400, "invalid_parameter", None)]
#[case::caption(
    "GET",
    "/v1/captions/01890000-0000-7000-8000-000000000001",
    404,
    "caption_not_found",
    None
)]
#[case::user_id("GET", "/v1/users/a%20b", 400, "invalid_parameter", None)]
#[case::nul("GET", "/v1/users/a%00b", 400, "invalid_parameter", None)]
#[case::not_utf8("GET", "/v1/users/%ff", 400, "invalid_parameter", None)]
#[case::limit_0("GET", "/v1/users/ana/captions?limit=0", 400, "invalid_parameter", None)]
#[case::limit_101("GET", "/v1/users/ana/captions?limit=101", 400, "invalid_parameter", None)]
#[case::limit_word("GET", "/v1/users/ana/captions?limit=many", 400, "invalid_parameter", None)]
#[case::parameter("GET", "/v1/users/ana/captions?limt=5", 400, "invalid_parameter", None)]
#[case::cursor("GET", "/v1/users/ana/captions?cursor=zzz", 400, "cursor_invalid", None)]
#[case::error_code("GET", "/errors/nothing", 404, "route_not_found", None)]
#[tokio::test]
async fn a_wrong_address_is_a_problem(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
    #[case] allow: Option<&str>,
) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send(server.address, method, path, &[], b"").await;

    assert_eq!(reply.code(), (status, code.to_owned()));
    let allowed = reply.header("allow").map(|allow| {
        let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
        methods.sort_unstable();
        methods.join(",")
    });
    assert_eq!(allowed.as_deref(), allow);
}

#[rstest]
#[case("0")]
#[case("-5")]
#[case("1.5")]
#[case("soon")]
#[case("99999999999999999999999")]
#[tokio::test]
async fn a_timeout_that_is_no_number_is_refused(#[case] timeout: &str) {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let reply = send(
        server.address,
        "GET",
        "/v1/users/ana",
        &[("request-timeout-ms", timeout)],
        b"",
    )
    .await;

    assert_eq!(reply.code(), (400, "invalid_parameter".into()));
}

#[tokio::test]
async fn every_code_explains_itself_where_its_documentation_points_in_three_forms() {
    let server = Server::start([Turn::Say(TEXT)]).await;
    let read = |path: String, accept: &'static str| {
        let address = server.address;
        async move { send(address, "GET", &path, &[("accept", accept)], b"").await }
    };

    for code in captions_api::problem::Code::ALL {
        let json = read(code.page(), "*/*").await;
        assert_eq!(
            (json.status, json.header("content-type")),
            (200, Some("application/json")),
            "{code:?}"
        );
        let told = json.json();
        assert_eq!(
            (&told["title"], &told["cause"], &told["suggestion"], &told["fault"]),
            (
                &json!(code.title()),
                &json!(code.cause()),
                &json!(code.suggestion()),
                &json!(code.fault().as_str())
            )
        );
        assert_eq!(told["retryable"], code.is_retryable());

        let html = read(code.page(), "text/html").await;
        assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
        let page = String::from_utf8(html.body.clone()).unwrap();
        assert!(page.contains(&format!("<code>{}</code>", code.as_str())), "{page}");
        for asked in ["What happened", "Whose fault it is", "Try again?", "What to do"] {
            assert!(page.contains(&format!("<dt>{asked}</dt>")), "{code:?}: {asked}");
        }

        let text = read(code.page(), "text/plain").await;
        assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
        let text = String::from_utf8(text.body.clone()).unwrap();
        assert!(
            text.contains(code.cause()) && text.contains(code.suggestion()),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_list_of_errors_leads_to_every_page() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let list = get(server.address, "/errors").await.json();
    let page = send(server.address, "GET", "/errors", &[("accept", "text/html")], b"").await;

    let page = String::from_utf8(page.body).unwrap();
    for code in captions_api::problem::Code::ALL {
        let is_listed = |row: &serde_json::Value| row["code"] == code.as_str();
        assert!(list["data"].as_array().unwrap().iter().any(is_listed), "{code:?}");
        assert!(page.contains(&format!("href=\"{}\"", code.page())), "{code:?}");
    }
}

#[tokio::test]
async fn a_page_loads_and_runs_nothing() {
    let server = Server::start([Turn::Say(TEXT)]).await;

    let page = send(
        server.address,
        "GET",
        "/errors/internal",
        &[("accept", "text/html")],
        b"",
    )
    .await;

    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("script"),
        "{policy}"
    );
    assert_eq!(page.header("vary"), Some("accept"));
    let html = String::from_utf8(page.body).unwrap();
    assert!(
        !html.contains("<script") && !html.contains("http:") && !html.contains("https:"),
        "{html}"
    );
}
