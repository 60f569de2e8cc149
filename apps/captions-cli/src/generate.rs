//! `captions generate`.

use std::{pin::pin, sync::Arc, time::Instant};

use captions_api::{caption::CaptionDocument, generate::GenerateBody, problem::Problem, stream::StreamEvent};
use captions_client::Error;
use captions_domain::{
    caption::Answer,
    context::Context,
    engine::{Event, GenerateError},
    fault::{Fault, FaultKind},
    request::CaptionRequest,
};
use futures_util::StreamExt;

use crate::{
    Surroundings,
    args::{GenerateArgs, flag_of},
    draft::Draft,
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    picture,
    remote::Remote,
    report,
    screen::Screen,
    session::{self, Session},
};

pub(crate) async fn run(
    args: &GenerateArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let description = input::description(args.text.as_deref(), stdin, &surroundings.cwd)?;
    let image = args.image.as_deref().map(|image| picture::of(image, &surroundings.cwd));
    let body = args.body(description, image.transpose()?);
    let request = body
        .check()
        .map_err(|broken| Failure::of_flags(Problem::from(broken)))?;
    let document = match Remote::of(surroundings, args.timeout)? {
        Some(remote) => {
            let written = if is_streamed(args, &request, screen) {
                streamed_by(&remote, &body, screen).await
            } else {
                whole_by(&remote, &body, screen).await
            };
            written.map_err(|error| Failure::of_server(error, flag_of))?
        }
        None => Box::pin(here(args, request, surroundings, screen)).await?,
    };
    if args.json {
        screen.document(&document)?;
    } else {
        screen.result(&report::texts(&document))?;
        report::tell(screen, &document);
    }
    verdict(args.min_score, &document)
}

async fn here(
    args: &GenerateArgs,
    request: CaptionRequest,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<CaptionDocument, Failure> {
    let mut flags = Vec::new();
    if let Some(seconds) = args.timeout {
        flags.push(("engine.deadline".to_owned(), seconds.to_string()));
    }
    let settings = session::settings(surroundings, flags, screen)?.settings;
    #[cfg(feature = "local-llm")]
    crate::fetch::if_needed(&settings, args.provider(), screen).await?;
    let session = Session::open(&settings).await?;

    let started = Instant::now();
    let cx = session.context();
    let answer = if is_streamed(args, &request, screen) {
        streamed(&session, &cx, request, screen).await
    } else {
        whole(&session, &cx, &request, screen).await
    };
    let duration = started.elapsed();
    session.close().await;
    let answer = answer.map_err(|error| Failure::from(&error))?;
    Ok(CaptionDocument::of_answer(&answer, &cx.request_id, duration))
}

/// On a terminal the text is shown while it is written, unless only the result is wanted. Several captions are written
/// by one call if they are not streamed and by two if they are, so they are streamed only where that is asked for.
fn is_streamed(args: &GenerateArgs, request: &CaptionRequest, screen: &Screen<'_>) -> bool {
    if args.no_stream || screen.quiet {
        return false;
    }
    let somebody_looks_on = screen.stdout_sink.is_terminal() && screen.stderr_sink.is_terminal();
    args.stream || (somebody_looks_on && !args.json && request.variants.get() == 1)
}

async fn whole(
    session: &Session,
    cx: &Context,
    request: &CaptionRequest,
    screen: &mut Screen<'_>,
) -> Result<Answer, GenerateError> {
    let mut draft = Draft::default();
    draft.status(screen, "writing ...");
    let answer = session.engine().generate(cx, request).await;
    draft.clear(screen);
    answer
}

/// Generates with the draft in view. Dropping the future cancels the call.
async fn streamed(
    session: &Session,
    cx: &Context,
    request: CaptionRequest,
    screen: &mut Screen<'_>,
) -> Result<Answer, GenerateError> {
    let mut draft = Draft::default();
    let mut events = pin!(Arc::clone(session.engine()).generate_stream(cx.clone(), request));
    let mut ended = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Delta { text, .. }) => draft.push(screen, &text),
            Ok(Event::Withdrawn { code, .. }) => draft.withdraw(screen, code),
            Ok(Event::Progress { done, of }) => draft.progress(screen, done, of),
            Ok(Event::Completed(answer)) => ended = Some(Ok(*answer)),
            Err(error) => ended = Some(Err(error)),
        }
    }
    draft.clear(screen);
    ended.unwrap_or_else(|| {
        Err(GenerateError::Provider {
            error: Fault::new(FaultKind::Internal).into(),
            attempts: cx.attempts.begun(),
        })
    })
}

async fn whole_by(remote: &Remote, body: &GenerateBody, screen: &mut Screen<'_>) -> Result<CaptionDocument, Error> {
    let mut draft = Draft::default();
    draft.status(screen, "writing ...");
    let reply = remote.client.generate(body).await;
    draft.clear(screen);
    Ok(reply?.document)
}

/// The same as [`streamed`], with the server's events.
async fn streamed_by(remote: &Remote, body: &GenerateBody, screen: &mut Screen<'_>) -> Result<CaptionDocument, Error> {
    let mut draft = Draft::default();
    let mut events = remote.client.stream(body).await?;
    let mut ended = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(StreamEvent::Delta { text, .. }) => draft.push(screen, &text),
            Ok(StreamEvent::Withdrawn { code, .. }) => draft.withdraw(screen, &code),
            Ok(StreamEvent::Completed(document)) => ended = Some(Ok(*document)),
            Ok(StreamEvent::Created { .. } | StreamEvent::Failed(_)) => {}
            Err(error) => ended = Some(Err(error)),
        }
    }
    draft.clear(screen);
    ended.unwrap_or_else(|| Err(Error::Broken("the events ended without a last one".into())))
}

/// The caption is there; is it what was asked for?
fn verdict(min_score: Option<f64>, document: &CaptionDocument) -> Result<Exit, Failure> {
    if let Some(least) = min_score.filter(|least| document.quality_score < *least) {
        let error = format!("the score {:.1} is below --min-score {least}", document.quality_score);
        return Err(Failure::new(Exit::Gate, Some("below_min_score"), error)
            .next("next: --refresh writes another one; --variants 3 takes the best of several"));
    }
    if document.warnings.iter().any(|warning| warning.code == "fewer_variants") {
        return Ok(Exit::Partial);
    }
    Ok(Exit::Done)
}
