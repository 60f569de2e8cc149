//! `captions eval`: many briefs through one writer or the chain, and what came of them in figures.

mod fixtures;
mod ports;
mod table;

use std::{sync::Arc, time::Instant};

use captions_api::problem::Problem;
use captions_domain::{
    answers::Uncached,
    brief::Brief,
    caption::Answer,
    choice::nearest,
    context::Context,
    engine::{Engine, GenerateError, Options},
    evaluation::{Judged, Outcome, Summary},
    likeness::diversity,
    ports::LlmProvider as _,
};
use captions_wiring::settings::{ProviderKind, Settings};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use self::{
    fixtures::Fixture,
    ports::{Given, Listener, NoHistory},
};
use crate::{
    Surroundings,
    args::EvalArgs,
    draft::Draft,
    exit::Exit,
    failure::Failure,
    screen::Screen,
    session::{self, Session},
};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// The writer, or those of the chain in order.
    writers: &'a [String],
    model: &'a str,
    seed: u64,
    summary: &'a Summary,
    outcomes: &'a [Outcome],
}

pub(crate) async fn run(
    args: &EvalArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let fixtures = fixtures::read(args, &surroundings.cwd)?;
    let mut flags = Vec::new();
    if let Some(seconds) = args.timeout {
        flags.push(("engine.deadline".to_owned(), seconds.to_string()));
    }
    let mut settings = session::settings(surroundings, flags, screen)?.settings;
    if let Some(name) = &args.provider {
        only(&mut settings, name)?;
    }
    settings.fallback.local = false;
    settings.fallback.template = false;
    #[cfg(feature = "local-llm")]
    crate::fetch::if_needed(&settings, None, screen).await?;
    let session = Session::open(&settings).await?;

    let listener = Arc::new(Listener::to(Arc::clone(&session.engine().llm)));
    let preferences = fixtures.iter().filter_map(|fixture| {
        let user = fixture.request.user.clone()?;
        Some((user, fixture.preferences.clone()))
    });
    let engine = Engine {
        users: Arc::new(Given(preferences.collect())),
        captions: Arc::new(NoHistory),
        answers: Arc::new(Uncached),
        llm: Arc::clone(&listener) as Arc<_>,
        rungs: Vec::new(),
        options: Options {
            stale: false,
            ..session.engine().options.clone()
        },
    };

    let mut draft = Draft::default();
    let mut outcomes = Vec::with_capacity(fixtures.len());
    let mut running = stream::iter(&fixtures)
        .map(|fixture| ask(fixture, &engine, &listener, session.context()))
        .buffered(args.concurrency.into());
    while let Some(outcome) = running.next().await {
        outcomes.push(outcome);
        draft.status(screen, &format!("{} of {} briefs", outcomes.len(), fixtures.len()));
    }
    drop(running);
    draft.clear(screen);
    session.close().await;

    if args.no_baseline {
        for outcome in &mut outcomes {
            outcome.baseline = None;
        }
    }
    let summary = Summary::of(&outcomes);
    let who = listener.describe();
    if args.output.json {
        screen.document(&Report {
            writers: &who.members,
            model: &who.model,
            seed: args.seed,
            summary: &summary,
            outcomes: &outcomes,
        })?;
    } else {
        screen.result(&table::render(who, &summary, &outcomes, args.texts))?;
    }
    verdict(args, &summary)
}

/// Leaves one writer: one of the settings, or one of the two kinds that need no settings.
fn only(settings: &mut Settings, name: &str) -> Result<(), Failure> {
    let listed = &mut settings.llm.providers;
    if let Some(at) = listed.iter().position(|provider| provider.name == name) {
        listed.swap(0, at);
        listed.truncate(1);
        return Ok(());
    }
    let kind = match name {
        "template" => ProviderKind::Template,
        "local" => ProviderKind::Local,
        _ => {
            let known: Vec<&str> = listed
                .iter()
                .map(|provider| provider.name.as_str())
                .chain(["template", "local"])
                .collect();
            let failure = Failure::usage(format!("no provider is named {name}; there is {}", known.join(", ")));
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => failure.next(format!("did you mean {near}?")),
                None => failure,
            });
        }
    };
    listed.truncate(1);
    for provider in listed {
        name.clone_into(&mut provider.name);
        provider.kind = kind;
    }
    Ok(())
}

/// One brief, from the request to what came of it.
async fn ask(fixture: &Fixture, engine: &Engine, listener: &Listener, cx: Context) -> Outcome {
    let (brief, _) = Brief::resolve(&fixture.request, &fixture.preferences);
    let mut outcome = Outcome::new(&fixture.id, &fixture.purpose, &brief);
    if !listener.describe().writes(&brief.language) {
        outcome.passed_over = true;
        return outcome;
    }
    let started = Instant::now();
    let answer = engine.generate(&cx, &fixture.request).await;
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.baseline = listener.take(&cx.request_id);
    match answer {
        Ok(answer) => enter(&mut outcome, &answer),
        Err(error) => {
            if let GenerateError::Provider { attempts, .. } = &error {
                outcome.attempts = *attempts;
            }
            outcome.error = Some(Problem::from(&error).code);
        }
    }
    outcome
}

fn enter(outcome: &mut Outcome, answer: &Answer) {
    outcome.attempts = answer.attempts;
    outcome.variants = answer.caption.variants.iter().map(Judged::of).collect();
    let texts: Vec<&str> = answer
        .caption
        .variants
        .iter()
        .map(|variant| variant.caption.as_str())
        .collect();
    outcome.diversity = diversity(&texts);
}

/// The report is there; does it pass the gates?
fn verdict(args: &EvalArgs, summary: &Summary) -> Result<Exit, Failure> {
    let totals = &summary.published;
    let gates = [
        ("--fail-under-valid", args.fail_under_valid, totals.valid_percent, " %"),
        ("--fail-under-score", args.fail_under_score, totals.quality_score, ""),
    ];
    let missed: Vec<String> = gates
        .into_iter()
        .filter_map(|(flag, least, is, unit)| {
            let least = least.filter(|least| is < *least)?;
            Some(format!("{is:.1}{unit} is below {flag} {least}"))
        })
        .collect();
    match missed.first() {
        None => Ok(Exit::Done),
        Some(first) => {
            let mut failure = Failure::new(Exit::Gate, Some("gate_not_met"), first);
            failure.errors = missed;
            Err(failure)
        }
    }
}
