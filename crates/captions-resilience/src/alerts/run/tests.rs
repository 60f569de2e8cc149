use std::sync::atomic::AtomicUsize;

use tokio::sync::oneshot;

use super::*;
use crate::alerts::{Alert, Calls, Pace, Thresholds};

const INTERVAL: Duration = Duration::from_secs(60);

/// What a sink does with a notice.
#[derive(Clone, Copy)]
enum Does {
    Takes,
    Fails(FaultKind),
    Panics,
    Hangs,
}

struct Scripted {
    name: &'static str,
    /// The last one stands for all later calls.
    script: Vec<Does>,
    calls: AtomicUsize,
    took: Mutex<Vec<(Notice, Instant)>>,
}

impl Scripted {
    fn new(name: &'static str, script: &[Does]) -> Arc<Self> {
        Arc::new(Self {
            name,
            script: script.to_vec(),
            calls: AtomicUsize::new(0),
            took: Mutex::default(),
        })
    }

    fn took(&self) -> Vec<(Notice, Instant)> {
        self.took.lock().unwrap().clone()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Sink for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn tell(&self, notice: &Notice) -> Result<(), Fault> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.script[call.min(self.script.len() - 1)] {
            Does::Takes => {
                self.took.lock().unwrap().push((notice.clone(), Instant::now()));
                Ok(())
            }
            Does::Fails(kind) => Err(Fault::new(kind)),
            Does::Panics => panic!("a sink may do this"),
            Does::Hangs => std::future::pending().await,
        }
    }
}

fn broken_store() -> Source {
    Source::new("store", |vitals| {
        vitals.database = Some(Calls {
            calls: 100,
            failures: 100,
        });
        Ok(())
    })
}

fn at_once() -> Alerts {
    let pace = Pace {
        fire_after: 1,
        ..Pace::default()
    };
    Alerts::new(Thresholds::default(), pace)
}

/// Runs for this long on the paused clock.
async fn run_for(time: Duration, sources: Vec<Source>, sinks: Vec<Arc<Scripted>>) -> Counted {
    let counts = Arc::<Counts>::default();
    let sinks = sinks.into_iter().map(|sink| sink as Arc<dyn Sink>).collect();
    run(at_once(), sources, sinks, INTERVAL, Arc::clone(&counts), sleep(time)).await;
    counts.read()
}

/// A moment after this many windows.
fn windows(count: u32) -> Duration {
    INTERVAL * count + Duration::from_secs(1)
}

#[tokio::test(start_paused = true)]
async fn it_looks_every_interval_and_tells_every_sink() {
    let (one, other) = (
        Scripted::new("one", &[Does::Takes]),
        Scripted::new("other", &[Does::Takes]),
    );
    let begun = Instant::now();

    let counted = run_for(
        windows(3),
        vec![broken_store()],
        vec![Arc::clone(&one), Arc::clone(&other)],
    )
    .await;

    assert_eq!((counted.looks, counted.notices, counted.delivered), (3, 1, 2));
    for sink in [one, other] {
        let took = sink.took();
        assert_eq!((took.len(), took[0].0.alert), (1, Alert::DatabaseErrors));
        assert_eq!(
            took[0].1 - begun,
            INTERVAL,
            "the first look has a whole window behind it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_lacks_its_figure_fails_or_panics_is_passed_over() {
    let sink = Scripted::new("sink", &[Does::Takes]);
    let sources = vec![
        Source::new("empty", |_| Ok(())),
        Source::new("failing", |vitals| {
            // Half a figure is none.
            vitals.spool_rows = Some(1_000_000);
            Err(Fault::new(FaultKind::Internal))
        }),
        Source::new("panicking", |vitals| {
            vitals.overload_refused = Some(1_000_000);
            panic!("a source may do this")
        }),
        broken_store(),
    ];

    let counted = run_for(windows(3), sources, vec![Arc::clone(&sink)]).await;

    assert_eq!((counted.looks, counted.source_failures), (3, 6));
    let alerts: Vec<_> = sink.took().iter().map(|(notice, _)| notice.alert).collect();
    assert_eq!(alerts, [Alert::DatabaseErrors]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_comes_back_is_heard_again() {
    let sink = Scripted::new("sink", &[Does::Takes]);
    let mut reads = 0;
    let source = Source::new("late", move |vitals| {
        reads += 1;
        if reads < 3 {
            return Err(Fault::new(FaultKind::Unavailable));
        }
        vitals.spool_rows = Some(1_000_000);
        Ok(())
    });

    let counted = run_for(windows(4), vec![source], vec![Arc::clone(&sink)]).await;

    assert_eq!((counted.source_failures, sink.took().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_was_not_delivered_is_told_again_after_growing_pauses_under_its_number() {
    let script = [
        Does::Fails(FaultKind::Unavailable),
        Does::Panics,
        Does::Fails(FaultKind::Timeout),
        Does::Takes,
    ];
    let sink = Scripted::new("sink", &script);
    let begun = Instant::now();

    let counted = run_for(windows(6), vec![broken_store()], vec![Arc::clone(&sink)]).await;

    let took = sink.took();
    assert_eq!((took.len(), took[0].0.number, sink.calls()), (1, 1, 4));
    assert_eq!(took[0].1 - begun, INTERVAL + Duration::from_secs(1 + 2 + 4));
    assert_eq!((counted.sink_failures, counted.delivered, counted.given_up), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_for_time_gets_it() {
    let retry_after = Some(Duration::from_secs(150));
    let sink = Scripted::new(
        "sink",
        &[Does::Fails(FaultKind::RateLimited { retry_after }), Does::Takes],
    );
    let begun = Instant::now();

    run_for(windows(6), vec![broken_store()], vec![Arc::clone(&sink)]).await;

    assert_eq!(sink.took()[0].1 - begun, INTERVAL + Duration::from_secs(150));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_delays_neither_the_looks_nor_the_other_sinks() {
    let (stuck, fine) = (
        Scripted::new("stuck", &[Does::Hangs]),
        Scripted::new("fine", &[Does::Takes]),
    );
    let begun = Instant::now();

    let counted = run_for(
        windows(5),
        vec![broken_store()],
        vec![Arc::clone(&stuck), Arc::clone(&fine)],
    )
    .await;

    assert_eq!(counted.looks, 5);
    assert_eq!(fine.took()[0].1 - begun, INTERVAL);
    // 30 s of hanging and a doubled pause each time: the seventh would begin after the end.
    assert_eq!((stuck.calls(), counted.sink_failures), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_refused_for_good_is_given_up_and_the_next_one_is_told() {
    let sink = Scripted::new("sink", &[Does::Fails(FaultKind::Internal), Does::Takes]);
    let both = Source::new("both", |vitals| {
        vitals.spool_rows = Some(1_000_000);
        vitals.overload_refused = Some(1_000_000);
        Ok(())
    });

    let counted = run_for(windows(3), vec![both], vec![Arc::clone(&sink)]).await;

    assert_eq!((counted.notices, counted.given_up, counted.delivered), (2, 1, 1));
    assert_eq!(sink.took()[0].0.alert, Alert::SpoolGrowing);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_dead_sink_is_bounded_in_number_and_in_time() {
    let sink = Scripted::new("dead", &[Does::Fails(FaultKind::Unavailable)]);
    // A new breaker breaks in every window: ever more to tell.
    let mut broken = 0;
    let source = Source::new("breakers", move |vitals| {
        broken += 1;
        vitals.breakers = Some(vec![crate::alerts::BreakerVital {
            name: format!("host-{broken}"),
            state: "open".to_owned(),
            open_for: Some(Duration::from_secs(1000)),
        }]);
        Ok(())
    });

    let counted = run_for(windows(300), vec![source], vec![Arc::clone(&sink)]).await;

    assert!(counted.notices > 500, "{counted:?}");
    assert!(counted.notices - counted.given_up <= QUEUE as u64, "{counted:?}");
    assert!(
        sink.calls() <= 300 + 6,
        "one try an interval, and six before the pause is as long"
    );
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_given_up_after_an_hour_of_tries() {
    let sink = Scripted::new("dead", &[Does::Fails(FaultKind::Unavailable)]);

    let counted = run_for(windows(62), vec![broken_store()], vec![Arc::clone(&sink)]).await;

    // The reminder after an hour has been tried since.
    assert_eq!((counted.notices, counted.given_up), (2, 1), "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_it_is_told_to_even_while_a_sink_hangs() {
    let (stop, stopped) = oneshot::channel::<()>();
    let stuck: Arc<dyn Sink> = Scripted::new("stuck", &[Does::Hangs]);
    let task = tokio::spawn(run(
        at_once(),
        vec![broken_store()],
        vec![stuck],
        INTERVAL,
        Arc::default(),
        async {
            drop(stopped.await);
        },
    ));
    sleep(windows(1)).await;

    stop.send(()).unwrap();

    timeout(Duration::from_millis(1), task).await.unwrap().unwrap();
}
