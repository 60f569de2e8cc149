//! What is kept for an owner, until it is forgotten.

use captions_domain::caption::Degraded;
use futures_util::future::join_all;
use rstest::rstest;

use super::*;

struct Fixture {
    shelf: Arc<Shelf>,
    layers: [Arc<Layers>; 2],
    caches: [Tested; 2],
    _tasks: Tasks,
}

/// Two processes over one shelf.
async fn two() -> Fixture {
    let (shelf, tasks) = (Shelf::new(), Tasks::new(1000));
    let layers = [
        layers(Some(&shelf), 0, &tasks).await,
        layers(Some(&shelf), 1, &tasks).await,
    ];
    Fixture {
        shelf,
        caches: [cache(&layers[0], plain()), cache(&layers[1], plain())],
        layers,
        _tasks: tasks,
    }
}

fn owner(name: &str) -> CacheKey {
    CacheKey::new("edition", &blake3::hash(name.as_bytes()))
}

fn of(name: &str) -> Wish {
    Wish {
        owner: Some(owner(name)),
        ..USE
    }
}

async fn forget(layers: &Arc<Layers>, name: &str) {
    let cx = relaxed();
    layers.owe(&cx, &[owner(name)]).settle(&cx).await;
    assert_eq!(cx.notes.all(), []);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_an_owner_is_found_by_all_processes_until_it_is_forgotten_by_one() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    for (cache, expected) in [(0, "loaded old"), (1, "hit old"), (1, "hit old"), (0, "hit old")] {
        assert_eq!(read(&two.caches[cache], of("ana"), &source).await, expected);
        settle().await;
    }
    source.gives("new");

    forget(&two.layers[0], "ana").await;

    // Neither from the shared layer nor from memory, on either side; and then all share the new one.
    for (cache, expected) in [(1, "loaded new"), (1, "hit new"), (0, "hit new")] {
        assert_eq!(read(&two.caches[cache], of("ana"), &source).await, expected);
        settle().await;
    }
    assert_eq!(source.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_before_is_given_when_it_cannot_be_loaded_anew() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    read(&two.caches[0], of("ana"), &source).await;
    settle().await;
    tokio::time::advance(TIME).await;
    source.fails();
    assert_eq!(
        read(&two.caches[0], of("ana"), &source).await,
        "failed unavailable but old"
    );

    forget(&two.layers[0], "ana").await;

    for cache in &two.caches {
        assert_eq!(read(cache, of("ana"), &source).await, "failed unavailable");
        let refresh = Wish {
            cache: CacheUse::Refresh,
            ..of("ana")
        };
        assert_eq!(read(cache, refresh, &source).await, "failed unavailable");
    }
}

#[tokio::test(start_paused = true)]
async fn others_keep_what_is_kept_for_them() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    for wish in [of("ana"), of("ben"), USE] {
        assert_eq!(read(&two.caches[0], wish, &source).await, "loaded old");
        settle().await;
    }

    forget(&two.layers[0], "ana").await;
    source.gives("new");

    for (wish, expected) in [(of("ben"), "hit old"), (USE, "hit old"), (of("ana"), "loaded new")] {
        assert_eq!(read(&two.caches[0], wish, &source).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_being_loaded_while_it_was_forgotten_is_not_found_later() {
    let (two, source) = (two().await, Source::new("old", seconds(3)));
    let reading = {
        let (cache, source) = (two.caches[1].clone(), Arc::clone(&source));
        tokio::spawn(async move { read(&cache, of("ana"), &source).await })
    };
    while source.running() == 0 {
        settle().await;
    }

    forget(&two.layers[0], "ana").await;
    source.gives("new");

    // Whoever asks now does not join it either.
    assert_eq!(read(&two.caches[1], of("ana"), &source).await, "loaded new");
    assert_eq!(reading.await.unwrap(), "loaded old");
    settle().await;
    for cache in &two.caches {
        assert_eq!(read(cache, of("ana"), &source).await, "hit new");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_edition_costs_a_load_and_brings_nothing_back() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    read(&two.caches[0], of("ana"), &source).await;
    settle().await;
    // As an eviction does it: nobody is told.
    let lose = || {
        two.shelf
            .entries
            .lock()
            .unwrap()
            .remove(&(TenantId::local(), owner("ana")))
    };
    assert!(lose().is_some());
    source.gives("new");

    assert_eq!(read(&two.caches[1], of("ana"), &source).await, "loaded new");
    settle().await;
    // A young copy of the edition is taken at its word; then that of all counts.
    assert_eq!(read(&two.caches[0], of("ana"), &source).await, "hit old");
    tokio::time::advance(seconds(31)).await;
    assert_eq!(read(&two.caches[0], of("ana"), &source).await, "hit new");

    forget(&two.layers[1], "ana").await;
    lose();
    source.gives("newest");
    for (cache, expected) in [(0, "loaded newest"), (1, "hit newest")] {
        assert_eq!(read(&two.caches[cache], of("ana"), &source).await, expected);
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn readers_of_two_processes_agree_on_an_edition_and_are_one_load() {
    let (two, source) = (two().await, Source::new("one", seconds(3)));

    let found = join_all((0..100).map(|number| read(&two.caches[number % 2], of("ana"), &source))).await;

    assert_eq!(source.begun(), 1, "{found:?}");
}

#[rstest]
#[case::garbled(true)]
#[case::of_another_place(false)]
#[tokio::test(start_paused = true)]
async fn an_edition_that_cannot_be_read_is_replaced(#[case] is_garbled: bool) {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    for name in ["ana", "ben"] {
        read(&two.caches[0], of(name), &source).await;
    }
    settle().await;
    let other = two.shelf.bytes(&owner("ben")).unwrap();
    two.shelf
        .change(&owner("ana"), |_| if is_garbled { "?".into() } else { other });
    source.gives("new");

    for expected in ["loaded new", "hit new"] {
        assert_eq!(read(&two.caches[1], of("ana"), &source).await, expected);
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_shared_layer_away_a_young_edition_serves_and_after_that_nothing_is_kept() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    read(&two.caches[0], of("ana"), &source).await;
    settle().await;
    two.shelf.shut(true);
    assert_eq!(read(&two.caches[0], of("ana"), &source).await, "hit old");
    tokio::time::advance(seconds(31)).await;
    source.gives("new");

    for _ in 0..2 {
        let cx = relaxed();
        let place = key("a");
        let readers = (0..10).map(|_| two.caches[0].read(&cx, &place, of("ana"), source.load()));
        let found: Vec<_> = join_all(readers).await.iter().map(told).collect();
        // One load for those who are there together, and none of it is kept.
        assert_eq!(
            found.iter().filter(|found| *found == "loaded new").count(),
            1,
            "{found:?}"
        );
        assert!(found.iter().all(|found| found.ends_with(" new")), "{found:?}");
        assert_eq!(cx.notes.all(), [Degraded::CacheUnavailable]);
    }
    assert_eq!(source.begun(), 3);

    two.shelf.shut(false);
    assert_eq!(read(&two.caches[0], of("ana"), &source).await, "hit old");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_while_the_shared_layer_is_away_is_not_found_here_and_nowhere_once_it_is_back() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    for cache in &two.caches {
        read(cache, of("ana"), &source).await;
        settle().await;
    }
    two.shelf.shut(true);
    source.gives("new");

    let cx = relaxed();
    two.layers[0].owe(&cx, &[owner("ana")]).settle(&cx).await;

    assert_eq!(cx.notes.all(), [Degraded::CacheUnavailable]);
    assert_eq!(read(&two.caches[0], of("ana"), &source).await, "loaded new");
    // The other one could not be told, and uses its copy for as long as any.
    assert_eq!(read(&two.caches[1], of("ana"), &source).await, "hit old");
    tokio::time::advance(seconds(31)).await;
    assert_eq!(read(&two.caches[1], of("ana"), &source).await, "loaded new");

    two.shelf.shut(false);
    tokio::time::timeout(seconds(60), async {
        while two.layers[0].owed_writes() > 0 {
            sleep(ms(100)).await;
        }
    })
    .await
    .unwrap();
    settle().await;
    for (cache, expected) in [(1, "loaded new"), (0, "hit new")] {
        assert_eq!(read(&two.caches[cache], of("ana"), &source).await, expected);
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_without_a_shared_layer_forgets_too() {
    let tasks = Tasks::new(100);
    let layers = layers(None, 0, &tasks).await;
    let (cache, source) = (cache(&layers, plain()), Source::new("old", ms(10)));
    let found = join_all((0..10).map(|_| read(&cache, of("ana"), &source))).await;
    assert_eq!(source.begun(), 1, "{found:?}");
    tokio::time::advance(seconds(50)).await;
    assert_eq!(read(&cache, of("ana"), &source).await, "hit old");
    source.gives("new");

    forget(&layers, "ana").await;

    for expected in ["loaded new", "hit new"] {
        assert_eq!(read(&cache, of("ana"), &source).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_passes_the_cache_over_asks_for_no_edition() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    let bypass = Wish {
        cache: CacheUse::Bypass,
        ..of("ana")
    };

    read(&two.caches[0], bypass, &source).await;

    assert_eq!(two.shelf.gets.load(Ordering::SeqCst), 0);
    assert!(two.shelf.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_told_whatever_its_age_and_nothing_is_loaded_for_it() {
    let (two, source) = (two().await, Source::new("old", ms(10)));
    let kept = async |cache: usize, of: Option<&CacheKey>| {
        let found = two.caches[cache].kept(&relaxed(), &key("a"), of).await;
        found.flatten()
    };
    let (ana, ben) = (owner("ana"), owner("ben"));
    assert_eq!(kept(0, Some(&ana)).await, None);
    read(&two.caches[0], of("ana"), &source).await;
    settle().await;
    tokio::time::advance(TIME + seconds(1)).await;

    // By this process and by the other one, for nobody else, and not without an owner.
    assert_eq!(kept(0, Some(&ana)).await.as_deref(), Some("old"));
    assert_eq!(kept(1, Some(&ana)).await.as_deref(), Some("old"));
    assert_eq!(kept(0, Some(&ben)).await, None);
    assert_eq!(kept(0, None).await, None);

    forget(&two.layers[1], "ana").await;

    assert_eq!(kept(0, Some(&ana)).await, None);
    assert_eq!(source.begun(), 1);
}
