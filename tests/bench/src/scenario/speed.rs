//! One request after the other, as fast as they are answered, beside the floor.

use anyhow::ensure;

use super::{Load, check, milliseconds, paired};
use crate::{
    bed::{Bed, FROM_CACHE, FROM_PROVIDER, PASSED_ON, known_at, listed_at, new_at, stored_at, stream_at},
    load::{closed, count},
    report::{
        Bound::{AtLeast, AtMost},
        Comparison::{Difference, Ratio},
        Figure,
    },
};

/// Every request new, the provider answering at once.
pub(super) async fn cold(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let (service, floor) = (new_at(&bed.service, FROM_PROVIDER), new_at(&bed.floor, PASSED_ON));
    bed.service.forget_peak()?;
    bed.floor.forget_peak()?;
    for connections in [1, 16, 64] {
        let before = bed.calls().await?;
        let (one, two) = paired(
            bed,
            Load::Closed(connections),
            (&bed.service, &service),
            (&bed.floor, &floor),
        )
        .await?;
        let asked = bed.calls().await? - before;
        let warm_up = 2 * bed.extent.rounds * connections * bed.warm_up(connections);
        ensure!(
            asked == one.answered + two.answered + warm_up,
            "{} answers, but {asked} calls of the provider",
            one.answered + two.answered + warm_up
        );
        let name = ["cold, 1 connection", "cold, 16 connections", "cold, 64 connections"]
            [usize::from(connections > 1) + usize::from(connections > 16)];
        let rate = Figure::alone(name, "throughput", "/s", &one.rate).beside("floor", Ratio, &one.rate, &two.rate);
        let cpu = Figure::alone(name, "CPU a request", "us", &one.cpu).beside("floor", Ratio, &one.cpu, &two.cpu);
        let p50 = Figure::alone(name, "p50", "ms", &one.p50).beside("floor", Difference, &one.p50, &two.p50);
        let p99 = Figure::alone(name, "p99", "ms", &one.p99).beside("floor", Difference, &one.p99, &two.p99);
        figures.extend(match connections {
            1 => [rate, cpu, p50.target(AtMost(0.15)), p99.target(AtMost(1.0))],
            16 => [rate, cpu, p50, p99],
            _ => [rate.target(AtLeast(0.80)), cpu.target(AtMost(1.30)), p50, p99],
        });
    }
    let (one, two) = (bed.service.usage()?.peak, bed.floor.usage()?.peak);
    let peak = Figure::alone("cold, 64 connections", "peak memory", "MiB", &[one]);
    figures.push(Figure {
        target: Some(AtMost(40.0)),
        ..peak
    });
    figures.push(Figure::alone(
        "cold, 64 connections",
        "peak memory of the floor",
        "MiB",
        &[two],
    ));
    Ok(figures)
}

/// Every request new, at a rate that does not wait for the answers.
pub(super) async fn arrival(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (service, floor) = (new_at(&bed.service, FROM_PROVIDER), new_at(&bed.floor, PASSED_ON));
    let mut figures = Vec::new();
    for (name, per_second) in [("cold, 100 a second", 100), ("cold, 1,000 a second", 1000)] {
        let (one, two) = paired(
            bed,
            Load::Open(per_second),
            (&bed.service, &service),
            (&bed.floor, &floor),
        )
        .await?;
        figures.push(
            Figure::alone(name, "p50 from the due time", "ms", &one.p50)
                .beside("floor", Difference, &one.p50, &two.p50),
        );
        figures.push(
            Figure::alone(name, "p99 from the due time", "ms", &one.p99)
                .beside("floor", Difference, &one.p99, &two.p99),
        );
    }
    Ok(figures)
}

/// Every request new and kept, against a floor that inserts too.
pub(super) async fn stored(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (service, floor) = (
        stored_at(&bed.service, 201, FROM_PROVIDER),
        stored_at(&bed.floor, 200, PASSED_ON),
    );
    let (one, two) = paired(bed, Load::Closed(64), (&bed.service, &service), (&bed.floor, &floor)).await?;
    let name = "cold and stored, 64 connections";
    Ok(vec![
        Figure::alone(name, "throughput", "/s", &one.rate).beside("floor", Ratio, &one.rate, &two.rate),
        Figure::alone(name, "p99", "ms", &one.p99).beside("floor", Ratio, &one.p99, &two.p99),
    ])
}

/// The same request again and again, against a bare handler that answers the same bytes.
pub(super) async fn memory(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (service, bare) = (
        known_at(&bed.service, "/v1/captions", FROM_CACHE),
        known_at(&bed.floor, "/bytes", FROM_CACHE),
    );
    let mut figures = Vec::new();
    for (name, connections) in [("memory hit, 1 connection", 1), ("memory hit, 64 connections", 64)] {
        let load = Load::Closed(connections);
        let (one, two) = paired(bed, load, (&bed.service, &service), (&bed.floor, &bare)).await?;
        let rate =
            Figure::alone(name, "throughput", "/s", &one.rate).beside("bare handler", Ratio, &one.rate, &two.rate);
        let p99 = Figure::alone(name, "p99", "ms", &one.p99).beside("bare handler", Ratio, &one.p99, &two.p99);
        let cpu =
            Figure::alone(name, "CPU a request", "us", &one.cpu).beside("bare handler", Ratio, &one.cpu, &two.cpu);
        if connections == 1 {
            let nagle: Vec<_> = std::iter::zip(&one.p99, &one.p50).map(|(p99, p50)| p99 - p50).collect();
            figures.push(Figure::alone(name, "p99 - p50 on keep-alive", "ms", &nagle).target(AtMost(5.0)));
            figures.extend([rate, p99, cpu]);
        } else {
            figures.extend([rate.target(AtLeast(0.80)), p99.target(AtMost(1.5)), cpu]);
        }
    }
    Ok(figures)
}

/// Captions that Redis knows and this process does not: another one wrote them.
pub(super) async fn redis(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let each = if bed.extent.smoke { 50 } else { 10_000 };
    let rounds = bed.extent.rounds;
    let all = 0..(each * rounds);
    let endless = std::time::Duration::from_secs(120);
    for (process, says) in [(&bed.service, FROM_PROVIDER), (&bed.floor, PASSED_ON)] {
        check(&closed(&listed_at(process, "loaf", all.clone(), says), 64, 0, endless).await?)?;
    }
    let other = bed.another(&[]).await?;
    // The connections to the stores are open, and the users' preferences known.
    check(&closed(&new_at(&other, FROM_PROVIDER), 16, bed.warm_up(16), bed.time()).await?)?;
    let (mut rates, mut floors, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    let mut hits = Vec::new();
    for round in 0..rounds {
        let numbers = each * round..each * (round + 1);
        let before = bed.calls().await?;
        let two = closed(
            &listed_at(&bed.floor, "loaf", numbers.clone(), PASSED_ON),
            64,
            0,
            endless,
        )
        .await?;
        ensure!(bed.calls().await? == before, "a hit of the floor called the provider");
        // A look into Redis has 50 ms. What is not found by then, because other programs have the cores, is written anew.
        let one = closed(&listed_at(&other, "loaf", numbers, r#""source":""#), 64, 0, endless).await?;
        check(&one)?;
        check(&two)?;
        hits.push(1.0 - count(bed.calls().await? - before) / count(each));
        rates.push(one.rate());
        floors.push(two.rate());
        p99.push(milliseconds(one.percentile(0.99)));
    }
    let name = "Redis hit, 64 connections";
    Ok(vec![
        Figure::alone(name, "throughput", "/s", &rates)
            .beside("floor", Ratio, &rates, &floors)
            .target(AtLeast(0.80)),
        Figure::alone(name, "p99", "ms", &p99),
        Figure::alone(name, "answered without the provider", "of all", &hits).target(AtLeast(0.99)),
    ])
}

/// New captions as streams of events, against a floor that passes the provider's on.
pub(super) async fn stream(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (service, floor) = (
        stream_at(&bed.service, "event: caption.completed"),
        stream_at(&bed.floor, "[DONE]"),
    );
    let mut figures = Vec::new();
    for (name, connections) in [("stream, 1 connection", 1), ("stream, 64 connections", 64)] {
        let (one, two) = paired(
            bed,
            Load::Closed(connections),
            (&bed.service, &service),
            (&bed.floor, &floor),
        )
        .await?;
        figures.push(Figure::alone(name, "throughput", "/s", &one.rate).beside("floor", Ratio, &one.rate, &two.rate));
        if connections == 1 {
            let nagle: Vec<_> = std::iter::zip(&one.p99, &one.p50).map(|(p99, p50)| p99 - p50).collect();
            figures.push(Figure::alone(name, "p99 - p50", "ms", &nagle).target(AtMost(5.0)));
        }
    }
    Ok(figures)
}
