//! Three replicas of the real binary on one Postgres and one Redis, behind nginx: what must be true of all of them together.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use captions_testkit::{
    llm::{FakeLlm, Turn},
    redis,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    client::{Reply, get, send_json},
    processes::{self, CAPTION, Database, Process, is_replayed},
};

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Addresses of this machine that nobody listens on. They are not 127.0.0.1, where every connection that is made takes a port
/// too: a replica that starts again must find its own free.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [high, low] = taken.to_be_bytes();
    std::array::from_fn(|place| {
        let last = u8::try_from(place + 1).unwrap();
        SocketAddr::from(([127, high.clamp(1, 254), low, last], taken))
    })
}

/// nginx from Debian, where it is installed or where `tests/setup` keeps it.
fn nginx() -> PathBuf {
    let home = std::env::vars_os()
        .find(|(name, _)| name == "HOME")
        .map(|(_, home)| PathBuf::from(home));
    let kept = home.map(|home| home.join(".cache/captions/proxies/nginx"));
    let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].map(PathBuf::from);
    let found = places.into_iter().chain(kept).find(|path| path.is_file());
    found.expect("nginx is missing: tests/setup gets it")
}

struct Balancer {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Balancer {
    /// Hands requests out by turns, and on to the next where one is gone or says that it stops.
    fn before(replicas: &[SocketAddr], address: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let servers: Vec<String> = replicas
            .iter()
            .map(|replica| format!("server {replica} max_fails=0; "))
            .collect();
        let servers = servers.concat();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name}; "))
            .concat();
        let settings = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;
             events {{ worker_connections 4096; }}
             http {{
                 access_log off; {temporary} client_max_body_size 40m;
                 upstream captions {{ {servers} }}
                 server {{
                     listen {address};
                     location / {{
                         proxy_pass http://captions;
                         proxy_http_version 1.1;
                         proxy_set_header Connection \"\";
                         proxy_read_timeout 300s;
                         proxy_next_upstream error timeout http_503 non_idempotent;
                     }}
                 }}
             }}"
        );
        fs::write(folder.path().join("nginx.conf"), settings).unwrap();
        let child = Command::new(nginx())
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let log = fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < PATIENCE, "nginx never listens: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

/// The three of them, and all that they stand on.
struct Cluster {
    llm: FakeLlm,
    database: Database,
    _redis: redis::Server,
    settings: Vec<String>,
    homes: Vec<TempDir>,
    addresses: [SocketAddr; 3],
    replicas: Vec<Process>,
    balancer: Balancer,
}

impl Cluster {
    async fn start(turn: Turn, more: &[&str]) -> Self {
        let llm = FakeLlm::start().await;
        llm.always(turn);
        let database = Database::new().await;
        let redis = tokio::task::block_in_place(redis::Server::start);
        let [first, second, third, entrance] = free_addresses();
        let addresses = [first, second, third];
        let mut settings = vec![
            format!("redis.url={}", redis.url()),
            // A Redis that is taken for away because the machine is busy can tell of nobody's call.
            "redis.connect_timeout=20".to_owned(),
            "redis.read_timeout=20".to_owned(),
            "redis.write_timeout=20".to_owned(),
            "redis.breaker.enabled=false".to_owned(),
            "limits.replicas=3".to_owned(),
        ];
        settings.extend(more.iter().map(|setting| (*setting).to_owned()));
        let homes: Vec<TempDir> = addresses.iter().map(|_| TempDir::new().unwrap()).collect();
        let mut cluster = Self {
            balancer: Balancer::before(&addresses, entrance),
            llm,
            database,
            _redis: redis,
            settings,
            homes,
            addresses,
            replicas: Vec::new(),
        };
        for place in 0..3 {
            let replica = cluster.replica(place);
            cluster.replicas.push(replica);
        }
        cluster
    }

    fn replica(&self, place: usize) -> Process {
        let listen = format!("server.listen={}", self.addresses[place]);
        let settings: Vec<&str> = self
            .settings
            .iter()
            .map(String::as_str)
            .chain([listen.as_str()])
            .collect();
        let home: &Path = self.homes[place].path();
        tokio::task::block_in_place(|| Process::start_with(home, &self.database.0, &self.llm, &settings))
    }

    /// The entrance.
    fn address(&self) -> SocketAddr {
        self.balancer.address
    }
}

fn caption_of(about: &str) -> Value {
    json!({ "content_description": format!("Bread on the counter of a bakery, {about}") })
}

async fn all_at_once(count: usize, ask: impl Fn(usize) -> JoinedReply) -> Vec<Reply> {
    let mut crowd = JoinSet::new();
    for number in 0..count {
        crowd.spawn(ask(number));
    }
    crowd.join_all().await
}

type JoinedReply = std::pin::Pin<Box<dyn Future<Output = Reply> + Send>>;

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_over_all_replicas() {
    const LIMIT: usize = 200;
    let limit = format!("limits.requests_per_hour={LIMIT}");
    let cluster = Cluster::start(Turn::caption(CAPTION), &[&limit]).await;
    let address = cluster.address();

    let replies = all_at_once(2 * LIMIT, move |_| {
        Box::pin(async move { send_json(address, "POST", "/v1/check", &json!({ "text": "Bread" })).await })
    })
    .await;

    let allowed = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(replies.iter().all(|reply| [200, 429].contains(&reply.status)));
    // Within 1 %: what comes back in the meantime is less.
    assert!((LIMIT..=LIMIT + LIMIT / 100).contains(&allowed), "{allowed} of {LIMIT}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_answered_at_the_same_moment_over_all_replicas() {
    const LIMIT: usize = 100;
    let limit = format!("limits.concurrent_requests={LIMIT}");
    // Longer than it takes until all have asked.
    let slow = Turn::caption(CAPTION).after(Duration::from_secs(12));
    let patient = ["engine.deadline=120", "api.timeout=60", "api.first_byte_timeout=60"];
    let cluster = Cluster::start(slow, &[&[limit.as_str()], &patient[..]].concat()).await;
    let address = cluster.address();

    let replies = all_at_once(500, move |number| {
        Box::pin(async move {
            let body = caption_of(&format!("loaf {number}"));
            send_json(address, "POST", "/v1/captions", &body).await
        })
    })
    .await;

    let answered = replies.iter().filter(|reply| reply.status == 201).count();
    let turned_away = replies.iter().filter(|reply| reply.status == 429).count();
    assert_eq!((answered, turned_away), (LIMIT, 500 - LIMIT));
    // Whoever was answered has left.
    let again = send_json(address, "POST", "/v1/check", &json!({ "text": "Bread" })).await;
    assert_eq!(again.status, 200);
    let left = again.header("ratelimit").unwrap();
    assert!(left.contains("\"concurrent-requests\";r=99"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_same_at_once_costs_one_call() {
    let slow = Turn::caption(CAPTION).after(Duration::from_secs(3));
    let cluster = Cluster::start(slow, &[]).await;
    let address = cluster.address();

    let replies = all_at_once(60, move |_| {
        Box::pin(async move { send_json(address, "POST", "/v1/captions", &caption_of("at six")).await })
    })
    .await;

    assert!(
        replies.iter().all(|reply| reply.status < 300),
        "{:?}",
        replies[0].json()
    );
    let ids: BTreeSet<String> = replies.iter().map(|reply| reply.json()["id"].to_string()).collect();
    assert_eq!((ids.len(), cluster.llm.count()), (1, 1));
    assert_eq!(cluster.database.captions(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_call_over_all_replicas() {
    let cluster = Cluster::start(Turn::caption(CAPTION).after(Duration::from_millis(500)), &[]).await;
    let address = cluster.address();

    let replies = all_at_once(50, move |_| Box::pin(processes::post_until_done(address))).await;

    assert!(
        replies
            .iter()
            .all(|reply| reply.status == 201 && reply.body == replies[0].body)
    );
    assert_eq!(replies.iter().filter(|reply| is_replayed(reply)).count(), 49);
    assert_eq!((cluster.database.captions(), cluster.llm.count()), ("1".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_prefers_is_seen_by_all_replicas_at_once() {
    let cluster = Cluster::start(Turn::caption(CAPTION), &[]).await;
    let ann = json!({ "id": "ann", "preferences": { "tone": "playful" } });
    let made = send_json(cluster.address(), "POST", "/v1/users", &ann).await;
    assert_eq!(made.status, 201, "{}", made.json());

    let tones = ["formal", "calm", "warm", "funny", "professional", "casual"];
    for (turn, tone) in tones.into_iter().enumerate() {
        let writer = cluster.replicas[turn % 3].address;
        let changed = send_json(writer, "PATCH", "/v1/users/ann/preferences", &json!({ "tone": tone })).await;
        assert_eq!(changed.status, 200, "{}", changed.json());
        for (place, replica) in cluster.replicas.iter().enumerate() {
            let mut body = caption_of(&format!("{tone} {place}"));
            body["user_id"] = "ann".into();
            let begun = cluster.llm.count();

            let written = send_json(replica.address, "POST", "/v1/captions", &body).await;

            assert!(written.status < 300, "{}", written.json());
            let requests = cluster.llm.requests();
            assert!(requests.len() > begun, "nobody was asked");
            let told = requests[begun].user_text();
            assert!(told.contains(&format!("is {tone} in tone")), "replica {place}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let mut cluster = Cluster::start(Turn::caption(CAPTION).after(Duration::from_millis(200)), &[]).await;
    let (address, is_over) = (cluster.address(), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for caller in 0..6 {
        let is_over = Arc::clone(&is_over);
        callers.spawn(async move {
            let mut replies = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let body = caption_of(&format!("loaf {} of {caller}", replies.len()));
                replies.push(send_json(address, "POST", "/v1/captions", &body).await);
            }
            replies
        });
    }

    for place in 0..3 {
        sleep(Duration::from_millis(500)).await;
        let ended = tokio::task::block_in_place(|| cluster.replicas[place].stop());
        assert!(ended, "replica {place} did not stop in good order");
        sleep(Duration::from_millis(500)).await;
        cluster.replicas[place] = cluster.replica(place);
    }
    sleep(Duration::from_millis(500)).await;
    is_over.store(true, Ordering::Relaxed);
    let replies: Vec<Reply> = callers.join_all().await.into_iter().flatten().collect();

    assert!(replies.len() > 20, "{} requests", replies.len());
    for reply in &replies {
        assert_eq!(reply.status, 201, "{}", reply.json());
        assert_eq!(reply.json()["source"], "provider", "{}", reply.json());
    }
    assert_eq!(cluster.database.captions(), replies.len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_worked_on_by_all_and_outlives_a_replica() {
    const ITEMS: usize = 60;
    let slow = Turn::caption(CAPTION).after(Duration::from_millis(300));
    let settings = ["batches.lease=2", "batches.poll=0.2", "batches.workers=2"];
    let mut cluster = Cluster::start(slow, &settings).await;
    let items: Vec<Value> = (0..ITEMS)
        .map(|index| {
            let mut item = caption_of(&format!("loaf {index}"));
            item["custom_id"] = format!("post-{index}").into();
            item
        })
        .collect();
    let submitted = send_json(cluster.address(), "POST", "/v1/batches", &json!({ "items": items })).await;
    assert_eq!(submitted.status, 202, "{}", submitted.json());
    let place = submitted.header("location").unwrap().to_owned();
    cluster
        .llm
        .until("a third is written", |llm| llm.count() >= ITEMS / 3)
        .await;

    cluster.replicas[0].kill();

    let begun = Instant::now();
    let batch = loop {
        let batch = get(cluster.address(), &format!("{place}?wait=30")).await.json();
        if batch["finished_at"].is_string() {
            break batch;
        }
        assert!(begun.elapsed() < PATIENCE, "{batch}");
    };
    let results = get(cluster.address(), &format!("{place}/results")).await;
    let lines: Vec<Value> = std::str::from_utf8(&results.body)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(batch["counts"]["succeeded"], ITEMS, "{batch}");
    let names: Vec<String> = lines
        .iter()
        .map(|line| line["custom_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        (0..ITEMS).map(|index| format!("post-{index}")).collect::<Vec<_>>()
    );
    assert_eq!(cluster.database.captions(), ITEMS.to_string());
    // Only what the dead one had in its hands may be called again: as many as it has workers.
    assert!(
        (ITEMS..=ITEMS + 2).contains(&cluster.llm.count()),
        "{} calls",
        cluster.llm.count()
    );
}
