//! How callers learn that an address will go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and a link to what to do.

use axum::{Router, middleware, response::Response};
use http::{HeaderValue, header};
use time::{Date, Time, UtcDateTime, format_description::well_known::Rfc2822};

/// When an address became outdated, when it goes, and where that is explained.
#[derive(Debug, Clone, Copy)]
pub struct Deprecation {
    since: Date,
    sunset: Date,
    page: &'static str,
}

impl Deprecation {
    /// Both days begin at midnight UTC; `page` is the address of the explanation. In a constant, an end that is not after
    /// the beginning does not compile; elsewhere it panics.
    pub const fn new(since: Date, sunset: Date, page: &'static str) -> Self {
        assert!(
            since.to_julian_day() < sunset.to_julian_day(),
            "an address cannot go before it is outdated"
        );
        Self { since, sunset, page }
    }

    /// The addresses of `router`, each of whose answers says so.
    pub fn of<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.layer(middleware::map_response(
            move |response| async move { self.tell(response) },
        ))
    }

    fn tell(self, mut response: Response) -> Response {
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
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use time::macros::date;
    use tower::ServiceExt as _;

    use super::*;

    const OLD: Deprecation = Deprecation::new(date!(2026 - 11 - 30), date!(2027 - 05 - 31), "/docs#old");

    #[tokio::test]
    async fn every_answer_of_an_outdated_address_says_when_it_goes_and_others_do_not() {
        let old = OLD.of(Router::new().route("/old", get(|| async { "old" })));
        let app: Router = old.route("/new", get(|| async { "new" }));
        let ask = |path: &str| {
            let request = http::Request::get(path).body(Body::empty()).unwrap();
            app.clone().oneshot(request)
        };

        let told = ask("/old").await.unwrap();
        let header = |name: &str| told.headers().get(name).unwrap().to_str().unwrap().to_owned();

        assert_eq!(header("deprecation"), "@1795996800");
        assert_eq!(header("sunset"), "Mon, 31 May 2027 00:00:00 GMT");
        assert_eq!(
            header("link"),
            "</docs#old>; rel=\"deprecation\", </docs#old>; rel=\"sunset\""
        );
        let silent = ask("/new").await.unwrap();
        assert!(!silent.headers().contains_key("deprecation") && !silent.headers().contains_key("sunset"));
    }

    #[test]
    #[should_panic(expected = "cannot go before it is outdated")]
    fn an_end_before_the_beginning_is_a_mistake_of_ours() {
        let _ = Deprecation::new(date!(2027 - 05 - 31), date!(2026 - 11 - 30), "/docs");
    }
}
