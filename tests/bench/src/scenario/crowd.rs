//! Many at once: a slow provider, the same request from everybody, a batch.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{check, milliseconds};
use crate::{
    bed::{Bed, FROM_PROVIDER, PASSED_ON, fresh, known_at, new_at, next, stored_at},
    load::{Ask, Call, burst as at_once, closed, count},
    report::{
        Bound::{AtLeast, AtMost},
        Comparison::Ratio,
        Figure,
    },
    upstream::Mood,
};

/// What a provider takes that thinks.
fn slow_mood() -> Mood {
    Mood {
        latency_ms: 500,
        ..Mood::default()
    }
}

/// The provider takes half a second, and so many wait at once.
pub(super) async fn slow(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    bed.mood(slow_mood()).await?;
    // A new one, whose memory does not hold what it has cached before: the floor's holds nothing of the kind.
    bed.service = bed.another(&[]).await?;
    let mut figures = Vec::new();
    let crowds = if bed.extent.smoke {
        [("500 ms, 1,000 in flight", 10), ("500 ms, 5,000 in flight", 20)]
    } else {
        [("500 ms, 1,000 in flight", 1000), ("500 ms, 5,000 in flight", 5000)]
    };
    for (name, connections) in crowds {
        let ideal = [count(connections) * 2.0];
        let mut rates = [0.0; 2];
        let mut peaks = [0.0; 2];
        let mut p99s = [0.0; 2];
        for (place, (process, says)) in [(&bed.floor, PASSED_ON), (&bed.service, FROM_PROVIDER)]
            .into_iter()
            .enumerate()
        {
            process.forget_peak()?;
            let time = if bed.extent.smoke {
                bed.time()
            } else {
                Duration::from_secs(6)
            };
            let measured = closed(&new_at(process, says), connections, 2, time).await?;
            check(&measured)?;
            rates[place] = measured.rate();
            p99s[place] = milliseconds(measured.percentile(0.99));
            peaks[place] = process.usage()?.peak;
        }
        let [floor, service] = rates.map(|rate| [rate]);
        let against_ideal = Figure::alone(name, "throughput", "/s", &service).beside("ideal", Ratio, &service, &ideal);
        let against_floor = Figure::alone(name, "throughput", "/s", &service).beside("floor", Ratio, &service, &floor);
        figures.extend(if name.contains("1,000") {
            [against_ideal.target(AtLeast(0.95)), against_floor]
        } else {
            [against_ideal, against_floor.target(AtLeast(0.95))]
        });
        let [floor, service] = p99s.map(|p99| [p99]);
        figures.push(Figure::alone(name, "p99", "ms", &service).beside("floor", Ratio, &service, &floor));
        let [floor, service] = peaks.map(|peak| [peak]);
        figures.push(
            Figure::alone(name, "peak memory", "MiB", &service)
                .beside("floor", Ratio, &service, &floor)
                .target(AtMost(1.2)),
        );
    }
    bed.mood(Mood::default()).await?;
    Ok(figures)
}

/// Everybody asks the same at the same moment, and nobody has the answer yet.
pub(super) async fn burst(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    bed.mood(slow_mood()).await?;
    let crowd = if bed.extent.smoke { 20 } else { 1000 };
    let (mut calls, mut slowest) = (Vec::new(), Vec::new());
    for _ in 0..bed.extent.rounds {
        let body = bytes::Bytes::from(json!({"content_description": fresh(), "store": false}).to_string());
        let call = Call {
            ask: Ask::Post(std::sync::Arc::new(move || Some(body.clone()))),
            ..known_at(&bed.service, "/v1/captions", r#""source":"#)
        };
        let before = bed.calls().await?;
        let measured = at_once(&call, crowd).await?;
        check(&measured)?;
        ensure!(measured.answers.len() == crowd, "somebody did not ask");
        calls.push(count(bed.calls().await? - before));
        slowest.push(measured.percentile(1.0).as_secs_f64() / 0.5);
    }
    bed.mood(Mood::default()).await?;
    let name = "1,000 identical requests at once";
    Ok(vec![
        Figure::alone(name, "calls of the provider", "", &calls).target(AtMost(1.0)),
        Figure::alone(name, "the last answer after", "x the provider's time", &slowest).target(AtMost(1.25)),
    ])
}

/// Ten thousand that nobody waits for, with the workers that ship, against a floor asked by as many connections.
pub(super) async fn batch(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let size = if bed.extent.smoke { 50 } else { 10_000 };
    let items: Vec<_> = (0..size)
        .map(|_| json!({"custom_id": format!("item-{}", next()), "content_description": fresh()}))
        .collect();
    let base = format!("{}/v1/batches", bed.service.base());
    let before = bed.calls().await?;
    let begun = Instant::now();
    let made = bed.client.post(&base).json(&json!({ "items": items })).send().await?;
    let made: Value = made.error_for_status()?.json().await?;
    let taken = begun.elapsed();
    let id = made["id"].as_str().context("a batch has an id")?.to_owned();
    let done = loop {
        let batch: Value = bed
            .client
            .get(format!("{base}/{id}?wait=30"))
            .send()
            .await?
            .json()
            .await?;
        if !["queued", "in_progress"].contains(&batch["state"].as_str().unwrap_or_default()) {
            break batch;
        }
        ensure!(begun.elapsed() < Duration::from_secs(300), "it took too long: {batch}");
    };
    let whole = begun.elapsed().as_secs_f64();
    ensure!(done["counts"]["succeeded"] == size, "not every item succeeded: {done}");
    ensure!(bed.calls().await? - before == size, "not one call an item");
    let floor = closed(&stored_at(&bed.floor, 200, PASSED_ON), 4, bed.warm_up(4), bed.time()).await?;
    check(&floor)?;
    let rate = [count(size) / whole];
    let name = "batch of 10,000";
    Ok(vec![
        Figure::alone(name, "items a second", "/s", &rate).beside(
            "floor, 4 connections",
            Ratio,
            &rate,
            &[floor.rate()],
        ),
        Figure::alone(name, "time to take it", "ms", &[milliseconds(taken)]),
        Figure::alone(name, "time of the whole", "s", &[whole]),
    ])
}
