//! The whole policy over a faulty store, a faulty cache and a chain of faulty providers, in simulated time, over thousands
//! of schedules.
//!
//! A schedule follows from its seed: who asks when, how long they wait, who leaves, and the weather at each provider. What
//! must hold is checked from both ends: what the callers got, and what the providers saw.

mod provider;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    context::{Class, Context},
    fault::{Fault, LlmError},
    limiter::Limiter,
    ports::{Chunk, ChunkStream, LlmProvider, Quota, QuotaKey},
    prompt::Prompt,
    quota::{Decision, Meter, Plan as Limits, Presence, Take},
};
use futures_util::{StreamExt, future::join_all};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::provider::{Door, Event, Peer, Provider, Seen};
use crate::{
    breaker::BreakerSettings,
    failover::{Failover, tries},
    guarded::Guarded,
    jitter::Jitter,
    policy::{Policy, PolicySettings},
    rate::{Headroom, Rate},
    retry::{BudgetSettings, RetrySettings},
    samples::{context, ms, prompt, prompt_for},
    slots::{AdaptiveSettings, SlotSettings},
};

/// Schedules of one run, of about two minutes each.
const SCHEDULES: u64 = 2000;
const REQUESTS: usize = 30;
const MEMBERS: [&str; 3] = ["a", "b", "c"];
const ATTEMPTS: u32 = 3;
/// Calls in flight to one provider.
const SLOTS: usize = 3;
/// The weather changes up to here; then it is fine for ever.
const STORM: Duration = Duration::from_secs(100);
const LONGEST_OPEN: Duration = Duration::from_secs(5);
/// So little that it is used up all the time.
const BUDGET: BudgetSettings = BudgetSettings {
    ratio: 0.1,
    floor: 1.0,
    per_second: 0.1,
};
/// Calls a minute to one provider, where its calls are limited.
const A_MINUTE: u32 = 12;
/// The longest that a call waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// How often a provider is asked whether it is back.
const EVERY: Duration = Duration::from_millis(50);
/// The longest that a provider takes for an answer in fine weather, from one to the next.
const LONGEST_FINE: Duration = Duration::from_millis(300 * 3);
/// The longest that a provider asks us to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// The clock of tests ticks in milliseconds, and timers round up.
const TICK: Duration = Duration::from_millis(1);

fn settings(chance: &mut StdRng, position: usize) -> PolicySettings {
    PolicySettings {
        deadline: true,
        retry: Some(RetrySettings {
            max_attempts: tries(ATTEMPTS, position, MEMBERS.len()),
            base_delay: ms(100),
            longest_wait: ms(if position + 1 == MEMBERS.len() { 30_000 } else { 1000 }),
            ..RetrySettings::default()
        }),
        hedge_after: chance.random_bool(0.5).then(|| ms(400)),
        budget: Some(BUDGET),
        breaker: chance.random_bool(0.8).then(|| BreakerSettings {
            failure_threshold: 3,
            recovery_timeout: LONGEST_OPEN,
            ..BreakerSettings::default()
        }),
        slots: Some(SlotSettings {
            max_concurrent: SLOTS,
            queue_length: 4,
            queue_wait: ms(1000),
            adaptive: chance.random_bool(0.5).then(AdaptiveSettings::default),
        }),
        attempt_timeout: Some(ms(2000)),
        first_chunk_timeout: Some(ms(1500)),
        idle_timeout: Some(ms(1000)),
        ledger: true,
        ..PolicySettings::off(MEMBERS[position])
    }
}

/// Of a store and a cache: quicker, and with a try more for what only reads.
fn peer_settings(name: &str, chance: &mut StdRng) -> PolicySettings {
    PolicySettings {
        deadline: true,
        retry: Some(RetrySettings {
            max_attempts: 2,
            base_delay: ms(20),
            longest_wait: ms(200),
            ..RetrySettings::default()
        }),
        hedge_after: chance.random_bool(0.5).then(|| ms(50)),
        budget: Some(BUDGET),
        breaker: chance.random_bool(0.8).then(BreakerSettings::default),
        slots: Some(SlotSettings {
            max_concurrent: SLOTS,
            queue_length: 4,
            queue_wait: ms(100),
            adaptive: None,
        }),
        attempt_timeout: Some(ms(200)),
        ..PolicySettings::off(name)
    }
}

/// Meters that go by the simulated clock.
struct Meters {
    start: Instant,
    meters: Mutex<HashMap<QuotaKey, Meter>>,
}

#[async_trait]
impl Quota for Meters {
    async fn take(&self, _: &Context, key: &QuotaKey, plan: &Limits, take: &Take) -> Result<Decision, Fault> {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap();
        let mut meters = self.meters.lock().unwrap();
        Ok(meters.entry(key.clone()).or_default().take(plan, take, now))
    }

    async fn attend(&self, _: &Context, _: &QuotaKey, _: &Presence) -> Result<Option<u64>, Fault> {
        Ok(Some(0))
    }
}

/// Our own limit toward a provider, and an ear for what it says of its.
fn rate(name: &str, start: Instant, headroom: Arc<Headroom>) -> Rate {
    let meters = Meters {
        start,
        meters: Mutex::default(),
    };
    let limiter = Limiter::new(Arc::new(meters), Limits::per_minute_and_hour(A_MINUTE.into(), 0, 0));
    Rate {
        limit: Some((limiter, QuotaKey::new("provider", name))),
        headroom: Some(headroom),
        longest_wait: LONGEST_TURN,
        decisions: Arc::default(),
    }
}

/// One request, as its caller sees it.
#[derive(Debug, Clone, Hash)]
struct Told {
    request: usize,
    /// `None` if the caller left.
    outcome: Option<Result<(), &'static str>>,
    attempts: u32,
    ended: Duration,
    /// Calls that the providers had seen by then.
    calls: u32,
}

/// Reads a stream to its end, which comes once and last.
async fn read(chunks: Result<ChunkStream, LlmError>, request: usize) -> Result<(), LlmError> {
    let mut chunks = chunks?;
    let (mut pieces, mut end) = (0, None);
    while let Some(chunk) = chunks.next().await {
        assert!(end.is_none(), "something after the end");
        match chunk {
            Ok(Chunk::Text(text)) => {
                assert_eq!(text, request.to_string());
                pieces += 1;
            }
            Ok(Chunk::Withdrawn { .. }) => pieces = 0,
            Ok(Chunk::Progress { .. }) => {}
            Ok(Chunk::End(_)) => end = Some(Ok(())),
            Err(error) => end = Some(Err(error)),
        }
    }
    let end = end.expect("a stream without an end");
    assert!(end.is_err() || pieces == 3, "a text twice or in part");
    end
}

/// A faulty store, a faulty cache and a chain of faulty providers, each with its policy, and the bound over all providers.
struct World {
    store: Peer,
    cache: Peer,
    doors: Vec<Arc<Door>>,
    chain: Guarded<Failover>,
    asked: Prompt,
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl World {
    fn new(chance: &mut StdRng) -> Self {
        let (start, seen) = (Instant::now(), Arc::default());
        let doors: Vec<Arc<Door>> = MEMBERS
            .iter()
            .enumerate()
            .map(|(position, name)| {
                let headroom = chance.random_bool(0.5).then(|| {
                    let jitter = Jitter::seeded(chance.random());
                    Arc::new(Headroom::with_jitter(jitter))
                });
                let provider = Provider::new(name, chance, start, Arc::clone(&seen), headroom.clone());
                let provider = Arc::new(provider);
                let settings = settings(chance, position);
                let mut policy = Policy::with_jitter(settings, Jitter::seeded(chance.random()));
                if let Some(headroom) = headroom {
                    policy = policy.limited(rate(name, start, headroom));
                }
                let guarded = Guarded::new(Arc::clone(&provider), policy);
                Arc::new(Door { provider, guarded })
            })
            .collect();
        let mut members = doors.iter().map(|door| Arc::clone(door) as Arc<dyn LlmProvider>);
        let chain = Failover::new(members.next().unwrap(), members.collect());
        let overall = PolicySettings {
            deadline: true,
            slots: Some(SlotSettings {
                max_concurrent: 6,
                queue_length: 6,
                queue_wait: ms(1000),
                adaptive: None,
            }),
            ..PolicySettings::off("providers")
        };
        let mut peer = |name| {
            let settings = peer_settings(name, chance);
            let policy = Policy::with_jitter(settings, Jitter::seeded(chance.random()));
            Peer::new(policy, chance, start)
        };
        Self {
            store: peer("database"),
            cache: peer("cache"),
            chain: Guarded::new(Arc::new(chain), Policy::with_jitter(overall, Jitter::seeded(0))),
            doors,
            asked: prompt(),
            start,
            seen,
        }
    }

    /// One request from its beginning to its end.
    async fn ask(&self, plan: Plan) -> Told {
        sleep_until(self.start + plan.begin).await;
        let request = plan.request;
        let cx = Context {
            request_id: request.to_string().into(),
            class: plan.class,
            ..context(plan.patience, ATTEMPTS)
        };
        let work = async {
            // What the store and the cache cannot do never keeps a caption from its caller.
            for peer in [&self.store, &self.cache] {
                if let Ok(told) = peer.read(&cx).await {
                    assert_eq!(told, request, "somebody else's answer");
                }
            }
            if plan.streamed {
                read(self.chain.stream(&cx, &self.asked).await, request).await?;
            } else {
                let completion = self.chain.complete(&cx, &self.asked).await?;
                assert_eq!(completion.text, request.to_string());
            }
            for peer in [&self.store, &self.cache] {
                drop(peer.write(&cx).await);
            }
            Ok(())
        };
        let outcome = match plan.leaves {
            Some(leaves) => timeout(leaves, work).await.ok(),
            None => Some(work.await),
        };
        let ended = Instant::now();
        assert!(
            ended <= Instant::from_std(cx.deadline) + TICK,
            "request {request} ended late: {outcome:?}"
        );
        Told {
            request,
            outcome: outcome.map(|outcome| outcome.map_err(|error: LlmError| error.code())),
            attempts: cx.attempts.begun(),
            ended: ended - self.start,
            calls: self.seen.lock().unwrap().calls(request),
        }
    }

    fn check(&self, told: &[Told]) {
        let seen = self.seen.lock().unwrap();
        for told in told {
            let (calls, answers) = (seen.calls(told.request), seen.answers(told.request));
            assert!(calls <= ATTEMPTS, "{told:?} made {calls} calls");
            // Nothing was called behind the back of the ledger, nor after the end.
            assert_eq!((calls, calls), (told.attempts, told.calls), "{told:?}");
            match told.outcome {
                Some(Ok(())) => assert_eq!(answers, 1, "{told:?}"),
                Some(Err(_)) => assert_eq!(answers, 0, "{told:?}"),
                None => assert!(answers <= 1, "{told:?}"),
            }
        }
        for door in &self.doors {
            check_budget(&door.provider.events.lock().unwrap());
            if door.provider.headroom.is_some() {
                check_rate(&door.provider.events.lock().unwrap());
            }
            door.provider.check(SLOTS);
            assert_idle(door.guarded.policy());
        }
        for peer in [&self.store, &self.cache] {
            peer.check(SLOTS);
            assert_idle(&peer.policy);
        }
        assert_idle(self.chain.policy());
    }

    /// In fine weather each provider answers again after the longest time open and one probe.
    async fn recovers(&self) {
        sleep_until(self.start + STORM).await;
        let fine = Instant::now();
        for (index, door) in self.doors.iter().enumerate() {
            loop {
                let cx = Context {
                    request_id: (REQUESTS + index).to_string().into(),
                    ..context(ms(5000), 1)
                };
                if door.complete(&cx, &prompt_for(MEMBERS[index])).await.is_ok() {
                    break;
                }
                let late = fine.elapsed();
                assert!(
                    late <= LONGEST_OPEN + LONGEST_FINE + EVERY + door.longest_hold(),
                    "{} does not answer {late:?} later",
                    MEMBERS[index]
                );
                sleep(EVERY).await;
            }
        }
    }
}

/// Who asks when and how.
struct Plan {
    request: usize,
    begin: Duration,
    patience: Duration,
    /// When the caller leaves, if it does.
    leaves: Option<Duration>,
    class: Class,
    streamed: bool,
}

/// Crowds and quiet times: most requests come in one of three bursts.
fn plans(chance: &mut StdRng) -> Vec<Plan> {
    let bursts: [u64; 3] = std::array::from_fn(|_| chance.random_range(0..90_000));
    (0..REQUESTS)
        .map(|request| Plan {
            request,
            begin: ms(if chance.random_bool(0.7) {
                bursts[chance.random_range(0..3)] + chance.random_range(0..2000)
            } else {
                chance.random_range(0..95_000)
            }),
            patience: ms(chance.random_range(200..20_000)),
            leaves: chance.random_bool(0.2).then(|| ms(chance.random_range(0..4000))),
            class: if chance.random_bool(0.3) {
                Class::Batch
            } else {
                Class::Interactive
            },
            streamed: chance.random_bool(0.3),
        })
        .collect()
}

/// Runs a schedule, checks what must hold, and returns its trace.
async fn schedule(seed: u64) -> u64 {
    let mut chance = StdRng::seed_from_u64(seed);
    let world = World::new(&mut chance);
    let told = join_all(plans(&mut chance).into_iter().map(|plan| world.ask(plan))).await;
    world.check(&told);
    world.recovers().await;

    let mut trace = DefaultHasher::new();
    told.hash(&mut trace);
    trace.finish()
}

fn assert_idle(policy: &Policy) {
    let crowd = policy.crowd().unwrap();
    assert_eq!((crowd.in_flight, crowd.interactive, crowd.batch), (0, 0, 0));
}

/// In no 10 s were more further tries made than what had been saved up before, and came in meanwhile.
fn check_budget(events: &[(Duration, Event)]) {
    let window = Duration::from_secs(10);
    let mut open: HashMap<usize, u32> = HashMap::new();
    // (when, asked so far, further tries so far), with the event itself.
    let mut counts = vec![(Duration::ZERO, 0_u32, 0_u32)];
    for (at, event) in events {
        let (_, mut asked, mut further) = counts[counts.len() - 1];
        match event {
            Event::Asked(request) => {
                asked += 1;
                *open.entry(*request).or_default() += 1;
            }
            Event::Called(request) => match open.get_mut(request).filter(|firsts| **firsts > 0) {
                Some(firsts) => *firsts -= 1,
                None => further += 1,
            },
        }
        counts.push((*at, asked, further));
    }
    for (index, (from, _, before)) in counts.iter().enumerate() {
        for (to, asked, further) in &counts[index..] {
            let time = to.saturating_sub(*from);
            if time > window {
                break;
            }
            // A further try was paid for before its pause.
            let time = time + LONGEST_PAUSE;
            let earned = BUDGET.ratio * f64::from(*asked) + BUDGET.per_second * time.as_secs_f64();
            let most = BUDGET.floor + earned;
            let made = f64::from(further - before);
            assert!(
                made <= most + 1e-6,
                "{made} further tries from {from:?} to {to:?}, of {most}"
            );
        }
    }
}

/// In no stretch of time were more calls made than the limit lets through at once and meanwhile.
fn check_rate(events: &[(Duration, Event)]) {
    let calls: Vec<Duration> = events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Called(_)))
        .map(|(at, _)| *at)
        .collect();
    for (index, from) in calls.iter().enumerate() {
        for (made, to) in (1_u32..).zip(&calls[index..]) {
            // A call may come as much later than its leave as it waited for its turn and for a slot.
            let time = to.saturating_sub(*from) + 3 * LONGEST_TURN;
            let limit = f64::from(A_MINUTE) * (1.0 + time.as_secs_f64() / 60.0) + 1.0;
            assert!(
                f64::from(made) <= limit,
                "{made} calls from {from:?} to {to:?}, of {limit}"
            );
        }
    }
}

/// Runs a schedule on a clock of its own.
fn run(seed: u64) -> u64 {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async {
            // Whatever hangs is stopped by the simulated clock and not by somebody's patience.
            timeout(Duration::from_hours(1), schedule(seed))
                .await
                .expect("a request that never ends")
        })
}

#[test]
fn nothing_that_must_hold_breaks_in_thousands_of_schedules() {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SCHEDULES {
                        return;
                    }
                    let held = std::panic::catch_unwind(|| run(seed)).is_ok();
                    assert!(held, "schedule {seed}; run(seed) alone repeats it");
                }
            });
        }
    });
}

#[test]
fn a_schedule_follows_from_its_seed() {
    for seed in [1, 20, 300] {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1), run(2));
}
