use captions_testkit::llm::{FakeLlm, Turn};
use rstest::rstest;

use crate::support::Home;

const POST: &str = "golden hour at our Lisbon cafe";

#[rstest]
#[case::key(Turn::bad_key(), 4, "provider_auth")]
#[case::account(Turn::out_of_quota(), 4, "provider_billing")]
#[case::content(Turn::content_refused(), 1, "content_refused")]
#[case::outage(Turn::unavailable(), 5, "provider_unavailable")]
#[case::limit(Turn::rate_limited(), 8, "provider_rate_limited")]
#[case::nonsense(Turn::empty(), 5, "provider_bad_output")]
#[tokio::test]
async fn a_provider_that_fails_ends_with_its_own_code(#[case] turn: Turn, #[case] code: u8, #[case] name: &str) {
    let server = FakeLlm::start().await;
    server.always(turn);
    let home = Home::new().with_provider(&server.base_url());

    let run = home.call(&["generate", POST, "--no-fallback"]).await.ended_with(code);

    assert_eq!(run.stdout, "");
    let run = run.said(&format!("error[{name}]: "));
    assert!(run.stderr.contains("next: "), "{run:?}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_ends_with_five() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let home = Home::new().with_provider(&format!("http://{address}/v1"));

    let run = home.call(&["generate", POST, "--no-fallback"]).await.ended_with(5);

    run.said("error[provider_unavailable]");
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_with_five() {
    let server = FakeLlm::start().await;
    server.always(Turn::silence());
    let home = Home::new().with_provider(&server.base_url());

    let run = home
        .call(&["generate", POST, "--no-fallback", "--timeout", "0.3"])
        .await
        .ended_with(5);

    run.said("error[provider_timeout]");
}

#[tokio::test]
async fn a_fallback_is_no_failure_and_says_what_it_is() {
    let server = FakeLlm::start().await;
    server.always(Turn::unavailable());
    let home = Home::new().with_provider(&server.base_url());

    let run = home.call(&["generate", POST]).await.ended_with(0);

    assert!(!run.stdout.is_empty());
    run.said("degraded: no provider answered; a template was filled in (template_fallback)");
}

#[tokio::test]
async fn a_refusal_is_not_got_round_by_a_template() {
    let server = FakeLlm::start().await;
    server.always(Turn::content_refused());
    let home = Home::new().with_provider(&server.base_url());

    let run = home.call(&["generate", POST]).await.ended_with(1);

    assert_eq!(run.said("error[content_refused]").stdout, "");
}

#[rstest]
#[case::a_variable_that_is_none("CAPTIONS_SERVER__LISTN", "127.0.0.1:1", "CAPTIONS_SERVER__LISTEN")]
#[case::a_value_that_is_none("CAPTIONS_API__TIMEOUT", "soon", "`api.timeout` must be: seconds")]
#[case::a_store_that_is_none("DATABASE_URL", "mongodb://127.0.0.1/x", "mongodb")]
#[case::a_key_that_is_not_set(
    "CAPTIONS_LLM__PROVIDERS",
    r#"[{ name = "a", kind = "openai", base_url = "http://127.0.0.1:1/v1", model = "m", api_key_env = "NOT_SET" }]"#,
    "NOT_SET"
)]
#[tokio::test]
async fn settings_that_cannot_work_end_with_three(#[case] name: &str, #[case] value: &str, #[case] words: &str) {
    let home = Home::new().with(name, value);

    let run = home.call(&["generate", POST]).await.ended_with(3);

    assert_eq!(run.said("error[settings]: ").said(words).stdout, "");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_ends_with_three() {
    let home = Home::new();
    home.file("no-folder", "");
    let url = format!("sqlite:{}/no-folder/captions.db", home.path().display());
    let home = home.with("DATABASE_URL", &url);

    home.call(&["user", "show", "ana"]).await.ended_with(3);
}

#[tokio::test]
async fn a_broken_settings_file_is_named_with_its_line() {
    let home = Home::new();
    home.file("captions.toml", "[api]\ntimeout = = 5\n");

    home.call(&["config", "show"])
        .await
        .ended_with(3)
        .said("captions.toml, line 2");
}

#[tokio::test]
async fn a_missing_settings_file_that_was_asked_for_is_a_failure() {
    let run = Home::new()
        .call(&["config", "show", "--config", "absent.toml"])
        .await
        .ended_with(3);

    run.said("absent.toml cannot be read");
}
