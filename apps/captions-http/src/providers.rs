//! Who writes captions here, and how they are.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use captions_api::{
    problem::Code,
    providers::{LastError, ModelDocument, ModelsDocument, ProbeDocument, ProviderDocument, ProvidersDocument},
};
use captions_wiring::ProviderStatus;

use crate::{
    call::Call,
    failure::Failure,
    openapi::{Probing, ReadingStats},
    state::AppState,
};

/// List the providers
///
/// In the order in which they are asked, each with its health as far as it is known without a call, its circuit breaker, what
/// it can do, and what it last failed with. No addresses and no keys. How it fares with the requests of all tenants (`detail`,
/// `breaker`, `last_error`) is for the operator alone, a key of the tenant `local` with the scope admin; `null` for others.
#[utoipa::path(
    get,
    path = "/v1/providers",
    operation_id = "list_providers",
    tag = "health",
    responses((status = 200, description = "The providers", body = ProvidersDocument), ReadingStats)
)]
pub(crate) async fn list(State(state): State<AppState>, call: Call) -> Json<ProvidersDocument> {
    let mut data = documents(&state).await;
    if !call.caller.is_operator() {
        for provider in &mut data {
            provider.detail = None;
            provider.breaker = None;
            provider.last_error = None;
        }
    }
    Json(ProvidersDocument { data })
}

/// List the models
///
/// Those that the providers of this server are set to, one for each provider.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "health",
    responses((status = 200, description = "The models", body = ModelsDocument), ReadingStats)
)]
pub(crate) async fn models(State(state): State<AppState>, _call: Call) -> Json<ModelsDocument> {
    let providers = documents(&state).await;
    Json(ModelsDocument {
        data: providers.into_iter().map(ModelDocument::from).collect(),
    })
}

/// Probe a provider
///
/// Makes one small real call through the provider's own limits and breaker, within 10 seconds, and tells what came of it. A
/// provider that fails is no failure of the request: `ok` is false then, with the problem that a caption would have had. It
/// is the operator who pays for it: it takes a key of the tenant `local` with the scope admin.
#[utoipa::path(
    post,
    path = "/v1/providers/{id}/probe",
    operation_id = "probe_provider",
    tag = "health",
    params(("id" = String, Path, description = "The provider's name.")),
    responses((status = 200, description = "What came of it", body = ProbeDocument), Probing)
)]
pub(crate) async fn probe(
    State(state): State<AppState>,
    call: Call,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<ProbeDocument>, Failure> {
    if !call.caller.is_operator() {
        return Err(Failure::new(
            Code::Forbidden,
            "a call to a provider is the operator's to make, who pays for it: it takes a key of the tenant local",
        ));
    }
    let unknown = || Failure::new(Code::ProviderNotFound, "no provider is named so");
    let Ok(Path(id)) = path else { return Err(unknown()) };
    let work = state.providers.probe(&call.cx, &id);
    let probed = call
        .within(&state, Code::ProviderTimeout, work)
        .await?
        .ok_or_else(unknown)?;
    let document = ProbeDocument::of(id, probed.model, probed.took, probed.attempts, &probed.outcome);
    Ok(Json(document))
}

async fn documents(state: &AppState) -> Vec<ProviderDocument> {
    state.providers.check().await.into_iter().map(document).collect()
}

fn document(status: ProviderStatus) -> ProviderDocument {
    ProviderDocument {
        healthy: status.ok,
        detail: status.why.map(Into::into),
        breaker: status.breaker,
        last_error: status.last_failure.map(|(error, at)| LastError::of(&error, at)),
        ..ProviderDocument::of(&status.description, status.role.as_str())
    }
}
