//! What every [`UserStore`] must do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite fails by panicking, as every test does"
)]

use std::sync::Arc;

use captions_domain::{
    choice::Tone,
    context::Context,
    fault::StoreError,
    ports::{Expect, UserStore},
    user::{Entry, Preferences, User},
};

use super::cut::cut_after;
use crate::build;

/// Everything below, one after the other.
pub async fn suite(store: Arc<dyn UserStore>) {
    an_unknown_user_is_none(&*store).await;
    every_field_comes_back_as_written(&*store).await;
    times_are_kept_to_the_microsecond(&*store).await;
    a_write_replaces_every_field(&*store).await;
    versions_count_the_writes_from_one(&*store).await;
    a_write_with_another_version_is_a_conflict(&*store).await;
    a_second_absent_write_is_a_conflict(&*store).await;
    of_concurrent_writers_exactly_one_wins(Arc::clone(&store)).await;
    of_concurrent_creators_exactly_one_wins(Arc::clone(&store)).await;
    an_erased_user_is_gone_and_may_come_again(&*store).await;
    ids_differ_by_case(&*store).await;
    a_list_is_in_order_and_pages_without_gaps(&*store).await;
    tenants_never_see_each_other(&*store).await;
    a_call_cut_off_midway_leaves_the_store_usable(&*store).await;
}

pub async fn a_list_is_in_order_and_pages_without_gaps(store: &dyn UserStore) {
    let (cx, theirs) = (build::context(), build::context());
    // In the order of bytes, whatever the language of the database.
    let ids = ["B", "_", "a", "a-1", "a1", "b"];
    for id in ["a1", "b", "_", "a", "B", "a-1"] {
        store.write(&cx, &build::user_full(id), Expect::Absent).await.unwrap();
    }
    store
        .write(&theirs, &build::user_full("c"), Expect::Absent)
        .await
        .unwrap();

    let whole = store.list(&cx, None, 100).await.unwrap();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&cx, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        paged.extend(page);
    }

    assert_eq!(paged, whole);
    assert_eq!(whole.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ids);
    let whom = build::user_id("b");
    let user = store.read(&cx, &whom).await.unwrap().unwrap();
    assert_eq!(whole.last(), Some(&Entry::from(&user)));
}

pub async fn an_unknown_user_is_none(store: &dyn UserStore) {
    let cx = build::context();
    let nobody = build::user_id("nobody");

    assert_eq!(store.read(&cx, &nobody).await.unwrap(), None);
    assert_eq!(store.preferences(&cx, &nobody).await.unwrap(), None);
    assert!(!store.erase(&cx, &nobody).await.unwrap());
}

pub async fn every_field_comes_back_as_written(store: &dyn UserStore) {
    let cx = build::context();
    for user in [build::user_full("full"), build::user_bare("bare")] {
        assert_eq!(store.write(&cx, &user, Expect::Absent).await.unwrap(), 1);

        assert_eq!(store.read(&cx, &user.id).await.unwrap().as_ref(), Some(&user));
        assert_eq!(store.preferences(&cx, &user.id).await.unwrap(), Some(user.preferences));
    }
}

/// A store may cut off what is below a microsecond, and nothing else.
pub async fn times_are_kept_to_the_microsecond(store: &dyn UserStore) {
    let cx = build::context();
    let mut user = build::user_full("times");
    user.created_at = time::macros::datetime!(1969-12-31 23:59:59.999_999_999 UTC);
    user.updated_at = time::macros::datetime!(9999-12-31 23:59:59.000_001_999 UTC);
    store.write(&cx, &user, Expect::Absent).await.unwrap();

    let read = store.read(&cx, &user.id).await.unwrap().unwrap();

    for (written, read) in [(user.created_at, read.created_at), (user.updated_at, read.updated_at)] {
        let lost = written - read;
        assert!(
            lost >= time::Duration::ZERO && lost < time::Duration::MICROSECOND,
            "{written} was read as {read}"
        );
    }
}

pub async fn a_write_replaces_every_field(store: &dyn UserStore) {
    let cx = build::context();
    let before = build::user_full("same");
    let after = User {
        version: 2,
        ..build::user_bare("same")
    };
    store.write(&cx, &before, Expect::Absent).await.unwrap();

    store.write(&cx, &after, Expect::Version(1)).await.unwrap();

    assert_eq!(store.read(&cx, &before.id).await.unwrap(), Some(after));
}

pub async fn versions_count_the_writes_from_one(store: &dyn UserStore) {
    let cx = build::context();
    // The version that the writer carries along is not looked at.
    let user = User {
        version: 99,
        ..build::user_full("counted")
    };

    assert_eq!(store.write(&cx, &user, Expect::Absent).await.unwrap(), 1);
    assert_eq!(store.write(&cx, &user, Expect::Version(1)).await.unwrap(), 2);
    assert_eq!(store.write(&cx, &user, Expect::Version(2)).await.unwrap(), 3);
    assert_eq!(store.read(&cx, &user.id).await.unwrap().unwrap().version, 3);
}

pub async fn a_write_with_another_version_is_a_conflict(store: &dyn UserStore) {
    let cx = build::context();
    let user = build::user_full("versioned");
    store.write(&cx, &user, Expect::Absent).await.unwrap();

    for version in [0, 2, u64::MAX] {
        assert_conflict(
            store
                .write(&cx, &build::user_bare("versioned"), Expect::Version(version))
                .await,
        );
    }
    assert_conflict(store.write(&cx, &build::user_bare("nobody"), Expect::Version(1)).await);

    assert_eq!(store.read(&cx, &user.id).await.unwrap(), Some(user));
    assert_eq!(store.read(&cx, &build::user_id("nobody")).await.unwrap(), None);
}

pub async fn a_second_absent_write_is_a_conflict(store: &dyn UserStore) {
    let cx = build::context();
    let first = build::user_full("taken");
    store.write(&cx, &first, Expect::Absent).await.unwrap();

    assert_conflict(store.write(&cx, &build::user_bare("taken"), Expect::Absent).await);

    assert_eq!(store.read(&cx, &first.id).await.unwrap(), Some(first));
}

pub async fn of_concurrent_writers_exactly_one_wins(store: Arc<dyn UserStore>) {
    let cx = build::context();
    store
        .write(&cx, &build::user_full("contested"), Expect::Absent)
        .await
        .unwrap();

    assert_eq!(winners(&store, &cx, Expect::Version(1)).await, 1);

    assert_eq!(
        store
            .read(&cx, &build::user_id("contested"))
            .await
            .unwrap()
            .unwrap()
            .version,
        2
    );
}

pub async fn of_concurrent_creators_exactly_one_wins(store: Arc<dyn UserStore>) {
    let cx = build::context();

    assert_eq!(winners(&store, &cx, Expect::Absent).await, 1);

    assert_eq!(
        store
            .read(&cx, &build::user_id("contested"))
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
}

/// Lets eight tasks write at once and counts those that succeeded; the others must have met a conflict.
async fn winners(store: &Arc<dyn UserStore>, cx: &Context, expect: Expect) -> usize {
    let writers: Vec<_> = Tone::ALL
        .iter()
        .take(8)
        .map(|tone| {
            let (store, cx) = (Arc::clone(store), cx.clone());
            let user = User {
                preferences: Preferences {
                    tone: Some(*tone),
                    ..Preferences::default()
                },
                ..build::user_bare("contested")
            };
            tokio::spawn(async move { store.write(&cx, &user, expect).await })
        })
        .collect();
    let mut winners = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => winners += 1,
            lost => assert_conflict(lost),
        }
    }
    winners
}

pub async fn an_erased_user_is_gone_and_may_come_again(store: &dyn UserStore) {
    let cx = build::context();
    let user = build::user_full("erased");
    store.write(&cx, &user, Expect::Absent).await.unwrap();

    assert!(store.erase(&cx, &user.id).await.unwrap());

    assert_eq!(store.read(&cx, &user.id).await.unwrap(), None);
    assert_eq!(store.preferences(&cx, &user.id).await.unwrap(), None);
    assert!(!store.erase(&cx, &user.id).await.unwrap());
    assert_conflict(store.write(&cx, &user, Expect::Version(1)).await);
    assert_eq!(store.write(&cx, &user, Expect::Absent).await.unwrap(), 1);
}

pub async fn ids_differ_by_case(store: &dyn UserStore) {
    let cx = build::context();
    store
        .write(&cx, &build::user_full("ann"), Expect::Absent)
        .await
        .unwrap();

    assert_eq!(store.read(&cx, &build::user_id("Ann")).await.unwrap(), None);
    assert_eq!(
        store
            .write(&cx, &build::user_bare("Ann"), Expect::Absent)
            .await
            .unwrap(),
        1
    );

    assert_eq!(
        store.read(&cx, &build::user_id("ann")).await.unwrap(),
        Some(build::user_full("ann"))
    );
}

pub async fn tenants_never_see_each_other(store: &dyn UserStore) {
    let (ours, theirs) = (build::context(), build::context());
    let user = build::user_full("shared-name");
    store.write(&ours, &user, Expect::Absent).await.unwrap();

    assert_eq!(store.read(&theirs, &user.id).await.unwrap(), None);
    assert_eq!(store.preferences(&theirs, &user.id).await.unwrap(), None);
    assert_conflict(
        store
            .write(&theirs, &build::user_bare("shared-name"), Expect::Version(1))
            .await,
    );
    assert!(!store.erase(&theirs, &user.id).await.unwrap());
    assert_eq!(
        store
            .write(&theirs, &build::user_bare("shared-name"), Expect::Absent)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store
            .write(&theirs, &build::user_bare("shared-name"), Expect::Version(1))
            .await
            .unwrap(),
        2
    );
    assert!(store.erase(&theirs, &user.id).await.unwrap());

    assert_eq!(store.read(&ours, &user.id).await.unwrap(), Some(user));
}

/// Each call is dropped after one poll, after two, and so on. More calls than any pool of a test has connections.
pub async fn a_call_cut_off_midway_leaves_the_store_usable(store: &dyn UserStore) {
    let cx = build::context();
    let user = build::user_full("cut");
    store.write(&cx, &user, Expect::Absent).await.unwrap();
    let mut version = 1;
    for polls in (1..=4).cycle().take(40) {
        cut_after(polls, store.read(&cx, &user.id)).await;
        cut_after(polls, store.preferences(&cx, &user.id)).await;
        cut_after(polls, store.erase(&cx, &build::user_id("nobody"))).await;
        cut_after(polls, store.write(&cx, &user, Expect::Version(version))).await;

        // The write is done or not; nothing lies between. One that is still on its way may win the race against ours.
        let now = store.read(&cx, &user.id).await.unwrap().unwrap().version;
        assert!(now == version || now == version + 1, "version {version} became {now}");
        version = match store.write(&cx, &user, Expect::Version(now)).await {
            Ok(next) => next,
            Err(StoreError::Conflict) => now + 1,
            Err(fault) => panic!("after a call that was cut off: {fault:?}"),
        };
    }

    assert_eq!(store.read(&cx, &user.id).await.unwrap(), Some(User { version, ..user }));
}

#[track_caller]
fn assert_conflict(result: Result<u64, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Conflict)),
        "a conflict was due, not {result:?}"
    );
}
