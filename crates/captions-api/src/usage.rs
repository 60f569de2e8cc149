//! Reports of usage, on the wire.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use captions_domain::{
    choice::nearest,
    context::TenantId,
    money::Currency,
    request::Invalid,
    usage::{Bucket, Group, Grouping, Hour, Mark, Query},
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::history::time;

/// What a report is asked for by.
pub const PARAMETERS: &[&str] = &["start", "end", "bucket", "group_by", "limit", "cursor"];
/// How far back it goes where nothing is said.
const USUAL: Duration = Duration::days(7);

/// A page of a report that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub query: Query,
    /// Groups.
    pub limit: u32,
}

/// Reads parameters, each once at most. What is left out: the last seven days until `now`, by the day, all together, and the first
/// page, as long as may be. A `cursor` is of the same tenant and such groups.
pub fn read<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    tenant: &TenantId,
    now: OffsetDateTime,
) -> Result<Asked, Invalid> {
    let (mut start, mut end, mut bucket, mut by, mut limit, mut cursor) = (None, None, None, None, None, None);
    for (name, value) in parameters {
        let is_first = match name {
            "start" => start.replace(time(name, value)?).is_none(),
            "end" => end.replace(time(name, value)?).is_none(),
            "bucket" => bucket.replace(value.parse::<Bucket>()?).is_none(),
            "group_by" => by.replace(Grouping::parse(value)?).is_none(),
            "limit" => limit.replace(size(value)?).is_none(),
            "cursor" => cursor.replace(value).is_none(),
            other => {
                let hint = nearest(other, PARAMETERS.iter().copied()).map(|name| format!(", did you mean {name}?"));
                let rule = format!("there are the parameters {}, not this one", PARAMETERS.join(", "));
                return Err(Invalid::new("unknown_parameter", rule + &hint.unwrap_or_default()));
            }
        };
        if !is_first {
            return Err(Invalid::new("given_twice", format!("{name} is given twice")));
        }
    }
    let end = end.unwrap_or(now);
    let start = start.unwrap_or_else(|| end.saturating_sub(USUAL));
    let mut query = Query::new(start, end, bucket.unwrap_or_default(), by.unwrap_or_default())?;
    if let Some(cursor) = cursor {
        let mark = read_cursor(cursor, tenant, &query);
        let rule = || Invalid::new("cursor_invalid", "the cursor belongs to no report with these groups");
        query.after = Some(mark.ok_or_else(rule)?);
    }
    Ok(Asked {
        query,
        limit: limit.unwrap_or(Query::MOST_GROUPS),
    })
}

fn size(value: &str) -> Result<u32, Invalid> {
    let most = Query::MOST_GROUPS;
    let size = value.parse().ok().filter(|size| (1..=most).contains(size));
    size.ok_or_else(|| Invalid::new("bad_format", format!("limit is a whole number of 1 to {most}")))
}

/// The cursor of what comes behind a group.
fn cursor_after(mark: &Mark, tenant: &TenantId, query: &Query) -> String {
    // Names and a number always can be written.
    let place = URL_SAFE_NO_PAD.encode(serde_json::to_vec(mark).unwrap_or_default());
    let seal = query.seal(tenant, &place);
    format!("g{place}.{seal:016x}")
}

fn read_cursor(cursor: &str, tenant: &TenantId, query: &Query) -> Option<Mark> {
    let (place, _) = cursor.strip_prefix('g')?.split_once('.')?;
    let mark: Mark = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(place).ok()?).ok()?;
    // The seal keeps out what was mistyped and what is of others, not whoever makes a cursor of their own.
    let is_plain = |name: &Option<String>| !name.as_deref().unwrap_or_default().contains(char::is_control);
    let is_ours = is_plain(&mark.provider) && is_plain(&mark.model) && cursor_after(&mark, tenant, query) == cursor;
    is_ours.then_some(mark)
}

/// What a tenant's callers have used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// What was asked for, widened to whole pieces of time.
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub end: OffsetDateTime,
    /// Only where the report begins earlier: what was used before this time is not kept any more, so it may be missing.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub kept_since: Option<OffsetDateTime>,
    /// The length of a piece: 1h or 1d, of UTC.
    pub bucket: String,
    /// What is told apart within a piece: provider, model, user, key.
    pub group_by: Vec<String>,
    /// Of all amounts of money; null where it is not known.
    #[schema(required)]
    pub currency: Option<String>,
    /// Oldest first. Pieces and groups without usage are left out.
    pub data: Vec<UsageRow>,
    /// True if there are more groups.
    #[serde(default)]
    #[schema(required)]
    pub has_more: bool,
    /// Send it as `cursor`, with the same parameters, to get the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The usage of a group in a piece of time. Of what is not told apart the name is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// When the piece begins.
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// Who was called, or wrote what was given; null for requests that got no caption.
    #[schema(required)]
    pub provider: Option<String>,
    #[schema(required)]
    pub model: Option<String>,
    /// Null for nobody in particular, and for users who were erased.
    #[schema(required)]
    pub user_id: Option<String>,
    /// The `family` of the key; null where none was presented.
    #[schema(required)]
    pub key: Option<Uuid>,
    /// Requests for a caption or a change of one, however they ended; each time that an item of a batch is asked about is one.
    pub requests: u64,
    /// Captions that were written or changed for them, each variant counted. What was found written is not among them.
    pub captions: u64,
    /// Calls of a provider.
    pub calls: u64,
    /// Those of them whose cost is not in `cost`: the provider did not tell its tokens, or has no price in the settings.
    pub unpriced_calls: u64,
    /// As the provider counted them.
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of calls that were cut off, in both directions: nobody tells those, so they are guessed.
    pub guessed_tokens: u64,
    /// What the calls have cost, as far as it is known: a decimal number.
    pub cost: String,
    /// Requests that were given what was found written, or was being written for another one.
    pub cache_hits: u64,
    /// What writing that anew would have taken, as far as it is known.
    pub saved_tokens: u64,
    pub saved_cost: String,
}

impl UsageReport {
    /// The page from groups that were read with `limit + 1`: the one more tells whether there are more. All usage is kept from
    /// the hour `kept_since` on.
    pub fn of(
        asked: &Asked,
        groups: &[Group],
        tenant: &TenantId,
        currency: Option<Currency>,
        kept_since: Option<Hour>,
    ) -> Self {
        let query = &asked.query;
        let limit = asked.limit as usize;
        let shown = &groups[..groups.len().min(limit)];
        let has_more = groups.len() > limit;
        let last = shown.last().filter(|_| has_more);
        Self {
            start: query.start.start(),
            end: query.end.start(),
            kept_since: kept_since.filter(|oldest| query.start < *oldest).map(Hour::start),
            bucket: query.bucket.as_str().to_owned(),
            group_by: query.by.names().into_iter().map(str::to_owned).collect(),
            currency: currency.map(|currency| currency.to_string()),
            data: shown.iter().map(UsageRow::of).collect(),
            has_more,
            next_cursor: last.map(|last| cursor_after(&last.mark(), tenant, query)),
        }
    }
}

impl UsageRow {
    fn of(group: &Group) -> Self {
        let amounts = group.amounts;
        Self {
            start: group.hour.start(),
            provider: group.provider.clone(),
            model: group.model.clone(),
            user_id: group.user.as_ref().map(|user| user.as_str().to_owned()),
            key: group.key.map(|key| key.0),
            requests: amounts.requests,
            captions: amounts.captions,
            calls: amounts.calls,
            unpriced_calls: amounts.unpriced_calls,
            input_tokens: amounts.input_tokens,
            output_tokens: amounts.output_tokens,
            guessed_tokens: amounts.guessed_tokens,
            cost: amounts.cost.to_string(),
            cache_hits: amounts.cache_hits,
            saved_tokens: amounts.saved_tokens,
            saved_cost: amounts.saved_cost.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
