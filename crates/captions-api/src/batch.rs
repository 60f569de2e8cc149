//! Batches: what a client sends, what it is shown, and the lines of the results.
//!
//! An item is the body of a request for one caption with a `custom_id` beside its fields. It is kept as it came, without
//! that name, and read again by whoever works on it ([`FORMS`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use captions_domain::{
    batch::{
        Batch, BatchId, BatchState, Counts, Forms, ItemStatus, MAX_CUSTOM_ID, MAX_ITEMS, NewBatch, NewItem, Outcome,
        Payer, Receiver,
    },
    caption::CaptionId,
    keys::Key,
    request::{CaptionRequest, Invalid, UserId},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, Ref, RefOr, Schema, schema::AdditionalProperties},
};
use uuid::Uuid;

use crate::{
    caption::CaptionDocument,
    generate,
    problem::{Code, Problem},
    schema::{list, one_of, text},
    strict::{self, Unreadable},
};

/// The most problems that one submission is told about.
const MAX_BROKEN: usize = 100;
/// How deep an item of a file may be nested.
const FILE_DEPTH: usize = 100;
/// The most characters of an address.
const MAX_URL: usize = 2000;

/// A batch that keeps every rule, before it has an id.
#[derive(Debug, PartialEq)]
pub struct Submission {
    pub items: Vec<Item>,
    pub webhook: Option<Receiver>,
}

/// One of its items.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub custom_id: String,
    pub user: Option<UserId>,
    /// The body of its request.
    pub request: String,
}

impl Submission {
    /// The batch under this id. Each item takes one fresh id for its caption.
    pub fn into_batch(
        self,
        id: BatchId,
        lives_for: Duration,
        payer: Option<Payer>,
        most_open: Option<u64>,
        fresh: impl Fn() -> Uuid,
    ) -> NewBatch {
        let items = self.items.into_iter().map(|item| NewItem {
            custom_id: item.custom_id,
            caption: CaptionId(fresh()),
            user: item.user,
            request: item.request,
        });
        NewBatch {
            id,
            lives_for,
            notify: self.webhook,
            payer,
            most_open,
            items: items.collect(),
        }
    }
}

/// Reads `{"items": [...], "webhook": {...}}`, each item nested at most `depth` deep. Every broken rule of every item is
/// told, up to a hundred of them.
pub fn parse(body: &str, depth: usize) -> Result<Submission, Box<Problem>> {
    // Item by item: as one tree, the largest body would take ten times its size.
    let Fields(fields) = read(body).map_err(|error| Box::new(not_json(&error, "the body")))?;
    let mut broken = Broken::default();
    let mut items = Vec::new();
    let mut webhook = None;
    let mut seen = BTreeSet::new();
    for (name, value) in &fields {
        if !seen.insert(name) {
            let pointer = pointer(name);
            broken.add(Unreadable::Twice { pointer }.into());
            continue;
        }
        match name.as_str() {
            "items" => match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
                Ok(list) => items = list,
                Err(_) => broken.add(Invalid::new("wrong_type", "items is a list of objects").at("/items")),
            },
            "webhook" if value.get() == "null" => {}
            "webhook" => webhook = receiver(value, depth, &mut broken),
            _ => broken.add(Invalid::new("unknown_field", "there are items and webhook, not this").at(pointer(name))),
        }
    }
    let numbered = items.into_iter().map(RawValue::get).enumerate();
    let numbered = numbered.map(|(index, text)| (index + 1, text));
    let items = parse_items(numbered, "item", depth, &mut broken)?;
    broken.or(Submission { items, webhook })
}

/// Where a field of the body stands; of a long name only how it begins.
fn pointer(name: &str) -> String {
    let name: String = name.chars().take(MAX_CUSTOM_ID).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The fields of an object as they stand, so that one that stands twice is seen.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = entries.next_entry::<String, &'de RawValue>()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        source.deserialize_map(Reader)
    }
}

/// Reads JSON Lines: one item a line; empty lines are left out, and counted.
pub fn parse_lines(body: &str, depth: usize) -> Result<Submission, Box<Problem>> {
    let mut broken = Broken::default();
    let lines = body
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty());
    let items = parse_items(lines, "line", depth, &mut broken)?;
    broken.or(Submission { items, webhook: None })
}

/// Reads a file of items: JSON Lines, or CSV with a header row that names the fields, after the names of `columns` (column,
/// field) were put in. An item without a `custom_id` is called by its line.
pub fn parse_file(text: &str, columns: &[(String, String)]) -> Result<Submission, Box<Problem>> {
    let rows = if text.trim_start().starts_with('{') {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty());
        lines.map(|(number, line)| (number, named(line, number))).collect()
    } else {
        rows_of_csv(text, columns).map_err(|broken| Box::new(Problem::from(broken)))?
    };
    let mut broken = Broken::default();
    let rows = rows.iter().map(|(number, text)| (*number, text.as_str()));
    let items = parse_items(rows, "line", FILE_DEPTH, &mut broken)?;
    broken.or(Submission { items, webhook: None })
}

/// The item with a name; what is no object is left for others to complain about.
fn named(line: &str, number: usize) -> String {
    match strict::read(line, FILE_DEPTH) {
        Ok(Value::Object(mut fields)) if !fields.contains_key("custom_id") => {
            fields.insert("custom_id".to_owned(), number.to_string().into());
            Value::Object(fields).to_string()
        }
        _ => line.to_owned(),
    }
}

/// Each row as an item, with the number of its line. Empty cells are left out.
fn rows_of_csv(text: &str, columns: &[(String, String)]) -> Result<Vec<(usize, String)>, Invalid> {
    let wrong = |error: csv::Error| Invalid::new("bad_format", format!("no CSV: {error}"));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::Headers)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(wrong)?.clone();
    if let Some((column, _)) = columns
        .iter()
        .find(|(column, _)| header.iter().all(|name| name != column))
    {
        return Err(Invalid::new("unknown_field", format!("there is no column {column}")));
    }
    let renamed = |name: &str| {
        let field = columns.iter().find(|(column, _)| column == name);
        field.map_or(name, |(_, field)| field).to_owned()
    };
    let fields: Vec<String> = header.iter().map(renamed).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let number = record.position().map_or(0, csv::Position::line);
        let cells = fields.iter().zip(&record).filter(|(_, cell)| !cell.trim().is_empty());
        let item: serde_json::Map<String, Value> =
            cells.map(|(field, cell)| (field.clone(), value(field, cell))).collect();
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        rows.push((number, named(&Value::Object(item).to_string(), number)));
    }
    Ok(rows)
}

/// A cell as the field takes it; what it cannot be stays text, and the reader of the field says so. Lists are parted by `;`.
fn value(field: &str, cell: &str) -> Value {
    let cell = cell.trim();
    match field {
        "max_chars" | "hashtag_count" | "variants" | "seed" | "temperature" => {
            serde_json::from_str::<serde_json::Number>(cell).map_or_else(|_| cell.into(), Value::Number)
        }
        "sponsored" | "store" | "allow_fallback" | "regenerate" => {
            cell.parse::<bool>().map_or_else(|_| cell.into(), Value::Bool)
        }
        "keywords" | "avoid" => cell.split(';').map(|word| Value::from(word.trim())).collect(),
        _ => cell.into(),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

fn not_json(error: &serde_json::Error, what: &str) -> Problem {
    if error.is_data() {
        return Problem::from(Invalid::new("wrong_type", format!("{what} is one object")));
    }
    Problem::new(Code::InvalidJson, format!("{what} is not JSON: {error}"))
}

/// The items by their number and text; a number is that of a `what`, from 1.
fn parse_items<'a>(
    numbered: impl Iterator<Item = (usize, &'a str)>,
    what: &str,
    depth: usize,
    broken: &mut Broken,
) -> Result<Vec<Item>, Box<Problem>> {
    let mut items = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (number, text)) in numbered.enumerate() {
        if index >= MAX_ITEMS {
            let rule = format!("a batch has at most {MAX_ITEMS} items");
            return Err(Box::new(Problem::from(Invalid::new("too_long", rule).at("/items"))));
        }
        let place = format!("/items/{index}");
        let at = |invalid: Invalid| {
            let pointer = format!("{place}{}", invalid.pointer);
            let rule = format!("{what} {number}: {}", invalid.rule);
            Invalid { rule, ..invalid }.at(pointer)
        };
        match read_item(text, depth) {
            Ok(item) => {
                if let Some(first) = seen.get(&item.custom_id) {
                    let rule = format!("the custom_id of {what} {first} again");
                    broken.add(at(Invalid::new("duplicate", rule).at("/custom_id")));
                } else {
                    seen.insert(item.custom_id.clone(), number);
                }
                items.push(item);
            }
            Err(all) => all.into_iter().for_each(|invalid| broken.add(at(invalid))),
        }
    }
    if items.is_empty() && broken.0.is_empty() {
        let rule = format!("a batch has 1 to {MAX_ITEMS} items");
        broken.add(Invalid::new("required", rule).at("/items"));
    }
    Ok(items)
}

/// Reads one item; pointers start from it.
fn read_item(text: &str, depth: usize) -> Result<Item, Vec<Invalid>> {
    let value = strict::read(text, depth).map_err(|why| vec![why.into()])?;
    let Value::Object(mut fields) = value else {
        return Err(vec![Invalid::new("wrong_type", "an item is an object")]);
    };
    let custom_id = custom_id(fields.remove("custom_id").as_ref()).map_err(|broken| broken.at("/custom_id"));
    let body = Value::Object(fields);
    let request = generate::parse(&body);
    match (custom_id, request) {
        (Ok(custom_id), Ok(request)) => Ok(Item {
            custom_id,
            user: request.user,
            request: body.to_string(),
        }),
        (custom_id, request) => {
            let mut all: Vec<Invalid> = custom_id.err().into_iter().collect();
            all.extend(request.err().unwrap_or_default());
            Err(all)
        }
    }
}

fn custom_id(value: Option<&Value>) -> Result<String, Invalid> {
    let Some(Value::String(id)) = value else {
        return Err(Invalid::new(
            "required",
            "custom_id is a string of your own that names the item",
        ));
    };
    if id.is_empty() || id.chars().count() > MAX_CUSTOM_ID || id.chars().any(char::is_control) {
        let rule = format!("custom_id has 1 to {MAX_CUSTOM_ID} characters and no control characters");
        return Err(Invalid::new("bad_format", rule));
    }
    Ok(id.clone())
}

fn receiver(value: &RawValue, depth: usize, broken: &mut Broken) -> Option<Receiver> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Webhook {
        url: String,
        secret: String,
    }
    let read = strict::read(value.get(), depth)
        .map_err(Invalid::from)
        .and_then(|value| {
            let webhook: Option<Webhook> = serde_json::from_value(value).ok();
            let webhook = webhook.filter(|webhook| webhook.url.chars().count() <= MAX_URL);
            let rule = "webhook is an object of url (https) and secret (whsec_ and the base64 of 24 to 64 bytes)";
            webhook.ok_or_else(|| Invalid::new("wrong_type", rule))
        });
    match read {
        Ok(Webhook { url, secret }) => Some(Receiver { url, secret }),
        Err(why) => {
            let pointer = format!("/webhook{}", why.pointer);
            broken.add(why.at(pointer));
            None
        }
    }
}

/// What is wrong, up to the most that is told.
#[derive(Default)]
struct Broken(Vec<Invalid>);

impl Broken {
    fn add(&mut self, invalid: Invalid) {
        if self.0.len() < MAX_BROKEN {
            self.0.push(invalid);
        }
    }

    fn or<T>(self, value: T) -> Result<T, Box<Problem>> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Box::new(Problem::from(self.0)))
        }
    }
}

/// How a worker reads requests and puts outcomes into words.
pub const FORMS: Forms = Forms {
    request: read_request,
    answer: |answer, request_id, took| document(&CaptionDocument::of_answer(answer, request_id, took)),
    record: |record| document(&CaptionDocument::of_record(record)),
    failure: |error, request_id| {
        let problem = Problem::from(error);
        document(&Problem {
            request_id: Some(request_id.to_owned()),
            ..problem
        })
    },
    given_up: |tries, request_id| {
        let detail = format!("{tries} workers were lost over this item");
        document(&Problem {
            request_id: Some(request_id.to_owned()),
            ..Problem::new(Code::Internal, detail)
        })
    },
    key_ended: |family, newest, request_id| {
        document(&Problem {
            request_id: Some(request_id.to_owned()),
            ..Problem::new(Code::KeyInactive, ended(family, newest))
        })
    },
};

fn ended(family: &str, newest: Option<&Key>) -> String {
    let at = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let how = match newest {
        None => format!("the key family {family} is not known any more"),
        Some(key) => {
            let how = match (key.revoked_at, key.expires_at) {
                (Some(revoked), _) => format!("was revoked at {}", at(revoked)),
                (None, Some(expired)) => format!("has expired at {}", at(expired)),
                (None, None) => "is not active".to_owned(),
            };
            format!("the key {} (...{}) {how}", key.id, key.last_four)
        }
    };
    format!("{how}, and nothing more is begun that was submitted with it")
}

fn read_request(text: &str) -> Result<CaptionRequest, Invalid> {
    let unreadable = || Invalid::new("bad_format", "the kept request cannot be read");
    let value: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
    generate::parse(&value).map_err(|broken| broken.into_iter().next().unwrap_or_else(unreadable))
}

fn document<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).unwrap_or_else(|_| "null".to_owned())
}

/// One line of the results, without its end.
pub fn result_line(outcome: &Outcome) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        custom_id: &'a str,
        index: u32,
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        caption: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<&'a RawValue>,
        reclaimed: bool,
    }
    // Kept as it was written: the same line however often it is read.
    let kept = outcome
        .document
        .as_deref()
        .and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let (caption, problem) = match outcome.status {
        ItemStatus::Succeeded => (kept, None),
        ItemStatus::Failed | ItemStatus::Cancelled | ItemStatus::Expired => (None, kept),
    };
    document(&Line {
        custom_id: &outcome.custom_id,
        index: outcome.index,
        status: outcome.status.as_str(),
        caption,
        problem,
        reclaimed: outcome.reclaimed,
    })
}

/// A batch as its caller sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchDocument {
    pub id: Uuid,
    /// `queued`, `in_progress`, `cancelling`; over: completed (at least one item succeeded), failed (none did), cancelled, expired.
    #[schema(schema_with = state_schema)]
    pub state: String,
    pub counts: CountsDocument,
    /// Seconds that the rest takes at the pace so far; null as long as there is no pace.
    #[schema(required)]
    pub eta_s: Option<f64>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its first item was begun.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub finished_at: Option<OffsetDateTime>,
    /// Items that were not begun by then never are.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Where its results are, relative to the server.
    pub results_url: String,
}

/// How many items stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountsDocument {
    pub total: u32,
    pub succeeded: u32,
    pub failed: u32,
    /// Never tried: cancelled, or out of time.
    pub cancelled: u32,
}

impl BatchDocument {
    /// As it is at the time `now`.
    pub fn of(batch: &Batch, now: OffsetDateTime) -> Self {
        let Counts {
            total,
            succeeded,
            failed,
            cancelled,
        } = batch.counts;
        Self {
            id: batch.id.0,
            state: batch.state.as_str().to_owned(),
            counts: CountsDocument {
                total,
                succeeded,
                failed,
                cancelled,
            },
            eta_s: batch.eta(now).map(|eta| (eta.as_secs_f64() * 10.0).round() / 10.0),
            created_at: batch.created_at,
            started_at: batch.started_at,
            finished_at: batch.finished_at,
            expires_at: batch.expires_at,
            results_url: format!("/v1/batches/{}/results", batch.id),
        }
    }
}

/// A page of a tenant's batches, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchPage {
    pub data: Vec<BatchDocument>,
    /// True if there are older ones.
    pub has_more: bool,
    /// Send it as `cursor` to get the next page; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl BatchPage {
    /// The page of `limit` from batches that were read with `limit + 1`: the one more tells whether there are more.
    pub fn of(batches: &[Batch], limit: usize, now: OffsetDateTime) -> Self {
        let shown = &batches[..batches.len().min(limit)];
        let has_more = batches.len() > limit;
        Self {
            data: shown.iter().map(|batch| BatchDocument::of(batch, now)).collect(),
            has_more,
            next_cursor: shown
                .last()
                .filter(|_| has_more)
                .map(|last| format!("b{}", last.id.0.simple())),
        }
    }
}

/// The batch that a cursor stands after; `None` if it is not one of ours.
pub fn read_cursor(cursor: &str) -> Option<BatchId> {
    Uuid::try_parse(cursor.strip_prefix('b')?).ok().map(BatchId)
}

fn state_schema() -> RefOr<Schema> {
    let names = BatchState::ALL.iter().map(|state| state.as_str());
    one_of("How far it is.", names).into()
}

/// The schema of what is submitted as JSON.
#[derive(Debug)]
pub struct BatchBody;

impl PartialSchema for BatchBody {
    fn schema() -> RefOr<Schema> {
        let webhook = ObjectBuilder::new()
            .description(Some(
                "Who is told when the batch is over, signed by the Standard Webhooks format.",
            ))
            .property("url", text("https, to a public address.", 1, MAX_URL))
            .required("url")
            .property(
                "secret",
                text(
                    "whsec_ and the base64 of 24 to 64 bytes of your own. Never shown again.",
                    1,
                    200,
                ),
            )
            .required("secret")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .build();
        ObjectBuilder::new()
            .description(Some("Many requests for captions that nobody waits for."))
            .property(
                "items",
                list(
                    "Each the body of a request for a caption, and a custom_id of your own.",
                    MAX_ITEMS,
                    Schema::Object(BatchItem::object()),
                ),
            )
            .required("items")
            .property("webhook", webhook)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for BatchBody {}

/// The schema of one item.
#[derive(Debug)]
pub struct BatchItem;

impl BatchItem {
    fn object() -> utoipa::openapi::Object {
        let mut object = match generate::GenerateBody::schema() {
            RefOr::T(Schema::Object(object)) => object,
            RefOr::T(_) | RefOr::Ref(Ref { .. }) => ObjectBuilder::new().build(),
        };
        let name = text("Your own name for the item, unique within the batch.", 1, MAX_CUSTOM_ID);
        object.properties.insert("custom_id".to_owned(), name.into());
        object.required.push("custom_id".to_owned());
        object.description = Some("A request for a caption, with your own name for it.".to_owned());
        object
    }
}

impl PartialSchema for BatchItem {
    fn schema() -> RefOr<Schema> {
        Schema::Object(Self::object()).into()
    }
}

impl ToSchema for BatchItem {}

/// One line of the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultLine {
    pub custom_id: String,
    /// The item's place among those submitted, from 0.
    pub index: u32,
    /// succeeded, failed, cancelled or expired.
    #[schema(schema_with = status_schema)]
    pub status: String,
    /// Where it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub caption: Option<CaptionDocument>,
    /// Where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub problem: Option<Problem>,
    /// A worker was lost over it, so its provider may have been called once more than was needed.
    pub reclaimed: bool,
}

fn status_schema() -> RefOr<Schema> {
    let names = ItemStatus::ALL.iter().map(|status| status.as_str());
    one_of("What became of it.", names).into()
}

#[cfg(test)]
mod tests;
