//! What the server has done so far, in figures.

use axum::{Json, extract::State};
use captions_api::problem::Code;
use captions_wiring::monitor::Summary;

use crate::{call::Call, failure::Failure, openapi::ReadingStats, state::AppState};

/// Statistics
///
/// What this process was asked for and what it asked of its store, its cache and its providers: how often, how that ended,
/// how long it took. Counts and sums are those since the start; parts named `recent`, and the rates and times of `database`
/// and `api`, those of the last `window` seconds. `null` where there is nothing to divide by. Nothing in it names a user.
/// They are of all tenants together, so they are for the operator alone: a key of the tenant `local` with the scope admin.
#[utoipa::path(
    get,
    path = "/v1/stats",
    operation_id = "read_stats",
    tag = "health",
    responses((status = 200, description = "The figures", body = Summary), ReadingStats)
)]
pub(crate) async fn read(State(state): State<AppState>, call: Call) -> Result<Json<Summary>, Failure> {
    if !call.caller.is_operator() {
        let detail = "the figures are of all tenants together: they are for the operator's own tenant, local";
        return Err(Failure::new(Code::Forbidden, detail));
    }
    Ok(Json(state.monitor.summary()))
}
