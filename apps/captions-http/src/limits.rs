//! How the limits of the caller stand.

use axum::Json;
use captions_api::limits::LimitsStatus;

use crate::{call::Call, failure::Failure, openapi::ReadingStats};

/// Read the limits
///
/// Those of whoever asks, as the `RateLimit` fields of this answer tell them. This request counts.
#[utoipa::path(
    get,
    path = "/v1/limits",
    operation_id = "read_limits",
    tag = "limits",
    responses((status = 200, description = "The limits, none where nothing is limited", body = LimitsStatus), ReadingStats)
)]
pub(crate) async fn read(call: Call) -> Result<Json<LimitsStatus>, Failure> {
    Ok(Json(LimitsStatus {
        tenant: call.caller.tenant.as_str().to_owned(),
        key: call.caller.key.as_ref().map(|key| key.id.to_string()),
        limits: call.standing.documents(),
    }))
}
