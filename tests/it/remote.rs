//! The command line answers the same from a server as from this process: documents, words, exit codes.

use std::collections::BTreeMap;

use captions_testkit::{
    llm::{FakeLlm, Turn},
    receiver::Receiver,
};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::{Ran, Service, captions, closed_port, environment};

/// Settings with no provider but the template writer.
const TEMPLATE: (&str, &str) = (
    "CAPTIONS_LLM__PROVIDERS",
    r#"[{ name = "template", kind = "template" }]"#,
);

/// What differs from one run to the next, whoever answers.
const FLEETING: [&str; 17] = [
    "id",
    "at",
    "request_id",
    "processing_time",
    "created_at",
    "updated_at",
    "given_at",
    "started_at",
    "finished_at",
    "expires_at",
    "results_url",
    "key",
    "family",
    "last_four",
    "as_of",
    "revoked_at",
    // A client sends a key with each call, and the answer is kept under it.
    "kept_answers",
];

fn lasting(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let lasting = |(name, value): (String, Value)| {
                // The id of a user is chosen by the caller.
                let is_fleeting = FLEETING.contains(&name.as_str()) && value != "ana" && !value.is_null();
                let value = if is_fleeting { json!("...") } else { lasting(value) };
                (name, value)
            };
            Value::Object(fields.into_iter().map(lasting).collect())
        }
        Value::Array(items) => items.into_iter().map(lasting).collect(),
        other => other,
    }
}

/// One home, from which commands are answered here and by a server, each with a store of its own.
struct Doors {
    service: Service,
    here: BTreeMap<String, String>,
    there: BTreeMap<String, String>,
    home: TempDir,
}

impl Doors {
    async fn open(service: &[(&str, &str)]) -> Self {
        let home = tempdir().unwrap();
        let service = Service::start(service).await;
        Self {
            here: environment(&home, &[TEMPLATE]),
            // Of the settings that are set here nothing counts.
            there: environment(&home, &[("CAPTIONS_URL", &service.base)]),
            service,
            home,
        }
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    /// Runs it through both and returns what they agree on. stdout is a document, or text without anything fleeting.
    async fn agree(&self, args: &[&str]) -> Ran {
        let here = captions(self.here.clone(), args).await;
        let there = captions(self.there.clone(), args).await;
        let shown = |text: &str| serde_json::from_str(text).map_or_else(|_| text.into(), lasting);
        assert_eq!(shown(&there.stdout), shown(&here.stdout), "{args:?}");
        assert_eq!(
            there.exit.code(),
            here.exit.code(),
            "{args:?}: {} / {}",
            there.stderr,
            here.stderr
        );
        if here.exit.code() != 0 {
            assert_eq!(there.stderr, here.stderr, "{args:?}");
        }
        there
    }

    /// The id of the newest caption for the user, here and there.
    async fn newest(&self, env: &BTreeMap<String, String>) -> String {
        let page = captions(env.clone(), &["history", "ana", "--json"]).await;
        let page: Value = serde_json::from_str(&page.stdout).unwrap();
        page["data"][0]["id"].as_str().unwrap().to_owned()
    }
}

const ABOUT: &str = "A folding electric bike in front of the station";

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_judged_and_written_alike() {
    let doors = Doors::open(&[TEMPLATE]).await;

    for args in [
        &["generate", ABOUT, "--seed", "7", "-n", "2", "--json"][..],
        &["generate", ABOUT, "--seed", "7", "--stream", "--json"],
        &["generate", ABOUT, "--tone", "warm"],
        &["generate", ABOUT, "--min-score", "100", "--quiet"],
        &["check", "Too many: #a1 #b1 #c1 #d1 #e1 #f1", "--json"],
        &["check", "Golden hour at the cafe. #LisbonCafe", "--platform", "x"],
        &["score", "Ride on, fold up, get in.", "-d", ABOUT, "--json"],
        &[
            "score",
            "Ride on, fold up, get in.",
            "-d",
            ABOUT,
            "--min-score",
            "99",
            "--quiet",
        ],
        &["hashtags", ABOUT, "--json"],
        &["rewrite", "It  is warm ,come by!", "--fix", "--json"],
        &["adapt", "It is warm, come by! #a1 #b1 #c1 #d1", "--to", "x"],
    ] {
        doors.agree(args).await;
    }
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_all_that_is_theirs_live_alike() {
    let doors = Doors::open(&[TEMPLATE]).await;
    doors.file("own.txt", "We bake.\n---\nWe bake at six.\n---\nWe bake, you eat!\n");
    doors.file("posts.csv", "posted_at,likes\n2026-01-02,120\n2026-01-03,90\n");

    for args in [
        &["user", "create", "ana", "--name", "Ana"][..],
        &["user", "create", "ana"],
        &["user", "show", "ana", "--json"],
        &["user", "show", "bob"],
        &[
            "prefs",
            "set",
            "ana",
            "tone=warm",
            "hashtag_count=2",
            "avoid=cheap,deal",
        ],
        &["prefs", "get", "ana", "--json"],
        &["generate", ABOUT, "--user", "ana", "--seed", "7", "--json"],
        &["history", "ana", "--json"],
        &["history", "nobody"],
        &["history", "--id", "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21"],
        &["usage", "--since", "1h", "--by", "user,provider", "--json"],
        &["usage", "--since", "1h", "--by", "user"],
        &["usage", "--by", "modell"],
        &["feedback", "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21", "used"],
        &["voice", "learn", "ana", "own.txt"],
        &["voice", "show", "ana", "--json"],
        &["voice", "suggestions", "ana", "--json"],
        &["voice", "accept", "ana", "emoji-none"],
        &["voice", "dismiss", "ana", "emoji-none"],
        &["voice", "forget", "ana", "--json"],
        &["results", "import", "ana", "posts.csv", "--json"],
        &["results", "show", "ana"],
        &["results", "forget", "ana"],
        &["results", "show", "ana", "--json"],
        &["prefs", "reset", "ana", "--json"],
        // Who is not there yet is created by a wish, and by nothing else.
        &["prefs", "set", "carl", "tone="],
        &["prefs", "set", "carl", "tone=calm", "--json"],
        &["voice", "learn", "dora", "own.txt", "--json"],
        &["results", "import", "emil", "posts.csv", "--json"],
        &["results", "forget", "nobody"],
    ] {
        doors.agree(args).await;
    }
    let (mine, theirs) = (doors.newest(&doors.here).await, doors.newest(&doors.there).await);
    for (env, id) in [(&doors.here, mine), (&doors.there, theirs)] {
        let kept = captions(
            env.clone(),
            &["feedback", &id, "edited", "--text", "Fold, ride.", "--json"],
        )
        .await;
        assert_eq!(kept.exit.code(), 0, "{}", kept.stderr);
    }
    let page = doors.agree(&["history", "ana", "--json"]).await;
    assert!(page.stdout.contains("Fold, ride."), "{}", page.stdout);
    doors.agree(&["user", "delete", "ana", "--json"]).await;
    doors.agree(&["user", "delete", "ana"]).await;
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_written_followed_and_read_alike() {
    let doors = Doors::open(&[TEMPLATE]).await;
    let batches = doors.service.state.batches.clone().unwrap();
    batches.work(captions_api::batch::FORMS, 2, None);
    doors.file(
        "in.csv",
        "custom_id,content_description,seed\na,Bread on the counter of a bakery,7\nb,Rain on the roof of a cafe,7\n",
    );
    let run = |out| ["batch", "run", "in.csv", "-o", out, "--json"];
    let document = |ran: &Ran| lasting(serde_json::from_str(&ran.stdout).unwrap());

    let here = captions(doors.here.clone(), &run("here.jsonl")).await;
    let there = captions(doors.there.clone(), &run("there.jsonl")).await;

    assert_eq!((here.exit.code(), there.exit.code()), (0, 0), "{}", there.stderr);
    assert_eq!(document(&there), document(&here));
    let lines = |name: &str| {
        let text = std::fs::read_to_string(doors.home.path().join(name)).unwrap();
        let lines = text.lines().map(|line| lasting(serde_json::from_str(line).unwrap()));
        lines.collect::<Vec<Value>>()
    };
    assert_eq!(lines("there.jsonl").len(), 2);
    assert_eq!(lines("there.jsonl"), lines("here.jsonl"));
    let id = |ran: &Ran| {
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        document["id"].as_str().unwrap().to_owned()
    };
    // As the server wrote it, byte by byte.
    let results = captions(doors.there.clone(), &["batch", "results", &id(&there)]).await;
    let kept = std::fs::read_to_string(doors.home.path().join("there.jsonl")).unwrap();
    assert_eq!(results.stdout, kept);
    let rest = captions(doors.there.clone(), &["batch", "results", &id(&there), "--after", "0"]).await;
    assert_eq!(rest.stdout.lines().count(), 1);
    for command in ["status", "wait", "cancel", "retry"] {
        let shown = captions(doors.there.clone(), &["batch", command, &id(&there), "--json"]).await;
        assert_eq!(document(&shown), document(&there), "{command}");
    }
    doors.agree(&["batch", "status", "--json"]).await;
    let nowhere = "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21";
    for command in ["status", "wait", "cancel", "retry", "results"] {
        doors.agree(&["batch", command, nowhere]).await;
    }
    doors.agree(&run("here.jsonl")).await;
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_goes_on_with_the_batch_that_the_server_has() {
    let llm = FakeLlm::start().await;
    let settings = [
        ("OPENAI_BASE_URL", llm.base_url()),
        ("OPENAI_MODEL", "m".to_owned()),
        ("CAPTIONS_BATCHES__POLL", "0.05".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let doors = Doors::open(&settings).await;
    doors.file(
        "in.jsonl",
        "{\"content_description\":\"Bread\"}\n{\"content_description\":\"Rain\"}\n",
    );
    let run = ["batch", "run", "in.jsonl", "-o", "out.jsonl", "--resume", "--json"];
    // Nobody works on it yet: it is followed until somebody stops.
    let followed = captions(doors.there.clone(), &run);
    drop(tokio::time::timeout(std::time::Duration::from_secs(5), followed).await);
    let journals = doors.home.path().join(".local/state/captions/batches");
    let journal = std::fs::read_dir(journals).unwrap().next().unwrap().unwrap().path();
    let entry: Value = serde_json::from_str(&std::fs::read_to_string(&journal).unwrap()).unwrap();
    // Stopped even before the answer to the submission was written down.
    let early = json!({ "batch": entry["batch"], "input": entry["input"] });
    std::fs::write(&journal, early.to_string()).unwrap();
    std::fs::remove_file(doors.home.path().join("out.jsonl")).unwrap();
    let batches = doors.service.state.batches.clone().unwrap();
    batches.work(captions_api::batch::FORMS, 2, None);

    let resumed = captions(doors.there.clone(), &run).await;

    assert_eq!(resumed.exit.code(), 0, "{}", resumed.stderr);
    let document: Value = serde_json::from_str(&resumed.stdout).unwrap();
    assert_eq!(document["id"], entry["at_server"]);
    let out = std::fs::read_to_string(doors.home.path().join("out.jsonl")).unwrap();
    assert_eq!((out.lines().count(), llm.count()), (2, 2));
    let again = captions(doors.there.clone(), &run).await;
    assert_eq!(again.exit.code(), 0, "{}", again.stderr);
    assert_eq!(
        std::fs::read_to_string(doors.home.path().join("out.jsonl")).unwrap(),
        out
    );
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_shown_changed_replaced_and_revoked_alike() {
    let doors = Doors::open(&[TEMPLATE]).await;
    let mut ids = Vec::new();
    for env in [&doors.here, &doors.there] {
        let args = [
            "key",
            "create",
            "--name",
            "ci",
            "--scopes",
            "read",
            "--expires",
            "90d",
            "--json",
        ];
        let made = captions(env.clone(), &args).await;
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        assert!(made["key"].as_str().unwrap().starts_with("captions_"));
        let id = made["id"].as_str().unwrap().to_owned();
        let shown = captions(env.clone(), &["key", "show", &id, "--json"]).await;
        let mut shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        shown["key"] = made["key"].clone();
        assert_eq!(shown, made);
        let changed = captions(env.clone(), &["key", "budget", &id, "2.5", "--period", "day"]).await;
        assert!(changed.stderr.contains("2.50 a day"), "{}", changed.stderr);
        let args = ["key", "rotate", &id, "--grace", "12h"];
        let rotated = captions(env.clone(), &args).await;
        assert!(rotated.stdout.starts_with("captions_"), "{}", rotated.stderr);
        assert!(
            rotated.stderr.contains("ends after the grace of 12h"),
            "{}",
            rotated.stderr
        );
        let revoked = captions(env.clone(), &["key", "revoke", &id]).await;
        assert_eq!(revoked.exit.code(), 0, "{}", revoked.stderr);
        let again = captions(env.clone(), &["key", "rotate", &id]).await;
        assert_eq!(again.exit.code(), 1);
        assert!(
            again
                .stderr
                .starts_with(&format!("error[key_inactive]: only an active key is rotated; {id}"))
        );
        ids.push(id);
    }

    let listed = doors.agree(&["key", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let states: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["status"])
        .collect();
    assert_eq!(states, ["active", "revoked"]);
    for args in [
        &["key", "create", "--scopes", "wirte"][..],
        &["key", "create", "--expires", "2020-01-01"],
        &["key", "budget", "1", "5"],
        &["key", "budget", &ids[0], "none", "--period", "day"],
        &["key", "revoke", "1"],
    ] {
        doors.agree(args).await;
    }
    let strange = captions(doors.there.clone(), &["key", "show", &ids[0]]).await;
    assert_eq!(strange.exit.code(), 1);
    assert!(strange.stderr.starts_with("error[key_not_found]"), "{}", strange.stderr);
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_goes_on_where_the_page_before_ended() {
    let doors = Doors::open(&[TEMPLATE]).await;
    for about in ["the first loaf", "the second loaf", "the third loaf"] {
        doors.agree(&["generate", about, "--user", "ana", "--json"]).await;
    }

    let page = captions(doors.there.clone(), &["history", "ana", "--limit", "2", "--json"]).await;
    let page: Value = serde_json::from_str(&page.stdout).unwrap();
    for before in [page["next_cursor"].as_str(), page["data"][1]["id"].as_str()] {
        let rest = captions(
            doors.there.clone(),
            &["history", "ana", "--before", before.unwrap(), "--json"],
        )
        .await;
        let rest: Value = serde_json::from_str(&rest.stdout).unwrap();
        assert_eq!(rest["data"].as_array().map(Vec::len), Some(1), "{rest}");
        assert_eq!(rest["data"][0]["content_description"], "the first loaf");
    }
    doors.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_servers_provider_ends_as_one_of_ours() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::bad_key());
    let provider = [("OPENAI_BASE_URL", llm.base_url()), ("OPENAI_MODEL", "m".to_owned())];
    let settings: Vec<(&str, &str)> = provider.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let doors = Doors::open(&settings).await;

    let args = ["generate", ABOUT, "--no-fallback"];
    let ran = captions(doors.there.clone(), &args).await;

    assert_eq!(ran.exit.code(), 4, "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("error[provider_auth]: no caption: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("next: The operator has to set a valid key"),
        "{}",
        ran.stderr
    );
    doors.service.stop().await;
}

#[tokio::test]
async fn the_key_and_the_time_go_with_the_request() {
    let home = tempdir().unwrap();
    std::fs::write(home.path().join("key"), "captions_abc\n").unwrap();
    let server = Receiver::answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    let url = server.url("/below");
    for (name, value) in [("CAPTIONS_API_KEY", "captions_abc"), ("CAPTIONS_API_KEY_FILE", "key")] {
        let env = environment(&home, &[("CAPTIONS_URL", "http://nowhere.invalid"), (name, value)]);

        let ran = captions(env, &["generate", ABOUT, "--timeout", "2", "--server", &url]).await;

        assert_eq!(ran.exit.code(), 4, "{}", ran.stderr);
        assert!(!ran.stderr.contains("captions_abc"), "{}", ran.stderr);
        let request = server.requests().pop().unwrap();
        assert_eq!(request.line, "POST /below/v1/captions HTTP/1.1");
        assert_eq!(request.headers["authorization"], "Bearer captions_abc");
        assert_eq!(request.headers["request-timeout-ms"], "2000");
    }
}

#[rstest]
#[case::settings(&["check", "text", "--set", "api.timeout=5"], "--set changes nothing at a server")]
#[case::a_file(&["check", "text", "--config", "captions.toml"], "--config changes nothing at a server")]
#[case::doctor(&["doctor"], "captions doctor has no answer from a server")]
#[case::jobs(&["batch", "wait", "0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21", "-j", "4"], "--jobs changes nothing at a server")]
#[case::rate(&["batch", "run", "in.jsonl", "-o", "out", "--rate", "4/min"], "--rate changes nothing at a server")]
#[case::again(&["batch", "run", "in.jsonl", "-o", "out", "--retry-failed"], "--retry-failed changes nothing at a server")]
#[case::tenant(&["key", "list", "--tenant", "acme"], "--tenant changes nothing at a server")]
#[case::limits(&["key", "create", "--requests-per-hour", "5"], "--requests-per-hour changes nothing at a server")]
#[case::eval(&["eval"], "captions eval has no answer from a server")]
#[case::prompt(&["prompt", "show", "a loaf of bread"], "captions prompt has no answer from a server")]
#[case::model(&["model", "path", "--server", "http://localhost:1"], "captions model has no answer from a server")]
#[case::no_url(&["check", "text", "--server", "captions"], "the server's URL is no URL")]
#[tokio::test]
async fn what_a_server_cannot_do_is_wrong_usage(#[case] args: &[&str], #[case] words: &str) {
    let home = tempdir().unwrap();

    let ran = captions(environment(&home, &[("CAPTIONS_URL", "http://localhost:1")]), args).await;

    assert_eq!(ran.exit.code(), 2, "{}", ran.stderr);
    assert!(ran.stderr.starts_with(&format!("error: {words}")), "{}", ran.stderr);
}

#[tokio::test]
async fn commands_about_this_machine_do_not_mind_the_address() {
    let home = tempdir().unwrap();
    let env = environment(
        &home,
        &[("CAPTIONS_URL", "http://localhost:1"), ("CAPTIONS_API_KEY", "k")],
    );

    for args in [&["config", "path"][..], &["completions", "bash"], &["model", "path"]] {
        let ran = captions(env.clone(), args).await;

        assert_eq!(ran.exit.code(), 0, "{args:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_said_in_plain_words() {
    let home = tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}", closed_port());

    let ran = captions(environment(&home, &[("CAPTIONS_URL", &url)]), &["check", "text"]).await;

    assert_eq!(ran.exit.code(), 5, "{}", ran.stderr);
    assert!(
        ran.stderr
            .starts_with("error[server_unreachable]: the server cannot be reached"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("CAPTIONS_URL"), "{}", ran.stderr);
}
