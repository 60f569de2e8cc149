//! The real binary, killed in the middle of a batch: what another process finds, does, and pays.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets the unexpected stops"
)]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use captions_testkit::llm::{FakeLlm, Turn};
use serde_json::{Value, json};

const ITEMS: usize = 40;
const WORKERS: usize = 4;

/// A server, killed with the test however that ends.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(home: &Path, base_url: &str) -> Self {
        let settings = [
            "server.listen=127.0.0.1:0",
            "log.format=json",
            "batches.lease=1",
            "batches.poll=0.05",
        ];
        let workers = format!("batches.workers={WORKERS}");
        let settings = settings.into_iter().chain([workers.as_str()]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_captions-http"))
            .env_clear()
            .env("HOME", home)
            .env("OPENAI_BASE_URL", base_url)
            .env("OPENAI_MODEL", "m")
            .current_dir(home)
            .args(settings.flat_map(|setting| ["--set", setting]))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = log.find(|line| line.contains("listening")).expect("never listens");
        // Read on, or the server waits for a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().to_owned();
        Self { child, address }
    }

    /// HTTP/1.0, so that the body ends with the connection. The body of the answer.
    async fn ask(&self, line: &str, body: &str) -> String {
        let request = format!(
            "{line} HTTP/1.0\r\nhost: t\r\ncontent-type: application/jsonl\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let address = self.address.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = asked.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 ") || head.contains(" 202 "), "{answer}");
        body.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_loses_nothing_and_pays_only_what_was_in_flight_twice() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::fitting().after(Duration::from_millis(50)));
    let home = tempfile::tempdir().unwrap();
    let item = |index| {
        let item = json!({
            "custom_id": format!("post-{index}"),
            "content_description": format!("Loaf number {index} on the counter of a bakery"),
        });
        format!("{item}\n")
    };
    let items = (0..ITEMS).map(item).collect::<Vec<_>>().concat();
    let mut first = Server::start(home.path(), &llm.base_url());
    let kept: Value = serde_json::from_str(&first.ask("POST /v1/batches", &items).await).unwrap();
    llm.until("half of the calls", |llm| llm.count() >= ITEMS / 2).await;

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Server::start(home.path(), &llm.base_url());
    let place = format!("/v1/batches/{}", kept["id"].as_str().unwrap());
    let batch: Value = serde_json::from_str(&second.ask(&format!("GET {place}?wait=60"), "").await).unwrap();
    let results = second.ask(&format!("GET {place}/results"), "").await;

    assert_eq!(
        (&batch["state"], &batch["counts"]["succeeded"]),
        (&json!("completed"), &json!(ITEMS))
    );
    let lines: Vec<Value> = results
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: BTreeSet<&str> = lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), ids.len()), (ITEMS, ITEMS));
    let reclaimed = lines.iter().filter(|line| line["reclaimed"] == true).count();
    assert!(reclaimed <= WORKERS, "{reclaimed} were reclaimed");
    let twice = llm.count() - ITEMS;
    assert!(twice <= reclaimed, "{twice} were called again, {reclaimed} reclaimed");
    // Each caption stands in the history once.
    let captions: BTreeSet<&str> = lines
        .iter()
        .map(|line| line["caption"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(captions.len(), ITEMS);
}
