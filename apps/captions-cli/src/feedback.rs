//! `captions feedback`.

use captions_api::{
    feedback::{FeedbackDocument, check_variant, parse},
    problem::Code,
};
use captions_domain::{
    caption::{CaptionId, Feedback},
    fault::StoreError,
};
use serde_json::json;

use crate::{
    Surroundings,
    args::FeedbackArgs,
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::{Remote, about_caption},
    screen::Screen,
    session::Session,
};

pub(crate) async fn run(
    args: &FeedbackArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let id: CaptionId = args.id.parse()?;
    let text = match &args.text {
        Some(text) => Some(input::caption(Some(text), stdin, &surroundings.cwd, "feedback")?),
        None => None,
    };
    let body = json!({
        "verdict": args.verdict,
        "rating": args.rating,
        "final_text": text,
        // People count from 1, as the captions are shown.
        "variant": args.variant.map(|variant| variant - 1.0),
    });
    // What is wrong by itself is told before any store is asked; its time is when it is kept.
    parse(&body, time::OffsetDateTime::UNIX_EPOCH)?;
    let document = if let Some(remote) = Remote::of(surroundings, None)? {
        let kept = remote.client.feedback(id.0, &body).await;
        kept.map_err(about_caption(id))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let kept = keep(&session, id, &body).await;
        session.close().await;
        FeedbackDocument::from(&kept?)
    };
    if args.output.json {
        screen.document(&document)?;
    } else {
        screen.note(&format!("noted: {}", document.verdict));
    }
    Ok(Exit::Done)
}

async fn keep(session: &Session, id: CaptionId, body: &serde_json::Value) -> Result<Feedback, Failure> {
    let cx = session.context();
    let feedback = parse(body, cx.now)?;
    let not_found = || Failure::broken(Code::CaptionNotFound, format!("there is no caption {id}"));
    let record = session.captions().read(&cx, id).await?.ok_or_else(not_found)?;
    check_variant(&feedback, record.caption.variants.len())?;
    let is_there: Result<bool, StoreError> = session.captions().feedback(&cx, id, &feedback).await;
    if is_there? { Ok(feedback) } else { Err(not_found()) }
}
