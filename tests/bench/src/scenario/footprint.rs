//! What it takes to be there: start, idle memory, and what a load leaves behind.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    bed::Bed,
    report::{Bound::AtMost, Comparison::Ratio, Figure},
};

/// How long the service rests before it is looked at again.
const REST: Duration = Duration::from_secs(120);

/// From the start of the process until `/readyz` is 200, the tables in place; and its memory a second later.
pub(super) async fn start(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let (mut ready, mut idle, mut private) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bed.extent.rounds {
        let service = bed.another(&[]).await?;
        ready.push(service.ready_after.as_secs_f64() * 1e3);
        sleep(Duration::from_secs(1)).await;
        let memory = service.usage()?;
        idle.push(memory.resident);
        private.push(memory.private);
    }
    let name = "start";
    Ok(vec![
        Figure::alone(name, "ready after", "ms", &ready).target(AtMost(200.0)),
        Figure::alone(name, "memory idle", "MiB", &idle).target(AtMost(15.0)),
        Figure::alone(name, "of it not the program's file", "MiB", &private),
    ])
}

/// The service that bore all the load before, two minutes after it, beside one that was never asked.
pub(super) async fn rest(bed: &mut Bed) -> anyhow::Result<Vec<Figure>> {
    let idle = bed.another(&[]).await?;
    let before = bed.service.usage()?;
    sleep(if bed.extent.smoke { bed.time() } else { REST }).await;
    let (one, other) = (bed.service.usage()?, idle.usage()?);
    let name = "120 s after the load";
    let (rested, fresh) = ([one.resident], [other.resident]);
    Ok(vec![
        Figure::alone(name, "memory right after the load", "MiB", &[before.resident]),
        Figure::alone(name, "memory", "MiB", &rested)
            .beside("never asked", Ratio, &rested, &fresh)
            .target(AtMost(1.3)),
        Figure::alone(name, "of it not the program's file", "MiB", &[one.private]).beside(
            "never asked",
            Ratio,
            &[one.private],
            &[other.private],
        ),
        Figure::alone(name, "open files", "", &[crate::load::count(one.files)]).beside(
            "never asked",
            Ratio,
            &[crate::load::count(one.files)],
            &[crate::load::count(other.files)],
        ),
    ])
}
