//! The Rust client against the real server; what a server by script can show is in the client's own tests.

use std::time::Duration;

use captions_client::{
    Client, Options,
    api::{batch, generate::GenerateBody, rewrite::RewriteBody, stream::StreamEvent},
};
use captions_testkit::llm::{FakeLlm, Turn};
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
