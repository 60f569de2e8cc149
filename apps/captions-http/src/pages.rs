//! Pages for people: plain HTML that asks for nothing else, whoever's server it would be on.

pub(crate) mod errors;
pub(crate) mod reference;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

/// The only style, inside each page.
const STYLE: &str = include_str!("pages/style.css");

/// Nothing is loaded, nothing is run, nothing frames it; our style, by its digest, is the exception.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Only visible letters: it always is one. Without the style a page is plainer.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// A whole page. `title` is text, `body` is HTML.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} - Captions</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    (headers, html).into_response()
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// In which form an answer is wanted that comes in three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Html,
    Text,
}

impl Form {
    /// The one that `Accept` likes best; JSON where it likes them the same, or none of them.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        let ranges: Vec<(&str, f32)> = accept
            .iter()
            .flat_map(|line| line.split(','))
            .filter_map(range)
            .collect();
        let liking = |kind: &str, group: &str| {
            let named = |name: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name));
            named(kind)
                .or_else(|| named(group))
                .or_else(|| named("*/*"))
                .map_or(0.0, |(_, quality)| *quality)
        };
        let forms = [
            (Self::Json, liking("application/json", "application/*")),
            (Self::Html, liking("text/html", "text/*")),
            (Self::Text, liking("text/plain", "text/*")),
        ];
        let best = forms
            .into_iter()
            .reduce(|best, form| if form.1 > best.1 { form } else { best });
        best.map_or(Self::Json, |(form, _)| form)
    }
}

/// A media range of an `Accept` and how much it is liked, 0 to 1.
fn range(item: &str) -> Option<(&str, f32)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let quality = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(Some(1.0), |quality| quality.parse().ok())?;
    Some((name, quality))
}

/// `Vary: Accept`, for the forms that [`page`] did not make.
pub(crate) const VARIES: (HeaderName, HeaderValue) = (header::VARY, HeaderValue::from_static("accept"));

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", Form::Json)]
    #[case::curl("*/*", Form::Json)]
    #[case::browser(
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
        Form::Html
    )]
    #[case::text("text/plain", Form::Text)]
    #[case::any_text("text/*", Form::Html)]
    #[case::less_html("text/html;q=0.5, text/plain", Form::Text)]
    #[case::json_last("text/html;q=0.5, application/json;q=0.9", Form::Json)]
    #[case::no_html("text/html;q=0, */*;q=0.1", Form::Json)]
    #[case::none_of_them("image/png", Form::Json)]
    #[case::letters("TEXT/HTML", Form::Html)]
    #[case::broken("text/html;q=high, ;;,", Form::Json)]
    fn the_form_that_is_liked_best_is_given(#[case] accept: &str, #[case] form: Form) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());

        assert_eq!(Form::wanted(&headers), form);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }
}
