use rstest::rstest;
use secrecy::ExposeSecret;

use super::*;

/// `whsec_` and the base64 of 24 bytes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const URL: &str = "https://hooks.example.com/services/hush-path?key=hush-query";

fn secrets(loaded: &Loaded) -> Vec<&str> {
    let secrets = loaded.settings.alerts.webhook_secrets.iter();
    secrets.map(ExposeSecret::expose_secret).collect()
}

#[test]
fn nobody_is_told_but_the_log_unless_a_receiver_is_named() {
    let alerts = Machine::new().loads().settings.alerts;

    assert!(alerts.enabled && !alerts.webhook_allow_private);
    assert!(alerts.webhook_url.is_none() && alerts.webhook_secrets.is_empty());
}

#[test]
fn secrets_come_from_the_named_variable_or_file_one_or_several() {
    let variable = Machine::new()
        .flag("alerts.webhook_url", URL)
        .flag("alerts.webhook_secret_env", "CAPTIONS_HOOK_SECRET")
        .env("CAPTIONS_HOOK_SECRET", &format!(" {SECRET}  whsec_older\n"));
    let file = Machine::new()
        .file("here/hook.secret", &format!("{SECRET}\n"))
        .flag("alerts.webhook_url", URL)
        .flag("alerts.webhook_secret_file", "hook.secret");

    assert_eq!(secrets(&variable.loads()), [SECRET, "whsec_older"]);
    assert_eq!(secrets(&file.loads()), [SECRET]);
}

#[test]
fn neither_the_secret_nor_what_stands_behind_the_host_is_printed() {
    let machine = Machine::new()
        .flag("alerts.webhook_url", URL)
        .flag("alerts.webhook_secret_env", "HOOK_SECRET")
        .env("HOOK_SECRET", SECRET);
    let loaded = machine.loads();

    let shown_all: Vec<String> = loaded.show().iter().map(ToString::to_string).collect();
    let printed = format!("{loaded:?} {:?} {shown_all:?}", loaded.settings);

    assert!(!printed.contains("hush") && !printed.contains(SECRET), "{printed}");
    assert_eq!(
        shown(&loaded, "alerts.webhook_url"),
        r#"alerts.webhook_url = "https://hooks.example.com/***" (flag)"#
    );
    assert_eq!(
        shown(&loaded, "alerts.webhook_secret_env"),
        r#"alerts.webhook_secret_env = "HOOK_SECRET" (flag)"#
    );
}

#[rstest]
#[case::unsigned(&[("webhook_url", URL)], "`alerts.webhook_url` needs alerts.webhook_secret_env")]
#[case::no_variable(&[("webhook_url", URL), ("webhook_secret_env", "NO_HOOK")], "names the variable NO_HOOK, which is not set")]
#[case::no_file(&[("webhook_url", URL), ("webhook_secret_file", "none")], "here/none cannot be read")]
#[case::no_secret(&[("webhook_url", URL), ("webhook_secret_env", "HOME")], "`alerts.webhook_secret_env` names is no webhook secret")]
#[case::two_places(
    &[("webhook_url", URL), ("webhook_secret_env", "HOME"), ("webhook_secret_file", "x")],
    "cannot stand beside alerts.webhook_secret_env"
)]
#[case::variable_for_nobody(&[("webhook_secret_env", "HOME")], "has no effect without alerts.webhook_url")]
#[case::file_for_nobody(&[("webhook_secret_file", "x")], "has no effect without alerts.webhook_url")]
#[case::the_secret_itself(&[("webhook_secret_env", SECRET)], "name of an environment variable, or empty")]
#[case::user_in_the_url(&[("webhook_url", "https://me:hush@h/")], "https or http URL without user and password")]
#[case::no_share(&[("database_error_rate", "1.5")], "number, 0 to 1")]
#[case::no_pause(&[("interval", "0")], "seconds, 0.1 to 3600")]
fn what_cannot_work_is_refused_without_repeating_secrets(#[case] flags: &[(&str, &str)], #[case] expected: &str) {
    let machine = flags.iter().fold(Machine::new(), |machine, (key, value)| {
        machine.flag(&format!("alerts.{key}"), value)
    });

    let error = machine.fails();

    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("hush") && !error.contains(SECRET), "{error}");
}
