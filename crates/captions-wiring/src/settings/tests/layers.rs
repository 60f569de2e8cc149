use std::time::Duration;

use rstest::rstest;

use super::*;

/// One key in every layer at once, from the highest layer down.
#[rstest]
#[case::flag(6, 6, "flag")]
#[case::long_name(5, 5, "environment CAPTIONS_API__TIMEOUT")]
#[case::short_name(4, 4, "environment API_TIMEOUT")]
#[case::local_file(3, 3, "file HERE")]
#[case::xdg_file(2, 2, "file XDG")]
#[case::default(1, 10, "default")]
fn each_layer_stands_over_the_ones_below(#[case] layers: u8, #[case] seconds: u64, #[case] origin: &str) {
    let mut machine = Machine::new();
    if layers >= 2 {
        machine = machine.file("home/.config/captions/config.toml", "[api]\ntimeout = 2");
    }
    if layers >= 3 {
        machine = machine.file("here/captions.toml", "[api]\ntimeout = 3.0");
    }
    if layers >= 4 {
        machine = machine.env("API_TIMEOUT", "4");
    }
    if layers >= 5 {
        machine = machine.env("CAPTIONS_API__TIMEOUT", "5.0");
    }
    if layers >= 6 {
        machine = machine.flag("api.timeout", "6");
    }

    let loaded = machine.loads();

    assert_eq!(loaded.settings.api.timeout, Duration::from_secs(seconds));
    let found = loaded.origins["api.timeout"].to_string();
    let found = found.replace(&machine.path("here/captions.toml").display().to_string(), "HERE");
    let found = found.replace(
        &machine.path("home/.config/captions/config.toml").display().to_string(),
        "XDG",
    );
    assert_eq!(found, origin);
}

#[test]
fn a_layer_changes_only_the_keys_that_it_names() {
    let machine = Machine::new().file("here/captions.toml", "[api.breaker]\nfailure_threshold = 9");

    let loaded = machine.loads();

    assert_eq!(loaded.settings.api.breaker.failure_threshold, 9);
    assert!(loaded.settings.api.breaker.enabled);
    assert_eq!(loaded.origins["api.breaker.enabled"], Origin::Default);
}

#[test]
fn the_flag_names_the_file_before_the_variable_does_and_both_before_the_folders() {
    let machine = Machine::new()
        .file("here/captions.toml", "[api]\nmax_attempts = 1")
        .file("variable.toml", "[api]\nmax_attempts = 2")
        .file("flag.toml", "[api]\nmax_attempts = 3");
    let variable = machine.path("variable.toml").display().to_string();
    let mut machine = machine.env("CAPTIONS_CONFIG", &variable);

    assert_eq!(machine.loads().file, Some(machine.path("variable.toml")));
    assert_eq!(machine.loads().settings.api.max_attempts, 2);
    machine.sources.config_flag = Some(machine.path("flag.toml"));
    assert_eq!(machine.loads().settings.api.max_attempts, 3);
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let machine = Machine::new().env("CAPTIONS_CONFIG", "missing.toml");

    assert!(machine.fails().contains("here/missing.toml cannot be read"));
}

#[rstest]
#[case("DATABASE_URL", "postgres://h/d", "database.url", r#""postgres://h/d""#)]
#[case("REDIS_URL", "redis://h", "redis.url", r#""redis://h""#)]
#[case("API_TIMEOUT", "30.0", "api.timeout", "30")]
#[case("MAX_CONNECTIONS", "100", "api.max_connections", "100")]
#[case(
    "RUST_LOG",
    "warn,captions_http=debug",
    "log.filter",
    r#""warn,captions_http=debug""#
)]
fn short_names_are_honoured_and_reported(
    #[case] name: &str,
    #[case] value: &str,
    #[case] key: &str,
    #[case] expected: &str,
) {
    let loaded = Machine::new().env(name, value).loads();

    assert_eq!(shown(&loaded, key), format!("{key} = {expected} (environment {name})"));
}

#[test]
fn an_empty_short_name_counts_as_unset() {
    let loaded = Machine::new().env("DATABASE_URL", "").env("API_TIMEOUT", "").loads();

    assert_eq!(loaded.origins["database.url"], Origin::Default);
    assert_eq!(loaded.settings.api.timeout, Duration::from_secs(10));
}

#[test]
fn lists_and_words_and_numbers_can_come_from_the_environment() {
    let loaded = Machine::new()
        .env("CAPTIONS_LLM__PROVIDERS", r#"[{name = "t", kind = "template"}]"#)
        .env("CAPTIONS_DATABASE__POOL_SIZE", "7")
        .env("CAPTIONS_REDIS__POOL_SIZE", "auto")
        .env("CAPTIONS_CACHE__ENABLED", "false")
        .loads();

    assert_eq!(loaded.settings.llm.providers[0].name, "t");
    assert_eq!(loaded.settings.database.connections(1), 7);
    assert_eq!(
        shown(&loaded, "redis.pool_size"),
        r#"redis.pool_size = "auto" (environment CAPTIONS_REDIS__POOL_SIZE)"#
    );
    assert!(!loaded.settings.cache.enabled);
}

#[rstest]
#[case::section("[databse]\nurl = 'x'", "`databse.url`", "`database.url`")]
#[case::key("[database]\npol_size = 3", "`database.pol_size`", "`database.pool_size`")]
#[case::top("listn = 'x'", "`listn`", ".listen`")]
#[case::empty_section("[fallbak]", "`fallbak`", "`fallback.")]
#[case::nested("[api.braker]\nenabled = true", "`api.braker.enabled`", "`api.breaker.enabled`")]
fn an_unknown_key_in_the_file_is_refused_with_the_nearest(#[case] text: &str, #[case] key: &str, #[case] near: &str) {
    let machine = Machine::new().file("here/captions.toml", text);

    let error = machine.fails();

    assert!(
        error.contains("here/captions.toml") && error.contains(key) && error.contains(near),
        "{error}"
    );
}

#[rstest]
#[case("nope.key")]
#[case("zzz")]
fn a_key_that_looks_like_none_gets_no_suggestion(#[case] key: &str) {
    let error = Machine::new().flag(key, "x").fails();

    assert!(
        error.contains(&format!("unknown key `{key}`; no known one is like it")),
        "{error}"
    );
}

#[test]
fn an_unknown_variable_of_ours_is_refused_with_the_nearest_variable() {
    let error = Machine::new().env("CAPTIONS_SERVER__LISTN", "x").fails();

    assert!(error.contains("environment CAPTIONS_SERVER__LISTN"), "{error}");
    assert!(error.contains("`CAPTIONS_SERVER__LISTEN`"), "{error}");
}

#[test]
fn variables_of_others_are_none_of_our_business() {
    Machine::new().env("CAPTION", "x").env("MY_CAPTIONS_X", "y").loads();
    // Of the command line, which asks a server.
    Machine::new()
        .env("CAPTIONS_URL", "http://localhost:8080")
        .env("CAPTIONS_API_KEY", "x")
        .env("CAPTIONS_API_KEY_FILE", "y")
        .loads();
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest() {
    let error = Machine::new().flag("log.fmt", "json").fails();

    assert!(
        error.contains("flag: unknown key `log.fmt`") && error.contains("`log.format`"),
        "{error}"
    );
}

#[rstest]
#[case::word_for_number("API_TIMEOUT", "soon", "`api.timeout`", "seconds, 0.01 to 600", "\"soon\"")]
#[case::too_long("API_TIMEOUT", "601", "`api.timeout`", "seconds, 0.01 to 600", "601")]
#[case::negative("API_TIMEOUT", "-1", "`api.timeout`", "seconds, 0.01 to 600", "-1")]
#[case::no_number("API_TIMEOUT", "NaN", "`api.timeout`", "seconds, 0.01 to 600", "nan")]
#[case::endless(
    "CAPTIONS_ENGINE__DEADLINE",
    "inf",
    "`engine.deadline`",
    "seconds, 0.1 to 600",
    "inf"
)]
#[case::fraction("MAX_CONNECTIONS", "1.5", "`api.max_connections`", "whole number, 1 to 65536", "1.5")]
#[case::zero("MAX_CONNECTIONS", "0", "`api.max_connections`", "whole number, 1 to 65536", "0")]
#[case::huge(
    "MAX_CONNECTIONS",
    "99999999999999999999",
    "`api.max_connections`",
    "whole number",
    "9999"
)]
#[case::yes("CAPTIONS_CACHE__ENABLED", "yes", "`cache.enabled`", "true or false", "\"yes\"")]
#[case::word(
    "CAPTIONS_DATABASE__MIGRATE",
    "maybe",
    "`database.migrate`",
    "one of auto, check, never",
    "\"maybe\""
)]
#[case::auto(
    "CAPTIONS_DATABASE__POOL_SIZE",
    "many",
    "`database.pool_size`",
    "auto, or whole number",
    "\"many\""
)]
#[case::address("CAPTIONS_SERVER__LISTEN", "8080", "`server.listen`", "address and port", "\"8080\"")]
#[case::filter("RUST_LOG", "captions=loud", "`log.filter`", "filter directives", "captions=loud")]
fn a_wrong_value_names_the_key_the_rule_and_the_variable(
    #[case] name: &str,
    #[case] value: &str,
    #[case] key: &str,
    #[case] rule: &str,
    #[case] found: &str,
) {
    let error = Machine::new().env(name, value).fails();

    for part in [&format!("environment {name}"), key, rule, found] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
}

#[rstest]
#[case::text_for_seconds("[api]\ntimeout = '5'", "`api.timeout`")]
#[case::number_for_flag("[cache]\nenabled = 1", "`cache.enabled`")]
#[case::flag_for_number("[api]\nmax_attempts = true", "`api.max_attempts`")]
#[case::number_for_text("[log]\nfilter = 5", "`log.filter`")]
#[case::table_for_value("[server.listen]\nx = 1", "`server.listen`")]
#[case::value_for_section("database = 5", "`database`")]
#[case::table_for_list("[llm.providers]\nname = 'x'", "`llm.providers`")]
#[case::entry_that_is_no_table("[llm]\nproviders = [1]", "`llm.providers[0]`")]
fn a_wrong_type_in_the_file_is_refused(#[case] text: &str, #[case] key: &str) {
    let machine = Machine::new().file("here/captions.toml", text);

    let error = machine.fails();

    assert!(error.contains("here/captions.toml") && error.contains(key), "{error}");
}

#[test]
fn a_wrong_value_is_refused_even_where_a_higher_layer_hides_it() {
    let machine = Machine::new()
        .file("here/captions.toml", "[api]\ntimeout = 0")
        .env("API_TIMEOUT", "3");

    assert!(machine.fails().contains("captions.toml"));
}

#[test]
fn a_syntax_error_names_the_file_and_the_line() {
    let machine = Machine::new().file("here/captions.toml", "[api]\ntimeout = 3\nmax_attempts =\n");

    assert!(machine.fails().contains("here/captions.toml, line 3: "));
}

#[rstest]
#[case::here("127.0.0.1:8080", "auto", Some(false))]
#[case::here_6("[::1]:8080", "auto", Some(false))]
#[case::everybody("0.0.0.0:8080", "auto", Some(true))]
#[case::asked_here("127.0.0.1:8080", "always", Some(true))]
#[case::open_here("127.0.0.1:8080", "never", Some(false))]
#[case::open_to_all("0.0.0.0:8080", "never", None)]
#[case::open_to_a_neighbour("192.168.1.2:8080", "never", None)]
fn a_server_that_others_reach_asks_for_keys_unless_an_operator_means_it_not_to(
    #[case] listen: &str,
    #[case] required: &str,
    #[case] is_asked: Option<bool>,
) {
    let machine = Machine::new()
        .env("CAPTIONS_SERVER__LISTEN", listen)
        .env("CAPTIONS_AUTH__REQUIRED", required);

    if let Some(is_asked) = is_asked {
        let settings = machine.loads().settings;
        assert_eq!(settings.auth.is_required(settings.server.listen), is_asked);
    } else {
        let error = machine.fails();
        assert!(
            error.contains("CAPTIONS_AUTH__REQUIRED") && error.contains("auth.allow_remote = true"),
            "{error}"
        );
        let settings = machine.flag("auth.allow_remote", "true").loads().settings;
        assert!(!settings.auth.is_required(settings.server.listen));
    }
}

#[rstest]
#[case::none("", "false", true)]
#[case::loopback("127.0.0.1:9091", "false", true)]
#[case::loopback_6("[::1]:9091", "false", true)]
#[case::everybody("0.0.0.0:9091", "false", false)]
#[case::a_neighbour("192.168.1.2:9091", "false", false)]
#[case::meant("0.0.0.0:9091", "true", true)]
fn the_listener_for_operators_is_reached_by_others_only_if_that_is_meant(
    #[case] listen: &str,
    #[case] allow_remote: &str,
    #[case] is_taken: bool,
) {
    let machine = Machine::new()
        .env("CAPTIONS_ADMIN__LISTEN", listen)
        .flag("admin.allow_remote", allow_remote);

    if is_taken {
        let admin = machine.loads().settings.admin;
        assert_eq!(admin.listen.is_none(), listen.is_empty());
    } else {
        let error = machine.fails();
        assert!(
            error.contains("CAPTIONS_ADMIN__LISTEN") && error.contains("admin.allow_remote = true"),
            "{error}"
        );
    }
}
