mod adaptive;
mod hedge;
mod outages;
mod rate;
mod steps;
mod together;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use captions_domain::fault::LlmError;

use super::*;
use crate::{retry::BudgetSettings, samples::ms};

/// Every step on, without chance: pauses have their full length, open times too.
fn settings() -> PolicySettings {
    PolicySettings {
        ledger: true,
        ..PolicySettings::standard("test")
    }
}

fn policy(settings: PolicySettings) -> Policy {
    Policy::with_jitter(settings, Jitter::fixed(1.0))
}

fn retry() -> RetrySettings {
    RetrySettings::default()
}

/// A dependency that gives its answers in order, the last one for ever.
struct Remote {
    answers: Vec<(Duration, Result<&'static str, LlmError>)>,
    begun: Mutex<Vec<Instant>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Remote {
    fn new(answers: Vec<(Duration, Result<&'static str, LlmError>)>) -> Self {
        Self {
            answers,
            begun: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    /// Fails at once, always.
    fn failing(kind: FaultKind) -> Self {
        Self::new(vec![(ms(0), Err(Fault::new(kind).into()))])
    }

    /// Answers after `time`, always.
    fn slow(time: Duration) -> Self {
        Self::new(vec![(time, Ok("done"))])
    }

    async fn call(&self) -> Result<&'static str, LlmError> {
        let number = {
            let mut begun = self.begun.lock().unwrap();
            begun.push(Instant::now());
            begun.len()
        };
        let (time, answer) = &self.answers[number.min(self.answers.len()) - 1];
        let flying = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(flying, Ordering::Relaxed);
        let _landing = Landing(&self.in_flight);
        sleep(*time).await;
        answer.clone()
    }

    fn calls(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// When the calls began, counted from the first.
    fn times(&self) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun.iter().map(|at| *at - begun[0]).collect()
    }
}

struct Landing<'a>(&'a AtomicUsize);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(policy: &Policy, cx: &Context, remote: &Remote) -> Result<&'static str, FaultKind> {
    repeat(policy, cx, remote, Repeat::Safe).await
}

async fn repeat(policy: &Policy, cx: &Context, remote: &Remote, repeat: Repeat) -> Result<&'static str, FaultKind> {
    policy
        .run(cx, "test.call", repeat, || remote.call())
        .await
        .map_err(|error: LlmError| error.fault().unwrap().kind)
}
