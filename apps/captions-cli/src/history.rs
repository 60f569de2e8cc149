//! `captions history`.

use captions_api::{
    caption::CaptionDocument,
    history::{self, FILTERS, HistoryPage, Search, cursor_after, read_cursor},
    problem::Code,
    selection,
};
use captions_domain::{
    caption::{CaptionId, Record},
    context::TenantId,
    history::{Amendment, Extent, Filter},
    request::{Invalid, UserId},
};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Surroundings,
    args::{FilterArgs, Format, HistoryArgs, HistoryCommand, Output, PageArgs},
    exit::Exit,
    failure::Failure,
    remote::{Remote, about_caption, about_user},
    report,
    screen::Screen,
    session::Session,
};

/// So many captions are in memory at a time while an export is written.
const AT_ONCE: u32 = 100;

pub(crate) async fn run(
    args: &HistoryArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match &args.command {
        Some(HistoryCommand::List { filter, page, output }) => {
            let filter = read(filter, None)?;
            list(&filter, page, *output, "list", surroundings, screen).await
        }
        Some(HistoryCommand::Search {
            text,
            filter,
            page,
            output,
        }) => {
            let filter = read(filter, Some(text))?;
            list(&filter, page, *output, "search TEXT", surroundings, screen).await
        }
        Some(HistoryCommand::Show { id, output }) => one(id, *output, surroundings, screen).await,
        Some(HistoryCommand::Pick { id, variant, output }) => pick(id, *variant, *output, surroundings, screen).await,
        Some(HistoryCommand::Export { filter, format }) => {
            export(&read(filter, None)?, *format, surroundings, screen).await
        }
        Some(HistoryCommand::Rm { ids, output }) => remove(ids, *output, surroundings, screen).await,
        None => {
            if let Some(id) = &args.id {
                return one(id, args.output, surroundings, screen).await;
            }
            let Some(user) = &args.user else {
                return Err(Failure::usage("whose history? name a user"));
            };
            let filter = Filter::of_user(&UserId::new(user)?);
            list(&filter, &args.page, args.output, user, surroundings, screen).await
        }
    }
}

/// `next`: how the command goes on that lists the older ones.
async fn list(
    filter: &Filter,
    page: &PageArgs,
    output: Output,
    next: &str,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(surroundings, None)? {
        let Some(user) = filter.user.as_ref().filter(|user| *filter == Filter::of_user(user)) else {
            return Err(local_only());
        };
        // A cursor is the server's own; an id is made one of an installation without keys.
        let cursor = page.before.as_deref().map(|place| match place.parse::<CaptionId>() {
            Ok(id) => cursor_after(id, &TenantId::local(), filter),
            Err(_) => place.to_owned(),
        });
        let shown = remote
            .client
            .history_page(user.as_str(), page.limit, cursor.as_deref())
            .await;
        let shown = shown.map_err(about_user(user))?.document;
        return tell(&shown, filter, page.before.is_some(), next, output, screen);
    }
    let before = page
        .before
        .as_deref()
        .map(|place| caption_or_cursor(place, filter))
        .transpose()?;
    let session = Session::of_store(surroundings, screen).await?;
    let records = session
        .captions()
        .history(&session.context(), filter, before, page.limit + 1)
        .await;
    session.close().await;
    let search = Search {
        filter: filter.clone(),
        limit: page.limit,
        cursor: None,
        format: None,
    };
    let page = HistoryPage::of(&records?, &search, &TenantId::local());
    tell(&page, filter, before.is_some(), next, output, screen)
}

fn tell(
    page: &HistoryPage,
    filter: &Filter,
    is_later: bool,
    next: &str,
    output: Output,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if output.json {
        screen.document(page)?;
        return Ok(Exit::Done);
    }
    if page.data.is_empty() {
        let older = if is_later { "older " } else { "" };
        let found = match &filter.user {
            Some(user) if *filter == Filter::of_user(user) => format!("are stored for {user}"),
            _ => "are stored that fit".to_owned(),
        };
        screen.note(&format!("no {older}captions {found}"));
        return Ok(Exit::Done);
    }
    let entries: Vec<String> = page.data.iter().map(entry).collect();
    screen.result(&entries.join("\n"))?;
    if let Some(last) = page.data.last().filter(|_| page.has_more).and_then(|last| last.id) {
        screen.note(&format!("older ones: captions history {next} --before {last}"));
    }
    Ok(Exit::Done)
}

async fn one(id: &str, output: Output, surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let id: CaptionId = id.parse()?;
    let document = if let Some(remote) = Remote::of(surroundings, None)? {
        remote.client.caption(id.0).await.map_err(about_caption(id))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let record = session.captions().read(&session.context(), id).await;
        session.close().await;
        CaptionDocument::of_record(&record?.ok_or_else(|| not_found(id))?)
    };
    if output.json {
        screen.document(&document)?;
    } else {
        screen.result(&report::texts(&document))?;
        report::tell(screen, &document);
    }
    Ok(Exit::Done)
}

async fn pick(
    id: &str,
    variant: u8,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let id: CaptionId = id.parse()?;
    refuse_remote(surroundings)?;
    let session = Session::of_store(surroundings, screen).await?;
    let picked = keep(&session, id, variant.checked_sub(1)).await;
    session.close().await;
    let document = CaptionDocument::of_record(&picked?);
    if output.json {
        screen.document(&document)?;
    } else if variant == 0 {
        screen.note("no variant is picked");
    } else {
        screen.note(&format!("picked: {variant}"));
    }
    Ok(Exit::Done)
}

async fn keep(session: &Session, id: CaptionId, selected: Option<u8>) -> Result<Record, Failure> {
    let cx = session.context();
    let mut record = session.captions().read(&cx, id).await?.ok_or_else(|| not_found(id))?;
    selection::check(selected, record.caption.variants.len())?;
    let amendment = Amendment::Selection(selected);
    let version = session.captions().amend(&cx, id, &amendment, None).await?;
    record.version = version.ok_or_else(|| not_found(id))?;
    record.selected = selected;
    Ok(record)
}

async fn export(
    filter: &Filter,
    format: Format,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    refuse_remote(surroundings)?;
    let session = Session::of_store(surroundings, screen).await?;
    let written = write_all(filter, format, &session, screen).await;
    session.close().await;
    let count = written?;
    let plural = if count == 1 { "" } else { "s" };
    screen.note(&format!("{count} caption{plural}"));
    Ok(Exit::Done)
}

async fn write_all(
    filter: &Filter,
    format: Format,
    session: &Session,
    screen: &mut Screen<'_>,
) -> Result<usize, Failure> {
    if format == Format::Csv {
        screen.result(history::csv_head().trim_end())?;
    }
    let (mut count, mut last) = (0, None);
    loop {
        let records = session
            .captions()
            .history(&session.context(), filter, last, AT_ONCE)
            .await?;
        let lines: Vec<String> = records
            .iter()
            .map(CaptionDocument::of_record)
            .map(|document| match format {
                Format::Jsonl => serde_json::to_string(&document).unwrap_or_default(),
                Format::Csv => history::csv_line(&document).trim_end_matches(['\r', '\n']).to_owned(),
            })
            .collect();
        if !lines.is_empty() {
            screen.result(&lines.join("\n"))?;
        }
        count += records.len();
        last = records.last().map(|record| record.id);
        if records.len() < AT_ONCE as usize {
            return Ok(count);
        }
    }
}

async fn remove(
    ids: &[String],
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let ids: Vec<CaptionId> = ids.iter().map(|id| id.parse()).collect::<Result<_, Invalid>>()?;
    refuse_remote(surroundings)?;
    let session = Session::of_store(surroundings, screen).await?;
    let erased = erase_all(&session, &ids).await;
    session.close().await;
    let erased = erased?;
    if output.json {
        screen.document(&json!({ "erased": erased }))?;
    } else {
        let plural = if erased == 1 { "" } else { "s" };
        screen.note(&format!("erased {erased} caption{plural}"));
    }
    Ok(Exit::Done)
}

/// How many of them there were.
async fn erase_all(session: &Session, ids: &[CaptionId]) -> Result<u64, Failure> {
    let mut erased = 0;
    for id in ids {
        erased += session
            .captions()
            .erase(&session.context(), &Extent::One(*id))
            .await?
            .all()
            .min(1);
    }
    Ok(erased)
}

/// What a server does only over HTTP.
fn refuse_remote(surroundings: &Surroundings) -> Result<(), Failure> {
    match Remote::of(surroundings, None)? {
        Some(_) => Err(local_only()),
        None => Ok(()),
    }
}

fn local_only() -> Failure {
    Failure::usage("with a server this command knows `history USER` and `history show` only; the HTTP API has the rest")
}

pub(crate) fn not_found(id: CaptionId) -> Failure {
    Failure::broken(Code::CaptionNotFound, format!("there is no caption {id}"))
}

/// The filter, by the rules of the HTTP API, with times that may also be so long ago.
fn read(args: &FilterArgs, text: Option<&str>) -> Result<Filter, Failure> {
    let now = OffsetDateTime::now_utc();
    let since = args.since.as_deref().map(|time| ago(time, now));
    let until = args.until.as_deref().map(|time| ago(time, now));
    let given = [
        ("user_id", args.user.as_deref()),
        ("since", since.as_deref()),
        ("until", until.as_deref()),
        ("language", args.language.as_deref()),
        ("provider", args.provider.as_deref()),
        ("platform", args.platform.as_deref()),
        ("min_score", args.min_score.as_deref()),
        ("q", text),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(history::read(given, FILTERS, None)?.filter)
}

/// `7d` as the time that it was then; anything else as it is.
pub(crate) fn ago(text: &str, now: OffsetDateTime) -> String {
    let unit = |unit: char| match unit {
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        'w' => Some(604_800),
        _ => None,
    };
    let long_ago = || {
        let last = text.chars().last()?;
        let count: i64 = text.strip_suffix(last)?.parse().ok().filter(|count| *count >= 0)?;
        let then = now.checked_sub(Duration::seconds(count.checked_mul(unit(last)?)?))?;
        then.format(&Rfc3339).ok()
    };
    long_ago().unwrap_or_else(|| text.to_owned())
}

/// A page begins after a caption, which people name by its id and programs by the cursor of the page before.
fn caption_or_cursor(text: &str, filter: &Filter) -> Result<CaptionId, Failure> {
    let place = read_cursor(text, &TenantId::local(), filter).or_else(|| text.parse().ok());
    place.ok_or_else(|| {
        Failure::usage(format!(
            "--before: '{text}' is neither a caption's id nor a next_cursor of this list"
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_may_be_so_long_ago() {
        let now = datetime!(2026-11-24 08:00 UTC);

        for (given, read) in [
            ("90m", "2026-11-24T06:30:00Z"),
            ("12h", "2026-11-23T20:00:00Z"),
            ("7d", "2026-11-17T08:00:00Z"),
            ("2w", "2026-11-10T08:00:00Z"),
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("d", "d"),
            ("-1d", "-1d"),
            ("", ""),
            ("1é", "1é"),
            ("9223372036854775807w", "9223372036854775807w"),
        ] {
            assert_eq!(ago(given, now), read, "{given}");
        }
    }
}
