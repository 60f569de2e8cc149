use captions_domain::caption::Degraded;
use futures_util::future::join_all;
use rstest::rstest;

use super::*;

struct Two {
    shelf: Arc<Shelf>,
    tasks: Tasks,
    layers: [Arc<Layers>; 2],
    caches: [Tested; 2],
}

/// Two processes over one shelf.
async fn two(options: CacheOptions) -> Two {
    let (shelf, tasks) = (Shelf::new(), Tasks::new(1000));
    let layers = [
        layers(Some(&shelf), 0, &tasks).await,
        layers(Some(&shelf), 1, &tasks).await,
    ];
    let caches = [cache(&layers[0], options.clone()), cache(&layers[1], options)];
    Two {
        shelf,
        tasks,
        layers,
        caches,
    }
}

fn changing() -> CacheOptions {
    CacheOptions {
        changes: true,
        lease: None,
        ..plain()
    }
}

/// A write by process `number`, told to the others.
async fn write(two: &Two, number: usize, source: &Arc<Source>, text: &'static str) {
    let owed = two.layers[number].owe(&relaxed(), &[key("a")]);
    source.gives(text);
    owed.settle(&relaxed()).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_of_two_processes_are_one_load() {
    let (two, source) = (two(plain()).await, Source::new("one", seconds(3)));

    let found = join_all((0..1000).map(|number| read(&two.caches[number % 2], USE, &source))).await;

    assert_eq!(source.begun(), 1);
    assert!(found.iter().all(|found| found.ends_with("one")), "{found:?}");
    assert_eq!(two.caches[1].counts().lease_waits, 1);
    // The lease is given back.
    settle().await;
    assert_eq!(two.shelf.keys(), [key("a")]);
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit one");
}

#[tokio::test(start_paused = true)]
async fn without_leases_each_process_loads_for_itself() {
    let options = CacheOptions { lease: None, ..plain() };
    let (two, source) = (two(options).await, Source::new("one", seconds(3)));

    join_all((0..10).map(|number| read(&two.caches[number % 2], USE, &source))).await;

    assert_eq!(source.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_shared_layer_is_asked_once_for_all_readers_of_a_key() {
    let (two, source) = (two(plain()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;
    let before = two.shelf.gets.load(Ordering::SeqCst);
    *two.shelf.takes.lock().unwrap() = ms(10);

    let found = join_all((0..100).map(|_| read(&two.caches[1], USE, &source))).await;

    assert_eq!(found, vec!["hit one"; 100]);
    assert_eq!(two.shelf.gets.load(Ordering::SeqCst) - before, 1);
    assert_eq!(two.caches[1].counts().shared_hits, 100);
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit one");
    assert_eq!(two.caches[1].counts().memory_hits, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_the_load_goes_on() {
    let (two, source) = (two(plain()).await, Source::new("one", seconds(60)));

    let found = tokio::join!(read(&two.caches[0], USE, &source), read(&two.caches[1], USE, &source));

    assert_eq!((&*found.0, &*found.1), ("loaded one", "shared one"));
    assert_eq!(source.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_process_that_died_runs_out() {
    let (two, source) = (two(plain()).await, Source::new("one", seconds(60)));
    // It dies: nothing of it runs any more, and nothing is given back.
    let (first, its_source) = (two.caches[0].clone(), Arc::clone(&source));
    let mut dying = Box::pin(async move { read(&first, USE, &its_source).await });
    assert!(futures_util::poll!(&mut dying).is_pending());
    std::mem::forget(dying);
    assert_eq!(source.begun(), 1);
    source.takes(ms(0));
    let begun = Instant::now();

    assert_eq!(read(&two.caches[1], USE, &source).await, "loaded one");

    let waited = begun.elapsed();
    assert!(waited >= seconds(5) && waited < seconds(6), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_or_fails_hands_over_at_once() {
    let (two, source) = (two(plain()).await, Source::new("one", seconds(60)));
    let (first, its_source) = (two.caches[0].clone(), Arc::clone(&source));
    let leaving = tokio::spawn(async move { read(&first, USE, &its_source).await });
    settle().await;
    source.takes(ms(0));
    let (second, its_source) = (two.caches[1].clone(), Arc::clone(&source));
    let waiting = tokio::spawn(async move { read(&second, USE, &its_source).await });
    sleep(seconds(1)).await;
    let left = Instant::now();

    leaving.abort();

    assert_eq!(waiting.await.unwrap(), "loaded one");
    assert!(left.elapsed() <= ms(300), "{:?}", left.elapsed());

    let other = key("b");
    source.takes(seconds(1));
    source.fails();
    let (cx, begun) = (relaxed(), Instant::now());
    let found = tokio::join!(
        two.caches[0].read(&cx, &other, USE, source.load()),
        two.caches[1].read(&cx, &other, USE, source.load())
    );
    assert_eq!(told(&found.0), "failed unavailable");
    assert_eq!(told(&found.1), "failed unavailable");
    assert_eq!(source.begun(), 4);
    assert!(begun.elapsed() <= ms(2300), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_for_one_elsewhere_and_takes_its_value() {
    let (two, source) = (two(plain()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;
    source.takes(seconds(1));
    source.gives("two");

    let found = tokio::join!(
        read(&two.caches[0], REFRESH, &source),
        read(&two.caches[1], REFRESH, &source)
    );

    assert_eq!((&*found.0, &*found.1), ("loaded two", "shared two"));
    assert_eq!(source.begun(), 2);
    // The first process had a copy of what was replaced, the second got one of what replaced it.
    settle().await;
    assert_eq!(read(&two.caches[0], USE, &source).await, "hit two");
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit two");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_goes_on_elsewhere_is_not_made_here() {
    let options = CacheOptions {
        revalidate: TIME,
        ..plain()
    };
    let (two, source) = (two(options).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }
    source.takes(seconds(1));
    source.gives("two");
    sleep(TIME).await;

    for cache in &two.caches {
        assert_eq!(read(cache, USE, &source).await, "stale one");
        settle().await;
    }
    // Nor is it waited for here.
    assert_eq!(two.tasks.counts().running, 1);
    sleep(seconds(2)).await;

    assert_eq!(source.begun(), 2);
    for cache in &two.caches {
        assert_eq!(read(cache, USE, &source).await, "hit two");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_shared_layer_each_process_serves_from_memory_and_says_so() {
    let (two, source) = (two(plain()).await, Source::new("one", ms(0)));
    two.shelf.shut(true);
    for cache in &two.caches {
        let cx = relaxed();
        let found = cache.read(&cx, &key("a"), USE, source.load()).await;
        assert_eq!(told(&found), "loaded one");
        assert_eq!(cx.notes.all(), [Degraded::CacheUnavailable]);
        settle().await;
        let cx = relaxed();
        assert_eq!(told(&cache.read(&cx, &key("a"), USE, source.load()).await), "hit one");
        assert_eq!(cx.notes.all(), []);
    }
    assert_eq!(source.begun(), 2);
    assert!(two.caches[0].counts().unavailable > 0);

    // Too old to be used without a look, and nobody can be asked: for what never changes, good enough.
    sleep(seconds(60)).await;
    let cx = relaxed();
    let found = two.caches[0].read(&cx, &key("a"), USE, source.load()).await;
    assert_eq!(told(&found), "hit one");
    assert_eq!(cx.notes.all(), [Degraded::CacheUnavailable]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_cannot_be_checked_is_not_current_where_values_change() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;
    two.shelf.shut(true);
    sleep(seconds(29)).await;
    assert_eq!(read(&two.caches[0], USE, &source).await, "hit one");
    sleep(seconds(1)).await;

    source.gives("two");
    assert_eq!(read(&two.caches[0], USE, &source).await, "loaded two");
    source.fails();
    sleep(seconds(30)).await;
    assert_eq!(read(&two.caches[0], USE, &source).await, "failed unavailable but two");
}

#[tokio::test(start_paused = true)]
async fn in_one_process_alone_a_copy_of_what_changes_is_current_for_a_while_only() {
    let (layers, source) = (layers(None, 0, &Tasks::new(9)).await, Source::new("one", ms(0)));
    let (changing, fixed) = (cache(&layers, changing()), cache(&layers, plain()));
    let (cx, other) = (relaxed(), key("b"));
    changing.read(&cx, &key("a"), USE, source.load()).await;
    fixed.read(&cx, &other, USE, source.load()).await;
    source.gives("two");
    sleep(seconds(30)).await;

    assert_eq!(
        told(&changing.read(&cx, &key("a"), USE, source.load()).await),
        "loaded two"
    );
    assert_eq!(told(&fixed.read(&cx, &other, USE, source.load()).await), "hit one");
}

#[rstest]
#[case::not_ours(|_| Bytes::from_static(b"{\"value\":\"poison\"}"))]
#[case::empty(|_| Bytes::new())]
#[case::cut_short(|bytes: Bytes| bytes.slice(..bytes.len() - 1))]
#[case::one_bit(|bytes: Bytes| {
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
})]
#[tokio::test(start_paused = true)]
async fn poison_in_the_shared_layer_is_counted_and_replaced(#[case] poison: fn(Bytes) -> Bytes) {
    let (two, source) = (two(plain()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;
    two.shelf.change(&key("a"), poison);
    source.gives("two");

    assert_eq!(read(&two.caches[1], USE, &source).await, "loaded two");

    // Once by the look-up, once by the holder of the lease.
    assert_eq!(two.caches[1].counts().corrupt, 2);
    settle().await;
    sleep(seconds(30)).await;
    assert_eq!(read(&two.caches[0], USE, &source).await, "hit two");
    assert_eq!(two.caches[0].counts().corrupt, 0);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_was_moved_to_another_key_is_poison() {
    let (two, source) = (two(plain()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;
    let (cx, moved) = (relaxed(), key("b"));
    let bytes = two.shelf.bytes(&key("a")).unwrap();
    two.shelf.side(9).put(&cx, &moved, bytes, TIME).await.unwrap();
    source.gives("two");

    assert_eq!(
        told(&two.caches[1].read(&cx, &moved, USE, source.load()).await),
        "loaded two"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_is_visible_to_the_next_read_everywhere() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }

    write(&two, 0, &source, "two").await;

    for cache in &two.caches {
        assert_eq!(read(cache, USE, &source).await, "loaded two");
        assert_eq!(read(cache, USE, &source).await, "hit two");
    }
    // For a while nothing is put into the shared layer, then all is as before.
    sleep(seconds(31)).await;
    read(&two.caches[0], USE, &source).await;
    settle().await;
    source.gives("unseen");
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit two");
}

#[tokio::test(start_paused = true)]
async fn a_load_from_before_a_write_leaves_nothing_behind() {
    let (two, source) = (two(changing()).await, Source::new("one", seconds(1)));
    for number in [0, 1] {
        let (cache, its_source) = (two.caches[number].clone(), Arc::clone(&source));
        source.gives("one");
        source.takes(seconds(1));
        let late = tokio::spawn(async move { read(&cache, USE, &its_source).await });
        settle().await;

        write(&two, 0, &source, "two").await;
        source.takes(ms(0));

        // Those who ask after the write do not wait for what was read before it.
        assert_eq!(read(&two.caches[number], USE, &source).await, "loaded two");
        assert_eq!(late.await.unwrap(), "loaded one");
        settle().await;
        for cache in &two.caches {
            assert!(read(cache, USE, &source).await.ends_with("two"));
        }
        sleep(seconds(40)).await;
        for cache in &two.caches {
            assert!(read(cache, USE, &source).await.ends_with("two"));
        }
        write(&two, 0, &source, "one").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_from_before_a_write_of_which_nothing_was_heard_puts_nothing_into_the_shared_layer() {
    let (two, source) = (two(changing()).await, Source::new("one", seconds(1)));
    two.shelf.fall_silent();
    let (cache, its_source) = (two.caches[1].clone(), Arc::clone(&source));
    let late = tokio::spawn(async move { read(&cache, USE, &its_source).await });
    settle().await;

    write(&two, 0, &source, "two").await;
    source.takes(ms(0));

    assert_eq!(late.await.unwrap(), "loaded one");
    settle().await;
    assert_eq!(read(&two.caches[0], USE, &source).await, "loaded two");
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit one");
    sleep(seconds(31)).await;
    for cache in &two.caches {
        assert!(read(cache, USE, &source).await.ends_with("two"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_on_its_way_into_memory_is_stopped_by_a_write() {
    let (tasks, memory) = (Tasks::new(10), Shelf::new());
    let layers = Layers::new(Some(memory.side(0)), None, tasks);
    settle().await;
    let (cache, source) = (cache(&layers, changing()), Source::new("one", ms(0)));
    *memory.takes.lock().unwrap() = seconds(1);
    let (its_cache, its_source) = (cache.clone(), Arc::clone(&source));
    let late = tokio::spawn(async move { read(&its_cache, USE, &its_source).await });
    // The look-up takes as long as the put, in the middle of which we are now.
    sleep(ms(2500)).await;

    let owed = layers.owe(&relaxed(), &[key("a")]);
    source.gives("two");
    owed.settle(&relaxed()).await;

    assert_eq!(late.await.unwrap(), "loaded one");
    assert_eq!(read(&cache, USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn when_messages_may_have_been_lost_all_copies_are_dropped() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }
    // Somebody wrote of whom nobody heard.
    two.shelf.entries.lock().unwrap().clear();
    source.gives("two");
    assert_eq!(read(&two.caches[1], USE, &source).await, "hit one");

    two.shelf.sender().send((9, Invalidation::Everything)).unwrap();
    settle().await;

    for cache in &two.caches {
        assert!(read(cache, USE, &source).await.ends_with(" two"));
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_hears_nothing_uses_its_copy_no_longer_than_its_age_allows() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }
    two.shelf.fall_silent();

    write(&two, 0, &source, "two").await;

    assert_eq!(read(&two.caches[1], USE, &source).await, "hit one");
    sleep(seconds(30)).await;
    assert_eq!(read(&two.caches[1], USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn a_write_while_the_shared_layer_is_away_is_told_once_it_is_back() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }
    two.shelf.shut(true);
    let cx = relaxed();
    let owed = two.layers[0].owe(&cx, &[key("a")]);
    source.gives("two");
    owed.settle(&cx).await;
    assert_eq!(cx.notes.all(), [Degraded::CacheUnavailable]);
    assert_eq!(two.layers[0].owed_writes(), 1);
    two.shelf.shut(false);

    // Its own readers do not fall for what still stands there.
    assert_eq!(read(&two.caches[0], USE, &source).await, "loaded two");
    sleep(seconds(2)).await;

    assert_eq!(two.layers[0].owed_writes(), 0);
    assert_eq!(read(&two.caches[1], USE, &source).await, "loaded two");
    assert_eq!(read(&two.caches[0], USE, &source).await, "loaded two");
    assert_eq!(read(&two.caches[0], USE, &source).await, "hit two");
}

#[tokio::test(start_paused = true)]
async fn a_writer_who_leaves_in_the_middle_is_told_of_all_the_same() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    for cache in &two.caches {
        read(cache, USE, &source).await;
        settle().await;
    }

    let owed = two.layers[0].owe(&relaxed(), &[key("a")]);
    source.gives("two");
    drop(owed);
    settle().await;

    assert_eq!(two.layers[0].owed_writes(), 0);
    for cache in &two.caches {
        assert_eq!(read(cache, USE, &source).await, "loaded two");
    }
}

#[tokio::test(start_paused = true)]
async fn at_its_end_a_process_tries_once_more_to_tell_of_its_writes() {
    for is_back in [true, false] {
        let (shelf, tasks) = (Shelf::new(), Tasks::new(10));
        let layers = layers(Some(&shelf), 0, &tasks).await;
        let (cx, place) = (relaxed(), key("a"));
        shelf
            .side(0)
            .put(&cx, &place, Bytes::from_static(b"old"), TIME)
            .await
            .unwrap();
        shelf.shut(true);
        layers.owe(&cx, std::slice::from_ref(&place)).settle(&cx).await;
        settle().await;
        shelf.shut(!is_back);

        assert_eq!(tasks.drain(seconds(10)).await, 0);

        assert_eq!(layers.owed_writes(), usize::from(!is_back));
        assert_eq!(shelf.bytes(&place).unwrap() != "old", is_back);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_never_made_costs_nothing() {
    let (two, source) = (two(changing()).await, Source::new("one", ms(0)));
    read(&two.caches[0], USE, &source).await;
    settle().await;

    two.layers[0].owe(&relaxed(), &[key("a")]).forgive();

    assert_eq!(read(&two.caches[0], USE, &source).await, "hit one");
    assert_eq!(two.layers[0].owed_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_behind_is_flushed_at_the_end() {
    let (shelf, tasks) = (Shelf::new(), Tasks::new(10));
    let cache = cache(&layers(Some(&shelf), 0, &tasks).await, plain());
    let source = Source::new("one", ms(0));

    read(&cache, USE, &source).await;
    assert!(shelf.bytes(&key("a")).is_none());
    assert_eq!(tasks.drain(seconds(10)).await, 0);

    assert!(shelf.bytes(&key("a")).is_some());
    // Where nothing is taken on any more, the write comes before the answer.
    shelf.entries.lock().unwrap().clear();
    cache.read(&relaxed(), &key("b"), USE, source.load()).await;
    assert!(!shelf.is_empty());
}
