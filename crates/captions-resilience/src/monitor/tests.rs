use std::sync::Arc;

use captions_domain::{
    caption::Usage,
    fault::{FaultKind, StoreError},
    ports::{Grade, LlmProvider, MockUserStore, UserStore},
    request::UserId,
};
use tokio::time::advance;

use super::{watched::Watched, *};
use crate::{
    breaker::BreakerSettings,
    guarded::Guarded,
    policy::PolicySettings,
    readthrough::CacheCounts,
    retry::RetrySettings,
    samples::{Actor, Line, fault, ms, prompt, relaxed},
    slots::SlotSettings,
    usage::UsageCounts,
};

#[expect(clippy::unnecessary_wraps, reason = "it stands beside figures that may be missing")]
fn secs(seconds: f64) -> Option<f64> {
    Some(seconds)
}

/// A provider behind a policy that `monitor` watches under its own name.
fn provider(monitor: &Monitor, actor: Actor, settings: PolicySettings) -> Guarded<Actor> {
    let name = actor.description.provider.clone();
    let policy = monitor.watch(Dependency::Provider(&name), Policy::new(settings));
    Guarded::new(Arc::new(actor), policy)
}

fn patient(name: &str) -> PolicySettings {
    PolicySettings {
        retry: Some(RetrySettings {
            max_attempts: 3,
            ..RetrySettings::default()
        }),
        attempt_timeout: Some(ms(10_000)),
        ..PolicySettings::off(name)
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_counted_once_with_its_time_and_its_outcome() {
    let monitor = Monitor::default();
    for (outcome, millis) in [(Outcome::Ok, 100), (Outcome::Failed, 300), (Outcome::Refused, 10)] {
        let timer = monitor.begin(Operation::CaptionGeneration);
        advance(ms(millis)).await;
        timer.end(outcome);
    }

    let summary = monitor.summary();

    assert_eq!(
        (summary.total_operations, summary.success_rate, summary.total_duration),
        (3, secs(0.5), 0.41)
    );
    assert!((summary.avg_duration.unwrap() - 0.41 / 3.0).abs() < 1e-9);
    let stats = &summary.operations["caption_generation"];
    assert_eq!((stats.total, stats.successful, stats.failed), (3, 1, 1));
    assert_eq!((stats.outcomes.refused, stats.outcomes.cancelled), (1, 0));
    assert!((0.1..0.1126).contains(&stats.recent.p50.unwrap()), "{:?}", stats.recent);
    assert_eq!(summary.operations["caption_stream"].total, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_counts_as_cancelled_and_as_neither_success_nor_failure() {
    let monitor = Monitor::default();
    let timer = monitor.begin(Operation::CaptionStream);
    assert_eq!(monitor.summary().operations["caption_stream"].in_flight, 1);

    advance(ms(50)).await;
    drop(timer);

    let stats = &monitor.summary().operations["caption_stream"];
    assert_eq!((stats.total, stats.in_flight, stats.outcomes.cancelled), (1, 0, 1));
    assert_eq!((stats.success_rate, stats.recent.avg_duration), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_ends_counts_as_failed() {
    let monitor = Monitor::default();
    let timer = monitor.begin(Operation::CaptionGeneration);

    let panicked = tokio::spawn(async move {
        let _timer = timer;
        panic!("a fault of ours");
    });

    assert!(panicked.await.unwrap_err().is_panic());
    let stats = &monitor.summary().operations["caption_generation"];
    assert_eq!((stats.outcomes.failed, stats.outcomes.cancelled), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_window_forgets_and_the_totals_do_not() {
    let monitor = Monitor::default();
    monitor.begin(Operation::CaptionGeneration).end(Outcome::Failed);
    advance(ms(61_000)).await;

    let summary = monitor.summary();

    assert_eq!((summary.total_operations, summary.success_rate), (1, secs(0.0)));
    assert_eq!(summary.recent, RecentOperations::default());
    assert_eq!((summary.uptime, summary.window), (61.0, 60.0));
}

/// One request of two attempts is one operation and two calls, whose times are their own and hold no pause between them.
#[tokio::test(start_paused = true)]
async fn each_attempt_is_a_call_and_all_attempts_together_are_one_operation() {
    let monitor = Monitor::default();
    let actor = Actor::new(
        "primary",
        &[
            &[Line::Wait(ms(200)), Line::Fail(fault(FaultKind::Unavailable))],
            &[Line::Wait(ms(400)), Line::Say("hello"), Line::End],
        ],
    );
    let chain = Watched::new(Arc::new(provider(&monitor, actor, patient("primary"))), monitor.clone());

    chain.complete(&relaxed(), &prompt()).await.unwrap();

    let Summary { operations, api, .. } = monitor.summary();
    let complete = &operations["llm.complete"];
    assert_eq!((complete.total, complete.successful), (1, 1));
    let calls = &api.providers["primary"].calls;
    assert_eq!((calls.total, calls.ok, calls.failed), (2, 1, 1));
    assert!((calls.total_duration - 0.6).abs() < 0.01, "{}", calls.total_duration);
    assert!(complete.total_duration >= calls.total_duration);
    assert_eq!((api.error_rate, api.calls.total), (secs(0.5), 2));
    assert!((api.avg_response_time.unwrap() - 0.3).abs() < 0.01);
    assert!((0.4..0.46).contains(&api.p95_response_time.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_call_counts_by_what_it_says_of_the_other_side() {
    for (line, expected) in [
        (Line::Fail(fault(FaultKind::Corrupt)), (0, 0, 1, 0)),
        (Line::Fail(fault(FaultKind::Internal)), (0, 0, 1, 0)),
        (Line::Fail(LlmError::unusable("empty")), (0, 0, 1, 0)),
        (Line::Fail(LlmError::Refused), (0, 1, 0, 0)),
        (
            Line::Fail(fault(FaultKind::RateLimited { retry_after: None })),
            (0, 1, 0, 0),
        ),
        (Line::Hang, (0, 0, 1, 0)),
        (Line::Say("hello"), (1, 0, 0, 0)),
    ] {
        let monitor = Monitor::default();
        let settings = PolicySettings {
            attempt_timeout: Some(ms(1_000)),
            ..PolicySettings::off("p")
        };
        let guarded = provider(&monitor, Actor::new("p", &[&[line.clone(), Line::End]]), settings);

        drop(guarded.complete(&relaxed(), &prompt()).await);

        let calls = monitor.summary().api.calls;
        assert_eq!(
            (calls.ok, calls.refused, calls.failed, calls.cancelled),
            expected,
            "{line:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_caller_leaves_is_cancelled_and_no_longer_in_flight() {
    let monitor = Monitor::default();
    let guarded = provider(&monitor, Actor::new("p", &[&[Line::Hang]]), PolicySettings::off("p"));

    let left = tokio::time::timeout(ms(500), guarded.complete(&relaxed(), &prompt())).await;

    assert!(left.is_err());
    let calls = monitor.summary().api.calls;
    assert_eq!((calls.cancelled, calls.failed, calls.in_flight), (1, 0, 0));
    assert_eq!((calls.recent.error_rate, calls.recent.avg_duration), (secs(0.0), None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_one_call_and_one_operation_up_to_its_last_chunk() {
    let monitor = Monitor::default();
    let script = [Line::Say("a"), Line::Wait(ms(700)), Line::Say("b"), Line::End];
    let guarded = provider(&monitor, Actor::new("p", &[&script]), PolicySettings::off("p"));
    let chain = Watched::new(Arc::new(guarded), monitor.clone());

    let mut chunks = chain.stream(&relaxed(), &prompt()).await.unwrap();
    assert_eq!(monitor.summary().api.calls.in_flight, 1);
    while futures_util::StreamExt::next(&mut chunks).await.is_some() {}

    let Summary { operations, api, .. } = monitor.summary();
    assert_eq!((api.calls.ok, api.calls.in_flight), (1, 0));
    assert!((api.avg_response_time.unwrap() - 0.7).abs() < 0.01);
    assert_eq!(operations["llm.stream"].outcomes.ok, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_off_failed_and_one_that_is_left_was_cancelled() {
    let monitor = Monitor::default();
    let scripts: [&[Line]; 2] = [&[Line::Say("a"), Line::CutOff], &[Line::Say("a"), Line::Hang]];
    let guarded = provider(&monitor, Actor::new("p", &scripts), PolicySettings::off("p"));
    let chain = Watched::new(Arc::new(guarded), monitor.clone());

    let mut cut = chain.stream(&relaxed(), &prompt()).await.unwrap();
    while futures_util::StreamExt::next(&mut cut).await.is_some() {}
    let left = chain.stream(&relaxed(), &prompt()).await.unwrap();
    drop(left);

    let Summary { operations, api, .. } = monitor.summary();
    assert_eq!((api.calls.failed, api.calls.cancelled), (1, 1));
    let outcomes = operations["llm.stream"].outcomes;
    assert_eq!((outcomes.failed, outcomes.cancelled), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_not_made_are_told_apart_by_why() {
    let monitor = Monitor::default();
    let settings = PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        slots: Some(SlotSettings {
            max_concurrent: 1,
            queue_length: 0,
            queue_wait: ms(1),
            adaptive: None,
        }),
        ..PolicySettings::off("p")
    };
    let script: [&[Line]; 2] = [&[Line::Hang], &[Line::Fail(fault(FaultKind::Unavailable))]];
    let guarded = provider(&monitor, Actor::new("p", &script), settings);

    let (cx, asked) = (relaxed(), prompt());
    let mut first = Box::pin(guarded.complete(&cx, &asked));
    assert!(tokio::time::timeout(ms(1), &mut first).await.is_err());
    assert!(guarded.complete(&cx, &asked).await.is_err(), "the only slot is taken");
    drop(first);
    assert!(guarded.complete(&cx, &asked).await.is_err(), "opens the circuit");
    assert!(guarded.complete(&cx, &asked).await.is_err(), "is turned away by it");

    let stats = monitor.summary().api.providers["p"].clone();
    assert_eq!((stats.calls.overloaded, stats.calls.circuit_open), (1, 1));
    assert_eq!((stats.calls.recent.overloaded, stats.calls.recent.circuit_open), (1, 1));
    assert_eq!((stats.calls.cancelled, stats.calls.failed), (1, 1));
    let breaker = stats.breaker.unwrap();
    assert_eq!(
        (breaker.state.as_str(), breaker.opened, breaker.rejected),
        ("open", 1, 1)
    );
    assert_eq!(breaker.open_for, Some(0.0));
}

#[tokio::test]
async fn queries_of_the_store_are_counted_by_try_and_conflicts_are_no_errors() {
    let monitor = Monitor::default();
    let mut store = MockUserStore::new();
    let mut answers = vec![
        Ok(None),
        Err(StoreError::Conflict),
        Err(StoreError::from(Fault::new(FaultKind::Internal))),
    ];
    store
        .expect_read()
        .times(3)
        .returning(move |_, _| answers.pop().unwrap());
    let policy = monitor.watch(Dependency::Database, Policy::new(PolicySettings::off("store")));
    let store = Watched::new(Arc::new(Guarded::new(Arc::new(store), policy)), monitor.clone());

    for _ in 0..3 {
        drop(UserStore::read(&store, &relaxed(), &UserId::new("ana").unwrap()).await);
    }

    let Summary {
        operations, database, ..
    } = monitor.summary();
    assert_eq!(
        (database.queries, database.calls.failed, database.calls.refused),
        (3, 1, 1)
    );
    assert_eq!(database.error_rate, Some(1.0 / 3.0));
    let read = &operations["users.read"];
    assert_eq!(
        (read.outcomes.ok, read.outcomes.refused, read.outcomes.failed),
        (1, 1, 1)
    );
    assert!(database.breaker.is_none() && database.pool.is_none());
}

#[tokio::test]
async fn sources_are_asked_when_a_summary_is_made() {
    let monitor = Monitor::default();
    monitor.watch(Dependency::Provider("p"), Policy::new(PolicySettings::off("p")));
    let pool = PoolStats {
        size: 4,
        idle: 1,
        in_use: 2,
        waiting: 3,
        leaked: 0,
        opened: 5,
        ..PoolStats::default()
    };
    monitor.pool(move || pool);
    let counts = CacheCounts {
        memory_hits: 2,
        shared_hits: 1,
        stale: 1,
        misses: 4,
        ..CacheCounts::default()
    };
    monitor.caches(move || [("captions", counts)].into());
    monitor.memory(|| MemoryStats {
        entries: 7,
        ..MemoryStats::default()
    });
    monitor.spool(|| SpoolStats {
        waiting: 8,
        ..SpoolStats::default()
    });
    monitor.usage(|| UsageCounts {
        dropped: 6,
        ..UsageCounts::default()
    });
    monitor.process(|| ProcessStats {
        open_files: 9,
        ..ProcessStats::default()
    });
    monitor.limiter("p", || LimiterStats {
        refused: 5,
        ..LimiterStats::default()
    });

    let summary = monitor.summary();

    assert_eq!(summary.database.pool, Some(pool));
    let kind = summary.cache.kinds["captions"];
    assert_eq!((kind.look_ups, kind.hits, kind.hit_rate), (8, 3, secs(0.375)));
    assert_eq!(summary.cache.memory.map(|memory| memory.entries), Some(7));
    assert_eq!(summary.database.spool.map(|spool| spool.waiting), Some(8));
    assert_eq!(summary.database.usage.map(|usage| usage.dropped), Some(6));
    assert_eq!(summary.process.map(|process| process.open_files), Some(9));
    assert_eq!(
        summary.api.providers["p"].limiter.map(|limiter| limiter.refused),
        Some(5)
    );
}

#[tokio::test]
async fn answers_are_charged_to_who_wrote_them_and_nobody_else() {
    let monitor = Monitor::default();
    for name in ["a", "b"] {
        monitor.watch(Dependency::Provider(name), Policy::new(PolicySettings::off(name)));
    }
    for provider in ["b", "b", "unknown"] {
        monitor.charge(&Credit {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            grade: Grade::Standard,
            first_choice: true,
            usage: Some(Usage {
                input_tokens: 10,
                output_tokens: 3,
                cost: None,
            }),
            provider_request_id: None,
        });
    }

    let providers = monitor.summary().api.providers;

    assert_eq!(providers["a"].tokens, Tokens::default());
    assert_eq!(
        providers["b"].tokens,
        Tokens {
            input: 20,
            output: 6,
            guessed: 0
        }
    );
    assert_eq!(providers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn operators_force_breakers_by_name() {
    let monitor = Monitor::default();
    let breaker = || PolicySettings {
        breaker: Some(BreakerSettings::default()),
        ..PolicySettings::off("x")
    };
    monitor.watch(Dependency::Database, Policy::new(breaker()));
    monitor.watch(Dependency::Cache, Policy::new(PolicySettings::off("x")));
    // A provider may be named like another dependency.
    let policy = monitor.watch(Dependency::Provider("database"), Policy::new(breaker()));

    let forced = monitor.with_breaker("api.database", Breaker::force_open).unwrap();

    assert_eq!(forced.state, "forced_open");
    assert_eq!(policy.snapshot().unwrap().state.as_str(), "forced_open");
    let names: Vec<_> = monitor.breakers();
    assert_eq!(
        names
            .iter()
            .map(|(name, stats)| (name.as_str(), stats.state.as_str()))
            .collect::<Vec<_>>(),
        [("database", "closed"), ("api.database", "forced_open")],
        "the cache has none"
    );
    assert!(monitor.with_breaker("cache", Breaker::force_open).is_none());
    assert!(monitor.with_breaker("nobody", Breaker::force_open).is_none());
    monitor.with_breaker("api.database", Breaker::automatic).unwrap();
    assert_eq!(policy.snapshot().unwrap().state.as_str(), "closed");
}

#[test]
fn every_operation_has_its_own_place_and_name() {
    let mut names: Vec<_> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Operation::ALL.len());
    for (place, operation) in Operation::ALL.into_iter().enumerate() {
        assert_eq!(operation as usize, place);
    }
    for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, place);
    }
}
