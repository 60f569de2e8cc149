//! One call through each safeguard, to somebody who answers at once. The benches time them, and `captions-instructions`
//! counts their instructions.
#![expect(
    clippy::expect_used,
    reason = "what stands here is valid, or there is nothing to measure"
)]

use std::{
    future::ready,
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    answers::{Loaded, Unwritten, Wish, Written},
    brief::Brief,
    caption::{Caption, CaptionId, Source},
    choice::{CacheUse, Platform},
    context::{Attempts, Class, Context, TenantId},
    fault::Fault,
    polish::polish,
    ports::{Cache, CacheKey, Cached, Invalidations},
    reply::Draft,
    request::{CaptionRequest, Description, Language},
    user::Preferences,
};
use captions_resilience::{
    breaker::{Breaker, BreakerSettings, Verdict},
    jitter::Jitter,
    monitor::{Dependency, Monitor},
    policy::{Policy, PolicySettings, Repeat},
    readthrough::{CacheOptions, Layers, ReadThrough},
    tasks::Tasks,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};

/// A name, and the call that it names.
pub(crate) type Case = (&'static str, Box<dyn Fn()>);

pub(crate) fn context() -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "bench".into(),
        fresh_id: uuid::Uuid::nil(),
        now: time::OffsetDateTime::UNIX_EPOCH,
        deadline: Instant::now() + Duration::from_hours(1),
        attempts: Arc::new(Attempts::up_to(u32::MAX)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

pub(crate) fn breaker() -> Arc<Breaker> {
    Arc::new(Breaker::new(
        "bench".into(),
        BreakerSettings::default(),
        Jitter::fixed(0.5),
    ))
}

/// Asks, and tells that the call went well.
pub(crate) fn admit(breaker: &Arc<Breaker>) {
    if let Ok(permit) = black_box(breaker.admit()) {
        permit.settle(Verdict::Healthy);
    }
}

/// Every case. Nothing in them waits, but they need a tokio runtime.
pub(crate) fn all() -> Vec<Case> {
    let settings = PolicySettings {
        hedge_after: Some(Duration::from_secs(1)),
        ledger: true,
        ..PolicySettings::standard("bench")
    };
    let policy = Policy::with_jitter(settings, Jitter::fixed(0.5));
    let policy = Monitor::default().watch(Dependency::Cache, policy);
    let off = Policy::with_jitter(PolicySettings::off("bench"), Jitter::fixed(0.5));
    let (closed, open, cx) = (breaker(), breaker(), context());
    open.force_open();
    let mut cases: Vec<Case> = Vec::new();
    for (name, policy) in [("policy, every step", policy), ("policy, no step", off)] {
        let cx = cx.clone();
        cases.push((
            name,
            Box::new(move || {
                let call = || ready(Ok::<u64, Fault>(black_box(1)));
                let made = policy.run(&cx, "bench.call", Repeat::Read, call).now_or_never();
                drop(black_box(made.expect("it does not wait")));
            }),
        ));
    }
    cases.push(("breaker, admit and record", Box::new(move || admit(&closed))));
    let (shut, now) = (Arc::clone(&open), tokio::time::Instant::now());
    cases.push(("breaker, open", Box::new(move || drop(black_box(open.admit())))));
    cases.push((
        "breaker, open, the time known",
        Box::new(move || drop(black_box(shut.admit_at(now)))),
    ));
    cases.push(hit());
    cases
}

/// A caption that is found in memory.
fn hit() -> Case {
    let (cx, key) = (context(), CacheKey::new("bench", &blake3::hash(b"bench")));
    let layers = Layers::new(Some(Arc::new(OneEntry::default())), None, Tasks::new(10));
    let answers = ReadThrough::<Written, Unwritten>::new(layers, CacheOptions::default(), Jitter::fixed(0.5));
    let wish = Wish {
        cache: CacheUse::Use,
        stale: true,
        owner: None,
    };
    let written = written();
    let read = move || {
        let written = written.clone();
        let load = Box::new(|_| {
            let loaded = Loaded {
                value: written,
                fresh_for: Some(Duration::from_hours(1)),
            };
            ready(Ok(loaded)).boxed()
        });
        answers.read(&cx, &key, wish.clone(), load).now_or_never()
    };
    ("read through, hit", Box::new(move || drop(black_box(read()))))
}

fn written() -> Written {
    let about = "Fresh sourdough loaves on the counter of our bakery in Lisbon, from €4, until 12 May";
    let request = CaptionRequest::new(Description::new(about).expect("a description"));
    let brief = Brief::resolve(&request, &Preferences::default()).0;
    let text = "The loaves came out at six and the counter is full. Come by while they are warm. #Sourdough #Lisbon";
    let caption = Caption {
        variants: vec![polish(&Draft::plain(text), &brief)],
        platform: Platform::Instagram,
        language: Language::default(),
        tone: None,
        provider: "primary".into(),
        model: "m1".into(),
        grade: "standard".into(),
        provider_request_id: None,
        usage: None,
        created_at: time::OffsetDateTime::UNIX_EPOCH,
        rules_as_of: "2026-11-23".into(),
        warnings: Vec::new(),
        additions: Vec::new(),
    };
    Written {
        id: CaptionId(uuid::Uuid::nil()),
        is_stored: true,
        caption: Arc::new(caption),
        attempts: 1,
        degraded: Vec::new(),
        warnings: Vec::new(),
        earlier: Vec::new(),
        source: Source::Provider,
    }
}

/// The least cache that there is.
#[derive(Default)]
struct OneEntry(Mutex<Option<Bytes>>);

#[async_trait]
impl Cache for OneEntry {
    async fn get(&self, _: &Context, _: &CacheKey) -> Result<Option<Cached>, Fault> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(bytes.map(|bytes| Cached {
            bytes,
            age: Duration::ZERO,
        }))
    }

    async fn put(&self, _: &Context, _: &CacheKey, bytes: Bytes, _: Duration) -> Result<(), Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        Ok(())
    }

    async fn remove(&self, _: &Context, _: &CacheKey) -> Result<(), Fault> {
        Ok(())
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        self.put(cx, key, bytes, ttl).await.map(|()| true)
    }

    async fn remove_if(&self, _: &Context, _: &CacheKey, _: Bytes) -> Result<bool, Fault> {
        Ok(false)
    }

    fn invalidations(&self) -> Invalidations {
        stream::pending().boxed()
    }
}
