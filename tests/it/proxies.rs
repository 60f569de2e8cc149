//! Streams through the proxies that people put before the service: the real programs, with the very files of docs/deploy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Service, closed_port, description, model_cache, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deploy");

#[derive(Debug, Clone, Copy)]
enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

/// A proxy before the service. Ends with the test.
struct Proxy {
    child: Child,
    base: String,
    folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where Debian puts it, or where `tests/setup` does.
fn program(name: &str) -> PathBuf {
    let kept = PathBuf::from(model_cache()).join("captions/proxies").join(name);
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
    let found = places.into_iter().chain([kept]).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: tests/setup gets it"))
}

/// The sample with its ports replaced, in `folder`.
fn sample(name: &str, folder: &Path, listen: u16, service: &str) -> PathBuf {
    let text = fs::read_to_string(Path::new(SAMPLES).join(name)).unwrap();
    let (from, to) = ("127.0.0.1:8000", "127.0.0.1:8080");
    assert!(text.contains(from) && text.contains(to), "{name} has other ports");
    let path = folder.join(name);
    let text = text.replace(from, &format!("127.0.0.1:{listen}")).replace(to, service);
    fs::write(&path, text).unwrap();
    path
}

impl Proxy {
    async fn start(kind: Kind, service: &Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let port = closed_port();
        let upstream = service.base.strip_prefix("http://").unwrap();
        let mut command = match kind {
            Kind::Nginx => {
                let site = sample("nginx.conf", home, port, upstream);
                // What surrounds a site on Debian, without its paths.
                let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|name| format!("{name}_temp_path {name};"))
                    .concat();
                let main = format!(
                    "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {temporary}\ninclude {}; }}\n",
                    site.display()
                );
                fs::write(home.join("main.conf"), main).unwrap();
                let mut command = Command::new(program("nginx"));
                command.args(["-e", "stderr", "-c", "main.conf", "-p"]).arg(home);
                command
            }
            Kind::Haproxy => {
                let file = sample("haproxy.cfg", home, port, upstream);
                let mut command = Command::new(program("haproxy"));
                // Stays in the foreground.
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Kind::Caddy => {
                let file = sample("Caddyfile", home, port, upstream);
                let mut command = Command::new(program("caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                command
                    .env("HOME", home)
                    .env("XDG_DATA_HOME", home)
                    .env("XDG_CONFIG_HOME", home);
                command
            }
        };
        let log = fs::File::create(home.join("log")).unwrap();
        let errors = log.try_clone().unwrap();
        let command = command
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let mut proxy = Self {
            child: command.spawn().unwrap(),
            base: format!("http://127.0.0.1:{port}"),
            folder,
        };
        until(&format!("{kind:?} answers"), async || {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("{kind:?} ended with {status}: {}", proxy.log());
            }
            let live = service.client.get(format!("{}/livez", proxy.base)).send().await;
            live.ok().filter(|answer| answer.status() == 200).map(drop)
        })
        .await;
        proxy
    }

    /// What it told.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// What came of a stream until this text was in it.
async fn read_until(
    stream: &mut (impl futures_util::Stream<Item = reqwest::Result<axum::body::Bytes>> + Unpin),
    text: &str,
) -> String {
    let mut told = String::new();
    while !told.contains(text) {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        let next = next.unwrap_or_else(|_| panic!("no {text} in {told}"));
        let bytes = next
            .unwrap_or_else(|| panic!("it ended without {text}: {told}"))
            .unwrap();
        told.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    told
}

fn asked() -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery"), "store": false })
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::haproxy(Kind::Haproxy)]
#[case::caddy(Kind::Caddy)]
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_as_it_is_written_and_leaving_ends_it(#[case] kind: Kind) {
    let llm = FakeLlm::start().await;
    let url = llm.base_url();
    let service = Service::start(&[
        ("OPENAI_BASE_URL", &url),
        ("OPENAI_MODEL", "m"),
        ("CAPTIONS_SERVER__STREAM_KEEP_ALIVE", "0.3"),
        ("CAPTIONS_API__IDLE_TIMEOUT", "60"),
        ("CAPTIONS_ENGINE__DEADLINE", "60"),
        ("CAPTIONS_API__TIMEOUT", "60"),
    ])
    .await;
    let proxy = Proxy::start(kind, &service).await;
    let post = |path: &str| service.client.post(format!("{}{path}", proxy.base)).json(&asked());

    // The provider says three pieces and then nothing: what arrives has not waited for more.
    llm.reply(Turn::text(CAPTION).stall_after(3));
    let answer = post("/v1/captions/stream").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"));
    let mut events = answer.bytes_stream();
    let told = read_until(&mut events, "event: caption.delta").await;
    assert!(
        told.contains("event: caption.created") && told.contains("id: "),
        "{told}"
    );
    read_until(&mut events, ": keep-alive").await;
    read_until(&mut events, ": keep-alive").await;
    assert!(llm.last().left_early().is_none());

    drop(events);
    llm.until("the provider sees that the caller left", |llm| {
        llm.last().left_early().is_some()
    })
    .await;
    let guessed = until("what was cut off is counted", async || {
        let (_, stats) = service.get("/v1/stats").await;
        stats["api"]["providers"]["openai"]["tokens"]["guessed"]
            .as_u64()
            .filter(|tokens| *tokens > 0)
    })
    .await;
    assert!((10..5000).contains(&guessed), "{guessed} tokens");

    llm.always(Turn::caption(CAPTION));
    let answer = post("/v1/captions/stream").send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let whole = answer.text().await.unwrap();
    let ends = whole.matches("event: caption.completed").count() + whole.matches("event: error").count();
    assert!(
        whole.contains("event: caption.completed") && ends == 1,
        "{status} {headers:?} {whole}\n{}",
        proxy.log()
    );
    let last = whole
        .lines()
        .rfind(|line| line.starts_with("id: "))
        .unwrap()
        .trim_start_matches("id: ");
    assert!(last.contains('-'), "{last}");
    let plain = post("/v1/captions").send().await.unwrap();
    assert_eq!(
        (plain.status().as_u16(), &plain.headers()["x-content-type-options"]),
        (200, &"nosniff".parse().unwrap())
    );
    drop(proxy);
    service.stop().await;
}
