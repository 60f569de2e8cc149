use captions_domain::context::Class;
use futures_util::future::join_all;
use rstest::rstest;
use tokio::task::JoinHandle;

use super::*;

async fn alone(options: CacheOptions) -> Tested {
    cache(&layers(None, 0, &Tasks::new(100)).await, options)
}

fn spawned(cache: &Tested, cx: Context, wish: Wish, source: &Arc<Source>) -> JoinHandle<String> {
    let (cache, source) = (cache.clone(), Arc::clone(source));
    tokio::spawn(async move { told(&cache.read(&cx, &key("a"), wish, source.load()).await) })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_misses_are_one_load() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));

    let found = join_all((0..1000).map(|_| read(&cache, USE, &source))).await;

    assert_eq!(source.begun(), 1);
    assert_eq!(found.iter().filter(|found| *found == "loaded one").count(), 1);
    assert_eq!(found.iter().filter(|found| *found == "shared one").count(), 999);
    let counts = cache.counts();
    assert_eq!((counts.misses, counts.coalesced, counts.loads), (1000, 999, 1));
    assert_eq!(read(&cache, USE, &source).await, "hit one");
    assert_eq!(cache.counts().hit_rate(), Some(1.0 / 1001.0));
}

#[tokio::test(start_paused = true)]
async fn a_load_goes_on_for_the_last_of_a_thousand_readers() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let mut readers: Vec<_> = (0..1000).map(|_| spawned(&cache, relaxed(), USE, &source)).collect();
    let begun = Instant::now();
    sleep(ms(500)).await;
    let last = readers.pop().unwrap();

    // The first one among them, who began it.
    for reader in readers {
        reader.abort();
    }

    assert_eq!(last.await.unwrap(), "shared one");
    assert_eq!(begun.elapsed(), seconds(1));
    assert_eq!(source.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_waits_for_ends_at_once() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let readers: Vec<_> = (0..10).map(|_| spawned(&cache, relaxed(), USE, &source)).collect();
    sleep(ms(500)).await;
    assert_eq!(source.running(), 1);

    readers.iter().for_each(JoinHandle::abort);
    settle().await;

    assert_eq!(source.running(), 0);
    assert_eq!(cache.inner.loads.len(), 0);
    assert_eq!(read(&cache, USE, &source).await, "loaded one");
}

#[tokio::test(start_paused = true)]
async fn another_key_and_another_tenant_have_loads_of_their_own() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let stranger = Context {
        tenant: TenantId::new("stranger").unwrap(),
        ..relaxed()
    };
    let (cx, keys) = (relaxed(), [key("a"), key("b")]);

    let found = tokio::join!(
        cache.read(&cx, &keys[0], USE, source.load()),
        cache.read(&cx, &keys[1], USE, source.load()),
        cache.read(&stranger, &keys[0], USE, source.load()),
    );

    for found in [found.0, found.1, found.2] {
        assert_eq!(told(&found), "loaded one");
    }
    assert_eq!(source.begun(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_reader_keeps_its_own_deadline() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let begun = Instant::now();
    let first = spawned(&cache, relaxed(), USE, &source);
    settle().await;

    let hurried = spawned(&cache, context(ms(100), 1), USE, &source).await.unwrap();

    assert_eq!(hurried, "failed timeout");
    assert_eq!(begun.elapsed(), ms(100));
    assert_eq!(first.await.unwrap(), "loaded one");
    assert_eq!((begun.elapsed(), source.begun()), (seconds(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_failed_for_want_of_time_is_begun_again_for_those_who_have_more() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(3)));
    let hurried = spawned(&cache, context(seconds(1), 1), USE, &source);
    settle().await;
    let others: Vec<_> = (0..10).map(|_| spawned(&cache, relaxed(), USE, &source)).collect();

    assert_eq!(hurried.await.unwrap(), "failed timeout");
    let found: Vec<_> = join_all(others).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(source.begun(), 2);
    assert_eq!(found.iter().filter(|found| *found == "loaded one").count(), 1);
    assert_eq!(found.iter().filter(|found| *found == "shared one").count(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_not_kept() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    source.fails();

    let found = join_all((0..100).map(|_| read(&cache, USE, &source))).await;

    assert!(found.iter().all(|found| found == "failed unavailable"));
    assert_eq!((source.begun(), cache.counts().load_failures), (1, 1));
    source.gives("two");
    assert_eq!(read(&cache, USE, &source).await, "loaded two");
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_person_is_not_turned_away_together_with_work_in_the_background() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let background = Context {
        class: Class::Batch,
        ..relaxed()
    };
    let turned_away: Load<Value, LlmError> = Box::new(|_| {
        Box::pin(async {
            sleep(seconds(1)).await;
            Err(Fault::new(FaultKind::Overloaded).into())
        })
    });

    let (person, key) = (relaxed(), key("a"));
    let (first, person, other) = tokio::join!(
        cache.read(&background, &key, USE, turned_away),
        cache.read(&person, &key, USE, source.load()),
        cache.read(&background, &key, USE, source.load()),
    );

    assert_eq!(told(&first), "failed overloaded");
    assert_eq!(told(&person), "loaded one");
    assert_eq!(told(&other), "failed overloaded");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_for_all_and_frees_the_place() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    source.panics.store(true, Ordering::SeqCst);

    let found = join_all((0..100).map(|_| read(&cache, USE, &source))).await;

    assert!(found.iter().all(|found| found == "failed internal"), "{found:?}");
    assert_eq!((source.begun(), cache.inner.loads.len()), (1, 0));
    source.panics.store(false, Ordering::SeqCst);
    assert_eq!(read(&cache, USE, &source).await, "loaded one");
}

#[tokio::test(start_paused = true)]
async fn without_coalescing_every_reader_loads() {
    let options = CacheOptions {
        coalesce: false,
        ..plain()
    };
    let (cache, source) = (alone(options).await, Source::new("one", seconds(1)));

    let found = join_all((0..10).map(|_| read(&cache, USE, &source))).await;

    assert!(found.iter().all(|found| found == "loaded one"));
    assert_eq!(source.begun(), 10);
    assert_eq!(read(&cache, USE, &source).await, "hit one");
}

#[tokio::test(start_paused = true)]
async fn to_bypass_is_to_look_up_share_and_keep_nothing() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    let bypass = Wish {
        cache: CacheUse::Bypass,
        stale: true,
        owner: None,
    };

    let found = join_all((0..3).map(|_| read(&cache, bypass.clone(), &source))).await;

    assert_eq!(found, ["loaded one"; 3]);
    assert_eq!(source.begun(), 3);
    assert_eq!(read(&cache, USE, &source).await, "loaded one");
    source.gives("two");
    assert_eq!(read(&cache, bypass.clone(), &source).await, "loaded two");
    assert_eq!(read(&cache, USE, &source).await, "hit one");
    assert_eq!(cache.counts().look_ups(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_replaces_what_is_there_and_joins_a_load_under_way() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    read(&cache, USE, &source).await;
    source.gives("two");

    let found = join_all((0..10).map(|_| read(&cache, REFRESH, &source))).await;

    assert_eq!(source.begun(), 2);
    assert_eq!(found.iter().filter(|found| *found == "shared two").count(), 9);
    assert_eq!(read(&cache, USE, &source).await, "hit two");
}

#[tokio::test(start_paused = true)]
async fn while_a_refresh_runs_and_if_it_fails_what_is_there_still_serves() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));
    read(&cache, USE, &source).await;
    source.fails();

    let refresh = spawned(&cache, relaxed(), REFRESH, &source);
    settle().await;

    assert_eq!(source.running(), 1);
    assert_eq!(read(&cache, USE, &source).await, "hit one");
    assert_eq!(refresh.await.unwrap(), "failed unavailable but one");
    assert_eq!(read(&cache, USE, &source).await, "hit one");
}

#[rstest]
#[case::not_to_be_kept(None)]
#[case::no_time_at_all(Some(Duration::ZERO))]
#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_kept_is_shared_and_gone(#[case] fresh_for: Option<Duration>) {
    let cache = alone(plain()).await;
    let load = || -> Load<Value, LlmError> {
        Box::new(move |_| {
            Box::pin(async move {
                sleep(ms(10)).await;
                let value = Some("one".to_owned());
                Ok(Loaded { value, fresh_for })
            })
        })
    };
    let (cx, key) = (relaxed(), key("a"));

    let both = tokio::join!(cache.read(&cx, &key, USE, load()), cache.read(&cx, &key, USE, load()));

    assert_eq!([told(&both.0), told(&both.1)], ["loaded one", "shared one"]);
    assert_eq!(told(&cache.read(&cx, &key, USE, load()).await), "loaded one");
}
