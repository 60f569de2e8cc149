//! The machine room: provider, stores, floor and service, up and primed.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use captions_testkit::{postgres, redis};
use serde_json::{Value, json};

use crate::{
    floor::{Ground, Prompt, TABLES},
    load::{Ask, Call},
    process::Process,
    upstream::{CAPTION_PART, Mood, Seen},
};

/// What every request is about; each adds its number.
const ABOUT: &str = "Bread on the counter of a bakery";
/// The description that the bed is primed with.
pub(crate) const KNOWN: &str = ABOUT;
/// Users with preferences, of whom each request names one.
const USERS: usize = 100;
/// How often a system is asked before its figures count.
const WARM_UP: usize = 300;

/// How long and how often everything is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    /// Of one scenario in one round.
    pub(crate) time: Duration,
    /// Of the soak.
    pub(crate) soak: Duration,
    /// Of the long history.
    pub(crate) rows: usize,
    pub(crate) smoke: bool,
}

pub(crate) struct Bed {
    pub(crate) extent: Extent,
    /// The program of the service; none: this one.
    pub(crate) server: Option<PathBuf>,
    pub(crate) client: reqwest::Client,
    pub(crate) upstream: Process,
    pub(crate) postgres: postgres::Server,
    pub(crate) redis: redis::Server,
    /// The service's database.
    pub(crate) database: String,
    pub(crate) floor: Process,
    pub(crate) service: Process,
}

/// A number that no other request of this run has.
pub(crate) fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A description that nothing has seen before; plain letters, which JSON writes as they are.
pub(crate) fn fresh() -> String {
    format!("{ABOUT} with tray {}", next())
}

pub(crate) fn user(number: usize) -> String {
    format!("user-{}", number % USERS)
}

fn bytes(body: &Value) -> Bytes {
    body.to_string().into()
}

impl Bed {
    pub(crate) async fn start(extent: Extent, server: Option<PathBuf>) -> anyhow::Result<Self> {
        let (postgres, redis) =
            tokio::task::spawn_blocking(|| (postgres::Server::start(), redis::Server::start())).await?;
        let database = postgres.new_database();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let upstream = Process::role("upstream", &Value::Null).await?;
        let env = environment(&upstream, &database, &redis.url());
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let service = Process::service(server.as_deref(), &env).await?;
        for number in 0..USERS {
            let body = json!({"id": user(number), "preferences": {"tone": "warm", "audience": "food"}});
            let made = client
                .post(format!("{}/v1/users", service.base()))
                .json(&body)
                .send()
                .await?;
            anyhow::ensure!(made.status() == 201, "a user was not made: {}", made.text().await?);
        }
        // Puts the answer into the cache, and shows the prompts that the floor has to send as well.
        let known = json!({"content_description": KNOWN, "user_id": user(0), "store": false});
        let mut hit = String::new();
        for _ in 0..2 {
            let sent = client
                .post(format!("{}/v1/captions", service.base()))
                .json(&known)
                .send();
            hit = sent.await?.error_for_status()?.text().await?;
        }
        anyhow::ensure!(
            hit.contains(r#""source":"cache""#),
            "the second answer is no hit: {hit}"
        );
        let streamed = json!({"content_description": fresh(), "user_id": user(0), "store": false});
        let stream_about = streamed["content_description"].as_str().unwrap_or_default().to_owned();
        let sent = client
            .post(format!("{}/v1/captions/stream", service.base()))
            .json(&streamed)
            .send();
        sent.await?.error_for_status()?.text().await?;
        let seen: Seen = client
            .get(format!("{}/seen", upstream.base()))
            .send()
            .await?
            .json()
            .await?;
        let ground = Ground {
            upstream: format!("{}/v1", upstream.base()),
            database: postgres.new_database(),
            redis: redis.url(),
            prompt: Prompt::of(&seen.first.context("the provider was never asked")?, KNOWN)?,
            stream_prompt: Prompt::of(&seen.first_stream.context("no stream was asked for")?, &stream_about)?,
            bytes: hit,
        };
        let floor_database = ground.database.rsplit('/').next().unwrap_or_default().to_owned();
        for table in TABLES {
            postgres.sql(&floor_database, table);
        }
        let users = format!(
            "INSERT INTO floor_users SELECT 'user-' || n, '{{\"tone\": \"warm\", \"audience\": \"food\"}}' FROM \
             generate_series(0, {}) n",
            USERS - 1
        );
        postgres.sql(&floor_database, &users);
        let floor = Process::role("floor", &serde_json::to_value(&ground)?).await?;
        Ok(Self {
            extent,
            server,
            client,
            upstream,
            postgres,
            redis,
            database,
            floor,
            service,
        })
    }

    /// One more service on the same provider and stores; `more` settings come on top of what it ships with.
    pub(crate) async fn another(&self, more: &[(&str, &str)]) -> anyhow::Result<Process> {
        self.service_on(&self.database, &self.redis.url(), more).await
    }

    /// A service on the same provider and other stores.
    pub(crate) async fn service_on(
        &self,
        database: &str,
        redis: &str,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let env = environment(&self.upstream, database, redis);
        let mut env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        env.extend(more);
        Process::service(self.server.as_deref(), &env).await
    }

    pub(crate) async fn mood(&self, mood: Mood) -> anyhow::Result<()> {
        let sent = self
            .client
            .post(format!("{}/mood", self.upstream.base()))
            .json(&mood)
            .send();
        sent.await?.error_for_status()?;
        Ok(())
    }

    /// Calls that the provider has had so far.
    pub(crate) async fn calls(&self) -> anyhow::Result<usize> {
        let seen = self.client.get(format!("{}/seen", self.upstream.base())).send().await?;
        Ok(seen.json::<Seen>().await?.calls)
    }

    /// How long one scenario is measured in one round.
    pub(crate) fn time(&self) -> Duration {
        self.extent.time
    }

    pub(crate) fn warm_up(&self, connections: usize) -> usize {
        if self.extent.smoke {
            1
        } else {
            WARM_UP / connections + 1
        }
    }
}

/// The service's variables: nothing but where its provider and stores are.
fn environment(upstream: &Process, database: &str, redis: &str) -> [(&'static str, String); 4] {
    [
        ("DATABASE_URL", database.to_owned()),
        ("REDIS_URL", redis.to_owned()),
        ("OPENAI_BASE_URL", format!("{}/v1", upstream.base())),
        ("OPENAI_MODEL", "bench".to_owned()),
    ]
}

fn post(make: impl Fn() -> Option<Bytes> + Send + Sync + 'static) -> Ask {
    Ask::Post(Arc::new(make))
}

/// A caption that nobody asked for before, for one of the users, in no history.
pub(crate) fn new_at(process: &Process, says: &'static str) -> Call {
    Call {
        address: process.address,
        path: "/v1/captions",
        ask: post(|| {
            let number = next();
            Some(bytes(&json!({
                "content_description": format!("{ABOUT} with tray {number}"), "user_id": user(number), "store": false,
            })))
        }),
        status: 200,
        says,
    }
}

/// The same, kept in the history. For nobody: captions of one user must differ from those before, and the provider's never do.
pub(crate) fn stored_at(process: &Process, status: u16, says: &'static str) -> Call {
    Call {
        ask: post(|| Some(bytes(&json!({ "content_description": fresh() })))),
        status,
        ..new_at(process, says)
    }
}

/// The same caption again and again.
pub(crate) fn known_at(process: &Process, path: &'static str, says: &'static str) -> Call {
    let body = bytes(&json!({"content_description": KNOWN, "user_id": user(0), "store": false}));
    Call {
        path,
        ask: post(move || Some(body.clone())),
        ..new_at(process, says)
    }
}

/// Captions from a list of so many, each once: `named` tells lists apart.
pub(crate) fn listed_at(process: &Process, named: &str, numbers: std::ops::Range<usize>, says: &'static str) -> Call {
    let (at, named) = (AtomicUsize::new(numbers.start), named.to_owned());
    Call {
        ask: post(move || {
            let number = at.fetch_add(1, Ordering::Relaxed);
            numbers.contains(&number).then(|| {
                bytes(&json!({
                    "content_description": format!("{ABOUT} with {named} {number}"), "user_id": user(number), "store": false,
                }))
            })
        }),
        ..new_at(process, says)
    }
}

/// A new caption as a stream of events.
pub(crate) fn stream_at(process: &Process, says: &'static str) -> Call {
    Call {
        path: "/v1/captions/stream",
        ..new_at(process, says)
    }
}

/// What the floor says when it passes the provider's text on.
pub(crate) const PASSED_ON: &str = CAPTION_PART;
pub(crate) const FROM_PROVIDER: &str = r#""source":"provider""#;
pub(crate) const FROM_CACHE: &str = r#""source":"cache""#;
