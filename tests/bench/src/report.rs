//! The figures as one table, each service row beside its floor of the same run.

use std::{fmt::Write as _, time::Duration};

use crate::load::{Bounds, Measured, percentile};

/// One scenario of the run and what came of it.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// The place of the row that this one is compared with.
    pub(crate) floor: Option<usize>,
    /// Whether every request has to reach the provider; if not, none may.
    pub(crate) asks_provider: bool,
    pub(crate) rounds: Vec<Round>,
}

#[derive(Default)]
pub(crate) struct Round {
    pub(crate) measured: Measured,
    /// Requests that reached the provider.
    pub(crate) provider_calls: usize,
}

impl Row {
    /// Why the row's figures say nothing, if so: a wrong answer, or another path than the one to be measured.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.rounds.iter().find_map(
            |Round {
                 measured,
                 provider_calls,
             }| {
                if measured.failed > 0 {
                    let first = measured.first_failure.as_deref().unwrap_or_default();
                    return Some(format!("{} of {} failed: {first}", measured.failed, measured.sent));
                }
                if measured.latencies.is_empty() {
                    return Some("no request was answered within the time".to_owned());
                }
                let expected = if self.asks_provider { measured.sent } else { 0 };
                (*provider_calls != expected)
                    .then(|| format!("the provider was asked {provider_calls} times instead of {expected}"))
            },
        )
    }

    /// All rounds together.
    fn total(&self) -> Total {
        let mut latencies: Vec<_> = self
            .rounds
            .iter()
            .flat_map(|round| &round.measured.latencies)
            .copied()
            .collect();
        latencies.sort_unstable();
        let elapsed: Duration = self.rounds.iter().map(|round| round.measured.elapsed).sum();
        let all = Measured {
            latencies,
            elapsed,
            ..Measured::default()
        };
        Total {
            rate: all.rate(),
            p50: percentile(&all.latencies, 0.5),
            p99: percentile(&all.latencies, 0.99),
            max: percentile(&all.latencies, 1.0),
            answered: all.latencies.len(),
        }
    }
}

struct Total {
    /// Answers a second.
    rate: f64,
    p50: Duration,
    p99: Duration,
    max: Duration,
    answered: usize,
}

/// What ran, where, in one paragraph. `load` is the machine's load average before the run.
pub(crate) fn machine(bounds: Bounds, rounds: usize, smoke: bool, load: &str) -> String {
    let cores = std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |cores| cores.to_string());
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let warning = if smoke {
        "SMOKE: too short to mean anything. "
    } else {
        ""
    };
    format!(
        "{warning}{build} build, {cores} cores ({} {}), load average {load} before the run. {} connections in a closed \
         loop. Rounds: {rounds}; each row of a round ends after {} requests or {} s. Client, servers and provider share \
         one process and these cores.\n",
        std::env::consts::OS,
        std::env::consts::ARCH,
        bounds.connections,
        bounds.requests,
        bounds.time.as_secs_f64(),
    )
}

/// The table, in Markdown, and a line for every row that failed.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| # | what | floor | throughput / floor (rounds) | p50 / floor | added us per request | requests/s | p50 ms \
         | p99 ms | max ms | answered |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut troubles = String::new();
    for (index, row) in rows.iter().enumerate() {
        let number = index + 1;
        let floor = row.floor.and_then(|floor| rows.get(floor));
        let beside = row
            .floor
            .map_or_else(|| "-".to_owned(), |floor| format!("{}", floor + 1));
        let failed = row.trouble();
        let figures = if failed.is_some() {
            "FAILED | - | - | - | - | - | - | -".to_owned()
        } else {
            let compared = match floor {
                Some(floor) if floor.trouble().is_none() => compared(row, floor),
                Some(_) => "its floor FAILED | - | -".to_owned(),
                None => "- | - | -".to_owned(),
            };
            format!("{compared} | {}", absolute(&row.total()))
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {number} | {} | {beside} | {figures} |", row.what);
        if let Some(failed) = failed {
            let _ = writeln!(troubles, "FAILED: row {number} ({}): {failed}", row.what);
        }
    }
    text + &troubles
}

fn absolute(total: &Total) -> String {
    let [p50, p99, max] = [total.p50, total.p99, total.max].map(|time| time.as_secs_f64() * 1e3);
    format!(
        "{:.0} | {p50:.3} | {p99:.3} | {max:.1} | {}",
        total.rate, total.answered
    )
}

/// Ratios to the floor: of the throughputs the median over the rounds, with the lowest and the highest.
fn compared(row: &Row, floor: &Row) -> String {
    let mut ratios: Vec<f64> = std::iter::zip(&row.rounds, &floor.rounds)
        .map(|(one, other)| one.measured.rate() / other.measured.rate())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| ratios.get(place).copied().unwrap_or(f64::NAN);
    let (median, lowest, highest) = (at(ratios.len() / 2), at(0), at(ratios.len().saturating_sub(1)));
    let (one, other) = (row.total(), floor.total());
    format!(
        "{median:.2} ({lowest:.2}-{highest:.2}) | {:.2} | {:+.0}",
        one.p50.as_secs_f64() / other.p50.as_secs_f64(),
        1e6 / one.rate - 1e6 / other.rate,
    )
}

#[cfg(test)]
mod tests;
