//! Streams that are taken up again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    context::{Context, TenantId},
    fault::Fault,
    ports::{Cache, CacheKey, Cached, Invalidations},
};
use captions_http::{Keeping, Limits, Streams};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::{
    client::{Connection, get, send},
    ports::{Piece, Turn},
    server::{Server, TEXT},
    stream::{Frame, cat, frames, open_after, read},
};

/// A cache that counts what it holds.
#[derive(Default)]
struct Shelf {
    kept: Mutex<HashMap<(TenantId, CacheKey), (Bytes, Instant)>>,
    puts: watch::Sender<usize>,
}

impl Shelf {
    /// Waits until that many puts were made.
    async fn has_been_put_to(&self, times: usize) {
        self.puts.subscribe().wait_for(|puts| *puts >= times).await.unwrap();
    }
}

#[async_trait]
impl Cache for Shelf {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        let kept = self.kept.lock().unwrap();
        let found = kept.get(&(cx.tenant.clone(), key.clone()));
        Ok(found
            .filter(|(_, until)| Instant::now() < *until)
            .map(|(bytes, _)| Cached {
                bytes: bytes.clone(),
                age: Duration::ZERO,
            }))
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        let place = (cx.tenant.clone(), key.clone());
        self.kept.lock().unwrap().insert(place, (bytes, Instant::now() + ttl));
        self.puts.send_modify(|puts| *puts += 1);
        Ok(())
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.kept.lock().unwrap().remove(&(cx.tenant.clone(), key.clone()));
        Ok(())
    }

    async fn put_if_absent(&self, _: &Context, _: &CacheKey, _: Bytes, _: Duration) -> Result<bool, Fault> {
        unreachable!("streams take no leases")
    }

    async fn remove_if(&self, _: &Context, _: &CacheKey, _: Bytes) -> Result<bool, Fault> {
        unreachable!("streams take no leases")
    }

    fn invalidations(&self) -> Invalidations {
        futures_util::stream::pending().boxed()
    }
}

/// A server that keeps its streams in this cache.
async fn keeping(shelf: &Arc<Shelf>, is_shared: bool, time: Duration, script: Vec<Turn>) -> Server {
    let keeping = Keeping {
        cache: Arc::clone(shelf) as _,
        is_shared,
        time,
    };
    Server::start_as(script, Limits::default(), |mut state| {
        state.streams = Streams::new(Some(keeping));
        state
    })
    .await
}

const MINUTE: Duration = Duration::from_secs(60);

fn two_pieces() -> Vec<Turn> {
    vec![Turn::Pieces(vec![
        Piece::Text("The sill is warm "),
        Piece::Wait,
        Piece::Text("and the cat knows it."),
        Piece::End,
    ])]
}

fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.name.as_str()).collect()
}

/// The frames up to the first of this name.
async fn until(connection: &mut Connection, name: &str) -> Vec<Frame> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|frame: &Frame| frame.name != name) {
        seen.extend(read(&connection.chunk().await.expect("the stream ended before")));
    }
    seen
}

async fn whole(server: &Server, body: &Value, last: &str) -> Vec<Frame> {
    let mut connection = open_after(server, body, last).await;
    assert_eq!(connection.head().await.status, 200);
    frames(&mut connection).await
}

fn asked(server: &Server) -> usize {
    server.writer.prompts.lock().unwrap().len()
}

#[tokio::test]
async fn every_event_has_an_id_and_who_comes_back_with_one_gets_the_rest() {
    let server = keeping(&Arc::default(), false, MINUTE, vec![Turn::Say(TEXT)]).await;

    let all = whole(&server, &cat(), "").await;

    assert_eq!(names(&all), ["caption.created", "caption.delta", "caption.completed"]);
    let stream = all[0].id.strip_suffix("-1").unwrap();
    let ids: Vec<_> = all.iter().map(|frame| frame.id.clone()).collect();
    assert_eq!(ids, [1, 2, 3].map(|number| format!("{stream}-{number}")));
    for (last, rest) in [("0", 0), ("1", 1), ("2", 2), ("3", 2), ("99", 2)] {
        let again = whole(&server, &cat(), &format!("{stream}-{last}")).await;
        let same = |(a, b): (&Frame, &Frame)| (&a.name, &a.data, &a.id) == (&b.name, &b.data, &b.id);
        assert_eq!(again.len(), 3 - rest, "after {last}: each answer ends with an end");
        assert!(again.iter().zip(&all[rest..]).all(same), "after {last}: {again:?}");
    }
    let stats = get(server.address, "/v1/stats").await.json();
    assert_eq!(
        (asked(&server), &stats["total_operations"]),
        (1, &json!(1)),
        "nothing was written or counted again"
    );
}

#[tokio::test]
async fn what_was_told_for_a_user_who_is_erased_is_told_to_nobody_again() {
    let shelf = Arc::default();
    let script = vec![Turn::Say(TEXT), Turn::Say(TEXT), Turn::Say(TEXT)];
    let one = keeping(&shelf, true, MINUTE, script.clone()).await;
    let other = keeping(&shelf, true, MINUTE, script).await;
    let of = |user: &str| json!({"content_description": "a cat on a sill", "user_id": user});
    let anas = whole(&one, &of("ana"), "").await;
    let bens = whole(&one, &of("ben"), "").await;
    assert_eq!(whole(&other, &of("ana"), &anas[0].id).await.len(), 2, "it is kept");

    let erased = send(one.address, "DELETE", "/v1/users/ana", &[], b"").await;

    assert_eq!(erased.status, 200);
    for server in [&one, &other] {
        let anew = whole(server, &of("ana"), &anas[0].id).await;
        assert_eq!(names(&anew), ["caption.created", "caption.delta", "caption.completed"]);
        let again = whole(server, &of("ana"), &anew[0].id).await;
        assert_eq!(
            names(&again),
            ["caption.delta", "caption.completed"],
            "what is asked for later is kept"
        );
        assert_eq!(whole(server, &of("ben"), &bens[0].id).await.len(), 2);
    }
    // Written anew where the caption itself is not kept; that an erasure gives those up too is for the tests of the whole.
    assert_eq!((asked(&one), asked(&other)), (2, 1));
}

#[tokio::test]
async fn a_stream_that_still_runs_is_followed_to_its_end_and_kept_alive_by_whoever_reads_it() {
    let server = keeping(&Arc::default(), false, MINUTE, two_pieces()).await;
    let mut first = open_after(&server, &cat(), "").await;
    first.head().await;
    let seen = until(&mut first, "caption.delta").await;

    let mut second = open_after(&server, &cat(), &seen[0].id).await;
    second.head().await;
    let told = until(&mut second, "caption.delta").await;
    assert_eq!((told[0].id.as_str(), told.len()), (seen[1].id.as_str(), 1));
    drop(first);
    // The first reader's end has been noticed once another connection has been served.
    assert_eq!(get(server.address, "/livez").await.status, 200);
    server.writer.is_busy_with(1).await;
    server.writer.let_go();

    assert_eq!(
        names(&frames(&mut second).await),
        ["caption.delta", "caption.completed"]
    );
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn when_all_readers_have_left_the_writing_stops_and_the_stream_begins_anew() {
    let server = keeping(&Arc::default(), false, MINUTE, two_pieces()).await;
    let mut first = open_after(&server, &cat(), "").await;
    first.head().await;
    let seen = until(&mut first, "caption.delta").await;

    drop(first);
    server.writer.is_busy_with(0).await;
    server.writer.let_go();
    let again = whole(&server, &cat(), &seen[1].id).await;

    assert_eq!(
        names(&again),
        ["caption.created", "caption.delta", "caption.delta", "caption.completed"]
    );
    assert_ne!(again[0].id, seen[0].id, "a stream of its own");
    assert_eq!(asked(&server), 2);
    let stats = get(server.address, "/v1/stats").await.json();
    assert_eq!(stats["operations"]["caption_stream"]["outcomes"]["cancelled"], 1);
}

#[tokio::test]
async fn a_stream_is_taken_up_by_who_asks_the_same_and_nobody_else() {
    let server = keeping(&Arc::default(), false, MINUTE, vec![Turn::Say(TEXT)]).await;
    let seen = whole(&server, &cat(), "").await;
    let other = json!({"content_description": "a dog on a sill"});

    for (body, last) in [(&other, seen[1].id.as_str()), (&cat(), "0190-1"), (&cat(), "rubbish")] {
        let again = whole(&server, body, last).await;

        assert_eq!(again[0].name, "caption.created", "{last}");
        assert_ne!(again[0].id, seen[0].id);
    }
}

#[tokio::test]
async fn an_ended_stream_is_kept_for_its_time_only() {
    for (time, kept) in [
        (MINUTE, true),
        (Duration::from_millis(20), false),
        (Duration::ZERO, false),
    ] {
        let server = keeping(&Arc::default(), false, time, vec![Turn::Say(TEXT)]).await;
        let seen = whole(&server, &cat(), "").await;

        let is_there = async || whole(&server, &cat(), &seen[1].id).await[0].id == seen[2].id;
        let mut there = is_there().await;
        // Its time passes while it is asked for.
        for _ in 0..1000 {
            if there == kept {
                break;
            }
            there = is_there().await;
        }

        assert_eq!(there, kept, "{time:?}");
    }
}

#[tokio::test]
async fn another_replica_goes_on_with_a_stream_that_runs_or_has_ended() {
    let shelf = Arc::default();
    let here = keeping(&shelf, true, MINUTE, two_pieces()).await;
    let there = keeping(&shelf, true, MINUTE, vec![Turn::Say("nobody asks for this")]).await;
    let mut first = open_after(&here, &cat(), "").await;
    first.head().await;
    let seen = until(&mut first, "caption.delta").await;
    shelf.has_been_put_to(1).await;

    let mut second = open_after(&there, &cat(), &seen[0].id).await;
    second.head().await;
    let told = until(&mut second, "caption.delta").await;
    assert_eq!(told[0].id, seen[1].id);
    here.writer.let_go();
    let rest = frames(&mut second).await;

    assert_eq!(names(&rest), ["caption.delta", "caption.completed"]);
    assert_eq!(rest[1].data["caption"], TEXT);
    let after = whole(&there, &cat(), &rest[0].id).await;
    assert_eq!((names(&after), &after[0].id), (vec!["caption.completed"], &rest[1].id));
    assert_eq!((asked(&here), asked(&there)), (1, 0));
}

#[tokio::test]
async fn what_was_seen_here_before_it_is_shown_there_is_not_told_twice() {
    let shelf = Arc::default();
    let here = keeping(&shelf, true, MINUTE, two_pieces()).await;
    let there = keeping(&shelf, true, MINUTE, vec![Turn::Say("nobody asks for this")]).await;
    let mut first = open_after(&here, &cat(), "").await;
    first.head().await;
    let seen = until(&mut first, "caption.delta").await;
    shelf.has_been_put_to(1).await;

    // As if the second piece had been seen as well, of which the other replica knows nothing yet.
    let mut second = open_after(&there, &cat(), &seen[1].id.replace("-2", "-3")).await;
    second.head().await;
    here.writer.let_go();
    let rest = frames(&mut second).await;

    assert_eq!(names(&rest), ["caption.completed"]);
    assert_eq!(rest[0].id, seen[1].id.replace("-2", "-4"));
    assert_eq!((asked(&here), asked(&there)), (1, 0));
}

#[tokio::test]
async fn a_stream_that_its_own_replica_gives_up_ends_with_an_error_elsewhere() {
    let shelf = Arc::default();
    let here = keeping(&shelf, true, MINUTE, two_pieces()).await;
    let there = keeping(&shelf, true, MINUTE, two_pieces()).await;
    let mut first = open_after(&here, &cat(), "").await;
    first.head().await;
    let seen = until(&mut first, "caption.delta").await;
    shelf.has_been_put_to(1).await;
    let mut second = open_after(&there, &cat(), &seen[0].id).await;
    second.head().await;
    until(&mut second, "caption.delta").await;

    drop(first);
    let rest = frames(&mut second).await;

    assert_eq!(names(&rest), ["error"]);
    assert_eq!(
        (&rest[0].data["code"], &rest[0].data["retryable"]),
        (&json!("stream_cut"), &json!(true))
    );
    assert_eq!(rest[0].id, seen[1].id.replace("-2", "-3"));
}
