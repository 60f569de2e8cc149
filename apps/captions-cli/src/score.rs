//! `captions score`.

use captions_api::{
    problem::Problem,
    score::{ScoreDocument, ScoreRequest},
};
use captions_domain::{quality::YARDSTICK, user::Preferences};

use crate::{
    Surroundings,
    args::{ScoreArgs, flag_of},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::Remote,
    screen::{Mark, Screen},
    session::Session,
};

pub(crate) async fn run(
    args: &ScoreArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let nothing = Stdin {
        source: &mut std::io::empty(),
        is_terminal: true,
    };
    let description = input::description(Some(&args.description), nothing, &surroundings.cwd)?;
    let text = input::caption(args.text.as_deref(), stdin, &surroundings.cwd, "score")?;
    let body = args.body(text, description);
    let asked = body
        .check()
        .map_err(|broken| Failure::of_flags(Problem::from(broken)))?;
    let document = match Remote::of(surroundings, None)? {
        Some(remote) => {
            let scored = remote.client.score(&body).await;
            scored.map_err(|error| Failure::of_server(error, flag_of))?.document
        }
        None => here(&asked, surroundings, screen).await?,
    };
    if args.output.json {
        screen.document(&document)?;
    } else {
        tell(screen, &document)?;
    }
    match args.min_score.filter(|least| document.quality_score < *least) {
        Some(least) => Err(Failure::new(
            Exit::Gate,
            Some("below_min_score"),
            format!("the score {:.1} is below --min-score {least}", document.quality_score),
        )),
        None => Ok(Exit::Done),
    }
}

async fn here(
    asked: &ScoreRequest,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<ScoreDocument, Failure> {
    // The store is opened only for somebody who may be in it.
    let preferences = match asked.user() {
        Some(user) => {
            let session = Session::of_store(surroundings, screen).await?;
            let known = session.users().preferences(&session.context(), user).await;
            session.close().await;
            known?.unwrap_or_default()
        }
        None => Preferences::default(),
    };
    Ok(ScoreDocument::of(asked, &preferences))
}

/// The score, every part with what would raise it, and what nobody said.
fn tell(screen: &mut Screen<'_>, document: &ScoreDocument) -> Result<(), Failure> {
    let (mark, fit) = if document.publishable {
        (Mark::Green, "publishable")
    } else {
        (Mark::Red, "not publishable")
    };
    let rank = document.percentile.map_or_else(String::new, |rank| {
        let (mean, deviation) = YARDSTICK;
        format!("; a yardstick (mean {mean}, sd {deviation}) puts it above about {rank} of 100")
    });
    screen.finding(
        mark,
        &format!("score {:.1} of 100", document.quality_score),
        &format!(", {fit} on {}{rank} (version {})", document.platform, document.version),
    )?;
    for broken in &document.violations {
        let rule = broken.rule.replace('_', " ");
        screen.result(&format!(
            "  breaks a rule: {rule}: {} (allowed: {})",
            broken.value, broken.limit
        ))?;
    }
    for part in &*document.parts {
        let mark = if part.fix.is_none() { Mark::Green } else { Mark::Yellow };
        let fix = part.fix.as_deref().map_or_else(String::new, |fix| format!(": {fix}"));
        screen.finding(
            mark,
            &format!("  {:5.1}", part.value * 100.0),
            &format!(" x {:.4} {}{fix}", part.weight, part.name.replace('_', " ")),
        )?;
    }
    let untraced: Vec<&str> = document.untraced.iter().map(|place| place.text.as_str()).collect();
    if !untraced.is_empty() {
        screen.result(&format!("  nobody said: {}", untraced.join(", ")))?;
    }
    Ok(())
}
