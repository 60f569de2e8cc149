//! API keys on the wire.

use captions_domain::{
    budget::{Budget, Period},
    keys::{BudgetChange, Key, KeyId, KeyLimits, KeyName, LONGEST_GRACE, Scope, Scopes, Secret, Standing},
    money::Money,
    request::Invalid,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};
use uuid::Uuid;

use crate::{
    fields::Fields,
    schema::{amount, list, one_of, or_null, text, whole},
};

/// What a key is for where nothing is said.
pub const DEFAULT_SCOPES: [Scope; 2] = [Scope::Read, Scope::Write];
/// How long the key before goes on after a rotation where nothing is said.
pub const DEFAULT_GRACE: Duration = Duration::DAY;

/// A key. The secret is in the answer that makes it and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyDocument {
    /// The key itself, to be sent as `Authorization: Bearer ...`. Only in the answer that makes it: keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^captions_[0-9A-Za-z]{49}$")]
    pub key: Option<String>,
    pub id: String,
    /// The id of the first key of the family: keys that follow each other by rotation.
    pub family: String,
    /// Whose data it opens.
    pub tenant: String,
    pub name: String,
    #[schema(schema_with = scopes_schema)]
    pub scopes: Scopes,
    #[schema(schema_with = status_schema)]
    pub status: String,
    /// The end of the key, to recognise it by.
    pub last_four: String,
    pub limits: LimitsDocument,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From then on it opens nothing; null: it has no end.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub revoked_at: Option<OffsetDateTime>,
    /// To within a minute or two.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub last_used_at: Option<OffsetDateTime>,
}

/// Limits of a key's family; null: as the server has it for everybody, 0: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsDocument {
    #[schema(required)]
    pub requests_per_minute: Option<u64>,
    #[schema(required)]
    pub requests_per_hour: Option<u64>,
    #[schema(required)]
    pub tokens_per_minute: Option<u64>,
    /// Requests that are being answered at the same moment.
    #[schema(required)]
    pub concurrent_requests: Option<u64>,
    /// What may be spent in each period, a decimal number.
    #[schema(required)]
    pub budget: Option<String>,
    /// day or month, in UTC; null without a budget of its own.
    #[schema(required)]
    pub budget_period: Option<String>,
}

impl From<KeyLimits> for LimitsDocument {
    fn from(limits: KeyLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            requests_per_hour: limits.requests_per_hour,
            tokens_per_minute: limits.tokens_per_minute,
            concurrent_requests: limits.concurrent_requests,
            budget: limits.budget.map(|budget| budget.limit.to_string()),
            budget_period: limits.budget.map(|budget| budget.per.as_str().to_owned()),
        }
    }
}

impl KeyDocument {
    /// The key as it stands `now`.
    pub fn of(key: &Key, now: OffsetDateTime) -> Self {
        Self {
            key: None,
            id: key.id.to_string(),
            family: key.family.to_string(),
            tenant: key.tenant.as_str().to_owned(),
            name: key.name.as_str().to_owned(),
            scopes: key.scopes,
            status: key.standing(now).as_str().to_owned(),
            last_four: key.last_four.clone(),
            limits: key.limits.into(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }

    /// The same, with the secret that was just made for it.
    #[must_use]
    pub fn with(mut self, secret: &Secret) -> Self {
        self.key = Some(secret.text());
        self
    }
}

/// One page of keys, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyPage {
    pub data: Vec<KeyDocument>,
    /// True if there are older ones.
    pub has_more: bool,
    /// Send it as `cursor` to get the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl KeyPage {
    /// The page of `limit` from keys that were read with `limit + 1`: the one more tells whether there are more.
    pub fn of(keys: &[Key], limit: usize, now: OffsetDateTime) -> Self {
        let shown = &keys[..keys.len().min(limit)];
        let has_more = keys.len() > limit;
        Self {
            data: shown.iter().map(|key| KeyDocument::of(key, now)).collect(),
            has_more,
            next_cursor: shown.last().filter(|_| has_more).map(|last| cursor_after(last.id)),
        }
    }
}

/// The cursor of what comes after the key `id`.
pub fn cursor_after(id: KeyId) -> String {
    format!("k{}", id.0.simple())
}

/// The key that a cursor stands after; `None` if it is not one of ours.
pub fn read_cursor(cursor: &str) -> Option<KeyId> {
    Uuid::try_parse(cursor.strip_prefix('k')?).ok().map(KeyId)
}

/// What is asked of a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub name: KeyName,
    pub scopes: Scopes,
    pub expires_at: Option<OffsetDateTime>,
    pub budget: Option<Budget>,
}

/// Reads the body that makes a key, `now`. `Err` names every broken rule.
pub fn parse_new(body: &Value, now: OffsetDateTime) -> Result<NewKey, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let name = fields.text("name", KeyName::new);
    let name = fields.require("name", name);
    let scopes = fields
        .list("scopes", Scope::ALL.len(), |scope| Ok(scope.parse::<Scope>()?))
        .value();
    let expires_at = fields.text("expires_at", |text| end(text, now)).value();
    let limit = fields.text("budget", str::parse::<Money>).value();
    let per = fields.text("budget_period", str::parse::<Period>).value();
    if per.is_some() && limit.is_none() {
        fields.refuse("budget_period", period_alone());
    }
    let scopes = Scopes::new(scopes.unwrap_or_else(|| DEFAULT_SCOPES.to_vec()));
    if scopes.is_empty() {
        fields.refuse("scopes", Invalid::new("too_short", "a key has at least 1 scope"));
    }
    fields.finish()?;
    let Some(name) = name else {
        return Err(vec![Invalid::new("required", "name is required").at("/name")]);
    };
    Ok(NewKey {
        name,
        scopes,
        expires_at,
        budget: BudgetChange { limit, per }.over(None),
    })
}

/// Reads the merge patch (RFC 7396) of a key; `null` is no budget. `Err` names every broken rule.
pub fn parse_change(body: &Value) -> Result<BudgetChange, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let is_removed = body.get("budget").is_some_and(Value::is_null);
    let limit = fields.text("budget", str::parse::<Money>).value();
    let per = fields.text("budget_period", str::parse::<Period>).value();
    let limit = limit.or(is_removed.then_some(Money::ZERO));
    if per.is_some() && limit == Some(Money::ZERO) {
        fields.refuse("budget_period", period_alone());
    }
    fields.finish()?;
    Ok(BudgetChange { limit, per })
}

/// What is wrong with a period of no budget.
pub fn period_alone() -> Invalid {
    Invalid::new("not_supported", "a period says nothing without a budget")
}

/// When a key ends: a time of RFC 3339 after `now`.
fn end(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, Invalid> {
    let end = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Invalid::new("bad_format", "a time is written as in 2027-01-31T12:00:00Z"))?;
    if end <= now {
        return Err(Invalid::new("out_of_range", "the end of a key lies in the future"));
    }
    // As it is kept, so that whoever makes a key is told what others will be.
    Ok(end.truncate_to_microsecond())
}

/// Reads the body that rotates a key: how long the one before goes on.
pub fn parse_rotation(body: &Value) -> Result<Duration, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let grace = fields.whole("grace_seconds").value();
    let most = LONGEST_GRACE.whole_seconds().unsigned_abs();
    if grace.is_some_and(|grace| grace > most) {
        let rule = format!("grace_seconds is a whole number of 0 to {most}");
        fields.refuse("grace_seconds", Invalid::new("out_of_range", rule).nearest(most));
    }
    fields.finish()?;
    let grace = grace.and_then(|grace| i64::try_from(grace).ok());
    Ok(grace.map_or(DEFAULT_GRACE, Duration::seconds))
}

/// The body of `POST /v1/keys`, for the documentation: [`parse_new`] reads it.
#[derive(Debug)]
pub struct NewKeyBody;

impl PartialSchema for NewKeyBody {
    fn schema() -> RefOr<Schema> {
        let scope = one_of("What it may be used for.", Scope::NAMES.iter().copied());
        let about = "read: look; write: whatever changes something or costs something; admin: the keys of the tenant. None contains another. read and write if not said.";
        ObjectBuilder::new()
            .property("name", text("What people call it.", 1, 100))
            .required("name")
            .property("scopes", or_null(list(about, Scope::ALL.len(), scope)))
            .property(
                "expires_at",
                or_null(text(
                    "When it ends, as in 2027-01-31T12:00:00Z; never if not said.",
                    20,
                    40,
                )),
            )
            .property(
                "budget",
                or_null(amount(
                    "What it and its successors may spend in each period, as in 25.00, beside what the tenant may; 0 or not said: no budget of its own.",
                )),
            )
            .property(
                "budget_period",
                or_null(one_of(
                    "The period of the calendar, in UTC; only with budget, and month if not said.",
                    Period::NAMES.iter().copied(),
                )),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for NewKeyBody {}

/// The body of `PATCH /v1/keys/{id}`, for the documentation: [`parse_change`] reads it.
#[derive(Debug)]
pub struct KeyChangeBody;

impl PartialSchema for KeyChangeBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(
                "budget",
                or_null(amount(
                    "What its family may spend in each period, as in 25.00, beside what the tenant may; 0 or null: no budget of its own; not said: as it is.",
                )),
            )
            .property(
                "budget_period",
                or_null(one_of(
                    "The period of the calendar, in UTC; as it is if not said, and month of a new budget.",
                    Period::NAMES.iter().copied(),
                )),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for KeyChangeBody {}

/// The body of `POST /v1/keys/{id}/rotate`, for the documentation: [`parse_rotation`] reads it.
#[derive(Debug)]
pub struct RotationBody;

impl PartialSchema for RotationBody {
    fn schema() -> RefOr<Schema> {
        let most = LONGEST_GRACE.whole_seconds().unsigned_abs();
        let about = "Seconds that the key before goes on; a day if not said.";
        ObjectBuilder::new()
            .property("grace_seconds", or_null(whole(about, (0_u64, most))))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for RotationBody {}

fn scopes_schema() -> Schema {
    let scope = one_of("A scope.", Scope::NAMES.iter().copied());
    list("What it may be used for.", Scope::ALL.len(), scope)
}

fn status_schema() -> Schema {
    one_of("Whether it opens anything.", Standing::NAMES.iter().copied())
}

#[cfg(test)]
mod tests;
