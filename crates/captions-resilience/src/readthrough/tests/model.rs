//! The whole against a simple model of it: one key, one process, everything at once.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Time passes, seconds.
    Wait(u64),
    Read {
        stale: bool,
    },
    Refresh,
    /// From now on the source fails, or does not.
    Fail(bool),
    /// Somebody writes.
    Write,
}

/// A value of the source: which write it stems from.
#[derive(Debug, Clone, Copy)]
struct Kept {
    value: usize,
    loaded_at: u64,
}

/// What the cache is to do, without layers, tasks and flights.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    value: usize,
    fails: bool,
    kept: Option<Kept>,
    throttled_until: u64,
}

const FRESH: u64 = 100;
const SERVED_AT_ONCE: u64 = 50;
const STALE: u64 = 300;

impl Model {
    fn read(&mut self, stale: bool) -> String {
        self.kept = self.kept.filter(|kept| self.now - kept.loaded_at < FRESH + STALE);
        let Some(kept) = self.kept else {
            return self
                .load("")
                .map_or_else(|failed| failed, |value| format!("loaded {value}"));
        };
        let age = self.now - kept.loaded_at;
        let is_throttled = self.now < self.throttled_until;
        if age < FRESH {
            if age >= FRESH * 9 / 10 && !is_throttled {
                drop(self.load(""));
                self.throttle_if_failing();
            }
            return format!("hit {}", kept.value);
        }
        if stale && is_throttled {
            return format!("stale {}", kept.value);
        }
        if stale && age < FRESH + SERVED_AT_ONCE {
            drop(self.load(""));
            self.throttle_if_failing();
            return format!("stale {}", kept.value);
        }
        let but = if stale {
            format!(" but {}", kept.value)
        } else {
            String::new()
        };
        let loaded = self.load(&but);
        self.throttle_if_failing();
        loaded.map_or_else(|failed| failed, |value| format!("loaded {value}"))
    }

    fn refresh(&mut self) -> String {
        self.kept = self.kept.filter(|kept| self.now - kept.loaded_at < FRESH + STALE);
        let but = self
            .kept
            .map_or_else(String::new, |kept| format!(" but {}", kept.value));
        self.load(&but)
            .map_or_else(|failed| failed, |value| format!("loaded {value}"))
    }

    fn load(&mut self, but: &str) -> Result<usize, String> {
        if self.fails {
            return Err(format!("failed unavailable{but}"));
        }
        self.throttled_until = 0;
        self.kept = Some(Kept {
            value: self.value,
            loaded_at: self.now,
        });
        Ok(self.value)
    }

    fn throttle_if_failing(&mut self) {
        if self.fails {
            self.throttled_until = self.now + 2;
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u64..4).prop_map(Step::Wait),
        3 => (0_u64..120).prop_map(Step::Wait),
        1 => (0_u64..500).prop_map(Step::Wait),
        8 => any::<bool>().prop_map(|stale| Step::Read { stale }),
        1 => Just(Step::Refresh),
        2 => any::<bool>().prop_map(Step::Fail),
        1 => Just(Step::Write),
    ];
    prop::collection::vec(step, 1..60)
}

async fn plays(steps: &[Step], with_shared: bool) -> Result<(), TestCaseError> {
    let shelf = with_shared.then(Shelf::new);
    let layers = layers(shelf.as_ref(), 0, &Tasks::new(10)).await;
    let options = CacheOptions {
        stale: seconds(STALE),
        revalidate: seconds(SERVED_AT_ONCE),
        early_refresh: Some(0.9),
        // After a write nothing is put into the shared layer for a while; memory alone has it then.
        memory_age: seconds(10_000),
        ..CacheOptions::default()
    };
    let cache = cache(&layers, options);
    let mut model = Model::default();
    let state = Arc::new(Mutex::new((0, false)));
    let load = || -> Load<Value, LlmError> {
        let (value, fails) = *state.lock().unwrap();
        Box::new(move |_| {
            Box::pin(async move {
                if fails {
                    return Err(Fault::new(FaultKind::Unavailable).into());
                }
                Ok(Loaded {
                    value: Some(format!("{value}")),
                    fresh_for: Some(seconds(FRESH)),
                })
            })
        })
    };
    let cx = relaxed();
    let key = key("a");
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Wait(time) => {
                sleep(seconds(time)).await;
                model.now += time;
            }
            Step::Read { stale } => {
                let wish = if stale { USE } else { STRICT };
                let found = told(&cache.read(&cx, &key, wish, load()).await);
                prop_assert_eq!(found, model.read(stale), "step {}", number);
            }
            Step::Refresh => {
                let found = told(&cache.read(&cx, &key, REFRESH, load()).await);
                prop_assert_eq!(found, model.refresh(), "step {}", number);
            }
            Step::Fail(fails) => {
                state.lock().unwrap().1 = fails;
                model.fails = fails;
            }
            Step::Write => {
                let owed = layers.owe(&cx, std::slice::from_ref(&key));
                model.value += 1;
                state.lock().unwrap().0 = model.value;
                owed.settle(&cx).await;
                model.kept = None;
            }
        }
        settle().await;
    }
    let counts = cache.counts();
    let read = steps.iter().filter(|step| matches!(step, Step::Read { .. })).count() as u64;
    prop_assert_eq!(counts.look_ups(), read);
    prop_assert_eq!(counts.corrupt, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_read_is_answered_as_the_model_says(steps in steps(), with_shared: bool) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(plays(&steps, with_shared))?;
    }
}
