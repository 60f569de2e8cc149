//! Stored captions: lists and exports.

use std::{fmt::Write as _, time::Instant};

use async_stream::try_stream;
use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use captions_api::{
    caption::CaptionDocument,
    history::{self, FILTERS, HistoryPage, LARGEST_PAGE, Search, USUAL_PAGE},
    problem::{Code, Problem},
};
use captions_domain::{
    caption::{CaptionId, Record},
    choice::nearest,
    context::{Context, TenantId},
    request::{Invalid, UserId},
};
use http::{HeaderMap, HeaderValue, header};

use crate::{
    call::{Call, UserPath},
    failure::Failure,
    openapi::{Exporting, ReadingHistory},
    state::AppState,
};

pub(crate) type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The filters that all lists have, as the document tells them; they are read by [`history::read`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct Filters {
    /// Written then or later (RFC 3339).
    #[param(nullable = false, example = "2026-11-01T00:00:00Z")]
    since: Option<String>,
    /// Written before then (RFC 3339).
    #[param(nullable = false, example = "2026-12-01T00:00:00Z")]
    until: Option<String>,
    /// In this language or a variety of it: `pt` finds `pt-BR` as well.
    #[param(nullable = false, example = "en")]
    language: Option<String>,
    /// By the provider of this name.
    #[param(nullable = false, example = "primary")]
    provider: Option<String>,
    /// For this platform.
    #[param(nullable = false, example = "instagram")]
    platform: Option<String>,
    /// With a quality score of at least this, 0-100.
    #[param(nullable = false, minimum = 0, maximum = 100)]
    min_score: Option<f64>,
    /// The description or a variant has this text, in whatever case; 1-200 characters.
    #[param(nullable = false)]
    q: Option<String>,
}

/// Which page of a list, as the document tells it; it is read by [`page`] and [`history::read`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Paging {
    /// How many, 1-100; 20 if not said.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// So many captions are in memory at a time while an export is sent.
const AT_ONCE: u32 = 100;

/// List captions
///
/// Newest first. All filters hold together; a cursor belongs to the filters that it was given for.
#[utoipa::path(
    get,
    path = "/v1/captions",
    operation_id = "list_captions",
    tag = "captions",
    params(
        ("user_id" = Option<String>, Query, description = "Written for this user."),
        Filters,
        Paging
    ),
    responses(
        (status = 200, description = "One page", body = HistoryPage, headers(("Link" = Option<String>, description = "The address of the next page, as `rel=\"next\"`"))),
        ReadingHistory
    )
)]
pub(crate) async fn list(State(state): State<AppState>, call: Call, query: Parameters) -> Result<Response, Failure> {
    listed(&state, &call, query, None, "/v1/captions").await
}

/// List a user's captions
///
/// Newest first. A user without captions, known or not, has an empty list.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/captions",
    operation_id = "list_user_captions",
    tag = "captions",
    params(
        ("id" = String, Path, description = "The user's id."),
        Filters,
        Paging
    ),
    responses(
        (status = 200, description = "One page", body = HistoryPage, headers(("Link" = Option<String>, description = "The address of the next page, as `rel=\"next\"`"))),
        ReadingHistory
    )
)]
pub(crate) async fn of_user(
    State(state): State<AppState>,
    call: Call,
    UserPath(user): UserPath,
    query: Parameters,
) -> Result<Response, Failure> {
    let path = format!("/v1/users/{user}/captions");
    listed(&state, &call, query, Some(&user), &path).await
}

/// Export captions
///
/// All that the filters admit, newest first, as JSON lines or as CSV, while they are read. A transfer that breaks off in
/// the middle is not whole.
#[utoipa::path(
    get,
    path = "/v1/captions/export",
    operation_id = "export_captions",
    tag = "captions",
    params(
        ("user_id" = Option<String>, Query, description = "Written for this user."),
        Filters,
        ("format" = Option<String>, Query, description = "`jsonl` or `csv`; else what `Accept` names, else JSON lines.", example = "jsonl")
    ),
    responses(
        (status = 200, description = "The captions, one a line: documents, or fields under a row of names", content((CaptionDocument = "application/jsonl"), (String = "text/csv")), headers(
            ("Content-Disposition" = String, description = "A name for the file")
        )),
        Exporting
    )
)]
pub(crate) async fn export(
    State(state): State<AppState>,
    call: Call,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Failure> {
    let known = [FILTERS, &["format"]].concat();
    let search = read(query, &known, None)?.1;
    let is_csv = match search.format.as_deref() {
        Some("jsonl") => false,
        Some("csv") => true,
        Some(_) => return Err(Failure::new(Code::InvalidParameter, "format is jsonl or csv")),
        None => prefers_csv(&headers),
    };
    // What fails before anything is sent has an answer of its own.
    let mut records = next(&state, &call.cx, &search, None).await?;
    let lines = try_stream! {
        if is_csv {
            yield Bytes::from(history::csv_head());
        }
        loop {
            let last = records.last().map(|record| record.id);
            for record in &records {
                yield line(record, is_csv);
            }
            if records.len() < AT_ONCE as usize {
                break;
            }
            records = next(&state, &call.cx, &search, last)
                .await
                .map_err(|failure| std::io::Error::other(failure.0.detail))?;
        }
    };
    let lines: futures_util::stream::BoxStream<'static, std::io::Result<Bytes>> = Box::pin(lines);
    let (kind, name) = if is_csv {
        ("text/csv; charset=utf-8; header=present", "captions.csv")
    } else {
        ("application/jsonl", "captions.jsonl")
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        // Between them and the caller nobody is to wait for the end.
        (header::HeaderName::from_static("x-accel-buffering"), "no".to_owned()),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn line(record: &Record, is_csv: bool) -> Bytes {
    let document = CaptionDocument::of_record(record);
    if is_csv {
        return history::csv_line(&document).into();
    }
    let mut line = serde_json::to_vec(&document).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// The next captions of an export. Each read has a time of its own: however long the whole takes, it goes on as long as
/// the store answers and the caller reads.
async fn next(
    state: &AppState,
    cx: &Context,
    search: &Search,
    after: Option<CaptionId>,
) -> Result<Vec<Record>, Failure> {
    let cx = Context {
        deadline: Instant::now() + state.limits.deadline,
        ..cx.clone()
    };
    let read = state.engine.captions.history(&cx, &search.filter, after, AT_ONCE);
    tokio::select! {
        biased;
        found = read => Ok(found?),
        () = state.lifecycle.closing.cancelled() => {
            let detail = "the server stopped before the export was whole";
            Err(Problem::new(Code::ShuttingDown, detail).into())
        }
    }
}

/// True if CSV is named before JSON lines and anything else.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let mut kinds = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    kinds
        .find(|kind| {
            matches!(
                kind.as_str(),
                "text/csv" | "application/jsonl" | "application/x-ndjson" | "*/*"
            )
        })
        .is_some_and(|kind| kind == "text/csv")
}

async fn listed(
    state: &AppState,
    call: &Call,
    query: Parameters,
    user: Option<&UserId>,
    path: &str,
) -> Result<Response, Failure> {
    let mut known = [FILTERS, &["limit", "cursor"]].concat();
    known.retain(|name| user.is_none() || *name != "user_id");
    let (parameters, search) = read(query, &known, user)?;
    let before = place(&search, &call.cx.tenant)?;
    let filter = &search.filter;
    let work = state
        .engine
        .captions
        .history(&call.cx, filter, before, search.limit + 1);
    let records = call.within(state, Code::StoreUnavailable, work).await??;
    let page = HistoryPage::of(&records, &search, &call.cx.tenant);
    let link = page.next_cursor.as_ref().map(|cursor| link(path, &parameters, cursor));
    let mut response = Json(page).into_response();
    if let Some(Ok(link)) = link.map(|link| HeaderValue::from_str(&link)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

fn read(
    query: Parameters,
    known: &[&'static str],
    user: Option<&UserId>,
) -> Result<(Vec<(String, String)>, Search), Failure> {
    let Query(parameters) =
        query.map_err(|_| Failure::new(Code::InvalidParameter, "the query is not percent-encoded UTF-8"))?;
    let pairs = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let search = history::read(pairs, known, user)
        .map_err(|invalid: Invalid| Failure::new(Code::InvalidParameter, invalid.rule))?;
    Ok((parameters, search))
}

fn place(search: &Search, tenant: &TenantId) -> Result<Option<CaptionId>, Failure> {
    search
        .place(tenant)
        .map_err(|invalid| Failure::new(Code::InvalidCursor, invalid.rule))
}

/// The same question for the page after (RFC 8288).
pub(crate) fn link(path: &str, parameters: &[(String, String)], cursor: &str) -> String {
    let mut address = format!("<{path}?cursor={cursor}");
    for (name, value) in parameters.iter().filter(|(name, _)| name != "cursor") {
        // The names are ours. Writing to a string cannot fail.
        let _ = write!(address, "&{name}={}", escaped(value));
    }
    address + ">; rel=\"next\""
}

/// Percent-encoded, but for what never has a meaning of its own (RFC 3986, 2.3).
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// How many of a list are asked for, and after which one.
pub(crate) fn page<I>(query: Parameters, read_cursor: impl Fn(&str) -> Option<I>) -> Result<(u32, Option<I>), Failure> {
    let Query(query) =
        query.map_err(|_| Failure::new(Code::InvalidParameter, "the query is not percent-encoded UTF-8"))?;
    let mut limit = USUAL_PAGE;
    let mut before = None;
    for (name, value) in &query {
        match name.as_str() {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                    .ok_or_else(|| {
                        Failure::new(
                            Code::InvalidParameter,
                            format!("limit is a whole number of 1 to {LARGEST_PAGE}"),
                        )
                    })?;
            }
            "cursor" => {
                let cursor =
                    read_cursor(value).ok_or_else(|| Failure::new(Code::InvalidCursor, "the cursor cannot be read"))?;
                before = Some(cursor);
            }
            other => {
                let hint = nearest(other, ["limit", "cursor"])
                    .map(|name| format!(", did you mean {name}?"))
                    .unwrap_or_default();
                let detail = format!("there are the parameters limit and cursor, not this one{hint}");
                return Err(Failure::new(Code::InvalidParameter, detail));
            }
        }
    }
    Ok((limit, before))
}
