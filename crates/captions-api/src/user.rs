//! Users and their preferences on the wire.

use captions_domain::{
    caption::Degraded,
    choice::{Audience, Cta, Emoji, Length, Platform, Style, Tone},
    history::Removed,
    request::{
        BrandTag, BrandVoice, HashtagCount, Invalid, Keyword, Language, MAX_KEYWORDS, MAX_SAMPLES, Sample, UserId,
    },
    user::{Entry, Preferences, User},
};
use serde::{Deserialize, Serialize, Serializer, ser::Error};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, Ref, RefOr, Schema, schema::AdditionalProperties},
};
use uuid::Uuid;

use crate::{
    fields::Fields,
    schema::{identifier, language, list, one_of, or_null, text, whole},
    voice::style_card,
};

/// The most hashtags that a user always adds.
pub const MAX_BRAND_TAGS: usize = 30;

/// A user to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    pub id: UserId,
    pub display_name: Option<String>,
    pub preferences: Preferences,
}

/// Reads the body that creates a user. `Err` names every broken rule.
pub fn parse_new(body: &Value) -> Result<NewUser, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let id = fields.text("id", UserId::new);
    let id = fields.require("id", id);
    let display_name = fields.text("display_name", display_name).value();
    let preferences = fields
        .object("preferences", |value, base| {
            merge_at(&Preferences::default(), value, base)
        })
        .value();
    fields.finish()?;
    let Some(id) = id else {
        return Err(vec![Invalid::new("required", "id is required").at("/id")]);
    };
    Ok(NewUser {
        id,
        display_name,
        preferences: preferences.unwrap_or_default(),
    })
}

/// Applies a merge patch (RFC 7396) to what may be changed of a user: `display_name` and `preferences`.
pub fn merge_user(
    display: Option<&str>,
    preferences: &Preferences,
    patch: &Value,
) -> Result<(Option<String>, Preferences), Vec<Invalid>> {
    let mut fields = Fields::of(patch, "").map_err(|broken| vec![broken])?;
    let display = fields.text("display_name", display_name).over(display.map(Into::into));
    let preferences = fields
        .object("preferences", |value, base| merge_at(preferences, value, base))
        .over(Some(preferences.clone()));
    fields.finish()?;
    Ok((display, preferences.unwrap_or_default()))
}

/// Applies a merge patch (RFC 7396): `null` removes a wish, what is absent stays. `Err` names every broken rule, and
/// then nothing was applied.
pub fn merge(preferences: &Preferences, patch: &Value) -> Result<Preferences, Vec<Invalid>> {
    merge_at(preferences, patch, "")
}

/// Reads whole preferences: what is absent is no wish.
pub fn parse_preferences(body: &Value) -> Result<Preferences, Vec<Invalid>> {
    merge_at(&Preferences::default(), body, "")
}

fn merge_at(current: &Preferences, patch: &Value, base: &str) -> Result<Preferences, Vec<Invalid>> {
    let mut fields = Fields::of(patch, base).map_err(|broken| vec![broken])?;
    let merged = Preferences {
        results: current.results.clone(),
        dismissed: current.dismissed.clone(),
        tone: fields.text("tone", str::parse::<Tone>).over(current.tone),
        style: fields.text("style", str::parse::<Style>).over(current.style),
        audience: fields.text("audience", str::parse::<Audience>).over(current.audience),
        platform: fields.text("platform", str::parse::<Platform>).over(current.platform),
        language: fields.text("language", Language::new).over(current.language.clone()),
        length: fields.text("length", str::parse::<Length>).over(current.length),
        emoji: fields.text("emoji", str::parse::<Emoji>).over(current.emoji),
        cta: fields.text("cta", str::parse::<Cta>).over(current.cta),
        hashtag_count: fields
            .number("hashtag_count", HashtagCount::new)
            .over(current.hashtag_count),
        keywords: fields
            .list("keywords", MAX_KEYWORDS, Keyword::new)
            .over(Some(current.keywords.clone()))
            .unwrap_or_default(),
        avoid: fields
            .list("avoid", MAX_KEYWORDS, Keyword::new)
            .over(Some(current.avoid.clone()))
            .unwrap_or_default(),
        required: fields
            .list("required", MAX_KEYWORDS, Keyword::new)
            .over(Some(current.required.clone()))
            .unwrap_or_default(),
        brand_tags: fields
            .list("brand_tags", MAX_BRAND_TAGS, BrandTag::new)
            .over(Some(current.brand_tags.clone()))
            .unwrap_or_default(),
        brand_voice: fields
            .text("brand_voice", BrandVoice::new)
            .over(current.brand_voice.clone()),
        samples: fields
            .list("samples", MAX_SAMPLES, Sample::new)
            .over(Some(current.samples.clone()))
            .unwrap_or_default(),
        style_card: None,
    };
    fields.shown_only("style_card");
    refuse_contradictions(&mut fields, &merged);
    fields.finish()?;
    Ok(merged.measured())
}

/// A word that every caption must have and none may have. Told where the body names it.
fn refuse_contradictions(fields: &mut Fields<'_>, merged: &Preferences) {
    let same = |one: &Keyword, other: &Keyword| one.as_str().to_lowercase() == other.as_str().to_lowercase();
    let (name, named, others) = if fields.has("required") {
        ("required", &merged.required, &merged.avoid)
    } else {
        ("avoid", &merged.avoid, &merged.required)
    };
    for (index, word) in named.iter().enumerate() {
        if others.iter().any(|other| same(word, other)) {
            let rule = format!("'{word}' cannot be among the words to avoid and among those that are required");
            fields.refuse_entry(name, index, Invalid::new("contradiction", rule));
        }
    }
}

/// 1-100 characters on one line after trimming, without control characters.
fn display_name(name: &str) -> Result<String, Invalid> {
    const MAX: usize = 100;
    let name = name.trim();
    let cleaned = || name.chars().filter(|c| !c.is_control()).take(MAX).collect::<String>();
    if name.is_empty() {
        return Err(Invalid::new("too_short", "a display name needs at least 1 character"));
    }
    if let Some(bad) = name.chars().find(|c| c.is_control()) {
        let rule = format!(
            "a display name must not contain the control character U+{:04X}",
            u32::from(bad)
        );
        return Err(Invalid::new("forbidden_character", rule).nearest(cleaned()));
    }
    let length = name.chars().count();
    if length > MAX {
        let rule = format!("a display name has at most {MAX} characters, this has {length}");
        return Err(Invalid::new("too_long", rule).nearest(cleaned().trim_end()));
    }
    Ok(name.to_owned())
}

/// Preferences on the wire: `null` and empty lists are "no wish".
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct PreferencesDocument(pub Preferences);

impl Serialize for PreferencesDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        // The domain keeps all numbers as floats; a count of `2.0` would surprise typed clients.
        document["hashtag_count"] = self.0.hashtag_count.map(HashtagCount::get).into();
        // No wishes: they have addresses of their own.
        if let Some(fields) = document.as_object_mut() {
            fields.remove("results");
            fields.remove("dismissed");
        }
        document.serialize(serializer)
    }
}

/// A user on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserDocument {
    pub id: String,
    /// For people to recognise the user by.
    #[schema(required)]
    pub display_name: Option<String>,
    pub preferences: PreferencesDocument,
    /// Counts the writes, from 1. Also the `ETag`.
    pub version: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl From<&User> for UserDocument {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            display_name: user.display_name.clone(),
            preferences: PreferencesDocument(user.preferences.clone()),
            version: user.version,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What was removed with a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedDocument {
    pub id: String,
    /// False if there was no such user; their captions are erased all the same.
    pub user_erased: bool,
    /// How many stored captions were erased.
    pub captions_erased: u64,
    /// What went less well; left out if nothing did. `cache_unavailable`: other processes may still have cached captions, and
    /// are told as soon as the shared cache can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::schema::degraded)]
    pub degraded: Vec<Degraded>,
    pub receipt: Receipt,
}

/// To be kept by whoever has to show that somebody was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    pub id: Uuid,
    pub user_id: String,
    pub erased: Erased,
    /// What was asked for before this time does not come back.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// What there was, and is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// Name, dates and version.
    pub profile: bool,
    /// Wishes that were set.
    pub preferences: usize,
    /// Captions that they wrote themselves, with what was measured in them.
    pub samples: usize,
    /// What was imported of their posts.
    pub results: bool,
    /// Captions in the history, with their feedback.
    pub captions: u64,
    /// Captions that waited for the history on this machine; null where nothing waits on disks (`spool.enabled`). What waits
    /// on other machines is not known here: it is dropped when it comes.
    #[schema(required)]
    pub spooled: Option<u64>,
    /// Entries of caches. They are told to be void and not looked for, so of a service that has a cache it is null: nobody
    /// knows how many there were; 0 without one.
    #[schema(required)]
    pub cache_entries: Option<u64>,
    /// What was kept of requests with an `Idempotency-Key` about them.
    pub kept_answers: u64,
    /// Items of batches whose request or answer was kept.
    pub batch_items: u64,
    /// Sums of their usage, each of an hour, a key, a provider and a model: what was used goes on counting, as nobody's. What is
    /// on its way to the store from other machines is not known here: it arrives without their name.
    #[serde(default)]
    #[schema(required)]
    pub usage_rows: u64,
    /// What caches have of them is found by nobody any more; false while other processes could not be told.
    pub cached: bool,
}

impl ErasedDocument {
    /// The receipt `id` for this user, as they were if they were known, of an erasure at this time.
    pub fn new(
        id: Uuid,
        user: &UserId,
        known: Option<&User>,
        removed: &Removed,
        degraded: Vec<Degraded>,
        at: OffsetDateTime,
    ) -> Self {
        let preferences = known.map(|user| user.preferences.clone()).unwrap_or_default();
        let (samples, results) = (preferences.samples.len(), preferences.results.is_some());
        let wishes = Preferences {
            samples: Vec::new(),
            style_card: None,
            results: None,
            ..preferences
        };
        Self {
            id: user.as_str().to_owned(),
            user_erased: known.is_some(),
            captions_erased: removed.all(),
            receipt: Receipt {
                id,
                user_id: user.as_str().to_owned(),
                erased: Erased {
                    profile: known.is_some(),
                    preferences: count(&wishes),
                    samples,
                    results,
                    captions: removed.captions,
                    spooled: removed.waiting,
                    cache_entries: removed.cached,
                    kept_answers: removed.calls,
                    batch_items: removed.items,
                    usage_rows: removed.usage,
                    cached: !degraded.contains(&Degraded::CacheUnavailable),
                },
                at,
            },
            degraded,
        }
    }
}

/// How many wishes are set: `null` and empty lists are none.
fn count(wishes: &Preferences) -> usize {
    let document = serde_json::to_value(PreferencesDocument(wishes.clone())).unwrap_or_default();
    let is_set = |wish: &Value| !wish.is_null() && wish.as_array().is_none_or(|list| !list.is_empty());
    document
        .as_object()
        .map_or(0, |wishes| wishes.values().filter(|wish| is_set(wish)).count())
}

/// A user in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryDocument {
    pub id: String,
    /// For people to recognise the user by.
    #[schema(required)]
    pub display_name: Option<String>,
    /// Counts the writes, from 1. Also the `ETag`.
    pub version: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A page of users, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPage {
    pub data: Vec<EntryDocument>,
    /// True if there are more.
    pub has_more: bool,
    /// Send it as `cursor` to get the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl UserPage {
    /// The page from users that were read with `limit + 1`: the one more tells whether there are more.
    pub fn of(users: &[Entry], limit: usize) -> Self {
        let shown = &users[..users.len().min(limit)];
        let has_more = users.len() > limit;
        let entry = |user: &Entry| EntryDocument {
            id: user.id.as_str().to_owned(),
            display_name: user.display_name.clone(),
            version: user.version,
            created_at: user.created_at,
            updated_at: user.updated_at,
        };
        Self {
            data: shown.iter().map(entry).collect(),
            has_more,
            next_cursor: shown.last().filter(|_| has_more).map(|last| cursor_after(&last.id)),
        }
    }
}

/// The cursor of what comes after the user `id`.
pub fn cursor_after(id: &UserId) -> String {
    // No id has a full stop.
    format!("u.{id}")
}

/// The user that a cursor stands after, who need not be there any more; `None` if it is not one of ours.
pub fn read_cursor(cursor: &str) -> Option<UserId> {
    UserId::new(cursor.strip_prefix("u.")?).ok()
}

/// The body that creates a user, for the OpenAPI document; it is read by [`parse_new`].
pub enum UserBody {}

/// The body that changes a user, for the OpenAPI document; it is read by [`merge_user`].
pub enum UserPatch {}

/// The body that changes or replaces preferences, for the OpenAPI document; it is read by [`merge`].
pub enum PreferencesBody {}

impl PartialSchema for UserBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("id", identifier("The caller's own id of the user."))
            .required("id")
            .property(
                "display_name",
                or_null(text(
                    "For people to recognise the user by; never put into a prompt.",
                    1,
                    100,
                )),
            )
            .property("preferences", Ref::from_schema_name(PreferencesBody::name()))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for UserBody {}

impl PartialSchema for UserPatch {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("A merge patch (RFC 7396): null removes, what is absent stays."))
            .property(
                "display_name",
                or_null(text(
                    "For people to recognise the user by; never put into a prompt.",
                    1,
                    100,
                )),
            )
            .property("preferences", Ref::from_schema_name(PreferencesBody::name()))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for UserPatch {}

impl PartialSchema for PreferencesBody {
    fn schema() -> RefOr<Schema> {
        preferences(or_null)
            .description(Some(
                "Standing wishes. In a merge patch (RFC 7396) null removes and what is absent stays.",
            ))
            .into()
    }
}

impl ToSchema for PreferencesBody {}

impl PartialSchema for PreferencesDocument {
    fn schema() -> RefOr<Schema> {
        preferences(|list| list)
            .description(Some("Standing wishes; null and empty lists are no wish."))
            .into()
    }
}

impl ToSchema for PreferencesDocument {}

/// Scalars may be null everywhere; lists only in a patch, because an answer shows them empty.
fn preferences(list_schema: fn(Schema) -> Schema) -> ObjectBuilder {
    let choice =
        |description: &str, names: &'static [&'static str]| or_null(one_of(description, names.iter().copied()));
    let words = |description: &str| list_schema(list(description, MAX_KEYWORDS, text("A word or phrase.", 1, 50)));
    ObjectBuilder::new()
        .property("tone", choice("How captions feel.", Tone::NAMES))
        .property("style", choice("How captions are built.", Style::NAMES))
        .property("audience", choice("Who is to read them.", Audience::NAMES))
        .property("platform", choice("Where they are published.", Platform::NAMES))
        .property(
            "language",
            or_null(language("The language of captions, as a BCP 47 tag.")),
        )
        .property("length", choice("Target length.", Length::NAMES))
        .property("emoji", choice("How many emoji.", Emoji::NAMES))
        .property("cta", choice("What the reader is asked to do.", Cta::NAMES))
        .property(
            "hashtag_count",
            or_null(whole("How many hashtags.", HashtagCount::RANGE)),
        )
        .property("keywords", words("Used where a request names none."))
        .property("avoid", words("Always avoided."))
        .property("required", words("In every caption; none of them may also be avoided."))
        .property(
            "brand_tags",
            list_schema(list(
                "Put before all other hashtags.",
                MAX_BRAND_TAGS,
                text("A hashtag, with or without #.", 1, 51),
            )),
        )
        .property("brand_voice", or_null(text("How the brand speaks.", 1, 500)))
        .property(
            "samples",
            list_schema(list(
                "Captions that the user wrote themselves, as published.",
                MAX_SAMPLES,
                text("A caption.", 1, 2200),
            )),
        )
        .property("style_card", style_card())
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

#[cfg(test)]
mod tests;
