//! What the scripted server says in one turn, and how badly it says it.

use std::{io::Write as _, sync::OnceLock, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use super::Recorded;

/// Size of what [`Turn::gzip_bomb`] unpacks to, in bytes.
const BOMB_BYTES: usize = 16 << 20;

/// One answer. The same turn is played as JSON or as SSE, as the request asks.
#[derive(Debug, Clone)]
pub struct Turn {
    pub(super) before: Duration,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) course: Course,
    /// Bytes a write, and the pause after each.
    pub(super) pace: Option<(usize, Duration)>,
    /// Pause between the head and the first byte of the body.
    pub(super) before_body: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// A completion in the form that the request asks for.
    Said(Said),
    /// These bytes, whatever was asked.
    Raw { content_type: &'static str, bytes: Bytes },
    /// These chunks as an event stream, each its own write.
    RawStream(Vec<Bytes>),
    /// A completion whose text is what the user wrote.
    Echo,
    /// A completion that fits the request, see [`Turn::fitting`].
    Fitting,
    /// A completion with this caption, in the form asked for.
    Caption(String),
    /// A small body that unpacks to [`BOMB_BYTES`].
    Bomb,
}

#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) reasoning: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) finish: &'static str,
    pub(super) usage: bool,
    pub(super) done: bool,
}

/// How the body goes. Pieces are words of a stream; in JSON every piece stands for a tenth of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Whole,
    /// The connection breaks after so many pieces.
    Cut(usize),
    /// The response ends by the book after so many pieces, as if that were all.
    Ends(usize),
    /// Nothing more comes after so many pieces, and the connection stays open.
    Stalls(usize),
    /// Garbage follows after so many pieces, then the rest.
    Garbled(usize),
    /// The socket is reset instead of an answer.
    Reset,
    /// No answer at all, and the connection stays open.
    Silent,
    /// The connection is told to end: instead of an answer, or after so many pieces.
    GoesAway(Option<usize>),
}

impl Turn {
    fn of(body: Body) -> Self {
        Self {
            before: Duration::ZERO,
            status: 200,
            headers: Vec::new(),
            body,
            course: Course::Whole,
            pace: None,
            before_body: Duration::ZERO,
        }
    }

    fn said(text: impl Into<String>, finish: &'static str) -> Self {
        Self::of(Body::Said(Said {
            text: text.into(),
            reasoning: None,
            refusal: None,
            finish,
            usage: true,
            done: true,
        }))
    }

    // Good answers.

    /// A completion with exactly this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::said(text, "stop")
    }

    /// A valid answer of the variants form, one variant for each text.
    pub fn caption_json(texts: &[&str]) -> Self {
        Self::text(variants(texts))
    }

    /// This caption in the form asked for: one variant in JSON, or plain text.
    pub fn caption(text: impl Into<String>) -> Self {
        Self::of(Body::Caption(text.into()))
    }

    /// What fits the request: the JSON asked for or plain text, with as many variants as asked for, each repeating
    /// the start of the description, so that answers to different briefs differ.
    pub fn fitting() -> Self {
        Self::of(Body::Fitting)
    }

    // Errors told by status.

    /// An error document in the OpenAI form.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"error": {"message": message, "type": error_type(status), "param": null, "code": code}}),
        )
    }

    /// Any JSON document.
    pub fn json(status: u16, document: &Value) -> Self {
        Self::raw(status, "application/json", document.to_string())
    }

    /// Any bytes.
    pub fn raw(status: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self {
            status,
            ..Self::of(Body::Raw {
                content_type,
                bytes: bytes.into(),
            })
        }
    }

    /// A 200 event stream of exactly these writes.
    pub fn raw_stream<B: Into<Bytes>>(writes: impl IntoIterator<Item = B>) -> Self {
        Self::of(Body::RawStream(writes.into_iter().map(Into::into).collect()))
    }

    /// 429 without a word about when to come back.
    pub fn rate_limited() -> Self {
        Self::error(429, "rate_limit_exceeded", "Rate limit reached")
    }

    /// 429 with a `Retry-After` of this value: seconds, a float, or an HTTP date.
    pub fn rate_limited_for(retry_after: &str) -> Self {
        Self::rate_limited().header("retry-after", retry_after)
    }

    /// 429 that no waiting heals.
    pub fn out_of_quota() -> Self {
        Self::error(429, "insufficient_quota", "You exceeded your current quota")
    }

    /// 500 with an error document.
    pub fn server_error() -> Self {
        Self::error(500, "server_error", "The server had an error")
    }

    /// 503 with an HTML page, as proxies send it.
    pub fn unavailable() -> Self {
        Self::raw(503, "text/html", "<html><body>503 Service Unavailable</body></html>")
    }

    /// 401.
    pub fn bad_key() -> Self {
        Self::error(401, "invalid_api_key", "Incorrect API key provided")
    }

    /// 400: prompt and answer do not fit the model.
    pub fn context_too_long() -> Self {
        Self::error(
            400,
            "context_length_exceeded",
            "This model's maximum context length is 8192 tokens",
        )
    }

    /// 400: the prompt is against the provider's content rules.
    pub fn content_refused() -> Self {
        Self::error(400, "content_filter", "The response was filtered")
    }

    /// 400: this parameter is not known.
    pub fn unsupported_parameter(name: &str) -> Self {
        Self::json(
            400,
            &json!({"error": {
                "message": format!("Unsupported parameter: '{name}' is not supported with this model."),
                "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"
            }}),
        )
    }

    /// Status 200 and an error document, in JSON or as an event.
    pub fn error_in_200(code: &str) -> Self {
        Self::error(200, code, "Provider returned error")
    }

    // Answers that are none.

    /// A completion without text.
    pub fn empty() -> Self {
        Self::text("")
    }

    /// All thought and no text.
    pub fn only_thoughts(thoughts: &str) -> Self {
        Self::text("").reasoning(thoughts)
    }

    /// The refusal field of strict providers.
    pub fn refusal() -> Self {
        let mut turn = Self::text("");
        if let Body::Said(said) = &mut turn.body {
            said.refusal = Some("I can't help with that.".into());
        }
        turn
    }

    /// A refusal in prose, as if it were the answer.
    pub fn refusal_text() -> Self {
        Self::text("I'm sorry, but I can't help with that request.")
    }

    /// A completion that the content filter stopped after some text.
    pub fn filtered(text: &str) -> Self {
        Self::said(text, "content_filter")
    }

    /// A text that the token limit cut.
    pub fn length_cut(text: &str) -> Self {
        Self::said(text, "length")
    }

    /// The variants form, cut by the token limit in mid-string.
    pub fn length_cut_json() -> Self {
        let whole = variants(&["A loaf that took three days and was gone in three minutes."]);
        Self::said(&whole[..whole.len() * 2 / 3], "length")
    }

    /// A German caption, whatever was asked for.
    pub fn wrong_language() -> Self {
        Self::caption(
            "Frisch aus dem Ofen und noch warm: unser Brot wartet heute Morgen auf euch, kommt vorbei und probiert es!",
        )
    }

    /// A caption of about so many characters.
    pub fn over_long(characters: usize) -> Self {
        Self::caption("The bread is warm and the door is open. ".repeat(characters / 40 + 1))
    }

    /// What the user message said, word for word.
    pub fn prompt_echo() -> Self {
        Self::of(Body::Echo)
    }

    /// A few kilobytes that unpack to 16 MiB.
    pub fn gzip_bomb() -> Self {
        // Packing takes a while: now, and not while somebody waits for the answer.
        bomb();
        Self::of(Body::Bomb)
    }

    // Faults of the line.

    /// The socket is reset before any header.
    pub fn reset() -> Self {
        Self::fitting().course(Course::Reset)
    }

    /// The request is read and never answered.
    pub fn silence() -> Self {
        Self::fitting().course(Course::Silent)
    }

    /// The connection is told to end (GOAWAY in HTTP/2; a plain end in HTTP/1.1) before any header.
    pub fn goes_away() -> Self {
        Self::fitting().course(Course::GoesAway(None))
    }

    /// The connection is told to end after so many pieces.
    #[must_use]
    pub fn goes_away_after(self, pieces: usize) -> Self {
        self.course(Course::GoesAway(Some(pieces)))
    }

    /// The connection breaks after so many pieces.
    #[must_use]
    pub fn cut_after(self, pieces: usize) -> Self {
        self.course(Course::Cut(pieces))
    }

    /// The response ends properly after so many pieces, without a finish reason.
    #[must_use]
    pub fn ends_after(self, pieces: usize) -> Self {
        self.course(Course::Ends(pieces))
    }

    /// Nothing more comes after so many pieces; the connection stays open.
    #[must_use]
    pub fn stall_after(self, pieces: usize) -> Self {
        self.course(Course::Stalls(pieces))
    }

    /// After so many pieces comes a chunk that is no JSON.
    #[must_use]
    pub fn garbled_after(self, pieces: usize) -> Self {
        self.course(Course::Garbled(pieces))
    }

    fn course(mut self, course: Course) -> Self {
        self.course = course;
        self
    }

    // Shades.

    /// Waits before the first byte of the head.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.before = wait;
        self
    }

    /// Sends the head at once and waits before the first token.
    #[must_use]
    pub fn first_token_after(mut self, wait: Duration) -> Self {
        self.before_body = wait;
        self
    }

    /// Sends the body in writes of `bytes` with a pause after each: `drip(1, Duration::from_secs(1))` is one byte a second.
    #[must_use]
    pub fn drip(mut self, bytes: usize, pause: Duration) -> Self {
        self.pace = Some((bytes.max(1), pause));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds thoughts beside the text.
    #[must_use]
    pub fn reasoning(mut self, thoughts: &str) -> Self {
        if let Body::Said(said) = &mut self.body {
            said.reasoning = Some(thoughts.into());
        }
        self
    }

    /// Leaves the token counts away.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        if let Body::Said(said) = &mut self.body {
            said.usage = false;
        }
        self
    }

    /// Ends a stream without `[DONE]`.
    #[must_use]
    pub fn without_done(mut self) -> Self {
        if let Body::Said(said) = &mut self.body {
            said.done = false;
        }
        self
    }

    /// The turn with everything that depends on the request filled in.
    pub(super) fn for_request(mut self, request: &Recorded) -> Self {
        let text = match &self.body {
            Body::Echo => request.user_text(),
            Body::Fitting => fitting(&request.user_text()),
            Body::Caption(text) if captions_wanted(&request.user_text()).is_some() => variants(&[text]),
            Body::Caption(text) => text.clone(),
            Body::Bomb => {
                self.headers.push(("content-encoding".into(), "gzip".into()));
                self.body = Body::Raw {
                    content_type: if request.streamed() {
                        "text/event-stream"
                    } else {
                        "application/json"
                    },
                    bytes: bomb(),
                };
                return self;
            }
            Body::Said(_) | Body::Raw { .. } | Body::RawStream(_) => return self,
        };
        self.body = Self::text(text).body;
        self
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::fitting()
    }
}

fn error_type(status: u16) -> &'static str {
    match status {
        200 => "provider_error",
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The variants document with one variant for each text; its tags are words of the text.
fn variants(texts: &[&str]) -> String {
    let variants: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut tags: Vec<String> = Vec::new();
            for word in text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.chars().count() >= 5)
            {
                let word = word.to_lowercase();
                if tags.len() < 5 && !tags.contains(&word) {
                    tags.push(word);
                }
            }
            let (hook, body) = text.split_once(". ").map_or((*text, ""), |(hook, body)| (hook, body));
            let hook = if body.is_empty() {
                hook.to_owned()
            } else {
                format!("{hook}.")
            };
            json!({"angle": format!("angle {}", index + 1), "hook": hook, "body": body, "cta": null, "hashtags": tags})
        })
        .collect();
    json!({ "variants": variants }).to_string()
}

/// How many captions the JSON form is to hold; `None` if plain text is asked for.
fn captions_wanted(user_text: &str) -> Option<usize> {
    user_text.lines().find_map(|line| {
        line.strip_prefix("Write ")?
            .split_once(" caption")?
            .0
            .parse::<usize>()
            .ok()
    })
}

/// How captions after the first begin: so differently that none is a near duplicate of another.
const OTHERS: [&str; 11] = [
    "Somebody left the window open, and half of the street came in.",
    "Nobody planned this one; it was simply there when we looked up.",
    "Ask the neighbours, they have been talking of nothing else since noon.",
    "There are days that need no filter, and then there is today.",
    "Slow down for a minute, because this will not happen twice a year.",
    "We kept it small, kept it plain, and kept the best part for you.",
    "If you only stop once this week, let it be right here.",
    "What began as an idea on a napkin is finally standing in front of us.",
    "Three things to notice, and the third of them takes a second look.",
    "Long before the others wake up, this is what it looks like.",
    "Between two errands and one phone call, a small piece of luck.",
];

fn fitting(user_text: &str) -> String {
    let description = user_text
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"description\": "))
        .and_then(|value| serde_json::from_str::<String>(value.trim_end_matches(',')).ok())
        .unwrap_or_else(|| "a quiet morning".into());
    let subject: String = description.chars().take(80).collect();
    let count = captions_wanted(user_text);
    let text = |index: usize| match index {
        0 => format!("{subject}. A moment worth keeping."),
        _ => format!("{} {subject}.", OTHERS[(index - 1) % OTHERS.len()]),
    };
    match count {
        None => text(0),
        Some(count) => {
            let texts: Vec<String> = (0..count).map(text).collect();
            variants(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}

fn bomb() -> Bytes {
    static PACKED: OnceLock<Bytes> = OnceLock::new();
    PACKED.get_or_init(packed).clone()
}

fn packed() -> Bytes {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![b'A'; 64 << 10];
    let written = packer
        .write_all(b"data: {\"choices\":[{\"delta\":{\"content\":\"")
        .and_then(|()| (0..BOMB_BYTES / block.len()).try_for_each(|_| packer.write_all(&block)));
    assert!(written.is_ok(), "a Vec takes every write");
    packer.finish().unwrap_or_default().into()
}
