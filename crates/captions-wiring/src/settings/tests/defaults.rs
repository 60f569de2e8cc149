use std::{fs, path::Path, time::Duration};

use captions_domain::prompt::Size;
use captions_openai::profile::Profile;
use secrecy::ExposeSecret;

use super::*;
use crate::settings::{
    Migrate, PoolSize, ProviderKind, config_doc, defaults_toml,
    reference::sections,
    rule::{KEYS, PROVIDER_KEYS},
};

#[test]
fn every_key_of_the_defaults_has_a_rule_and_the_other_way_round() {
    let sections = sections(defaults_toml());
    let written: Vec<&str> = sections
        .iter()
        .flat_map(|section| &section.entries)
        .map(|entry| &*entry.key)
        .collect();

    let ruled: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();

    assert_eq!(written, ruled);
}

#[test]
fn the_comment_of_every_default_ends_with_its_rule_and_says_what_the_key_does() {
    for entry in sections(defaults_toml()).iter().flat_map(|section| &section.entries) {
        let (_, rule) = KEYS.iter().find(|(key, _)| *key == entry.key).unwrap();
        assert_eq!(entry.rule, rule.to_string(), "{}", entry.key);
        assert!(!entry.effect.is_empty(), "{} says nothing", entry.key);
    }
}

/// The settings refuse a key without a field and a field without a default, so loading is the whole comparison.
#[test]
fn the_defaults_alone_fill_every_field() {
    let settings = Machine::new().loads().settings;

    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.engine.deadline, Duration::from_secs(20));
    assert_eq!(settings.database.pool_size, PoolSize::Auto);
    assert_eq!(settings.database.migrate, Migrate::Auto);
    assert_eq!(settings.database.statement_timeout, Duration::from_secs(3));
    assert_eq!(settings.redis.read_timeout, Duration::from_millis(50));
    assert_eq!(settings.api.timeout, Duration::from_secs(10));
    assert_eq!(settings.api.retry_delay, Duration::from_millis(250));
    assert_eq!(settings.api.max_connections, 8192);
    assert!(settings.redis.url.is_none() && settings.local.model_path.is_none());
    assert!(settings.prompt.folder.is_none());
    assert_eq!(
        (
            settings.fallback.stale,
            settings.fallback.local,
            settings.fallback.template
        ),
        (true, false, true)
    );
}

#[test]
fn every_key_of_a_provider_has_a_field() {
    let values = |key: &str| match key {
        "name" | "model" => "\"x\"",
        "kind" => "\"openai\"",
        "base_url" => "\"http://127.0.0.1:1/v1\"",
        "api_key_env" => "\"A_KEY\"",
        "ca_file" => "\"ca.pem\"",
        "profile" => "\"lm_studio\"",
        "prompt" => "\"compact\"",
        "vision" => "true",
        "headers" => "{ X-Team = \"t\" }",
        "max_attempts" => "2",
        "price_input" => "0.15",
        "price_output" => "3",
        _ => "1.5",
    };
    let keys = PROVIDER_KEYS.iter().filter(|(key, ..)| *key != "api_key_file");
    let entry: Vec<String> = keys.map(|(key, ..)| format!("{key} = {}", values(key))).collect();
    let machine = Machine::new()
        .file(
            "here/captions.toml",
            &format!("[[llm.providers]]\n{}", entry.join("\n")),
        )
        .env("A_KEY", "k");

    let loaded = machine.loads();

    let provider = &loaded.settings.llm.providers[0];
    assert_eq!(provider.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(provider.max_attempts, Some(2));
    assert_eq!(provider.profile, Some(Profile::LmStudio));
    assert!(provider.vision);
    assert_eq!(provider.price_input, "0.15".parse().ok());
    assert_eq!(provider.price_output, "3.00".parse().ok());
    assert_eq!(provider.prompt, Size::Compact);
    assert_eq!(provider.headers["X-Team"].expose_secret(), "t");
    let listed = loaded
        .show()
        .iter()
        .filter(|shown| shown.key.starts_with("llm.providers[0]."))
        .count();
    assert_eq!(listed, PROVIDER_KEYS.len() - 1);
}

#[test]
fn with_nothing_set_the_store_is_a_file_in_the_data_folder_and_the_writer_is_the_local_model() {
    let machine = Machine::new();

    let settings = machine.loads().settings;

    let expected = machine.path("home/.local/share/captions/captions.db");
    assert_eq!(settings.database.url.expose(), format!("sqlite:{}", expected.display()));
    assert_eq!(
        settings.spool.path,
        Some(machine.path("home/.local/share/captions/spool.db"))
    );
    assert_eq!(settings.cache_folder, Some(machine.path("home/.cache/captions")));
    let [provider] = settings.llm.providers.as_slice() else {
        panic!("one provider")
    };
    assert_eq!(
        (provider.name.as_str(), provider.kind),
        ("local-smollm2", ProviderKind::Local)
    );
}

#[test]
fn absolute_xdg_folders_are_used_and_relative_ones_ignored() {
    let machine = Machine::new().env("XDG_CACHE_HOME", "relative");
    let data = machine.path("data");

    let settings = machine
        .env("XDG_DATA_HOME", &data.display().to_string())
        .loads()
        .settings;

    assert_eq!(
        settings.database.url.expose(),
        format!("sqlite:{}/captions/captions.db", data.display())
    );
    assert!(settings.cache_folder.unwrap().ends_with("home/.cache/captions"));
}

#[test]
fn a_machine_without_a_home_needs_a_database_url() {
    let mut machine = Machine::new();
    machine.sources.env.remove("HOME");

    assert!(machine.fails().contains("set HOME, XDG_DATA_HOME or database.url"));
    let settings = machine.env("DATABASE_URL", "sqlite:/tmp/x.db").loads().settings;
    assert_eq!(settings.cache_folder, None);
    assert_eq!(settings.spool.path, None);
}

#[test]
fn the_path_of_the_spool_starts_from_the_folder_and_is_shown_whole() {
    let machine = Machine::new().flag("spool.path", "waiting.db");

    let loaded = machine.loads();

    let expected = machine.path("here/waiting.db");
    assert_eq!(loaded.settings.spool.path.as_deref(), Some(expected.as_path()));
    let shown = loaded.show().iter().find(|shown| shown.key == "spool.path").unwrap();
    assert_eq!(shown.value, format!("\"{}\"", expected.display()));
}

#[test]
fn automatic_pool_sizes_follow_the_machine_and_stay_in_bounds() {
    let settings = Machine::new().loads().settings;

    let sizes = [1, 2, 8, 64].map(|cpus| (settings.database.connections(cpus), settings.redis.connections(cpus)));

    assert_eq!(sizes, [(4, 1), (4, 2), (16, 4), (20, 4)]);
}

#[test]
fn the_page_of_settings_is_the_one_made_from_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");

    let page = fs::read_to_string(path).unwrap_or_default();

    assert!(
        page == config_doc(),
        "docs/CONFIG.md is out of date: cargo run -p captions-wiring --example config_doc > docs/CONFIG.md"
    );
}

#[test]
fn of_the_time_for_draining_a_fifth_is_for_the_background() {
    let shares = ["0", "10", "25", "300"].map(|seconds| {
        let server = Machine::new()
            .flag("server.drain_timeout", seconds)
            .loads()
            .settings
            .server;
        [server.time_for_requests(), server.time_for_background()].map(|time| time.as_secs())
    });

    assert_eq!(shares, [[0, 0], [8, 2], [20, 5], [295, 5]]);
}
