//! What every [`CaptionStore`] must do with the records of calls that were given a key.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use captions_domain::{
    caption::CaptionId,
    context::Context,
    history::Extent,
    once::{CallId, Claim, Key, Payload, Reply, Standing, Step},
    ports::CaptionStore,
};
use uuid::Uuid;

use super::cut::cut_after;
use crate::{build, once::Records};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);
/// Over as soon as it begins.
const NONE: Duration = Duration::ZERO;

/// Everything below, one after the other. Nobody else may use the database meanwhile: to sweep reaches everything.
pub async fn suite(store: Arc<dyn CaptionStore>) {
    the_first_claimant_holds_a_call_and_others_wait(&*store).await;
    of_many_claimants_at_once_one_holds_the_call(Arc::clone(&store)).await;
    an_answer_comes_back_as_written(&*store).await;
    a_step_that_is_repeated_gives_the_same(&*store).await;
    a_released_call_goes_on_with_the_first_id(&*store).await;
    a_call_whose_lease_is_over_goes_on_with_the_first_id(&*store).await;
    a_call_is_another_one_after_its_time(&*store).await;
    sweeping_removes_so_many_and_spares_what_is_used(&*store).await;
    calls_of_tenants_never_meet(&*store).await;
    what_is_kept_of_a_user_goes_with_the_user(&*store).await;
    what_is_kept_of_a_caption_goes_with_the_caption(&*store).await;
    a_step_cut_off_midway_leaves_the_store_usable(&*store).await;
    let mut moves = vec![[0; 4]; 400];
    let mut bytes = blake3::Hasher::new().update(b"a walk").finalize_xof();
    for step in &mut moves {
        bytes.fill(step);
    }
    every_walk_is_as_in_memory(&*store, &moves).await;
}

fn call(name: &str) -> CallId {
    CallId::new("POST", "/v1/captions", &Key::new(name).unwrap())
}

fn payload(body: &str) -> Payload {
    Payload::of("application/json", "", body.as_bytes(), "user_id").0
}

fn claim(name: &str) -> Claim {
    Claim {
        call: call(name),
        payload: payload("{}"),
        user: None,
        caption: None,
        lease: LONG,
        keep_for: LONG,
    }
}

fn reply(body: &str) -> Reply {
    Reply {
        status: 201,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn settle(name: &str, reply: Reply, keep_for: Duration) -> Step {
    Step::Settle {
        call: call(name),
        reply,
        keep_for,
    }
}

fn release(name: &str) -> Step {
    Step::Release { call: call(name) }
}

/// Another request of the same tenant.
fn next(cx: &Context) -> Context {
    Context {
        fresh_id: Uuid::now_v7(),
        ..cx.clone()
    }
}

fn held(cx: &Context) -> Standing {
    Standing::Held { id: cx.fresh_id }
}

async fn take(store: &dyn CaptionStore, cx: &Context, step: &Step) -> Standing {
    store.once(cx, step).await.unwrap()
}

async fn claimed(store: &dyn CaptionStore, cx: &Context, claim: Claim) -> Standing {
    take(store, cx, &Step::Claim(claim)).await
}

pub async fn the_first_claimant_holds_a_call_and_others_wait(store: &dyn CaptionStore) {
    let first = build::context();
    let second = next(&first);
    let other_payload = Claim {
        payload: payload("[]"),
        ..claim("a")
    };

    assert_eq!(claimed(store, &first, claim("a")).await, held(&first));

    assert_eq!(claimed(store, &second, claim("a")).await, Standing::Busy);
    assert_eq!(claimed(store, &second, other_payload).await, Standing::Different);
    assert_eq!(claimed(store, &second, claim("b")).await, held(&second));
}

pub async fn of_many_claimants_at_once_one_holds_the_call(store: Arc<dyn CaptionStore>) {
    let cx = build::context();
    let claimants: Vec<_> = (0..16)
        .map(|_| {
            let (store, cx) = (Arc::clone(&store), next(&cx));
            tokio::spawn(async move {
                let standing = claimed(&*store, &cx, claim("many")).await;
                assert!(standing == held(&cx) || standing == Standing::Busy, "{standing:?}");
                standing == held(&cx)
            })
        })
        .collect();
    let mut holders = 0;
    for claimant in claimants {
        holders += usize::from(claimant.await.unwrap());
    }

    assert_eq!(holders, 1);
}

pub async fn an_answer_comes_back_as_written(store: &dyn CaptionStore) {
    let cx = build::context();
    let full = Reply {
        status: 599,
        headers: vec![
            ("location".to_owned(), "/v1/captions/1".to_owned()),
            (
                "captions-model".to_owned(),
                "a \"model\" \\ of 'some' kind é".to_owned(),
            ),
            ("captions-model".to_owned(), String::new()),
        ],
        body: Bytes::from_static(b"\0\xff bytes of any kind \n"),
    };
    let bare = Reply {
        status: 100,
        headers: Vec::new(),
        body: Bytes::new(),
    };
    for (name, reply) in [("full", full), ("bare", bare)] {
        claimed(store, &cx, claim(name)).await;

        assert_eq!(
            take(store, &cx, &settle(name, reply.clone(), LONG)).await,
            Standing::Changed(1)
        );

        for cx in [&next(&cx), &cx] {
            assert_eq!(claimed(store, cx, claim(name)).await, Standing::Answered(reply.clone()));
        }
        let other_payload = Claim {
            payload: payload("7"),
            ..claim(name)
        };
        assert_eq!(claimed(store, &next(&cx), other_payload).await, Standing::Different);
    }
}

pub async fn a_step_that_is_repeated_gives_the_same(store: &dyn CaptionStore) {
    let cx = build::context();
    for _ in 0..2 {
        assert_eq!(claimed(store, &cx, claim("a")).await, held(&cx));
    }
    for _ in 0..2 {
        assert_eq!(
            take(store, &cx, &settle("a", reply("1"), LONG)).await,
            Standing::Changed(1)
        );
    }
    assert_eq!(take(store, &cx, &release("a")).await, Standing::Changed(0));
    assert_eq!(
        claimed(store, &next(&cx), claim("a")).await,
        Standing::Answered(reply("1"))
    );

    claimed(store, &cx, claim("b")).await;
    for _ in 0..2 {
        assert_eq!(take(store, &cx, &release("b")).await, Standing::Changed(1));
    }
}

pub async fn a_released_call_goes_on_with_the_first_id(store: &dyn CaptionStore) {
    let first = build::context();
    claimed(store, &first, claim("a")).await;
    assert_eq!(take(store, &first, &release("a")).await, Standing::Changed(1));
    let second = next(&first);
    let other_payload = Claim {
        payload: payload("[]"),
        ..claim("a")
    };

    assert_eq!(claimed(store, &second, other_payload).await, Standing::Different);
    assert_eq!(claimed(store, &second, claim("a")).await, held(&first));

    assert_eq!(claimed(store, &next(&first), claim("a")).await, Standing::Busy);
    assert_eq!(take(store, &first, &release("a")).await, Standing::Changed(0));
    assert_eq!(
        take(store, &second, &settle("a", reply("2"), LONG)).await,
        Standing::Changed(1)
    );
    assert_eq!(claimed(store, &first, claim("a")).await, Standing::Answered(reply("2")));
}

pub async fn a_call_whose_lease_is_over_goes_on_with_the_first_id(store: &dyn CaptionStore) {
    let (first, unknown) = (build::context(), "unknown");
    let short = Claim {
        lease: NONE,
        ..claim("a")
    };
    claimed(store, &first, short).await;
    let second = next(&first);

    assert_eq!(claimed(store, &second, claim("a")).await, held(&first));

    // Whoever comes too late has no say any more.
    assert_eq!(
        take(store, &first, &settle("a", reply("1"), LONG)).await,
        Standing::Changed(0)
    );
    assert_eq!(take(store, &first, &release("a")).await, Standing::Changed(0));
    assert_eq!(claimed(store, &next(&first), claim("a")).await, Standing::Busy);
    assert_eq!(
        take(store, &first, &settle(unknown, reply("1"), LONG)).await,
        Standing::Changed(0)
    );
    assert_eq!(take(store, &first, &release(unknown)).await, Standing::Changed(0));
    // Whoever is late and was not missed has.
    let third = next(&first);
    let short = Claim {
        lease: NONE,
        ..claim("b")
    };
    claimed(store, &third, short).await;
    assert_eq!(
        take(store, &third, &settle("b", reply("3"), LONG)).await,
        Standing::Changed(1)
    );
}

pub async fn a_call_is_another_one_after_its_time(store: &dyn CaptionStore) {
    let first = build::context();
    claimed(store, &first, claim("a")).await;
    take(store, &first, &settle("a", reply("1"), NONE)).await;
    let short = Claim {
        keep_for: NONE,
        ..claim("b")
    };
    claimed(store, &first, short.clone()).await;
    take(store, &first, &release("b")).await;
    claimed(
        store,
        &first,
        Claim {
            call: call("c"),
            ..short
        },
    )
    .await;
    let second = next(&first);
    let other = |name| Claim {
        payload: payload("[]"),
        ..claim(name)
    };

    assert_eq!(claimed(store, &second, other("a")).await, held(&second));
    assert_eq!(claimed(store, &second, other("b")).await, held(&second));
    // Somebody works on it still.
    assert_eq!(claimed(store, &second, claim("c")).await, Standing::Busy);

    assert_eq!(claimed(store, &next(&first), other("a")).await, Standing::Busy);
    take(store, &second, &settle("a", reply("2"), LONG)).await;
    assert_eq!(claimed(store, &first, other("a")).await, Standing::Answered(reply("2")));
}

pub async fn sweeping_removes_so_many_and_spares_what_is_used(store: &dyn CaptionStore) {
    let cx = build::context();
    let sweep = Step::Sweep { limit: 2 };
    while take(store, &cx, &sweep).await != Standing::Changed(0) {}
    for name in ["1", "2", "3"] {
        claimed(store, &cx, claim(name)).await;
        take(store, &cx, &settle(name, reply(name), NONE)).await;
    }
    claimed(store, &cx, claim("kept")).await;
    take(store, &cx, &settle("kept", reply("kept"), LONG)).await;
    claimed(store, &cx, claim("open")).await;
    take(store, &cx, &release("open")).await;
    let worked_on = Claim {
        keep_for: NONE,
        ..claim("worked on")
    };
    claimed(store, &cx, worked_on).await;
    let others = build::context();

    for removed in [2, 1, 0] {
        assert_eq!(take(store, &others, &sweep).await, Standing::Changed(removed));
    }

    let second = next(&cx);
    assert_eq!(
        claimed(store, &second, claim("kept")).await,
        Standing::Answered(reply("kept"))
    );
    assert_eq!(claimed(store, &second, claim("open")).await, held(&cx));
    assert_eq!(claimed(store, &second, claim("worked on")).await, Standing::Busy);
    assert_eq!(claimed(store, &second, claim("1")).await, held(&second));
}

pub async fn calls_of_tenants_never_meet(store: &dyn CaptionStore) {
    let (ours, theirs) = (build::context(), build::context());
    claimed(store, &ours, claim("a")).await;
    take(store, &ours, &settle("a", reply("ours"), LONG)).await;

    assert_eq!(claimed(store, &theirs, claim("a")).await, held(&theirs));

    // Not even with the id of the other's claimant.
    let posing = Context {
        fresh_id: ours.fresh_id,
        ..theirs.clone()
    };
    assert_eq!(
        take(store, &posing, &settle("a", reply("posing"), LONG)).await,
        Standing::Changed(0)
    );
    assert_eq!(
        take(store, &theirs, &settle("a", reply("theirs"), LONG)).await,
        Standing::Changed(1)
    );
    assert_eq!(
        claimed(store, &next(&ours), claim("a")).await,
        Standing::Answered(reply("ours"))
    );
}

pub async fn what_is_kept_of_a_user_goes_with_the_user(store: &dyn CaptionStore) {
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let hers = build::record_full(&ann);
    store.append(&cx, &hers).await.unwrap();
    let of = |name, user: Option<&str>, caption| Claim {
        user: user.map(build::user_id),
        caption,
        ..claim(name)
    };
    let claims = [
        of("named", Some("ann"), None),
        of("about a caption", None, Some(hers.id)),
        of("of another", Some("bob"), Some(CaptionId(Uuid::now_v7()))),
        of("of nobody", None, None),
    ];
    for claim in &claims {
        let Claim { call, .. } = claim;
        claimed(store, &cx, claim.clone()).await;
        let (call, reply, keep_for) = (*call, reply("text"), LONG);
        take(store, &cx, &Step::Settle { call, reply, keep_for }).await;
    }
    let others = build::context();
    claimed(store, &others, of("named", Some("ann"), None)).await;
    take(store, &others, &settle("named", reply("text"), LONG)).await;

    store.erase(&cx, &Extent::OfUser(ann.clone())).await.unwrap();

    let second = next(&cx);
    assert_eq!(claimed(store, &second, claim("named")).await, held(&second));
    assert_eq!(claimed(store, &second, claim("about a caption")).await, held(&second));
    let kept = Standing::Answered(reply("text"));
    assert_eq!(claimed(store, &second, claim("of another")).await, kept);
    assert_eq!(claimed(store, &second, claim("of nobody")).await, kept);
    assert_eq!(claimed(store, &next(&others), claim("named")).await, kept);
    store.erase(&cx, &Extent::OfUser(bob.clone())).await.unwrap();
    assert_eq!(claimed(store, &second, claim("of another")).await, held(&second));
}

pub async fn what_is_kept_of_a_caption_goes_with_the_caption(store: &dyn CaptionStore) {
    let (ours, theirs) = (build::context(), build::context());
    let (gone, kept) = (build::record_bare(), build::record_bare());
    for (cx, name, record) in [(&ours, "gone", &gone), (&ours, "kept", &kept), (&theirs, "gone", &gone)] {
        store.append(cx, record).await.unwrap();
        let about = Claim {
            caption: Some(record.id),
            ..claim(name)
        };
        claimed(store, cx, about).await;
        take(store, cx, &settle(name, reply("text"), LONG)).await;
    }

    store.erase(&ours, &Extent::One(gone.id)).await.unwrap();

    let second = next(&ours);
    let answered = Standing::Answered(reply("text"));
    assert_eq!(claimed(store, &second, claim("gone")).await, held(&second));
    assert_eq!(claimed(store, &second, claim("kept")).await, answered);
    assert_eq!(claimed(store, &next(&theirs), claim("gone")).await, answered);
}

pub async fn a_step_cut_off_midway_leaves_the_store_usable(store: &dyn CaptionStore) {
    let cx = build::context();
    for (turn, polls) in (1..=4).cycle().take(24).enumerate() {
        let (name, cx) = (format!("cut {turn}"), next(&cx));
        cut_after(polls, store.once(&cx, &Step::Claim(claim(&name)))).await;
        cut_after(polls, store.once(&cx, &settle(&name, reply(""), LONG))).await;
        cut_after(polls, store.once(&cx, &release(&name))).await;
        cut_after(polls, store.once(&cx, &Step::Sweep { limit: 1 })).await;

        let whole = format!("whole {turn}");
        assert_eq!(claimed(store, &cx, claim(&whole)).await, held(&cx));
        assert_eq!(
            take(store, &cx, &settle(&whole, reply("1"), LONG)).await,
            Standing::Changed(1)
        );
        assert_eq!(
            claimed(store, &next(&cx), claim(&whole)).await,
            Standing::Answered(reply("1"))
        );
    }
}

/// Walks of four claimants of two tenants over two calls with two payloads, long and short times: each step comes out as it
/// does in memory. A move is any four bytes.
pub async fn every_walk_is_as_in_memory(store: &dyn CaptionStore, moves: &[[u8; 4]]) {
    let (one, other) = (build::context(), build::context());
    let claimants = [next(&one), next(&one), next(&one), next(&other)];
    let memory = Records::default();
    let sweep = Step::Sweep { limit: 1000 };
    take(store, &one, &sweep).await;
    for (place, [who, kind, what, times]) in moves.iter().enumerate() {
        let cx = &claimants[usize::from(*who) % claimants.len()];
        let time = |bit: u8| if times & bit == 0 { LONG } else { NONE };
        let name = ["a", "b"][usize::from(what & 1)];
        let step = match kind % 8 {
            0..=3 => Step::Claim(Claim {
                payload: payload(["{}", "[]"][usize::from(what >> 1 & 1)]),
                lease: time(1),
                keep_for: time(2),
                ..claim(name)
            }),
            4 | 5 => settle(name, reply(&place.to_string()), time(1)),
            6 => release(name),
            _ => sweep.clone(),
        };

        let (real, expected) = (take(store, cx, &step).await, memory.take(cx, &step));

        assert_eq!(real, expected, "move {place} of {moves:?}: {step:?}");
    }
}
