//! What the settings and the monitor's figures make of the rules.

use std::time::Duration;

use captions_domain::{
    context::{Attempts, Class, Context, TenantId},
    fault::{Fault, FaultKind},
};
use captions_resilience::{
    alerts::{Alert, Bounded, Figure, Notice, Phase, Vitals},
    breaker::BreakerSettings,
    monitor::{Dependency, Operation, Outcome, PoolStats, SpoolStats},
    policy::{Policy, PolicySettings, Repeat},
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, advance, sleep};
use uuid::Uuid;

use super::*;
use crate::machine::Machine;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

/// Settings of which only these keys differ from the defaults.
fn settings(flags: &[(&str, &str)]) -> settings::Alerts {
    let machine = flags.iter().fold(Machine::new(), |machine, (key, value)| {
        machine.flag(&format!("alerts.{key}"), value)
    });
    machine.env("HOOK_SECRET", SECRET).loads().settings.alerts
}

/// Settings with a receiver at this URL.
fn hooked(url: &str, allow_private: &str) -> settings::Alerts {
    crate::install_crypto();
    settings(&[
        ("webhook_url", url),
        ("webhook_secret_env", "HOOK_SECRET"),
        ("webhook_allow_private", allow_private),
    ])
}

#[test]
fn the_defaults_of_the_settings_are_those_of_the_rules() {
    let settings = settings(&[]);

    assert_eq!(thresholds(&settings), Thresholds::default());
    assert_eq!(pace(&settings), Pace::default());
    assert_eq!(settings.interval, Duration::from_secs(60));
}

#[test]
fn every_setting_of_a_rule_reaches_it() {
    let settings = settings(&[
        ("database_error_rate", "0.11"),
        ("api_response", "2.5"),
        ("breaker_open", "7"),
        ("hit_rate_drop", "0.9"),
        ("pool_waiting", "3"),
        ("overload_refused", "4"),
        ("event_loop_lag", "0.5"),
        ("spool_rows", "5"),
        ("min_calls", "6"),
        ("min_lookups", "8"),
        ("fire_after", "9"),
        ("resolve_after", "10"),
        ("cool_down", "11"),
        ("repeat", "12"),
    ]);

    let expected = Thresholds {
        database_error_rate: 0.11,
        api_response: Duration::from_millis(2500),
        breaker_open: Duration::from_secs(7),
        hit_rate_drop: 0.9,
        pool_waiting: 3,
        overload_refused: 4,
        event_loop_lag: Duration::from_millis(500),
        spool_rows: 5,
        min_calls: 6,
        min_lookups: 8,
    };
    assert_eq!(thresholds(&settings), expected);
    let expected = Pace {
        fire_after: 9,
        resolve_after: 10,
        cool_down: Duration::from_secs(11),
        repeat: Duration::from_secs(12),
    };
    assert_eq!(pace(&settings), expected);
}

#[tokio::test(start_paused = true)]
async fn it_looks_at_its_interval_until_the_tasks_end_and_never_where_it_is_off() {
    let tasks = Tasks::new(1);
    let monitor = Monitor::default();

    let off = start(&settings(&[("enabled", "false")]), &monitor, &tasks).unwrap();
    assert_eq!(monitor.summary().alerts, None);
    let counts = start(&settings(&[("interval", "10")]), &monitor, &tasks)
        .unwrap()
        .unwrap();
    sleep(Duration::from_secs(35)).await;
    let seen = counts.read();
    assert_eq!(monitor.summary().alerts, Some(seen), "the statistics say so");
    let cut_off = tasks.drain(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(35)).await;

    assert!(off.is_none());
    assert_eq!((seen.looks, seen.source_failures), (3, 0));
    assert_eq!((cut_off, counts.read().looks), (0, 3));
}

/// The policy of a watched dependency with a breaker that opens at the fifth failure.
fn watched(monitor: &Monitor, dependency: Dependency<'_>) -> Policy {
    let settings = PolicySettings {
        breaker: Some(BreakerSettings::default()),
        ..PolicySettings::off("x")
    };
    monitor.watch(dependency, Policy::new(settings))
}

/// One call that takes so long and ends so.
async fn call(policy: &Policy, took: Duration, ended: Result<(), FaultKind>) {
    let cx = Context {
        tenant: TenantId::local(),
        request_id: "r".into(),
        fresh_id: Uuid::nil(),
        now: OffsetDateTime::UNIX_EPOCH,
        deadline: std::time::Instant::now() + Duration::from_secs(3600),
        attempts: Arc::new(Attempts::up_to(1)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    };
    let call = || async move {
        sleep(took).await;
        ended.map_err(Fault::new)
    };
    // Its end is counted; that is all that is wanted of it.
    drop(policy.run(&cx, "x.y", Repeat::Never, call).await);
}

#[tokio::test(start_paused = true)]
async fn what_an_open_circuit_turns_away_has_failed_too() {
    let monitor = Monitor::default();
    let database = watched(&monitor, Dependency::Database);
    for _ in 0..10 {
        call(&database, Duration::ZERO, Ok(())).await;
    }
    for _ in 0..7 {
        call(&database, Duration::ZERO, Err(FaultKind::Unavailable)).await;
    }
    advance(Duration::from_secs(3)).await;

    let Vitals { database, breakers, .. } = Figures::default().take(&monitor);

    let database = database.unwrap();
    assert_eq!(
        (database.calls, database.failures),
        (17, 7),
        "five failures and two turned away"
    );
    let [breaker] = &breakers.unwrap()[..] else {
        panic!("one breaker")
    };
    assert_eq!(breaker.name, "database");
    assert_eq!(breaker.open_for, Some(Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn figures_are_those_of_the_window() {
    let monitor = Monitor::default();
    let provider = watched(&monitor, Dependency::Provider("primary"));
    for _ in 0..20 {
        call(&provider, Duration::from_secs(2), Ok(())).await;
    }
    monitor.pool(|| PoolStats {
        size: 4,
        waiting: 3,
        ..PoolStats::default()
    });
    monitor.spool(|| SpoolStats {
        waiting: 9,
        ..SpoolStats::default()
    });

    let mut figures = Figures::default();
    let busy = figures.take(&monitor);
    advance(Duration::from_secs(120)).await;
    let quiet = figures.take(&monitor);

    let api = busy.api.unwrap();
    assert_eq!((api.counts.calls, api.counts.failures), (20, 0));
    assert_eq!(api.average, Duration::from_secs(2));
    assert!(
        api.p95 >= Duration::from_secs(2) && api.p95 < Duration::from_millis(2300),
        "{api:?}"
    );
    let pool = busy.pool.unwrap();
    assert_eq!((pool.size, pool.waiting, pool.timeouts), (4, 3, 0));
    assert_eq!((busy.spool_rows, busy.overload_refused), (Some(9), Some(0)));
    let api = quiet.api.unwrap();
    assert_eq!(
        (api.counts.calls, api.average, api.p95),
        (0, Duration::ZERO, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_room_is_an_overload_and_of_the_store_a_wait_in_vain() {
    let monitor = Monitor::default();
    let full = |dependency| {
        let slots = captions_resilience::slots::SlotSettings {
            max_concurrent: 1,
            queue_length: 0,
            queue_wait: Duration::ZERO,
            ..captions_resilience::slots::SlotSettings::default()
        };
        let settings = PolicySettings {
            slots: Some(slots),
            ..PolicySettings::off("x")
        };
        monitor.watch(dependency, Policy::new(settings))
    };
    for (dependency, calls) in [
        (Dependency::Database, 2),
        (Dependency::Cache, 3),
        (Dependency::Provider("primary"), 4),
        (Dependency::Chain, 5),
    ] {
        let policy = full(dependency);
        let second = Duration::from_secs(1);
        let calls: Vec<_> = (0..calls).map(|_| call(&policy, second, Ok(()))).collect();
        futures_util::future::join_all(calls).await;
    }

    let vitals = Figures::default().take(&monitor);

    assert_eq!(vitals.overload_refused, Some(1 + 2 + 3 + 4));
    assert_eq!(vitals.pool.unwrap().timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn the_usual_hit_rate_is_that_of_the_hour_before_the_window() {
    let monitor = Monitor::default();
    let mut figures = Figures::default();
    let look_up = |count: u32, outcome| {
        for _ in 0..count {
            monitor.begin(Operation::AnswersRead).end(outcome);
        }
    };
    let minute = Duration::from_secs(60);

    let first = figures.take(&monitor).cache.unwrap();
    for _ in 0..90 {
        look_up(8, Outcome::Hit);
        look_up(2, Outcome::Ok);
        advance(minute).await;
        figures.take(&monitor);
    }
    look_up(10, Outcome::Ok);
    advance(minute / 2).await;
    let last = figures.take(&monitor).cache.unwrap();

    assert_eq!((first.usual_lookups, first.usual_hits), (0, 0));
    assert_eq!((last.lookups, last.hits), (10, 0), "the last half minute");
    assert_eq!((last.usual_lookups, last.usual_hits), (590, 472), "from 30:00 to 89:00");
}

fn notice(number: u64, phase: Phase) -> Notice {
    Notice {
        number,
        alert: Alert::BreakerOpen,
        subject: Bounded::new("database"),
        phase,
        summary: Bounded::new("database has not worked for 61 s (open)"),
        figure: (phase != Phase::Resolved).then_some(Figure {
            value: 61.0,
            threshold: 60.0,
        }),
        at: Instant::now(),
        lasted: Duration::from_secs(61),
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_says_everything_and_the_same_when_it_is_sent_again() {
    let url = "https://127.0.0.1/hook";
    let settings = hooked(url, "true");
    let sink = WebhookSink::new(settings.webhook_url.as_ref().unwrap(), &settings).unwrap();
    advance(Duration::from_secs(90)).await;
    let firing = notice(7, Phase::Firing);
    let first = (sink.id(&firing), sink.event(&firing).unwrap());
    advance(Duration::from_secs(5)).await;

    let again = (sink.id(&firing), sink.event(&firing).unwrap());
    let over: Value = serde_json::from_slice(&sink.event(&notice(8, Phase::Resolved)).unwrap()).unwrap();

    assert_eq!(first, again);
    assert!(first.0.starts_with("alert_") && first.0.ends_with("_7"), "{}", first.0);
    let event: Value = serde_json::from_slice(&first.1).unwrap();
    assert_eq!(event["type"], "alert.firing");
    let expected = json!({
        "alert": "breaker_open",
        "phase": "firing",
        "subject": "database",
        "summary": "database has not worked for 61 s (open)",
        "figure": { "value": 61.0, "threshold": 60.0 },
        "lasted": 61.0,
        "runbook": "docs/runbooks/breaker-open.md",
    });
    assert_eq!(event["data"], expected);
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&over["type"], &over["data"]["figure"]),
        (&json!("alert.resolved"), &Value::Null)
    );
}

#[test]
fn a_receiver_that_is_not_public_is_refused_unless_it_is_allowed() {
    let url = "http://127.0.0.1:9/hook";

    let refused = sinks(&hooked(url, "false")).err().unwrap();
    let allowed = sinks(&hooked(url, "true")).unwrap();
    let alone = sinks(&settings(&[])).unwrap();

    assert_eq!(refused.kind, FaultKind::Internal);
    let names = |sinks: &[Arc<dyn Sink>]| sinks.iter().map(|sink| sink.name()).collect::<Vec<_>>();
    assert_eq!(names(&allowed), ["log", "webhook"]);
    assert_eq!(names(&alone), ["log"]);
}
