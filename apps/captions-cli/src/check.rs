//! `captions check`.

use captions_api::{check::CheckDocument, problem::Problem};
use captions_domain::check::{Standing, Verdict};

use crate::{
    Surroundings,
    args::{CheckArgs, flag_of},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::Remote,
    screen::{Mark, Screen},
};

pub(crate) async fn run(
    args: &CheckArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let text = input::caption(args.text.as_deref(), stdin, &surroundings.cwd, "check")?;
    let body = args.body(text);
    let request = body
        .check()
        .map_err(|broken| Failure::of_flags(Problem::from(broken)))?;
    let document = match Remote::of(surroundings, None)? {
        Some(remote) => {
            let checked = remote.client.check(&body).await;
            checked.map_err(|error| Failure::of_server(error, flag_of))?.document
        }
        None => CheckDocument::of(&request),
    };
    if args.output.json {
        screen.document(&document)?;
    } else {
        tell(screen, &document)?;
    }
    match document.violations.len() {
        0 => Ok(Exit::Done),
        broken => {
            let rules = if broken == 1 { "a rule is" } else { "rules are" };
            Err(Failure::new(
                Exit::Gate,
                Some("not_publishable"),
                format!("not publishable: {rules} broken"),
            ))
        }
    }
}

/// The verdict, how the feed shows the text, and every rule.
fn tell(screen: &mut Screen<'_>, document: &CheckDocument) -> Result<(), Failure> {
    let (mark, fit) = if document.publishable {
        (Mark::Green, "publishable")
    } else {
        (Mark::Red, "not publishable")
    };
    let profile = match document.rules_profile.as_str() {
        "default" => String::new(),
        profile => format!(", {profile}"),
    };
    screen.finding(
        mark,
        fit,
        &format!(" on {}{profile} (rules of {})", document.platform, document.rules_as_of),
    )?;
    for line in preview(&document.fold.visible, &document.fold.hidden) {
        screen.result(&line)?;
    }
    for verdict in &*document.rules {
        let (mark, sign) = match verdict.verdict {
            Standing::Ok => (Mark::Green, "  ok     "),
            Standing::Near => (Mark::Yellow, "  near   "),
            Standing::Advice => (Mark::Yellow, "  advice "),
            Standing::Broken => (Mark::Red, "  broken "),
        };
        screen.finding(mark, sign, &rule(verdict))?;
    }
    let counts = &document.counts;
    screen.result(&format!(
        "  {} code points, {} UTF-16 units, {} graphemes, {} bytes, {} words",
        counts.code_points, counts.utf16, counts.graphemes, counts.bytes, counts.words
    ))
}

/// What the feed shows, line by line behind a bar; what it hides is only counted.
fn preview(visible: &str, hidden: &str) -> Vec<String> {
    let mut lines: Vec<String> = visible.lines().map(|line| format!("  | {line}")).collect();
    let hidden = hidden.chars().count();
    if hidden > 0 {
        let more = format!("... more ({hidden} characters)");
        match lines.last_mut() {
            Some(last) => *last = format!("{last}{more}"),
            None => lines.push(format!("  | {more}")),
        }
    }
    lines
}

fn rule(verdict: &Verdict) -> String {
    let name = verdict.rule.replace('_', " ");
    let mut line = format!("{name}: {} (allowed: {})", verdict.value, verdict.limit);
    if verdict.unit != verdict.rule && verdict.value.chars().all(|c| c.is_ascii_digit()) {
        line = format!(
            "{name}: {} {} (allowed: {})",
            verdict.value,
            verdict.unit.replace('_', " "),
            verdict.limit
        );
    }
    let shown: Vec<&str> = verdict
        .spans
        .iter()
        .filter(|place| place.text.chars().count() <= 40)
        .map(|place| place.text.as_str())
        .take(5)
        .collect();
    if !shown.is_empty() {
        line = format!("{line}: {}", shown.join(" "));
    }
    if verdict.verdict != Standing::Ok
        && let Some(as_of) = &verdict.as_of
    {
        line = format!("{line} [{}, {as_of}]", verdict.source);
    }
    line
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("one\ntwo", "", &["  | one", "  | two"])]
    #[case("one\ntwo\nthree", "\nfour", &["  | one", "  | two", "  | three... more (5 characters)"])]
    #[case("", "\nfour", &["  | ... more (5 characters)"])]
    fn the_preview_ends_where_the_feed_does(#[case] visible: &str, #[case] hidden: &str, #[case] lines: &[&str]) {
        assert_eq!(preview(visible, hidden), lines);
    }
}
