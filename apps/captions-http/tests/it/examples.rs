//! The examples of the OpenAPI document are what this server is asked and answers: made here, and compared.

use std::{
    fs,
    path::{Path, PathBuf},
};

use captions_http::Limits;
use captions_wiring::{
    Providers, assemble,
    settings::{Sources, load},
};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    client::{Reply, get, send},
    ports::Turn,
    server::Server,
};

const TEXT: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const EDITED: &str = "The loaves came out at six. The counter is full.";

/// Answers that are documents of their own: the page, and the document that the examples are in.
const OWN: [(&str, &str); 2] = [("read_openapi", "application/json"), ("read_docs", "text/html")];

/// What takes a queue of batches, which the server of these tests does not have.
const WITHOUT: [&str; 5] = [
    "create_batch",
    "list_batches",
    "read_batch",
    "cancel_batch",
    "read_batch_results",
];

/// Headers of the connection, of every body and of every answer alike, which are no part of an operation.
const COMMON: [&str; 14] = [
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
    "x-frame-options",
];

/// What is asked, and what was answered.
struct Book {
    server: Server,
    document: Value,
    examples: Map<String, Value>,
    ids: Vec<Uuid>,
}

impl Book {
    /// Asks as the operation says, and keeps both sides.
    async fn ask(&mut self, id: &str, path: &str, accept: &str, body: Option<(&str, Value)>) -> Reply {
        let (method, operation) = self.operation(id);
        let bytes = match &body {
            Some((_, Value::String(text))) => text.clone(),
            Some((_, json)) => json.to_string(),
            None => String::new(),
        };
        let mut headers = vec![("accept", accept)];
        headers.extend(body.as_ref().map(|(kind, _)| ("content-type", *kind)));
        let reply = send(self.server.address, &method, path, &headers, bytes.as_bytes()).await;
        assert!(
            (200..300).contains(&reply.status),
            "{id}: {}",
            String::from_utf8_lossy(&reply.body)
        );

        let status = reply.status.to_string();
        let told = &operation["responses"][&status];
        assert!(told.is_object(), "{id} answers {status}, which is not documented");
        for (name, _) in &reply.headers {
            let known = told["headers"].as_object().into_iter().flatten();
            let is_told = known.into_iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
            assert!(
                is_told || COMMON.contains(&&**name),
                "{id} answers with {name}, which is not documented"
            );
        }
        let example = self.examples.entry(id).or_insert_with(|| json!({}));
        if let Some((kind, body)) = body {
            example["request"][kind] = body;
        }
        if let Some(kind) = reply.header("content-type") {
            let kind = kind.split(';').next().unwrap().to_owned();
            if !OWN.contains(&(id, &kind)) && kind != "text/html" {
                let text = String::from_utf8(reply.body.clone()).unwrap();
                self.examples[id][&status][kind] = self.settled(id, &text);
            }
        }
        reply
    }

    async fn json(&mut self, id: &str, path: &str, body: Value) -> Value {
        let reply = self
            .ask(id, path, "application/json", Some(("application/json", body)))
            .await;
        reply.json()
    }

    async fn read(&mut self, id: &str, path: &str) -> Reply {
        self.ask(id, path, "application/json", None).await
    }

    fn operation(&self, id: &str) -> (String, Value) {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.values().flat_map(|item| item.as_object().unwrap());
        let (method, operation) = all
            .into_iter()
            .find(|(_, operation)| operation["operationId"] == id)
            .expect(id);
        (method.to_uppercase(), operation.clone())
    }

    /// The answer with what differs from run to run replaced.
    fn settled(&mut self, id: &str, text: &str) -> Value {
        if let Ok(mut value) = serde_json::from_str(text) {
            self.settle(&mut value, id == "read_stats");
            return value;
        }
        let lines = text.lines().map(|line| match line.strip_prefix("data: ") {
            Some(data) => {
                let mut value = serde_json::from_str(data).unwrap();
                self.settle(&mut value, false);
                format!("data: {value}")
            }
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n").into()
    }

    fn settle(&mut self, value: &mut Value, figures: bool) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "processing_time" || name == "duration_ms" {
                        *member = json!(0.4);
                    }
                    self.settle(member, figures);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.settle(item, figures)),
            Value::String(text) => {
                if let Ok(uuid) = text.parse() {
                    let known = self.ids.iter().position(|id| *id == uuid);
                    let number = known.unwrap_or_else(|| {
                        self.ids.push(uuid);
                        self.ids.len() - 1
                    });
                    *text = format!("01890000-0000-7000-8000-{:012}", number + 1);
                } else if text.starts_with("req_") {
                    "req_01890000000070008000000000000001".clone_into(text);
                } else if OffsetDateTime::parse(text, &Rfc3339).is_ok() {
                    "2026-11-30T09:00:00Z".clone_into(text);
                }
            }
            Value::Number(number) if figures => {
                // Which machine, and how fast it was, is nobody's matter.
                if number.is_f64() {
                    *value = json!(0.05);
                } else if number.as_u64() > Some(20) {
                    *value = json!(20);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn posts() -> Value {
    let posts = (1..=9).map(|day| {
        json!({
            "posted_at": format!("2026-09-{day:02}T18:30:00Z"),
            "caption": format!("Bread of day {day}."),
            "likes": 100 + day * 7,
            "comments": day
        })
    });
    json!({ "posts": posts.collect::<Vec<_>>() })
}

/// Those of a service as it starts without any settings.
async fn providers(home: &Path) -> Providers {
    let sources = Sources {
        env: [("HOME".to_owned(), home.display().to_string())].into(),
        cwd: home.to_owned(),
        ..Sources::default()
    };
    let settings = load(&sources).unwrap().settings;
    assemble(&settings).await.unwrap().providers
}

#[tokio::test]
async fn every_example_of_the_document_is_what_the_server_is_asked_and_answers() {
    let home = tempfile::tempdir().unwrap();
    let providers = providers(home.path()).await;
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.providers = providers;
        state
    });
    let server = server.await;
    let document = get(server.address, "/openapi.json").await.json();
    let mut book = Book {
        server,
        document,
        examples: Map::new(),
        ids: Vec::new(),
    };
    let merge = "application/merge-patch+json";

    let ana = json!({"id": "ana", "display_name": "Ana", "preferences": {"tone": "warm", "hashtag_count": 3}});
    book.json("create_user", "/v1/users", ana).await;
    book.read("read_user", "/v1/users/ana").await;
    let body = Some((merge, json!({"display_name": "Ana's bakery"})));
    book.ask("change_user", "/v1/users/ana", "application/json", body).await;
    book.read("read_preferences", "/v1/users/ana/preferences").await;
    let body = Some((merge, json!({"emoji": "few", "tone": null})));
    book.ask(
        "change_preferences",
        "/v1/users/ana/preferences",
        "application/json",
        body,
    )
    .await;
    let wishes = json!({"tone": "warm", "language": "en", "hashtag_count": 3, "avoid": ["cheap"]});
    book.json("replace_preferences", "/v1/users/ana/preferences", wishes)
        .await;

    let asked = |about: &str| json!({"content_description": format!("Bread on the counter of a bakery, {about}"), "user_id": "ana"});
    let made = book.json("create_caption", "/v1/captions", asked("at six")).await;
    book.json("create_caption", "/v1/captions", asked("at six")).await;
    let stream = Some(("application/json", asked("at seven")));
    book.ask("stream_caption", "/v1/captions/stream", "text/event-stream", stream)
        .await;
    let caption = format!("/v1/captions/{}", made["id"].as_str().unwrap());
    book.read("read_caption", &caption).await;
    book.read("list_captions", "/v1/users/ana/captions?limit=1").await;

    let body = json!({"content_description": "Sourdough bread from a bakery in Berlin", "hashtag_count": 3});
    book.json("choose_hashtags", "/v1/hashtags", body).await;
    let body = json!({"text": "One loaf is left! https://example.com #bread", "platform": "instagram"});
    book.json("check_text", "/v1/check", body).await;
    let body = json!({"text": "The loaves came out at six.\n\n#bread", "content_description": "Bread at six"});
    book.json("score_text", "/v1/scores", body).await;
    let text = "The loaves came out at six and the counter is full. It was a day like any other. #bread";
    let body = json!({"text": text, "operation": "shorten", "target_chars": 60});
    book.json("rewrite", "/v1/rewrites", body).await;
    let body = json!({"operation": "shorten", "target_chars": 60});
    book.json("rewrite_caption", &format!("{caption}/rewrites"), body).await;

    let feedback = format!("{caption}/feedback");
    for about in [
        "at six",
        "at noon",
        "in the evening",
        "on Sunday",
        "in winter",
        "in May",
    ] {
        let body = json!({"verdict": "edited", "rating": 4, "final_text": EDITED});
        let made = crate::client::send_json(book.server.address, "POST", "/v1/captions", &asked(about)).await;
        let made = made.json();
        let path = format!("/v1/captions/{}/feedback", made["id"].as_str().unwrap());
        crate::client::send_json(book.server.address, "PUT", &path, &body).await;
    }
    let body = json!({"verdict": "edited", "rating": 4, "final_text": EDITED, "variant": 0});
    book.json("give_feedback", &feedback, body).await;
    let found = book.read("list_suggestions", "/v1/users/ana/suggestions").await.json();
    let suggestion = found["data"][0]["id"].as_str().expect("a suggestion");
    let path = format!("/v1/users/ana/suggestions/{suggestion}/accept");
    book.read("accept_suggestion", &path).await;

    let samples = [
        "Bread first, then coffee.",
        "We open at six, and the oven never cools.",
        "Rye again!",
    ];
    book.json("learn_voice", "/v1/users/ana/voice", json!({ "samples": samples }))
        .await;
    book.read("read_voice", "/v1/users/ana/voice").await;
    book.read("forget_voice", "/v1/users/ana/voice").await;
    book.json("import_results", "/v1/users/ana/results", posts()).await;
    let csv = "posted_at,caption,likes,comments\n2026-09-01T18:30:00Z,Bread first.,120,4\n";
    let csv = Some(("text/csv", Value::from(csv)));
    book.ask("import_results", "/v1/users/ana/results", "application/json", csv)
        .await;
    book.json("import_results", "/v1/users/ana/results", posts()).await;
    book.read("read_results", "/v1/users/ana/results").await;
    book.read("forget_results", "/v1/users/ana/results").await;
    book.read("remove_preferences", "/v1/users/ana/preferences").await;
    book.read("erase_user", "/v1/users/ana").await;

    book.read("list_options", "/v1/options").await;
    book.read("list_providers", "/v1/providers").await;
    book.read("list_models", "/v1/models").await;
    book.read("probe_provider", "/v1/providers/template/probe").await;
    book.read("read_stats", "/v1/stats").await;
    book.read("livez", "/livez").await;
    book.read("readyz", "/readyz?verbose").await;
    for accept in ["application/json", "text/plain", "text/html"] {
        book.ask("list_errors", "/errors", accept, None).await;
        book.ask("explain_error", "/errors/rate_limited", accept, None).await;
    }
    book.read("read_openapi", "/openapi.json").await;
    book.read("read_docs", "/docs").await;

    compare(&book);
    complete(&book);
}

/// The file is what was just seen.
fn compare(book: &Book) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/openapi/examples.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let seen = Value::from(book.examples.clone());
    let text = serde_json::to_string_pretty(&seen).unwrap() + "\n";
    let beside = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("examples.json");
    fs::write(&beside, text).unwrap();
    for (id, example) in seen.as_object().unwrap() {
        assert!(
            &kept[id] == example,
            "{id} is not as in {}; what is so now: {}. Copy it there if it is right.",
            file.display(),
            beside.display()
        );
    }
}

/// Each body and each answer of 2xx has its example.
fn complete(book: &Book) {
    for item in book.document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            if WITHOUT.contains(&id) {
                continue;
            }
            let mut places = vec![("request".to_owned(), &operation["requestBody"])];
            let responses = operation["responses"].as_object().unwrap();
            let good = responses.iter().filter(|(status, _)| status.starts_with('2'));
            places.extend(good.map(|(status, response)| (status.clone(), response)));
            for (place, of) in places {
                for (kind, content) in of["content"].as_object().into_iter().flatten() {
                    let is_own = OWN.contains(&(id, kind)) || kind == "text/html";
                    assert!(
                        is_own || !content["example"].is_null(),
                        "{id} {place} {kind} has no example"
                    );
                }
            }
        }
    }
}
