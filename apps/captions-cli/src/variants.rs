//! `captions variants`.

use captions_api::{caption::CaptionDocument, more::MoreBody, problem::Problem};
use captions_domain::{
    caption::{CaptionId, Record},
    engine::MoreError,
    more::MoreRequest,
};

use crate::{
    Surroundings,
    args::VariantsArgs,
    draft::Draft,
    exit::Exit,
    failure::Failure,
    history,
    remote::{Remote, about_caption},
    report,
    screen::Screen,
    session::{self, Session},
};

pub(crate) async fn run(
    args: &VariantsArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let id: CaptionId = args.id.parse()?;
    let body = args.body();
    let asked = body
        .check()
        .map_err(|broken| Failure::of_fields(Problem::from(broken), VariantsArgs::flag_of))?;
    let document = match Remote::of(surroundings, args.timeout)? {
        Some(remote) => by_server(&remote, id, &body, screen).await?,
        None => CaptionDocument::of_record(&Box::pin(here(args, id, &asked, surroundings, screen)).await?),
    };
    let shown = added(&document);
    if args.json {
        screen.document(&document)?;
    } else {
        screen.result(&report::texts(&shown))?;
        report::tell(screen, &shown);
        let (first, last) = (
            document.variants.len() - shown.variants.len() + 1,
            document.variants.len(),
        );
        screen.note(&format!(
            "pick one of {first} to {last}: captions history pick {id} {first}"
        ));
    }
    let is_fewer = shown.warnings.iter().any(|warning| warning.code == "fewer_variants");
    Ok(if is_fewer { Exit::Partial } else { Exit::Done })
}

async fn by_server(
    remote: &Remote,
    id: CaptionId,
    body: &MoreBody,
    screen: &mut Screen<'_>,
) -> Result<CaptionDocument, Failure> {
    let mut draft = Draft::default();
    draft.status(screen, "writing ...");
    let reply = Box::pin(remote.client.more_variants(id.0, body, None)).await;
    draft.clear(screen);
    let is_of_fields = |error: &captions_client::Error| error.code() == Some("invalid_request");
    match reply {
        Ok(reply) => Ok(reply.document),
        Err(error) if is_of_fields(&error) => Err(Failure::of_server(error, VariantsArgs::flag_of)),
        Err(error) => Err(about_caption(id)(error)),
    }
}

async fn here(
    args: &VariantsArgs,
    id: CaptionId,
    asked: &MoreRequest,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Record, Failure> {
    let flags = args
        .timeout
        .map(|seconds| ("engine.deadline".to_owned(), seconds.to_string()));
    let settings = session::settings(surroundings, flags.into_iter().collect(), screen)?.settings;
    #[cfg(feature = "local-llm")]
    crate::fetch::if_needed(&settings, args.body().provider.as_deref(), screen).await?;
    let session = Session::open(&settings).await?;
    let cx = session.context();
    let mut draft = Draft::default();
    draft.status(screen, "writing ...");
    let grown = match session.captions().read(&cx, id).await {
        Ok(Some(record)) => Ok(session.engine().more(&cx, &record, asked, false).await),
        Ok(None) => Ok(Err(MoreError::Gone)),
        Err(error) => Err(error),
    };
    draft.clear(screen);
    session.close().await;
    match grown? {
        Ok(grown) => Ok(grown.record),
        Err(MoreError::Gone) => Err(history::not_found(id)),
        Err(error) => Err(Failure::of_fields(Problem::from(&error), VariantsArgs::flag_of)),
    }
}

/// What came last, as a caption of its own.
fn added(document: &CaptionDocument) -> CaptionDocument {
    let mut shown = document.clone();
    if let Some(addition) = document.additions.last() {
        shown.variants.drain(..addition.first.min(document.variants.len()));
        shown.source = addition.source;
        shown.provider.clone_from(&addition.provider);
        shown.model.clone_from(&addition.model);
        shown.grade.clone_from(&addition.grade);
        shown.attempts = addition.attempts;
        shown.usage = addition.usage;
        shown.degraded.clone_from(&addition.degraded);
        shown.warnings.clone_from(&addition.warnings);
    }
    shown
}
