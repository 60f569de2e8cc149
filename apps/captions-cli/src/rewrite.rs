//! `captions rewrite`, `captions translate` and `captions adapt`: given captions, changed.

use std::time::Instant;

use captions_api::{
    problem::Problem,
    rewrite::{RewriteBody, RewriteDocument},
};
use captions_domain::rewrite::{RewriteRequest, tokens::Token};

use crate::{
    Surroundings,
    args::{AdaptArgs, CallArgs, RewriteArgs, TranslateArgs},
    draft::Draft,
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::Remote,
    report,
    screen::{Mark, Screen},
    session::{self, Session},
};

pub(crate) async fn run(
    args: &RewriteArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let text = input::caption(args.text.as_deref(), stdin, &surroundings.cwd, "rewrite")?;
    change(args.body(text), RewriteArgs::flag_of, &args.call, surroundings, screen).await
}

pub(crate) async fn translate(
    args: &TranslateArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let text = input::caption(args.text.as_deref(), stdin, &surroundings.cwd, "translate")?;
    change(
        args.body(text),
        TranslateArgs::flag_of,
        &args.call,
        surroundings,
        screen,
    )
    .await
}

pub(crate) async fn adapt(
    args: &AdaptArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let text = input::caption(args.text.as_deref(), stdin, &surroundings.cwd, "adapt")?;
    change(args.body(text), AdaptArgs::flag_of, &args.call, surroundings, screen).await
}

async fn change(
    body: RewriteBody,
    flag_of: fn(&str) -> Option<String>,
    call: &CallArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let request = body
        .check()
        .map_err(|broken| Failure::of_fields(Problem::from(broken), flag_of))?;
    let document = match Remote::of(surroundings, call.timeout)? {
        Some(remote) => {
            let mut draft = Draft::default();
            draft.status(screen, "rewriting ...");
            let done = Box::pin(remote.client.rewrite(&body)).await;
            draft.clear(screen);
            done.map_err(|error| Failure::of_server(error, flag_of))?.document
        }
        None => Box::pin(here(&request, flag_of, call, surroundings, screen)).await?,
    };
    if call.json {
        screen.document(&document)?;
    } else {
        screen.result(&document.text)?;
        tell(screen, &document);
    }
    Ok(Exit::Done)
}

async fn here(
    request: &RewriteRequest,
    flag_of: fn(&str) -> Option<String>,
    call: &CallArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<RewriteDocument, Failure> {
    let mut flags = Vec::new();
    if let Some(seconds) = call.timeout {
        flags.push(("engine.deadline".to_owned(), seconds.to_string()));
    }
    let settings = session::settings(surroundings, flags, screen)?.settings;
    let session = Session::open(&settings).await?;

    let started = Instant::now();
    let cx = session.context();
    let mut draft = Draft::default();
    draft.status(screen, "rewriting ...");
    let done = session.engine().rewrite(&cx, request).await;
    draft.clear(screen);
    let elapsed = started.elapsed();
    session.close().await;
    let done = done.map_err(|error| Failure::of_fields(Problem::from(&error), flag_of))?;
    Ok(RewriteDocument::of(&done, &cx.request_id, elapsed))
}

/// How good it was and is, what became of its pieces, who did it.
fn tell(screen: &mut Screen<'_>, document: &RewriteDocument) {
    screen.note("");
    let (mark, fit) = report::fit(document.publishable);
    let facts = format!(
        " of 100, was {:.1} · {fit} · {} characters",
        document.quality_before,
        document.text.chars().count()
    );
    screen.marked(mark, &format!("score {:.1}", document.quality_score), &facts);
    report::broken(screen, &document.violations);
    for repair in &document.repairs {
        screen.note(&format!("  by rule: {repair}"));
    }
    for (what, tokens) in [
        ("lost", &document.preserved.lost),
        ("not given", &document.preserved.invented),
        ("put back", &document.preserved.repaired),
    ] {
        if !tokens.is_empty() {
            screen.marked(Mark::Dim, &format!("  {what}"), &format!(": {}", listed(tokens)));
        }
    }
    screen.note(&writer(document));
    report::warnings(screen, &document.warnings, &document.degraded);
}

fn listed(tokens: &[Token]) -> String {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    texts.join("  ")
}

fn writer(document: &RewriteDocument) -> String {
    let mut facts = if document.source == "rules" {
        vec!["by rules, without a model".to_owned()]
    } else {
        vec![format!("by {} · {}", document.provider, document.model)]
    };
    if document.attempts > 0 {
        facts.push(report::counted(document.attempts as usize, "call"));
    }
    if let Some(usage) = document.usage {
        facts.push(report::spent(usage));
    }
    facts.push(format!("{:.2} s", document.processing_time));
    facts.join(" · ")
}
