//! Real server processes that are killed in the middle of a call with an `Idempotency-Key`, over real stores.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres,
};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use crate::client::{Reply, send};

pub(crate) const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// `captions-http` as a process of its own. It is killed with the test.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it over this store, with nothing of this machine's environment, and no limit of time that a test could meet.
    pub(crate) fn start(home: &Path, database: &str, llm: &FakeLlm) -> Self {
        Self::start_with(home, database, llm, &[])
    }

    /// The same with more settings, which count.
    pub(crate) fn start_with(home: &Path, database: &str, llm: &FakeLlm, more: &[&str]) -> Self {
        let settings = [
            "server.listen=127.0.0.1:0",
            "log.format=json",
            "api.timeout=300",
            "api.first_byte_timeout=300",
            "database.acquire_timeout=60",
            "database.statement_timeout=300",
            "engine.deadline=600",
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_captions-http"))
            .env_clear()
            .env("HOME", home)
            .env("DATABASE_URL", database)
            .env("OPENAI_BASE_URL", llm.base_url())
            .env("OPENAI_MODEL", "m")
            .current_dir(home)
            .args(settings.iter().chain(more).flat_map(|setting| ["--set", setting]))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = log.find(|line| line.contains("listening")).expect("never listens");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        // What comes later must not fill the pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            child,
            address: line["address"].as_str().unwrap().parse().unwrap(),
        }
    }

    /// Tells it to stop, and waits until it has. True if it ended in good order.
    pub(crate) fn stop(&mut self) -> bool {
        let told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        told.unwrap().success() && self.child.wait().unwrap().success()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn bread() -> Value {
    json!({ "content_description": "Bread on the counter of a bakery", "cache": "bypass" })
}

async fn post(address: SocketAddr) -> Reply {
    let headers = [("idempotency-key", "order-7"), ("content-type", "application/json")];
    send(
        address,
        "POST",
        "/v1/captions",
        &headers,
        bread().to_string().as_bytes(),
    )
    .await
}

/// Sends it again as long as it is told to, and as it is told to.
pub(crate) async fn post_until_done(address: SocketAddr) -> Reply {
    let begun = Instant::now();
    loop {
        let reply = post(address).await;
        if reply.status != 409 {
            return reply;
        }
        assert!(begun.elapsed() < PATIENCE, "still in flight");
        let wait = reply.header("retry-after").unwrap().parse().unwrap();
        sleep(Duration::from_secs(wait)).await;
    }
}

pub(crate) fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// A Postgres database that is asked from outside.
pub(crate) struct Database(pub(crate) String);

impl Database {
    pub(crate) async fn new() -> Self {
        Self(postgres::fresh_database().await)
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        let name = self.0.rsplit('/').next().unwrap();
        tokio::task::block_in_place(|| postgres::shared().sql(name, sql))
            .trim()
            .to_owned()
    }

    pub(crate) fn captions(&self) -> String {
        self.sql("SELECT count(*) FROM captions")
    }

    async fn until(&self, sql: &str, expected: &str) {
        let begun = Instant::now();
        while self.sql(sql) != expected {
            assert!(begun.elapsed() < PATIENCE, "never {expected}: {sql}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// From now on whoever does this to the table rests in the middle of it.
    fn holds(&self, action: &str, table: &str, when: &str, seconds: u32) {
        self.sql(&format!(
            "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END'; \
             CREATE TRIGGER rest BEFORE {action} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION rest()"
        ));
    }

    async fn somebody_rests(&self) {
        let resting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        self.until(resting, "1").await;
    }

    /// Ends what the dead have begun.
    fn clears(&self) {
        self.sql(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    }

    fn lets_go(&self) {
        self.sql("DROP FUNCTION rest() CASCADE");
    }

    /// As time would.
    fn leases_end(&self) {
        self.sql("UPDATE idempotency SET leased_until = clock_timestamp()");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_with_one_key_over_two_processes_are_one_row_and_one_upstream_call() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION).after(Duration::from_millis(500)));
    let (database, homes) = (
        Database::new().await,
        [TempDir::new().unwrap(), TempDir::new().unwrap()],
    );
    let processes = homes
        .each_ref()
        .map(|home| Process::start(home.path(), &database.0, &llm));
    let mut crowd = JoinSet::new();
    for number in 0..50 {
        crowd.spawn(post_until_done(processes[number % 2].address));
    }

    let replies = crowd.join_all().await;

    for reply in &replies {
        assert_eq!(reply.status, 201, "{}", reply.json());
        assert_eq!(reply.body, replies[0].body);
    }
    assert_eq!(replies.iter().filter(|reply| is_replayed(reply)).count(), 49);
    assert_eq!((database.captions(), llm.count()), ("1".to_owned(), 1));
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The provider has the call and has not answered.
    Calling,
    /// The provider has answered, and the caption is on its way into the table and does not arrive.
    Storing,
    /// The same, and it does arrive.
    Stored,
    /// The caption is in the table, and that the call is answered is not.
    Settling,
}

#[rstest]
#[case::while_the_provider_is_called(Phase::Calling, 2)]
#[case::before_the_caption_is_stored(Phase::Storing, 2)]
#[case::while_the_caption_is_stored(Phase::Stored, 1)]
#[case::before_the_answer_is_kept(Phase::Settling, 1)]
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_process_is_killed_is_brought_to_its_end_by_another(#[case] phase: Phase, #[case] calls: usize) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let (database, homes) = (
        Database::new().await,
        [TempDir::new().unwrap(), TempDir::new().unwrap()],
    );
    let mut first = Process::start(homes[0].path(), &database.0, &llm);
    let second = Process::start(homes[1].path(), &database.0, &llm);
    match phase {
        Phase::Calling => {
            llm.reply(Turn::caption(CAPTION).after(PATIENCE * 2));
        }
        Phase::Storing => database.holds("INSERT", "captions", "", 600),
        Phase::Stored => database.holds("INSERT", "captions", "", 5),
        Phase::Settling => database.holds("UPDATE", "idempotency", "WHEN (NEW.status IS NOT NULL)", 600),
    }
    let address = first.address;
    // Ends when its server dies: what it gets then is no answer.
    let lost = tokio::spawn(async move { post(address).await });
    match phase {
        Phase::Calling => llm.until("the provider has the call", |llm| llm.count() == 1).await,
        Phase::Storing | Phase::Stored | Phase::Settling => database.somebody_rests().await,
    }

    first.kill();

    assert!(lost.await.is_err(), "an answer came all the same");
    match phase {
        Phase::Stored => database.until("SELECT count(*) FROM captions", "1").await,
        Phase::Calling | Phase::Storing | Phase::Settling => database.clears(),
    }
    if phase != Phase::Calling {
        database.lets_go();
    }
    let stored = database.captions();
    let waits = post(second.address).await;
    database.leases_end();
    let done = post_until_done(second.address).await;
    let again = post(second.address).await;

    let is_stored = matches!(phase, Phase::Stored | Phase::Settling);
    assert_eq!(stored, u32::from(is_stored).to_string());
    assert_eq!(
        waits.code(),
        (409, "idempotency_in_flight".to_owned()),
        "the lease has not ended"
    );
    assert_eq!((done.status, is_replayed(&done)), (201, false), "{}", done.json());
    assert_eq!(done.json()["caption"], CAPTION);
    assert_eq!((again.status, is_replayed(&again)), (201, true));
    assert_eq!(done.body, again.body);
    assert_eq!((database.captions(), llm.count()), ("1".to_owned(), calls));
    let id = done.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(database.sql("SELECT id FROM captions"), id);
    assert_eq!(
        database.sql("SELECT id FROM idempotency"),
        id,
        "the id of the first claim"
    );
}

const OTHER: &str = "Six in the morning, and the oven door is already open.";

async fn more(address: SocketAddr, id: &str) -> Reply {
    let path = format!("/v1/captions/{id}/variants");
    send_with(address, "POST", &path, "more-7", "application/json", r#"{"count": 1}"#).await
}

/// As the call for a caption: its variants are written once, whichever process brings it to its end.
#[rstest]
#[case::while_the_provider_is_called(Phase::Calling, 3)]
#[case::before_the_variants_are_stored(Phase::Storing, 3)]
#[case::while_the_variants_are_stored(Phase::Stored, 2)]
#[case::before_the_answer_is_kept(Phase::Settling, 2)]
#[tokio::test(flavor = "multi_thread")]
async fn more_variants_whose_process_is_killed_are_there_once(#[case] phase: Phase, #[case] calls: usize) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(OTHER));
    llm.reply(Turn::caption(CAPTION));
    let (database, homes) = (
        Database::new().await,
        [TempDir::new().unwrap(), TempDir::new().unwrap()],
    );
    let mut first = Process::start(homes[0].path(), &database.0, &llm);
    let second = Process::start(homes[1].path(), &database.0, &llm);
    let made = post(first.address).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let stored = || database.sql("SELECT jsonb_array_length(caption -> 'variants') FROM captions");
    match phase {
        Phase::Calling => {
            llm.reply(Turn::caption(OTHER).after(PATIENCE * 2));
        }
        Phase::Storing => database.holds("UPDATE", "captions", "", 600),
        Phase::Stored => database.holds("UPDATE", "captions", "", 5),
        Phase::Settling => database.holds("UPDATE", "idempotency", "WHEN (NEW.status IS NOT NULL)", 600),
    }
    let lost = tokio::spawn({
        let (address, id) = (first.address, id.clone());
        async move { more(address, &id).await }
    });
    match phase {
        Phase::Calling => llm.until("the provider has the call", |llm| llm.count() == 2).await,
        Phase::Storing | Phase::Stored | Phase::Settling => database.somebody_rests().await,
    }

    first.kill();

    assert!(lost.await.is_err(), "an answer came all the same");
    match phase {
        Phase::Stored => {
            let two = "SELECT jsonb_array_length(caption -> 'variants') FROM captions";
            database.until(two, "2").await;
        }
        Phase::Calling | Phase::Storing | Phase::Settling => database.clears(),
    }
    if phase != Phase::Calling {
        database.lets_go();
    }
    let is_stored = matches!(phase, Phase::Stored | Phase::Settling);
    assert_eq!(stored(), if is_stored { "2" } else { "1" });
    let waits = more(second.address, &id).await;
    assert_eq!(waits.code(), (409, "idempotency_in_flight".to_owned()));
    database.leases_end();
    let done = more(second.address, &id).await;
    let again = more(second.address, &id).await;

    assert_eq!((done.status, is_replayed(&done)), (200, false), "{}", done.json());
    assert_eq!((again.status, is_replayed(&again)), (200, true));
    assert_eq!(done.body, again.body);
    let document = done.json();
    assert_eq!(document["variants"].as_array().unwrap().len(), 2);
    assert_eq!(document["variants"][1]["caption"], OTHER);
    assert_eq!(document["additions"].as_array().unwrap().len(), 1);
    assert_eq!((stored(), llm.count()), ("2".to_owned(), calls));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_remembers_calls_over_the_death_of_its_process() {
    let llm = FakeLlm::start().await;
    llm.reply(Turn::caption(CAPTION));
    let home = TempDir::new().unwrap();
    let database = format!("sqlite:{}", home.path().join("captions.db").display());

    let mut process = Process::start(home.path(), &database, &llm);
    let first = post(process.address).await;
    process.kill();
    let process = Process::start(home.path(), &database, &llm);
    let again = post(process.address).await;

    assert_eq!((first.status, again.status), (201, 201), "{}", first.json());
    assert!(!is_replayed(&first) && is_replayed(&again));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(llm.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_dead_process_ends_by_itself() {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    llm.reply(Turn::caption(CAPTION).after(PATIENCE * 2));
    let home = TempDir::new().unwrap();
    let database = format!("sqlite:{}", home.path().join("captions.db").display());
    let mut process = Process::start(home.path(), &database, &llm);
    let address = process.address;
    let lost = tokio::spawn(async move {
        let headers = [
            ("idempotency-key", "order-7"),
            ("content-type", "application/json"),
            ("request-timeout-ms", "6000"),
        ];
        send(
            address,
            "POST",
            "/v1/captions",
            &headers,
            bread().to_string().as_bytes(),
        )
        .await
    });
    llm.until("the provider has the call", |llm| llm.count() == 1).await;

    process.kill();
    let process = Process::start(home.path(), &database, &llm);
    let done = post_until_done(process.address).await;

    assert!(lost.await.is_err(), "an answer came all the same");
    assert_eq!((done.status, is_replayed(&done)), (201, false), "{}", done.json());
    assert_eq!(llm.count(), 2);
}

async fn send_with(address: SocketAddr, method: &str, path: &str, key: &str, kind: &str, body: &str) -> Reply {
    let headers = [("idempotency-key", key), ("content-type", kind)];
    send(address, method, path, &headers, body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_submitted_again_is_one_batch() {
    let llm = FakeLlm::start().await;
    let (database, home) = (Database::new().await, TempDir::new().unwrap());
    let process = Process::start_with(home.path(), &database.0, &llm, &["batches.workers=0"]);
    let item = |index| json!({ "custom_id": format!("post-{index}"), "content_description": "bread ".repeat(300) });
    let lines: Vec<String> = (0..400).map(|index| item(index).to_string()).collect();
    let lines = lines.join("\n");
    assert!(lines.len() > 512 * 1024);
    let submit =
        async |lines: &str| send_with(process.address, "POST", "/v1/batches", "k", "application/jsonl", lines).await;

    let first = submit(&lines).await;
    let again = submit(&lines).await;
    let other = submit(&lines[..lines.rfind('\n').unwrap()]).await;

    assert_eq!((first.status, again.status), (202, 202), "{}", first.json());
    assert!(!is_replayed(&first) && is_replayed(&again));
    assert_eq!(first.body, again.body);
    for same in ["location", "retry-after"] {
        assert!(first.header(same).is_some());
        assert_eq!(first.header(same), again.header(same));
    }
    assert_eq!(other.code(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(database.sql("SELECT count(*) FROM batches"), "1");
    assert_eq!(
        database.sql("SELECT id FROM batches"),
        first.json()["id"].as_str().unwrap()
    );
}

#[rstest]
#[case::as_it_ships(&[], 86_400)]
#[case::shorter(&["idempotency.keep_for=120"], 120)]
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_as_long_as_the_settings_say_and_go_with_their_user(
    #[case] settings: &[&str],
    #[case] seconds: i64,
) {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption(CAPTION));
    let (database, home) = (Database::new().await, TempDir::new().unwrap());
    let process = Process::start_with(home.path(), &database.0, &llm, settings);
    let mut body = bread();
    body["user_id"] = "ann".into();
    let ask = async || {
        let body = body.to_string();
        send_with(process.address, "POST", "/v1/captions", "k", "application/json", &body).await
    };

    let (first, again) = (ask().await, ask().await);
    let left = database.sql("SELECT extract(epoch FROM expires_at - clock_timestamp())::bigint FROM idempotency");
    let erased = send(process.address, "DELETE", "/v1/users/ann", &[], b"").await;
    let kept = database.sql("SELECT count(*) FROM idempotency");
    let anew = ask().await;

    assert_eq!((first.status, anew.status), (201, 201), "{}", first.json());
    assert!(is_replayed(&again) && !is_replayed(&anew));
    let left: i64 = left.parse().unwrap();
    assert!((seconds - 60..=seconds).contains(&left), "{left} s");
    assert!(erased.status < 300, "{}", erased.status);
    assert_eq!(kept, "0");
    assert_ne!(first.json()["id"], anew.json()["id"]);

    let body = r#"{"id": "bea", "display_name": "Bea"}"#;
    let made = send_with(process.address, "POST", "/v1/users", "u", "application/json", body).await;
    let erased = send(process.address, "DELETE", "/v1/users/bea", &[], b"").await;
    assert_eq!((made.status, erased.status < 300), (201, true), "{}", made.json());
    assert_eq!(
        database.sql("SELECT count(*) FROM idempotency WHERE user_id IS DISTINCT FROM 'ann'"),
        "0",
        "what was answered when the user was made goes as well"
    );
}
