//! What a tenant's callers have used.

use axum::{
    Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
};
use captions_api::{
    problem::Code,
    usage::{self, UsageReport},
};
use captions_domain::usage::Query;

use crate::{call::Call, failure::Failure, openapi::ReadingUsage, state::AppState};

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
}

/// Read the usage
///
/// What the tenant's callers have asked for, what that took, and what the cache has spared them, added up by the hour or by the
/// day. What other processes of the service have done within the last second may not be in it yet, nor what was
/// done while the store was away until it has been brought there.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "read_usage",
    tag = "limits",
    params(Asked),
    responses((status = 200, description = "The sums", body = UsageReport), ReadingUsage)
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    call: Call,
    query: Result<Parameters<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<UsageReport>, Failure> {
    let Parameters(given) =
        query.map_err(|_| Failure::new(Code::InvalidParameter, "the query is not percent-encoded UTF-8"))?;
    let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = usage::read(given, call.cx.now).map_err(|invalid| match invalid.code {
        // Each of the two times can be read, and they do not go together.
        "out_of_range" => Failure::from(vec![invalid]),
        _ => Failure::new(Code::InvalidParameter, invalid.rule),
    })?;
    let Some(usage) = &state.usage else {
        return Err(Failure::new(Code::Internal, "this server counts no usage"));
    };
    let reading = usage.report(&call.cx, &query, Query::MOST_GROUPS + 1);
    let groups = call.within(&state, Code::StoreUnavailable, reading).await??;
    Ok(Json(UsageReport::of(
        &query,
        &groups,
        state.currency,
        usage.kept_since(call.cx.now),
    )))
}
