//! The report for people: one line for each brief, then the figures.

use std::fmt::Write as _;

use captions_domain::{
    evaluation::{Baseline, Count, Mean, Outcome, Summary, Totals},
    ports::Description,
};

use crate::columns::Columns;

pub(crate) fn render(who: &Description, summary: &Summary, outcomes: &[Outcome], with_texts: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "writer: {} ({})\n", who.members.join(", "), who.model);
    text.push_str(&briefs(outcomes));
    if with_texts {
        text.push('\n');
        text.push_str(&texts(outcomes));
    }
    text.push('\n');
    text.push_str(&figures(summary));
    text.push_str(&lists(summary));
    text.trim_end().to_owned()
}

fn briefs(outcomes: &[Outcome]) -> String {
    let mut columns = Columns::of(&[
        "brief",
        "lang",
        "valid",
        "score",
        "untraced",
        "repairs",
        "diversity",
        "calls",
        "ms",
        "first output",
    ]);
    for outcome in outcomes {
        let best = outcome.variants.first();
        let first = match &outcome.baseline {
            Some(Baseline::Judged(judged)) if judged.valid => format!("{:.1}", judged.quality_score),
            Some(Baseline::Judged(judged)) => {
                let rule = judged
                    .violations
                    .first()
                    .map_or("invalid", |broken| broken.rule.as_str());
                format!("{:.1} {rule}", judged.quality_score)
            }
            Some(Baseline::Failed { error }) => error.clone(),
            None => "-".to_owned(),
        };
        let verdict = match (&outcome.error, outcome.passed_over) {
            (_, true) => "passed over".to_owned(),
            (Some(error), _) => error.clone(),
            _ => format!(
                "{} of {}",
                outcome.variants.iter().filter(|variant| variant.valid).count(),
                outcome.wanted
            ),
        };
        let sum = |count: fn(&captions_domain::evaluation::Judged) -> usize| {
            best.map_or_else(
                || "-".to_owned(),
                |_| outcome.variants.iter().map(count).sum::<usize>().to_string(),
            )
        };
        columns.add(vec![
            outcome.id.clone(),
            outcome.language.clone(),
            verdict,
            best.map_or_else(|| "-".to_owned(), |best| format!("{:.1}", best.quality_score)),
            sum(|variant| variant.untraced),
            sum(|variant| variant.repairs.len()),
            outcome
                .diversity
                .map_or_else(|| "-".to_owned(), |diversity| format!("{diversity:.2}")),
            outcome.attempts.to_string(),
            format!("{:.1}", outcome.seconds * 1e3),
            first,
        ]);
    }
    columns.render()
}

fn texts(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let _ = writeln!(text, "{}: {}", outcome.id, outcome.purpose);
        for variant in &outcome.variants {
            let _ = writeln!(text, "  [{}] {:.1}", variant.angle, variant.quality_score);
            for line in variant.text.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    text
}

fn figures(summary: &Summary) -> String {
    let published = &summary.published;
    let mut columns = Columns::of(&["", "as published", "first output, unrepaired"]);
    let mut both = |name: &str, of: &dyn Fn(&Totals) -> String| {
        let baseline = summary.baseline.as_ref().map_or_else(|| "-".to_owned(), of);
        columns.add(vec![name.to_owned(), of(published), baseline]);
    };
    let asked = summary.asked;
    both("briefs answered", &|totals| format!("{} of {asked}", totals.answered));
    both("briefs valid", &|totals| {
        format!("{} ({:.1} %)", totals.valid, totals.valid_percent)
    });
    both("texts", &|totals| totals.texts.to_string());
    both("texts with something untraced", &|totals| totals.unfaithful.to_string());
    both("quality score, mean", &|totals| format!("{:.1}", totals.quality_score));
    for Mean { name, .. } in &published.parts {
        both(&format!("  {}", name.replace('_', " ")), &|totals| {
            let part = totals.parts.iter().find(|part| part.name == *name);
            part.map_or_else(|| "-".to_owned(), |part| format!("{:.2}", part.value))
        });
    }
    let mut one = |name: &str, value: String| columns.add(vec![name.to_owned(), value]);
    one("texts repaired", summary.repaired.to_string());
    one(
        "diversity of variants, mean",
        summary
            .diversity
            .map_or_else(|| "-".to_owned(), |diversity| format!("{diversity:.2}")),
    );
    one(
        "briefs with fewer variants than asked",
        summary.fewer_variants.to_string(),
    );
    one("provider calls", summary.attempts.to_string());
    if let Some(seconds) = summary.seconds {
        one("time of a brief, median", format!("{:.2} ms", seconds.median * 1e3));
        one("time of a brief, p95", format!("{:.2} ms", seconds.p95 * 1e3));
    }
    one("briefs passed over (language)", summary.passed_over.to_string());
    columns.render()
}

fn lists(summary: &Summary) -> String {
    let mut text = String::new();
    let none = Vec::new();
    let (first_errors, first_violations) = match &summary.baseline {
        Some(baseline) => (&baseline.errors, &baseline.violations),
        None => (&none, &none),
    };
    for (title, counts) in [
        ("failures", &summary.published.errors),
        ("broken rules, as published", &summary.published.violations),
        ("repairs", &summary.repairs),
        ("failures of the first output", first_errors),
        ("broken rules of the first output", first_violations),
    ] {
        if counts.is_empty() {
            continue;
        }
        let all: Vec<String> = counts
            .iter()
            .map(|Count { name, count }| format!("{count} x {name}"))
            .collect();
        let _ = writeln!(text, "{title}: {}", all.join("; "));
    }
    text
}
