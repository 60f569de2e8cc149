//! What every [`CaptionStore`] must do.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

use std::sync::Arc;

use captions_domain::{
    caption::{CaptionId, Degraded, Record, Source, Verdict},
    context::Context,
    ports::CaptionStore,
    request::UserId,
};
use uuid::Uuid;

use super::cut::cut_after;
use crate::build;

/// Everything below, one after the other.
pub async fn suite(store: Arc<dyn CaptionStore>) {
    an_unknown_caption_is_none(&*store).await;
    every_field_comes_back_as_written(&*store).await;
    every_choice_comes_back_as_written(&*store).await;
    the_same_caption_twice_is_kept_once_as_first_written(&*store).await;
    the_same_caption_from_many_at_once_is_kept_once(Arc::clone(&store)).await;
    the_history_is_newest_first(&*store).await;
    the_history_pages_without_gaps(&*store).await;
    the_history_holds_only_the_user(&*store).await;
    feedback_is_set_and_replaced(&*store).await;
    feedback_of_an_unknown_caption_is_refused(&*store).await;
    erasing_a_user_counts_and_spares_the_others(&*store).await;
    tenants_never_see_each_other(&*store).await;
    a_call_cut_off_midway_leaves_the_store_usable(&*store).await;
    super::once::suite(store).await;
}

pub async fn an_unknown_caption_is_none(store: &dyn CaptionStore) {
    let cx = build::context();

    assert_eq!(store.read(&cx, CaptionId(Uuid::now_v7())).await.unwrap(), None);
    assert_eq!(history(store, &cx, &build::user_id("nobody")).await, []);
    assert_eq!(store.erase(&cx, &build::user_id("nobody")).await.unwrap(), 0);
}

pub async fn every_field_comes_back_as_written(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    for record in [build::record_full(&ann), build::record(&ann)] {
        store.append(&cx, &record).await.unwrap();

        assert_eq!(store.read(&cx, record.id).await.unwrap().as_ref(), Some(&record));
        assert_eq!(store.history(&cx, &ann, None, 1).await.unwrap(), [record]);
    }
    let nobodys = build::record_bare();

    store.append(&cx, &nobodys).await.unwrap();

    assert_eq!(store.read(&cx, nobodys.id).await.unwrap(), Some(nobodys));
}

pub async fn every_choice_comes_back_as_written(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    for source in [
        Source::Provider,
        Source::Cache,
        Source::Stale,
        Source::Local,
        Source::Template,
    ] {
        let record = Record {
            source,
            attempts: u32::MAX,
            degraded: vec![
                Degraded::FallbackProvider,
                Degraded::StaleAnswer,
                Degraded::LocalFallback,
                Degraded::TemplateFallback,
                Degraded::PreferencesStale,
                Degraded::PreferencesDefault,
                Degraded::HistoryDelayed,
                Degraded::CacheUnavailable,
                Degraded::LimitsLocal,
                Degraded::PartialAnalysis,
            ],
            ..build::record(&ann)
        };
        store.append(&cx, &record).await.unwrap();

        assert_eq!(store.read(&cx, record.id).await.unwrap(), Some(record));
    }
}

pub async fn the_same_caption_twice_is_kept_once_as_first_written(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let first = build::record_full(&ann);
    let again = Record {
        id: first.id,
        ..build::record(&ann)
    };
    store.append(&cx, &first).await.unwrap();

    store.append(&cx, &first).await.unwrap();
    store.append(&cx, &again).await.unwrap();

    assert_eq!(history(store, &cx, &ann).await, [first]);
}

pub async fn the_same_caption_from_many_at_once_is_kept_once(store: Arc<dyn CaptionStore>) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let record = build::record_full(&ann);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, cx, record) = (Arc::clone(&store), cx.clone(), record.clone());
            tokio::spawn(async move { store.append(&cx, &record).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }

    assert_eq!(history(&*store, &cx, &ann).await, [record]);
}

pub async fn the_history_is_newest_first(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let records: Vec<_> = (0..5).map(|_| build::record(&ann)).collect();
    // Written in another order than made: what counts is the id.
    for at in [2, 0, 4, 1, 3] {
        store.append(&cx, &records[at]).await.unwrap();
    }

    let read = ids(&history(store, &cx, &ann).await);

    assert_eq!(read, records.iter().rev().map(|record| record.id).collect::<Vec<_>>());
}

pub async fn the_history_pages_without_gaps(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let mut newest_first = Vec::new();
    for _ in 0..7 {
        let record = build::record(&ann);
        store.append(&cx, &record).await.unwrap();
        newest_first.insert(0, record.id);
    }

    let mut paged = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = store.history(&cx, &ann, paged.last().copied(), 3).await.unwrap();
        sizes.push(page.len());
        if page.is_empty() {
            break;
        }
        paged.extend(ids(&page));
    }

    assert_eq!(paged, newest_first);
    assert_eq!(sizes, [3, 3, 1, 0]);
    assert_eq!(store.history(&cx, &ann, None, 0).await.unwrap(), []);
    assert_eq!(store.history(&cx, &ann, None, u32::MAX).await.unwrap().len(), 7);
}

pub async fn the_history_holds_only_the_user(store: &dyn CaptionStore) {
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let (hers, his) = (build::record(&ann), build::record(&bob));
    for record in [
        &hers,
        &his,
        &build::record_bare(),
        &build::record(&build::user_id("Ann")),
    ] {
        store.append(&cx, record).await.unwrap();
    }

    assert_eq!(history(store, &cx, &ann).await, [hers]);
    assert_eq!(history(store, &cx, &bob).await, [his]);
}

pub async fn feedback_is_set_and_replaced(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let record = build::record(&ann);
    store.append(&cx, &record).await.unwrap();

    let mut used = build::feedback_bare();
    used.verdict = Verdict::Used;
    for feedback in [build::feedback_full(), build::feedback_bare(), used] {
        assert!(store.feedback(&cx, record.id, &feedback).await.unwrap());

        let read = store.read(&cx, record.id).await.unwrap();
        let expected = Record {
            feedback: Some(feedback),
            ..record.clone()
        };
        assert_eq!(read, Some(expected));
    }
}

pub async fn feedback_of_an_unknown_caption_is_refused(store: &dyn CaptionStore) {
    let cx = build::context();
    let unknown = CaptionId(Uuid::now_v7());

    assert!(!store.feedback(&cx, unknown, &build::feedback_full()).await.unwrap());
    assert_eq!(store.read(&cx, unknown).await.unwrap(), None);
}

pub async fn erasing_a_user_counts_and_spares_the_others(store: &dyn CaptionStore) {
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let (hers, his, nobodys) = (build::record_full(&ann), build::record(&bob), build::record_bare());
    for record in [&hers, &build::record(&ann), &build::record(&ann), &his, &nobodys] {
        store.append(&cx, record).await.unwrap();
    }

    assert_eq!(store.erase(&cx, &ann).await.unwrap(), 3);

    assert_eq!(store.erase(&cx, &ann).await.unwrap(), 0);
    assert_eq!(history(store, &cx, &ann).await, []);
    assert_eq!(store.read(&cx, hers.id).await.unwrap(), None);
    assert!(!store.feedback(&cx, hers.id, &build::feedback_bare()).await.unwrap());
    assert_eq!(history(store, &cx, &bob).await, [his]);
    assert_eq!(store.read(&cx, nobodys.id).await.unwrap(), Some(nobodys));
}

pub async fn tenants_never_see_each_other(store: &dyn CaptionStore) {
    let (ours, theirs) = (build::context(), build::context());
    let ann = build::user_id("ann");
    let record = build::record_full(&ann);
    store.append(&ours, &record).await.unwrap();

    assert_eq!(store.read(&theirs, record.id).await.unwrap(), None);
    assert_eq!(history(store, &theirs, &ann).await, []);
    assert!(
        !store
            .feedback(&theirs, record.id, &build::feedback_bare())
            .await
            .unwrap()
    );
    assert_eq!(store.erase(&theirs, &ann).await.unwrap(), 0);
    // Even the same id is another caption.
    let twin = Record {
        id: record.id,
        ..build::record(&ann)
    };
    store.append(&theirs, &twin).await.unwrap();
    assert_eq!(store.read(&theirs, record.id).await.unwrap(), Some(twin));
    assert_eq!(store.erase(&theirs, &ann).await.unwrap(), 1);

    assert_eq!(history(store, &ours, &ann).await, [record]);
}

/// Each call is dropped after one poll, after two, and so on. More calls than any pool of a test has connections.
pub async fn a_call_cut_off_midway_leaves_the_store_usable(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    for polls in (1..=4).cycle().take(40) {
        let record = build::record_full(&ann);
        cut_after(polls, store.append(&cx, &record)).await;
        cut_after(polls, store.read(&cx, record.id)).await;
        cut_after(polls, store.history(&cx, &ann, None, 10)).await;
        cut_after(polls, store.feedback(&cx, record.id, &build::feedback_full())).await;
        cut_after(polls, store.erase(&cx, &build::user_id("nobody"))).await;

        store.append(&cx, &record).await.unwrap();
        assert_eq!(store.read(&cx, record.id).await.unwrap(), Some(record));
    }

    assert_eq!(history(store, &cx, &ann).await.len(), 40);
}

async fn history(store: &dyn CaptionStore, cx: &Context, user: &UserId) -> Vec<Record> {
    store.history(cx, user, None, 100).await.unwrap()
}

fn ids(records: &[Record]) -> Vec<CaptionId> {
    records.iter().map(|record| record.id).collect()
}
