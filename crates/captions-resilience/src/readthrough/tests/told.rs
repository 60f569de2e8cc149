//! What a reader can tell of the look-up (RFC 9211).

use captions_domain::context::{LookUp, Why};
use futures_util::future::join;

use super::*;

async fn alone(options: CacheOptions) -> Tested {
    cache(&layers(None, 0, &Tasks::new(100)).await, options)
}

async fn look_up(cache: &Tested, wish: Wish, source: &Arc<Source>) -> LookUp {
    let cx = relaxed();
    cache.read(&cx, &key("a"), wish, source.load()).await;
    cx.notes.look_up().unwrap()
}

const fn made(why: Why, shared: bool, stored: bool) -> LookUp {
    LookUp::Made { why, shared, stored }
}

#[tokio::test(start_paused = true)]
async fn missed_stored_found_stale_and_made_anew_are_told_apart() {
    let (cache, source) = (alone(plain()).await, Source::new("one", ms(0)));

    assert_eq!(look_up(&cache, USE, &source).await, made(Why::Missing, false, true));
    sleep(seconds(30)).await;
    let fresh_for = seconds(70);
    assert_eq!(look_up(&cache, USE, &source).await, LookUp::Hit { fresh_for });
    assert_eq!(look_up(&cache, REFRESH, &source).await, made(Why::Wanted, false, true));
    sleep(TIME + seconds(5)).await;
    assert_eq!(look_up(&cache, STRICT, &source).await, made(Why::Stale, false, true));
    sleep(TIME + seconds(5)).await;
    source.fails();
    let past = seconds(5);
    assert_eq!(look_up(&cache, USE, &source).await, LookUp::Stale { past });
    assert_eq!(look_up(&cache, STRICT, &source).await, made(Why::Stale, false, false));
}

#[tokio::test(start_paused = true)]
async fn a_shared_load_is_told_to_those_who_share_it_alone() {
    let (cache, source) = (alone(plain()).await, Source::new("one", seconds(1)));

    let both = join(look_up(&cache, USE, &source), look_up(&cache, USE, &source)).await;

    assert_eq!(both, (made(Why::Missing, false, true), made(Why::Missing, true, true)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_not_told_as_stored() {
    let tiny = CacheOptions { largest: 1, ..plain() };
    let (cache, source) = (alone(tiny).await, Source::new("one", ms(0)));
    let bypass = Wish {
        cache: CacheUse::Bypass,
        ..USE
    };

    assert_eq!(look_up(&cache, USE, &source).await, made(Why::Missing, false, false));
    assert_eq!(
        look_up(&cache, bypass, &source).await,
        made(Why::Bypassed, false, false)
    );
    *source.fresh_for.lock().unwrap() = Duration::ZERO;
    assert_eq!(look_up(&cache, USE, &source).await, made(Why::Missing, false, false));
}
