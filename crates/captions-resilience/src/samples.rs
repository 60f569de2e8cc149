//! What the tests of this crate share: a request on the paused clock, a prompt, and a provider that plays a script.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    brief::Brief,
    context::{Attempts, Class, Context, TenantId},
    fault::{Fault, FaultKind, LlmError},
    image::Image,
    ports::{Chunk, ChunkStream, Completion, Credit, Description, Grade, LlmProvider},
    prompt::{Format, Prompt, render},
    request::{CaptionRequest, Description as Wish, Language, ProviderName},
    user::Preferences,
};
use futures_util::StreamExt;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// A request that ends after `time` and may call providers `attempts` times.
pub(crate) fn context(time: Duration, attempts: u32) -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "r-1".into(),
        fresh_id: Uuid::nil(),
        now: OffsetDateTime::UNIX_EPOCH,
        deadline: (Instant::now() + time).into_std(),
        attempts: Arc::new(Attempts::up_to(attempts)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

/// A request with time and attempts to spare.
pub(crate) fn relaxed() -> Context {
    context(Duration::from_hours(1), 1000)
}

pub(crate) fn prompt() -> Prompt {
    prompt_in("en")
}

pub(crate) fn prompt_in(language: &str) -> Prompt {
    let mut request = CaptionRequest::new(Wish::new("a red bicycle by the sea").unwrap());
    request.language = Some(Language::new(language).unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    render(&brief, &[], Format::Plain, None)
}

pub(crate) fn prompt_for(provider: &str) -> Prompt {
    Prompt {
        provider: Some(ProviderName::new(provider).unwrap()),
        ..prompt()
    }
}

/// A prompt that comes with a picture.
pub(crate) fn prompt_of_picture() -> Prompt {
    let mut prompt = prompt();
    prompt.brief.image = Some(Image::at("https://example.com/bicycle.jpg").unwrap());
    prompt
}

pub(crate) fn fault(kind: FaultKind) -> LlmError {
    Fault::new(kind).into()
}

pub(crate) fn rate_limited(seconds: Option<u64>) -> FaultKind {
    FaultKind::RateLimited {
        retry_after: seconds.map(Duration::from_secs),
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One line of a script.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    Say(&'static str),
    Work,
    Wait(Duration),
    Hang,
    Fail(LlmError),
    /// The stream ends here without its last chunk.
    CutOff,
    End,
}

/// A provider that plays one script per call, and the last one for ever.
pub(crate) struct Actor {
    pub(crate) description: Description,
    scripts: Mutex<VecDeque<Vec<Line>>>,
    calls: Mutex<Vec<Instant>>,
    /// Calls and streams that are not over and not dropped.
    pub(crate) alive: Arc<AtomicUsize>,
}

impl Actor {
    pub(crate) fn new(name: &str, scripts: &[&[Line]]) -> Self {
        Self {
            description: Description {
                provider: name.to_owned(),
                model: format!("{name}-model"),
                grade: Grade::Standard,
                members: vec![name.to_owned()],
                languages: None,
                seeing: Vec::new(),
                rewrites: true,
                fingerprint: format!("{name}/1"),
            },
            scripts: Mutex::new(scripts.iter().map(|script| script.to_vec()).collect()),
            calls: Mutex::new(Vec::new()),
            alive: Arc::default(),
        }
    }

    /// One that always answers, with its own name.
    pub(crate) fn fine(name: &'static str) -> Self {
        Self::new(name, &[&[Line::Say(name), Line::End]])
    }

    /// The same, able to look at pictures.
    pub(crate) fn seeing(mut self) -> Self {
        self.description.seeing = self.description.members.clone();
        self
    }

    /// One that always fails at once.
    pub(crate) fn failing(name: &str, error: LlmError) -> Self {
        Self::new(name, &[&[Line::Fail(error)]])
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// When it was called, counted from `start`.
    pub(crate) fn call_times(&self, start: Instant) -> Vec<Duration> {
        self.calls.lock().unwrap().iter().map(|at| *at - start).collect()
    }

    fn play(&self) -> ChunkStream {
        self.calls.lock().unwrap().push(Instant::now());
        let script = {
            let mut scripts = self.scripts.lock().unwrap();
            if scripts.len() > 1 {
                scripts.pop_front().unwrap()
            } else {
                scripts.front().unwrap().clone()
            }
        };
        let credit = Credit {
            provider: self.description.provider.clone(),
            model: self.description.model.clone(),
            grade: self.description.grade,
            first_choice: true,
            usage: None,
            provider_request_id: None,
        };
        self.alive.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(&self.alive));
        Box::pin(stream! {
            let _alive = alive;
            for line in script {
                match line {
                    Line::Say(text) => yield Ok(Chunk::Text(text.to_owned())),
                    Line::Work => yield Ok(Chunk::Progress { done: 1, of: 2 }),
                    Line::Wait(time) => sleep(time).await,
                    Line::Hang => std::future::pending().await,
                    Line::Fail(error) => yield Err(error),
                    Line::CutOff => return,
                    Line::End => yield Ok(Chunk::End(credit.clone())),
                }
            }
        })
    }
}

struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl LlmProvider for Actor {
    async fn complete(&self, _: &Context, _: &Prompt) -> Result<Completion, LlmError> {
        let mut text = String::new();
        let mut chunks = self.play();
        while let Some(chunk) = chunks.next().await {
            match chunk? {
                Chunk::Text(more) => text += &more,
                Chunk::Progress { .. } | Chunk::Withdrawn { .. } => {}
                Chunk::End(credit) => return Ok(Completion { text, credit }),
            }
        }
        Err(LlmError::unusable("cut off"))
    }

    async fn stream(&self, _: &Context, _: &Prompt) -> Result<ChunkStream, LlmError> {
        Ok(self.play())
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

/// A whole stream in short: texts as they are, `<code>` for a withdrawal, `%` for progress, `.` for the end, `!code` for
/// an error.
pub(crate) async fn read(stream: Result<ChunkStream, LlmError>) -> Vec<String> {
    let mut seen = Vec::new();
    match stream {
        Err(error) => seen.push(format!("!{}", error.code())),
        Ok(mut chunks) => {
            while let Some(chunk) = chunks.next().await {
                seen.push(match chunk {
                    Ok(Chunk::Text(text)) => text,
                    Ok(Chunk::Withdrawn { code }) => format!("<{code}>"),
                    Ok(Chunk::Progress { .. }) => "%".to_owned(),
                    Ok(Chunk::End(_)) => ".".to_owned(),
                    Err(error) => format!("!{}", error.code()),
                });
            }
        }
    }
    seen
}

/// A subscriber that keeps one field of every line at info or above; `message` is the text itself.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    field: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    pub(crate) fn of(field: &'static str) -> Self {
        Self {
            field,
            seen: Arc::default(),
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Field(&'static str, String);
        impl tracing::field::Visit for Field {
            fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
                if field.name() == self.0 {
                    value.clone_into(&mut self.1);
                }
            }

            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == self.0 {
                    self.1 = format!("{value:?}");
                }
            }
        }
        let mut field = Field(self.field, String::new());
        event.record(&mut field);
        self.seen.lock().unwrap().push(field.1);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
