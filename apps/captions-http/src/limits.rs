//! How the limits of the caller stand.

use axum::{Json, extract::State};
use captions_api::{
    limits::{BudgetDocument, LimitsStatus},
    problem::Code,
};
use captions_domain::budget::{Spent, Step};

use crate::{call::Call, failure::Failure, openapi::ReadingStats, state::AppState};

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
pub(crate) async fn read(State(state): State<AppState>, call: Call) -> Result<Json<LimitsStatus>, Failure> {
    Ok(Json(LimitsStatus {
        budgets: budgets(&state, &call).await?,
        tenant: call.caller.tenant.as_str().to_owned(),
        key: call.caller.key.as_ref().map(|key| key.id.to_string()),
        limits: call.standing.documents(),
    }))
}

/// The budgets of whoever asks: of its key, and of its tenant.
async fn budgets(state: &AppState, call: &Call) -> Result<Vec<BudgetDocument>, Failure> {
    let (Some(keys), Some(currency)) = (&state.keys, state.currency) else {
        return Ok(Vec::new());
    };
    let now = call.cx.now;
    let mut told = Vec::new();
    for payer in &*call.cx.payers {
        let look = payer.spend(now, Step::Look);
        let stands = call
            .within(state, Code::StoreUnavailable, keys.store.spend(&call.cx, &look))
            .await??;
        let Spent::Stands(balance) = stands else {
            let detail = "the store did not say how the budget stands";
            return Err(Failure::new(Code::Internal, detail));
        };
        told.push(BudgetDocument::of(payer, balance, currency, now));
    }
    Ok(told)
}
