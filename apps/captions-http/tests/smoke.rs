//! The real binary, with a store of its own and no network: it starts, answers, and stops on a signal.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected stops")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The binary with nothing of this machine's environment.
fn binary(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captions-http"));
    command
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .stderr(Stdio::piped());
    command
}

const SETTINGS: &str = r#"
[server]
listen = "127.0.0.1:0"
[log]
format = "json"
[[llm.providers]]
name = "fill-in"
kind = "template"
"#;

/// Stops the process with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_server_starts_writes_a_caption_and_stops_on_sigterm() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("captions.toml"), SETTINGS).unwrap();
    let mut server = Running(binary(home.path()).spawn().unwrap());
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let line = log
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("listening"))
        .expect("never listens");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["address"].as_str().unwrap();

    let ready = exchange(
        address,
        "GET /readyz?verbose HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n",
    );
    let body = r#"{"content_description": "a cat asleep on a warm windowsill"}"#;
    let written = exchange(
        address,
        &format!(
            "POST /v1/captions HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let told = Command::new("kill")
        .args(["-TERM", &server.0.id().to_string()])
        .status()
        .unwrap();
    // To the end of the log: the process is gone or going.
    let rest: Vec<String> = log.map(Result::unwrap).collect();
    let ended = server.0.wait().unwrap();

    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains(r#""name":"store","status":"ok""#),
        "{ready}"
    );
    assert!(
        written.starts_with("HTTP/1.1 201") && written.contains(r#""provider":"fill-in""#),
        "{written}"
    );
    assert!(told.success());
    assert!(ended.success(), "{ended}: {rest:?}");
    assert!(rest.iter().any(|line| line.contains("draining")), "{rest:?}");
    assert!(
        !rest.concat().contains("windowsill"),
        "what users write is in the log: {rest:?}"
    );
}

/// A server whose provider takes calls and never answers, and the lines of its log from "listening" on.
fn stuck(home: &Path, settings: &[&str]) -> (Running, TcpListener, String, impl Iterator<Item = String> + use<>) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = [
        "server.listen=127.0.0.1:0",
        "log.format=json",
        "api.timeout=300",
        "api.first_byte_timeout=300",
        "engine.deadline=300",
    ]
    .iter()
    .chain(settings)
    .flat_map(|setting| ["--set", setting]);
    let server = binary(home)
        .env("OPENAI_BASE_URL", format!("http://{}/v1", silent.local_addr().unwrap()))
        .env("OPENAI_MODEL", "m")
        .args(settings)
        .spawn()
        .unwrap();
    let mut server = Running(server);
    let mut log = BufReader::new(server.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let line = log.find(|line| line.contains("listening")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    (server, silent, line["address"].as_str().unwrap().to_owned(), log)
}

fn tell(server: &Running, signal: &str) {
    let told = Command::new("kill").args([signal, &server.0.id().to_string()]).status();
    assert!(told.unwrap().success());
}

/// A stream that has begun: its provider has been called. What it gives is read later.
fn begun(address: &str, silent: &TcpListener) -> (TcpStream, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let body = r#"{"content_description": "a cat asleep on a warm windowsill"}"#;
    write!(
        stream,
        "POST /v1/captions/stream HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let called = silent.accept().unwrap().0;
    (stream, called)
}

#[test]
fn a_stream_that_does_not_end_in_time_is_told_why_and_the_process_ends_in_0() {
    let home = tempfile::tempdir().unwrap();
    // Two seconds for requests.
    let (mut server, silent, address, mut log) = stuck(home.path(), &["server.drain_timeout=2.5"]);
    let (mut stream, _called) = begun(&address, &silent);

    tell(&server, "-TERM");
    log.find(|line| line.contains("draining")).expect("does not drain");
    let ready = exchange(&address, "GET /readyz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    let mut events = String::new();
    stream.read_to_string(&mut events).unwrap();
    let ended = server.0.wait().unwrap();

    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("draining"),
        "{ready}"
    );
    let (_, last) = events.rsplit_once("event: error").unwrap_or_else(|| panic!("{events}"));
    assert!(last.contains(r#""code":"shutting_down""#), "{events}");
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let (mut server, silent, address, mut log) = stuck(home.path(), &["server.drain_timeout=300"]);
        let (_stream, _called) = begun(&address, &silent);
        tell(&server, "-TERM");
        log.find(|line| line.contains("draining")).expect("does not drain");

        tell(&server, signal);

        assert!(log.any(|line| line.contains("a second signal")), "{signal}");
        assert_eq!(server.0.wait().unwrap().code(), Some(130), "{signal}");
    }
}

#[test]
fn a_wrong_setting_is_named_with_the_nearest_one_and_ends_in_3() {
    let home = tempfile::tempdir().unwrap();

    let ended = binary(home.path())
        .args(["--set", "server.lisen=127.0.0.1:0"])
        .output()
        .unwrap();

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(
        said.contains("server.lisen") && said.contains("server.listen"),
        "{said}"
    );
}

#[test]
fn an_address_that_is_taken_ends_in_1() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let ended = binary(home.path())
        .args(["--set", &format!("server.listen={address}")])
        .output()
        .unwrap();

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
}

#[test]
fn a_flag_that_does_not_exist_ends_in_2() {
    let home = tempfile::tempdir().unwrap();

    let ended = binary(home.path()).arg("--prot").output().unwrap();

    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn a_signal_also_ends_a_server_that_is_still_starting() {
    let home = tempfile::tempdir().unwrap();
    // It accepts and never answers, so the start waits for a list of models.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = binary(home.path())
        .env("OPENAI_BASE_URL", format!("http://{}/v1", silent.local_addr().unwrap()))
        .args(["--set", "server.listen=127.0.0.1:0"])
        .spawn()
        .unwrap();
    let mut server = Running(server);

    let asked = silent.accept().unwrap();
    let told = Command::new("kill")
        .args(["-TERM", &server.0.id().to_string()])
        .status()
        .unwrap();
    let ended = server.0.wait().unwrap();

    assert!(told.success() && ended.success(), "{ended}");
    drop(asked);
}

/// The addresses of the next so many lines of the log that say where the server listens, by what they say.
fn listening(log: &mut impl Iterator<Item = String>, lines: usize) -> BTreeMap<String, String> {
    let told = log.filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let words = line["message"].as_str()?.to_owned();
        let address = line["address"].as_str()?.to_owned();
        words.starts_with("listening").then_some((words, address))
    });
    told.take(lines).collect()
}

#[test]
fn operators_have_a_listener_only_if_the_settings_name_one() {
    let [metrics, livez] =
        ["/metrics", "/livez"].map(|path| format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"));
    for (listen, lines) in [("", 1), ("127.0.0.1:0", 2)] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("captions.toml"), SETTINGS).unwrap();
        let admin = format!("admin.listen={listen}");
        let mut server = Running(binary(home.path()).args(["--set", &admin]).spawn().unwrap());
        let mut log = BufReader::new(server.0.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let addresses = listening(&mut log, lines);

        let callers = exchange(&addresses["listening"], &metrics);
        assert!(callers.starts_with("HTTP/1.1 404"), "{callers}");
        let Some(operators) = addresses.get("listening for operators") else {
            assert_eq!(listen, "");
            continue;
        };
        let page = exchange(operators, &metrics);
        assert!(
            page.starts_with("HTTP/1.1 200") && page.contains("captions_uptime_seconds"),
            "{page}"
        );
        assert!(exchange(operators, &livez).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_listener_for_operators_that_others_can_reach_is_refused_unless_it_is_meant() {
    let home = tempfile::tempdir().unwrap();

    let ended = binary(home.path())
        .args(["--set", "admin.listen=0.0.0.0:0"])
        .output()
        .unwrap();

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(
        said.contains("admin.listen") && said.contains("admin.allow_remote"),
        "{said}"
    );
}

#[test]
fn a_webhook_for_alerts_that_can_never_work_ends_in_3_without_telling_its_key() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("captions.toml"), SETTINGS).unwrap();

    let ended = binary(home.path())
        .env("HOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
        .args(["--set", "alerts.webhook_url=https://127.0.0.1:9/services/T0KEN"])
        .args(["--set", "alerts.webhook_secret_env=HOOK_SECRET"])
        .output()
        .unwrap();

    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("`alerts.webhook_url` cannot be used"), "{said}");
    assert!(said.contains("not public"), "{said}");
    assert!(!said.contains("T0KEN") && !said.contains("whsec_MDEy"), "{said}");
}

/// Not at the finest level either, and neither a good key nor one that is turned away.
#[test]
fn no_line_of_the_log_holds_a_key() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("captions.toml"), SETTINGS).unwrap();
    let mut server = Running(
        binary(home.path())
            .env("CAPTIONS_LOG__FILTER", "trace")
            .spawn()
            .unwrap(),
    );
    let (sender, log) = std::sync::mpsc::channel::<String>();
    let lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut told = Vec::new();
    let address = loop {
        let line = log.recv_timeout(Duration::from_secs(60)).unwrap();
        told.push(line.clone());
        if line.contains("listening") {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            break line["address"].as_str().unwrap().to_owned();
        }
    };
    let body = r#"{"name": "ci", "scopes": ["read"]}"#;
    let made = exchange(
        &address,
        &format!(
            "POST /v1/keys HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let made: serde_json::Value = serde_json::from_str(made.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let key = made["key"].as_str().unwrap();
    let hidden = &key[9..52];

    for (key, status) in [(key.to_owned(), "200"), (format!("captions_{hidden}000000"), "401")] {
        let request = format!(
            "GET /v1/users/ana/captions HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        assert!(exchange(&address, &request).starts_with(&format!("HTTP/1.1 {status}")));
    }
    server.0.kill().unwrap();
    told.extend(log.iter());

    assert!(told.iter().any(|line| line.contains("key created")), "{}", told.len());
    assert!(!told.iter().any(|line| line.contains(hidden)));
}
