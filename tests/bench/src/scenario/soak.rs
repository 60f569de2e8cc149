//! Ten minutes, or as long as is asked for, of everything at once: two tenants, new captions, streams, hits and pages,
//! while Redis, Postgres and the provider go away in turn. Every answer is checked against its request and its tenant.

use std::{
    io::Cursor,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use captions_cli::{Exit, Sink};
use captions_testkit::{postgres, redis};
use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, block_in_place},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    bed::Bed,
    load::count,
    process::{Process, Use},
    report::{
        Bound::{AtLeast, AtMost},
        Comparison::Ratio,
        Figure, median,
    },
    upstream::{Manner, Mood},
};

const PER_SECOND: u32 = 50;
/// The tenants' names, which their posts have too.
const TENANTS: [&str; 2] = ["north", "south"];
const USERS: usize = 40;
/// Once in this time each of them is away, from and for so many seconds.
const CYCLE: u64 = 60;
const REDIS_AWAY: (u64, u64) = (10, 5);
const POSTGRES_AWAY: (u64, u64) = (25, 5);
const PROVIDER_OUT: (u64, u64) = (40, 5);

/// The provider's, when all is well.
fn normal() -> Mood {
    Mood {
        latency_ms: 20,
        manner: Manner::Naming,
        ..Mood::default()
    }
}

/// What came of all requests.
#[derive(Default)]
struct Tally {
    asked: usize,
    answered: usize,
    /// Told as a problem: honest, but no answer.
    refused: usize,
    /// Those of them that were no caption: reads, which nothing can stand in for.
    refused_reads: usize,
    wrong: Vec<String>,
}

struct Soak {
    client: reqwest::Client,
    base: String,
    keys: [String; 2],
    /// Who may look into the server.
    operator: String,
    tally: Mutex<Tally>,
}

pub(super) async fn soak(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let time = if bed.extent.smoke {
        Duration::from_secs(4)
    } else {
        bed.extent.soak
    };
    let (mut postgres, mut redis) =
        tokio::task::spawn_blocking(|| (postgres::Server::start(), redis::Server::start())).await?;
    let database = postgres.new_database();
    let service = bed.service_on(&database, &redis.url(), &[]).await?;
    bed.mood(normal()).await?;
    let soak = Arc::new(Soak {
        client: reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(25))
            .build()?,
        base: service.base(),
        keys: [
            key(&database, TENANTS[0], "read,write").await?,
            key(&database, TENANTS[1], "read,write").await?,
        ],
        operator: key(&database, "local", "admin").await?,
        tally: Mutex::default(),
    });
    let begun = Instant::now();
    let traffic = tokio::spawn(Arc::clone(&soak).traffic(time));
    let uses = watch(&service, &soak, begun + time);
    let mishaps = mishaps(bed, &mut postgres, &mut redis, begun, begun + time);
    let (uses, mishaps) = tokio::join!(uses, mishaps);
    traffic.await?;
    mishaps?;
    bed.mood(Mood::default()).await?;
    let uses = uses?;
    let tally = std::mem::take(&mut *soak.tally());
    if let Some(wrong) = tally.wrong.first() {
        anyhow::bail!("{} wrong answers; the first: {wrong}", tally.wrong.len());
    }
    ensure!(tally.answered > 0, "nothing was answered");
    let name = "soak, 50/s, with restarts";
    // From the middle on: by then whatever is made at its first use has been made.
    let tenth = (uses.len() / 10).max(1);
    let part =
        |of: fn(&Use) -> f64, from: usize| median(&uses.iter().skip(from).take(tenth).map(of).collect::<Vec<_>>());
    let flat = |what, unit, of: fn(&Use) -> f64, most| {
        let (middle, end) = ([part(of, uses.len() / 2)], [part(of, uses.len() - tenth)]);
        Figure::alone(name, what, unit, &end)
            .beside("middle", Ratio, &end, &middle)
            .target(AtMost(most))
    };
    Ok(vec![
        Figure::alone(name, "length", "s", &[time.as_secs_f64()]),
        Figure::alone(name, "requests", "", &[count(tally.asked)]),
        Figure::alone(name, "wrong answers", "", &[count(tally.wrong.len())]).target(AtMost(0.0)),
        Figure::alone(
            name,
            "captions refused, with a problem",
            "",
            &[count(tally.refused - tally.refused_reads)],
        )
        .target(AtMost(0.0)),
        Figure::alone(
            name,
            "reads refused while Postgres was away",
            "",
            &[count(tally.refused_reads)],
        ),
        Figure::alone(
            name,
            "answered",
            "of all",
            &[count(tally.answered) / count(tally.asked)],
        )
        .target(AtLeast(0.95)),
        // Ten minutes do not fill it, so what it holds grows to the end.
        flat(
            "memory beside the cache at the end",
            "MiB",
            |one| one.resident - one.cached,
            1.15,
        ),
        Figure::alone(
            name,
            "memory at the end",
            "MiB",
            &[part(|one| one.resident, uses.len() - tenth)],
        ),
        Figure::alone(
            name,
            "of it cached",
            "MiB",
            &[part(|one| one.cached, uses.len() - tenth)],
        ),
        flat("open files at the end", "", |one| count(one.files), 1.2),
        flat("tasks at the end", "", |one| count(one.tasks), 1.2),
        flat("threads at the end", "", |one| count(one.threads), 1.0),
    ])
}

/// A new API key of this tenant, made as operators make one.
async fn key(database: &str, tenant: &str, scopes: &str) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let (mut stdin, mut stdout, mut stderr) = (Cursor::new(Vec::new()), Vec::new(), Vec::new());
    let args = [
        "captions", "key", "create", "--tenant", tenant, "--scopes", scopes, "--json",
    ];
    // A program without a model of its own wants a provider, also where none is asked.
    let variables = [
        ("HOME", home.path().display().to_string()),
        ("DATABASE_URL", database.to_owned()),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1".to_owned()),
        ("OPENAI_MODEL", "none".to_owned()),
    ];
    let process = captions_cli::Process {
        args: args.map(Into::into).into(),
        env: variables.map(|(name, value)| (name.to_owned(), value)).into(),
        cwd: home.path().to_owned(),
        stdin: &mut stdin,
        stdin_is_terminal: true,
        stdout: (&mut stdout, Sink::Plain),
        stderr: (&mut stderr, Sink::Plain),
        log: false,
    };
    let exit = captions_cli::run(process, std::future::pending()).await;
    ensure!(
        exit == Exit::Done,
        "no key was made: {}",
        String::from_utf8_lossy(&stderr)
    );
    let made: Value = serde_json::from_slice(&stdout)?;
    Ok(made["key"].as_str().context("the document has the key")?.to_owned())
}

/// One look a second.
async fn watch(service: &Process, soak: &Soak, end: Instant) -> anyhow::Result<Vec<Use>> {
    let (mut uses, mut told) = (Vec::new(), (0, 0.0));
    let mut second = interval(Duration::from_secs(1));
    while Instant::now() < end {
        second.tick().await;
        // While a store is away it may not be told; then it is what it was.
        told = soak.told().await.unwrap_or(told);
        let (tasks, cached) = told;
        uses.push(Use {
            tasks,
            cached,
            ..service.usage()?
        });
    }
    Ok(uses)
}

async fn mishaps(
    bed: &Bed,
    postgres: &mut postgres::Server,
    redis: &mut redis::Server,
    begun: Instant,
    end: Instant,
) -> anyhow::Result<()> {
    let mut cycle = 0;
    loop {
        let at = |second: u64| begun + Duration::from_secs(cycle * CYCLE + second);
        // What cannot come back in time does not go away.
        if at(REDIS_AWAY.0 + REDIS_AWAY.1) >= end {
            return Ok(());
        }
        sleep_until(at(REDIS_AWAY.0)).await;
        block_in_place(|| redis.kill());
        sleep_until(at(REDIS_AWAY.0 + REDIS_AWAY.1)).await;
        block_in_place(|| redis.restart());
        if at(POSTGRES_AWAY.0 + POSTGRES_AWAY.1) >= end {
            return Ok(());
        }
        sleep_until(at(POSTGRES_AWAY.0)).await;
        block_in_place(|| postgres.kill());
        sleep_until(at(POSTGRES_AWAY.0 + POSTGRES_AWAY.1)).await;
        block_in_place(|| postgres.restart());
        if at(PROVIDER_OUT.0 + PROVIDER_OUT.1) >= end {
            return Ok(());
        }
        sleep_until(at(PROVIDER_OUT.0)).await;
        bed.mood(Mood {
            manner: Manner::Out,
            ..normal()
        })
        .await?;
        sleep_until(at(PROVIDER_OUT.0 + PROVIDER_OUT.1)).await;
        bed.mood(normal()).await?;
        cycle += 1;
    }
}

impl Soak {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the service tells of itself: tasks of its runtime, and MiB in its cache in memory.
    async fn told(&self) -> anyhow::Result<(usize, f64)> {
        let asked = self
            .client
            .get(format!("{}/v1/stats", self.base))
            .bearer_auth(&self.operator);
        let told: Value = asked.send().await?.error_for_status()?.json().await?;
        let tasks = told["process"]["tasks"].as_u64().context("the figures tell of tasks")?;
        let cached = told["cache"]["memory"]["bytes"].as_f64();
        let cached = cached.context("the figures tell of the cache")?;
        Ok((tasks.try_into()?, cached / (1024.0 * 1024.0)))
    }

    async fn traffic(self: Arc<Self>, time: Duration) {
        let begun = Instant::now();
        let mut tick = interval(Duration::from_secs(1) / PER_SECOND);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        for number in 0_usize.. {
            if begun.elapsed() >= time {
                break;
            }
            tick.tick().await;
            let soak = Arc::clone(&self);
            under_way.spawn(async move { soak.one(number).await });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// One request of the mixture, and the judgement of its answer.
    async fn one(&self, number: usize) {
        let tenant = number % TENANTS.len();
        let user = format!("user-{}", number / 2 % USERS);
        // One in ten asks what was asked a while ago.
        let about = if number % 10 == 9 {
            number.saturating_sub(200 * TENANTS.len())
        } else {
            number
        };
        let name = format!("post {about} of the {} house", TENANTS[tenant]);
        let is_page = number % 10 == 8;
        let is_stream = number % 10 == 7;
        let body = json!({
            "content_description": format!("A quiet evening, {name}"),
            "user_id": format!("user-{}", about / 2 % USERS), "store": number.is_multiple_of(3),
        });
        let request = if is_page {
            self.client
                .get(format!("{}/v1/users/{user}/captions?limit=5", self.base))
        } else {
            let path = if is_stream { "captions/stream" } else { "captions" };
            self.client.post(format!("{}/v1/{path}", self.base)).json(&body)
        };
        let answer = async {
            let answer = request.bearer_auth(&self.keys[tenant]).send().await?;
            anyhow::Ok((answer.status().as_u16(), answer.text().await?))
        };
        let answer = answer.await;
        let mut tally = self.tally();
        tally.asked += 1;
        match answer {
            Err(error) => tally.wrong.push(format!("request {number}: {error:#}")),
            Ok((200 | 201, text)) => match judge(&text, &name, tenant, is_page.then_some(&*user)) {
                Ok(()) => tally.answered += 1,
                Err(why) => tally.wrong.push(format!("request {number}, {name}: {why}: {text}")),
            },
            Ok((429 | 500.., text)) if text.contains("\"retryable\":true") => {
                tally.refused += 1;
                tally.refused_reads += usize::from(is_page);
            }
            Ok((status, text)) => tally.wrong.push(format!("request {number}: {status}: {text}")),
        }
    }
}

/// Whether an answer is that of its request: it names this post and no other, or, a page, posts of this tenant and user only.
fn judge(text: &str, name: &str, tenant: usize, page_of: Option<&str>) -> Result<(), &'static str> {
    if text.contains(&format!("of the {} house", TENANTS[1 - tenant])) {
        return Err("it is another tenant's");
    }
    if let Some(user) = page_of {
        let page: Value = serde_json::from_str(text).map_err(|_| "it is no JSON")?;
        let of_others = page["data"]
            .as_array()
            .ok_or("it is no page")?
            .iter()
            .any(|one| one["user_id"] != user);
        return if of_others {
            Err("it has captions of others")
        } else {
            Ok(())
        };
    }
    if !text.contains(name) {
        return Err("it does not name its post");
    }
    let others = text.match_indices("post ").filter(|(at, _)| {
        let rest = &text[*at..];
        rest[5..].starts_with(|first: char| first.is_ascii_digit()) && !rest.starts_with(name)
    });
    if others.count() > 0 {
        Err("it names another post")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NAME: &str = "post 12 of the north house";

    #[rstest]
    #[case::its_own("{\"text\": \"This is post 12 of the north house.\"}", None, Ok(()))]
    #[case::of_another_tenant("post 12 of the south house", None, Err("it is another tenant's"))]
    #[case::of_another_request(
        "post 12 of the north house, post 13 of the north house",
        None,
        Err("it names another post")
    )]
    #[case::of_nothing("A quiet evening", None, Err("it does not name its post"))]
    #[case::a_page(r#"{"data": [{"user_id": "ann"}]}"#, Some("ann"), Ok(()))]
    #[case::a_page_of_others(r#"{"data": [{"user_id": "bob"}]}"#, Some("ann"), Err("it has captions of others"))]
    fn an_answer_is_judged_by_its_request(
        #[case] text: &str,
        #[case] page_of: Option<&str>,
        #[case] judged: Result<(), &'static str>,
    ) {
        assert_eq!(judge(text, NAME, 0, page_of), judged);
    }
}
