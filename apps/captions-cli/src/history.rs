//! `captions history`.

use captions_api::{
    caption::{CaptionDocument, HistoryPage, cursor_after, read_cursor},
    problem::Code,
};
use captions_domain::{caption::CaptionId, request::UserId};
use time::format_description::well_known::Rfc3339;

use crate::{
    Surroundings,
    args::HistoryArgs,
    exit::Exit,
    failure::Failure,
    remote::{Remote, about_caption, about_user},
    report,
    screen::Screen,
    session::Session,
};

pub(crate) async fn run(
    args: &HistoryArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if let Some(id) = &args.id {
        return one(id, args, surroundings, screen).await;
    }
    let Some(user) = &args.user else {
        return Err(Failure::usage("whose history? name a user"));
    };
    let user = UserId::new(user)?;
    let before = args.before.as_deref().map(caption_or_cursor).transpose()?;
    let page = if let Some(remote) = Remote::of(surroundings, None)? {
        let cursor = before.map(cursor_after);
        let page = remote
            .client
            .history_page(user.as_str(), args.limit, cursor.as_deref())
            .await;
        page.map_err(about_user(&user))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let records = session
            .captions()
            .history(&session.context(), &user, before, args.limit + 1)
            .await;
        session.close().await;
        HistoryPage::of(&records?, args.limit as usize)
    };
    if args.output.json {
        screen.document(&page)?;
        return Ok(Exit::Done);
    }
    if page.data.is_empty() {
        let older = if before.is_some() { "older " } else { "" };
        screen.note(&format!("no {older}captions are stored for {user}"));
        return Ok(Exit::Done);
    }
    let entries: Vec<String> = page.data.iter().map(entry).collect();
    screen.result(&entries.join("\n"))?;
    if let Some(last) = page.data.last().filter(|_| page.has_more).and_then(|last| last.id) {
        screen.note(&format!("older ones: captions history {user} --before {last}"));
    }
    Ok(Exit::Done)
}

async fn one(
    id: &str,
    args: &HistoryArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let id: CaptionId = id.parse()?;
    let document = if let Some(remote) = Remote::of(surroundings, None)? {
        remote.client.caption(id.0).await.map_err(about_caption(id))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let record = session.captions().read(&session.context(), id).await;
        session.close().await;
        let not_found = || Failure::broken(Code::CaptionNotFound, format!("there is no caption {id}"));
        CaptionDocument::of_record(&record?.ok_or_else(not_found)?)
    };
    if args.output.json {
        screen.document(&document)?;
    } else {
        screen.result(&report::texts(&document))?;
        report::tell(screen, &document);
    }
    Ok(Exit::Done)
}

/// A page begins after a caption, which people name by its id and programs by the cursor of the page before.
fn caption_or_cursor(text: &str) -> Result<CaptionId, Failure> {
    read_cursor(text).or_else(|| text.parse().ok()).ok_or_else(|| {
        Failure::usage(format!(
            "--before: '{text}' is neither a caption's id nor a next_cursor"
        ))
    })
}

/// A headline and the text, indented so that headlines stand out.
fn entry(document: &CaptionDocument) -> String {
    let id = document.id.map(|id| id.to_string()).unwrap_or_default();
    let when = document.created_at.format(&Rfc3339).unwrap_or_default();
    let mut entry = format!(
        "{id}  {when}  score {:.1}  by {} ({})\n",
        document.quality_score,
        document.provider,
        document.source.as_str()
    );
    for line in document.text.lines() {
        entry.push_str("    ");
        entry.push_str(line);
        entry.push('\n');
    }
    entry
}
