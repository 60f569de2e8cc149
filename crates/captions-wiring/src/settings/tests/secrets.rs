use std::fmt::Write as _;

use rstest::rstest;

use super::*;
use crate::settings::SecretUrl;

/// Everything that is printed of settings that hold a secret in every place where one may stand.
#[test]
fn no_secret_is_shown_or_debugged() {
    let listed = "[[llm.providers]]\nname = 'a'\nkind = 'openai'\nbase_url = 'http://h/v1?key=hush-query'\napi_key_env = 'A_KEY'\n\
                  [[llm.providers]]\nname = 'b'\nkind = 'openai'\nbase_url = 'http://h/v1'\napi_key_file = 'b.key'\n\
                  headers = { X-Key = 'hush-header' }";
    let machine = Machine::new()
        .file("here/captions.toml", listed)
        .file("here/b.key", "hush-file")
        .env("A_KEY", "hush-variable")
        .env("OPENAI_API_KEY", "hush-openai")
        .env(
            "DATABASE_URL",
            "postgres://me:hush-store@db/captions?sslpassword=hush-tls",
        )
        .env("REDIS_URL", "rediss://:hush-cache@cache:6380/1");
    let loaded = machine.loads();

    let mut printed = format!("{loaded:?} {:?} {}", loaded.settings, loaded.settings.database.url);
    for shown in loaded.show() {
        writeln!(printed, "{shown} {:?}", shown.origin).unwrap();
    }

    assert!(!printed.contains("hush"), "{printed}");
    assert!(shown(&loaded, "database.url").contains("postgres://me:***@db/captions?sslpassword=***"));
    assert!(shown(&loaded, "llm.providers[2].headers").contains(r#"{ "X-Key" = "***" }"#));
    assert!(shown(&loaded, "redis.url").contains("rediss://:***@cache:6380/1"));
    assert_eq!(
        loaded.settings.redis.url.unwrap().expose(),
        "rediss://:hush-cache@cache:6380/1"
    );
}

#[rstest]
#[case::url_without_scheme("DATABASE_URL", "me:hush@db", "`database.url`")]
#[case::url_of_a_server("OPENAI_BASE_URL", "https://me:hush@h/v1", "OPENAI_BASE_URL")]
#[case::broken_key("OPENAI_API_KEY", "hush\nhush", "`llm.providers[0].api_key_env`")]
#[case::list("CAPTIONS_LLM__PROVIDERS", "api_key = hush", "`llm.providers`")]
#[case::key_for_a_name(
    "CAPTIONS_LLM__PROVIDERS",
    "[{name='a', kind='openai', base_url='http://h', api_key_env='gsk_hush'}]",
    "api_key_env"
)]
#[case::key_as_a_setting(
    "CAPTIONS_LLM__PROVIDERS",
    "[{name='a', kind='openai', base_url='http://h', api_key='hush'}]",
    "`llm.providers[0].api_key`"
)]
fn an_error_about_a_secret_does_not_repeat_it(#[case] name: &str, #[case] value: &str, #[case] expected: &str) {
    let error = Machine::new().env(name, value).fails();

    assert!(!error.contains("hush"), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_syntax_error_does_not_quote_its_line() {
    let machine = Machine::new().file(
        "here/captions.toml",
        "[database]\nurl = \"postgres://me:hush@db\" oops\n",
    );

    let error = machine.fails();

    assert!(!error.contains("hush") && error.contains("line 2"), "{error}");
}

#[rstest]
#[case("sqlite:/var/lib/captions.db", "sqlite:/var/lib/captions.db")]
#[case("postgres://db/captions", "postgres://db/captions")]
#[case("postgres://me:p%40ss@db:5432/captions#x", "postgres://me:***@db:5432/captions")]
#[case(
    "redis+unix:///run/redis.sock?pass=hush&db=1",
    "redis+unix:///run/redis.sock?pass=***&db=***"
)]
#[case("hush", "***")]
#[case("me:hush@db", "***")]
fn a_url_is_shown_without_what_may_be_secret(#[case] url: &str, #[case] expected: &str) {
    assert_eq!(SecretUrl::new(url).redacted(), expected);
}
