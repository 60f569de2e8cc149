//! A provider that is told how to behave: how long it takes, and whether it is out. The same three captions for every
//! request, in one write. Not the testkit's scripted server, which keeps every request and writes an answer in eleven
//! pieces: it would be the slowest part of the floor.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A piece of the caption that it writes.
pub(crate) const CAPTION_PART: &str = "Come by while they are warm";

/// How it behaves from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mood {
    /// Time until the answer.
    pub(crate) latency_ms: u64,
    pub(crate) manner: Manner,
    /// Of so many requests it fails one with 503; 0: none.
    pub(crate) fails_one_in: u64,
    /// It answers so many requests a second and 429 to the others; 0: all.
    pub(crate) quota: u64,
}

/// What is special about its answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Manner {
    #[default]
    Well,
    /// Every request is answered 503 at once.
    Out,
    /// They are about something else: no near-copies of what it writes usually.
    Other,
    /// Each closes its connection.
    Closing,
    /// They name the post that was asked about (`post 12 of the north house`), and so can be told apart.
    Naming,
}

/// What it has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Requests for captions so far.
    pub(crate) calls: usize,
    /// Of them answered 429.
    pub(crate) throttled: usize,
    /// The body of the first that was not for a stream.
    pub(crate) first: Option<String>,
    /// The same for a stream.
    pub(crate) first_stream: Option<String>,
}

#[derive(Default)]
struct Provider {
    mood: Mutex<Mood>,
    /// The second since the start of the epoch, and what was asked in it.
    second: Mutex<(u64, u64)>,
    calls: AtomicUsize,
    throttled: AtomicUsize,
    first: OnceLock<String>,
    first_stream: OnceLock<String>,
}

pub(crate) fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/mood", post(change))
        .route("/seen", get(seen))
        .with_state(Arc::new(Provider::default()))
}

async fn change(State(provider): State<Arc<Provider>>, Json(mood): Json<Mood>) -> StatusCode {
    *provider.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    StatusCode::NO_CONTENT
}

async fn seen(State(provider): State<Arc<Provider>>) -> Json<Seen> {
    Json(Seen {
        calls: provider.calls.load(Ordering::SeqCst),
        throttled: provider.throttled.load(Ordering::SeqCst),
        first: provider.first.get().cloned(),
        first_stream: provider.first_stream.get().cloned(),
    })
}

async fn complete(State(provider): State<Arc<Provider>>, body: String) -> Response {
    let mood = *provider.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let number = provider.calls.fetch_add(1, Ordering::SeqCst) as u64;
    if mood.manner == Manner::Out || (mood.fails_one_in > 0 && number.is_multiple_of(mood.fails_one_in)) {
        let message = Json(json!({"error": {"message": "out"}}));
        return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    }
    if mood.quota > 0 && !provider.admits(mood.quota) {
        provider.throttled.fetch_add(1, Ordering::SeqCst);
        let message = Json(json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}));
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], message).into_response();
    }
    let is_stream = body.contains("\"stream\":true");
    let is_translation = body.contains("Translate the caption into German");
    let named = (mood.manner == Manner::Naming).then(|| named(&body)).flatten();
    let first = if is_stream {
        &provider.first_stream
    } else {
        &provider.first
    };
    first.get_or_init(|| body);
    if mood.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(mood.latency_ms)).await;
    }
    let mut answer = match named {
        Some(name) => about(&name, is_stream),
        None if is_translation => {
            let content_type = [(header::CONTENT_TYPE, "application/json")];
            (content_type, completion("Frisches Brot, und die Tür steht offen.")).into_response()
        }
        None if is_stream => {
            let chunks = stream::iter(chunks().iter().cloned().map(Ok::<_, Infallible>));
            // Between two pieces others may run, as between two packets.
            let chunks = chunks.then(|chunk| async move {
                tokio::task::yield_now().await;
                chunk
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(chunks)).into_response()
        }
        None => {
            let answer = if mood.manner == Manner::Other { other() } else { whole() };
            ([(header::CONTENT_TYPE, "application/json")], answer.clone()).into_response()
        }
    };
    if mood.manner == Manner::Closing {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

impl Provider {
    /// Whether one more may be answered in this second.
    fn admits(&self, quota: u64) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0 != now {
            *second = (now, 0);
        }
        second.1 += 1;
        second.1 <= quota
    }
}

const USAGE: [(&str, u64); 3] = [
    ("prompt_tokens", 900),
    ("completion_tokens", 180),
    ("total_tokens", 1080),
];

fn usage() -> Value {
    Value::Object(
        USAGE
            .iter()
            .map(|&(name, number)| (name.to_owned(), number.into()))
            .collect(),
    )
}

/// The answer to whoever does not want a stream.
fn whole() -> &'static Bytes {
    static WHOLE: OnceLock<Bytes> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let written = json!({"variants": [
            {
                "angle": "news", "hook": "The loaves came out at six and the counter is full.",
                "body": format!("{CAPTION_PART}."), "cta": null, "hashtags": ["bakery", "bread", "sourdough"],
            },
            {
                "angle": "story", "hook": "Half past four, and the oven is the only light in the street.",
                "body": "By six there is bread on the counter and a queue at the door.", "cta": null,
                "hashtags": ["bakery", "morningbread", "oven"],
            },
            {
                "angle": "question", "hook": "Crust or crumb?",
                "body": "Today's tray settles the question one slice at a time.", "cta": null,
                "hashtags": ["bread", "crust", "bakerylife"],
            },
        ]});
        completion(&written.to_string())
    })
}

/// The post that the prompt is about: `post 12 of the north house`.
fn named(body: &str) -> Option<String> {
    let from = body.rfind("post ")?;
    let name = body[from..].split(" house").next()?;
    (name.len() < 40).then(|| format!("{name} house"))
}

/// An answer that names the post, in words that depend on its number: near-copies of each other are turned away.
fn about(name: &str, is_stream: bool) -> Response {
    const THINGS: [&str; 8] = ["lamp", "chair", "window", "stairs", "garden", "kettle", "piano", "roof"];
    const DEEDS: [&str; 8] = [
        "waits", "creaks", "shines", "sleeps", "sings", "leans", "listens", "smiles",
    ];
    let number = name.bytes().fold(7_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    let (thing, deed, other) = (THINGS[number % 8], DEEDS[number / 8 % 8], THINGS[number / 64 % 8]);
    let text = format!("The {thing} {deed} while the {other} keeps quiet. This is {name}.");
    if is_stream {
        let delta = json!([{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]);
        let events = [event(&delta, &Value::Null), event(&json!([]), &usage())].concat();
        return ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response();
    }
    let written = json!({"variants": [{
        "angle": "news", "hook": format!("The {thing} {deed} while the {other} keeps quiet."),
        "body": format!("This is {name}."), "cta": null, "hashtags": ["house", thing],
    }]});
    (
        [(header::CONTENT_TYPE, "application/json")],
        completion(&written.to_string()),
    )
        .into_response()
}

fn event(choices: &Value, usage: &Value) -> String {
    let data = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench",
        "choices": choices, "usage": usage,
    });
    format!("data: {data}\n\n")
}

/// The answer where it writes about something else.
fn other() -> &'static Bytes {
    static OTHER: OnceLock<Bytes> = OnceLock::new();
    OTHER.get_or_init(|| {
        let written = json!({"variants": [{
            "angle": "news", "hook": "Rain on the harbour all week, and the nets stay dry.",
            "body": "The boats go out again on Monday.", "cta": null, "hashtags": ["harbour", "boats"],
        }]});
        completion(&written.to_string())
    })
}

fn completion(content: &str) -> Bytes {
    let completion = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "bench",
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content},
        }],
        "usage": usage(),
    });
    Bytes::from(completion.to_string())
}

/// The pieces of a streamed answer: some words each, as models send them.
fn chunks() -> &'static [Bytes] {
    static CHUNKS: OnceLock<Vec<Bytes>> = OnceLock::new();
    CHUNKS.get_or_init(|| {
        let text = format!("The loaves came out at six and the counter is full. {CAPTION_PART}.");
        let words = text.split_inclusive(' ').map(|word| {
            let delta = json!([{"index": 0, "delta": {"content": word}, "finish_reason": null}]);
            event(&delta, &Value::Null)
        });
        let end = [
            event(
                &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
                &Value::Null,
            ),
            event(&json!([]), &usage()),
            "data: [DONE]\n\n".to_owned(),
        ];
        words.chain(end).map(Bytes::from).collect()
    })
}
