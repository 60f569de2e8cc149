//! One call of each of the defaults that need no server. The benches time them, and `captions-instructions` counts their
//! instructions.
#![expect(
    clippy::expect_used,
    reason = "what stands here is valid, or there is nothing to measure"
)]

use std::{
    cell::Cell,
    hint::black_box,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use captions_domain::{
    brief::Brief,
    choice::{Cta, Length},
    context::{Attempts, Class, Context, TenantId},
    ports::{Cache as _, CacheKey, LlmProvider as _, Quota as _, QuotaKey},
    prompt::{self, Format},
    quota::{Amount, Meter, Plan, Take},
    request::{CaptionRequest, Description, Language, Variants},
    user::Preferences,
};
use captions_embedded::{memory::MemoryCache, quota::MemoryQuota, template::TemplateWriter};
use futures_util::FutureExt as _;

/// A name, and the call that it names.
pub(crate) type Case = (&'static str, Box<dyn Fn()>);

/// Callers with a limit of their own.
const KEYS: usize = 10_000;

fn context() -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "bench".into(),
        fresh_id: uuid::Uuid::nil(),
        now: time::OffsetDateTime::UNIX_EPOCH,
        deadline: Instant::now() + Duration::from_hours(1),
        attempts: Arc::new(Attempts::up_to(3)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

/// Every case. Nothing in them waits.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = templates();
    let take = Take {
        amount: Amount::request(0),
        ..Take::default()
    };
    // Nobody reaches it.
    let plan = Plan::per_minute_and_hour(1 << 40, 0, 0);

    let (begun, meter, of) = (Instant::now(), Cell::new(Some(Meter::default())), plan.clone());
    cases.push((
        "limit, one meter",
        Box::new(move || {
            let mut taken = meter.take().unwrap_or_default();
            let now = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            drop(black_box(taken.take(&of, &take, now)));
            meter.set(Some(taken));
        }),
    ));
    let (quota, cx) = (MemoryQuota::new(2 * KEYS), context());
    let keys: Vec<QuotaKey> = (0..KEYS)
        .map(|caller| QuotaKey::new("bench", &caller.to_string()))
        .collect();
    // All have called before.
    for key in &keys {
        drop(quota.take(&cx, key, &plan, &take).now_or_never());
    }
    let quota = Rc::new(quota);
    for (name, step) in [("limit, 10000 keys", 7919), ("limit, one key of 10000", 0)] {
        let (quota, cx, keys, plan, at) = (Rc::clone(&quota), cx.clone(), keys.clone(), plan.clone(), Cell::new(0));
        cases.push((
            name,
            Box::new(move || {
                // Far from each other, so that none is still in the processor's cache.
                at.set((at.get() + step) % KEYS);
                drop(black_box(quota.take(&cx, &keys[at.get()], &plan, &take).now_or_never()));
            }),
        ));
    }
    let (cache, cx) = (MemoryCache::new(64 << 20), context());
    let key = CacheKey::new("bench", &blake3::hash(b"bench"));
    cache
        .put(&cx, &key, Bytes::from(vec![1; 4096]), Duration::from_hours(1))
        .now_or_never()
        .expect("memory does not wait")
        .expect("memory does not fail");
    cases.push((
        "memory cache, hit",
        Box::new(move || drop(black_box(cache.get(&cx, &key).now_or_never()))),
    ));
    cases
}

/// The template writer, for briefs from easy to hard.
fn templates() -> Vec<Case> {
    let bread = "Fresh sourdough loaves on a wooden shelf";
    let sentence = "The mill runs day and night for three weeks in November, and everybody sleeps in shifts. ";
    let long = sentence.repeat(2000 / sentence.len());
    [
        ("template", bread, "en", Length::Short, 1.0),
        (
            "template, Portuguese",
            "Pão fresco na prateleira",
            "pt",
            Length::Medium,
            1.0,
        ),
        ("template, 3 variants", bread, "en", Length::Short, 3.0),
        ("template, 10 variants", bread, "en", Length::Short, 10.0),
        ("template, 2000", &long, "en", Length::Max, 1.0),
        ("template, 2000, 10 variants", &long, "en", Length::Max, 10.0),
    ]
    .into_iter()
    .map(|(name, about, language, length, variants)| {
        let request = CaptionRequest {
            language: Some(Language::new(language).expect("a language")),
            length: Some(length),
            cta: Some(Cta::Question),
            variants: Variants::new(variants).expect("a number of variants"),
            ..CaptionRequest::new(Description::new(about).expect("a description"))
        };
        let brief = Brief::resolve(&request, &Preferences::default()).0;
        let prompt = prompt::render(&brief, &[], Format::Variants, None);
        let (writer, cx) = (TemplateWriter::new("template"), context());
        let call: Box<dyn Fn()> = Box::new(move || drop(black_box(writer.complete(&cx, &prompt).now_or_never())));
        (name, call)
    })
    .collect()
}
