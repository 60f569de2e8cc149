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

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// `captions-http` as a process of its own. It is killed with the test.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts it over this store, with nothing of this machine's environment, and no limit of time that a test could meet.
    fn start(home: &Path, database: &str, llm: &FakeLlm) -> Self {
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
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = log.find(|line| line.contains("listening")).expect("never listens");
        let line: Value = serde_json::from_str(&line).unwrap();
        // What comes later must not fill the pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            child,
            address: line["address"].as_str().unwrap().parse().unwrap(),
        }
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn bread() -> Value {
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
async fn post_until_done(address: SocketAddr) -> Reply {
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

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// A Postgres database that is asked from outside.
struct Database(String);

impl Database {
    async fn new() -> Self {
        Self(postgres::fresh_database().await)
    }

    fn sql(&self, sql: &str) -> String {
        let name = self.0.rsplit('/').next().unwrap();
        tokio::task::block_in_place(|| postgres::shared().sql(name, sql))
            .trim()
            .to_owned()
    }

    fn captions(&self) -> String {
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
