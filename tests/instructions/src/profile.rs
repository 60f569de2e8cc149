//! What callgrind writes: a part for every dump, each with its sum and the calls between functions.

use std::collections::HashMap;

use anyhow::Context as _;

use crate::baseline::Cost;

/// How memory is asked for.
const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

/// The cost of one part. Functions have numbers; the first time in a part also their name.
pub(crate) fn read(part: &str) -> anyhow::Result<Cost> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let (mut instructions, mut allocations) = (None, 0);
    let mut called = "";
    for line in part.lines() {
        if let Some(sum) = line.strip_prefix("totals: ") {
            instructions = Some(sum.trim().parse().context("totals that are no number")?);
        } else if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            called = number;
        } else if let Some(calls) = line.strip_prefix("calls=")
            && names.get(called).is_some_and(|name| ALLOCATORS.contains(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_and_allocations_are_read() {
        let part = "events: Ir\nfn=(1) counted\n0 7\ncfn=(2) malloc\ncalls=3 0\n0 60\ncfn=(3) free\ncalls=3 0\n0 30\n\
                    fn=(4) grow\ncfn=(5) realloc\ncalls=1 0\n0 9\ncfn=(2)\ncalls=12 0\n0 60\ntotals: 166\n";

        let cost = read(part).unwrap();

        assert_eq!((cost.instructions, cost.allocations), (166, 16));
    }

    #[test]
    fn a_part_without_a_sum_is_an_error() {
        assert!(read("events: Ir\n").is_err());
    }
}
