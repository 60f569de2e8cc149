//! What callgrind writes: a part for every dump, each with its sum and the calls between functions.

use std::collections::HashMap;

use anyhow::Context as _;

use crate::baseline::Cost;

/// How memory is asked for.
const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

/// Functions have numbers; the first time also their name. A name may stand in an earlier part than its number.
#[derive(Default)]
pub(crate) struct Profile {
    names: HashMap<String, String>,
}

impl Profile {
    /// The cost of one part.
    pub(crate) fn read(&mut self, part: &str) -> anyhow::Result<Cost> {
        let (mut instructions, mut allocations) = (None, 0);
        let mut called = "";
        for line in part.lines() {
            if let Some(sum) = line.strip_prefix("totals: ") {
                instructions = Some(sum.trim().parse().context("totals that are no number")?);
            } else if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
                let (number, name) = function.split_once(' ').unwrap_or((function, ""));
                if !name.is_empty() {
                    self.names.insert(number.to_owned(), name.to_owned());
                }
                called = number;
            } else if let Some(calls) = line.strip_prefix("calls=")
                && self
                    .names
                    .get(called)
                    .is_some_and(|name| ALLOCATORS.contains(&name.as_str()))
            {
                let count = calls.split(' ').next().unwrap_or_default();
                allocations += count.parse::<u64>().context("calls that are no number")?;
            }
        }
        Ok(Cost {
            instructions: instructions.context("a profile without totals")?,
            allocations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_and_allocations_are_read_from_every_part() {
        let mut profile = Profile::default();
        let first = profile.read(
            "events: Ir\nfn=(1) counted\n0 7\ncfn=(2) malloc\ncalls=3 0\n0 60\ncfn=(3) free\ncalls=3 0\n0 30\ntotals: 97\n",
        );
        let second =
            profile.read("fn=(1)\n0 7\ncfn=(2)\ncalls=12 0\n0 60\ncfn=(4) realloc\ncalls=1 0\n0 9\ntotals: 76\n");

        let cost = |instructions, allocations| Cost {
            instructions,
            allocations,
        };
        assert_eq!((first.unwrap(), second.unwrap()), (cost(97, 3), cost(76, 13)));
    }

    #[test]
    fn a_part_without_a_sum_is_an_error() {
        assert!(Profile::default().read("events: Ir\n").is_err());
    }
}
