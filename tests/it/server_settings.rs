//! The settings of the server from a file and from the environment to what they do, each beside its default.

use std::{fs, time::Duration};

use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;
use http::StatusCode;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Service, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery"), "store": false, "cache": "bypass" })
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

async fn stream(service: &Service, last: &str, body: &Value) -> String {
    let request = service.client.post(format!("{}/v1/captions/stream", service.base));
    let request = request.header("last-event-id", last).json(body);
    request.send().await.unwrap().text().await.unwrap()
}

/// Whether an ended stream is taken up by the id of its first event, instead of being written anew.
async fn is_taken_up(service: &Service) -> bool {
    let body = asked();
    let told = stream(service, "none", &body).await;
    let id = told.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let again = stream(service, id, &body).await;
    assert!(again.contains("event: caption.completed"), "{again}");
    !again.contains("event: caption.created")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_of_the_server_has_its_effect() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let url = llm.base_url();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("captions.toml");
    let text = "[server]\njson_depth = 6\nuri_limit = 300\nheader_count = 12\ncors_origins = \"https://app.example\"\n";
    fs::write(&file, text).unwrap();
    let provider = [("OPENAI_BASE_URL", url.as_str()), ("OPENAI_MODEL", "m")];
    let usual = Service::start(&provider).await;
    let more = [
        ("CAPTIONS_CONFIG", file.to_str().unwrap()),
        ("CAPTIONS_SERVER__HEADER_LIMIT", "1024"),
        ("CAPTIONS_SERVER__STREAM_KEEP_ALIVE", "0.2"),
        ("CAPTIONS_SERVER__STREAM_REPLAY", "0"),
    ];
    let set = Service::start(&[&provider[..], &more[..]].concat()).await;

    for (service, is_set) in [(&usual, false), (&set, true)] {
        let either = |when_set: u16, usually: u16| if is_set { when_set } else { usually };
        let live = |query: &str| service.client.get(format!("{}/livez{query}", service.base));

        let deep = json!({ "text": "Bread.", "more": [[[[[[1]]]]]] });
        assert_eq!(service.post("/v1/check", &deep).await.0, either(400, 422), "json_depth");
        let long = live(&format!("?{}", "a".repeat(400)));
        assert_eq!(status(long).await, either(414, 200), "uri_limit");
        let many = (0..20).fold(live(""), |request, number| request.header(format!("x-{number}"), "a"));
        assert_eq!(status(many).await, either(431, 200), "header_count");
        let wide = live("").header("x-wide", "a".repeat(2000));
        assert_eq!(status(wide).await, either(431, 200), "header_limit");
        let page = live("").header("origin", "https://app.example").send().await.unwrap();
        let allowed = page.headers().contains_key("access-control-allow-origin");
        assert_eq!(allowed, is_set, "cors_origins");
        assert_eq!(is_taken_up(service).await, !is_set, "stream_replay");
    }

    llm.always(Turn::text(CAPTION).stall_after(3));
    let silent = set
        .client
        .post(format!("{}/v1/captions/stream", set.base))
        .json(&asked());
    let mut silent = silent.send().await.unwrap().bytes_stream();
    let mut told = String::new();
    // The usual pause would be 15 s.
    let comments = async {
        while told.matches(": keep-alive").count() < 2 {
            told.push_str(std::str::from_utf8(&silent.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), comments).await.unwrap();
    drop(silent);
    usual.stop().await;
    set.stop().await;
}
