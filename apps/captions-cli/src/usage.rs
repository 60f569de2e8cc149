//! `captions usage`.

use captions_api::{
    history::time,
    usage::{Asked, UsageReport, UsageRow, read},
};
use captions_domain::{
    choice::Unknown,
    context::TenantId,
    fault::StoreError,
    request::Invalid,
    usage::{Bucket, Group, Grouping},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Surroundings, args::UsageArgs, columns::Columns, exit::Exit, failure::Failure, history::ago, remote::Remote,
    screen::Screen, session::Session,
};

pub(crate) async fn run(
    args: &UsageArgs,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let now = OffsetDateTime::now_utc();
    let start = args.since.as_deref().map(|time| ago(time, now));
    let end = args.until.as_deref().map(|time| ago(time, now));
    let given = [
        ("start", start.as_deref()),
        ("end", end.as_deref()),
        ("bucket", args.bucket.as_deref()),
        ("group_by", args.by.as_deref()),
    ];
    let given: Vec<(&str, &str)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    // What cannot be read is told under the names that it has here.
    for (option, text) in [("--since", &start), ("--until", &end)] {
        if let Some(text) = text {
            time(option, text)?;
        }
    }
    if let Some(names) = &args.by {
        let what = "name for --by";
        Grouping::parse(names).map_err(|unknown| Invalid::from(Unknown { what, ..unknown }))?;
    }
    // By the rules of the HTTP API, whoever answers, and page by page until all is told.
    let mut asked = read(given.iter().copied(), &TenantId::local(), now)?;
    let report = if let Some(remote) = Remote::of(surroundings, None)? {
        let mut report = remote.client.usage(&given).await?.document;
        while let Some(cursor) = report.next_cursor.take() {
            let with_cursor = [given.as_slice(), &[("cursor", cursor.as_str())]].concat();
            add(&mut report, remote.client.usage(&with_cursor).await?.document);
        }
        report
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let told = all(&session, &mut asked, now).await;
        session.close().await;
        told?
    };
    tell(&report, args, screen)
}

async fn all(session: &Session, asked: &mut Asked, now: OffsetDateTime) -> Result<UsageReport, StoreError> {
    let (usage, tenant) = (session.usage(), TenantId::local());
    let mut all: Option<UsageReport> = None;
    loop {
        let groups = usage.report(&session.context(), &asked.query, asked.limit + 1).await?;
        let page = UsageReport::of(asked, &groups, &tenant, Some(session.currency()), usage.kept_since(now));
        asked.query.after = groups[..page.data.len()].last().map(Group::mark);
        let report = match all.take() {
            None => page,
            Some(mut report) => {
                add(&mut report, page);
                report
            }
        };
        if !report.has_more {
            return Ok(report);
        }
        all = Some(report);
    }
}

/// The next page.
fn add(report: &mut UsageReport, page: UsageReport) {
    report.data.extend(page.data);
    report.has_more = page.has_more;
    report.next_cursor = page.next_cursor;
}

fn tell(report: &UsageReport, args: &UsageArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if args.output.json {
        screen.document(report)?;
        return Ok(Exit::Done);
    }
    if let Some(oldest) = report.kept_since {
        let oldest = oldest.format(&Rfc3339).unwrap_or_default();
        screen.note(&format!("what was used before {oldest} is not kept any more"));
    }
    if report.data.is_empty() {
        screen.note("nothing was used in this time");
        return Ok(Exit::Done);
    }
    let money = report
        .currency
        .as_ref()
        .map_or_else(String::new, |name| format!(" {name}"));
    let (cost, saved) = (format!("cost{money}"), format!("saved{money}"));
    let names: Vec<&str> = report.group_by.iter().map(String::as_str).collect();
    let figures = [
        "requests",
        "captions",
        "calls",
        "tokens in",
        "tokens out",
        &cost,
        "cache hits",
        &saved,
    ];
    let mut columns = Columns::of(&[&["since"], names.as_slice(), &figures].concat());
    for row in &report.data {
        let mut line = vec![since(row.start, &report.bucket)];
        line.extend(names.iter().map(|name| named(row, name)));
        line.extend([
            row.requests.to_string(),
            row.captions.to_string(),
            row.calls.to_string(),
            row.input_tokens.to_string(),
            row.output_tokens.to_string(),
            row.cost.clone(),
            row.cache_hits.to_string(),
            row.saved_cost.clone(),
        ]);
        columns.add(line);
    }
    screen.result(columns.render().trim_end())?;
    let sum = |of: fn(&UsageRow) -> u64| report.data.iter().map(of).sum::<u64>();
    let (unpriced, guessed) = (sum(|row| row.unpriced_calls), sum(|row| row.guessed_tokens));
    if unpriced > 0 {
        screen.note(&format!("the cost of {unpriced} calls is not known and not in it"));
    }
    if guessed > 0 {
        screen.note(&format!("calls that were cut off took about {guessed} tokens more"));
    }
    Ok(Exit::Done)
}

/// When a piece of time began, in UTC, as far as it differs from others of its length.
fn since(start: OffsetDateTime, bucket: &str) -> String {
    let text = start.format(&Rfc3339).unwrap_or_default();
    let is_day = bucket == Bucket::Day.as_str();
    if is_day { text.chars().take(10).collect() } else { text }
}

fn named(row: &UsageRow, name: &str) -> String {
    let text = match name {
        "provider" => row.provider.clone(),
        "model" => row.model.clone(),
        "user" => row.user_id.clone(),
        _ => row.key.map(|key| key.to_string()),
    };
    text.unwrap_or_else(|| "-".to_owned())
}
