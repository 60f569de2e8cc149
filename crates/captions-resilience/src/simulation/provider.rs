//! Providers, stores and caches whose weather changes, and what they see of their policies.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind, LlmError},
    ports::{Chunk, ChunkStream, Completion, Credit, Description, Grade, LlmProvider},
    prompt::Prompt,
    quota::Notice,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use super::{A_MINUTE, LONGEST_PAUSE, STORM};
use crate::{
    guarded::Guarded,
    policy::{Policy, Repeat},
    rate::Headroom,
    samples::ms,
};

#[derive(Debug, Clone, Copy)]
enum Weather {
    Fine,
    Slow,
    Silent,
    Limited,
    Down,
    Resets,
    Garbage,
    /// Any of these, at each call.
    Mixed,
}

/// What one call comes to.
enum Fate {
    Answer,
    Error(LlmError),
    Silence,
}

/// What all providers saw, by request.
#[derive(Default)]
pub(super) struct Seen {
    /// Calls begun.
    calls: HashMap<usize, u32>,
    /// Answers given to the end.
    answers: HashMap<usize, u32>,
}

impl Seen {
    pub(super) fn calls(&self, request: usize) -> u32 {
        self.calls.get(&request).copied().unwrap_or(0)
    }

    pub(super) fn answers(&self, request: usize) -> u32 {
        self.answers.get(&request).copied().unwrap_or(0)
    }
}

/// What one provider saw of its policy: in order, when a caller asked it, and when it called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Asked(usize),
    Called(usize),
}

/// What a dependency is like from one time to the next, and how many calls it has at once.
struct Sky {
    start: Instant,
    /// Until when, and what it is like until then.
    weather: Vec<(Duration, Weather)>,
    chance: Mutex<StdRng>,
    in_flight: Arc<AtomicUsize>,
    most_in_flight: AtomicUsize,
}

pub(super) struct Provider {
    description: Description,
    sky: Sky,
    /// Where it tells how long it takes no calls, if its calls are limited.
    pub(super) headroom: Option<Arc<Headroom>>,
    pub(super) events: Mutex<Vec<(Duration, Event)>>,
    seen: Arc<Mutex<Seen>>,
}

/// A store or a cache: what is asked of it is a number, and the answer is the same number.
pub(super) struct Peer {
    sky: Sky,
    pub(super) policy: Policy,
    /// Writes begun, by request.
    writes: Mutex<HashMap<usize, u32>>,
}

struct Flight(Arc<AtomicUsize>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn number(cx: &Context) -> usize {
    cx.request_id.parse().unwrap()
}

impl Sky {
    fn new(chance: &mut StdRng, start: Instant) -> Self {
        let (mut at, mut weather) = (Duration::ZERO, Vec::new());
        while at < STORM {
            at += ms(chance.random_range(1000..30_000));
            weather.push((at.min(STORM), WEATHER[chance.random_range(0..WEATHER.len())]));
        }
        Self {
            start,
            weather,
            chance: Mutex::new(StdRng::seed_from_u64(chance.random())),
            in_flight: Arc::default(),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    fn begin(&self, cx: &Context) -> Flight {
        assert!(
            Instant::now() < Instant::from_std(cx.deadline),
            "a call for a request whose time is up"
        );
        let flying = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(flying, Ordering::Relaxed);
        Flight(Arc::clone(&self.in_flight))
    }

    /// No call is under way, and there never were more than `most` at once.
    fn check(&self, most: usize) {
        assert!(self.most_in_flight.load(Ordering::Relaxed) <= most);
        assert_eq!(self.in_flight.load(Ordering::Relaxed), 0);
    }

    fn draw(&self, from: u64, to: u64) -> u64 {
        self.chance.lock().unwrap().random_range(from..to)
    }

    fn fate(&self) -> (Duration, Fate) {
        let now = self.start.elapsed();
        let mut weather = self
            .weather
            .iter()
            .find(|(until, _)| now < *until)
            .map_or(Weather::Fine, |(_, weather)| *weather);
        if matches!(weather, Weather::Mixed) {
            weather = WEATHER[usize::try_from(self.draw(0, 7)).unwrap()];
        }
        let fault = |kind| Fate::Error(Fault::new(kind).into());
        match weather {
            Weather::Fine | Weather::Mixed => (ms(self.draw(20, 300)), Fate::Answer),
            Weather::Slow => (ms(self.draw(500, 4000)), Fate::Answer),
            Weather::Silent => (ms(0), Fate::Silence),
            Weather::Limited => {
                let wait = self.draw(0, 3000);
                let retry_after = (wait > 500).then(|| ms(wait));
                (ms(self.draw(5, 50)), fault(FaultKind::RateLimited { retry_after }))
            }
            Weather::Down => (ms(self.draw(0, 20)), fault(FaultKind::Unavailable)),
            Weather::Resets => (ms(self.draw(20, 900)), fault(FaultKind::Unavailable)),
            Weather::Garbage => (ms(self.draw(50, 500)), Fate::Error(LlmError::unusable("garbage"))),
        }
    }
}

impl Peer {
    pub(super) fn new(policy: Policy, chance: &mut StdRng, start: Instant) -> Self {
        Self {
            sky: Sky::new(chance, start),
            policy,
            writes: Mutex::default(),
        }
    }

    /// What was read, which is what was asked for.
    pub(super) async fn read(&self, cx: &Context) -> Result<usize, Fault> {
        self.policy.run(cx, "read", Repeat::Read, || self.answer(cx)).await
    }

    /// Writes once, whatever becomes of it.
    pub(super) async fn write(&self, cx: &Context) -> Result<usize, Fault> {
        let write = || {
            *self.writes.lock().unwrap().entry(number(cx)).or_default() += 1;
            self.answer(cx)
        };
        self.policy.run(cx, "write", Repeat::Never, write).await
    }

    async fn answer(&self, cx: &Context) -> Result<usize, Fault> {
        let _flight = self.sky.begin(cx);
        let (delay, fate) = self.sky.fate();
        // Stores are quicker than models.
        sleep(delay / 20).await;
        match fate {
            Fate::Answer => Ok(number(cx)),
            Fate::Error(LlmError::Fault(fault)) => Err(fault),
            Fate::Error(_) => Err(Fault::new(FaultKind::Corrupt)),
            Fate::Silence => std::future::pending().await,
        }
    }

    pub(super) fn check(&self, most_in_flight: usize) {
        self.sky.check(most_in_flight);
        let writes = self.writes.lock().unwrap();
        assert!(writes.values().all(|times| *times == 1), "written twice: {writes:?}");
    }
}

impl Provider {
    pub(super) fn new(
        name: &str,
        chance: &mut StdRng,
        start: Instant,
        seen: Arc<Mutex<Seen>>,
        headroom: Option<Arc<Headroom>>,
    ) -> Self {
        Self {
            headroom,
            description: Description {
                provider: name.to_owned(),
                model: "m".to_owned(),
                grade: Grade::Standard,
                members: vec![name.to_owned()],
                languages: None,
                seeing: Vec::new(),
                rewrites: true,
                fingerprint: name.to_owned(),
            },
            sky: Sky::new(chance, start),
            events: Mutex::default(),
            seen,
        }
    }

    pub(super) fn check(&self, most_in_flight: usize) {
        self.sky.check(most_in_flight);
    }

    fn begin(&self, cx: &Context) -> Flight {
        let request = number(cx);
        *self.seen.lock().unwrap().calls.entry(request).or_default() += 1;
        let event = (self.sky.start.elapsed(), Event::Called(request));
        self.events.lock().unwrap().push(event);
        self.sky.begin(cx)
    }

    /// Says in its answer what the error tells, as an adapter does.
    fn tell(headroom: Option<&Headroom>, error: &LlmError) {
        let told = match error {
            LlmError::Fault(fault) => fault.retry_after(),
            _ => None,
        };
        if let (Some(headroom), Some(hold)) = (headroom, told) {
            headroom.observe(Notice {
                hold: Some(hold),
                ..Notice::default()
            });
        }
    }

    fn answered(seen: &Mutex<Seen>, request: usize) {
        *seen.lock().unwrap().answers.entry(request).or_default() += 1;
    }

    fn credit(&self) -> Credit {
        Credit {
            provider: self.description.provider.clone(),
            model: self.description.model.clone(),
            grade: self.description.grade,
            first_choice: true,
            usage: None,
            provider_request_id: None,
        }
    }
}

const WEATHER: [Weather; 8] = [
    Weather::Fine,
    Weather::Slow,
    Weather::Silent,
    Weather::Limited,
    Weather::Down,
    Weather::Resets,
    Weather::Garbage,
    Weather::Mixed,
];

#[async_trait]
impl LlmProvider for Provider {
    async fn complete(&self, cx: &Context, _: &Prompt) -> Result<Completion, LlmError> {
        let _flight = self.begin(cx);
        let (delay, fate) = self.sky.fate();
        sleep(delay).await;
        match fate {
            Fate::Answer => {
                Self::answered(&self.seen, number(cx));
                Ok(Completion {
                    text: cx.request_id.to_string(),
                    credit: self.credit(),
                })
            }
            Fate::Error(error) => {
                Self::tell(self.headroom.as_deref(), &error);
                Err(error)
            }
            Fate::Silence => std::future::pending().await,
        }
    }

    /// In three pieces; what goes wrong does so before one of them.
    async fn stream(&self, cx: &Context, _: &Prompt) -> Result<ChunkStream, LlmError> {
        let flight = self.begin(cx);
        let (delay, fate) = self.sky.fate();
        let wrong_at = self.sky.draw(0, 3);
        let (seen, request, credit) = (Arc::clone(&self.seen), number(cx), self.credit());
        let (mut fate, headroom) = (Some(fate), self.headroom.clone());
        Ok(Box::pin(stream! {
            let _flight = flight;
            for piece in 0..3 {
                sleep(delay / 3).await;
                if piece == wrong_at {
                    match fate.take() {
                        Some(Fate::Error(error)) => {
                            Provider::tell(headroom.as_deref(), &error);
                            yield Err(error);
                            return;
                        }
                        Some(Fate::Silence) => std::future::pending().await,
                        Some(Fate::Answer) | None => {}
                    }
                }
                yield Ok(Chunk::Text(request.to_string()));
            }
            Provider::answered(&seen, request);
            yield Ok(Chunk::End(credit));
        }))
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

/// Before a guarded provider: takes note of each time that it is asked.
pub(super) struct Door {
    pub(super) provider: Arc<Provider>,
    pub(super) guarded: Guarded<Provider>,
}

impl Door {
    /// The longest that limits alone may keep a call away: the next unit of our own, and what the provider has asked for.
    pub(super) fn longest_hold(&self) -> Duration {
        match self.provider.headroom {
            Some(_) => Duration::from_mins(1) / A_MINUTE + LONGEST_PAUSE,
            None => Duration::ZERO,
        }
    }

    fn asked(&self, cx: &Context) {
        let event = (self.provider.sky.start.elapsed(), Event::Asked(number(cx)));
        self.provider.events.lock().unwrap().push(event);
    }
}

#[async_trait]
impl LlmProvider for Door {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        self.asked(cx);
        self.guarded.complete(cx, prompt).await
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        self.asked(cx);
        self.guarded.stream(cx, prompt).await
    }

    fn describe(&self) -> &Description {
        self.provider.describe()
    }
}
