//! `captions provider`.

use captions_api::{
    problem::{Code, Problem},
    providers::{LastError, ProbeDocument, ProviderDocument, ProvidersDocument},
};
use captions_wiring::ProviderStatus;

use crate::{
    Surroundings,
    args::ProviderCommand,
    exit::Exit,
    failure::Failure,
    screen::{Mark, Screen},
    session::{self, Session},
};

pub(crate) async fn run(
    command: &ProviderCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let settings = session::settings(surroundings, Vec::new(), screen)?.settings;
    let session = Session::open(&settings).await?;
    let done = match command {
        ProviderCommand::List(output) => list(&session, output.json, screen).await,
        ProviderCommand::Test { name, output } => test(&session, name, output.json, screen).await,
    };
    session.close().await;
    done
}

async fn list(session: &Session, json: bool, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let data: Vec<ProviderDocument> = session.providers().check().await.into_iter().map(document).collect();
    if json {
        screen.document(&ProvidersDocument { data })?;
        return Ok(Exit::Done);
    }
    for provider in &data {
        let (mark, how) = match (&provider.detail, provider.healthy) {
            (None, true) => (Mark::Green, String::new()),
            (Some(why), true) => (Mark::Green, format!(", {why}")),
            (why, false) => (Mark::Red, format!(", {}", why.as_deref().unwrap_or("not well"))),
        };
        let about = format!(" {} ({}){how}", provider.model, provider.role);
        screen.finding(mark, &provider.id, &about)?;
    }
    Ok(Exit::Done)
}

async fn test(session: &Session, name: &str, json: bool, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let Some(probed) = session.providers().probe(&session.context(), name).await else {
        let detail = format!("no provider is named {name}");
        return Err(Problem::new(Code::ProviderNotFound, detail).into());
    };
    let document = ProbeDocument::of(
        name.to_owned(),
        probed.model,
        probed.took,
        probed.attempts,
        &probed.outcome,
    );
    if json {
        screen.document(&document)?;
    } else if document.ok {
        let about = format!(" {} answered in {:.0} ms", document.model, document.duration_ms);
        screen.finding(Mark::Green, name, &about)?;
    }
    match document.error {
        Some(problem) => Err(problem.into()),
        None => Ok(Exit::Done),
    }
}

fn document(status: ProviderStatus) -> ProviderDocument {
    ProviderDocument {
        healthy: status.ok,
        detail: status.why.map(Into::into),
        breaker: status.breaker,
        last_error: status.last_failure.map(|(error, at)| LastError::of(&error, at)),
        ..ProviderDocument::of(&status.description, status.role.as_str())
    }
}
