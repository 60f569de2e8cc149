use captions_cli::{Process, Sink, run};
use rstest::rstest;

use crate::support::Home;

#[tokio::test]
async fn every_setting_is_shown_with_its_origin() {
    let home = Home::new().with("CAPTIONS_API__MAX_ATTEMPTS", "2");
    home.file("captions.toml", "[engine]\ndeadline = 7\n");

    let run = home
        .call(&["config", "show", "--origin", "--set", "api.timeout=4"])
        .await
        .ended_with(0);

    let line = |key: &str| {
        run.stdout
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(line("api.timeout = ").ends_with("# flag"), "{run:?}");
    assert!(
        line("api.max_attempts = 2").ends_with("# environment CAPTIONS_API__MAX_ATTEMPTS"),
        "{run:?}"
    );
    assert!(line("engine.deadline = ").contains("captions.toml"), "{run:?}");
    assert!(line("cache.enabled = true").ends_with("# default"), "{run:?}");
}

#[tokio::test]
async fn no_secret_is_shown() {
    let home = Home::new()
        .with("DATABASE_URL", "postgres://ana:hunter2@127.0.0.1/captions")
        .with("OPENAI_API_KEY", "sk-hunter2")
        .with("REDIS_URL", "redis://:hunter2@127.0.0.1/0");

    for args in [
        &["config", "show"][..],
        &["config", "show", "--origin"],
        &["doctor", "--json"],
    ] {
        let run = home.call(args).await;
        assert!(run.stdout.contains("postgres://ana:***@"), "{run:?}");
        assert!(
            !run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"),
            "{run:?}"
        );
    }
}

#[tokio::test]
async fn the_settings_file_is_found() {
    let home = Home::new();
    let here = home.path().join("captions.toml").display().to_string();

    let absent = home.call(&["config", "path"]).await.ended_with(0);
    home.file("captions.toml", "");
    let present = home.call(&["config", "path"]).await.ended_with(0);

    assert_eq!(absent.said("there is no settings file").stdout.trim(), here);
    assert_eq!((present.stdout.trim(), present.stderr.as_str()), (here.as_str(), ""));
}

#[tokio::test]
async fn the_model_has_its_place_before_it_is_there() {
    let home = Home::new();

    let run = home
        .call(&["model", "path"])
        .await
        .ended_with(0)
        .said("captions model pull");

    assert!(run.stdout.starts_with(&home.env["XDG_CACHE_HOME"]), "{run:?}");
    assert!(!home.path().join("cache").exists(), "looking changes nothing");
}

#[tokio::test]
async fn a_wrong_model_file_is_refused() {
    let home = Home::new();
    home.file("model.gguf", "not a model");

    for args in [&["model", "pull"][..], &["generate", "rain on the roof"]] {
        let home = Home::new().without("CAPTIONS_LLM__PROVIDERS").with(
            "CAPTIONS_LOCAL__MODEL_PATH",
            home.path().join("model.gguf").to_str().unwrap(),
        );
        home.call(args)
            .await
            .ended_with(3)
            .said("model.gguf is not the model file");
    }
}

#[tokio::test]
async fn doctor_on_an_empty_home_says_what_to_do_and_changes_nothing() {
    let home = Home::new().without("CAPTIONS_LLM__PROVIDERS");

    let run = home.call(&["doctor"]).await.ended_with(1);
    let json = home.call(&["doctor", "--json"]).await.ended_with(1).document();

    assert!(run.stdout.contains("FAIL  local model: "), "{run:?}");
    assert!(run.stdout.contains("fix: captions model pull"), "{run:?}");
    assert_eq!(json["ok"], false);
    let names: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert!(names.starts_with(&["settings", "store", "cache"]), "{names:?}");
    assert!(!home.path().join("data").exists() && !home.path().join("cache").exists());
}

#[tokio::test]
async fn doctor_is_content_where_nothing_is_missing() {
    let run = Home::new().call(&["doctor"]).await.ended_with(0);

    assert!(!run.stdout.contains("FAIL"), "{run:?}");
}

#[tokio::test]
async fn doctor_reports_settings_that_cannot_be_read() {
    let home = Home::new().with("CAPTIONS_API__TIMEOUT", "soon");

    let json = home.call(&["doctor", "--json"]).await.ended_with(3).document();

    assert_eq!(json["checks"][0]["name"], "settings");
    assert_eq!(json["checks"][0]["ok"], false);
}

#[tokio::test]
async fn doctor_names_a_provider_that_is_away() {
    let home = Home::new().with_provider("http://127.0.0.1:1/v1");

    let run = home.call(&["doctor"]).await.ended_with(5);

    assert!(run.stdout.contains("FAIL  provider primary: "), "{run:?}");
}

#[rstest]
#[case("bash", "_captions()")]
#[case("zsh", "#compdef captions")]
#[case("fish", "complete -c captions")]
#[tokio::test]
async fn completions_are_a_script(#[case] shell: &str, #[case] sign: &str) {
    let run = Home::new().call(&["completions", shell]).await.ended_with(0);

    assert!(run.stdout.contains(sign), "{}", run.stdout);
    assert!(run.stdout.contains("friendly"), "choices are completed too");
}

#[rstest]
#[case(&["--help"], "captions generate \"golden hour at our Lisbon cafe\"")]
#[case(&["generate", "--help"], "Usage: captions generate")]
#[case(&["--version"], "captions 0.")]
#[tokio::test]
async fn help_and_version_are_results(#[case] args: &[&str], #[case] words: &str) {
    let run = Home::new().call(args).await.ended_with(0);

    assert!(run.stdout.contains(words), "{run:?}");
    assert_eq!(run.stderr, "");
}

#[rstest]
#[case(&[], "Usage: captions")]
#[case(&["generat"], "a similar subcommand exists: 'generate'")]
#[case(&["generate", "x", "--tune", "warm"], "'--tone'")]
#[tokio::test]
async fn wrong_usage_is_told_on_stderr(#[case] args: &[&str], #[case] words: &str) {
    let run = Home::new().call(args).await.ended_with(2);

    assert_eq!(run.said(words).stdout, "");
}

#[tokio::test]
async fn what_is_interrupted_ends_with_130() {
    let home = Home::new();
    let (mut stdin, mut stdout, mut stderr) = (std::io::empty(), Vec::new(), Vec::new());
    let process = Process {
        args: ["captions", "user", "show", "ana"].map(Into::into).into(),
        env: home.env.clone(),
        cwd: home.path().to_owned(),
        stdin: &mut stdin,
        stdin_is_terminal: true,
        stdout: (&mut stdout, Sink::Plain),
        stderr: (&mut stderr, Sink::Plain),
        log: false,
    };

    let exit = Box::pin(run(process, std::future::ready(()))).await;

    assert_eq!(exit.code(), 130);
    assert_eq!(String::from_utf8(stderr).unwrap(), "stopped\n");
    assert!(stdout.is_empty());
}
