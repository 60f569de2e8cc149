//! Where chance comes from: a value that is passed in, so that a test can know it beforehand.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// A source of numbers from 0 (included) to 1 (excluded). Clones draw from the same source.
#[derive(Debug, Clone)]
pub struct Jitter(Source);

#[derive(Debug, Clone)]
enum Source {
    Thread,
    Seeded(Arc<Mutex<StdRng>>),
    Fixed(f64),
}

impl Jitter {
    /// Different in every process: what production uses, so that replicas do not march in step.
    pub const fn random() -> Self {
        Self(Source::Thread)
    }

    /// The same row of numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Always this number, brought into 0 to 1; one itself is allowed here.
    pub const fn fixed(number: f64) -> Self {
        Self(Source::Fixed(number.clamp(0.0, 1.0)))
    }

    /// The next number.
    pub fn unit(&self) -> f64 {
        match &self.0 {
            Source::Thread => rand::rng().random(),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).random(),
            Source::Fixed(number) => *number,
        }
    }
}
