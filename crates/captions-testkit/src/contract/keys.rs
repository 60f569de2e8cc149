//! What every [`KeyStore`] must do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite fails by panicking, as every test does"
)]

use std::sync::Arc;

use captions_domain::{
    budget::{Budget, Period},
    context::Context,
    fault::StoreError,
    keys::{BudgetChange, By, Change, Key, KeyId, KeyLimits},
    money::Money,
    ports::KeyStore,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::cut::cut_after;
use crate::build;

/// Everything below, one after the other.
pub async fn suite(store: Arc<dyn KeyStore>) {
    an_unknown_key_is_none(&*store).await;
    every_field_comes_back_as_written(&*store).await;
    adding_again_changes_nothing(&*store).await;
    a_digest_belongs_to_one_key(&*store).await;
    the_list_is_newest_first_and_goes_on_where_it_ended(&*store).await;
    a_revoked_key_stays_revoked(&*store).await;
    a_rotation_ends_the_old_key_and_begins_the_new(&*store).await;
    a_rotation_never_lengthens_a_life(&*store).await;
    only_an_active_key_is_rotated(&*store).await;
    of_concurrent_rotations_each_is_whole(Arc::clone(&store)).await;
    of_a_family_the_newest_active_key_is_found_else_the_newest(&*store).await;
    a_budget_is_changed_for_the_whole_family_and_nobody_else(&*store).await;
    a_budget_is_changed_bit_by_bit(&*store).await;
    a_successor_has_the_budget_of_its_time(&*store).await;
    of_rotations_under_way_no_successor_misses_a_budget(Arc::clone(&store)).await;
    the_last_use_never_goes_back(&*store).await;
    tenants_never_see_each_other(&*store).await;
    a_call_cut_off_midway_leaves_the_store_usable(&*store).await;
}

async fn added(store: &dyn KeyStore, cx: &Context) -> Key {
    let key = build::key_bare(&cx.tenant, &build::secret());
    store.add(cx, &key).await.unwrap();
    key
}

async fn by_id(store: &dyn KeyStore, cx: &Context, id: KeyId) -> Option<Key> {
    store.find(cx, By::Id(id)).await.unwrap()
}

pub async fn an_unknown_key_is_none(store: &dyn KeyStore) {
    let cx = build::context();
    let id = KeyId(Uuid::now_v7());
    let now = OffsetDateTime::UNIX_EPOCH;

    assert_eq!(
        store.find(&cx, By::Digest(build::secret().digest())).await.unwrap(),
        None
    );
    assert_eq!(by_id(store, &cx, id).await, None);
    assert_eq!(store.list(&cx, None, 10).await.unwrap(), []);
    assert_eq!(store.change(&cx, id, &Change::Revoke { at: now }).await.unwrap(), None);
    let successor = build::key_bare(&cx.tenant, &build::secret());
    assert!(
        store
            .change(
                &cx,
                id,
                &Change::Rotate {
                    successor: Box::new(successor.clone()),
                    until: now
                }
            )
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(by_id(store, &cx, successor.id).await, None);
    store.used(&cx, &[(id, now)]).await.unwrap();
    store.used(&cx, &[]).await.unwrap();
}

pub async fn every_field_comes_back_as_written(store: &dyn KeyStore) {
    let cx = build::context();
    for make in [build::key_bare, build::key_full] {
        let key = make(&cx.tenant, &build::secret());
        store.add(&cx, &key).await.unwrap();

        // Whoever looks by digest does not know the tenant yet.
        let found = store.find(&build::context(), By::Digest(key.digest)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&key));
        assert_eq!(by_id(store, &cx, key.id).await, Some(key.clone()));
        assert_eq!(store.list(&cx, None, 1).await.unwrap(), [key]);
    }
}

pub async fn adding_again_changes_nothing(store: &dyn KeyStore) {
    let cx = build::context();
    let key = added(store, &cx).await;
    store
        .change(&cx, key.id, &Change::Revoke { at: key.created_at })
        .await
        .unwrap();

    store.add(&cx, &key).await.unwrap();

    assert_eq!(
        by_id(store, &cx, key.id).await.unwrap().revoked_at,
        Some(key.created_at)
    );
}

pub async fn a_digest_belongs_to_one_key(store: &dyn KeyStore) {
    let cx = build::context();
    let secret = build::secret();
    let key = build::key_bare(&cx.tenant, &secret);
    store.add(&cx, &key).await.unwrap();

    let second = store.add(&cx, &build::key_bare(&cx.tenant, &secret)).await;

    assert!(matches!(second, Err(StoreError::Conflict)), "{second:?}");
    assert_eq!(store.list(&cx, None, 10).await.unwrap(), [key]);
}

pub async fn the_list_is_newest_first_and_goes_on_where_it_ended(store: &dyn KeyStore) {
    let cx = build::context();
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(added(store, &cx).await);
    }
    keys.reverse();

    let first = store.list(&cx, None, 2).await.unwrap();
    let rest = store.list(&cx, Some(first[1].id), 10).await.unwrap();

    assert_eq!([first, rest].concat(), keys);
}

pub async fn a_revoked_key_stays_revoked(store: &dyn KeyStore) {
    let cx = build::context();
    let key = added(store, &cx).await;
    let first = key.created_at + Duration::HOUR;

    let revoked = store
        .change(&cx, key.id, &Change::Revoke { at: first })
        .await
        .unwrap()
        .unwrap();
    let again = store
        .change(
            &cx,
            key.id,
            &Change::Revoke {
                at: first + Duration::HOUR,
            },
        )
        .await
        .unwrap()
        .unwrap();

    assert_eq!(revoked.revoked_at, Some(first));
    assert_eq!(again, revoked);
    assert_eq!(by_id(store, &cx, key.id).await, Some(revoked));
}

pub async fn a_rotation_ends_the_old_key_and_begins_the_new(store: &dyn KeyStore) {
    let cx = build::context();
    let old = added(store, &cx).await;
    let now = old.created_at + Duration::HOUR;
    let successor = old.successor(KeyId(Uuid::now_v7()), &build::secret(), now);
    let until = now + Duration::DAY;

    assert!(
        store
            .change(
                &cx,
                old.id,
                &Change::Rotate {
                    successor: Box::new(successor.clone()),
                    until
                }
            )
            .await
            .unwrap()
            .is_some()
    );

    assert_eq!(by_id(store, &cx, successor.id).await, Some(successor));
    let expected = Key {
        expires_at: Some(until),
        ..old
    };
    assert_eq!(by_id(store, &cx, expected.id).await, Some(expected));
}

pub async fn a_rotation_never_lengthens_a_life(store: &dyn KeyStore) {
    let cx = build::context();
    let mut old = build::key_bare(&cx.tenant, &build::secret());
    let now = old.created_at + Duration::HOUR;
    let end = now + Duration::MINUTE;
    old.expires_at = Some(end);
    store.add(&cx, &old).await.unwrap();
    let successor = old.successor(KeyId(Uuid::now_v7()), &build::secret(), now);

    assert!(
        store
            .change(
                &cx,
                old.id,
                &Change::Rotate {
                    successor: Box::new(successor.clone()),
                    until: now + Duration::DAY
                }
            )
            .await
            .unwrap()
            .is_some()
    );

    assert_eq!(by_id(store, &cx, old.id).await.unwrap().expires_at, Some(end));
}

pub async fn only_an_active_key_is_rotated(store: &dyn KeyStore) {
    let cx = build::context();
    let mut expired = build::key_bare(&cx.tenant, &build::secret());
    let now = expired.created_at + Duration::HOUR;
    expired.expires_at = Some(now);
    store.add(&cx, &expired).await.unwrap();
    let revoked = added(store, &cx).await;
    store
        .change(&cx, revoked.id, &Change::Revoke { at: now })
        .await
        .unwrap();

    for old in [expired, revoked] {
        let before = by_id(store, &cx, old.id).await;
        let successor = old.successor(KeyId(Uuid::now_v7()), &build::secret(), now);

        assert!(
            store
                .change(
                    &cx,
                    old.id,
                    &Change::Rotate {
                        successor: Box::new(successor.clone()),
                        until: now
                    }
                )
                .await
                .unwrap()
                .is_none()
        );

        assert_eq!(by_id(store, &cx, successor.id).await, None);
        assert_eq!(by_id(store, &cx, old.id).await, before);
    }
}

pub async fn of_concurrent_rotations_each_is_whole(store: Arc<dyn KeyStore>) {
    let cx = build::context();
    let old = added(&*store, &cx).await;
    let now = old.created_at + Duration::HOUR;
    let rotations: Vec<_> = (0..8)
        .map(|_| {
            let (store, cx, old) = (Arc::clone(&store), cx.clone(), old.clone());
            tokio::spawn(async move {
                let successor = old.successor(KeyId(Uuid::now_v7()), &build::secret(), now);
                store
                    .change(
                        &cx,
                        old.id,
                        &Change::Rotate {
                            successor: Box::new(successor.clone()),
                            until: now,
                        },
                    )
                    .await
                    .unwrap()
                    .is_some()
            })
        })
        .collect();
    let mut made = 0;
    for rotation in rotations {
        made += usize::from(rotation.await.unwrap());
    }

    // Without a time of grace the first one ends the old key for the others.
    assert_eq!(made, 1);
    assert_eq!(store.list(&cx, None, 20).await.unwrap().len(), 2);
}

pub async fn of_a_family_the_newest_active_key_is_found_else_the_newest(store: &dyn KeyStore) {
    let cx = build::context();
    let first = added(store, &cx).await;
    let now = first.created_at + Duration::HOUR;
    let at = |time: OffsetDateTime| Context {
        now: time,
        ..cx.clone()
    };
    let found = async |cx: Context| {
        let found = store.find(&cx, By::Family(first.family)).await.unwrap();
        found.map(|key| key.id)
    };
    assert_eq!(found(at(now)).await, Some(first.id));
    assert_eq!(found(build::context()).await, None, "of another tenant");
    let second = rotated(store, &cx, &first).await;
    let other = store.find(&cx, By::Family(second.id)).await.unwrap();
    assert_eq!(other, None, "a family has the id of its first key");

    assert_eq!(found(at(now)).await, Some(second.id));
    store.change(&cx, second.id, &Change::Revoke { at: now }).await.unwrap();
    assert_eq!(found(at(now)).await, Some(first.id), "in its grace");
    let ended = now + Duration::DAY;
    assert_eq!(
        found(at(ended)).await,
        Some(second.id),
        "the one has expired, the other was revoked"
    );
}

fn money(micros: u64) -> Money {
    Money::from_micros(micros)
}

async fn change_budget(
    store: &dyn KeyStore,
    cx: &Context,
    id: KeyId,
    limit: Option<u64>,
    per: Option<Period>,
) -> Option<Key> {
    let change = BudgetChange {
        limit: limit.map(money),
        per,
    };
    store.change(cx, id, &Change::Budget(change)).await.unwrap()
}

/// Puts a successor beside `old`, from what was read of it.
async fn rotated(store: &dyn KeyStore, cx: &Context, old: &Key) -> Key {
    let now = old.created_at + Duration::HOUR;
    let successor = old.successor(KeyId(Uuid::now_v7()), &build::secret(), now);
    let change = Change::Rotate {
        successor: Box::new(successor.clone()),
        until: now + Duration::DAY,
    };
    assert!(store.change(cx, old.id, &change).await.unwrap().is_some());
    successor
}

pub async fn a_budget_is_changed_for_the_whole_family_and_nobody_else(store: &dyn KeyStore) {
    let cx = build::context();
    let mut old = build::key_full(&cx.tenant, &build::secret());
    (old.revoked_at, old.family) = (None, old.id);
    store.add(&cx, &old).await.unwrap();
    let new = rotated(store, &cx, &old).await;
    let before = by_id(store, &cx, old.id).await.unwrap();
    let other = added(store, &cx).await;
    let strange = build::context();

    let changed = change_budget(store, &cx, old.id, Some(7_000_001), Some(Period::Month)).await;
    let elsewhere = change_budget(store, &strange, old.id, Some(1), None).await;

    let budget = Budget {
        limit: money(7_000_001),
        per: Period::Month,
    };
    let with_budget = |key: Key| Key {
        limits: KeyLimits {
            budget: Some(budget),
            ..key.limits
        },
        ..key
    };
    assert_eq!(changed, Some(with_budget(before)));
    assert_eq!(by_id(store, &cx, old.id).await, changed);
    assert_eq!(by_id(store, &cx, new.id).await, Some(with_budget(new)));
    assert_eq!(by_id(store, &cx, other.id).await, Some(other));
    assert_eq!(elsewhere, None);
}

pub async fn a_budget_is_changed_bit_by_bit(store: &dyn KeyStore) {
    let cx = build::context();
    let key = added(store, &cx).await;
    let budget = |limit, per| {
        Some(Budget {
            limit: money(limit),
            per,
        })
    };

    for (limit, per, expected) in [
        // A period of nothing.
        (None, Some(Period::Day), None),
        (Some(25_000_000), None, budget(25_000_000, Period::Month)),
        (None, Some(Period::Day), budget(25_000_000, Period::Day)),
        (Some(1), None, budget(1, Period::Day)),
        (None, None, budget(1, Period::Day)),
        (Some(0), None, None),
        (Some(0), None, None),
        (Some(2), Some(Period::Day), budget(2, Period::Day)),
    ] {
        let changed = change_budget(store, &cx, key.id, limit, per).await.unwrap();

        assert_eq!(changed.limits.budget, expected, "{limit:?} {per:?}");
        let change = BudgetChange {
            limit: limit.map(money),
            per,
        };
        assert_eq!(change.over(expected), expected, "what it gives stays as it is");
    }
}

pub async fn a_successor_has_the_budget_of_its_time(store: &dyn KeyStore) {
    let cx = build::context();
    let read_before = added(store, &cx).await;
    let changed = change_budget(store, &cx, read_before.id, Some(5), None).await.unwrap();

    let successor = rotated(store, &cx, &read_before).await;

    let kept = by_id(store, &cx, successor.id).await.unwrap();
    assert_eq!(kept.limits, changed.limits);
}

pub async fn of_rotations_under_way_no_successor_misses_a_budget(store: Arc<dyn KeyStore>) {
    for round in 1..=10 {
        let cx = build::context();
        let old = added(&*store, &cx).await;
        let rotations: Vec<_> = (0..4)
            .map(|_| {
                let (store, cx, old) = (Arc::clone(&store), cx.clone(), old.clone());
                tokio::spawn(async move { rotated(&*store, &cx, &old).await })
            })
            .collect();
        let change = change_budget(&*store, &cx, old.id, Some(round), None);
        let changed = change.await.unwrap();
        for rotation in rotations {
            rotation.await.unwrap();
        }

        let family = store.list(&cx, None, 20).await.unwrap();
        assert_eq!(family.len(), 5);
        for key in family {
            assert_eq!(key.limits, changed.limits, "round {round}");
        }
    }
}

pub async fn the_last_use_never_goes_back(store: &dyn KeyStore) {
    let cx = build::context();
    let (one, other) = (added(store, &cx).await, added(store, &build::context()).await);
    let late = one.created_at + Duration::HOUR;
    let early = one.created_at + Duration::MINUTE;

    store.used(&cx, &[(one.id, late), (other.id, early)]).await.unwrap();
    store.used(&cx, &[(one.id, early), (other.id, late)]).await.unwrap();

    for key in [one, other] {
        let found = store.find(&cx, By::Digest(key.digest)).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, Some(late));
    }
}

pub async fn tenants_never_see_each_other(store: &dyn KeyStore) {
    let (ours, theirs) = (build::context(), build::context());
    let key = added(store, &ours).await;
    let now = key.created_at + Duration::HOUR;
    let successor = build::key_bare(&theirs.tenant, &build::secret());

    assert_eq!(by_id(store, &theirs, key.id).await, None);
    assert_eq!(store.list(&theirs, None, 10).await.unwrap(), []);
    assert_eq!(
        store
            .change(&theirs, key.id, &Change::Revoke { at: now })
            .await
            .unwrap(),
        None
    );
    assert!(
        store
            .change(
                &theirs,
                key.id,
                &Change::Rotate {
                    successor: Box::new(successor.clone()),
                    until: now
                }
            )
            .await
            .unwrap()
            .is_none()
    );

    assert_eq!(by_id(store, &ours, key.id).await, Some(key));
}

/// Each call is dropped after one poll, after two, and so on. More calls than any pool of a test has connections.
pub async fn a_call_cut_off_midway_leaves_the_store_usable(store: &dyn KeyStore) {
    let cx = build::context();
    let key = added(store, &cx).await;
    let now = key.created_at + Duration::HOUR;
    for polls in (1..=4).cycle().take(40) {
        let successor = key.successor(KeyId(Uuid::now_v7()), &build::secret(), now);
        cut_after(polls, store.find(&cx, By::Digest(key.digest))).await;
        cut_after(polls, store.used(&cx, &[(key.id, now)])).await;
        cut_after(
            polls,
            store.change(
                &cx,
                key.id,
                &Change::Rotate {
                    successor: Box::new(successor.clone()),
                    until: now + Duration::DAY,
                },
            ),
        )
        .await;
        cut_after(polls, store.add(&cx, &build::key_bare(&cx.tenant, &build::secret()))).await;

        // Of a rotation that was cut off both is done or neither; it may be done between the two looks.
        let is_there = by_id(store, &cx, successor.id).await.is_some();
        let found = by_id(store, &cx, key.id).await.unwrap();
        assert!(!is_there || found.expires_at == Some(now + Duration::DAY));
    }

    let revoked = match store.change(&cx, key.id, &Change::Revoke { at: now }).await {
        Ok(revoked) => revoked,
        Err(fault) => panic!("after calls that were cut off: {fault:?}"),
    };
    assert_eq!(revoked.unwrap().revoked_at, Some(now));
}
