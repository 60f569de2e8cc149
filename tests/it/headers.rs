//! What the headers of a caption tell is what happened, over the real cache and a scripted provider.

use std::{collections::BTreeMap, time::Duration};

use captions_testkit::llm::{FakeLlm, Turn};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Service, closed_port, description};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

async fn service(llm: &FakeLlm, more: &[(&str, &str)]) -> Service {
    let base_url = llm.base_url();
    let mut env = vec![("OPENAI_BASE_URL", base_url.as_str()), ("OPENAI_MODEL", "m")];
    env.extend(more);
    Service::start(&env).await
}

async fn ask(service: &Service, body: &Value) -> (HeaderMap, Value) {
    let request = service.client.post(format!("{}/v1/captions", service.base));
    let reply = request.json(body).send().await.unwrap();
    (reply.headers().clone(), reply.json().await.unwrap())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// `Server-Timing` as milliseconds by name.
fn timing(headers: &HeaderMap) -> BTreeMap<String, f64> {
    let told = text(headers, "server-timing").unwrap();
    let parts = told.split(", ").map(|part| {
        let (name, time) = part.split_once(";dur=").unwrap();
        (name.to_owned(), time.parse().unwrap())
    });
    parts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caption_is_missed_and_stored_then_found_then_made_anew_and_then_not_looked_for() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let service = service(&llm, &[]).await;
    let mut body = json!({ "content_description": description("Bread on the counter of a bakery") });

    let (missed, document) = ask(&service, &body).await;
    assert_eq!(text(&missed, "cache-status"), Some("captions; fwd=uri-miss; stored"));
    assert_eq!(text(&missed, "age"), None);
    assert_eq!(text(&missed, "captions-fallback"), Some("none"));
    assert_eq!(text(&missed, "captions-attempts"), Some("1"));
    assert_eq!(document["attempts"], 1);
    assert_eq!(text(&missed, "captions-provider"), document["provider"].as_str());
    assert_eq!(text(&missed, "captions-model"), document["model"].as_str());
    assert_eq!(text(&missed, "x-request-id"), document["request_id"].as_str());

    let (found, document) = ask(&service, &body).await;
    let ttl = text(&found, "cache-status").and_then(|told| told.strip_prefix("captions; hit; ttl="));
    // An hour, up to a tenth less by chance.
    assert!((3200..=3600).contains(&ttl.unwrap().parse::<u32>().unwrap()), "{ttl:?}");
    assert!(text(&found, "age").unwrap().parse::<u32>().unwrap() < 60);
    assert_eq!(text(&found, "captions-fallback"), Some("cache"));
    assert_eq!(text(&found, "captions-attempts"), Some("0"));
    assert_eq!(document["source"], "cache");

    body["cache"] = "refresh".into();
    let (anew, _) = ask(&service, &body).await;
    assert_eq!(text(&anew, "cache-status"), Some("captions; fwd=request; stored"));

    body["cache"] = "bypass".into();
    let (past, _) = ask(&service, &body).await;
    assert_eq!(text(&past, "cache-status"), Some("captions; fwd=bypass"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shares_anothers_caption_is_told_so() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(Duration::from_secs(3)));
    let service = service(&llm, &[]).await;
    let body = json!({ "content_description": description("Bread on the counter of a bakery") });

    let ((one, _), (other, _)) = tokio::join!(ask(&service, &body), ask(&service, &body));

    let mut told = [one, other].map(|headers| text(&headers, "cache-status").unwrap().to_owned());
    told.sort();
    assert_eq!(
        told,
        [
            "captions; fwd=uri-miss; stored",
            "captions; fwd=uri-miss; stored; collapsed"
        ]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_nothing_is_told_of_one_that_is_not_there() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let service = service(&llm, &[("CAPTIONS_CACHE__ENABLED", "false")]).await;

    let (headers, _) = ask(&service, &json!({ "content_description": description("Bread") })).await;

    assert_eq!(text(&headers, "cache-status"), Some("captions; fwd=bypass"));
    assert!(!timing(&headers).contains_key("cache"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_told_where_it_was_spent() {
    const THINKS: Duration = Duration::from_millis(400);
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(THINKS));
    let service = service(&llm, &[]).await;
    let body = json!({ "content_description": description("Bread on the counter of a bakery"), "user_id": "ana" });

    let written = timing(&ask(&service, &body).await.0);
    let found = timing(&ask(&service, &body).await.0);

    for part in ["prefs", "cache", "llm", "hashtags", "score", "store", "total"] {
        assert!(written.contains_key(part), "{part} of {written:?}");
    }
    assert!(written["llm"] >= 400.0, "{written:?}");
    let parts: f64 = written
        .iter()
        .filter(|(name, _)| *name != "total")
        .map(|(_, time)| time)
        .sum();
    // Rounding may add a tenth for each.
    assert!(parts <= written["total"] + 1.0, "{written:?}");
    assert!(written["cache"] < 400.0, "the writing is not the look-up: {written:?}");
    // What did not happen is not told: no key was looked at, and what was found was not written again.
    assert!(!written.contains_key("auth"), "{written:?}");
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["cache", "prefs", "total"],
        "{found:?}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stood_in_is_told() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let dead = format!("http://127.0.0.1:{}/v1", closed_port());
    let config = format!(
        "[[llm.providers]]\nname = \"first\"\nkind = \"openai\"\nbase_url = \"{dead}\"\nmodel = \"m\"\n\
         [[llm.providers]]\nname = \"second\"\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"m\"\n",
        llm.base_url()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("captions.toml");
    std::fs::write(&file, config).unwrap();
    let file = file.display().to_string();
    let service = Service::start(&[("CAPTIONS_CONFIG", &file)]).await;

    let body = json!({ "content_description": description("Bread on the counter of a bakery") });
    let (second, document) = ask(&service, &body).await;
    assert_eq!(
        text(&second, "captions-fallback"),
        Some("provider:second"),
        "{document}"
    );
    assert_eq!(text(&second, "captions-degraded"), Some("fallback_provider"));

    llm.always(Turn::server_error());
    let body = json!({ "content_description": description("Rolls on the counter of a bakery") });
    let (template, document) = ask(&service, &body).await;
    assert_eq!(text(&template, "captions-fallback"), Some("template"), "{document}");
    assert_eq!(text(&template, "captions-provider"), Some("template"));
    assert_eq!(text(&template, "captions-degraded"), Some("template_fallback"));
    assert_eq!(text(&template, "cache-status"), Some("captions; fwd=uri-miss"));
    service.stop().await;
}
