//! What the cases cost when somebody last looked, and whether they cost more now.

use std::{collections::BTreeMap, fmt, fs, path::Path, process::Command};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What one call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

impl Cost {
    /// Of one of so many calls.
    pub(crate) fn of_one(self, calls: u64) -> Self {
        Self {
            instructions: self.instructions / calls,
            allocations: self.allocations / calls,
        }
    }
}

/// The cost of every case, and what it depends on besides the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Kind of processor: another one has other instructions.
    processor: String,
    /// What `rustc --version` says: another compiler makes other code of the same source.
    compiler: String,
    cases: BTreeMap<String, Cost>,
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Baseline> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no baseline", path.display()))
}

pub(crate) fn write(path: &Path, baseline: &Baseline) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(baseline)? + "\n";
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

impl Baseline {
    /// What was counted here and now.
    pub(crate) fn of(cases: Vec<(String, Cost)>) -> anyhow::Result<Self> {
        let rustc = Command::new("rustc").arg("--version").output()?;
        Ok(Self {
            processor: std::env::consts::ARCH.to_owned(),
            compiler: String::from_utf8(rustc.stdout)?.trim().to_owned(),
            cases: cases.into_iter().collect(),
        })
    }

    /// How `now` stands to this.
    pub(crate) fn compare(&self, now: &Self) -> Comparison {
        let mut notes = Vec::new();
        let is_comparable = self.processor == now.processor;
        if !is_comparable {
            notes.push(format!(
                "The baseline is for {}, this is {}: nothing is compared.",
                self.processor, now.processor
            ));
        } else if self.compiler != now.compiler {
            notes.push(format!(
                "The baseline was counted with {}, this is {}.",
                self.compiler, now.compiler
            ));
        }
        let names = self.cases.keys().chain(now.cases.keys());
        let mut rows: Vec<Row> = names
            .map(|name| Row {
                name: name.clone(),
                before: self.cases.get(name).copied(),
                now: now.cases.get(name).copied(),
            })
            .collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows.dedup_by(|a, b| a.name == b.name);
        Comparison {
            rows,
            notes,
            is_comparable,
        }
    }
}

/// A case then and now.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    before: Option<Cost>,
    now: Option<Cost>,
}

impl Row {
    /// Why it does not stand as it was, if it does not.
    fn fault(&self) -> Option<&'static str> {
        // Over a tenth: what chance and the C library make of it is far less.
        let grew = |before: u64, now: u64| now.saturating_mul(10) > before.saturating_mul(11);
        match (self.before, self.now) {
            (Some(before), Some(now)) if grew(before.instructions, now.instructions) => Some("SLOWER"),
            (Some(before), Some(now)) if grew(before.allocations, now.allocations) => Some("MORE ALLOCATIONS"),
            (Some(_), Some(_)) => None,
            (None, _) => Some("NOT IN THE BASELINE"),
            (Some(_), None) => Some("GONE"),
        }
    }
}

/// All cases then and now.
#[derive(Debug)]
pub(crate) struct Comparison {
    rows: Vec<Row>,
    notes: Vec<String>,
    is_comparable: bool,
}

impl Comparison {
    pub(crate) fn is_fine(&self) -> bool {
        !self.is_comparable || self.rows.iter().all(|row| row.fault().is_none())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:>12} {:>12} {:>8} {:>12}",
            "case", "instructions", "baseline", "change", "allocations"
        )?;
        for row in &self.rows {
            let number = |cost: Option<Cost>| cost.map_or_else(|| "-".to_owned(), |cost| cost.instructions.to_string());
            let change = match (row.before, row.now) {
                (Some(before), Some(now)) => percent(before.instructions, now.instructions),
                _ => "-".to_owned(),
            };
            let allocations = row
                .now
                .map_or_else(|| "-".to_owned(), |cost| cost.allocations.to_string());
            let fault = row.fault().filter(|_| self.is_comparable).unwrap_or_default();
            let line = format!(
                "{:<28} {:>12} {:>12} {change:>8} {allocations:>12} {fault}",
                row.name,
                number(row.now),
                number(row.before)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        if !self.is_fine() {
            writeln!(
                f,
                "A case costs over a tenth more than it did, or the cases are others. If that is meant: \
                 cargo run --profile profiling -p captions-instructions -- --write"
            )?;
        }
        Ok(())
    }
}

/// How much more it is now.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn percent(before: u64, now: u64) -> String {
    format!("{:+.1} %", (now as f64 / before.max(1) as f64 - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn baseline(cases: &[(&str, u64, u64)]) -> Baseline {
        Baseline {
            processor: "x86_64".into(),
            compiler: "rustc 1.95.0".into(),
            cases: cases
                .iter()
                .map(|(name, instructions, allocations)| {
                    let cost = Cost {
                        instructions: *instructions,
                        allocations: *allocations,
                    };
                    ((*name).to_owned(), cost)
                })
                .collect(),
        }
    }

    #[rstest]
    #[case::same(&[("a", 1000, 10)], true)]
    #[case::a_tenth_more(&[("a", 1100, 11)], true)]
    #[case::less(&[("a", 10, 0)], true)]
    #[case::more_instructions(&[("a", 1101, 10)], false)]
    #[case::more_allocations(&[("a", 1000, 12)], false)]
    #[case::a_new_one(&[("a", 1000, 10), ("b", 1, 0)], false)]
    #[case::gone(&[], false)]
    fn over_a_tenth_more_is_told(#[case] now: &[(&str, u64, u64)], #[case] is_fine: bool) {
        let comparison = baseline(&[("a", 1000, 10)]).compare(&baseline(now));

        assert_eq!(comparison.is_fine(), is_fine, "{comparison}");
    }

    #[test]
    fn another_kind_of_processor_is_told_and_not_compared() {
        let other = Baseline {
            processor: "aarch64".into(),
            ..baseline(&[("a", 5000, 10)])
        };
        let comparison = baseline(&[("a", 1000, 10)]).compare(&other);

        assert!(
            comparison.is_fine() && comparison.to_string().contains("this is aarch64"),
            "{comparison}"
        );
    }

    #[test]
    fn the_first_allocation_of_a_case_is_one_too_many() {
        assert!(
            !baseline(&[("a", 1000, 0)])
                .compare(&baseline(&[("a", 1000, 1)]))
                .is_fine()
        );
    }
}
