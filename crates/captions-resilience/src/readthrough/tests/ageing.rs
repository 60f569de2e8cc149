use futures_util::future::join_all;

use super::*;

async fn alone(options: CacheOptions) -> Tested {
    cache(&layers(None, 0, &Tasks::new(100)).await, options)
}

#[tokio::test(start_paused = true)]
async fn past_its_time_a_value_is_served_at_once_while_one_load_runs() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    source.gives("two");
    source.takes(seconds(1));
    sleep(TIME + seconds(1)).await;
    let begun = Instant::now();

    let found = join_all((0..100).map(|_| read(&cache, USE, &source))).await;

    assert!(found.iter().all(|found| found == "stale one"), "{found:?}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    sleep(seconds(2)).await;
    assert_eq!(source.begun(), 2);
    assert_eq!(read(&cache, USE, &source).await, "hit two");
    let counts = cache.counts();
    assert_eq!((counts.stale, counts.refreshes, counts.misses), (100, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_stale_waits_for_the_load() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    source.gives("two");
    sleep(TIME).await;

    assert_eq!(read(&cache, STRICT, &source).await, "loaded two");
    source.fails();
    sleep(TIME).await;
    assert_eq!(read(&cache, STRICT, &source).await, "failed unavailable");
}

#[tokio::test(start_paused = true)]
async fn without_revalidation_every_reader_waits_for_the_load() {
    let (cache, source) = (alone(plain()).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    source.gives("two");
    sleep(TIME).await;

    assert_eq!(read(&cache, USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn further_past_its_time_than_that_a_value_is_given_only_if_the_load_fails() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    sleep(2 * TIME).await;
    source.fails();

    assert_eq!(read(&cache, USE, &source).await, "failed unavailable but one");
    assert_eq!(cache.counts().rescued, 1);
    source.gives("two");
    // A load has failed a moment ago.
    assert_eq!(read(&cache, USE, &source).await, "stale one");
    sleep(seconds(2)).await;
    assert_eq!(read(&cache, USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn while_the_source_is_down_for_two_hours_it_is_tried_once_per_throttle() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    source.fails();
    sleep(TIME).await;
    let begun = Instant::now();
    let mut reads = 0;

    while begun.elapsed() < seconds(7200) {
        let found = read(&cache, USE, &source).await;
        assert!(found == "stale one" || found == "failed unavailable but one", "{found}");
        reads += 1;
        sleep(ms(500)).await;
    }

    let tries = source.begun() - 1;
    assert!((3000..=3600).contains(&tries), "{tries} tries for {reads} reads");
}

#[tokio::test(start_paused = true)]
async fn in_the_end_a_value_is_gone() {
    let options = CacheOptions { stale: TIME, ..plain() };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    source.fails();

    sleep(ms(199_999)).await;
    assert_eq!(read(&cache, USE, &source).await, "failed unavailable but one");
    sleep(seconds(3)).await;
    assert_eq!(read(&cache, USE, &source).await, "failed unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_is_loaded_twice_across_its_end() {
    for (early_refresh, revalidate) in [(Some(0.9), TIME), (None, TIME), (None, Duration::ZERO)] {
        let options = CacheOptions {
            early_refresh,
            revalidate,
            ..plain()
        };
        let (cache, source) = (alone(options).await, Source::new("one", seconds(1)));
        let begun = Instant::now();

        while begun.elapsed() < TIME * 3 / 2 {
            join_all((0..10).map(|_| read(&cache, USE, &source))).await;
            sleep(ms(50)).await;
        }

        assert_eq!(source.begun(), 2, "early {early_refresh:?}, {revalidate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_its_last_tenth_a_value_is_loaded_anew_by_whoever_asks_for_it() {
    for early_refresh in [Some(0.9), None] {
        let options = CacheOptions {
            early_refresh,
            ..plain()
        };
        let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
        read(&cache, USE, &source).await;
        source.gives("two");

        sleep(ms(89_999)).await;
        assert_eq!(read(&cache, USE, &source).await, "hit one");
        settle().await;
        assert_eq!(read(&cache, USE, &source).await, "hit one");
        sleep(ms(1)).await;
        let found = join_all((0..10).map(|_| read(&cache, USE, &source))).await;
        assert!(found.iter().all(|found| found == "hit one"), "{found:?}");
        settle().await;

        let expected = if early_refresh.is_some() { "hit two" } else { "hit one" };
        assert_eq!(read(&cache, USE, &source).await, expected);
        assert_eq!(source.begun(), 1 + usize::from(early_refresh.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_for_which_there_is_no_room_is_left_out() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let cache = cache(&layers(None, 0, &Tasks::new(0)).await, options);
    let source = Source::new("one", ms(0));
    read(&cache, USE, &source).await;
    sleep(TIME).await;

    assert_eq!(read(&cache, USE, &source).await, "stale one");
    settle().await;
    assert_eq!((source.begun(), cache.counts().refreshes), (1, 0));
    assert_eq!(cache.inner.loads.len(), 0);
    sleep(TIME).await;
    source.gives("two");
    assert_eq!(read(&cache, USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_given_up_and_the_stale_value_serves_on() {
    let options = CacheOptions {
        revalidate: 10 * TIME,
        refresh_time: seconds(5),
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    read(&cache, USE, &source).await;
    sleep(TIME).await;
    source.takes(seconds(1000));

    read(&cache, USE, &source).await;
    sleep(seconds(6)).await;

    assert_eq!(source.running(), 0);
    assert_eq!(read(&cache, USE, &source).await, "stale one");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_stale_value_does_not_wait_long_for_a_load_that_hangs() {
    for patience in [Some(seconds(1)), None] {
        let options = CacheOptions { patience, ..plain() };
        let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
        read(&cache, USE, &source).await;
        sleep(TIME).await;
        source.takes(seconds(10));
        source.gives("two");
        let begun = Instant::now();

        let found = read(&cache, USE, &source).await;

        let (expected, waited) = match patience {
            Some(patience) => ("failed timeout but one", patience),
            None => ("loaded two", seconds(10)),
        };
        assert_eq!((&*found, begun.elapsed()), (expected, waited));
        if patience.is_some() {
            assert_eq!(read(&cache, USE, &source).await, "stale one");
            sleep(seconds(10)).await;
        }
        // The load went on.
        assert_eq!(read(&cache, USE, &source).await, "hit two");
        assert_eq!(source.begun(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn that_there_is_nothing_is_kept_for_its_short_time_and_never_stale() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", ms(0)));
    source.has_nothing();

    assert_eq!(read(&cache, USE, &source).await, "loaded nothing");
    assert_eq!(read(&cache, USE, &source).await, "hit nothing");
    let counts = cache.counts();
    assert_eq!((counts.memory_hits, counts.negative), (1, 1));
    sleep(TIME / 10).await;
    source.fails();
    assert_eq!(read(&cache, USE, &source).await, "failed unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_empty_value_is_a_hit() {
    let (cache, source) = (alone(plain()).await, Source::new("", ms(0)));
    read(&cache, USE, &source).await;

    assert_eq!(read(&cache, USE, &source).await, "hit ");
    assert_eq!((source.begun(), cache.counts().negative), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_loaded_together_is_not_due_together() {
    let layers = layers(None, 0, &Tasks::new(100)).await;
    let cache: Tested = ReadThrough::new(layers, plain(), Jitter::seeded(7));
    let source = Source::new("one", ms(0));
    let (cx, keys): (_, Vec<_>) = (relaxed(), (0..1000).map(|number| key(&format!("{number}"))).collect());
    for key in &keys {
        cache.read(&cx, key, USE, source.load()).await;
    }
    let due_after = async |share: f64| {
        let mut due = 0;
        sleep(TIME.mul_f64(share)).await;
        for key in &keys {
            let seen = cache
                .inner
                .look(
                    &super::super::Place {
                        tenant: cx.tenant.clone(),
                        key: key.clone(),
                    },
                    &cx,
                )
                .await;
            due += usize::from(!seen.kept.unwrap().is_fresh);
        }
        due
    };

    assert_eq!(due_after(0.899).await, 0);
    let half = due_after(0.051).await;
    assert!((400..600).contains(&half), "{half}");
    assert_eq!(due_after(0.05).await, 1000);
}

#[tokio::test(start_paused = true)]
async fn long_values_are_compressed_and_too_large_ones_not_kept() {
    let long: &'static str = Box::leak("the same again ".repeat(1000).into_boxed_str());
    let shelf = Shelf::new();
    for (compress_over, largest, kept) in [
        (Some(1024), 1 << 20, Some(1000)),
        (None, 1 << 20, Some(20_000)),
        (Some(1024), 100, None),
        (None, 10_000, None),
    ] {
        let options = CacheOptions {
            compress_over,
            largest,
            ..plain()
        };
        shelf.entries.lock().unwrap().clear();
        let cache = cache(&layers(Some(&shelf), 0, &Tasks::new(100)).await, options);
        let source = Source::new(long, ms(0));

        read(&cache, USE, &source).await;
        settle().await;

        let size = shelf.bytes(&key("a")).map(|bytes| bytes.len());
        match kept {
            Some(most) => assert!(size.unwrap() <= most && size.unwrap() > most / 20, "{size:?}"),
            None => assert_eq!(size, None),
        }
        let again = if kept.is_some() { "hit" } else { "loaded" };
        assert_eq!(read(&cache, USE, &source).await, format!("{again} {long}"));
        assert_eq!(cache.counts().too_large, if kept.is_some() { 0 } else { 2 });
    }
}

/// A value that tells how often one of its kind was read from JSON.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct Counted(String);

static READ: AtomicUsize = AtomicUsize::new(0);

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::SeqCst);
        String::deserialize(input).map(Self)
    }
}

#[tokio::test(start_paused = true)]
async fn what_memory_has_is_checked_at_every_hit_and_read_once() {
    let memory = Shelf::new();
    let layers = Layers::new(Some(memory.side(1)), None, Tasks::new(100));
    let cache: ReadThrough<Counted, LlmError> = ReadThrough::new(layers, plain(), Jitter::fixed(0.0));
    let load = |text: &'static str| -> Load<Counted, LlmError> {
        Box::new(move |_| {
            Box::pin(async move {
                Ok(Loaded {
                    value: Counted(text.to_owned()),
                    fresh_for: Some(TIME),
                })
            })
        })
    };
    let read = async |text| match cache.read(&relaxed(), &key("a"), USE, load(text)).await {
        Found::Hit { value, .. } => format!("hit {}", value.0),
        Found::Loaded { value, .. } => format!("loaded {}", value.0),
        other => format!("{other:?}"),
    };

    assert_eq!(read("one").await, "loaded one");
    for _ in 0..3 {
        assert_eq!(read("two").await, "hit one");
    }
    assert_eq!(READ.load(Ordering::SeqCst), 1);

    memory.change(&key("a"), |bytes| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes.into()
    });
    assert_eq!(read("three").await, "loaded three");
    assert_eq!(read("four").await, "hit three");
    assert_eq!((cache.counts().corrupt, READ.load(Ordering::SeqCst)), (1, 2));
}
