//! Calls that have one answer.

use captions_client::{
    Error,
    api::{check::CheckBody, generate::GenerateBody},
};
use captions_testkit::receiver::Received;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rstest::rstest;

use super::*;

fn body() -> GenerateBody {
    GenerateBody {
        content_description: Some("bread".to_owned()),
        ..GenerateBody::default()
    }
}

fn key_of(request: &Received) -> &str {
    &request.headers["idempotency-key"]
}

const AT_ONCE: &str = "retry-after-ms: 1\r\n";

#[tokio::test]
async fn a_post_is_repeated_under_one_key_and_the_next_one_has_another() {
    let busy = answer("503 Service Unavailable", AT_ONCE, &problem(503, "overloaded", true));
    let written = answer("201 Created", "", &caption("Warm bread."));
    let server = scripted(&[busy.clone(), busy, written]).await;
    let client = client(&server);

    let reply = client.generate(&body()).await.unwrap();
    client.generate(&body()).await.unwrap();

    assert_eq!((reply.status, reply.request_id()), (201, Some("req_7")));
    assert_eq!(reply.document.text, "Warm bread.");
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|request| request.line == "POST /v1/captions HTTP/1.1")
    );
    assert_eq!(requests[0].body, requests[2].body);
    assert_eq!(
        (key_of(&requests[0]), key_of(&requests[1])),
        (key_of(&requests[1]), key_of(&requests[2]))
    );
    assert_eq!(key_of(&requests[0]).len(), 36);
    assert_ne!(key_of(&requests[2]), key_of(&requests[3]));
}

#[tokio::test]
async fn a_connection_that_breaks_is_another_attempt() {
    let written = answer("200 OK", "", &caption("Warm bread."));
    let half = written[..written.len() - 40].to_owned();
    let server = scripted(&[String::new(), half, written]).await;

    let reply = client(&server).generate(&body()).await.unwrap();

    assert_eq!(reply.document.text, "Warm bread.");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| key_of(request) == key_of(&requests[0])));
}

#[tokio::test]
async fn nobody_at_the_address_is_told_as_such() {
    let port = scripted(&[String::new()]).await.port();
    let mut options = Options::new(format!("http://127.0.0.1:{port}"));
    options.retries = 0;

    let error = Client::new(&options).unwrap().stats().await.unwrap_err();

    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(error.is_retryable() && error.status().is_none());
}

#[tokio::test]
async fn a_refusal_says_all_that_the_server_says() {
    let mut refused = problem(429, "rate_limited", true);
    refused["retry_after_ms"] = json!(120_000);
    let server = scripted(&[answer("429 Too Many Requests", "retry-after: 120\r\n", &refused)]).await;

    let error = client(&server).user("ana").await.unwrap_err();

    assert_eq!((error.code(), error.status()), (Some("rate_limited"), Some(429)));
    assert_eq!((error.request_id(), error.is_retryable()), (Some("req_7"), true));
    // Longer than anybody waits unasked, so there was one attempt.
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(error.to_string(), "it is so [rate_limited]");
}

#[tokio::test]
async fn what_would_fail_again_is_not_repeated() {
    let server = scripted(&[answer("409 Conflict", AT_ONCE, &problem(409, "user_exists", false))]).await;

    let error = client(&server).create_user(&json!({ "id": "ana" })).await.unwrap_err();

    assert_eq!((error.code(), error.is_retryable()), (Some("user_exists"), false));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_proxys_own_page_is_a_failure_without_a_problem() {
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 4\r\nretry-after-ms: 1\r\n\
                connection: close\r\n\r\n<hr>";
    let server = scripted(&[page.to_owned()]).await;

    let error = client(&server).user("ana").await.unwrap_err();

    assert_eq!(
        (error.code(), error.status(), error.is_retryable()),
        (None, Some(502), true)
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_success_that_is_none_of_ours_is_handed_over() {
    let server = scripted(&[answer("200 OK", "", &json!({ "hello": "there" }))]).await;

    let error = client(&server).user("ana").await.unwrap_err();

    let Error::Unreadable {
        status,
        request_id,
        document,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((status, request_id.as_deref()), (200, Some("req_7")));
    assert_eq!(document, Some(json!({ "hello": "there" })));
}

#[tokio::test]
async fn a_conditional_change_is_repeated_only_if_it_was_not_made() {
    let busy = answer("503 Service Unavailable", AT_ONCE, &problem(503, "overloaded", true));
    let server = scripted(&[busy, String::new()]).await;

    let error = client(&server)
        .change_preferences("ana", &json!({ "tone": "warm" }), Some("\"3\""))
        .await
        .unwrap_err();

    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].headers["if-match"], "\"3\"");
    assert_eq!(requests[1].headers["content-type"], "application/merge-patch+json");
    assert!(
        !requests[1].headers.contains_key("idempotency-key"),
        "a PATCH can be repeated as it is"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_no_longer_than_asked() {
    let server = Receiver::stalling_after("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
    let mut options = options(&server);
    (options.timeout, options.retries) = (SOON, 0);
    options.deadline = Some(Duration::from_millis(80));

    let error = Client::new(&options).unwrap().stats().await.unwrap_err();

    assert!(matches!(error, Error::TimedOut(limit) if limit == SOON), "{error:?}");
    assert_eq!(server.requests()[0].headers["request-timeout-ms"], "80");
}

#[tokio::test]
async fn the_key_goes_with_every_call_and_nowhere_else() {
    let moved = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n";
    let server = scripted(&[moved.to_owned()]).await;
    let mut options = options(&server);
    options.key = Some("captions_secret\n".into());
    let client = Client::new(&options).unwrap();

    let error = client.user("ana").await.unwrap_err();

    assert_eq!(error.status(), Some(307), "{error:?}");
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer captions_secret");
    let shown = format!("{options:?} {client:?} {error:?}");
    assert!(!shown.contains("captions_secret"), "{shown}");
}

#[rstest]
#[case::no_url("captions")]
#[case::another_scheme("ftp://captions")]
#[case::a_password("https://ana:pass@captions")]
#[case::a_query("https://captions?key=1")]
fn a_url_that_cannot_be_is_refused_before_any_call(#[case] url: &str) {
    let error = Client::new(&Options::new(url)).unwrap_err();

    assert!(matches!(error, Error::Options(_)), "{error}");
    assert!(!error.to_string().contains("pass@"), "{error}");
}

#[tokio::test]
async fn addresses_stand_below_the_base_and_names_cannot_leave_theirs() {
    let server = scripted(&[answer("200 OK", "", &user("x"))]).await;

    for base in ["/captions", "/captions/"] {
        let client = Client::new(&Options::new(server.url(base))).unwrap();
        client.user("../admin?x=1#y").await.unwrap();
    }

    let lines: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["GET /captions/v1/users/..%2Fadmin%3Fx=1%23y HTTP/1.1"; 2]);
}

#[tokio::test]
async fn a_history_is_read_page_by_page_as_far_as_it_is_wanted() {
    let page = |texts: [&str; 2], next: Option<&str>| {
        let data: Vec<Value> = texts.iter().map(|text| caption(text)).collect();
        answer(
            "200 OK",
            "",
            &json!({ "data": data, "has_more": next.is_some(), "next_cursor": next }),
        )
    };
    let (first, second) = (page(["d", "c"], Some("c+1")), page(["b", "a"], None));
    let server = scripted(&[first.clone(), first, second]).await;
    let client = client(&server);

    let newest = Box::pin(client.history("ana")).next().await.unwrap().unwrap();
    let asked_for_one = server.requests().len();
    let all: Vec<_> = client.history("ana").try_collect().await.unwrap();

    assert_eq!((newest.text.as_str(), asked_for_one), ("d", 1));
    let texts: Vec<&str> = all.iter().map(|caption| caption.text.as_str()).collect();
    assert_eq!(texts, ["d", "c", "b", "a"]);
    let last = &server.requests()[2].line;
    assert_eq!(last, "GET /v1/users/ana/captions?limit=100&cursor=c%2B1 HTTP/1.1");
}

#[tokio::test]
async fn a_history_that_breaks_off_says_so_once() {
    let refused = answer("404 Not Found", "", &problem(404, "user_not_found", false));
    let server = scripted(&[refused]).await;
    let client = client(&server);
    let mut history = Box::pin(client.history("ana"));

    let error = history.next().await.unwrap().unwrap_err();

    assert_eq!(error.code(), Some("user_not_found"));
    assert!(history.next().await.is_none());
}

#[tokio::test]
async fn a_caller_that_leaves_takes_the_connection_along() {
    let server = Receiver::stalling_after("").await;
    let client = client(&server);

    let body = CheckBody::default();
    let left = tokio::time::timeout(SOON, client.check(&body)).await;

    assert!(left.is_err());
    assert_eq!(server.requests().len(), 1, "nothing goes on in the background");
}

#[tokio::test]
async fn results_of_a_batch_that_break_off_go_on_behind_the_last_line() {
    let line = |index: u32| {
        let line =
            json!({ "custom_id": format!("item-{index}"), "index": index, "status": "cancelled", "reclaimed": false });
        format!("{line}\n")
    };
    let lines =
        |lines: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/jsonl\r\nconnection: close\r\n\r\n{lines}");
    let cut = lines(&format!("{}{}{}", line(0), line(1), &line(2)[..20]));
    let server = scripted(&[cut, lines(&line(2))]).await;
    let id = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21".parse().unwrap();

    let read: Vec<_> = client(&server).batch_results(id).try_collect().await.unwrap();

    let names: Vec<&str> = read.iter().map(|line| line.custom_id.as_str()).collect();
    assert_eq!(names, ["item-0", "item-1", "item-2"]);
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
    assert!(asked[0].ends_with("/results HTTP/1.1"), "{asked:?}");
    assert!(asked[1].ends_with("/results?after=1 HTTP/1.1"), "{asked:?}");
}

#[tokio::test]
async fn a_key_is_not_made_twice_because_its_answer_was_lost() {
    let server = scripted(&[String::new(), answer("201 Created", "", &json!({}))]).await;

    let error = client(&server).create_key(&json!({ "name": "ci" })).await.unwrap_err();

    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn a_batch_is_submitted_under_a_key_of_the_callers_own() {
    let server = scripted(&[
        String::new(),
        answer("409 Conflict", "", &problem(409, "user_exists", false)),
    ])
    .await;

    drop(client(&server).submit_batch_once(&json!({ "items": [] }), "mine").await);

    let requests = server.requests();
    assert_eq!(requests.iter().map(key_of).collect::<Vec<_>>(), ["mine", "mine"]);
}
