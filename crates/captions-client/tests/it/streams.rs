//! Captions event by event.

use captions_client::{
    Error, STARTED_ANEW,
    api::{generate::GenerateBody, stream::StreamEvent},
};
use futures_util::StreamExt as _;

use super::*;

fn events(frames: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_7\r\nconnection: close\r\n\r\n{frames}"
    )
}

fn created() -> &'static str {
    "event: caption.created\nid: 1\ndata: {\"request_id\": \"req_7\"}\n\n"
}

fn delta(id: u32, text: &str) -> String {
    format!("event: caption.delta\nid: {id}\ndata: {{\"candidate\": 1, \"text\": \"{text}\"}}\n\n")
}

fn completed(text: &str) -> String {
    format!("event: caption.completed\nid: 9\ndata: {}\n\n", caption(text))
}

/// What a caller is shown: the text on view after each event, and how it ended.
async fn told(client: &Client) -> (Vec<String>, Result<String, Error>) {
    let body = GenerateBody {
        content_description: Some("bread".to_owned()),
        ..GenerateBody::default()
    };
    let mut stream = match client.stream(&body).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let (mut views, mut view, mut end) = (Vec::new(), String::new(), None);
    while let Some(event) = stream.next().await {
        assert!(end.is_none(), "nothing comes after the end");
        match event {
            Ok(StreamEvent::Delta { text, .. }) => view += &text,
            Ok(StreamEvent::Withdrawn { code, .. }) => {
                views.push(format!("{view} ({code})"));
                view.clear();
                continue;
            }
            Ok(StreamEvent::Completed(document)) => end = Some(Ok(document.text)),
            Ok(StreamEvent::Created { request_id }) => assert_eq!(Some(&*request_id), stream.request_id()),
            Ok(StreamEvent::Failed(problem)) => panic!("{problem:?}"),
            Err(error) => end = Some(Err(error)),
        }
        views.push(view.clone());
    }
    (views, end.expect("every stream has an end"))
}

#[tokio::test]
async fn events_come_in_their_order_and_end_once() {
    let frames = [
        created(),
        ": keep-alive\n\n",
        &delta(2, "Warm "),
        "event: caption.mood\nid: 3\ndata: {}\n\n",
        "event: caption.withdrawn\nid: 4\ndata: {\"candidate\": 1, \"code\": \"rules_broken\"}\n\n",
        &delta(5, "Bread"),
        &completed("Bread!"),
        &delta(10, "too late"),
    ];
    let server = scripted(&[events(&frames.concat())]).await;

    let (views, end) = told(&client(&server)).await;

    assert_eq!(views, ["", "Warm ", "Warm  (rules_broken)", "Bread", "Bread"]);
    assert_eq!(end.unwrap(), "Bread!");
    assert_eq!(server.requests()[0].headers["accept"], "text/event-stream");
}

#[tokio::test]
async fn a_stream_that_is_cut_off_goes_on_behind_its_last_event() {
    let cut = events(&[created(), &delta(2, "Warm "), "event: caption.delta\nid: 3\nda"].concat());
    let rest = events(&[delta(3, "bread"), completed("Warm bread.")].concat());
    let server = scripted(&[cut, rest]).await;

    let (views, end) = told(&client(&server)).await;

    assert_eq!(views, ["", "Warm ", "Warm bread", "Warm bread"]);
    assert_eq!(end.unwrap(), "Warm bread.");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(!requests[0].headers.contains_key("last-event-id"));
    assert_eq!(requests[1].headers["last-event-id"], "2");
    assert_eq!(requests[1].body, requests[0].body);
    assert_eq!(
        requests[1].headers["idempotency-key"],
        requests[0].headers["idempotency-key"]
    );
}

#[tokio::test]
async fn what_a_server_tells_anew_is_withdrawn_first() {
    let cut = events(&[created(), &delta(2, "Warm ")].concat());
    let anew = events(
        &[
            created(),
            &delta(2, "Fresh "),
            &delta(3, "rolls"),
            &completed("Fresh rolls."),
        ]
        .concat(),
    );
    let server = scripted(&[cut, anew]).await;

    let (views, end) = told(&client(&server)).await;

    let withdrawn = format!("Warm  ({STARTED_ANEW})");
    assert_eq!(views, ["", "Warm ", &withdrawn, "Fresh ", "Fresh rolls", "Fresh rolls"]);
    assert_eq!(end.unwrap(), "Fresh rolls.");
}

#[tokio::test]
async fn a_stream_that_never_ends_well_is_told_as_broken() {
    // Each one tells something new: who counted from there would ask, and pay, without end.
    let server = scripted(&[events(&[created(), &delta(2, "Warm ")].concat())]).await;
    let mut options = options(&server);
    options.retries = 1;

    let (_, end) = told(&Client::new(&options).unwrap()).await;

    let error = end.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn silence_is_a_lost_connection() {
    let server = Receiver::stalling_after(&events(created())).await;
    let mut options = options(&server);
    (options.silence, options.retries) = (SOON, 0);

    let (views, end) = told(&Client::new(&options).unwrap()).await;

    assert_eq!(views, ["", ""]);
    assert!(matches!(end, Err(Error::TimedOut(limit)) if limit == SOON), "{end:?}");
}

#[tokio::test]
async fn a_problem_in_the_stream_is_the_same_error_as_without_one() {
    let frame = format!(
        "event: error\nid: 2\ndata: {}\n\n",
        problem(504, "provider_timeout", true)
    );
    let server = scripted(&[events(&[created(), &frame].concat())]).await;

    let (_, end) = told(&client(&server)).await;

    let error = end.unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("provider_timeout"), Some(504)));
    assert_eq!((error.request_id(), error.is_retryable()), (Some("req_7"), true));
    assert_eq!(server.requests().len(), 1, "the server has had its tries");
}

#[tokio::test]
async fn a_stream_that_nobody_can_go_on_with_is_asked_for_from_the_start() {
    let cut = events(&[created(), &delta(2, "Warm ")].concat());
    let given_up = format!("event: error\ndata: {}\n\n", problem(503, "stream_cut", true));
    let anew = events(&[created(), &delta(2, "Fresh "), &completed("Fresh rolls.")].concat());
    let server = scripted(&[cut, events(&given_up), anew]).await;

    let (views, end) = told(&client(&server)).await;

    let withdrawn = format!("Warm  ({STARTED_ANEW})");
    assert_eq!(views, ["", "Warm ", &withdrawn, "Fresh ", "Fresh "]);
    assert_eq!(end.unwrap(), "Fresh rolls.");
    let last = |request: usize| server.requests()[request].headers.get("last-event-id").cloned();
    assert_eq!((last(1).as_deref(), last(2)), (Some("2"), None));
}

#[tokio::test]
async fn what_is_refused_at_once_is_an_error_of_the_call() {
    let refused = answer("422 Unprocessable Entity", "", &problem(422, "invalid_request", false));
    let busy = answer(
        "503 Service Unavailable",
        "retry-after-ms: 1\r\n",
        &problem(503, "overloaded", true),
    );
    let server = scripted(&[busy, refused]).await;

    let (views, end) = told(&client(&server)).await;

    assert_eq!(views, Vec::<String>::new());
    assert_eq!(end.unwrap_err().code(), Some("invalid_request"));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn who_wants_the_end_alone_gets_it() {
    let server = scripted(&[events(
        &[created(), &delta(2, "Warm "), &completed("Warm bread.")].concat(),
    )])
    .await;
    let body = GenerateBody::default();

    let document = client(&server).stream(&body).await.unwrap().completed().await.unwrap();

    assert_eq!(document.text, "Warm bread.");
}
