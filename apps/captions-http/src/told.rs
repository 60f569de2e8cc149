//! What headers tell of how an answer came about, for those who do not read bodies.

use std::{fmt::Write as _, time::Duration};

use captions_domain::{
    caption::{Answer, Degraded, Source},
    context::{LookUp, Notes, Why},
    rewrite::{By, Rewritten},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::call::Call;

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("captions-provider");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("captions-model");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("captions-attempts");
pub(crate) const FALLBACK: HeaderName = HeaderName::from_static("captions-fallback");
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("captions-degraded");

/// Of a caption.
pub(crate) fn of_answer(call: &Call, answer: &Answer) -> HeaderMap {
    let caption = &answer.caption;
    let fallback = match answer.source {
        Source::Cache => "cache".to_owned(),
        Source::Stale => "stale".to_owned(),
        Source::Local => "local".to_owned(),
        Source::Template => "template".to_owned(),
        Source::Provider if answer.degraded.contains(&Degraded::FallbackProvider) => {
            format!("provider:{}", caption.provider)
        }
        Source::Provider => "none".to_owned(),
    };
    headers([
        (PROVIDER, Some(caption.provider.clone())),
        (MODEL, Some(caption.model.clone())),
        (ATTEMPTS, Some(answer.attempts.to_string())),
        (FALLBACK, Some(fallback)),
        (DEGRADED, degraded(&answer.degraded)),
        (CACHE_STATUS, call.cx.notes.look_up().map(cache_status)),
        (header::AGE, answer.age.map(|age| age.as_secs().to_string())),
        (SERVER_TIMING, parts(&call.cx.notes)),
    ])
}

/// Of a changed caption, for which no cache is asked.
pub(crate) fn of_rewrite(call: &Call, done: &Rewritten) -> HeaderMap {
    let fallback = match done.by {
        By::Provider if done.degraded.contains(&Degraded::FallbackProvider) => format!("provider:{}", done.provider),
        By::Rules if done.degraded.contains(&Degraded::RulesFallback) => "rules".to_owned(),
        By::Provider | By::Rules => "none".to_owned(),
    };
    headers([
        (PROVIDER, Some(done.provider.clone())),
        (MODEL, Some(done.model.clone())),
        (ATTEMPTS, Some(done.attempts.to_string())),
        (FALLBACK, Some(fallback)),
        (DEGRADED, degraded(&done.degraded)),
        (SERVER_TIMING, parts(&call.cx.notes)),
    ])
}

/// Of what has nothing to tell but where its time went.
pub(crate) fn of_parts(call: &Call) -> HeaderMap {
    headers([(SERVER_TIMING, parts(&call.cx.notes))])
}

/// Of a caption that is still being written: only what is known already.
pub(crate) fn of_stream(call: &Call) -> HeaderMap {
    let known = call.cx.notes.look_up().filter(|how| match how {
        LookUp::Hit { .. } | LookUp::Stale { .. } => true,
        // Whether it is stored shows at its end.
        LookUp::Made { .. } => false,
    });
    headers([(CACHE_STATUS, known.map(cache_status))])
}

fn headers<const N: usize>(told: [(HeaderName, Option<String>); N]) -> HeaderMap {
    told.into_iter()
        // A model may be named in letters that a header cannot hold; the body has it anyway.
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value?).ok()?)))
        .collect()
}

fn degraded(parts: &[Degraded]) -> Option<String> {
    let names: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// `Cache-Status` (RFC 9211), with our cache as the only one.
fn cache_status(how: LookUp) -> String {
    let mut told = "captions".to_owned();
    // Writing to a string cannot fail.
    let _ = match how {
        LookUp::Hit { fresh_for } => write!(told, "; hit; ttl={}", fresh_for.as_secs()),
        // Rounded away from fresh: it never reads as if there were time left.
        LookUp::Stale { past } => write!(told, "; hit; ttl=-{}", past.as_millis().div_ceil(1000).max(1)),
        LookUp::Made { why, shared, stored } => {
            let why = match why {
                Why::Missing => "uri-miss",
                Why::Stale => "stale",
                Why::Wanted => "request",
                Why::Bypassed => "bypass",
            };
            let stored = if stored { "; stored" } else { "" };
            let shared = if shared { "; collapsed" } else { "" };
            write!(told, "; fwd={why}{stored}{shared}")
        }
    };
    told
}

/// `Server-Timing`: milliseconds of the parts that were measured, as handlers tell them; `None` where none was.
fn parts(notes: &Notes) -> Option<String> {
    let parts = notes.times().into_iter().map(|(part, time)| took(part.as_str(), time));
    let parts = parts.collect::<Vec<_>>().join(", ");
    (!parts.is_empty()).then_some(parts)
}

/// The whole header: looking at the key, if there was one, the handler's parts, if it has some, and the total.
pub(crate) fn server_timing(looked: Option<KeyLookedAt>, parts: Option<&str>, total: Duration) -> String {
    let looked = looked.map(|KeyLookedAt(time)| took("auth", time));
    let told = [looked, parts.map(str::to_owned), Some(took("total", total))];
    told.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn took(name: &str, time: Duration) -> String {
    format!("{name};dur={:.1}", time.as_secs_f64() * 1e3)
}

/// How long it took to know the key of a request. An extension of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyLookedAt(pub(crate) Duration);

#[cfg(test)]
mod tests {
    use captions_domain::context::Part;
    use rstest::rstest;

    use super::*;

    const fn made(why: Why, shared: bool, stored: bool) -> LookUp {
        LookUp::Made { why, shared, stored }
    }

    #[rstest]
    #[case::hit(LookUp::Hit { fresh_for: Duration::from_millis(271_900) }, "captions; hit; ttl=271")]
    #[case::stale(LookUp::Stale { past: Duration::from_millis(4100) }, "captions; hit; ttl=-5")]
    #[case::just_stale(LookUp::Stale { past: Duration::ZERO }, "captions; hit; ttl=-1")]
    #[case::missed(made(Why::Missing, false, true), "captions; fwd=uri-miss; stored")]
    #[case::shared(made(Why::Missing, true, true), "captions; fwd=uri-miss; stored; collapsed")]
    #[case::old(made(Why::Stale, false, true), "captions; fwd=stale; stored")]
    #[case::wanted(made(Why::Wanted, false, true), "captions; fwd=request; stored")]
    #[case::bypassed(made(Why::Bypassed, false, false), "captions; fwd=bypass")]
    fn a_look_up_is_told_in_the_words_of_rfc_9211(#[case] how: LookUp, #[case] told: &str) {
        assert_eq!(cache_status(how), told);
    }

    #[test]
    fn only_what_was_measured_is_told() {
        let notes = Notes::default();
        notes.spent(Part::Llm, Duration::from_millis(812));
        notes.spent(Part::Preferences, Duration::from_micros(240));

        let told = parts(&notes).unwrap();
        let looked = KeyLookedAt(Duration::from_micros(110));
        assert_eq!(
            server_timing(Some(looked), Some(&told), Duration::from_millis(815)),
            "auth;dur=0.1, prefs;dur=0.2, llm;dur=812.0, total;dur=815.0"
        );
        assert_eq!(parts(&Notes::default()), None);
        assert_eq!(server_timing(None, None, Duration::from_millis(2)), "total;dur=2.0");
    }
}
