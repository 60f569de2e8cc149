use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use captions_http::{Limits, serve, serve_starting};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    client::{get, send_json},
    ports::Turn,
    server::{TEXT, state},
};

#[tokio::test]
async fn until_the_engine_is_there_the_server_is_alive_and_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = json!({"content_description": "a cat on a sill"});

    let (live, ready, refused) = tokio::select! {
        never = serve_starting(&listener, Limits::default()) => match never {},
        answers = async {
            (
                get(address, "/livez").await,
                get(address, "/readyz").await,
                send_json(address, "POST", "/v1/captions", &asked).await,
            )
        } => answers,
    };
    let (state, ..) = state([Turn::Say(TEXT)], Limits::default());
    let running = tokio::spawn(serve(listener, state, std::future::pending()));
    let later = get(address, "/readyz").await;
    running.abort();

    assert_eq!((live.status, ready.status, later.status), (200, 503, 200));
    assert_eq!(ready.json()["status"], "starting");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("starting")));
    assert_eq!(refused.header("retry-after"), Some("1"));
}

/// Shells and systemd start programs with room for 1024 files, which is 512 requests with one call each.
#[test]
fn a_server_may_open_as_many_sockets_as_the_machine_allows() {
    let home = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_captions-http");
    let started = format!("ulimit -S -n 300 && exec {program} --set server.listen=127.0.0.1:0 --set log.format=json");
    let mut child = Command::new("sh")
        .args(["-c", &started])
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let listens = log.any(|line| line.unwrap().contains("listening"));

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = files.split_whitespace().skip(3).take(2).collect();
    assert!(listens && numbers[0] == numbers[1] && numbers[0] != "300", "{files}");
}
