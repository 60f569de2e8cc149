//! What the specification's design claimed for each of its features, as an experiment: the same load with the feature on
//! and off. The claims are about another program on another machine; the ratios are this one's.

use std::time::{Duration, Instant};

use anyhow::ensure;
use captions_testkit::{postgres, tls};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{check, milliseconds};
use crate::{
    bed::{Bed, FROM_CACHE, FROM_PROVIDER, fresh, known_at, new_at, next, stored_at},
    load::{Ask, Call, Measured, closed, count, open, percentile},
    report::{Comparison::Ratio, Figure},
    upstream::{Manner, Mood, Seen},
};

/// With the feature, and without it.
struct Both {
    on: f64,
    off: f64,
}

impl Both {
    fn figure(self, what: &'static str, unit: &'static str) -> Figure {
        Figure::alone("claims", what, unit, &[self.on]).beside("off", Ratio, &[self.on], &[self.off])
    }
}

pub(super) async fn claims(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    Ok(vec![
        pooling(bed)
            .await?
            .figure("S50, S56 pool: time of a query page, p50 (claim: 0.30 x)", "ms"),
        query_cache(bed).await?.figure(
            "S10, S56 cache: share of calls that reach the provider (claim: 0.05 x)",
            "",
        ),
        database_breaker(bed).await?.figure(
            "S56 breaker: p50 while Postgres hangs (claim: 80 % fewer time-outs)",
            "ms",
        ),
        connections(bed)
            .await?
            .figure("S51, S53, S57 kept TLS connections: p50 (claim: 0.40 x)", "ms"),
        reads(bed)
            .await?
            .figure("S57 reads, 16 at once for 1 (claim: 3 x)", "/s"),
        caption_and_translation(bed)
            .await?
            .figure("a caption beside a translation: time of both (claim: none)", "ms"),
        concurrency(bed)
            .await?
            .figure("S52, S57 in flight, 100 for 10 (claim: 10 x)", "/s"),
        limiter(bed)
            .await?
            .figure("S57 limiter: 429 of the provider (claim: 0.10 x)", ""),
        retry(bed)
            .await?
            .figure("S57 retry: requests lost to passing failures (claim: 0.30 x)", ""),
    ])
}

/// A page of the history, one after the other: each query on a kept connection, or on one of its own.
async fn pooling(bed: &Bed) -> anyhow::Result<Both> {
    let mut times = Vec::new();
    for pooling in ["true", "false"] {
        let service = bed.another(&[("CAPTIONS_DATABASE__POOLING", pooling)]).await?;
        check(
            &closed(
                &stored_at(&service, 201, FROM_PROVIDER),
                1,
                0,
                Duration::from_millis(20),
            )
            .await?,
        )?;
        let page = Call {
            path: "/v1/captions?limit=1".to_owned().leak(),
            ask: Ask::Get,
            ..new_at(&service, r#""data":[{"#)
        };
        let measured = closed(&page, 1, bed.warm_up(16), bed.time()).await?;
        check(&measured)?;
        times.push(milliseconds(measured.percentile(0.5)));
    }
    both(&times)
}

/// The same request again and again.
async fn query_cache(bed: &Bed) -> anyhow::Result<Both> {
    let mut shares = Vec::new();
    for (enabled, says) in [("true", FROM_CACHE), ("false", FROM_PROVIDER)] {
        let service = bed.another(&[("CAPTIONS_CACHE__ENABLED", enabled)]).await?;
        let before = bed.calls().await?;
        let measured = closed(&known_at(&service, "/v1/captions", says), 1, 1, bed.time()).await?;
        check(&measured)?;
        shares.push(count(bed.calls().await? - before) / count(measured.answers.len() + 1));
    }
    both(&shares)
}

/// Postgres takes connections and says nothing, and every request is for a user that nobody knows yet.
async fn database_breaker(bed: &Bed) -> anyhow::Result<Both> {
    let mut times = Vec::new();
    for enabled in ["true", "false"] {
        let server = tokio::task::spawn_blocking(postgres::Server::start).await?;
        let database = server.new_database();
        let service = bed
            .service_on(
                &database,
                &bed.redis.url(),
                &[("CAPTIONS_DATABASE__BREAKER__ENABLED", enabled)],
            )
            .await?;
        let users = Call {
            ask: Ask::Post(std::sync::Arc::new(|| {
                let number = next();
                let body = json!({
                    "content_description": format!("Bread on the counter of a bakery with tray {number}"),
                    "user_id": format!("claim-{number}"), "store": false,
                });
                Some(body.to_string().into())
            })),
            ..new_at(&service, r#""caption":"#)
        };
        check(&closed(&users, 4, 2, Duration::from_millis(50)).await?)?;
        block_in_place(|| server.pause());
        let time = if bed.extent.smoke {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(10)
        };
        let measured = open(&users, 20, 64, time).await;
        block_in_place(|| server.resume());
        let measured = measured?;
        check(&measured)?;
        times.push(milliseconds(measured.percentile(0.5)));
    }
    both(&times)
}

/// The provider keeps its TLS connections open, or closes each after its answer.
async fn connections(bed: &Bed) -> anyhow::Result<Both> {
    let door = tls::Door::before(bed.upstream.address).await;
    let provider = format!(
        r#"[{{ name = "openai", kind = "openai", base_url = "https://{}/v1", model = "bench", ca_file = "{}" }}]"#,
        door.address(),
        door.ca_file().display()
    );
    let service = bed.another(&[("CAPTIONS_LLM__PROVIDERS", &provider)]).await?;
    let mut times = Vec::new();
    for manner in [Manner::Well, Manner::Closing] {
        bed.mood(Mood {
            manner,
            ..Mood::default()
        })
        .await?;
        let measured = closed(&new_at(&service, FROM_PROVIDER), 1, bed.warm_up(16), bed.time()).await?;
        check(&measured)?;
        times.push(milliseconds(measured.percentile(0.5)));
    }
    bed.mood(Mood::default()).await?;
    both(&times)
}

/// Pages of the history, sixteen at once or one after the other.
async fn reads(bed: &Bed) -> anyhow::Result<Both> {
    let page = Call {
        path: "/v1/captions?limit=1",
        ask: Ask::Get,
        ..new_at(&bed.service, r#""data":["#)
    };
    let mut rates = Vec::new();
    for connections in [16, 1] {
        let measured = closed(&page, connections, bed.warm_up(16), bed.time()).await?;
        check(&measured)?;
        rates.push(measured.rate());
    }
    both(&rates)
}

/// Somebody needs a caption and a translation of another, and the provider takes 100 ms for each: at once, or one after the
/// other.
async fn caption_and_translation(bed: &Bed) -> anyhow::Result<Both> {
    bed.mood(Mood {
        latency_ms: 100,
        ..Mood::default()
    })
    .await?;
    let ask = async |path: &str, body: Value| {
        let url = format!("{}{path}", bed.service.base());
        let answer = bed.client.post(url).json(&body).send().await?.error_for_status()?;
        let told: Value = answer.json().await?;
        ensure!(told["source"] == "provider", "not the provider's: {told}");
        Ok(())
    };
    let caption = || {
        ask(
            "/v1/captions",
            json!({ "content_description": fresh(), "store": false }),
        )
    };
    let translation = || {
        let body = json!({ "text": "Fresh bread, and the door is open.", "operation": "translate", "language": "de" });
        ask("/v1/rewrites", body)
    };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..if bed.extent.smoke { 1 } else { 20 } {
        let begun = Instant::now();
        tokio::try_join!(caption(), translation())?;
        times[0].push(begun.elapsed());
        let begun = Instant::now();
        caption().await?;
        translation().await?;
        times[1].push(begun.elapsed());
    }
    bed.mood(Mood::default()).await?;
    both(&times.map(|mut times| {
        times.sort_unstable();
        milliseconds(percentile(&times, 0.5))
    }))
}

/// A hundred callers, a provider that takes 100 ms, and room for all of them or for ten.
async fn concurrency(bed: &Bed) -> anyhow::Result<Both> {
    bed.mood(Mood {
        latency_ms: 100,
        ..Mood::default()
    })
    .await?;
    let mut rates = Vec::new();
    for (most, connections) in [("100", 100), ("10", 100)] {
        let service = bed.another(&[("MAX_CONNECTIONS", most)]).await?;
        let measured = closed(&new_at(&service, FROM_PROVIDER), connections, 1, bed.time()).await?;
        check(&measured)?;
        rates.push(measured.rate());
    }
    bed.mood(Mood::default()).await?;
    both(&rates)
}

/// A provider that takes ten calls a second, and fifteen requests a second: with its limit known, and without.
async fn limiter(bed: &Bed) -> anyhow::Result<Both> {
    let mut throttled = Vec::new();
    for limit in ["600", "0"] {
        let service = bed
            .another(&[
                ("CAPTIONS_API__REQUESTS_PER_MINUTE", limit),
                ("CAPTIONS_API__QUOTA_HEADERS", "false"),
                // Redis would count the calls of the one before.
                ("REDIS_URL", ""),
            ])
            .await?;
        // As many at once as the limit has in a minute are fine, so these come first, while the provider takes all.
        bed.mood(Mood::default()).await?;
        answered(&closed(&new_at(&service, ""), 16, 0, long(bed) / 2).await?)?;
        bed.mood(Mood {
            quota: 10,
            ..Mood::default()
        })
        .await?;
        let before = seen(bed).await?.throttled;
        answered(&open(&new_at(&service, ""), 15, 64, long(bed)).await?)?;
        throttled.push(count(seen(bed).await?.throttled - before));
    }
    bed.mood(Mood::default()).await?;
    both(&throttled)
}

/// One call in five fails and would not fail again.
async fn retry(bed: &Bed) -> anyhow::Result<Both> {
    bed.mood(Mood {
        fails_one_in: 5,
        ..Mood::default()
    })
    .await?;
    let mut lost = Vec::new();
    for attempts in ["3", "1"] {
        let service = bed
            .another(&[
                ("CAPTIONS_API__MAX_ATTEMPTS", attempts),
                ("CAPTIONS_FALLBACK__TEMPLATE", "false"),
                ("CAPTIONS_FALLBACK__STALE", "false"),
            ])
            .await?;
        let measured = open(&new_at(&service, FROM_PROVIDER), 20, 64, long(bed)).await?;
        answered(&measured)?;
        lost.push(count(measured.failed()) / count(measured.answers.len()));
    }
    bed.mood(Mood::default()).await?;
    both(&lost)
}

fn both(times: &[f64]) -> anyhow::Result<Both> {
    let [on, off] = times else {
        anyhow::bail!("on and off were measured")
    };
    Ok(Both { on: *on, off: *off })
}

fn long(bed: &Bed) -> Duration {
    if bed.extent.smoke {
        Duration::from_secs(1)
    } else {
        Duration::from_secs(10)
    }
}

async fn seen(bed: &Bed) -> anyhow::Result<Seen> {
    let seen = bed.client.get(format!("{}/seen", bed.upstream.base())).send().await?;
    Ok(seen.json().await?)
}

/// Failures are what is counted here; but somebody has to be there.
fn answered(measured: &Measured) -> anyhow::Result<()> {
    ensure!(
        measured.answers.iter().all(|answer| answer.status != 0),
        "somebody had no answer at all"
    );
    Ok(())
}
