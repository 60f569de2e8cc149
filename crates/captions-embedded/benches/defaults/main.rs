//! How long the defaults take that need no server: the template writer, limits counted in memory, the memory cache.
//! `cargo bench -p captions-embedded`

mod cases;

use divan::Bencher;

fn main() {
    divan::main();
}

#[divan::bench(args = cases::all().into_iter().map(|(name, _)| name))]
fn embedded(bencher: Bencher<'_, '_>, name: &str) {
    let call = cases::all().into_iter().find(|(known, _)| *known == name);
    bencher.bench_local(|| call.iter().for_each(|(_, call)| call()));
}
