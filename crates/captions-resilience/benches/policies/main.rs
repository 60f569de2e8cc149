//! What the safeguards add to a call. `cargo bench -p captions-resilience`

mod cases;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use divan::Bencher;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    // Time-outs belong to a runtime, though none of them begins here.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
        return;
    };
    let _inside = runtime.enter();
    divan::main();
}

#[divan::bench(args = cases::all().into_iter().map(|(name, _)| name))]
fn resilience(bencher: Bencher<'_, '_>, name: &str) {
    let call = cases::all().into_iter().find(|(known, _)| *known == name);
    bencher.bench_local(|| call.iter().for_each(|(_, call)| call()));
}

/// A breaker that all threads of a process ask.
#[divan::bench(threads = [1, 2])]
fn one_breaker(bencher: Bencher<'_, '_>) {
    let breaker = cases::breaker();
    bencher.bench(|| cases::admit(&breaker));
}

// What they are made of: no safeguard that does one of these has it for less.

#[divan::bench]
fn one_look_at_the_clock() -> Instant {
    Instant::now()
}

#[divan::bench]
fn one_count_that_threads_share(bencher: Bencher<'_, '_>) {
    let count = AtomicU64::new(0);
    bencher.bench_local(|| count.fetch_add(1, Ordering::Relaxed));
}

#[divan::bench]
fn one_share_taken_and_given_back(bencher: Bencher<'_, '_>) {
    let shared = Arc::new(());
    bencher.bench_local(|| drop(divan::black_box(Arc::clone(&shared))));
}

#[divan::bench]
fn one_lock_that_nobody_holds(bencher: Bencher<'_, '_>) {
    let lock = Mutex::new(0_u64);
    bencher.bench_local(|| *lock.lock().unwrap_or_else(PoisonError::into_inner) += 1);
}
