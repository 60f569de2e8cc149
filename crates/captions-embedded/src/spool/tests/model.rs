//! Any sequence of captions, outages and crashes against a plain list of what was promised.

use std::{collections::BTreeMap, future::poll_fn, task::Poll};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append {
        user: usize,
    },
    Feedback {
        nth: usize,
    },
    Erase {
        user: usize,
    },
    Mood(Mood),
    Drain,
    /// A delivery that is cut off after so many polls.
    CutDrain {
        polls: u8,
    },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize).prop_map(|user| Step::Append { user }),
        1 => (0..8_usize).prop_map(|nth| Step::Feedback { nth }),
        1 => (0..2_usize).prop_map(|user| Step::Erase { user }),
        3 => prop_oneof![
            Just(Mood::Works),
            Just(AWAY),
            Just(Mood::Fails(FaultKind::Overloaded)),
            Just(Mood::LosesAnswers),
            Just(Mood::Fails(FaultKind::Internal)),
        ].prop_map(Step::Mood),
        1 => Just(Step::Drain),
        1 => (1..12_u8).prop_map(|polls| Step::CutDrain { polls }),
        1 => Just(Step::Crash),
    ]
}

/// What the store must hold in the end.
#[derive(Default)]
struct Promised {
    records: BTreeMap<CaptionId, Record>,
    /// Not promised, but the store may have it: the call failed after it had its effect.
    perhaps: HashSet<CaptionId>,
}

async fn play(steps: Vec<Step>) {
    let (folder, inner, mut spooled) = all().await;
    let cx = build::context();
    let users = [build::user_id("ann"), build::user_id("bob")];
    let mut promised = Promised::default();
    for step in steps {
        match step {
            Step::Append { user } => {
                let mut record = build::record(&users[user]);
                record.caption.created_at = now();
                if spooled.append(&cx, &record).await.is_ok() {
                    promised.records.insert(record.id, record);
                }
            }
            Step::Feedback { nth } => {
                let Some(record) = promised.records.values_mut().nth(nth) else {
                    continue;
                };
                let feedback = build::feedback_full();
                if let Ok(known) = spooled.amend(&cx, record.id, &says(&feedback), None).await {
                    assert!(known.is_some(), "a promised caption is known");
                    record.feedback = Some(feedback);
                } else {
                    promised.perhaps.insert(record.id);
                }
            }
            Step::Erase { user } => {
                // A failed erasure may have gone any part of its way: it is made good once the store works.
                let cx = Context {
                    now: now(),
                    ..cx.clone()
                };
                if spooled.erase(&cx, &of(&users[user])).await.is_err() {
                    let mood = *inner.mood.lock().unwrap();
                    inner.becomes(Mood::Works);
                    spooled.erase(&cx, &of(&users[user])).await.unwrap();
                    inner.becomes(mood);
                }
                promised
                    .records
                    .retain(|_, record| record.user.as_ref() != Some(&users[user]));
            }
            Step::Mood(mood) => inner.becomes(mood),
            Step::Drain => drop(spooled.drain().await),
            Step::CutDrain { polls } => {
                let drain = spooled.drain();
                tokio::pin!(drain);
                for _ in 0..polls {
                    let ended = poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx).is_ready())).await;
                    if ended {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            Step::Crash => {
                drop(spooled);
                spooled = open(&folder, &inner).await;
            }
        }
    }

    inner.becomes(Mood::Works);
    let spooled = open(&folder, &inner).await;
    spooled.drain().await.unwrap();
    assert_eq!(spooled.snapshot().await.unwrap(), Snapshot::default());
    for user in &users {
        let expected: Vec<_> = promised
            .records
            .values()
            .rev()
            .filter(|record| record.user.as_ref() == Some(user))
            .cloned()
            .map(|record| without_doubt(record, &promised.perhaps))
            .collect();
        let stored = inner
            .history(&cx, &Filter::of_user(user), None, u32::MAX)
            .await
            .unwrap();
        let stored: Vec<_> = stored
            .into_iter()
            .map(|record| without_doubt(record, &promised.perhaps))
            .collect();
        assert_eq!(stored, expected);
    }
}

/// As every store keeps it.
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().truncate_to_microsecond()
}

/// Feedback whose call failed may be there or not. How often a caption was changed is nobody's promise.
fn without_doubt(mut record: Record, perhaps: &HashSet<CaptionId>) -> Record {
    record.version = 1;
    if perhaps.contains(&record.id) {
        record.feedback = None;
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn after_recovery_the_store_holds_what_was_promised_and_nothing_else(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(play(steps));
    }
}
