//! The examples of the OpenAPI document are what the service is asked and answers: asked here, and compared with the kept
//! ones. `CAPTIONS_RECORD=1 cargo test -p captions-tests --test it examples` keeps what is so now.

use std::{env, fmt::Write as _, fs, path::Path};

use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Map, Value, json};

use crate::support::Service;

const TEXT: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const OTHER_TEXT: &str = "Rye waits on the lower shelf tonight, and the seat by the window is yours until nine.";
const EDITED: &str = "The loaves came out at six. The counter is full.";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// Where problems stand in the kept file, by their code.
const PROBLEMS: &str = "problems";
const NOBODY: &str = "01890000-0000-7000-8000-000000000999";

/// Headers of the connection and of every answer alike, which are no part of an operation.
const COMMON: [&str; 13] = [
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "permissions-policy",
    "referrer-policy",
    "transfer-encoding",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
    "x-frame-options",
];

/// A page, and the document that the examples stand in: they are examples of themselves.
fn is_its_own(id: &str, kind: &str) -> bool {
    kind == "text/html" || id == "read_openapi"
}

/// What is asked, and what was answered.
struct Book {
    service: Service,
    document: Value,
    examples: Map<String, Value>,
    ids: Vec<String>,
    /// The address of a stored one.
    caption: String,
    /// Headers that are not documented, and problems that are others.
    wrong: Vec<String>,
}

impl Book {
    /// Asks as the operation says, keeps both sides, and gives the answer, or nothing where it is no JSON.
    async fn ask(&mut self, id: &str, path: &str, accept: &str, body: Option<(&str, Value)>) -> Value {
        let (method, operation) = self.operation(id);
        let address = format!("{}{path}", self.service.base);
        let mut request = self.service.client.request(method.parse().unwrap(), address);
        request = request.header("accept", accept);
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        if parameters.any(|parameter| parameter["name"] == "If-Match" && parameter["required"] == true) {
            request = request.header("if-match", "*");
        }
        if let Some((kind, body)) = &body {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            request = request.header("content-type", *kind).body(text);
        }
        let reply = request.send().await.unwrap();
        let (status, headers) = (reply.status(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "{id}: {text}");

        let status = status.as_u16().to_string();
        let told = &operation["responses"][&status];
        assert!(told.is_object(), "{id} answers {status}, which is not documented");
        for name in headers.keys() {
            let mut known = told["headers"].as_object().into_iter().flatten();
            let is_told = known.any(|(header, _)| header.eq_ignore_ascii_case(name.as_str()));
            if !is_told && !COMMON.contains(&name.as_str()) {
                self.wrong.push(format!("{id} answers with {name}"));
            }
        }
        if let Some((kind, body)) = body {
            self.entry(id)["request"][kind] = body;
        }
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap());
        let kind = kind.unwrap_or_default().split(';').next().unwrap().to_owned();
        let seen = match kind.as_str() {
            "" => return Value::Null,
            "application/jsonl" => serde_json::from_str(text.lines().next().unwrap()).unwrap(),
            "text/event-stream" => last_event(&text),
            JSON => serde_json::from_str(&text).unwrap(),
            _ => Value::from(text),
        };
        if !is_its_own(id, &kind) {
            let mut settled = self.settled(seen.clone(), id == "read_stats");
            if id == "read_usage" {
                settled["data"] = json!([sum(&settled["data"])]);
            }
            self.entry(id)[&status][kind] = settled;
        }
        seen
    }

    /// Asks for what ends in this problem, and keeps it.
    async fn problem(&mut self, code: &str, request: reqwest::RequestBuilder) {
        let reply = request.send().await.unwrap();
        let problem: Value = reply.json().await.unwrap();
        if problem["code"] == code {
            let settled = self.settled(problem, false);
            self.entry(PROBLEMS)[code] = settled;
        } else {
            self.wrong.push(format!("{code} is {problem}"));
        }
    }

    fn to(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}{path}", self.service.base);
        self.service.client.request(method.parse().unwrap(), address)
    }

    fn entry(&mut self, id: &str) -> &mut Value {
        self.examples.entry(id).or_insert_with(|| json!({}))
    }

    async fn json(&mut self, id: &str, path: &str, body: Value) -> Value {
        self.ask(id, path, JSON, Some((JSON, body))).await
    }

    /// A patch, under both its names.
    async fn both(&mut self, id: &str, path: &str, body: Value) {
        for kind in [JSON, MERGE] {
            self.ask(id, path, JSON, Some((kind, body.clone()))).await;
        }
    }

    async fn read(&mut self, id: &str, path: &str) -> Value {
        self.ask(id, path, JSON, None).await
    }

    fn knows(&self, id: &str) -> bool {
        let mut known = operations(&self.document).into_iter();
        known.any(|(_, operation)| operation["operationId"] == id)
    }

    fn operation(&self, id: &str) -> (String, Value) {
        let (method, operation) = operations(&self.document)
            .into_iter()
            .find(|(_, operation)| operation["operationId"] == id)
            .unwrap_or_else(|| panic!("there is no operation {id}"));
        (method.to_uppercase(), operation.clone())
    }

    /// The answer with what differs from run to run replaced. Of `figures` only their kind is kept: which machine it was, and
    /// how fast, is nobody's matter.
    fn settled(&mut self, value: Value, figures: bool) -> Value {
        match value {
            Value::Object(members) => {
                let settled = members.into_iter().map(|(name, member)| {
                    let settled = match name.as_str() {
                        "processing_time" | "duration_ms" | "eta_s" if member.is_number() => json!(0.4),
                        "last_four" => json!("9QbE"),
                        // A time that is there or not as chance has it.
                        "last_used_at" | "oldest_seconds" => Value::Null,
                        // More of them where an hour ended meanwhile.
                        "usage_rows" => json!(2),
                        // The secret of one, and not its name.
                        "key" if member.as_str().is_some_and(|key| key.starts_with("captions_")) => {
                            json!(format!("captions_{}", "0".repeat(49)))
                        }
                        // JSON in JSON, as events have it.
                        "data" if member.is_string() => {
                            let inner = serde_json::from_str(member.as_str().unwrap()).unwrap();
                            self.settled(inner, figures).to_string().into()
                        }
                        _ => self.settled(member, figures),
                    };
                    (name, settled)
                });
                Value::Object(settled.collect())
            }
            Value::Array(items) => items.into_iter().map(|item| self.settled(item, figures)).collect(),
            Value::String(text) => self.settled_text(&text).into(),
            Value::Number(number) if figures => {
                if number.is_f64() {
                    json!(0.05)
                } else {
                    json!(1)
                }
            }
            other => other,
        }
    }

    /// Times and ids are others in each run, also as parts of cells, addresses and cursors.
    fn settled_text(&mut self, text: &str) -> String {
        let mut settled = String::new();
        for cell in text.split_inclusive([',', '\n']) {
            let (cell, end) = cell.split_at(cell.trim_end_matches([',', '\n']).len());
            let is_time = cell.starts_with("20") && cell.ends_with('Z') && cell.get(10..11) == Some("T");
            if is_time {
                settled.push_str("2026-11-30T09:00:00Z");
            } else if cell.starts_with("req_") {
                settled.push_str("req_01890000000070008000000000000001");
            } else {
                settled.push_str(&self.settled_ids(cell));
            }
            settled.push_str(end);
        }
        settled
    }

    fn settled_ids(&mut self, text: &str) -> String {
        let is_part = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter) || letter == '-';
        let mut settled = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            settled.push_str(&rest[..start]);
            let length = rest[start..]
                .find(|letter| !is_part(letter))
                .unwrap_or(rest.len() - start);
            let word = &rest[start..start + length];
            rest = &rest[start + length..];
            let digits = word.replace('-', "");
            // A cursor begins with a letter of its own, and may end with a seal.
            let begins = usize::from(matches!(digits.len(), 33 | 49));
            if word.matches('-').count() == 4 && digits.len() == 32 {
                write!(settled, "01890000-0000-7000-8000-{:012}", self.number(&digits)).unwrap();
            } else if matches!(digits.len(), 32 | 33 | 49) && !word.contains('-') {
                let (first, more) = digits[begins..].split_at(32);
                let number = self.number(first);
                write!(
                    settled,
                    "{}01890000000070008000{number:012}{}",
                    &word[..begins],
                    "0".repeat(more.len())
                )
                .unwrap();
            } else {
                settled.push_str(word);
            }
        }
        settled + rest
    }

    /// Ids are told apart by when they came up first.
    fn number(&mut self, id: &str) -> usize {
        let known = self.ids.iter().position(|known| known == id);
        known.unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        }) + 1
    }
}

fn operations(document: &Value) -> Vec<(&String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.values().flat_map(|item| item.as_object().unwrap()).collect()
}

/// Rows of the same provider and model as one: there are two where a day ended meanwhile.
fn sum(rows: &Value) -> Value {
    let mut rows = rows.as_array().unwrap().iter().cloned();
    let first = rows.next().unwrap();
    rows.fold(first, |mut sum, row| {
        for (name, count) in sum.as_object_mut().unwrap() {
            if let (Some(one), Some(other)) = (count.as_u64(), row[name].as_u64()) {
                *count = json!(one + other);
            }
        }
        sum
    })
}

fn last_event(text: &str) -> Value {
    let frames: Vec<&str> = text.split("\n\n").filter(|frame| frame.contains("event:")).collect();
    let fields = frames.last().unwrap().lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        // The name of a stream is another one each time.
        let value = if name == "id" { "stream-4" } else { value };
        (name.to_owned(), Value::from(value))
    });
    Value::Object(fields.collect())
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

fn asked(about: &str) -> Value {
    json!({"content_description": format!("Bread on the counter of a bakery, {about}"), "user_id": "ana"})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_document_is_what_the_service_is_asked_and_answers() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(TEXT));
    let providers = format!(
        r#"[{{ name = "primary", kind = "openai", base_url = "{}", model = "some-model" }}]"#,
        llm.base_url()
    );
    let env = [
        ("CAPTIONS_LLM__PROVIDERS", providers.as_str()),
        ("CAPTIONS_LIMITS__REQUESTS_PER_MINUTE", "100000"),
    ];
    let service = Service::start(&env).await;
    let mut book = Book {
        document: captions_http::openapi(),
        service,
        examples: Map::new(),
        ids: Vec::new(),
        caption: String::new(),
        wrong: Vec::new(),
    };

    users_and_captions(&mut book).await;
    llm.always(Turn::caption(OTHER_TEXT));
    let more = format!("{}/variants", book.caption);
    if book.knows("write_variants") {
        book.json("write_variants", &more, json!({"count": 1})).await;
    }
    llm.always(Turn::caption(TEXT));
    texts(&mut book).await;
    learning(&mut book).await;
    batches(&mut book).await;
    keys(&mut book).await;
    about_the_server(&mut book).await;
    problems(&mut book).await;
    book.read("erase_user", "/v1/users/ana").await;
    book.service.stop().await;

    complete(&book.document, &book.examples);
    compare(&book.examples);
    assert!(book.wrong.is_empty(), "what is not as expected: {:?}", book.wrong);
}

async fn users_and_captions(book: &mut Book) {
    let ana = json!({"id": "ana", "display_name": "Ana", "preferences": {"tone": "warm", "hashtag_count": 3}});
    book.json("create_user", "/v1/users", ana).await;
    book.read("read_user", "/v1/users/ana").await;
    if book.knows("list_users") {
        book.read("list_users", "/v1/users?limit=1").await;
    }
    let body = json!({"display_name": "Ana's bakery"});
    book.both("change_user", "/v1/users/ana", body).await;
    let wishes = "/v1/users/ana/preferences";
    book.read("read_preferences", wishes).await;
    let body = json!({"emoji": "few", "tone": null});
    book.both("change_preferences", wishes, body).await;
    let body = json!({"tone": "warm", "language": "en", "hashtag_count": 3, "avoid": ["cheap"]});
    book.json("replace_preferences", wishes, body).await;

    let made = book.json("create_caption", "/v1/captions", asked("at six")).await;
    book.json("create_caption", "/v1/captions", asked("at six")).await;
    let body = Some((JSON, asked("at seven")));
    book.ask("stream_caption", "/v1/captions/stream", "text/event-stream", body)
        .await;
    let caption = format!("/v1/captions/{}", made["id"].as_str().unwrap());
    book.caption.clone_from(&caption);
    book.read("read_caption", &caption).await;
    book.both("pick_variant", &caption, json!({"selected_variant": 0}))
        .await;
    book.read("list_captions", "/v1/captions?limit=1").await;
    book.read("list_user_captions", "/v1/users/ana/captions?limit=1").await;
    for kind in ["application/jsonl", "text/csv"] {
        book.ask("export_captions", "/v1/captions/export?q=six", kind, None)
            .await;
    }
    let body = json!({"operation": "shorten", "target_chars": 60});
    book.json("rewrite_caption", &format!("{caption}/rewrites"), body).await;
    let body = json!({"verdict": "edited", "rating": 4, "final_text": EDITED, "variant": 0});
    book.json("give_feedback", &format!("{caption}/feedback"), body).await;
}

async fn texts(book: &mut Book) {
    let body = json!({"content_description": "Sourdough bread from a bakery in Berlin", "hashtag_count": 3});
    book.json("choose_hashtags", "/v1/hashtags", body).await;
    let body = json!({"text": "One loaf is left! https://example.com #bread", "platform": "instagram"});
    book.json("check_text", "/v1/check", body).await;
    let body = json!({"text": "The loaves came out at six.\n\n#bread", "content_description": "Bread at six"});
    book.json("score_text", "/v1/scores", body).await;
    let text = "The loaves came out at six and the counter is full. It was a day like any other. #bread";
    let body = json!({"text": text, "operation": "shorten", "target_chars": 60});
    book.json("rewrite", "/v1/rewrites", body).await;
}

async fn learning(book: &mut Book) {
    for about in [
        "at eight",
        "at noon",
        "in the evening",
        "on Sunday",
        "in winter",
        "in May",
    ] {
        let (_, made) = book.service.post("/v1/captions", &asked(about)).await;
        let path = format!("/v1/captions/{}/feedback", made["id"].as_str().unwrap());
        let body = json!({"verdict": "edited", "rating": 4, "final_text": EDITED});
        book.json("give_feedback", &path, body).await;
    }
    let found = book.read("list_suggestions", "/v1/users/ana/suggestions").await;
    let ids: Vec<&str> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert!(!ids.is_empty(), "{found}");
    let path = format!("/v1/users/ana/suggestions/{}/accept", ids[0]);
    book.read("accept_suggestion", &path).await;

    let samples = [
        "Bread first, then coffee.",
        "We open at six, and the oven never cools.",
        "Rye again!",
    ];
    let voice = "/v1/users/ana/voice";
    book.json("learn_voice", voice, json!({ "samples": samples })).await;
    book.read("read_voice", voice).await;
    book.read("forget_voice", voice).await;
    let results = "/v1/users/ana/results";
    let csv = "posted_at,caption,likes,comments\n2026-09-01T18:30:00Z,Bread first.,120,4\n";
    book.ask("import_results", results, JSON, Some(("text/csv", csv.into())))
        .await;
    book.json("import_results", results, posts()).await;
    book.read("read_results", results).await;
    book.read("forget_results", results).await;
    book.read("remove_preferences", "/v1/users/ana/preferences").await;
}

async fn batches(book: &mut Book) {
    let queue = book.service.state.batches.clone().unwrap();
    queue.work(captions_api::batch::FORMS, 1, None);
    let item = json!({"custom_id": "monday", "content_description": "Bread on the counter of a bakery, on Monday"});
    let body = Some(("application/jsonl", item.clone()));
    book.ask("create_batch", "/v1/batches", JSON, body).await;
    let made = book
        .json("create_batch", "/v1/batches", json!({ "items": [item] }))
        .await;
    let batch = format!("/v1/batches/{}", made["id"].as_str().unwrap());
    let over = book.read("read_batch", &format!("{batch}?wait=30")).await;
    assert_eq!(over["state"], "completed", "{over}");
    book.ask(
        "read_batch_results",
        &format!("{batch}/results"),
        "application/jsonl",
        None,
    )
    .await;
    book.read("list_batches", "/v1/batches?limit=1").await;
    book.read("cancel_batch", &format!("{batch}/cancel")).await;
    book.read("retry_batch", &format!("{batch}/retry")).await;
}

async fn keys(book: &mut Book) {
    let body = json!({"name": "the shop's site", "scopes": ["read", "write"]});
    let made = book.json("create_key", "/v1/keys", body).await;
    let key = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    book.read("read_key", &key).await;
    book.read("list_keys", "/v1/keys?limit=1").await;
    book.both("change_key", &key, json!({"budget": "25.00", "budget_period": "day"}))
        .await;
    let body = json!({"grace_seconds": 3600});
    book.json("rotate_key", &format!("{key}/rotate"), body).await;
    book.read("revoke_key", &key).await;
}

async fn about_the_server(book: &mut Book) {
    for (id, path) in [
        ("list_options", "/v1/options"),
        ("list_providers", "/v1/providers"),
        ("list_models", "/v1/models"),
        ("probe_provider", "/v1/providers/primary/probe"),
        ("read_stats", "/v1/stats"),
        ("read_limits", "/v1/limits"),
        ("read_usage", "/v1/usage?group_by=provider,model"),
        ("livez", "/livez"),
        ("healthz", "/healthz"),
        ("readyz", "/readyz?verbose"),
        ("read_openapi", "/openapi.json"),
        ("read_docs", "/docs"),
    ] {
        book.read(id, path).await;
    }
    for accept in [JSON, "text/plain", "text/html"] {
        book.ask("list_errors", "/errors", accept, None).await;
        book.ask("explain_error", "/errors/rate_limited", accept, None).await;
    }
}

/// Those that a caller can meet at any time.
async fn problems(book: &mut Book) {
    let captions = "/v1/captions";
    let good = asked("at six");
    let no_caption = format!("/v1/captions/{NOBODY}");
    let key = book
        .service
        .post("/v1/keys", &json!({"name": "reader", "scopes": ["read"]}))
        .await
        .1;
    let secret = key["key"].as_str().unwrap();

    for (code, request) in [
        (
            "invalid_json",
            book.to("POST", captions).header("content-type", JSON).body("{"),
        ),
        ("unsupported_media_type", book.to("POST", captions).body("bread")),
        (
            "body_too_large",
            book.to("POST", captions)
                .header("content-type", JSON)
                .body(" ".repeat(300_000)),
        ),
        (
            "invalid_request",
            book.to("POST", captions)
                .json(&json!({"content_description": "Bread", "tone": "wram"})),
        ),
        ("invalid_parameter", book.to("GET", "/v1/captions?limit=1000")),
        ("cursor_invalid", book.to("GET", "/v1/captions?cursor=c1")),
        (
            "uri_too_long",
            book.to("GET", &format!("/v1/captions?q={}", "b".repeat(9000))),
        ),
        (
            "headers_too_large",
            book.to("GET", captions).header("x-note", "b".repeat(33_000)),
        ),
        ("unauthenticated", book.to("GET", captions).bearer_auth("captions_1234")),
        ("forbidden", book.to("POST", captions).bearer_auth(secret).json(&good)),
        ("route_not_found", book.to("GET", "/v1/caption")),
        ("method_not_allowed", book.to("DELETE", captions)),
        ("caption_not_found", book.to("GET", &no_caption)),
        ("user_not_found", book.to("GET", "/v1/users/ben")),
        ("provider_not_found", book.to("POST", "/v1/providers/other/probe")),
        (
            "suggestion_not_found",
            book.to("DELETE", "/v1/users/ana/suggestions/emoji-many"),
        ),
        ("key_not_found", book.to("GET", &format!("/v1/keys/{NOBODY}"))),
        ("batch_not_found", book.to("GET", &format!("/v1/batches/{NOBODY}"))),
        ("user_exists", book.to("POST", "/v1/users").json(&json!({"id": "ana"}))),
        (
            "version_mismatch",
            book.to("DELETE", "/v1/users/ana").header("if-match", "\"999\""),
        ),
        (
            "precondition_required",
            book.to("PUT", "/v1/users/ana/preferences").json(&json!({})),
        ),
    ] {
        book.problem(code, request).await;
    }
    let once = |body: Value| {
        book.to("POST", captions)
            .header("idempotency-key", "order-7")
            .json(&body)
    };
    let (first, other) = (once(good), once(asked("at seven")));
    assert!(first.send().await.unwrap().status().is_success());
    book.problem("idempotency_key_reused", other).await;
    let revoked = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    assert!(book.to("DELETE", &revoked).send().await.unwrap().status().is_success());
    let request = book.to("POST", &format!("{revoked}/rotate")).json(&json!({}));
    book.problem("key_inactive", request).await;
}

/// Each body and each answer of 2xx was seen.
fn complete(document: &Value, seen: &Map<String, Value>) {
    for (_, operation) in operations(document) {
        let id = operation["operationId"].as_str().unwrap();
        let responses = operation["responses"].as_object().unwrap().iter();
        let good = responses.filter(|(status, _)| status.starts_with('2'));
        let answers = good.map(|(status, response)| (status.as_str(), response));
        for (place, of) in answers.chain([("request", &operation["requestBody"])]) {
            for (kind, _) in of["content"].as_object().into_iter().flatten() {
                assert!(
                    is_its_own(id, kind) || seen.get(id).is_some_and(|seen| !seen[place][kind].is_null()),
                    "{id} {place} {kind} has no example"
                );
            }
        }
    }
}

/// One line an operation: what has changed is seen at a glance.
fn written(seen: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (id, example) in seen {
        let separator = if text.is_empty() { "{" } else { "," };
        write!(text, "{separator}\n{}: {example}", Value::from(id.as_str())).unwrap();
    }
    text + "\n}\n"
}

/// The kept examples are those that were just seen.
fn compare(seen: &Map<String, Value>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let file = root.join("apps/captions-http/src/openapi/examples.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    if env::var_os("CAPTIONS_RECORD").is_some() {
        fs::write(&file, written(seen)).unwrap();
        return;
    }
    let known: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert_eq!(known, seen.keys().collect::<Vec<_>>(), "what has examples");
    for (id, example) in seen {
        assert!(
            &kept[id] == example,
            "{id} is not as it is kept in {}; CAPTIONS_RECORD=1 keeps it as it is now:\n{example}",
            file.display()
        );
    }
}
