use std::sync::{Arc, Mutex};

use captions_domain::{
    caption::{Caption, Source},
    choice::Platform,
    fault::FaultKind,
    request::Language,
};

use super::*;
use crate::{monitor::Summary, samples::relaxed};

/// A cache that finds what a test has laid down, in order.
struct Finds(Mutex<Vec<Found<Written, Unwritten>>>);

#[async_trait]
impl AnswerCache for Finds {
    async fn read(&self, _: &Context, _: &CacheKey, _: Wish, _: Load) -> Found<Written, Unwritten> {
        self.0.lock().unwrap().remove(0)
    }

    async fn kept(&self, _: &Context, _: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
        None
    }
}

fn written() -> Written {
    Written {
        id: CaptionId(uuid::Uuid::from_u128(7)),
        is_stored: false,
        caption: Arc::new(Caption {
            variants: Vec::new(),
            platform: Platform::Instagram,
            language: Language::default(),
            tone: None,
            provider: "primary".into(),
            model: "m".into(),
            grade: "standard".into(),
            provider_request_id: None,
            usage: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            rules_as_of: String::new(),
            warnings: Vec::new(),
            additions: Vec::new(),
        }),
        attempts: 1,
        degraded: Vec::new(),
        warnings: Vec::new(),
        earlier: Vec::new(),
        source: Source::Provider,
    }
}

/// Reads all of it.
async fn counted(cache: CacheUse, finds: Vec<Found<Written, Unwritten>>) -> Summary {
    let monitor = Monitor::default();
    let reads = finds.len();
    let watched = Watched::new(Arc::new(Finds(Mutex::new(finds))), monitor.clone());
    let key = CacheKey::new("caption", &blake3::hash(b"x"));
    for _ in 0..reads {
        let load: Load = Box::new(|_| Box::pin(async { Err(LlmError::Refused.into()) }));
        watched
            .read(
                &relaxed(),
                &key,
                Wish {
                    cache,
                    stale: true,
                    owner: None,
                },
                load,
            )
            .await;
    }
    monitor.summary()
}

fn every_way() -> Vec<Found<Written, Unwritten>> {
    let age = Duration::from_secs(1);
    let failed = |stale| Found::Failed {
        error: Fault::new(FaultKind::Unavailable).into(),
        stale,
    };
    let mut finds = vec![Found::Hit { value: written(), age }; 3];
    finds.extend([
        Found::Stale { value: written(), age },
        Found::Loaded {
            value: written(),
            shared: false,
        },
        Found::Loaded {
            value: written(),
            shared: true,
        },
        failed(None),
        failed(Some((written(), age))),
    ]);
    finds
}

#[tokio::test]
async fn the_hit_rate_is_hits_over_look_ups_whatever_else_the_cache_does() {
    let summary = counted(CacheUse::Use, every_way()).await;

    let stats = &summary.cache;
    assert_eq!((stats.look_ups, stats.hits, stats.hit_rate), (8, 3, Some(0.375)));
    assert_eq!((stats.recent.look_ups, stats.recent.hit_rate), (8, Some(0.375)));
    assert!(stats.shared.is_none());
    let outcomes = summary.operations["answers.read"].outcomes;
    assert_eq!(
        (
            outcomes.ok,
            outcomes.hit,
            outcomes.stale,
            outcomes.coalesced,
            outcomes.failed
        ),
        (1, 3, 2, 1, 1)
    );
}

#[tokio::test]
async fn what_looks_nothing_up_is_no_look_up_and_what_is_left_is_none_either() {
    for cache in [CacheUse::Refresh, CacheUse::Bypass] {
        let summary = counted(cache, every_way()).await;

        assert_eq!((summary.cache.look_ups, summary.cache.hit_rate), (0, None), "{cache:?}");
    }
    let monitor = Monitor::default();
    drop(monitor.begin(Operation::AnswersRead));
    assert_eq!(monitor.summary().cache.look_ups, 0);
}
