//! The scripted server seen through a plain HTTP client.

use std::time::Duration;

use serde_json::{Value, json};

use super::{FakeLlm, Turn};

fn client() -> reqwest::Client {
    // The provider is process-wide; a second install by another test is refused and harmless.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

async fn ask(fake: &FakeLlm, body: Value) -> reqwest::Result<reqwest::Response> {
    client()
        .post(format!("{}/chat/completions", fake.base_url()))
        .json(&body)
        .send()
        .await
}

fn question(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

#[tokio::test]
async fn one_turn_is_json_or_a_stream_as_asked() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("Good morning"));

    let document: Value = ask(&fake, question(false)).await.unwrap().json().await.unwrap();
    let stream = ask(&fake, question(true)).await.unwrap().text().await.unwrap();

    assert_eq!(document["choices"][0]["message"]["content"], "Good morning");
    assert_eq!(
        stream.matches("data: ").count(),
        4,
        "two words, the finish and the mark: {stream}"
    );
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn the_queue_comes_first_then_the_model_then_the_standing_turn() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::text("queued"))
        .model("m", Turn::text("by model"))
        .always(Turn::text("standing"));
    let text = async |body| {
        let document: Value = ask(&fake, body).await.unwrap().json().await.unwrap();
        document["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    assert_eq!(text(question(false)).await, "queued");
    assert_eq!(text(question(false)).await, "by model");
    assert_eq!(text(json!({"model": "other"})).await, "standing");
    assert_eq!(fake.count(), 3);
    assert_eq!(fake.last().model(), "other");
}

#[tokio::test]
async fn a_reset_fails_the_call_and_the_server_lives_on() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::reset());

    assert!(ask(&fake, question(false)).await.is_err());
    assert!(ask(&fake, question(false)).await.is_ok());
}

#[tokio::test]
async fn a_cut_is_an_error_of_the_body_in_both_forms() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text("one two three four").cut_after(2));

    for stream in [false, true] {
        let response = ask(&fake, question(stream)).await.unwrap();
        assert!(response.text().await.is_err(), "stream: {stream}");
    }
}

#[tokio::test]
async fn an_early_leave_is_recorded() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::silence());

    // The client leaves once the server has its question.
    tokio::select! {
        answer = ask(&fake, question(false)) => panic!("a silent server answers: {answer:?}"),
        () = fake.until("the question is there", |fake| fake.count() == 1) => {}
    }

    fake.until("the client is seen leaving", |fake| fake.last().left_early().is_some())
        .await;
    fake.until("the connection is closed", |fake| fake.open_connections() == 0)
        .await;
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let fake = FakeLlm::start().await;
    let response = ask(&fake, question(false)).await.unwrap();
    let address = fake.address();
    drop(fake);
    drop(response);

    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(std::time::Instant::now() < deadline, "the port stays open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drip_comes_one_byte_at_a_time() {
    let fake = FakeLlm::start().await;
    fake.reply(Turn::raw(200, "text/plain", "abc").drip(1, Duration::from_millis(20)));

    let mut response = ask(&fake, question(false)).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        sizes.push(chunk.len());
    }

    assert_eq!(sizes, [1, 1, 1]);
}

#[tokio::test]
async fn the_fitting_answer_has_the_variants_asked_for_and_knows_the_description() {
    let fake = FakeLlm::start().await;
    let content = "BRIEF x\n{\n  \"description\": \"A red bike\",\n}\nEND x\nWrite 3 captions in English, each.";

    let document: Value = ask(&fake, json!({"messages": [{"role": "user", "content": content}]}))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();

    let text = document["choices"][0]["message"]["content"].as_str().unwrap();
    let drafts = captions_domain::reply::parse(text, captions_domain::prompt::Format::Variants).unwrap();
    assert_eq!(drafts.len(), 3);
    assert!(drafts.iter().all(|draft| draft.text().contains("A red bike")));
}

#[tokio::test]
async fn a_gzip_bomb_is_small_on_the_wire_and_large_behind_it() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::gzip_bomb());
    let client_that_unpacks = client();

    let packed = reqwest::Client::builder()
        .no_gzip()
        .build()
        .unwrap()
        .post(format!("{}/chat/completions", fake.base_url()))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert!(packed.content_length().unwrap() < 200_000);
    let unpacked = client_that_unpacks
        .post(format!("{}/chat/completions", fake.base_url()))
        .send()
        .await
        .unwrap();
    assert!(unpacked.bytes().await.unwrap().len() > 16 << 20);
}
