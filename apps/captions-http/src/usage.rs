//! What a tenant's callers have used.

use axum::{
    Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use captions_api::{
    problem::Code,
    usage::{self, UsageReport},
};

use crate::{call::Call, failure::Failure, history::link, openapi::ReadingUsage, state::AppState};

/// What a report is about, as the document tells it; it is read by [`usage::read`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct Asked {
    /// From then on (RFC 3339); seven days before `end` if not said.
    #[param(nullable = false, example = "2026-11-01T00:00:00Z")]
    start: Option<String>,
    /// Before then (RFC 3339); now if not said. At most 31 days after `start` by the hour, 366 by the day.
    #[param(nullable = false, example = "2026-12-01T00:00:00Z")]
    end: Option<String>,
    /// The length of a piece of time: `1h`, or `1d` if not said. Days are those of UTC.
    #[param(nullable = false, example = "1d")]
    bucket: Option<String>,
    /// What is told apart within a piece of time: `provider`, `model`, `user` and `key`, with commas between; nothing if not
    /// said.
    #[param(nullable = false, example = "provider,model")]
    group_by: Option<String>,
    /// How many groups, 1-1000; 1000 if not said.
    #[param(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Read the usage
///
/// What the tenant's callers have asked for, what that took, and what the cache has spared them, added up by the hour or by the
/// day. What other processes of the service have done within the last second may not be in it yet, nor what was
/// done while the store was away until it has been brought there. A cursor belongs to the `bucket` and `group_by` that it was given
/// for.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "read_usage",
    tag = "limits",
    params(Asked),
    responses((status = 200, description = "The sums", body = UsageReport, headers(("Link" = Option<String>, description = "The address of the next page, as `rel=\"next\"`"))), ReadingUsage)
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    query: Result<Parameters<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Failure> {
    let Parameters(parameters) =
        query.map_err(|_| Failure::new(Code::InvalidParameter, "the query is not percent-encoded UTF-8"))?;
    let given = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let tenant = &call.cx.tenant;
    let asked = usage::read(given, tenant, call.cx.now).map_err(|invalid| match invalid.code {
        // Each of the two times can be read, and they do not go together.
        "out_of_range" => Failure::from(vec![invalid]),
        "cursor_invalid" => Failure::new(Code::InvalidCursor, invalid.rule),
        _ => Failure::new(Code::InvalidParameter, invalid.rule),
    })?;
    let Some(usage) = &state.usage else {
        return Err(Failure::new(Code::Internal, "this server counts no usage"));
    };
    let reading = usage.report(&call.cx, &asked.query, asked.limit + 1);
    let groups = call.within(&state, Code::StoreUnavailable, reading).await??;
    let report = UsageReport::of(&asked, &groups, tenant, state.currency, usage.kept_since(call.cx.now));
    let next = report.next_cursor.as_ref();
    let next = next.map(|cursor| HeaderValue::from_str(&link("/v1/usage", &parameters, cursor)));
    let mut response = Json(report).into_response();
    if let Some(Ok(next)) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
