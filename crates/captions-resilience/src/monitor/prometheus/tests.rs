#![expect(clippy::float_cmp, reason = "counts that are written and read back as they are")]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    breaker::BreakerSettings,
    monitor::{Dependency, LimiterStats, MemoryStats, Monitor, PoolStats, ProcessStats, SpoolStats},
    policy::{Policy, PolicySettings},
    readthrough::CacheCounts,
};

/// Everything that a monitor can know, with this many providers.
fn full(providers: usize) -> Monitor {
    let monitor = Monitor::default();
    let guarded = || {
        Policy::new(PolicySettings {
            breaker: Some(BreakerSettings::default()),
            ..PolicySettings::off("x")
        })
    };
    monitor.watch(Dependency::Database, guarded());
    monitor.watch(Dependency::Cache, guarded());
    for number in 0..providers {
        let name = format!("p{number}");
        monitor.watch(Dependency::Provider(&name), guarded());
        monitor.limiter(&name, LimiterStats::default);
    }
    monitor.pool(PoolStats::default);
    monitor.memory(MemoryStats::default);
    monitor.caches(|| {
        ["captions", "preferences", "profiles"]
            .map(|kind| (kind, CacheCounts::default()))
            .into()
    });
    monitor.spool(SpoolStats::default);
    monitor.usage(crate::usage::UsageCounts::default);
    monitor.alerts(crate::alerts::Counted::default);
    monitor.process(ProcessStats::default);
    monitor
}

/// Reads the format strictly: each family has one HELP and one TYPE before its samples and stands in one piece; no series
/// comes twice; each value is a number. Returns the value of every series.
fn read(text: &str) -> BTreeMap<String, f64> {
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut current = "";
    let mut series = BTreeMap::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name) && !help.is_empty(), "{line}");
            current = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(name == current && families.insert(name, kind).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            let base = match families.get(current) {
                Some(&"histogram") => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end)),
                _ => Some(name),
            };
            assert_eq!(base, Some(current), "{line}");
            let is_name = |text: &str| {
                text.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            assert!(is_name(name), "{line}");
            if let Some(labels) = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')) {
                for label in labels.strip_suffix('}').unwrap().split(',') {
                    let (label, value) = label.split_once('=').unwrap();
                    assert!(is_name(label) && value.len() > 2, "{line}");
                    assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
                }
            }
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(series.insert(key.to_owned(), value).is_none(), "{line}");
        }
    }
    assert_eq!(families.len(), helped.len());
    series
}

#[test]
fn the_text_is_what_the_format_says_and_never_more_than_the_most_series() {
    for providers in [0, 1, 3, MOST_PROVIDERS, 40] {
        let series = read(&full(providers).summary().prometheus());

        assert!(
            series.len() <= MOST_SERIES,
            "{} with {providers} providers",
            series.len()
        );
        assert!(series.len() > 150);
    }
    read(&Monitor::default().summary().prometheus());
}

#[tokio::test(start_paused = true)]
async fn metrics_and_statistics_say_the_same() {
    let monitor = full(1);
    for outcome in [Outcome::Ok, Outcome::Ok, Outcome::Hit, Outcome::Cancelled] {
        let timer = monitor.begin(Operation::CaptionGeneration);
        tokio::time::advance(std::time::Duration::from_millis(300)).await;
        timer.end(outcome);
    }
    let open = monitor.begin(Operation::CaptionStream);
    monitor
        .with_breaker("api.p0", crate::breaker::Breaker::force_open)
        .unwrap();

    let series = read(&monitor.summary().prometheus());
    let value = |key: &str| *series.get(key).unwrap_or_else(|| panic!("{key}"));

    for (outcome, count) in [("ok", 2.0), ("hit", 1.0), ("cancelled", 1.0), ("failed", 0.0)] {
        let key = format!("captions_operations_total{{operation=\"caption_generation\",outcome=\"{outcome}\"}}");
        assert_eq!(value(&key), count, "{key}");
    }
    let histogram = "captions_request_duration_seconds";
    let bucket = |le: &str| {
        value(&format!(
            "{histogram}_bucket{{operation=\"caption_generation\",le=\"{le}\"}}"
        ))
    };
    assert_eq!((bucket("0.25"), bucket("0.5"), bucket("+Inf")), (0.0, 3.0, 3.0));
    assert_eq!(
        value(&format!("{histogram}_count{{operation=\"caption_generation\"}}")),
        3.0
    );
    assert!((value(&format!("{histogram}_sum{{operation=\"caption_generation\"}}")) - 0.9).abs() < 1e-9);
    assert_eq!(
        value("captions_operations_in_flight{operation=\"caption_stream\"}"),
        1.0
    );
    assert_eq!(
        value("captions_breaker_state{dependency=\"api.p0\",state=\"forced_open\"}"),
        1.0
    );
    assert_eq!(
        value("captions_breaker_state{dependency=\"api.p0\",state=\"closed\"}"),
        0.0
    );
    drop(open);
}

#[test]
fn a_label_cannot_break_out_of_its_quotes() {
    assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
}
