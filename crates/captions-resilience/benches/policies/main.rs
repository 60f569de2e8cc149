//! What the safeguards add to a call. `cargo bench -p captions-resilience`

mod cases;

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
