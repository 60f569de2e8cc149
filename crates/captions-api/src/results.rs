//! What a user's posts have reached: the import, as JSON or CSV, and what it tells of the next post.

use captions_domain::{
    choice::ContentType,
    engagement::{FormatResults, MOST_POSTS, Outlook, Post, Results, replay::Habit},
    request::Invalid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{
    Date, OffsetDateTime, PrimitiveDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    schema::{list, one_of, string, text, whole},
};

/// The most characters of one imported caption.
const MAX_CAPTION: usize = 5000;

/// What a post with this caption may reach: in 80 of 100 cases between `low` and `high`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Engagement {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// What the numbers count: `likes`.
    pub unit: String,
    /// What of it is the caption's: a factor of 0.85 to 1.15, or 1 where captions tell nothing on this account.
    pub caption_effect: f64,
    /// The posts that it rests on.
    pub posts: usize,
    /// When they were imported.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
}

impl From<&Outlook> for Engagement {
    fn from(outlook: &Outlook) -> Self {
        Self {
            median: outlook.median,
            low: outlook.low,
            high: outlook.high,
            unit: outlook.measure.as_str().to_owned(),
            caption_effect: outlook.caption_effect,
            posts: outlook.posts,
            as_of: outlook.as_of,
        }
    }
}

/// What was imported for a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultsDocument {
    /// Null as long as nothing was.
    #[schema(required)]
    pub imported: Option<ImportedResults>,
}

/// What the posts of one import tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportedResults {
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// Posts that were given.
    pub posts: usize,
    /// Those of them that were left out because they were younger than 48 hours.
    pub too_young: usize,
    /// Formats with at least 6 posts that are old enough; there are estimates for these.
    pub formats: Vec<FormatReport>,
}

/// What is known of one format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormatReport {
    #[schema(schema_with = format)]
    pub format: ContentType,
    /// Posts that were used.
    pub posts: usize,
    pub likes: Calibration,
    /// Null where fewer than 6 of the posts told their comments.
    #[schema(required)]
    pub comments: Option<Calibration>,
}

/// How good estimates of this account would have been, each made from the posts before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Calibration {
    /// What a plain caption would be told now.
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// Posts that were estimated.
    pub replayed: usize,
    /// Share of them that came within their interval, which is made to hold 80 of 100.
    pub coverage: f64,
    /// The median of how far an estimate was off, as a share of what was reached.
    pub error: f64,
    /// The same without looking at captions.
    pub error_without_captions: f64,
    /// Pairs of posts that were compared.
    pub pairs: u32,
    /// Share of them in which the caption with the better effect did better; 0.5 is chance.
    pub pairs_right: f64,
    /// Whether captions take part in the estimates: only where they told more than chance.
    pub captions_count: bool,
}

impl ResultsDocument {
    pub fn of(results: Option<&Results>) -> Self {
        Self {
            imported: results.map(|results| ImportedResults {
                as_of: results.as_of,
                posts: results.posts,
                too_young: results.too_young,
                formats: results.formats.iter().map(FormatReport::from).collect(),
            }),
        }
    }
}

impl From<&FormatResults> for FormatReport {
    fn from(results: &FormatResults) -> Self {
        Self {
            format: results.format,
            posts: results.posts,
            likes: Calibration::from(&results.likes),
            comments: results.comments.as_ref().map(Calibration::from),
        }
    }
}

impl From<&Habit> for Calibration {
    fn from(habit: &Habit) -> Self {
        let (median, low, high) = habit.range(1.0);
        Self {
            median,
            low,
            high,
            replayed: habit.replay.posts,
            coverage: habit.replay.coverage,
            error: habit.replay.error,
            error_without_captions: habit.replay.error_without_captions,
            pairs: habit.replay.pairs,
            pairs_right: habit.replay.pairs_right,
            captions_count: habit.captions_count,
        }
    }
}

fn format() -> Schema {
    one_of("What was posted.", ContentType::NAMES.iter().copied())
}

/// The body of an import, in the schema of the API; [`parse_posts`] reads it.
pub struct ResultsBody;

impl PartialSchema for ResultsBody {
    fn schema() -> RefOr<Schema> {
        let count = |what: &str| whole(what, (0_u64, u64::from(u32::MAX)));
        let post = ObjectBuilder::new()
            .property(
                "posted_at",
                string("RFC 3339, or a date, or a date and a time of UTC.").examples(["2026-11-02T18:30:00Z"]),
            )
            .property("format", format())
            .property("caption", text("As it was published.", 0, MAX_CAPTION))
            .property("likes", count("Likes by now."))
            .property("comments", count("Comments by now."))
            .required("posted_at")
            .required("likes")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        ObjectBuilder::new()
            .property("posts", list("In any order.", MOST_POSTS, post.into()))
            .required("posts")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for ResultsBody {}

/// The same as CSV, for the documentation: [`posts_of_csv`] reads it.
#[derive(Debug)]
pub struct ResultsTable;

impl PartialSchema for ResultsTable {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A header row, and one row a post."))
            .min_length(Some(1))
            .into()
    }
}

impl ToSchema for ResultsTable {}

/// Reads the posts of an import. `Err` names every broken rule by its pointer, such as `/posts/3/likes`.
pub fn parse_posts(body: &Value) -> Result<Vec<Post>, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let posts = fields.entries("posts", MOST_POSTS, parse_post);
    let posts = fields.require("posts", posts);
    fields.finish()?;
    Ok(posts.unwrap_or_default())
}

fn parse_post(post: &Value, base: &str) -> Result<Post, Vec<Invalid>> {
    let mut fields = Fields::of(post, base).map_err(|broken| vec![broken])?;
    let posted_at = fields.text("posted_at", posted_at);
    let posted_at = fields.require("posted_at", posted_at);
    let format = fields.text("format", str::parse::<ContentType>).value();
    let caption = fields.text("caption", caption).value();
    let likes = fields.whole("likes");
    let likes = fields.require("likes", likes);
    let comments = fields.whole("comments").value();
    fields.finish()?;
    let (Some(posted_at), Some(likes)) = (posted_at, likes) else {
        return Err(vec![
            Invalid::new("required", "posted_at and likes are required").at(base),
        ]);
    };
    Ok(Post {
        posted_at,
        format: format.unwrap_or_default(),
        caption: caption.unwrap_or_default(),
        likes,
        comments,
    })
}

fn caption(text: &str) -> Result<String, Invalid> {
    if text.chars().count() > MAX_CAPTION {
        return Err(Invalid::new(
            "too_long",
            format!("a caption has at most {MAX_CAPTION} characters"),
        ));
    }
    Ok(text.to_owned())
}

const MINUTES: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
/// As Meta's exports write it.
const AMERICAN: &[BorrowedFormatItem<'_>] = format_description!("[month]/[day]/[year] [hour]:[minute]");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

fn posted_at(text: &str) -> Result<OffsetDateTime, Invalid> {
    let text = text.trim();
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time);
    }
    for form in [MINUTES, SECONDS, AMERICAN] {
        if let Ok(time) = PrimitiveDateTime::parse(text, form) {
            return Ok(time.assume_utc());
        }
    }
    let day = Date::parse(text, DAY).map(|day| day.midnight().assume_utc());
    day.map_err(|_| {
        Invalid::new(
            "bad_format",
            "a time is written as 2026-11-02T18:30:00Z, or as a date alone",
        )
    })
}

/// The names under which exports give a column, beside our own.
const COLUMNS: [(&str, &[&str]); 5] = [
    ("posted_at", &["publish_time", "timestamp", "date"]),
    ("format", &["post_type", "media_type", "type"]),
    ("caption", &["description", "text"]),
    ("likes", &["like_count"]),
    ("comments", &["comments_count", "comment_count"]),
];

/// The import that a CSV file holds, as [`parse_posts`] reads it: the first row names the columns, others than ours are
/// passed over. The entry 0 of `posts` is the second row.
pub fn posts_of_csv(text: &str) -> Result<Value, Vec<Invalid>> {
    let broken = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        vec![Invalid::new("bad_format", format!("line {line} of the CSV cannot be read: {error}")).at("/posts")]
    };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| broken(&error))?.clone();
    let columns: Vec<Option<&str>> = headers.iter().map(column).collect();
    for required in ["posted_at", "likes"] {
        if !columns.contains(&Some(required)) {
            let rule = format!("the CSV needs a column {required}");
            return Err(vec![Invalid::new("required", rule).at("/posts")]);
        }
    }
    let mut posts = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| broken(&error))?;
        let mut post = Map::new();
        for (column, cell) in columns.iter().zip(&row) {
            let Some(column) = column.filter(|_| !cell.trim().is_empty()) else {
                continue;
            };
            post.insert(column.to_owned(), value(column, cell));
        }
        posts.push(Value::Object(post));
    }
    Ok(Value::Object(Map::from_iter([("posts".to_owned(), posts.into())])))
}

fn column(header: &str) -> Option<&'static str> {
    let header = header.trim().to_lowercase().replace([' ', '-'], "_");
    let ours = COLUMNS
        .iter()
        .find(|(name, others)| *name == header || others.contains(&header.as_str()));
    ours.map(|(name, _)| *name)
}

fn value(column: &str, cell: &str) -> Value {
    match column {
        "likes" | "comments" => cell.trim().parse::<u64>().map_or_else(|_| cell.into(), Into::into),
        // As Meta's exports name them: "IG image", "IG reel".
        "format" => match cell.trim().to_lowercase().trim_start_matches("ig ") {
            "image" | "photo" => "post".into(),
            "video" => "reel".into(),
            other => other.into(),
        },
        _ => cell.into(),
    }
}

#[cfg(test)]
mod tests;
