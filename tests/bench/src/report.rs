//! The figures: one line each, beside what it is compared with in the same run.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {}", number(least)),
            Self::AtMost(most) => format!("<= {}", number(most)),
        }
    }
}

/// One figure of the service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) scenario: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// The median over the rounds.
    pub(crate) service: f64,
    pub(crate) beside: Option<Beside>,
    pub(crate) target: Option<Bound>,
}

/// What a figure is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    /// The median over the rounds.
    pub(crate) value: f64,
    /// What the target is about, one of each round: the service's value divided by the other's, or less it.
    pub(crate) compared: Vec<f64>,
    pub(crate) how: Comparison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Comparison {
    Ratio,
    Difference,
}

impl Figure {
    /// A figure that stands for itself: the median of its rounds.
    pub(crate) fn alone(scenario: &'static str, what: &'static str, unit: &'static str, rounds: &[f64]) -> Self {
        Self {
            scenario,
            what,
            unit,
            service: median(rounds),
            beside: None,
            target: None,
        }
    }

    /// The same beside another one, taken in the same rounds.
    #[must_use]
    pub(crate) fn beside(mut self, name: &'static str, how: Comparison, service: &[f64], other: &[f64]) -> Self {
        let compared = std::iter::zip(service, other).map(|(one, other)| match how {
            Comparison::Ratio => one / other,
            Comparison::Difference => one - other,
        });
        self.beside = Some(Beside {
            name,
            value: median(other),
            compared: compared.collect(),
            how,
        });
        self
    }

    #[must_use]
    pub(crate) fn target(mut self, bound: Bound) -> Self {
        self.target = Some(bound);
        self
    }

    /// What the target is about.
    fn judged(&self) -> f64 {
        self.beside
            .as_ref()
            .map_or(self.service, |beside| median(&beside.compared))
    }

    pub(crate) fn met(&self) -> Option<bool> {
        self.target.map(|bound| bound.holds(self.judged()))
    }
}

/// The one in the middle, or half-way between the two there. Not a number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted[..] {
        [] => f64::NAN,
        _ if sorted.len().is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The table, in Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| scenario | figure | service | beside | ratio or difference (rounds) | target | met |\n|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let (beside, compared) = match &figure.beside {
            None => (String::new(), String::new()),
            Some(beside) => (
                format!("{} {}", beside.name, number(beside.value)),
                spread(&beside.compared, beside.how, figure.unit),
            ),
        };
        let met = match figure.met() {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} {} | {beside} | {compared} | {} | {met} |",
            figure.scenario,
            figure.what,
            number(figure.service),
            figure.unit,
            figure.target.map(Bound::text).unwrap_or_default(),
        );
    }
    text
}

/// The median, with the lowest and the highest.
fn spread(values: &[f64], how: Comparison, unit: &str) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = number(median(values));
    let shown = match how {
        Comparison::Ratio => format!("{middle} x"),
        Comparison::Difference => format!("{}{middle} {unit}", if middle.starts_with('-') { "" } else { "+" }),
    };
    if values.len() < 2 {
        return shown;
    }
    format!("{shown} ({} to {})", number(lowest), number(highest))
}

/// The machine and the build, in one line. `load` is the machine's load average before the run.
pub(crate) fn machine(smoke: bool, load: &str) -> String {
    let cores = std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |cores| cores.to_string());
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let warning = if smoke {
        "SMOKE: too short to mean anything. "
    } else {
        ""
    };
    format!(
        "{warning}{build} build, {cores} cores ({}, {} {}), load average {load} before the run. Load generator, provider, \
         floor, service, Postgres and Redis share these cores.",
        cpu.unwrap_or("unknown").trim(),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

#[cfg(test)]
mod tests;
