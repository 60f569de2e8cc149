//! Something below is away for a while, under load.

use std::time::Duration;

use anyhow::Context as _;
use captions_testkit::{postgres, redis};
use tokio::time::{Instant, sleep_until};

use super::milliseconds;
use crate::{
    bed::{Bed, FROM_PROVIDER, new_at},
    load::{Call, Measured, count, open},
    process::Process,
    report::{Bound::AtMost, Comparison::Ratio, Figure},
    upstream::{Manner, Mood},
};

/// How long all is well, something is out, and all is well again.
struct Times {
    before: Duration,
    out: Duration,
    after: Duration,
}

impl Times {
    fn of(bed: &Bed, out: u64) -> Self {
        let seconds = if bed.extent.smoke { [1, 1, 2] } else { [3, out, 5] };
        let [before, out, after] = seconds.map(Duration::from_secs);
        Self { before, out, after }
    }

    fn whole(&self) -> Duration {
        self.before + self.out + self.after
    }

    /// When the outage is over.
    fn back(&self) -> Duration {
        self.before + self.out
    }
}

/// The provider answers 503 for ten seconds, with 20 requests a second: once with the ladder below it, once without.
pub(super) async fn provider(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, more, ladder) in [
        ("provider out for 10 s, 20/s, ladder on", &[][..], true),
        (
            "provider out for 10 s, 20/s, ladder off",
            &[
                ("CAPTIONS_FALLBACK__STALE", "false"),
                ("CAPTIONS_FALLBACK__TEMPLATE", "false"),
            ][..],
            false,
        ),
    ] {
        // A service of its own: what its breaker learns stays there.
        let service = bed.another(more).await?;
        let times = Times::of(bed, 10);
        let normal = Mood {
            latency_ms: 20,
            ..Mood::default()
        };
        bed.mood(normal).await?;
        let call = Call {
            status: 200,
            ..new_at(&service, FROM_PROVIDER)
        };
        let begun = Instant::now();
        let load = open(&call, 20, 64, times.whole());
        let mishap = async {
            sleep_until(begun + times.before).await;
            bed.mood(Mood {
                latency_ms: 20,
                manner: Manner::Out,
                ..Mood::default()
            })
            .await?;
            let before = bed.calls().await?;
            sleep_until(begun + times.back()).await;
            let calls = bed.calls().await? - before;
            bed.mood(normal).await?;
            anyhow::Ok((calls, begun.elapsed()))
        };
        let (measured, mishap) = tokio::join!(load, mishap);
        let (measured, (calls, back)) = (measured?, mishap?);
        bed.mood(Mood::default()).await?;
        figures.push(Figure::alone(name, "calls of the provider while out", "", &[count(calls)]).target(AtMost(20.0)));
        let out = measured.between(times.before + Duration::from_millis(200), times.back());
        if ladder {
            let unanswered = measured.answers.iter().filter(|answer| answer.status != 200).count();
            figures
                .push(Figure::alone(name, "requests without a caption", "", &[count(unanswered)]).target(AtMost(0.0)));
        } else {
            let mut refusals: Vec<_> = out
                .answers
                .iter()
                .filter(|answer| answer.status != 200)
                .map(|a| a.latency)
                .collect();
            refusals.sort_unstable();
            let typical = crate::load::percentile(&refusals, 0.5);
            figures.push(Figure::alone(name, "refused after, p50", "ms", &[milliseconds(typical)]).target(AtMost(5.0)));
        }
        figures.push(first_fresh(name, &measured, back)?);
    }
    Ok(figures)
}

/// How long after `back` the first right answer came.
fn first_fresh(name: &'static str, measured: &Measured, back: Duration) -> anyhow::Result<Figure> {
    let after = measured
        .answers
        .iter()
        .filter(|answer| answer.right && answer.at + answer.latency >= back);
    let first = after.map(|answer| answer.at + answer.latency).min();
    let first = first
        .context("nothing fresh came after the outage")?
        .saturating_sub(back);
    Ok(Figure::alone(name, "first fresh answer after it is back", "s", &[first.as_secs_f64()]).target(AtMost(1.0)))
}

/// Redis, then Postgres, killed for six seconds under 50 requests a second, and started again on the same port.
pub(super) async fn stores(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (mut postgres, mut redis) =
        tokio::task::spawn_blocking(|| (postgres::Server::start(), redis::Server::start())).await?;
    let database = postgres.new_database();
    let service = bed.service_on(&database, &redis.url(), &[]).await?;
    let normal = Mood {
        latency_ms: 20,
        ..Mood::default()
    };
    bed.mood(normal).await?;
    let mut figures = Vec::new();
    figures.extend(
        killed(
            bed,
            &service,
            "Redis killed for 6 s, 50/s",
            &mut redis,
            redis::Server::kill,
            redis::Server::restart,
        )
        .await?,
    );
    figures.extend(
        killed(
            bed,
            &service,
            "Postgres killed for 6 s, 50/s",
            &mut postgres,
            postgres::Server::kill,
            postgres::Server::restart,
        )
        .await?,
    );
    bed.mood(Mood::default()).await?;
    Ok(figures)
}

async fn killed<S>(
    bed: &Bed,
    service: &Process,
    name: &'static str,
    server: &mut S,
    kill: fn(&mut S),
    restart: fn(&mut S),
) -> anyhow::Result<Vec<Figure>> {
    let times = Times::of(bed, 6);
    // Nothing degraded: the second look, at what came back, tells when all is as before.
    let call = new_at(service, r#""degraded":[]"#);
    let begun = Instant::now();
    let load = open(&call, 50, 64, times.whole());
    let mishap = async {
        sleep_until(begun + times.before).await;
        tokio::task::block_in_place(|| kill(server));
        sleep_until(begun + times.back()).await;
        tokio::task::block_in_place(|| restart(server));
        begun.elapsed()
    };
    let (measured, back) = tokio::join!(load, mishap);
    let measured = measured?;
    let failed = measured.answers.iter().filter(|answer| answer.status != 200).count();
    let p99 = |part: Measured| {
        let mut latencies: Vec<_> = part.answers.iter().map(|answer| answer.latency).collect();
        latencies.sort_unstable();
        milliseconds(crate::load::percentile(&latencies, 0.99))
    };
    let normal = [p99(measured.between(Duration::from_millis(500), times.before))];
    let dead = [p99(measured.between(times.before, times.back()))];
    // From here on nothing was degraded any more.
    let last = measured
        .answers
        .iter()
        .filter(|answer| !answer.right)
        .map(|answer| answer.at + answer.latency)
        .max();
    let healed = last.map_or(0.0, |last| last.saturating_sub(back).as_secs_f64());
    Ok(vec![
        Figure::alone(name, "requests without a caption", "", &[count(failed)]).target(AtMost(0.0)),
        Figure::alone(name, "p99 meanwhile", "ms", &dead)
            .beside("before", Ratio, &dead, &normal)
            .target(AtMost(2.0)),
        Figure::alone(name, "last degraded answer after the restart", "s", &[healed]).target(AtMost(1.0)),
    ])
}
