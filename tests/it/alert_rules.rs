//! The alert rules for Prometheus: the same as the service's own, over metrics that it writes, and tested by promtool.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command, time::Duration};

use captions_resilience::{
    alerts::{Alert, Pace, Thresholds},
    breaker::BreakerSettings,
    monitor::{Dependency, LimiterStats, MemoryStats, Monitor, PoolStats, ProcessStats, SpoolStats},
    policy::{Policy, PolicySettings},
};
use captions_wiring::settings;

use crate::support::{environment, model_cache};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/alerts");
const RULES: &str = "captions.rules.yml";
const TESTS: &str = "captions.rules.test.yml";

fn read(name: &str) -> String {
    fs::read_to_string(PathBuf::from(FOLDER).join(name)).unwrap()
}

/// One rule: its name and all that stands below it.
fn rules() -> Vec<(String, String)> {
    let file = read(RULES);
    let mut rules = file.split("- alert: ");
    rules.next().unwrap();
    rules
        .map(|rule| {
            let (name, body) = rule.split_once('\n').unwrap();
            (name.to_owned(), body.to_owned())
        })
        .collect()
}

/// `database_errors` is `CaptionsDatabaseErrors`.
fn rule_name(alert: Alert) -> String {
    let words = alert.as_str().split('_');
    let capitalised = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]);
    std::iter::once("Captions".to_owned()).chain(capitalised).collect()
}

/// Every metric of ours that a text names.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("captions_"))
        .collect()
}

/// The names of the series of a service that has every part.
fn written() -> BTreeSet<String> {
    let monitor = Monitor::default();
    let guarded = || {
        Policy::new(PolicySettings {
            breaker: Some(BreakerSettings::default()),
            ..PolicySettings::off("x")
        })
    };
    monitor.watch(Dependency::Database, guarded());
    monitor.watch(Dependency::Cache, guarded());
    monitor.watch(Dependency::Provider("primary"), guarded());
    monitor.limiter("primary", LimiterStats::default);
    monitor.pool(PoolStats::default);
    monitor.memory(MemoryStats::default);
    monitor.spool(SpoolStats::default);
    monitor.process(ProcessStats::default);
    let page = monitor.summary().prometheus();
    let series = page.lines().filter(|line| !line.starts_with('#'));
    series
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect()
}

/// Where `tests/setup` puts it, unless the machine has one.
fn promtool(args: &[&str]) -> (bool, String) {
    let kept = PathBuf::from(model_cache()).join("captions/promtool/promtool");
    let program = if kept.is_file() { kept } else { "promtool".into() };
    let done = Command::new(&program).args(args).current_dir(FOLDER).output();
    let Ok(done) = done else {
        panic!(
            "promtool is missing: tests/setup gets it ({} cannot be run)",
            program.display()
        )
    };
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn every_alert_has_a_rule_of_its_name_with_its_runbook() {
    let rules = rules();

    let names: Vec<_> = rules.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, Alert::ALL.map(rule_name).each_ref().map(String::as_str));
    for (alert, (_, rule)) in Alert::ALL.iter().zip(&rules) {
        let runbook = format!("runbook_url: {}\n", alert.runbook());
        assert!(rule.contains(&runbook), "{alert:?}: {rule}");
    }
}

#[test]
fn every_metric_of_the_rules_and_their_tests_is_one_that_the_service_writes() {
    let written = written();
    for (name, rule) in rules() {
        assert!(!metrics(&rule).is_empty(), "{name}");
        for metric in metrics(&rule) {
            assert!(written.contains(metric), "{name}: {metric}");
        }
    }
    let tests = read(TESTS);
    for metric in metrics(&tests) {
        assert!(written.contains(metric), "{metric}");
    }
}

#[test]
fn thresholds_least_counts_and_paces_are_the_defaults_of_the_loop() {
    const MINUTE: Duration = Duration::from_secs(60);
    let home = tempfile::tempdir().unwrap();
    let sources = settings::Sources {
        env: environment(&home, &[]),
        ..settings::Sources::default()
    };
    let defaults = settings::load(&sources).unwrap().settings;
    let limits = Thresholds::default();
    let pace = Pace::default();
    let rules = rules();
    let rule = |alert: Alert| &rules.iter().find(|(name, _)| *name == rule_name(alert)).unwrap().1;
    let holds = |alert: Alert, text: String| {
        let rule = rule(alert);
        let whole = rule.lines().any(|line| line.trim_end().ends_with(&text));
        assert!(whole, "{alert:?} lacks a line that ends in `{text}`:\n{rule}");
    };

    holds(Alert::DatabaseErrors, format!(" > {}", limits.database_error_rate));
    holds(Alert::DatabaseErrors, format!(" >= {}", limits.min_calls));
    holds(Alert::ApiSlow, format!(")) > {}", limits.api_response.as_secs_f64()));
    holds(
        Alert::ApiSlow,
        format!("[1m])) > {}", limits.api_response.as_secs_f64()),
    );
    holds(Alert::ApiSlow, format!(" >= {}", limits.min_calls));
    holds(Alert::BreakerOpen, format!(" > {}", limits.breaker_open.as_secs_f64()));
    holds(Alert::HitRateCollapse, format!(" > {}", limits.hit_rate_drop));
    holds(Alert::HitRateCollapse, format!("_total[1m]) >= {}", limits.min_lookups));
    holds(Alert::HitRateCollapse, format!("offset 1m) >= {}", limits.min_lookups));
    holds(
        Alert::PoolWaiting,
        format!("captions_pool_waiting > {}", limits.pool_waiting),
    );
    holds(Alert::Overload, format!(" > {}", limits.overload_refused));
    holds(Alert::SpoolGrowing, format!(" > {}", limits.spool_rows));
    // The detector counts what is over its own limit.
    assert_eq!(limits.event_loop_lag, defaults.monitor.stall_limit);
    assert_eq!((defaults.alerts.interval, defaults.monitor.window), (MINUTE, MINUTE));
    holds(
        Alert::EventLoopStalled,
        "captions_event_loop_stalls_total[1m]) > 0".to_owned(),
    );
    // Two looks a minute apart, both ways.
    assert_eq!((pace.fire_after, pace.resolve_after), (2, 2));
    for alert in Alert::ALL {
        holds(alert, "    for: 1m".to_owned());
        holds(alert, "    keep_firing_for: 1m".to_owned());
    }
}

#[test]
fn promtool_takes_the_rules_and_passes_their_tests() {
    let (is_valid, said) = promtool(&["check", "rules", RULES]);
    assert!(is_valid, "{said}");

    let (passed, said) = promtool(&["test", "rules", TESTS]);
    assert!(passed, "{said}");
}

#[test]
fn every_rule_is_tested_firing_quiet_and_over() {
    let tests = read(TESTS);
    let blocks: Vec<&str> = tests.split("  - name: ").skip(1).collect();
    for (name, _) in rules() {
        let of_it: Vec<_> = blocks
            .iter()
            .filter(|block| block.contains(&format!("alertname: {name}\n")))
            .collect();
        let looks = of_it
            .iter()
            .flat_map(|block| block.split("      - eval_time: ").skip(1));
        let (quiet, firing): (Vec<&str>, Vec<&str>) = looks.partition(|look| look.contains("exp_alerts: []"));
        let is_over = |block: &&&str| {
            let fires = block.find("exp_labels");
            fires.is_some_and(|at| block[at..].contains("exp_alerts: []"))
        };
        assert!(!firing.is_empty() && quiet.len() >= 2, "{name}");
        assert!(of_it.iter().any(is_over), "{name} is never over");
    }
}
