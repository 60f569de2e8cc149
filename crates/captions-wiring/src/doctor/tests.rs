use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres, redis,
};

use super::*;
use crate::machine::Machine;

async fn checks(machine: &Machine) -> Vec<Check> {
    crate::install_crypto();
    doctor(&machine.loads()).await
}

fn find(checks: Vec<Check>, name: &str) -> Check {
    checks.into_iter().find(|check| check.name == name).unwrap()
}

#[tokio::test]
async fn a_fresh_machine_lacks_only_the_model_file() {
    let machine = Machine::new();

    let checks = checks(&machine).await;

    let broken: Vec<&str> = checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(broken, ["local model"]);
    assert_eq!(find(checks, "local model").fix.as_deref(), Some("captions model pull"));
    assert!(!machine.path("home/.local").exists(), "looking has made something");
}

#[tokio::test]
async fn a_store_that_is_up_to_date_is_fine() {
    let machine = Machine::new();
    let settings = machine.loads().settings;
    crate::assemble(&settings).await.unwrap().shutdown().await;

    let store = find(checks(&machine).await, "store");

    assert!(store.ok && store.detail.contains("up to date"), "{store:?}");
}

#[tokio::test]
async fn pending_migrations_are_a_finding_unless_the_next_start_makes_them() {
    let machine = Machine::new().env("DATABASE_URL", &postgres::fresh_database().await);

    let store = find(checks(&machine).await, "store");
    assert!(store.ok && store.detail.contains("users and captions"), "{store:?}");

    let store = find(checks(&machine.flag("database.migrate", "check")).await, "store");
    assert!(!store.ok && store.fix.unwrap().contains("CAPTIONS_DATABASE__MIGRATE=auto"));
}

#[tokio::test]
async fn parts_that_are_away_are_named_with_what_to_do_and_without_passwords() {
    let (mut store, mut cache) = (postgres::Server::start(), redis::Server::start());
    let machine = Machine::new()
        .env(
            "DATABASE_URL",
            &store.url("captions").replace("captions@", "captions:hush@"),
        )
        .env("REDIS_URL", &cache.url().replace("redis://", "redis://:hush@"))
        .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        .env("OPENAI_API_KEY", "sk-hush");
    store.kill();
    cache.kill();

    let checks = checks(&machine).await;

    assert!(!format!("{checks:?}").contains("hush"), "{checks:?}");
    for name in ["store", "cache", "provider openai"] {
        let check = find(checks.clone(), name);
        assert!(!check.ok && check.fix.is_some(), "{check:?}");
    }
}

#[tokio::test]
async fn a_redis_that_answers_is_fine() {
    let server = redis::Server::start();

    let cache = find(checks(&Machine::new().env("REDIS_URL", &server.url())).await, "cache");

    assert!(cache.ok, "{cache:?}");
}

#[tokio::test]
async fn a_provider_is_asked_for_its_models() {
    let server = FakeLlm::start().await;
    server.lists(&["alpha", "beta"]);
    let machine = || Machine::new().env("OPENAI_BASE_URL", &server.base_url());

    let unnamed = find(checks(&machine()).await, "provider openai");
    let named = find(checks(&machine().env("OPENAI_MODEL", "beta")).await, "provider openai");
    let unknown = find(checks(&machine().env("OPENAI_MODEL", "gamma")).await, "provider openai");
    server.models_answer(Turn::bad_key());
    let locked = find(checks(&machine().env("OPENAI_API_KEY", "k")).await, "provider openai");

    assert!(unnamed.ok && unnamed.detail.contains("alpha"), "{unnamed:?}");
    assert!(named.ok, "{named:?}");
    assert!(unknown.fix.unwrap().contains("alpha, beta"));
    assert!(locked.fix.unwrap().contains("OPENAI_API_KEY"));
}

#[tokio::test]
async fn a_webhook_that_can_never_work_is_a_finding_and_none_is_none() {
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let hooked = |url: &str, secret: &str| {
        Machine::new()
            .flag("alerts.webhook_url", url)
            .flag("alerts.webhook_secret_env", "HOOK_SECRET")
            .env("HOOK_SECRET", secret)
    };

    let fine = find(checks(&hooked("https://203.0.114.1/hush", secret)).await, "alerts");
    let private = find(checks(&hooked("https://127.0.0.1/hush", secret)).await, "alerts");
    let unsigned = find(checks(&hooked("https://203.0.114.1/", "whsec_hush")).await, "alerts");
    let off = checks(&hooked("https://127.0.0.1/", secret).flag("alerts.enabled", "false")).await;
    let none = checks(&Machine::new()).await;

    assert!(fine.ok, "{fine:?}");
    assert!(!private.ok && private.detail.contains("not public"), "{private:?}");
    assert!(
        !unsigned.ok && unsigned.detail.contains("base64 of 24 to 64 bytes"),
        "{unsigned:?}"
    );
    for check in [&fine, &private, &unsigned] {
        assert!(!format!("{check:?}").contains("hush"), "{check:?}");
    }
    assert!(off.iter().chain(&none).all(|check| check.name != "alerts"));
}

#[tokio::test]
async fn templates_of_the_operator_are_named() {
    let machine = Machine::new().flag("prompt.folder", "words");
    assert!(
        !checks(&Machine::new())
            .await
            .iter()
            .any(|check| check.name == "prompts")
    );

    let missing = find(checks(&machine).await, "prompts");
    assert!(!missing.ok && missing.detail.contains("cannot be read"), "{missing:?}");

    let own = machine.file("here/words/system.txt", "You write captions.");
    let own = find(checks(&own).await, "prompts");
    assert!(own.ok && own.detail.ends_with("words replaces system.txt"), "{own:?}");
}
