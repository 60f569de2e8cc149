use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

use rstest::rstest;
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    breaker::{BreakerSettings, State, WindowSettings},
    guarded::Guarded,
    jitter::Jitter,
    monitor::{Dependency, Monitor},
    policy::PolicySettings,
    retry::RetrySettings,
    samples::{Actor, Line, context, fault, ms, prompt, read, relaxed},
    slots::SlotSettings,
};

/// One failure opens the circuit, and there is one slot without a queue.
fn strict() -> PolicySettings {
    PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        slots: Some(SlotSettings {
            max_concurrent: 1,
            queue_length: 0,
            queue_wait: ms(0),
            adaptive: None,
        }),
        ledger: true,
        ..PolicySettings::standard("test")
    }
}

/// The same, but patient with failures.
fn patient() -> PolicySettings {
    PolicySettings {
        breaker: Some(BreakerSettings::default()),
        ..strict()
    }
}

fn guarded(actor: Actor, settings: PolicySettings) -> Guarded<Actor> {
    Guarded::new(Arc::new(actor), Policy::with_jitter(settings, Jitter::fixed(0.0)))
}

fn state(provider: &Guarded<Actor>) -> State {
    provider.policy().snapshot().unwrap().state
}

fn free(provider: &Guarded<Actor>) -> usize {
    provider.policy().slots().unwrap().free()
}

fn alive(provider: &Guarded<Actor>) -> usize {
    provider.inner.alive.load(Ordering::Relaxed)
}

const GOOD: [Line; 3] = [Line::Say("a"), Line::Say("b"), Line::End];

#[tokio::test(start_paused = true)]
async fn a_whole_stream_passes_through_and_leaves_nothing_behind() {
    let provider = guarded(
        Actor::new("p", &[&[Line::Work, Line::Say("a"), Line::Say("b"), Line::End]]),
        strict(),
    );
    let cx = relaxed();

    assert_eq!(read(provider.stream(&cx, &prompt()).await).await, ["%", "a", "b", "."]);

    assert_eq!(
        (state(&provider), free(&provider), alive(&provider)),
        (State::Closed, 1, 0)
    );
    assert_eq!(cx.attempts.begun(), 1);
}

#[rstest]
#[case::fault(&[Line::Fail(fault(FaultKind::Unavailable))], 0)]
#[case::cut_off(&[Line::CutOff], 0)]
#[case::silence(&[Line::Hang], 6000)]
#[tokio::test(start_paused = true)]
async fn what_fails_before_the_first_chunk_is_counted_and_tried_again(#[case] bad: &[Line], #[case] second: u64) {
    let provider = guarded(Actor::new("p", &[bad, &GOOD]), patient());
    let (cx, start) = (relaxed(), Instant::now());

    assert_eq!(read(provider.stream(&cx, &prompt()).await).await, ["a", "b", "."]);

    assert_eq!(provider.inner.call_times(start), [ms(0), ms(second)]);
    assert_eq!(cx.attempts.begun(), 2);
    let strict = guarded(Actor::new("p", &[bad]), strict());
    assert_eq!(read(strict.stream(&cx, &prompt()).await).await.len(), 1);
    assert_eq!(state(&strict), State::Open);
}

/// What the request and the figures of the provider are charged with as a guess, when a reader leaves after so many items.
async fn guessed(lines: &[Line], items: Option<usize>) -> [u64; 2] {
    let (cx, monitor) = (relaxed(), Monitor::default());
    let policy = Policy::with_jitter(patient(), Jitter::fixed(0.0));
    let policy = monitor.watch(Dependency::Provider("p"), policy);
    let provider = Guarded::new(Arc::new(Actor::new("p", &[lines])), policy);
    if let Some(items) = items {
        let mut stream = provider.stream(&cx, &prompt()).await.unwrap();
        for _ in 0..items {
            drop(stream.next().await);
        }
    } else {
        // Before there is a first one.
        let asked = prompt();
        let mut opening = pin!(provider.stream(&cx, &asked));
        assert!(futures_util::poll!(&mut opening).is_pending());
    }
    assert_eq!(provider.policy().slots().unwrap().free(), 1);
    [
        cx.attempts.tokens_cut_off(),
        monitor.summary().api.providers["p"].tokens.guessed,
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_is_charged_by_its_question_and_what_came_of_the_answer() {
    let question = prompt().input_tokens();
    assert!(question > 0);
    let said = [Line::Say("eight by"), Line::Say("tes, two"), Line::Hang];

    assert_eq!(guessed(&said, Some(1)).await, [question + 2; 2]);
    assert_eq!(guessed(&said, Some(2)).await, [question + 4; 2]);
    assert_eq!(guessed(&[Line::Hang], None).await, [question; 2]);
    // Silence in the middle, and an answer that breaks off.
    assert_eq!(guessed(&said, Some(3)).await, [question + 4; 2]);
    assert_eq!(
        guessed(&[Line::Say("four"), Line::CutOff], Some(2)).await,
        [question + 1; 2]
    );
    // What ended by itself has told its price, and what failed at once has none.
    assert_eq!(guessed(&GOOD, Some(3)).await, [0; 2]);
    let refused = guarded(Actor::new("p", &[&[Line::Fail(LlmError::Refused)]]), patient());
    let cx = relaxed();
    assert!(refused.stream(&cx, &prompt()).await.is_err());
    assert_eq!(cx.attempts.tokens_cut_off(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_first_chunk_timeout_a_slow_first_chunk_is_waited_for() {
    let slow = [Line::Wait(Duration::from_mins(5)), Line::Say("a"), Line::End];
    let settings = PolicySettings {
        first_chunk_timeout: None,
        ..strict()
    };
    let provider = guarded(Actor::new("p", &[&slow]), settings);

    assert_eq!(read(provider.stream(&relaxed(), &prompt()).await).await, ["a", "."]);
}

#[rstest]
#[case::fault(Line::Fail(fault(FaultKind::Unavailable)), "!unavailable", State::Open)]
#[case::cut_off(Line::CutOff, "!unavailable", State::Open)]
#[case::unusable(Line::Fail(LlmError::unusable("cut at the token limit")), "!unusable", State::Open)]
#[case::silence(Line::Hang, "!timeout", State::Open)]
#[case::refused(Line::Fail(LlmError::Refused), "!refused", State::Closed)]
#[case::slow_down(
    Line::Fail(fault(crate::samples::rate_limited(None))),
    "!rate_limited",
    State::Closed
)]
#[tokio::test(start_paused = true)]
async fn what_fails_after_the_first_chunk_ends_the_stream_and_is_not_tried_again(
    #[case] bad: Line,
    #[case] error: &str,
    #[case] expected: State,
) {
    let provider = guarded(Actor::new("p", &[&[Line::Say("a"), bad]]), strict());

    assert_eq!(read(provider.stream(&relaxed(), &prompt()).await).await, ["a", error]);

    assert_eq!((state(&provider), free(&provider), alive(&provider)), (expected, 1, 0));
    assert_eq!(provider.inner.calls(), 1);
}

#[rstest]
#[case::on(Some(4000), &["a", "!timeout"], 4000)]
#[case::off(None, &["a", "b", "."], 5000)]
#[tokio::test(start_paused = true)]
async fn the_idle_timeout_ends_a_stream_that_falls_silent(
    #[case] idle: Option<u64>,
    #[case] seen: &[&str],
    #[case] time: u64,
) {
    let pausing = [Line::Say("a"), Line::Wait(ms(5000)), Line::Say("b"), Line::End];
    let settings = PolicySettings {
        idle_timeout: idle.map(ms),
        ..strict()
    };
    let provider = guarded(Actor::new("p", &[&pausing]), settings);
    let start = Instant::now();

    assert_eq!(read(provider.stream(&relaxed(), &prompt()).await).await, seen);

    assert_eq!(start.elapsed(), ms(time));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_not_the_providers_silence() {
    let provider = guarded(Actor::new("p", &[&GOOD]), strict());
    let mut chunks = provider.stream(&relaxed(), &prompt()).await.unwrap();

    for _ in 0..3 {
        sleep(Duration::from_mins(1)).await;
        assert!(chunks.next().await.unwrap().is_ok());
    }

    assert!(chunks.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_flowing_stream_and_says_nothing_about_health() {
    let drip = [
        Line::Say("a"),
        Line::Wait(ms(400)),
        Line::Say("b"),
        Line::Wait(ms(400)),
        Line::Say("c"),
        Line::End,
    ];
    let provider = guarded(Actor::new("p", &[&drip]), strict());
    let start = Instant::now();

    let seen = read(provider.stream(&context(ms(600), 3), &prompt()).await).await;

    assert_eq!(
        (seen, start.elapsed()),
        (vec!["a".to_owned(), "b".into(), "!timeout".into()], ms(600))
    );
    assert_eq!((state(&provider), free(&provider)), (State::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn the_slot_is_held_until_the_last_chunk_is_out_or_the_stream_is_dropped() {
    let provider = guarded(Actor::new("p", &[&GOOD]), strict());
    let cx = relaxed();
    let mut chunks = provider.stream(&cx, &prompt()).await.unwrap();

    assert_eq!(free(&provider), 0);
    assert_eq!(read(provider.stream(&cx, &prompt()).await).await, ["!overloaded"]);
    // The last chunk is the sign: nobody has to ask for what comes after it.
    for _ in 0..3 {
        chunks.next().await.unwrap().unwrap();
    }
    assert_eq!((free(&provider), alive(&provider)), (1, 0));

    let chunks = provider.stream(&cx, &prompt()).await.unwrap();
    drop(chunks);
    assert_eq!(
        (free(&provider), alive(&provider), state(&provider)),
        (1, 0, State::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probing_stream_closes_the_circuit_at_its_end_and_frees_the_probe_when_dropped() {
    let bad = [Line::Fail(fault(FaultKind::Unavailable))];
    let settings = PolicySettings {
        retry: None::<RetrySettings>,
        slots: None,
        ..strict()
    };
    let provider = guarded(Actor::new("p", &[&bad, &GOOD]), settings);
    let cx = relaxed();
    assert_eq!(read(provider.stream(&cx, &prompt()).await).await, ["!unavailable"]);
    advance(ms(500)).await;

    let dropped = provider.stream(&cx, &prompt()).await.unwrap();
    assert_eq!(state(&provider), State::HalfOpen);
    assert_eq!(read(provider.stream(&cx, &prompt()).await).await, ["!circuit_open"]);
    drop(dropped);
    let chunks = provider.stream(&cx, &prompt()).await;
    assert_eq!(state(&provider), State::HalfOpen);

    assert_eq!(read(chunks).await, ["a", "b", "."]);
    assert_eq!(state(&provider), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_at_any_point_leaks_nothing() {
    let slow = [
        Line::Wait(ms(50)),
        Line::Say("a"),
        Line::Wait(ms(50)),
        Line::Say("b"),
        Line::End,
    ];
    let bad = [Line::Wait(ms(50)), Line::Fail(fault(FaultKind::Unavailable))];
    for steps in 0..12 {
        let provider = guarded(Actor::new("p", &[&bad, &slow]), patient());
        let cx = relaxed();
        {
            let prompt = prompt();
            let mut reading = pin!(async { read(provider.stream(&cx, &prompt).await).await });
            for _ in 0..steps {
                if std::future::poll_fn(|task| Poll::Ready(reading.as_mut().poll(task).is_ready())).await {
                    break;
                }
                advance(ms(25)).await;
            }
        }

        assert_eq!((free(&provider), alive(&provider)), (1, 0), "after {steps} steps");
        assert_eq!(state(&provider), State::Closed);
    }
}

#[rstest]
#[case::a_slow_first_chunk(2000, 0, 1.0)]
#[case::a_slow_reader(0, 2000, 0.0)]
#[tokio::test(start_paused = true)]
async fn slow_is_a_stream_that_is_slow_to_begin_and_not_one_that_is_read_slowly(
    #[case] first: u64,
    #[case] pause: u64,
    #[case] slow_rate: f64,
) {
    let actor = Actor::new(
        "a",
        &[&[Line::Wait(ms(first)), Line::Say("hi"), Line::Say("there"), Line::End]],
    );
    let window = WindowSettings {
        slow_call: ms(1000),
        ..WindowSettings::default()
    };
    let provider = guarded(
        actor,
        PolicySettings {
            breaker: Some(BreakerSettings {
                window: Some(window),
                ..BreakerSettings::default()
            }),
            ..strict()
        },
    );

    let mut chunks = provider.stream(&relaxed(), &prompt()).await.unwrap();
    while chunks.next().await.is_some() {
        sleep(ms(pause)).await;
    }

    let snapshot = provider.policy().snapshot().unwrap();
    assert_eq!((snapshot.calls, snapshot.slow_rate), (1, Some(slow_rate)));
}
