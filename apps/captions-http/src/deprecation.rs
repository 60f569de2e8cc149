//! Addresses that will go. Callers learn it from every answer: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and a link to
//! what to do; readers of the OpenAPI document by its mark.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, header};
use time::{Date, Time, UtcDateTime, format_description::well_known::Rfc2822, macros::date};
use utoipa::openapi::{Deprecated, OpenApi};

use crate::openapi::operation_mut;

/// An address that is outdated: method, path, and when.
pub(crate) type Row = (Method, &'static str, Deprecation);

/// Every one that there is.
pub(crate) const OUTDATED: &[Row] = &[(
    Method::GET,
    "/healthz",
    Deprecation::new(date!(2026 - 11 - 30), date!(2027 - 11 - 30), "/docs#healthz"),
)];

/// When an address became outdated, when it goes, and where that is explained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deprecation {
    since: Date,
    sunset: Date,
    page: &'static str,
}

impl Deprecation {
    /// Both days begin at midnight UTC; `page` is the address of the explanation. In a constant, an end that is not after
    /// the beginning does not compile; elsewhere it panics.
    pub(crate) const fn new(since: Date, sunset: Date, page: &'static str) -> Self {
        assert!(
            since.to_julian_day() < sunset.to_julian_day(),
            "an address cannot go before it is outdated"
        );
        Self { since, sunset, page }
    }

    fn tell(self, headers: &mut HeaderMap) {
        let midnight = |day: Date| UtcDateTime::new(day, Time::MIDNIGHT);
        let since = format!("@{}", midnight(self.since).unix_timestamp());
        // An HTTP date has its zone as a name and not as a number.
        let sunset = midnight(self.sunset).format(&Rfc2822).unwrap_or_default();
        let sunset = sunset.replace("+0000", "GMT");
        let link = format!("<{0}>; rel=\"deprecation\", <{0}>; rel=\"sunset\"", self.page);
        for (name, value) in [
            ("deprecation", since),
            ("sunset", sunset),
            (header::LINK.as_str(), link),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                // There may be links of other kinds.
                headers.append(name, value);
            }
        }
    }
}

/// Has the answers of outdated addresses say so.
pub(crate) async fn tell(request: Request, next: Next) -> Response {
    let method = match request.method() {
        // Answered by what answers GET.
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let row = OUTDATED
        .iter()
        .find(|(known, path, _)| *known == method && route.as_ref().is_some_and(|route| route.as_str() == *path));
    if let Some((.., deprecation)) = row {
        deprecation.tell(response.headers_mut());
    }
    response
}

/// Marks them in the OpenAPI document.
pub(crate) fn describe(document: &mut OpenApi) {
    for (method, path, _) in OUTDATED {
        if let Some(operation) = operation_mut(document, method, path) {
            operation.deprecated = Some(Deprecated::True);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outdated_address_says_since_when_it_is_and_when_it_goes() {
        let mut told = HeaderMap::new();

        OUTDATED[0].2.tell(&mut told);

        assert_eq!(told["deprecation"], "@1795996800");
        assert_eq!(told["sunset"], "Tue, 30 Nov 2027 00:00:00 GMT");
        assert_eq!(
            told["link"],
            "</docs#healthz>; rel=\"deprecation\", </docs#healthz>; rel=\"sunset\""
        );
    }

    #[test]
    #[should_panic(expected = "cannot go before it is outdated")]
    fn an_end_before_the_beginning_is_a_mistake_of_ours() {
        let _ = Deprecation::new(date!(2027 - 05 - 31), date!(2026 - 11 - 30), "/docs");
    }
}
