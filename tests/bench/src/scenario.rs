//! What is measured.

mod claims;
mod crowd;
mod footprint;
mod growth;
mod outage;
mod soak;
mod speed;

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::LocalBoxFuture;

use crate::{
    bed::Bed,
    load::{Call, Measured, closed, count, open},
    process::Process,
    report::Figure,
};

/// A part of the run by its name.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// False: only if it is named.
    pub(crate) always: bool,
    pub(crate) run: for<'a> fn(&'a mut Bed) -> LocalBoxFuture<'a, anyhow::Result<Vec<Figure>>>,
}

/// In this order: the last looks at what the load before it has left behind.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "start",
        always: true,
        run: |bed| Box::pin(footprint::start(bed)),
    },
    Part {
        name: "cold",
        always: true,
        run: |bed| Box::pin(speed::cold(bed)),
    },
    Part {
        name: "arrival",
        always: true,
        run: |bed| Box::pin(speed::arrival(bed)),
    },
    Part {
        name: "stored",
        always: true,
        run: |bed| Box::pin(speed::stored(bed)),
    },
    Part {
        name: "memory",
        always: true,
        run: |bed| Box::pin(speed::memory(bed)),
    },
    Part {
        name: "redis",
        always: true,
        run: |bed| Box::pin(speed::redis(bed)),
    },
    Part {
        name: "stream",
        always: true,
        run: |bed| Box::pin(speed::stream(bed)),
    },
    Part {
        name: "slow",
        always: true,
        run: |bed| Box::pin(crowd::slow(bed)),
    },
    Part {
        name: "burst",
        always: true,
        run: |bed| Box::pin(crowd::burst(bed)),
    },
    Part {
        name: "batch",
        always: true,
        run: |bed| Box::pin(crowd::batch(bed)),
    },
    Part {
        name: "outage",
        always: true,
        run: |bed| Box::pin(outage::provider(bed)),
    },
    Part {
        name: "stores",
        always: true,
        run: |bed| Box::pin(outage::stores(bed)),
    },
    Part {
        name: "claims",
        always: true,
        run: |bed| Box::pin(claims::claims(bed)),
    },
    Part {
        name: "growth",
        always: true,
        run: |bed| Box::pin(growth::ten_times(bed)),
    },
    Part {
        name: "history",
        always: false,
        run: |bed| Box::pin(growth::long_history(bed)),
    },
    Part {
        name: "soak",
        always: false,
        run: |bed| Box::pin(soak::soak(bed)),
    },
    Part {
        name: "rest",
        always: true,
        run: |bed| Box::pin(footprint::rest(bed)),
    },
];

/// How requests come.
#[derive(Clone, Copy)]
enum Load {
    /// So many connections, each asking again at once.
    Closed(usize),
    /// So many a second.
    Open(u32),
}

/// What one system did in each round.
#[derive(Default)]
struct Series {
    rate: Vec<f64>,
    /// Milliseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Microseconds of all cores for one request.
    cpu: Vec<f64>,
    answered: usize,
}

/// The service and what it is compared with, in turn, round after round.
async fn paired(
    bed: &Bed,
    load: Load,
    service: (&Process, &Call),
    other: (&Process, &Call),
) -> anyhow::Result<(Series, Series)> {
    let (mut one, mut two) = (Series::default(), Series::default());
    for _ in 0..bed.extent.rounds {
        // The floor first: what the machine's caches gain by that, it gives to the service.
        for (series, (process, call)) in [(&mut two, other), (&mut one, service)] {
            let before = process.usage()?.cpu;
            let measured = run(bed, load, call).await?;
            let cpu = process.usage()?.cpu - before;
            check(&measured)?;
            series.enter(&measured, cpu, measured.answers.len());
        }
    }
    Ok((one, two))
}

async fn run(bed: &Bed, load: Load, call: &Call) -> anyhow::Result<Measured> {
    match load {
        Load::Closed(connections) => closed(call, connections, bed.warm_up(connections), bed.time()).await,
        Load::Open(per_second) => open(call, per_second, 64, bed.time()).await,
    }
}

impl Series {
    fn enter(&mut self, measured: &Measured, cpu: f64, answers: usize) {
        self.rate.push(measured.rate());
        self.p50.push(milliseconds(measured.percentile(0.5)));
        self.p99.push(milliseconds(measured.percentile(0.99)));
        self.cpu.push(cpu / count(answers) * 1e6);
        self.answered += answers;
    }
}

/// Every answer has to be the right one: a fast wrong one is no figure.
fn check(measured: &Measured) -> anyhow::Result<()> {
    ensure!(!measured.answers.is_empty(), "no request was answered within the time");
    ensure!(
        measured.failed() == 0,
        "{} of {} answers were wrong; the first: {}",
        measured.failed(),
        measured.answers.len(),
        measured.first_failure.as_deref().unwrap_or_default()
    );
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
