//! `captions doctor`.

use captions_wiring::{Check, doctor};
use serde::Serialize;

use crate::{
    Surroundings,
    args::DoctorArgs,
    exit::Exit,
    failure::Failure,
    screen::{Mark, Screen},
    session,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    /// `settings`, `store`, `cache`, `provider NAME` or `local model`.
    name: &'a str,
    ok: bool,
    detail: &'a str,
    fix: Option<&'a str>,
}

pub(crate) async fn run(
    args: &DoctorArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let checks = match session::settings(surroundings, Vec::new(), screen) {
        Ok(loaded) => doctor(&loaded).await,
        // Nothing else can be looked at; the finding still has its place in the report.
        Err(failure) => vec![Check {
            name: "settings".to_owned(),
            ok: false,
            detail: failure.errors.join("; "),
            fix: failure.advice.first().cloned(),
        }],
    };
    if args.output.json {
        let findings = checks.iter().map(|check| Finding {
            name: &check.name,
            ok: check.ok,
            detail: &check.detail,
            fix: check.fix.as_deref(),
        });
        screen.document(&Report {
            ok: checks.iter().all(|check| check.ok),
            checks: findings.collect(),
        })?;
    } else {
        for check in &checks {
            show(check, screen)?;
        }
    }
    Ok(verdict(&checks))
}

fn show(check: &Check, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let sign = if check.ok { "ok  " } else { "FAIL" };
    let mark = if check.ok { Mark::Green } else { Mark::Red };
    screen.finding(mark, sign, &format!("  {}: {}", check.name, check.detail))?;
    if let Some(fix) = &check.fix {
        screen.result(&format!("      fix: {fix}"))?;
    }
    Ok(())
}

/// The first broken part tells; without settings and store nothing else matters.
fn verdict(checks: &[Check]) -> Exit {
    let is_broken = |name: &str| checks.iter().any(|check| !check.ok && check.name.starts_with(name));
    if is_broken("settings") || is_broken("prompts") || is_broken("store") {
        Exit::Settings
    } else if is_broken("provider ") {
        Exit::Provider
    } else if checks.iter().all(|check| check.ok) {
        Exit::Done
    } else {
        Exit::Failure
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all_well(&[], 0)]
    #[case::settings(&["settings"], 3)]
    #[case::the_words_of_prompts(&["prompts"], 3)]
    #[case::the_store_counts_more_than_a_provider(&["provider a", "store"], 3)]
    #[case::a_provider(&["provider a", "cache"], 5)]
    #[case::the_model(&["local model"], 1)]
    fn the_exit_code_names_the_worst(#[case] broken: &[&str], #[case] code: u8) {
        let checks: Vec<Check> = ["settings", "prompts", "store", "cache", "provider a", "local model"]
            .into_iter()
            .map(|name| Check {
                name: name.to_owned(),
                ok: !broken.contains(&name),
                detail: String::new(),
                fix: None,
            })
            .collect();

        assert_eq!(verdict(&checks).code(), code);
    }
}
