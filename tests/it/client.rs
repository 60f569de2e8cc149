//! The Rust client against the real server; what a server by script can show is in the client's own tests.

use std::{collections::BTreeSet, time::Duration};

use captions_client::{
    Client, Options,
    api::{
        batch, check::CheckBody, generate::GenerateBody, hashtags::HashtagsBody, more::MoreBody, rewrite::RewriteBody,
        score::ScoreBody, stream::StreamEvent,
    },
};
use captions_testkit::{
    llm::{FakeLlm, Turn},
    receiver::Receiver,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use crate::support::{Service, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

async fn started(llm: &FakeLlm) -> (Service, Client) {
    let service = Service::start(&[("OPENAI_BASE_URL", &llm.base_url()), ("OPENAI_MODEL", "m")]).await;
    let client = Client::new(&Options::new(&service.base)).unwrap();
    (service, client)
}

fn body(about: &str) -> GenerateBody {
    GenerateBody {
        content_description: Some(about.to_owned()),
        user_id: Some("ana".to_owned()),
        allow_fallback: Some(false),
        ..GenerateBody::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caption_lives_its_whole_life() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    let (service, client) = started(&llm).await;

    let created = client
        .create_user(&json!({ "id": "ana", "preferences": { "tone": "warm" } }))
        .await
        .unwrap();
    let version = created.etag().unwrap().to_owned();
    let stale = client
        .change_preferences("ana", &json!({ "tone": "calm" }), Some("\"99\""))
        .await;
    client
        .change_preferences("ana", &json!({ "tone": "calm" }), Some(&version))
        .await
        .unwrap();
    let written = client
        .generate(&body("Bread on the counter of a bakery"))
        .await
        .unwrap();
    let id = written.document.id.unwrap();
    client
        .feedback(id, &json!({ "verdict": "used", "rating": 5 }))
        .await
        .unwrap();
    let shorter = RewriteBody {
        operation: Some("shorten".to_owned()),
        target_chars: Some(60.0),
        ..RewriteBody::default()
    };
    let rewritten = client.rewrite_stored(id, &shorter).await.unwrap();
    let history: Vec<_> = client.history("ana").try_collect().await.unwrap();
    let erased = client.erase_user("ana").await.unwrap();
    let gone = client.caption(id).await.unwrap_err();

    assert_eq!(stale.unwrap_err().code(), Some("version_mismatch"));
    assert_eq!(
        (written.status, written.header("captions-provider")),
        (201, Some("openai"))
    );
    assert_eq!(written.unknown, Vec::<String>::new());
    assert!(rewritten.document.text.chars().count() <= 60, "{rewritten:?}");
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].feedback.as_ref().unwrap().rating, Some(5));
    assert_eq!(erased.document.captions_erased, 1);
    assert_eq!((gone.code(), gone.status()), (Some("caption_not_found"), Some(404)));
    assert!(gone.request_id().is_some());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_the_text_and_then_the_document() {
    let llm = FakeLlm::start().await;
    let (service, client) = started(&llm).await;

    let mut stream = client.stream(&body("Bread on the counter of a bakery")).await.unwrap();
    let (mut shown, mut document) = (String::new(), None);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            StreamEvent::Delta { text, .. } => shown += &text,
            StreamEvent::Withdrawn { .. } => shown.clear(),
            StreamEvent::Completed(whole) => document = Some(whole),
            StreamEvent::Created { .. } | StreamEvent::Failed(_) => {}
        }
    }

    let document = document.unwrap();
    assert!(
        !shown.is_empty() && document.text.contains(shown.trim()),
        "{shown:?} / {document:?}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_drops_its_stream_stops_the_writer() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::silence());
    let (service, client) = started(&llm).await;

    let stream = client.stream(&body("Bread on the counter of a bakery")).await.unwrap();
    drop(stream);

    until("the provider's call is cancelled", async || llm.last().left_early()).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_ordered_waited_for_and_read() {
    let llm = FakeLlm::start().await;
    let (service, client) = started(&llm).await;
    service.state.batches.clone().unwrap().work(batch::FORMS, 1, None);
    let items = json!([
        { "custom_id": "monday", "content_description": "Bread on the counter of a bakery" },
        { "custom_id": "tuesday", "content_description": "Rolls on the counter of a bakery" },
    ]);

    let batch = client.submit_batch(&json!({ "items": items })).await.unwrap().document;
    let batch = until("the batch is over", async || {
        let batch = client.batch(batch.id, Duration::from_secs(1)).await.unwrap().document;
        (batch.counts.succeeded == 2).then_some(batch)
    })
    .await;
    let lines: Vec<_> = client.batch_results(batch.id).try_collect().await.unwrap();
    let page = client.batches_page(5, None).await.unwrap().document;

    let names: Vec<&str> = lines.iter().map(|line| line.custom_id.as_str()).collect();
    assert_eq!(names, ["monday", "tuesday"]);
    assert!(lines.iter().all(|line| line.caption.is_some()), "{lines:?}");
    assert_eq!(page.data.len(), 1);
    service.stop().await;
}

/// What the client has no method for, and why.
const WITHOUT_METHOD: [(&str, &str); 8] = [
    (
        "GET /v1/captions/export",
        "a transfer that breaks off cannot be taken up: `captions_page` reads the same",
    ),
    ("GET /livez", "for probes and balancers"),
    ("GET /healthz", "its outdated name"),
    ("GET /readyz", "for probes and balancers"),
    ("GET /openapi.json", "a document for those who have no client"),
    ("GET /docs", "a page to be read"),
    ("GET /errors", "a page to be read"),
    ("GET /errors/{code}", "a page to be read"),
];

/// A segment of a path that stands for whatever has no place of its own.
const ID: &str = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";

/// Calls every method once. What comes of it is nobody's business here: only what was asked.
async fn call_everything(client: &Client) {
    let (id, none, any) = (ID.parse().unwrap(), None, json!({}));
    drop(client.generate(&GenerateBody::default()).await);
    drop(client.stream(&GenerateBody::default()).await);
    drop(client.captions_page(&[("q", "bread")], 9, none).await);
    drop(client.caption(id).await);
    drop(client.pick_variant(id, Some(0), "*").await);
    drop(client.erase_caption(id, none).await);
    drop(client.more_variants(id, &MoreBody::default(), none).await);
    drop(client.feedback(id, &any).await);
    drop(client.rewrite(&RewriteBody::default()).await);
    drop(client.rewrite_stored(id, &RewriteBody::default()).await);
    drop(client.check(&CheckBody::default()).await);
    drop(client.score(&ScoreBody::default()).await);
    drop(client.hashtags(&HashtagsBody::default()).await);
    drop(client.history_page(ID, 9, none).await);
    drop(client.create_user(&any).await);
    drop(client.users_page(9, none).await);
    drop(client.user(ID).await);
    drop(client.change_user(ID, &any, none).await);
    drop(client.erase_user(ID).await);
    drop(client.preferences(ID).await);
    drop(client.replace_preferences(ID, &any, "*").await);
    drop(client.change_preferences(ID, &any, none).await);
    drop(client.remove_preferences(ID, none).await);
    drop(client.voice(ID).await);
    drop(client.learn_voice(ID, &[], none).await);
    drop(client.forget_voice(ID, none).await);
    drop(client.suggestions(ID).await);
    drop(client.accept_suggestion(ID, ID, none).await);
    drop(client.dismiss_suggestion(ID, ID, none).await);
    drop(client.results(ID).await);
    drop(client.import_results(ID, &any, none).await);
    drop(client.forget_results(ID, none).await);
    drop(client.submit_batch(&any).await);
    drop(client.batches_page(9, none).await);
    drop(client.batch(id, Duration::ZERO).await);
    drop(client.cancel_batch(id).await);
    drop(client.retry_batch(id).await);
    drop(client.batch_results(id).boxed().next().await);
    drop(client.options().await);
    drop(client.models().await);
    drop(client.providers().await);
    drop(client.probe_provider(ID).await);
    drop(client.limits().await);
    drop(client.usage(&[]).await);
    drop(client.stats().await);
    drop(client.create_key(&any).await);
    drop(client.keys_page(9, none).await);
    drop(client.key(ID).await);
    drop(client.rotate_key(ID, 60).await);
    drop(client.change_key(ID, &any).await);
    drop(client.revoke_key(ID).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_has_a_method_or_a_reason_to_have_none() {
    let service = Service::start(&[]).await;
    let (_, document) = service.get("/openapi.json").await;
    service.stop().await;
    let refusing =
        Receiver::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    Box::pin(call_everything(&Client::new(&Options::new(refusing.url(""))).unwrap())).await;

    // `POST /v1/captions/0193.../variants` as the document writes it.
    let asked: BTreeSet<String> = refusing
        .requests()
        .iter()
        .map(|request| {
            let (method, target) = request.line.split_once(' ').unwrap();
            let path = target.split([' ', '?']).next().unwrap();
            format!("{method} {}", path.replace(ID, "{}"))
        })
        .collect();
    let unnamed = |path: &str| {
        let segments = path
            .split('/')
            .map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            described.insert(format!("{} {}", method.to_uppercase(), unnamed(path)));
        }
    }
    let without: BTreeSet<String> = WITHOUT_METHOD.iter().map(|(address, _)| unnamed(address)).collect();

    let lacking: Vec<_> = described
        .difference(&asked)
        .filter(|address| !without.contains(*address))
        .collect();
    assert!(lacking.is_empty(), "no method for {lacking:?}");
    assert_eq!(asked.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(without.intersection(&asked).collect::<Vec<_>>(), Vec::<&String>::new());
}
