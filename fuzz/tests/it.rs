//! Every target on its stored corpus, and on changes of it: some seconds' worth of what `fuzz/run` does for hours.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected stops")]

use std::{
    fs,
    panic::catch_unwind,
    path::Path,
    time::{Duration, Instant},
};

use captions_fuzz::{bodies, events, hashtags, reply};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rstest::rstest;

/// Changes that are tried of each corpus, unless the time is up before: a slow machine tries fewer.
const CHANGES: u32 = 20_000;
const TIME: Duration = Duration::from_secs(4);
/// The longest input, in bytes.
const MOST: usize = 4096;

/// Pieces that readers look for: a change that holds one gets further than one that does not.
const PIECES: [&str; 38] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "1e999",
    "-1",
    "\\u0000",
    "\\ud83d",
    "\n\n",
    "\r",
    "data: ",
    "event: ",
    "[DONE]",
    "\u{feff}",
    "```json\n",
    "<think>",
    "</think>",
    "#",
    "＃",
    "@",
    "https://",
    "&#39;",
    "\u{200d}",
    "\u{fe0f}",
    "\u{20e3}",
    "👩🏽‍🍳",
    "🇵🇹",
    "ß",
    "İ",
    "e\u{301}",
    "ﷺ",
    "{\"variants\": [{\"body\": \"",
    "\"hashtags\"",
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn changed(corpus: &[Vec<u8>], dice: &mut StdRng) -> Vec<u8> {
    let mut bytes = corpus.choose(dice).unwrap().clone();
    for _ in 0..dice.random_range(1..=4) {
        let at = dice.random_range(0..=bytes.len());
        let end = (at + dice.random_range(0..=16)).min(bytes.len());
        match dice.random_range(0..7) {
            0 => bytes.insert(at, dice.random()),
            1 => drop(bytes.drain(at..end)),
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            3 => {
                let piece = bytes[at..end].to_vec();
                let times = dice.random_range(1..=40);
                drop(bytes.splice(at..at, piece.repeat(times)));
            }
            4 => {
                let other = corpus.choose(dice).unwrap();
                let from = dice.random_range(0..=other.len());
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            _ => drop(bytes.splice(at..end, PIECES.choose(dice).unwrap().bytes())),
        }
    }
    bytes.truncate(MOST);
    bytes
}

/// Every run tries the same changes, so a finding is found again. To look for others: `fuzz/run`.
#[rstest]
#[case::bodies("bodies", bodies)]
#[case::events("events", events)]
#[case::reply("reply", reply)]
#[case::hashtags("hashtags", hashtags)]
fn nothing_that_strangers_send_breaks_a_reader(#[case] target: &str, #[case] read: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 10, "a corpus of {} is none", corpus.len());
    let mut dice = StdRng::seed_from_u64(20_261_130);
    let started = Instant::now();

    let changes = (0..CHANGES).map_while(|_| (started.elapsed() < TIME).then(|| changed(&corpus, &mut dice)));

    for input in corpus.iter().cloned().chain(changes) {
        let outcome = catch_unwind(|| read(&input));
        assert!(
            outcome.is_ok(),
            "a finding of {target}; keep it as a file in fuzz/corpus/{target}: {}",
            input.escape_ascii()
        );
    }
}
