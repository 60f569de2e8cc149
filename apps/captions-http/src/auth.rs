//! Who calls, and whether they may: a key is asked for, and what an address needs stands in one table. What is not in the
//! table is closed.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use captions_api::problem::{Code, Problem};
use captions_domain::{
    budget::{Budget, Payer},
    context::TenantId,
    fault::{FaultKind, StoreError},
    keys::{By, Key, Scope, Scopes, Secret, Standing},
};
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use serde_json::{Map, Value, json};
use utoipa::openapi::{
    OpenApi,
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use crate::{call::Call, failure::Failure, openapi::operation_mut, state::AppState, told::KeyLookedAt};

/// Every address of the router: method, path, and the scope that it needs. `None`: free for everybody, which only probes
/// and documents are. `write` is whatever changes something or costs something.
pub(crate) const ROUTES: &[(Method, &str, Option<Scope>)] = &[
    (Method::GET, "/livez", None),
    (Method::GET, "/readyz", None),
    (Method::GET, "/healthz", None),
    (Method::GET, "/openapi.json", None),
    (Method::GET, "/docs", None),
    (Method::GET, "/errors", None),
    (Method::GET, "/errors/{code}", None),
    (Method::POST, "/v1/captions", Some(Scope::Write)),
    (Method::POST, "/v1/captions/stream", Some(Scope::Write)),
    (Method::GET, "/v1/captions", Some(Scope::Read)),
    (Method::GET, "/v1/captions/export", Some(Scope::Read)),
    (Method::GET, "/v1/captions/{id}", Some(Scope::Read)),
    (Method::PATCH, "/v1/captions/{id}", Some(Scope::Write)),
    (Method::DELETE, "/v1/captions/{id}", Some(Scope::Write)),
    (Method::POST, "/v1/captions/{id}/variants", Some(Scope::Write)),
    (Method::POST, "/v1/captions/{id}/rewrites", Some(Scope::Write)),
    (Method::PUT, "/v1/captions/{id}/feedback", Some(Scope::Write)),
    (Method::POST, "/v1/rewrites", Some(Scope::Write)),
    (Method::POST, "/v1/check", Some(Scope::Read)),
    (Method::POST, "/v1/scores", Some(Scope::Read)),
    (Method::POST, "/v1/hashtags", Some(Scope::Read)),
    (Method::GET, "/v1/users", Some(Scope::Read)),
    (Method::POST, "/v1/users", Some(Scope::Write)),
    (Method::GET, "/v1/users/{id}", Some(Scope::Read)),
    (Method::PATCH, "/v1/users/{id}", Some(Scope::Write)),
    (Method::DELETE, "/v1/users/{id}", Some(Scope::Write)),
    (Method::GET, "/v1/users/{id}/captions", Some(Scope::Read)),
    (Method::GET, "/v1/users/{id}/preferences", Some(Scope::Read)),
    (Method::PUT, "/v1/users/{id}/preferences", Some(Scope::Write)),
    (Method::PATCH, "/v1/users/{id}/preferences", Some(Scope::Write)),
    (Method::DELETE, "/v1/users/{id}/preferences", Some(Scope::Write)),
    (Method::GET, "/v1/users/{id}/results", Some(Scope::Read)),
    (Method::PUT, "/v1/users/{id}/results", Some(Scope::Write)),
    (Method::DELETE, "/v1/users/{id}/results", Some(Scope::Write)),
    (Method::GET, "/v1/users/{id}/voice", Some(Scope::Read)),
    (Method::PUT, "/v1/users/{id}/voice", Some(Scope::Write)),
    (Method::DELETE, "/v1/users/{id}/voice", Some(Scope::Write)),
    (Method::GET, "/v1/users/{id}/suggestions", Some(Scope::Read)),
    (
        Method::DELETE,
        "/v1/users/{id}/suggestions/{suggestion}",
        Some(Scope::Write),
    ),
    (
        Method::POST,
        "/v1/users/{id}/suggestions/{suggestion}/accept",
        Some(Scope::Write),
    ),
    (Method::POST, "/v1/batches", Some(Scope::Write)),
    (Method::GET, "/v1/batches", Some(Scope::Read)),
    (Method::GET, "/v1/batches/{id}", Some(Scope::Read)),
    (Method::POST, "/v1/batches/{id}/cancel", Some(Scope::Write)),
    (Method::POST, "/v1/batches/{id}/retry", Some(Scope::Write)),
    (Method::GET, "/v1/batches/{id}/results", Some(Scope::Read)),
    (Method::GET, "/v1/stats", Some(Scope::Admin)),
    (Method::GET, "/v1/options", Some(Scope::Read)),
    (Method::GET, "/v1/models", Some(Scope::Read)),
    (Method::GET, "/v1/providers", Some(Scope::Read)),
    (Method::POST, "/v1/providers/{id}/probe", Some(Scope::Admin)),
    (Method::GET, "/v1/limits", Some(Scope::Read)),
    (Method::GET, "/v1/usage", Some(Scope::Read)),
    (Method::GET, "/v1/keys", Some(Scope::Admin)),
    (Method::POST, "/v1/keys", Some(Scope::Admin)),
    (Method::GET, "/v1/keys/{id}", Some(Scope::Admin)),
    (Method::PATCH, "/v1/keys/{id}", Some(Scope::Admin)),
    (Method::DELETE, "/v1/keys/{id}", Some(Scope::Admin)),
    (Method::POST, "/v1/keys/{id}/rotate", Some(Scope::Admin)),
];

/// The name of the security scheme in the OpenAPI document.
const SCHEME: &str = "key";

/// Who calls. Put into the extensions of every request that is not free.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    /// `None`: nobody was asked for one.
    pub(crate) key: Option<Key>,
    pub(crate) scopes: Scopes,
}

impl Caller {
    /// Whether it is whoever runs the service: with the scope admin, of the tenant of its command line. Others are told nothing
    /// of what all tenants do together.
    pub(crate) fn is_operator(&self) -> bool {
        self.tenant == TenantId::local() && self.scopes.has(Scope::Admin)
    }

    /// Who pays for what it asks. `usual` is what each tenant may spend.
    pub(crate) fn payers(&self, usual: Option<Budget>) -> Arc<[Payer]> {
        Payer::all(self.key.as_ref().and_then(Key::own_budget), usual)
    }

    /// Whoever reaches a server that asks for no keys.
    pub(crate) fn local() -> Self {
        Self {
            tenant: TenantId::local(),
            key: None,
            scopes: Scopes::all(),
        }
    }
}

/// Lets a request through if its caller may do what the address does.
pub(crate) async fn require(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(route) = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) else {
        // There is nothing at this address, and that is all that is told.
        return next.run(request).await;
    };
    let method = match request.method() {
        // Answered by what answers GET.
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let rows = || ROUTES.iter().filter(|(_, path, _)| *path == route);
    let Some((_, _, scope)) = rows().find(|(known, ..)| known == method) else {
        if rows().next().is_some() {
            return not_allowed(rows().map(|(method, ..)| method));
        }
        tracing::error!(
            route,
            "an address that is not in the table of scopes; nobody may use it"
        );
        return Failure::new(Code::Forbidden, "nobody may use this address").into_response();
    };
    let Some(scope) = *scope else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let is_looked_at = state.keys.is_some() && parts.headers.contains_key(header::AUTHORIZATION);
    let begun = Instant::now();
    let caller = identify(&mut parts, &state).await;
    let looked = is_looked_at.then(|| KeyLookedAt(begun.elapsed()));
    let mut response = match caller {
        Ok(caller) if caller.scopes.has(scope) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(_) => lacking(scope),
        Err(refused) => refused,
    };
    if let Some(looked) = looked {
        response.extensions_mut().insert(looked);
    }
    response
}

/// Who sends this. What is presented is looked at wherever it is not needed too: a key that counts for nothing must not seem
/// to count.
async fn identify(parts: &mut Parts, state: &AppState) -> Result<Caller, Response> {
    let Some(keys) = &state.keys else {
        return Ok(Caller::local());
    };
    let secret = match presented(&parts.headers) {
        Ok(Some(secret)) => secret,
        Ok(None) if keys.required => return Err(unauthenticated("the request has no key", false)),
        Ok(None) => return Ok(Caller::local()),
        Err(why) => return Err(unauthenticated(&why, true)),
    };
    let call = Call::from_parts(parts, state).map_err(IntoResponse::into_response)?;
    let found = call
        .within(
            state,
            Code::StoreUnavailable,
            keys.store.find(&call.cx, By::Digest(secret.digest())),
        )
        .await
        .map_err(IntoResponse::into_response)?;
    let key = match found {
        Ok(Some(key)) => key,
        Ok(None) => return Err(unauthenticated("there is no such key", true)),
        Err(error) => return Err(Failure::from(unknown(&error)).into_response()),
    };
    match key.standing(call.cx.now) {
        Standing::Active => Ok(Caller {
            tenant: key.tenant.clone(),
            scopes: key.scopes,
            key: Some(key),
        }),
        Standing::Expired => Err(unauthenticated("the key has expired", true)),
        Standing::Revoked => Err(unauthenticated("the key was revoked", true)),
    }
}

/// The key of a request: `Authorization: Bearer captions_...`, once, and nowhere else.
fn presented(headers: &HeaderMap) -> Result<Option<Secret>, String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("the request has more than one Authorization header".to_owned());
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let token = token.ok_or_else(|| "the Authorization header is not Bearer and a key".to_owned())?;
    Secret::parse(token).map(Some).map_err(|why| why.to_string())
}

/// Nothing is known of the key, and nobody can be asked. That is never told as the caller's fault.
fn unknown(error: &StoreError) -> Problem {
    match error {
        StoreError::Fault(fault) if matches!(fault.kind, FaultKind::RateLimited { .. }) => {
            let detail = "too many unknown keys were tried on this server at the moment";
            Problem::new(Code::RateLimited, detail).wait(fault.retry_after())
        }
        error => {
            let mut problem = Problem::from(error);
            problem.detail = format!("the key could not be looked up: {}", problem.detail);
            problem
        }
    }
}

/// 401, with how to do it right (RFC 6750).
fn unauthenticated(why: &str, is_presented: bool) -> Response {
    let mut response = Failure::new(Code::Unauthenticated, why).into_response();
    // Without credentials no error is named.
    let challenge = if is_presented {
        HeaderValue::from_static("Bearer realm=\"captions\", error=\"invalid_token\"")
    } else {
        HeaderValue::from_static("Bearer realm=\"captions\"")
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// 403, with the scope that lacks.
fn lacking(scope: Scope) -> Response {
    let name = scope.as_str();
    let detail = format!("the key lacks the scope {name}");
    let mut response = Failure::new(Code::Forbidden, detail).into_response();
    let challenge = format!("Bearer realm=\"captions\", error=\"insufficient_scope\", scope=\"{name}\"");
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// 405, before anybody is asked for a key: the methods of an address are no secret.
fn not_allowed<'a>(methods: impl Iterator<Item = &'a Method>) -> Response {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    let mut response = Failure::new(Code::MethodNotAllowed, "this address does not know the method").into_response();
    if let Ok(allowed) = HeaderValue::from_str(&names.join(",")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Adds to the OpenAPI document how one says who one is, and what each operation needs.
pub(crate) fn describe(document: &mut OpenApi) {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some(
        "A key from `captions key create`. On a server that listens on loopback only, none is needed unless its settings \
         say so (`auth.required`)."
            .to_owned(),
    );
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    for (method, path, scope) in ROUTES {
        let Some(scope) = scope else { continue };
        if let Some(operation) = operation_mut(document, method, path) {
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope.as_str()])]);
        }
    }
}

/// Says in the OpenAPI document that keys may be left out. One that is presented counts all the same.
pub(crate) fn make_optional(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for operation in paths
        .filter_map(|(_, item)| item.as_object_mut())
        .flat_map(Map::values_mut)
    {
        if let Some(ways) = operation.get_mut("security").and_then(Value::as_array_mut) {
            ways.insert(0, json!({}));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

    /// The addresses in the first column of the page's first table: `GET`, `PUT /path?query` are two of one path.
    fn named_by_the_page(page: &str) -> BTreeSet<String> {
        let table = page.lines().skip_while(|line| !line.starts_with("| method and path"));
        let rows = table.skip(2).take_while(|line| line.starts_with('|'));
        let mut named = BTreeSet::new();
        for row in rows {
            let mut methods = Vec::new();
            for code in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
                let (method, path) = code.split_once(' ').unwrap_or((code, ""));
                if !METHODS.contains(&method) {
                    continue;
                }
                methods.push(method);
                if !path.is_empty() {
                    let path = path.split('?').next().unwrap();
                    named.extend(methods.drain(..).map(|method| format!("{method} {path}")));
                }
            }
        }
        named
    }

    /// The inventory. Router and document are made of the same list of handlers.
    #[test]
    fn every_address_of_the_router_is_in_the_table_of_scopes_and_in_the_documents_and_nothing_else_is() {
        let document = crate::openapi();
        let paths = document["paths"].as_object().unwrap().iter();
        let routed: BTreeSet<String> = paths
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let rows: Vec<String> = ROUTES
            .iter()
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();

        assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), routed);
        assert_eq!(rows.len(), routed.len(), "a row stands twice");
        assert_eq!(named_by_the_page(include_str!("../../../docs/API.md")), routed);
    }
}
