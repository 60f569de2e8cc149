//! The summary as Prometheus text, format 0.0.4.
//!
//! Label values come from fixed sets and from the names of providers in the settings, never from a request, so the number
//! of series is known: at most 500, however many providers there are.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
};

use super::{
    BreakerStats, CallStats, Operation, Outcome, Outcomes, Summary,
    window::{BOUNDS, Totals},
};
use crate::breaker::State;

/// Providers that have series of their own. What is called beyond these counts in the sums of all providers.
const MOST_PROVIDERS: usize = 9;

/// The most series that there can be.
#[cfg(test)]
const MOST_SERIES: usize = 500;

const STATES: [State; 5] = [
    State::Closed,
    State::Open,
    State::HalfOpen,
    State::ForcedOpen,
    State::ForcedClosed,
];

/// What an operation is called here. Those of a port that not every caption asks for share one name, so that the series stay
/// few; `/v1/stats` tells them apart.
const fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::BatchesSubmit
        | Operation::BatchesList
        | Operation::BatchesRead
        | Operation::BatchesChange
        | Operation::BatchesClaim
        | Operation::BatchesSettle => "batches",
        Operation::KeysAdd
        | Operation::KeysFind
        | Operation::KeysList
        | Operation::KeysRotate
        | Operation::KeysRevoke
        | Operation::KeysBudget
        | Operation::KeysUsed
        | Operation::KeysSpend => "keys",
        Operation::CaptionsRead | Operation::CaptionsAmend | Operation::CaptionsErase | Operation::CaptionsOnce => {
            "captions"
        }
        Operation::UsersRead | Operation::UsersWrite | Operation::UsersErase => "users",
        Operation::CachePut | Operation::CacheRemove | Operation::CachePutIfAbsent | Operation::CacheRemoveIf => {
            "cache.write"
        }
        operation => operation.as_str(),
    }
}

/// Outcomes of an operation that can occur; a series that never moves tells nobody anything.
fn outcomes(operation: Operation) -> &'static [Outcome] {
    const PORT: [Outcome; 4] = [Outcome::Ok, Outcome::Refused, Outcome::Failed, Outcome::Cancelled];
    const READ: [Outcome; 5] = [
        Outcome::Ok,
        Outcome::Stale,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Cancelled,
    ];
    const LOOK_UP: [Outcome; 5] = [
        Outcome::Ok,
        Outcome::Hit,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Cancelled,
    ];
    const WRITTEN: [Outcome; 5] = [
        Outcome::Ok,
        Outcome::Fallback,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Cancelled,
    ];
    match operation {
        Operation::CaptionGeneration | Operation::CaptionStream => &Outcome::ALL,
        Operation::UsersPreferences => &READ,
        Operation::AnswersRead => &[
            Outcome::Ok,
            Outcome::Hit,
            Outcome::Stale,
            Outcome::Coalesced,
            Outcome::Refused,
            Outcome::Failed,
            Outcome::Cancelled,
        ],
        Operation::CacheGet => &LOOK_UP,
        Operation::Rewrite | Operation::LlmComplete | Operation::LlmStream => &WRITTEN,
        _ => &PORT,
    }
}

const fn of(outcomes: &Outcomes, outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Ok => outcomes.ok,
        Outcome::Hit => outcomes.hit,
        Outcome::Stale => outcomes.stale,
        Outcome::Coalesced => outcomes.coalesced,
        Outcome::Fallback => outcomes.fallback,
        Outcome::Refused => outcomes.refused,
        Outcome::Failed => outcomes.failed,
        Outcome::Cancelled => outcomes.cancelled,
    }
}

/// A dependency with its label.
struct Row<'a> {
    label: String,
    calls: &'a CallStats,
    breaker: Option<&'a BreakerStats>,
}

impl Summary {
    /// The same figures as metrics. One truth: nothing is counted twice, and nothing is left out for want of a series.
    pub fn prometheus(&self) -> String {
        let mut page = Page::default();
        self.operations(&mut page);
        self.dependencies(&mut page);
        self.tokens_and_limits(&mut page);
        self.callers(&mut page);
        self.stores(&mut page);
        self.caches(&mut page);
        self.process(&mut page);
        page.0
    }

    fn operations(&self, page: &mut Page) {
        let each = Operation::ALL
            .into_iter()
            .filter_map(|operation| Some((operation, self.operations.get(operation.as_str())?)));
        let mut ended: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut took: BTreeMap<&str, f64> = BTreeMap::new();
        for (operation, stats) in each {
            for outcome in outcomes(operation) {
                *ended.entry((name(operation), outcome.as_str())).or_default() += of(&stats.outcomes, *outcome);
            }
            *took.entry(name(operation)).or_default() += stats.total_duration;
        }
        page.family(
            "captions_operations_total",
            "counter",
            "Operations that have ended, by how.",
        );
        for ((operation, outcome), count) in ended {
            page.sample("", &[("operation", operation), ("outcome", outcome)], count);
        }
        page.family(
            "captions_operation_seconds_total",
            "counter",
            "Time that operations took.",
        );
        for (operation, seconds) in took {
            page.sample("", &[("operation", operation)], seconds);
        }
        page.family(
            "captions_operations_in_flight",
            "gauge",
            "Captions that are being made or changed.",
        );
        for operation in Operation::OF_CALLERS {
            if let Some(stats) = self.operations.get(operation.as_str()) {
                page.sample("", &[("operation", operation.as_str())], stats.in_flight);
            }
        }
        page.family(
            "captions_request_duration_seconds",
            "histogram",
            "Time that captions took, the cancelled ones left out.",
        );
        for (operation, totals) in &self.spreads {
            page.histogram(("operation", operation.as_str()), totals);
        }
    }

    /// The store, the shared cache, all providers together, and each of them.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = vec![Row {
            label: "database".to_owned(),
            calls: &self.database.calls,
            breaker: self.database.breaker.as_ref(),
        }];
        if let Some(shared) = &self.cache.shared {
            rows.push(Row {
                label: "cache".to_owned(),
                calls: &shared.calls,
                breaker: shared.breaker.as_ref(),
            });
        }
        let providers = self.api.order.iter().take(MOST_PROVIDERS);
        let providers = providers.filter_map(|name| Some((name, self.api.providers.get(name)?)));
        rows.extend(providers.map(|(name, stats)| Row {
            label: format!("api.{name}"),
            calls: &stats.calls,
            breaker: stats.breaker.as_ref(),
        }));
        rows
    }

    fn dependencies(&self, page: &mut Page) {
        let mut rows = self.rows();
        let breakers: Vec<(String, &BreakerStats)> = rows
            .iter()
            .filter_map(|row| Some((row.label.clone(), row.breaker?)))
            .collect();
        page.family(
            "captions_breaker_state",
            "gauge",
            "1 for the state in which a circuit breaker is.",
        );
        for (label, breaker) in &breakers {
            for state in STATES {
                let labels = [("dependency", label.as_str()), ("state", state.as_str())];
                page.sample("", &labels, u8::from(breaker.state == state.as_str()));
            }
        }
        page.family(
            "captions_breaker_open_seconds",
            "gauge",
            "Time since which a dependency has not worked; 0 while its circuit is closed or forced.",
        );
        for (label, breaker) in &breakers {
            page.sample("", &[("dependency", label)], breaker.open_for.unwrap_or_default());
        }
        page.family(
            "captions_breaker_opened_total",
            "counter",
            "How often a circuit has opened.",
        );
        for (label, breaker) in &breakers {
            page.sample("", &[("dependency", label)], breaker.opened);
        }

        rows.push(Row {
            label: "api".to_owned(),
            calls: &self.api.calls,
            breaker: None,
        });
        page.family(
            "captions_calls_total",
            "counter",
            "Attempts at a dependency that have ended, by how.",
        );
        for Row { label, calls, .. } in &rows {
            for (outcome, count) in [
                (Outcome::Ok, calls.ok),
                (Outcome::Refused, calls.refused),
                (Outcome::Failed, calls.failed),
                (Outcome::Cancelled, calls.cancelled),
            ] {
                let labels = [("dependency", label.as_str()), ("outcome", outcome.as_str())];
                page.sample("", &labels, count);
            }
        }
        page.family(
            "captions_calls_turned_away_total",
            "counter",
            "Calls that were not made, by why.",
        );
        for Row { label, calls, .. } in &rows {
            let overloaded = [("dependency", label.as_str()), ("reason", "overloaded")];
            page.sample("", &overloaded, calls.overloaded);
            let circuit_open = [("dependency", label.as_str()), ("reason", "circuit_open")];
            page.sample("", &circuit_open, calls.circuit_open);
        }
        page.family(
            "captions_call_seconds_total",
            "counter",
            "Time that calls to a dependency took.",
        );
        for Row { label, calls, .. } in &rows {
            page.sample("", &[("dependency", label)], calls.total_duration);
        }
        page.family("captions_calls_in_flight", "gauge", "Calls under way.");
        for Row { label, calls, .. } in &rows {
            page.sample("", &[("dependency", label)], calls.in_flight);
        }
        page.family(
            "captions_call_duration_seconds",
            "histogram",
            "Time that calls took, the cancelled ones left out; providers all together.",
        );
        for Row { label, calls, .. } in rows.iter().filter(|row| !row.label.contains('.')) {
            page.histogram(("dependency", label), &calls.totals);
        }
    }

    fn tokens_and_limits(&self, page: &mut Page) {
        let each = || {
            let providers = self.api.order.iter().take(MOST_PROVIDERS);
            providers.filter_map(|name| Some((name, self.api.providers.get(name)?)))
        };
        page.family("captions_tokens_total", "counter", "Tokens that answers cost.");
        for (name, stats) in each() {
            page.sample("", &[("provider", name), ("kind", "input")], stats.tokens.input);
            page.sample("", &[("provider", name), ("kind", "output")], stats.tokens.output);
            page.sample("", &[("provider", name), ("kind", "guessed")], stats.tokens.guessed);
        }
        page.family(
            "captions_limiter_decisions_total",
            "counter",
            "What the limits toward a provider said.",
        );
        for (name, stats) in each() {
            if let Some(limiter) = stats.limiter {
                for (decision, count) in [
                    ("allowed", limiter.allowed),
                    ("refused", limiter.refused),
                    ("waited", limiter.waited),
                    ("alone", limiter.alone),
                ] {
                    page.sample("", &[("provider", name), ("decision", decision)], count);
                }
            }
        }
    }

    fn callers(&self, page: &mut Page) {
        page.family(
            "captions_caller_requests_total",
            "counter",
            "What the limits of callers said.",
        );
        page.sample("", &[("decision", "allowed")], self.callers.allowed);
        page.sample("", &[("decision", "refused")], self.callers.refused);
    }

    fn stores(&self, page: &mut Page) {
        if let Some(pool) = self.database.pool {
            page.family(
                "captions_pool_connections",
                "gauge",
                "Connections to the store, by state.",
            );
            page.sample("", &[("state", "idle")], pool.idle);
            page.sample("", &[("state", "in_use")], pool.in_use);
            page.single(
                "captions_pool_size",
                "gauge",
                "The most connections at a time.",
                pool.size,
            );
            page.single(
                "captions_pool_waiting",
                "gauge",
                "Callers that wait for a connection.",
                pool.waiting,
            );
            page.single(
                "captions_pool_leaked",
                "gauge",
                "Connections at work for longer than any statement may take.",
                pool.leaked,
            );
            page.family(
                "captions_pool_events_total",
                "counter",
                "Connections opened and broken, and callers that waited for one in vain.",
            );
            page.sample("", &[("event", "opened")], pool.opened);
            page.sample("", &[("event", "broken")], pool.broken);
            page.sample("", &[("event", "refused")], pool.refused);
        }
        if let Some(spool) = self.database.spool {
            page.single(
                "captions_spool_waiting",
                "gauge",
                "Writes that wait on disk.",
                spool.waiting,
            );
            page.single(
                "captions_spool_bytes",
                "gauge",
                "Bytes of the writes that wait on disk.",
                spool.bytes,
            );
            page.family(
                "captions_spool_ended_total",
                "counter",
                "Writes that have left the disk.",
            );
            page.sample("", &[("how", "delivered")], spool.delivered);
            page.sample("", &[("how", "dropped")], spool.dropped);
        }
        if let Some(usage) = self.database.usage {
            page.family(
                "captions_usage_ended_total",
                "counter",
                "Rows of usage that have left memory.",
            );
            page.sample("", &[("how", "written")], usage.written);
            page.sample("", &[("how", "dropped")], usage.dropped);
        }
    }

    fn caches(&self, page: &mut Page) {
        page.single(
            "captions_cache_look_ups_total",
            "counter",
            "Look-ups in the cache of captions.",
            self.cache.look_ups,
        );
        page.single(
            "captions_cache_hits_total",
            "counter",
            "Those that found something.",
            self.cache.hits,
        );
        page.family(
            "captions_cache_reads_total",
            "counter",
            "Look-ups by the kind of what is kept, and by where it was found.",
        );
        for (kind, stats) in &self.cache.kinds {
            for (found, count) in [
                ("memory", stats.counts.memory_hits),
                ("shared", stats.counts.shared_hits),
                ("stale", stats.counts.stale),
                ("nowhere", stats.counts.misses),
            ] {
                page.sample("", &[("kind", kind), ("found", found)], count);
            }
        }
        page.family(
            "captions_cache_events_total",
            "counter",
            "What else happened to what is kept, by kind.",
        );
        for (kind, stats) in &self.cache.kinds {
            for (event, count) in [
                ("coalesced", stats.counts.coalesced),
                ("corrupt", stats.counts.corrupt),
                ("load", stats.counts.loads),
                ("load_failed", stats.counts.load_failures),
                ("refresh", stats.counts.refreshes),
                ("rescued", stats.counts.rescued),
                ("unavailable", stats.counts.unavailable),
            ] {
                page.sample("", &[("kind", kind), ("event", event)], count);
            }
        }
        if let Some(memory) = self.cache.memory {
            page.single(
                "captions_memory_cache_entries",
                "gauge",
                "Entries of the cache in memory.",
                memory.entries,
            );
            page.single(
                "captions_memory_cache_bytes",
                "gauge",
                "Bytes of the cache in memory.",
                memory.bytes,
            );
        }
    }

    fn process(&self, page: &mut Page) {
        page.single(
            "captions_event_loop_stalls_total",
            "counter",
            "How often a task came to its turn too late.",
            self.event_loop.stalls,
        );
        page.single(
            "captions_event_loop_lag_seconds",
            "gauge",
            "How late the last look was.",
            self.event_loop.lag,
        );
        page.single(
            "captions_event_loop_max_lag_seconds",
            "gauge",
            "How late the latest look was.",
            self.event_loop.max_lag,
        );
        page.single("captions_uptime_seconds", "gauge", "Time since the start.", self.uptime);
        if let Some(batches) = self.batches {
            page.single(
                "captions_batches_open",
                "gauge",
                "Batches that are not over, of everybody who shares the store.",
                batches.open,
            );
            page.single(
                "captions_batch_items_waiting",
                "gauge",
                "Items of these without an outcome.",
                batches.waiting,
            );
            page.single(
                "captions_batches_oldest_seconds",
                "gauge",
                "How long ago the oldest of these batches came in; 0 where there is none.",
                batches.oldest_seconds.unwrap_or_default(),
            );
            page.family(
                "captions_batch_items_total",
                "counter",
                "Items that this process has worked on, by what became of them.",
            );
            page.sample("", &[("how", "succeeded")], batches.succeeded);
            page.sample("", &[("how", "failed")], batches.failed);
            page.sample("", &[("how", "retried")], batches.retried);
            page.sample("", &[("how", "reclaimed")], batches.reclaimed);
        }
        if let Some(alerts) = self.alerts {
            page.family(
                "captions_alert_failures_total",
                "counter",
                "Times that the alert loop got no figures, or could not tell a notice.",
            );
            page.sample("", &[("part", "source")], alerts.source_failures);
            page.sample("", &[("part", "sink")], alerts.sink_failures);
            page.family(
                "captions_alert_notices_total",
                "counter",
                "Notices of alerts that left the queue of a sink, by how.",
            );
            page.sample("", &[("how", "delivered")], alerts.delivered);
            page.sample("", &[("how", "given_up")], alerts.given_up);
        }
        if let Some(process) = self.process {
            page.single(
                "process_start_time_seconds",
                "gauge",
                "When the process began, in seconds since 1970.",
                process.started,
            );
            page.single(
                "process_resident_memory_bytes",
                "gauge",
                "Memory in use.",
                process.resident_bytes,
            );
            page.single(
                "process_open_fds",
                "gauge",
                "Open files and sockets.",
                process.open_files,
            );
            page.single(
                "captions_tasks",
                "gauge",
                "Tasks of the asynchronous runtime: work under way, and what waits for work.",
                process.tasks,
            );
        }
    }
}

/// The text, and the name of the family that is being written.
#[derive(Default)]
struct Page(String, &'static str);

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn single(&mut self, name: &'static str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample("", &[], value);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let name = self.1;
        if labels.is_empty() {
            return self.line(format_args!("{name}{suffix} {value}"));
        }
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        self.line(format_args!("{name}{suffix}{{{}}} {value}", labels.join(",")));
    }

    fn histogram(&mut self, label: (&str, &str), totals: &Totals) {
        let mut all = 0;
        for (place, count) in totals.spread.iter().enumerate() {
            all += count;
            let bound = BOUNDS.get(place).map_or("+Inf".to_owned(), ToString::to_string);
            self.sample("_bucket", &[label, ("le", &bound)], all);
        }
        self.sample("_sum", &[label], totals.timed.as_secs_f64());
        self.sample("_count", &[label], all);
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
