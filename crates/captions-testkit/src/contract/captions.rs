//! What every [`CaptionStore`] must do.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking, as every test does")]

use std::{sync::Arc, time::Duration};

use captions_domain::{
    caption::{CaptionId, Degraded, Feedback, Record, Source, Verdict},
    choice::Platform,
    context::Context,
    fault::StoreError,
    history::{Amendment, Extent, Filter},
    ports::CaptionStore,
    request::UserId,
};
use time::macros::datetime;
use uuid::{Builder, Uuid};

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
    the_history_is_narrowed_as_the_filter_says(&*store).await;
    what_is_narrowed_pages_without_gaps(&*store).await;
    feedback_is_set_and_replaced(&*store).await;
    a_picked_variant_is_kept_and_given_up(&*store).await;
    a_version_that_is_expected_is_kept_to(&*store).await;
    of_changes_at_once_one_meets_the_version_that_it_expects(Arc::clone(&store)).await;
    more_variants_stand_behind_those_there_are_once(&*store).await;
    of_variants_that_come_at_once_none_is_lost(Arc::clone(&store)).await;
    feedback_of_an_unknown_caption_is_refused(&*store).await;
    erasing_a_user_counts_and_spares_the_others(&*store).await;
    an_erased_caption_does_not_come_back(&*store).await;
    what_was_asked_for_before_its_user_was_erased_does_not_come_back(&*store).await;
    what_is_written_while_its_user_is_erased_does_not_come_back(Arc::clone(&store)).await;
    tenants_never_see_each_other(&*store).await;
    a_call_cut_off_midway_leaves_the_store_usable(&*store).await;
    super::once::suite(store).await;
}

pub async fn an_unknown_caption_is_none(store: &dyn CaptionStore) {
    let cx = build::context();

    assert_eq!(store.read(&cx, CaptionId(Uuid::now_v7())).await.unwrap(), None);
    assert_eq!(history(store, &cx, &build::user_id("nobody")).await, []);
    assert_eq!(store.erase(&cx, &of(&build::user_id("nobody"))).await.unwrap().all(), 0);
}

pub async fn every_field_comes_back_as_written(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    for record in [build::record_full(&ann), build::record(&ann)] {
        store.append(&cx, &record).await.unwrap();

        assert_eq!(store.read(&cx, record.id).await.unwrap().as_ref(), Some(&record));
        assert_eq!(
            store.history(&cx, &Filter::of_user(&ann), None, 1).await.unwrap(),
            [record]
        );
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
        let page = store
            .history(&cx, &Filter::of_user(&ann), paged.last().copied(), 3)
            .await
            .unwrap();
        sizes.push(page.len());
        if page.is_empty() {
            break;
        }
        paged.extend(ids(&page));
    }

    assert_eq!(paged, newest_first);
    assert_eq!(sizes, [3, 3, 1, 0]);
    assert_eq!(store.history(&cx, &Filter::of_user(&ann), None, 0).await.unwrap(), []);
    assert_eq!(
        store
            .history(&cx, &Filter::of_user(&ann), None, u32::MAX)
            .await
            .unwrap()
            .len(),
        7
    );
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

/// Captions that differ in all that is looked for, oldest first.
async fn many(store: &dyn CaptionStore, cx: &Context) -> Vec<Record> {
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let start = datetime!(2026-03-03 10:00:00.000_5 UTC);
    let mut records = Vec::new();
    for nth in 0..24_u32 {
        let created_at = start + time::Duration::minutes(i64::from(nth));
        let millis = u64::try_from(created_at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let mut record = match nth % 3 {
            0 => build::record(&ann),
            1 => build::record(&bob),
            _ => build::record_bare(),
        };
        record.id = CaptionId(Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid());
        record.caption.created_at = created_at;
        record.caption.language = ["pt", "pt-BR", "pta", "en"][nth as usize % 4].parse().unwrap();
        record.caption.provider = ["primary", "second"][nth as usize % 2].into();
        record.caption.platform = [Platform::Instagram, Platform::X][nth as usize / 12];
        let best = &mut record.caption.variants[0];
        best.quality.score = f64::from(nth) * 2.5;
        best.text = format!("Ärger mit 100%_Brot\nNr. {nth}");
        let mut other = best.clone();
        other.text = "Zweitens, «İstanbul»".into();
        other.quality.score = 100.0;
        record.caption.variants.push(other);
        store.append(cx, &record).await.unwrap();
        records.push(record);
    }
    records
}

/// Each condition alone, and some together.
fn filters() -> Vec<Filter> {
    let all = Filter::default();
    let time = datetime!(2026-03-03 10:07:00.000_5 UTC);
    let after = time + Duration::from_nanos(1);
    let text = |text: &str| Filter {
        text: Some(text.to_owned()),
        ..Filter::default()
    };
    let in_language = |language: &str| Filter {
        language: Some(language.parse().unwrap()),
        ..Filter::default()
    };
    vec![
        all.clone(),
        Filter::of_user(&build::user_id("bob")),
        Filter {
            since: Some(time),
            ..all.clone()
        },
        Filter {
            since: Some(after),
            ..all.clone()
        },
        Filter {
            until: Some(time),
            ..all.clone()
        },
        Filter {
            until: Some(after),
            ..all.clone()
        },
        in_language("pt"),
        in_language("pt-BR"),
        in_language("de"),
        Filter {
            provider: Some("second".into()),
            ..all.clone()
        },
        Filter {
            provider: Some("sec".into()),
            ..all.clone()
        },
        Filter {
            platform: Some(Platform::X),
            ..all.clone()
        },
        Filter {
            min_score: Some(50.0),
            ..all.clone()
        },
        Filter {
            min_score: Some(57.6),
            ..all
        },
        text("NR. 1"),
        text("ärger"),
        text("100%_B"),
        text("%"),
        text("zweitens"),
        text("«i̇stanbul"),
        text("SUNRISE"),
        text("Butter"),
        Filter {
            user: Some(build::user_id("ann")),
            since: Some(time),
            until: Some(time + Duration::from_secs(600)),
            language: Some("pt".parse().unwrap()),
            provider: Some("primary".into()),
            platform: Some(Platform::Instagram),
            min_score: Some(20.0),
            text: Some("brot".into()),
        },
    ]
}

pub async fn the_history_is_narrowed_as_the_filter_says(store: &dyn CaptionStore) {
    let cx = build::context();
    let records = many(store, &cx).await;
    for filter in filters() {
        let expected: Vec<CaptionId> = records
            .iter()
            .rev()
            .filter(|record| filter.admits(record))
            .map(|record| record.id)
            .collect();

        let found = store.history(&cx, &filter, None, 100).await.unwrap();

        assert_eq!(ids(&found), expected, "{filter:?}");
    }
}

pub async fn what_is_narrowed_pages_without_gaps(store: &dyn CaptionStore) {
    let cx = build::context();
    many(store, &cx).await;
    for filter in filters() {
        let whole = ids(&store.history(&cx, &filter, None, 100).await.unwrap());
        let mut paged: Vec<CaptionId> = Vec::new();
        loop {
            let page = store.history(&cx, &filter, paged.last().copied(), 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(ids(&page));
        }

        assert_eq!(paged, whole, "{filter:?}");
    }
}

pub async fn a_picked_variant_is_kept_and_given_up(store: &dyn CaptionStore) {
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    store.append(&cx, &record).await.unwrap();

    let mut versions = Vec::new();
    for selected in [Some(2), Some(2), Some(0), None] {
        let version = amend(store, &cx, record.id, &Amendment::Selection(selected)).await;
        let expected = Record {
            selected,
            version: version.unwrap(),
            ..record.clone()
        };
        assert_eq!(store.read(&cx, record.id).await.unwrap(), Some(expected));
        versions.extend(version);
    }

    assert_eq!(versions, [2, 2, 3, 4], "what changes nothing is no new version");
}

pub async fn a_version_that_is_expected_is_kept_to(store: &dyn CaptionStore) {
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    store.append(&cx, &record).await.unwrap();
    let picked = |place| Amendment::Selection(Some(place));

    let first = store.amend(&cx, record.id, &picked(1), Some(1)).await.unwrap();
    for expect in [1, 3, u64::MAX] {
        let refused = store.amend(&cx, record.id, &picked(2), Some(expect)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    let read = store.read(&cx, record.id).await.unwrap().unwrap();

    assert_eq!((first, read.selected, read.version), (Some(2), Some(1), 2));
}

pub async fn of_changes_at_once_one_meets_the_version_that_it_expects(store: Arc<dyn CaptionStore>) {
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    store.append(&cx, &record).await.unwrap();

    let writers: Vec<_> = (0..8)
        .map(|place| {
            let (store, cx, id) = (Arc::clone(&store), cx.clone(), record.id);
            tokio::spawn(async move { store.amend(&cx, id, &Amendment::Selection(Some(place)), Some(1)).await })
        })
        .collect();
    let mut met = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(version) => {
                assert_eq!(version, Some(2));
                met += 1;
            }
            Err(error) => assert!(matches!(error, StoreError::Conflict), "{error:?}"),
        }
    }

    assert_eq!(met, 1);
}

pub async fn more_variants_stand_behind_those_there_are_once(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let whole = build::record_full(&ann);
    // One from before additions were told, too.
    for record in [build::record(&ann), whole] {
        store.append(&cx, &record).await.unwrap();
        let mut more = build::more();
        more.addition.id = Uuid::now_v7();
        more.variants[0].text = format!("Ein ÜBERRASCHENDER Morgen, \"sagt\" sie [1], und {}", record.id);
        let amendment = Amendment::More(Box::new(more.clone()));

        let refused = store.amend(&cx, record.id, &amendment, Some(record.version + 1)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        let first = store.amend(&cx, record.id, &amendment, Some(record.version)).await;
        let again = store
            .amend(&cx, record.id, &amendment, Some(record.version))
            .await
            .unwrap();

        assert_eq!(first.unwrap(), Some(record.version + 1));
        assert_eq!(
            again,
            Some(record.version + 1),
            "what is there already is no new version"
        );
        let mut expected = record.clone();
        assert!(expected.caption.add(&more));
        expected.version += 1;
        assert_eq!(store.read(&cx, record.id).await.unwrap(), Some(expected.clone()));
        let search = Filter {
            text: Some(format!("überraschender morgen, \"sagt\" sie [1], und {}", record.id)),
            ..Filter::default()
        };
        assert_eq!(store.history(&cx, &search, None, 1).await.unwrap(), [expected]);
        let pick = Amendment::Selection(Some(u8::try_from(record.caption.variants.len()).unwrap()));
        assert_eq!(amend(store, &cx, record.id, &pick).await, Some(record.version + 2));
    }
    let nobodys = Amendment::More(Box::new(build::more()));
    assert_eq!(amend(store, &cx, CaptionId(Uuid::now_v7()), &nobodys).await, None);
}

pub async fn of_variants_that_come_at_once_none_is_lost(store: Arc<dyn CaptionStore>) {
    let cx = build::context();
    let record = build::record(&build::user_id("ann"));
    store.append(&cx, &record).await.unwrap();

    let writers: Vec<_> = (0..8)
        .map(|number| {
            let (store, cx, id) = (Arc::clone(&store), cx.clone(), record.id);
            let mut more = build::more();
            more.addition.id = Uuid::now_v7();
            more.variants[0].caption = format!("number {number}");
            tokio::spawn(async move { store.amend(&cx, id, &Amendment::More(Box::new(more)), None).await })
        })
        .collect();
    for writer in writers {
        assert!(writer.await.unwrap().unwrap().is_some());
    }

    let read = store.read(&cx, record.id).await.unwrap().unwrap();
    let mut texts: Vec<_> = read
        .caption
        .variants
        .iter()
        .map(|variant| variant.caption.clone())
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!((texts.len(), read.caption.additions.len(), read.version), (9, 8, 9));
}

pub async fn an_erased_caption_does_not_come_back(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let (kept, gone) = (build::record(&ann), build::record_full(&ann));
    for record in [&kept, &gone] {
        store.append(&cx, record).await.unwrap();
    }

    assert_eq!(store.erase(&cx, &Extent::One(gone.id)).await.unwrap().all(), 1);
    assert_eq!(store.erase(&cx, &Extent::One(gone.id)).await.unwrap().all(), 0);
    store.append(&cx, &gone).await.unwrap();

    assert_eq!(store.read(&cx, gone.id).await.unwrap(), None);
    assert_eq!(history(store, &cx, &ann).await, [kept]);
}

pub async fn what_was_asked_for_before_its_user_was_erased_does_not_come_back(store: &dyn CaptionStore) {
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let late = |user: &UserId, before: bool| {
        let mut record = build::record(user);
        let second = Duration::from_secs(1);
        record.caption.created_at = if before { cx.now - second } else { cx.now + second };
        record
    };

    assert_eq!(store.erase(&cx, &of(&ann)).await.unwrap().all(), 0);
    let (on_its_way, new, his) = (late(&ann, true), late(&ann, false), late(&bob, true));
    for record in [&on_its_way, &new, &his] {
        store.append(&cx, record).await.unwrap();
    }

    assert_eq!(history(store, &cx, &ann).await, [new]);
    assert_eq!(history(store, &cx, &bob).await, [his]);
}

/// Whatever the two do to each other: nothing that was asked for before is there after the erasure.
pub async fn what_is_written_while_its_user_is_erased_does_not_come_back(store: Arc<dyn CaptionStore>) {
    for _ in 0..10 {
        let cx = build::context();
        let ann = build::user_id("ann");
        let writers: Vec<_> = (0..6)
            .map(|_| {
                let (store, cx, mut record) = (Arc::clone(&store), cx.clone(), build::record(&ann));
                record.caption.created_at = cx.now - Duration::from_secs(1);
                tokio::spawn(async move { store.append(&cx, &record).await })
            })
            .collect();
        store.erase(&cx, &of(&ann)).await.unwrap();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }

        assert_eq!(history(&*store, &cx, &ann).await, []);
    }
}

pub async fn feedback_is_set_and_replaced(store: &dyn CaptionStore) {
    let cx = build::context();
    let ann = build::user_id("ann");
    let record = build::record(&ann);
    store.append(&cx, &record).await.unwrap();

    let mut used = build::feedback_bare();
    used.verdict = Verdict::Used;
    for feedback in [build::feedback_full(), build::feedback_bare(), used] {
        let version = amend(store, &cx, record.id, &told(&feedback)).await;

        let read = store.read(&cx, record.id).await.unwrap();
        let expected = Record {
            feedback: Some(feedback),
            version: version.unwrap(),
            ..record.clone()
        };
        assert_eq!(read, Some(expected));
    }
}

pub async fn feedback_of_an_unknown_caption_is_refused(store: &dyn CaptionStore) {
    let cx = build::context();
    let unknown = CaptionId(Uuid::now_v7());

    for expect in [None, Some(1)] {
        let amended = store.amend(&cx, unknown, &told(&build::feedback_full()), expect).await;
        assert_eq!(amended.unwrap(), None);
    }
    assert_eq!(store.read(&cx, unknown).await.unwrap(), None);
}

pub async fn erasing_a_user_counts_and_spares_the_others(store: &dyn CaptionStore) {
    let cx = build::context();
    let (ann, bob) = (build::user_id("ann"), build::user_id("bob"));
    let (hers, his, nobodys) = (build::record_full(&ann), build::record(&bob), build::record_bare());
    for record in [&hers, &build::record(&ann), &build::record(&ann), &his, &nobodys] {
        store.append(&cx, record).await.unwrap();
    }

    assert_eq!(store.erase(&cx, &of(&ann)).await.unwrap().all(), 3);

    assert_eq!(store.erase(&cx, &of(&ann)).await.unwrap().all(), 0);
    assert_eq!(history(store, &cx, &ann).await, []);
    assert_eq!(store.read(&cx, hers.id).await.unwrap(), None);
    assert_eq!(amend(store, &cx, hers.id, &told(&build::feedback_bare())).await, None);
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
    assert_eq!(
        amend(store, &theirs, record.id, &told(&build::feedback_bare())).await,
        None
    );
    assert_eq!(store.history(&theirs, &Filter::default(), None, 9).await.unwrap(), []);
    assert_eq!(store.erase(&theirs, &Extent::One(record.id)).await.unwrap().all(), 0);
    assert_eq!(store.erase(&theirs, &of(&ann)).await.unwrap().all(), 0);
    // Even the same id is another caption.
    let theirs = build::context();
    let twin = Record {
        id: record.id,
        ..build::record(&ann)
    };
    store.append(&theirs, &twin).await.unwrap();
    assert_eq!(store.read(&theirs, record.id).await.unwrap(), Some(twin));
    assert_eq!(store.erase(&theirs, &of(&ann)).await.unwrap().all(), 1);

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
        cut_after(polls, store.history(&cx, &Filter::of_user(&ann), None, 10)).await;
        cut_after(
            polls,
            store.amend(&cx, record.id, &told(&build::feedback_full()), Some(7)),
        )
        .await;
        cut_after(polls, store.amend(&cx, record.id, &Amendment::Selection(Some(1)), None)).await;
        cut_after(polls, store.erase(&cx, &of(&build::user_id("nobody")))).await;

        store.append(&cx, &record).await.unwrap();
        assert_eq!(store.read(&cx, record.id).await.unwrap(), Some(record));
    }

    assert_eq!(history(store, &cx, &ann).await.len(), 40);
}

fn told(feedback: &Feedback) -> Amendment {
    Amendment::Feedback(feedback.clone())
}

fn of(user: &UserId) -> Extent {
    Extent::OfUser(user.clone())
}

async fn amend(store: &dyn CaptionStore, cx: &Context, id: CaptionId, amendment: &Amendment) -> Option<u64> {
    store.amend(cx, id, amendment, None).await.unwrap()
}

async fn history(store: &dyn CaptionStore, cx: &Context, user: &UserId) -> Vec<Record> {
    store.history(cx, &Filter::of_user(user), None, 100).await.unwrap()
}

fn ids(records: &[Record]) -> Vec<CaptionId> {
    records.iter().map(|record| record.id).collect()
}
