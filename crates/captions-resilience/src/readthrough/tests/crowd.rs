//! Many readers who come, leave and give up at any moment, in two processes, over a source that may fail: whatever they
//! do, nobody waits too long, nothing is loaded twice at a time, and nothing is left lying about.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;

/// One reader. Times in milliseconds.
#[derive(Debug, Clone)]
struct Reader {
    process: usize,
    comes_at: u64,
    deadline: u64,
    /// Leaves after this long, whatever comes of it.
    leaves_after: Option<u64>,
    wish: Wish,
}

/// What the source does from this moment on.
#[derive(Debug, Clone, Copy)]
struct Weather {
    at: u64,
    takes: u64,
    fails: bool,
}

fn reader() -> impl Strategy<Value = Reader> {
    let wish = prop_oneof![4 => Just(USE), 2 => Just(STRICT), 1 => Just(REFRESH)];
    let leaves_after = prop::option::of(0_u64..3000);
    (0_usize..2, 0_u64..5000, 1_u64..8000, leaves_after, wish).prop_map(
        |(process, comes_at, deadline, leaves_after, wish)| Reader {
            process,
            comes_at,
            deadline,
            leaves_after,
            wish,
        },
    )
}

fn weather() -> impl Strategy<Value = Weather> {
    (0_u64..5000, 0_u64..3000, any::<bool>()).prop_map(|(at, takes, fails)| Weather { at, takes, fails })
}

async fn plays(readers: Vec<Reader>, weathers: Vec<Weather>) -> Result<(), TestCaseError> {
    let (shelf, tasks) = (Shelf::new(), Tasks::new(100));
    let options = || CacheOptions {
        // Short times, so that values age and fail within the play.
        stale: seconds(3),
        revalidate: seconds(1),
        memory_age: ms(700),
        refresh_time: seconds(4),
        ..CacheOptions::default()
    };
    let mut caches: Vec<Tested> = Vec::new();
    for number in 0..2 {
        caches.push(cache(&layers(Some(&shelf), number, &tasks).await, options()));
    }
    let source = Source::new("one", ms(300));
    *source.fresh_for.lock().unwrap() = ms(900);
    let weather = weathers.into_iter().map(|weather| {
        let source = Arc::clone(&source);
        async move {
            sleep(ms(weather.at)).await;
            source.takes(ms(weather.takes));
            if weather.fails {
                source.fails();
            } else {
                source.gives("one");
            }
        }
    });
    let reading = readers.iter().map(|reader| {
        let (reader, cache, source) = (reader.clone(), caches[reader.process].clone(), Arc::clone(&source));
        async move {
            sleep(ms(reader.comes_at)).await;
            let (cx, place, came) = (context(ms(reader.deadline), 10), key("a"), Instant::now());
            let read = cache.read(&cx, &place, reader.wish.clone(), source.load());
            let left = reader.leaves_after.map_or(seconds(100), ms);
            let found = tokio::time::timeout(left, read).await;
            (reader, came.elapsed(), found.ok().map(|found| told(&found)))
        }
    });
    let (found, _) = tokio::join!(
        futures_util::future::join_all(reading),
        futures_util::future::join_all(weather)
    );
    // The last one who asked may have left a refresh behind.
    sleep(seconds(5)).await;

    for (reader, waited, found) in found {
        // To the millisecond of the clock.
        prop_assert!(
            waited <= ms(reader.deadline + 1),
            "{reader:?} waited {waited:?} for {found:?}"
        );
        if let Some(found) = found {
            let is_strict = !reader.wish.stale;
            prop_assert!(
                !(is_strict && (found.starts_with("stale") || found.contains("but"))),
                "{found}"
            );
            prop_assert!(found.ends_with("one") || found.starts_with("failed"), "{found}");
        }
    }
    let most = source.most.load(Ordering::SeqCst);
    prop_assert!(most <= 1, "{most} loads at once");
    settle().await;
    for cache in &caches {
        prop_assert_eq!(cache.inner.loads.len(), 0);
        prop_assert_eq!(cache.inner.look_ups.len(), 0);
        prop_assert_eq!(cache.counts().corrupt, 0);
    }
    prop_assert_eq!(
        (source.running(), tasks.counts().running, tasks.counts().panicked),
        (0, 0, 0)
    );
    // Every lease was given back.
    prop_assert!(
        shelf.keys().iter().all(|place| *place == key("a")),
        "{:?}",
        shelf.keys()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_crowd_leaves_nothing_behind(
        readers in prop::collection::vec(reader(), 1..60),
        weathers in prop::collection::vec(weather(), 0..6),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(plays(readers, weathers))?;
    }
}
