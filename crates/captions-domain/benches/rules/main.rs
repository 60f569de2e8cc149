//! How long the rules take for one caption. `cargo bench -p captions-domain`

mod cases;

use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = cases::all().into_iter().map(|(name, _)| name))]
fn domain(bencher: Bencher<'_, '_>, name: &str) {
    let call = cases::all().into_iter().find(|(known, _)| *known == name);
    bencher.bench_local(|| call.iter().for_each(|(_, call)| call()));
}
