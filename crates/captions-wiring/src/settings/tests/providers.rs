use rstest::rstest;
use secrecy::ExposeSecret;

use super::*;
use crate::settings::{Provider, ProviderKind, SecretUrl};

const LISTED: &str = "[[llm.providers]]\nname = 'first'\nkind = 'openai'\nbase_url = 'http://127.0.0.1:9100/v1'\n\
                      [[llm.providers]]\nname = 'second'\nkind = 'local'";

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded
        .settings
        .llm
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect()
}

fn address(provider: &Provider) -> Option<&str> {
    provider.base_url.as_ref().map(SecretUrl::expose)
}

fn key(provider: &Provider) -> Option<&str> {
    provider.api_key.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn a_key_alone_means_the_public_address() {
    let loaded = Machine::new().env("OPENAI_API_KEY", "sk-test").loads();

    assert_eq!(names(&loaded), ["openai"]);
    let provider = &loaded.settings.llm.providers[0];
    assert_eq!(address(provider), Some("https://api.openai.com/v1"));
    assert_eq!(
        (provider.kind, &provider.model, key(provider)),
        (ProviderKind::Openai, &None, Some("sk-test"))
    );
}

#[test]
fn a_base_url_alone_means_no_key() {
    let loaded = Machine::new()
        .env("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
        .env("OPENAI_MODEL", "m")
        .loads();

    let provider = &loaded.settings.llm.providers[0];
    assert_eq!(address(provider), Some("http://127.0.0.1:8000/v1"));
    assert_eq!((provider.model.as_deref(), key(provider)), (Some("m"), None));
    assert_eq!(loaded.origins["llm.providers"], environment("OPENAI_BASE_URL"));
}

#[test]
fn the_provider_of_the_environment_comes_before_the_listed_ones() {
    let machine = Machine::new()
        .file("here/captions.toml", LISTED)
        .env("OPENAI_API_KEY", "sk-test");

    assert_eq!(names(&machine.loads()), ["openai", "first", "second"]);
}

#[test]
fn a_listed_provider_of_that_name_wins_and_keeps_its_place() {
    let listed = LISTED.replace("second", "openai");
    let machine = Machine::new()
        .file("here/captions.toml", &listed)
        .env("OPENAI_API_KEY", "sk-test");

    let loaded = machine.loads();

    assert_eq!(names(&loaded), ["first", "openai"]);
    assert_eq!(loaded.settings.llm.providers[1].kind, ProviderKind::Local);
}

#[test]
fn a_model_without_a_provider_is_an_error_not_a_setting_without_effect() {
    let error = Machine::new().env("OPENAI_MODEL", "m").fails();

    assert!(
        error.contains("OPENAI_MODEL") && error.contains("no effect without"),
        "{error}"
    );
}

#[test]
fn every_value_of_the_environments_provider_reports_its_own_variable() {
    let loaded = Machine::new()
        .env("OPENAI_API_KEY", "sk-test")
        .env("OPENAI_MODEL", "m")
        .loads();

    let expected = [
        r#"llm.providers[0].name = "openai" (environment OPENAI_API_KEY)"#,
        r#"llm.providers[0].base_url = "https://api.openai.com/v1" (default)"#,
        r#"llm.providers[0].model = "m" (environment OPENAI_MODEL)"#,
        r#"llm.providers[0].api_key_env = "OPENAI_API_KEY" (environment OPENAI_API_KEY)"#,
    ];
    for line in expected {
        let key = line.split(' ').next().unwrap();
        assert_eq!(shown(&loaded, key), line);
    }
}

#[test]
fn keys_come_from_the_named_variable_or_file() {
    let listed = "[[llm.providers]]\nname = 'a'\nkind = 'openai'\nbase_url = 'http://h/v1'\napi_key_env = 'CAPTIONS_KEY_OF_A'\n\
                  [[llm.providers]]\nname = 'b'\nkind = 'openai'\nbase_url = 'http://h/v1'\napi_key_file = 'b.key'";
    let machine = Machine::new()
        .file("here/captions.toml", listed)
        .file("here/b.key", "key-of-b\n")
        .env("CAPTIONS_KEY_OF_A", "key-of-a");

    let loaded = machine.loads();

    let keys: Vec<_> = loaded.settings.llm.providers.iter().map(key).collect();
    assert_eq!(keys, [Some("key-of-a"), Some("key-of-b")]);
}

#[rstest]
#[case::variable("api_key_env = 'A_KEY'", "names the variable A_KEY, which is not set")]
#[case::file("api_key_file = 'none.key'", "here/none.key cannot be read")]
#[case::both("api_key_env = 'HOME'\napi_key_file = 'x'", "cannot stand beside api_key_env")]
#[case::the_key_itself("api_key = 'sk-secret'", "`llm.providers[0].api_key_env`")]
#[case::misspelt("modell = 'x'", "`llm.providers[0].model`")]
#[case::no_attempts("max_attempts = 0", "whole number, 1 to 10")]
#[case::unknown_profile("profile = 'opena'", "one of openai, azure")]
#[case::header_that_is_no_text("headers = { X-Team = 5 }", "table of header names and texts")]
#[case::header_with_a_line_end("headers = { X-Team = \"a\\nb\" }", "table of header names and texts")]
#[case::price_of_the_prompt_alone("price_input = 0.15", "`llm.providers[0].price_output` is missing")]
#[case::price_of_the_answer_alone("price_output = 0.6", "`llm.providers[0].price_input` is missing")]
#[case::price_below_zero("price_input = -1", "amount, 0 to 1000000000, at most 6 decimals")]
#[case::price_finer_than_a_millionth("price_input = 0.0000001", "at most 6 decimals")]
#[case::price_as_text("price_input = '0.15'", "at most 6 decimals")]
#[case::wrong_scheme("base_url = 'ftp://h'", "http or https URL")]
fn an_openai_provider_that_cannot_work_is_refused(#[case] line: &str, #[case] expected: &str) {
    let base = if line.contains("base_url") {
        ""
    } else {
        "base_url = 'http://h/v1'"
    };
    let listed = format!("[[llm.providers]]\nname = 'a'\nkind = 'openai'\n{base}\n{line}");
    let machine = Machine::new().file("here/captions.toml", &listed);

    let error = machine.fails();

    assert!(
        error.contains(expected) && error.contains("llm.providers[0]."),
        "{error}"
    );
}

#[rstest]
#[case::no_address("name = 'a'\nkind = 'openai'", "`llm.providers[0].base_url` is missing")]
#[case::no_name("kind = 'local'", "`llm.providers[0].name` is missing")]
#[case::no_kind("name = 'a'", "`llm.providers[0].kind` is missing")]
#[case::wrong_kind("name = 'a'\nkind = 'opena'", "one of openai, local, template")]
#[case::no_effect("name = 'a'\nkind = 'template'\nmodel = 'x'", "has no effect on kind template")]
#[case::price_of_what_is_free(
    "name = 'a'\nkind = 'template'\nprice_input = 1\nprice_output = 1",
    "has no effect on kind template"
)]
#[case::twice(
    "name = 'a'\nkind = 'local'\n[[llm.providers]]\nname = 'a'\nkind = 'template'",
    "earlier provider"
)]
#[case::two_local(
    "name = 'a'\nkind = 'local'\n[[llm.providers]]\nname = 'b'\nkind = 'local'",
    "a second time"
)]
fn a_list_that_contradicts_itself_is_refused(#[case] entry: &str, #[case] expected: &str) {
    let machine = Machine::new().file("here/captions.toml", &format!("[[llm.providers]]\n{entry}"));

    let error = machine.fails();

    assert!(error.contains(expected) && error.contains("captions.toml"), "{error}");
}

#[rstest]
#[case::no_prices("", Some("`budgets.limit` is set, and the provider a has no price_input"))]
#[case::prices("price_input = 0.15\nprice_output = 0.6", None)]
#[case::free("price_input = 0\nprice_output = 0", None)]
fn a_budget_needs_prices(#[case] prices: &str, #[case] refused: Option<&str>) {
    let listed = format!(
        "[budgets]\nlimit = 25\nperiod = 'day'\n[[llm.providers]]\nname = 'a'\nkind = 'openai'\nbase_url = 'http://h/v1'\n{prices}"
    );
    let machine = Machine::new().file("here/captions.toml", &listed);

    if let Some(expected) = refused {
        let error = machine.fails();
        assert!(error.contains(expected), "{error}");
    } else {
        let budgets = machine.loads().settings.budgets;
        assert_eq!(
            (budgets.limit.to_string(), budgets.period.as_str()),
            ("25.00".to_owned(), "day")
        );
    }
}
