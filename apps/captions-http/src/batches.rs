//! Submit batches, follow them, cancel them, fetch their results.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use captions_api::{
    batch::{BatchBody as BatchForm, BatchDocument, BatchItem, BatchPage, ResultLine, read_cursor, result_line},
    problem::{Code, Problem},
};
use captions_domain::{
    batch::{Batch, BatchId, Change, Outcome, Page, Payer},
    choice::nearest,
    context::Context,
    request::Invalid,
};
use captions_wiring::Batches;
use futures_util::Stream;
use http::{HeaderValue, StatusCode, header};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    body::BatchBody,
    call::{BatchPath, Call},
    failure::Failure,
    openapi::{ListingBatches, ReadingBatch, ReadingResults, RetryingBatch, SubmittingBatch},
    state::AppState,
};

const DEFAULT_PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;
/// Proxies give up on an answer after a minute.
const LONGEST_WAIT: u64 = 60;
/// Far beyond the index of any item: what the document calls an int32.
const LAST_INDEX: u64 = 0x7FFF_FFFF;
/// Results that are read from the store at a time.
const RESULTS: u32 = 100;
/// What one of these reads may take.
const READING: Duration = Duration::from_secs(10);
/// When to look again, at the earliest and the latest.
const LOOK_AGAIN: (u64, u64) = (1, 60);

type RawQuery = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Submit a batch
///
/// Up to 10,000 items, each the body of a request for a caption with a `custom_id` of your own beside its fields; as JSON,
/// or as JSON Lines with one item a line. The batch is safe once this answers. Items are written when nobody is kept
/// waiting by it, and count against your limits one by one. What was submitted with a key that is revoked or expires is not
/// begun any more; a key that took its place by rotation goes on with it.
#[utoipa::path(
    post,
    path = "/v1/batches",
    operation_id = "create_batch",
    tag = "batches",
    request_body(content(
        (BatchForm = "application/json"),
        (BatchItem = "application/jsonl")
    )),
    responses(
        (status = 202, description = "Kept", body = BatchDocument, headers(
            ("Location" = String, description = "The address of the batch"),
            ("Retry-After" = u64, description = "Seconds after which it is worth looking")
        )),
        SubmittingBatch
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    call: Call,
    BatchBody(submission): BatchBody,
) -> Result<Response, Failure> {
    let batches = batches(&state)?;
    if let Some(receiver) = &submission.webhook
        && let Some(why) = batches.refuses(receiver)
    {
        return Err(Problem::from(Invalid::new("bad_format", why).at("/webhook")).into());
    }
    if let Some(invalid) = batches.too_many(submission.items.len()) {
        return Err(Problem::from(invalid.at("/items")).into());
    }
    let id = BatchId(call.cx.fresh_id);
    let payer = call.caller.key.as_ref().map(|key| Payer {
        family: key.family.to_string(),
        limits: key.limits,
    });
    let settings = batches.settings();
    let batch = submission.into_batch(id, settings.expiry, payer, settings.most_open(), Uuid::now_v7);
    let kept = async {
        batches.submit(&call.cx, &batch).await?;
        batches.queue().read(&call.cx, id, Page::NONE).await
    };
    let (kept, _) = call
        .within(&state, Code::StoreUnavailable, kept)
        .await??
        .ok_or_else(not_found)?;
    let mut response = (StatusCode::ACCEPTED, Json(document(&kept))).into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("/v1/batches/{id}")) {
        headers.insert(header::LOCATION, value);
    }
    headers.insert(header::RETRY_AFTER, look_again(&kept).into());
    Ok(response)
}

/// Read a batch
///
/// With `wait` the answer comes once the batch is over, or after so many seconds with the batch as it is then.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}",
    operation_id = "read_batch",
    tag = "batches",
    params(
        ("id" = Uuid, Path, description = "The batch's id."),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for its end, 0-60.", minimum = 0, maximum = 60)
    ),
    responses(
        (status = 200, description = "The batch", body = BatchDocument, headers(
            ("Retry-After" = u64, description = "Seconds after which it is worth looking again; only while it is not over")
        )),
        ReadingBatch
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    BatchPath(id): BatchPath,
    query: RawQuery,
) -> Result<Response, Failure> {
    let batches = batches(&state)?;
    let query = parameters(query, &["wait"])?;
    let wait = match query.first() {
        None => 0,
        Some((_, value)) => whole(value, "wait", 0, LONGEST_WAIT)?,
    };
    let batch = if wait == 0 {
        let read = batches.queue().read(&call.cx, id, Page::NONE);
        let read = call.within(&state, Code::StoreUnavailable, read).await??;
        read.map(|(batch, _)| batch)
    } else {
        let wait = Duration::from_secs(wait);
        // Longer than others may take; nothing but its end is waited for.
        let cx = Context {
            deadline: call.cx.deadline + wait,
            ..call.cx.clone()
        };
        let until = tokio::time::Instant::now() + wait;
        tokio::select! {
            batch = batches.wait(&cx, id, until) => batch?,
            // What is known now is better than to be cut off later.
            () = state.lifecycle.draining.cancelled() => {
                let read = batches.queue().read(&call.cx, id, Page::NONE).await?;
                read.map(|(batch, _)| batch)
            }
        }
    };
    Ok(shown(&batch.ok_or_else(not_found)?))
}

/// List batches
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/batches",
    operation_id = "list_batches",
    tag = "batches",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1-100; 20 if not said.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")
    ),
    responses((status = 200, description = "One page", body = BatchPage), ListingBatches)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    call: Call,
    query: RawQuery,
) -> Result<Json<BatchPage>, Failure> {
    let batches = batches(&state)?;
    let mut limit = DEFAULT_PAGE;
    let mut before = None;
    for (name, value) in parameters(query, &["limit", "cursor"])? {
        if name == "limit" {
            limit = u32::try_from(whole(&value, "limit", 1, u64::from(MAX_PAGE))?).unwrap_or(MAX_PAGE);
        } else {
            let cursor = read_cursor(&value);
            before = Some(cursor.ok_or_else(|| Failure::new(Code::InvalidCursor, "the cursor cannot be read"))?);
        }
    }
    let work = batches.queue().list(&call.cx, before, limit + 1);
    let found = call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(Json(BatchPage::of(&found, limit as usize, OffsetDateTime::now_utc())))
}

/// Cancel a batch
///
/// Nothing more of it is begun; what is being written comes to its end, and what is written stays. A batch that is over is
/// left as it is.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/cancel",
    operation_id = "cancel_batch",
    tag = "batches",
    params(("id" = Uuid, Path, description = "The batch's id.")),
    responses((status = 200, description = "The batch as it is now: cancelling, or over", body = BatchDocument), ReadingBatch)
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    call: Call,
    BatchPath(id): BatchPath,
) -> Result<Response, Failure> {
    let work = batches(&state)?.queue().change(&call.cx, id, Change::Cancel);
    let batch = call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(shown(&batch.ok_or_else(not_found)?))
}

/// Try again what failed
///
/// Items that failed, and that may succeed later, are queued again: all but those that failed by what was asked for
/// (`invalid_request`, `prompt_too_long`, `content_refused`) or whose key has ended (`key_inactive`). What succeeded is not
/// written again. Safe to repeat; a batch without such items, or that was cancelled or has expired, is left as it is. It
/// lives as long again from now on, and its webhook is told of its new end.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/retry",
    operation_id = "retry_batch",
    tag = "batches",
    params(("id" = Uuid, Path, description = "The batch's id.")),
    responses((status = 200, description = "The batch as it is now: in progress, or as it was", body = BatchDocument), RetryingBatch)
)]
pub(crate) async fn retry(
    State(state): State<AppState>,
    call: Call,
    BatchPath(id): BatchPath,
) -> Result<Response, Failure> {
    let work = batches(&state)?.retry(&call.cx, id, false);
    let batch = call.within(&state, Code::StoreUnavailable, work).await??;
    Ok(shown(&batch.ok_or_else(not_found)?))
}

/// Fetch the results of a batch
///
/// JSON Lines in the order of the items, once the batch is over. With `partial=true` also before: the lines up to the first item
/// that has no outcome yet. Whoever was cut off goes on with `after`, the index of the last line that was read.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/results",
    operation_id = "read_batch_results",
    tag = "batches",
    params(
        ("id" = Uuid, Path, description = "The batch's id."),
        ("after" = Option<u32>, Query, description = "Begin after the line of this index.", minimum = 0, maximum = 2_147_483_647),
        ("partial" = Option<bool>, Query, description = "Give what there is of a batch that is not over.")
    ),
    responses(
        (status = 200, description = "One line an item", body = ResultLine, content_type = "application/jsonl", headers(
            ("Captions-Batch-State" = String, description = "The state of the batch when the answer began")
        )),
        ReadingResults
    )
)]
pub(crate) async fn results(
    State(state): State<AppState>,
    call: Call,
    BatchPath(id): BatchPath,
    query: RawQuery,
) -> Result<Response, Failure> {
    let batches = batches(&state)?.clone();
    let mut after = None;
    let mut partial = false;
    for (name, value) in parameters(query, &["after", "partial"])? {
        if name == "after" {
            let index = whole(&value, "after", 0, LAST_INDEX)?;
            after = u32::try_from(index).ok();
        } else {
            partial = match value.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(Failure::new(Code::InvalidParameter, "partial is true or false")),
            };
        }
    }
    let page = Page { after, limit: RESULTS };
    let read = batches.queue().read(&call.cx, id, page);
    let read = call.within(&state, Code::StoreUnavailable, read).await??;
    let (batch, first) = read.ok_or_else(not_found)?;
    if !(batch.state.is_over() || partial && !first.is_empty()) {
        let counts = batch.counts;
        let detail = format!("{} of {} items have no outcome yet", counts.open(), counts.total);
        let wait = Duration::from_secs(look_again(&batch));
        return Err(Problem::new(Code::BatchNotReady, detail).wait(Some(wait)).into());
    }
    let lines = Body::from_stream(lines(batches, state, call, id, first));
    let mut response = ([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response();
    response
        .headers_mut()
        .insert("captions-batch-state", HeaderValue::from_static(batch.state.as_str()));
    Ok(response)
}

/// The outcomes as lines, page by page. A store that fails on the way breaks the answer off: it must not look whole.
fn lines(
    batches: Batches,
    state: AppState,
    call: Call,
    id: BatchId,
    first: Vec<Outcome>,
) -> impl Stream<Item = Result<Bytes, Failure>> + Send {
    async_stream::stream! {
        let mut outcomes = first;
        while let Some(last) = outcomes.last().map(|outcome| outcome.index) {
            let mut text = String::new();
            for outcome in &outcomes {
                text.push_str(&result_line(outcome));
                text.push('\n');
            }
            let is_last = outcomes.len() < RESULTS as usize;
            yield Ok(Bytes::from(text));
            if is_last {
                break;
            }
            // Each page has its own time: a client may read slowly.
            let cx = Context {
                deadline: std::time::Instant::now() + READING,
                notes: Arc::default(),
                ..call.cx.clone()
            };
            let page = Page { after: Some(last), limit: RESULTS };
            let read = tokio::select! {
                biased;
                () = state.lifecycle.closing.cancelled() => Err(call.cut_off(Code::ShuttingDown).into()),
                read = batches.queue().read(&cx, id, page) => read.map_err(Failure::from),
            };
            match read {
                Ok(Some((_, next))) => outcomes = next,
                // Its time was up in the meantime.
                Ok(None) => {
                    yield Err(not_found());
                    break;
                }
                Err(failure) => {
                    yield Err(failure);
                    break;
                }
            }
        }
    }
}

fn batches(state: &AppState) -> Result<&Batches, Failure> {
    state
        .batches
        .as_ref()
        .ok_or_else(|| Failure::new(Code::RouteNotFound, "this server takes no batches"))
}

fn not_found() -> Failure {
    Failure::new(Code::BatchNotFound, "no batch is kept under this id")
}

fn document(batch: &Batch) -> BatchDocument {
    BatchDocument::of(batch, OffsetDateTime::now_utc())
}

fn shown(batch: &Batch) -> Response {
    let mut response = Json(document(batch)).into_response();
    if !batch.state.is_over() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, look_again(batch).into());
    }
    response
}

/// Seconds after which it is worth looking again: a tenth of what is left, as far as that is known.
fn look_again(batch: &Batch) -> u64 {
    let (least, most) = LOOK_AGAIN;
    let left = batch.eta(OffsetDateTime::now_utc()).map_or(0, |eta| eta.as_secs() / 10);
    left.clamp(least, most)
}

/// The parameters, all of them known, and each once.
fn parameters(query: RawQuery, known: &'static [&'static str]) -> Result<Vec<(String, String)>, Failure> {
    let wrong = |detail: String| Failure::new(Code::InvalidParameter, detail);
    let Query(query) = query.map_err(|_| wrong("the query is not percent-encoded UTF-8".to_owned()))?;
    for (place, (name, _)) in query.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let hint = nearest(name, known.iter().copied())
                .map(|name| format!(", did you mean {name}?"))
                .unwrap_or_default();
            let all = known.join(" and ");
            return Err(wrong(format!("there are the parameters {all}, not this one{hint}")));
        }
        if query[..place].iter().any(|(other, _)| other == name) {
            return Err(wrong(format!("{name} is given twice")));
        }
    }
    Ok(query)
}

fn whole(value: &str, name: &str, least: u64, most: u64) -> Result<u64, Failure> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        let detail = format!("{name} is a whole number of {least} to {most}");
        Failure::new(Code::InvalidParameter, detail)
    })
}
