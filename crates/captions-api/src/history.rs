//! How captions that were stored are asked for: parameters, places in the list, pages, and rows of an export.

use captions_domain::{
    caption::{CaptionId, Record},
    choice::{Platform, nearest},
    context::TenantId,
    history::Filter,
    request::{Invalid, Language, ProviderName, UserId},
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caption::CaptionDocument;

/// Captions of a page, where nothing is said.
pub const USUAL_PAGE: u32 = 20;
/// The most captions of a page.
pub const LARGEST_PAGE: u32 = 100;
/// The most characters that are looked for.
pub const LONGEST_TEXT: usize = 200;

/// What the captions of all users are narrowed down by.
pub const FILTERS: &[&str] = &[
    "user_id",
    "since",
    "until",
    "language",
    "provider",
    "platform",
    "min_score",
    "q",
];

/// The parameters of a list or an export, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    pub filter: Filter,
    pub limit: u32,
    /// As it was given.
    pub cursor: Option<String>,
    /// As it was given.
    pub format: Option<String>,
}

/// Reads parameters, each once at most, of which those named in `known` are allowed. For captions of `user` alone, `user_id`
/// cannot be among them.
pub fn read<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    known: &[&'static str],
    user: Option<&UserId>,
) -> Result<Search, Invalid> {
    let mut search = Search {
        filter: Filter {
            user: user.cloned(),
            ..Filter::default()
        },
        limit: USUAL_PAGE,
        cursor: None,
        format: None,
    };
    let mut seen = Vec::new();
    for (name, value) in parameters {
        let Some(name) = known.iter().find(|known| **known == name) else {
            let hint = nearest(name, known.iter().copied()).map(|name| format!(", did you mean {name}?"));
            let rule = format!("there are the parameters {}, not this one", known.join(", "));
            return Err(Invalid::new("unknown_parameter", rule + &hint.unwrap_or_default()));
        };
        if seen.contains(name) {
            return Err(Invalid::new("given_twice", format!("{name} is given twice")));
        }
        seen.push(*name);
        search.set(name, value)?;
    }
    Ok(search)
}

impl Search {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        let filter = &mut self.filter;
        match name {
            "user_id" => filter.user = Some(UserId::new(value)?),
            "since" => filter.since = Some(time(name, value)?),
            "until" => filter.until = Some(time(name, value)?),
            "language" => filter.language = Some(Language::new(value)?),
            "provider" => filter.provider = Some(ProviderName::new(value)?.as_str().to_owned()),
            "platform" => filter.platform = Some(value.parse::<Platform>()?),
            "min_score" => {
                let score = value.parse().ok().filter(|score| (0.0..=100.0).contains(score));
                filter.min_score =
                    Some(score.ok_or_else(|| Invalid::new("out_of_range", "min_score is a number of 0 to 100"))?);
            }
            "q" => {
                let text = value.trim();
                if text.is_empty() || text.chars().count() > LONGEST_TEXT {
                    let rule = format!("q has 1 to {LONGEST_TEXT} characters");
                    return Err(Invalid::new("out_of_range", rule));
                }
                filter.text = Some(text.to_owned());
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                let rule = || {
                    Invalid::new(
                        "out_of_range",
                        format!("limit is a whole number of 1 to {LARGEST_PAGE}"),
                    )
                };
                self.limit = limit.ok_or_else(rule)?;
            }
            "cursor" => self.cursor = Some(value.to_owned()),
            _ => self.format = Some(value.to_owned()),
        }
        Ok(())
    }

    /// The caption that the page stands after. `Err` if the cursor is of another list, or of nobody's.
    pub fn place(&self, tenant: &TenantId) -> Result<Option<CaptionId>, Invalid> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        read_cursor(cursor, tenant, &self.filter)
            .map(Some)
            .ok_or_else(|| Invalid::new("cursor_invalid", "the cursor belongs to no list of these filters"))
    }
}

/// A time with its offset. A plus that was sent unescaped has become a space on its way.
pub fn time(name: &str, value: &str) -> Result<OffsetDateTime, Invalid> {
    OffsetDateTime::parse(&value.trim().replace(' ', "+"), &Rfc3339)
        .map(|time| time.to_offset(UtcOffset::UTC))
        .map_err(|_| {
            Invalid::new(
                "bad_format",
                format!("{name} is a time such as 2026-11-24T08:00:00Z (RFC 3339)"),
            )
        })
}

/// A page of stored captions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    pub data: Vec<CaptionDocument>,
    /// True if there are older ones.
    pub has_more: bool,
    /// Send it as `cursor`, with the same filters, to get the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl HistoryPage {
    /// The page from records that were read with `limit + 1`: the one more tells whether there are more.
    pub fn of(records: &[Record], search: &Search, tenant: &TenantId) -> Self {
        let limit = search.limit as usize;
        let shown = &records[..records.len().min(limit)];
        let has_more = records.len() > limit;
        let last = shown.last().filter(|_| has_more);
        Self {
            data: shown.iter().map(CaptionDocument::of_record).collect(),
            has_more,
            next_cursor: last.map(|last| cursor_after(last.id, tenant, &search.filter)),
        }
    }
}

/// The cursor of what comes after this caption in the list that the filter makes.
pub fn cursor_after(id: CaptionId, tenant: &TenantId, filter: &Filter) -> String {
    format!("c{}{:016x}", id.0.simple(), filter.seal(tenant, id))
}

/// The caption that a cursor stands after; `None` if it is not one of this list.
pub fn read_cursor(cursor: &str, tenant: &TenantId, filter: &Filter) -> Option<CaptionId> {
    let (id, _) = cursor.strip_prefix('c')?.split_at_checked(32)?;
    let id = CaptionId(Uuid::try_parse(id).ok()?);
    (cursor_after(id, tenant, filter) == cursor).then_some(id)
}

/// The columns of an export as CSV.
const COLUMNS: [&str; 20] = [
    "id",
    "created_at",
    "user_id",
    "campaign_id",
    "platform",
    "language",
    "content_description",
    "caption",
    "hashtags",
    "text",
    "quality_score",
    "publishable",
    "source",
    "provider",
    "model",
    "selected_variant",
    "verdict",
    "rating",
    "final_text",
    "request_id",
];

/// The first line of an export as CSV.
pub fn csv_head() -> String {
    line(&COLUMNS.map(str::to_owned))
}

/// A caption as a line of CSV. What a spreadsheet would take for a formula begins with an apostrophe.
pub fn csv_line(document: &CaptionDocument) -> String {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let feedback = document.feedback.as_ref();
    let fields = [
        document.id.map(|id| id.to_string()).unwrap_or_default(),
        document.created_at.format(&Rfc3339).unwrap_or_default(),
        or_empty(&document.user_id),
        or_empty(&document.campaign_id),
        document.platform.as_str().to_owned(),
        document.language.clone(),
        or_empty(&document.content_description),
        document.caption.clone(),
        document.hashtags.join(" "),
        document.text.clone(),
        document.quality_score.to_string(),
        document.publishable.to_string(),
        document.source.as_str().to_owned(),
        document.provider.clone(),
        document.model.clone(),
        document
            .selected_variant
            .map(|place| place.to_string())
            .unwrap_or_default(),
        feedback.map(|told| told.verdict.to_string()).unwrap_or_default(),
        feedback
            .and_then(|told| told.rating)
            .map(|rating| rating.to_string())
            .unwrap_or_default(),
        feedback.and_then(|told| told.final_text.clone()).unwrap_or_default(),
        document.request_id.clone(),
    ];
    line(&fields.map(inert))
}

/// Text that no spreadsheet calculates with.
fn inert(text: String) -> String {
    match text
        .trim_start_matches(|c: char| c.is_whitespace() || c.is_control())
        .chars()
        .next()
    {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{text}"),
        _ if text.starts_with(['\t', '\r', '\n']) => format!("'{text}"),
        _ => text,
    }
}

fn line(fields: &[String]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Nothing about text in memory can fail.
    let written = writer.write_record(fields).ok().and_then(|()| writer.into_inner().ok());
    written
        .and_then(|line| String::from_utf8(line).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
